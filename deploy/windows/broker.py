"""Which Redis the development profile uses: the one that REDIS_URL names, one on 127.0.0.1:6379, or its own."""

import sys
from pathlib import Path

from checkout import Stop
from stack.runtime.env import redis_url

# Database 0 is where other projects keep theirs.
FOUND = "redis://default@127.0.0.1:6379/9"
INSTALL = (
    "A real one, in one line: docker run -d --restart unless-stopped -p 127.0.0.1:6379:6379 redis:8\n"
    "or, in WSL: sudo apt install redis-server   or: winget install Memurai.MemuraiDeveloper"
)
ALONE = f"Put REDIS_URL={FOUND} into .env, so that manage.py and a role that is started by itself use it, too."
EMBEDDED = (
    "An embedded one (fakeredis) serves from memory: when it ends, queued tasks, results and changed schedules are "
    "gone. It is slow, and for one developer only.\n" + INSTALL
)
WANTS_PASSWORD = (
    f"To use it, put REDIS_URL={FOUND} into .env, and REDIS_PASSWORD_FILE=the path of a file that holds its password."
)


def choose(env: dict[str, str]) -> tuple[dict[str, str], str, list[str]]:
    """What the roles need to know of Redis, some words about it, and the command that starts it, if it is ours.

    Raises:
        Stop: the Redis of REDIS_URL cannot be used.
    """
    if env.get("REDIS_URL"):
        if problem := refusal(env):
            raise Stop(f"REDIS_URL={env['REDIS_URL']}: {problem}")
        return {}, f"Redis: {env['REDIS_URL']}, as REDIS_URL says", []
    problem = refusal(env | {"REDIS_URL": FOUND})
    if problem is None:
        return {"REDIS_URL": FOUND}, f"Redis: one was found on this machine; database 9 of it, {FOUND}\n{ALONE}", []
    own = [sys.executable, str(Path(__file__).with_name("embedded.py"))]
    return {}, f"Redis: 127.0.0.1:6379 cannot be used: {problem}\n{EMBEDDED}", own


def refusal(env: dict[str, str]) -> str | None:
    """Why the Redis of REDIS_URL cannot be used, or None when it can."""
    import redis

    from stack.broker.by_role import broker_url
    from stack.broker.connections import server_problem

    env = env | {"SERVICE_ROLE": "worker"}
    client = redis.Redis.from_url(broker_url("worker", env), socket_connect_timeout=2, socket_timeout=2, retry=None)
    try:
        return server_problem(client.info("server")["redis_version"])
    except redis.AuthenticationError as error:
        user = redis_url("worker", env)[1]
        return f"it wants another password of user {user} ({error}). {WANTS_PASSWORD}"
    except redis.ResponseError as error:
        return f"it refuses: {error}"
    except redis.RedisError as error:
        return f"it does not answer: {error}"
    finally:
        client.close()
