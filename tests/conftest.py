"""What all tests share."""

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.support.broker",
    "tests.support.postgres",
    "tests.support.reader",
    "tests.support.scene",
]

# Every test is under a time limit already. How long one example takes says more about the machine than about us.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
