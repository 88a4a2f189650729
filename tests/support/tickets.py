"""A stand-in for the right to settle a message: counts what is done with it."""


class CountingTicket:
    """Always valid, unless told otherwise."""

    def __init__(self) -> None:
        self.valid = True
        self.finished = 0
        self.given_back = 0
        self.octets = 0

    def grow(self, octets: int) -> None:
        self.octets += octets

    def let_go(self) -> None:
        self.octets = 0

    def finish(self) -> None:
        self.finished += 1

    def give_back(self) -> None:
        self.given_back += 1
