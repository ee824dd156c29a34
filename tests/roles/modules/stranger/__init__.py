"""A project that never heard of the stack, written as Celery's documentation writes one."""
