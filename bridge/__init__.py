"""Point it at a durable RabbitMQ queue: every event reaches every hook that asked for it."""

__version__ = "0.1.0"
