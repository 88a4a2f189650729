"""Connections that end again and again are named, with the source where it can be told."""

from bridge.app.connections import RepeatedEnds

CRASH = "541 INTERNAL_ERROR"


class Connections:
    """Connections by role, and the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ends = RepeatedEnds(lambda: self.now)

    @property
    def crashed(self) -> list[str]:
        return [self.ends.crashed.get_nowait() for _ in range(self.ends.crashed.qsize())]

    def end(self, role: str = "consume", *, after: float = 0.1, why: str = CRASH) -> None:
        self.ends.made(role)
        self.now += after
        self.ends.ended(role, why)


def test_a_connection_that_ended_three_times_soon_after_it_was_made_is_a_problem_until_it_lasts():
    connections = Connections()
    for _ in range(2):
        connections.end(after=15)
    assert connections.ends.problems() == []
    connections.end(after=15)
    assert connections.ends.problems() == [
        "the connection 'consume' ends again and again soon after it was made: 541 INTERNAL_ERROR"
    ]
    assert connections.crashed == ["consume"]
    connections.ends.made("consume")
    connections.now += 61
    assert connections.ends.problems() == []


def test_a_source_is_suspected_where_it_has_the_connection_for_itself():
    connections = Connections()
    connections.ends.consumes_alone("consume:source:a", "a")
    for role in ("consume", "consume:source:a"):
        for _ in range(3):
            connections.end(role)
    shared, alone = connections.ends.problems()
    assert "source" not in shared.replace("consume", "")
    assert "the source 'a' alone" in alone


def test_connections_that_lasted_or_were_never_made_are_none_of_these():
    connections = Connections()
    for _ in range(9):
        connections.end(after=31)
        connections.ends.ended("consume", "refused")
    assert connections.ends.problems() == []


def test_what_is_no_error_of_the_brokers_parts_nothing():
    connections = Connections()
    for _ in range(4):
        connections.end(why="320 CONNECTION_FORCED")
    assert connections.crashed == []
    assert len(connections.ends.problems()) == 1
