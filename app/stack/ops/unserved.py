"""Name the queues whose tasks no worker takes: `python -m stack.ops.unserved` in a web container."""

from stack.ops.web import Failed, api_path, call
from stack.runtime.env import environment


def warnings(env: dict[str, str]) -> list[str]:
    """A line for each queue that holds tasks which nobody takes, with what to do; none where the API does not say."""
    try:
        queues = call(env, f"{api_path(env)}queues")["queues"]
    except Failed:  # whoever asks has just proved a task, or said why not
        return []
    return [f"queue {queue['name']!r}: {queue['unserved']}" for queue in queues if queue["unserved"]]


if __name__ == "__main__":
    for line in warnings(environment()):
        print(f"warning: {line}")
