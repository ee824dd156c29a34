"""The result backend: Celery's own for Redis, less a leak, with the role's kind of connection."""

from typing import Any

from celery.backends.redis import RedisBackend as CeleryRedisBackend

from stack.broker.connections import refused_for_now
from stack.runtime import heartbeat


class RedisBackend(CeleryRedisBackend):
    """Celery's, where results are in the stack's Redis."""

    def _get_pool(self, **params: Any) -> Any:
        return super()._get_pool(**params | self.app.conf.redis_connection_options)

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """As Celery's; and a worker waits with a state or a result for a Redis that is full for now."""
        return super().exception_safe_to_retry(exc) or refused_for_now(exc)

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do not subscribe to the result of every task that is sent.

        Celery does, on a connection that nobody reads: 169 bytes of socket memory a task, for ever,
        and a request that hangs for 19 s when Redis is down (celery#6963). `AsyncResult.get` subscribes itself.
        """

    def add_pending_result(self, result: Any, weak: bool | None = None, start_drainer: bool = True) -> Any:
        """Do not subscribe for `AsyncResult.then` either, which a group calls for each of its members. Only `then`
        says whether the reference is a weak one. `get` subscribes itself."""
        if weak is not None and start_drainer:
            return result
        return super().add_pending_result(result, bool(weak), start_drainer)

    def iter_native(self, result: Any, **options: Any) -> Any:
        """Subscribe to a group's members when somebody waits for them, which sending them no longer does."""
        self.add_pending_results([member for member in result.results if hasattr(member, "_cache")])
        return super().iter_native(result, **options)

    def _sleep(self, seconds: float) -> None:
        # A worker's main loop that waits for Redis to store a result is waiting, not hung.
        heartbeat.waiting()
        super()._sleep(seconds)
