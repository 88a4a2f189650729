"""A stand-in for the right to settle a message: counts what is done with it."""


class CountingTicket:
    """Always valid, unless told otherwise."""

    def __init__(self) -> None:
        self.valid = True
        self.finished = 0
        self.given_back = 0
        self.byte_count = 0

    def grow(self, byte_count: int) -> None:
        self.byte_count += byte_count

    def release(self) -> None:
        self.byte_count = 0

    def finish(self) -> None:
        self.finished += 1

    def requeue(self) -> None:
        self.given_back += 1
