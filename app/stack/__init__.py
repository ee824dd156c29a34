"""What every role shares: the role table, health checks, heartbeat, Celery's safe defaults, the HTTP API."""

__version__ = "0.1.0"
