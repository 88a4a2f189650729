"""Which policy is in force on a queue."""

from bridge.admin.doctor_policies import in_force
from bridge.ports.survey import FoundPolicy

HA = FoundPolicy("ha", ".*", "all", 0, {"ha-mode": "all"})
SHORT = FoundPolicy("short", "^bridge\\.", "queues", 5, {"max-length": 100})
EXCHANGES = FoundPolicy("exchanges", ".*", "exchanges", 9, {"alternate-exchange": "x"})
CAP = FoundPolicy("cap", "lane", "queues", 0, {"max-length": 7, "delivery-limit": 3}, operator=True)
BROKEN = FoundPolicy("broken", "(", "queues", 99, {"max-length": 1})


def test_the_highest_priority_alone_is_in_force():
    assert in_force("bridge.dead", [HA, SHORT, EXCHANGES, BROKEN]) == {"max-length": 100}
    assert in_force("hooks2", [HA, SHORT]) == {"ha-mode": "all"}
    assert in_force("hooks2", [SHORT]) == {}


def test_an_operators_policy_goes_with_it_and_the_lower_number_counts():
    assert in_force("bridge.lane.crm", [SHORT, CAP]) == {"max-length": 7, "delivery-limit": 3}
    assert in_force("bridge.dead", [SHORT, CAP]) == {"max-length": 100}
