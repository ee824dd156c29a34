"""The table of rights, walked through on a real Redis in both directions: what it grants works, all else is refused."""

import itertools
import re
import runpy
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from stack.broker import rights
from tests.roles.conftest import PASSWORD, PROJECT, Redis

ACL_FOR = runpy.run_path(str(PROJECT / "deploy" / "redis_server.py"))["acl_for"]
USERS = tuple(rights.RIGHTS)

# Keys of every kind that there is, and of none.
KEYS = (
    *("default", "default:3", "celery", "celery-tools", "stacks", "s", "_kom", "unack", "redbeat", "мир"),
    *(
        "celery-task",
        "celery-tasks",
        "celery-taskset",
        "unacked_",
        "unacked_i",
        "unacked_indexes",
        "unacked2",
        "c",
        "_",
    ),
    *("unacked", "unacked_index", "unacked_mutex"),
    *("_kombu.binding.default", "_kombu.binding_permanent.default", "_kombu.binding_deadlines"),
    *("_kombu.binding.celery.pidbox", "_kombu.binding.reply.celery.pidbox", "x.reply.celery.pidbox"),
    *("_kombu.binding.reply.flower.pidbox", "_kombu.binding_deadlines.flower", "x.reply.flower.pidbox:3"),
    *("_kombu.binding.celeryev", "celeryev.x", "celery-task-meta-x", "celery-taskset-meta-x.j"),
    *("stack:task:x", "stack:workers", "stack:counters", "stack:queues:sent", "redbeat:x", "redbeat::schedule"),
)
CHANNELS = (
    *(
        "/0.celery.pidbox",
        "/15.flower.pidbox",
        "/3.celeryev/task.sent",
        "celery-task-meta-x",
        "celery-taskset-meta-x",
        "project",
    ),
    *("/3.celeryev/*", "/3.celeryev/worker.*", "/0.celery.*", "*", "/16.celeryev/*"),
)
# The arguments of each command; {} is where its key or its channel stands.
ON_KEYS = {
    name: arguments
    for names, arguments in (
        ("get mget llen hlen exists type del smembers hgetall zcard pttl watch rpop incr", "{}"),
        ("hget hmget hdel sadd srem sismember zrem zscore lpush rpush brpop lindex expire pexpire set", "{} 1"),
        ("setex hset hsetnx hincrby zrange zrangebyscore zrevrangebyscore lrange zcount zadd", "{} 1 2"),
        ("evalsha", "sha 1 {}"),
        ("eval", "return 1 {}"),
    )
    for name in names.split()
}
WRITES = (
    "del rpop incr hdel sadd srem zrem lpush rpush brpop expire pexpire set setex hset hsetnx hincrby zadd evalsha eval"
)
READS = ON_KEYS.keys() - set(WRITES.split())
ON_CHANNELS = {"publish": "{} x", "subscribe": "{}", "psubscribe": "{}"}
PLAIN = {
    name: arguments
    for names, arguments in (
        ("ping hello multi exec discard unwatch time info", ""),
        ("auth client|setname script|load script|exists", "x"),
        ("select", "0"),
    )
    for name in names.split()
}
# Redis names no key or channel in these, and asks for the command alone.
UNTRIED = {"client|setinfo", "unsubscribe", "punsubscribe"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    version = tuple(map(int, server.client.info("server")["redis_version"].split(".")[:2]))
    if version < (7, 0):
        server.stop()
        pytest.skip("Redis 6.2 has no rights by command, and no ACL DRYRUN")
    for user in USERS:
        words = re.findall(r"\([^)]*\)|\S+", ACL_FOR(rights.line(user), version))
        server.client.execute_command("ACL", "SETUSER", user, "on", f">{PASSWORD}", *words)
    yield server.client
    server.stop()


def answers(server: Any, user: str, calls: list[list[str]]) -> list[bool]:
    """Whether Redis would let `user` make each of these calls."""
    pipe = server.pipeline(transaction=False)
    for call in calls:
        pipe.execute_command("ACL", "DRYRUN", user, *call)
    said = pipe.execute(raise_on_error=False)
    for call, answer in zip(calls, said, strict=True):
        assert answer == "OK" or "no permissions" in str(answer), (call, answer)
    return [answer == "OK" for answer in said]


def call(command: str, arguments: str, place: str = "") -> list[str]:
    return [*command.split("|"), *(place if word == "{}" else word for word in arguments.split())]


def granted(user: str, command: str, key: str = "", channel: str = "") -> bool:
    """What the table says."""
    for grant in rights.RIGHTS[user]:
        if command not in grant.commands.split():
            continue
        for pattern in grant.keys.split():
            fits = fnmatchcase(key, pattern.partition("~")[2].replace("[^", "[!"))
            if key and fits and (pattern[0] == "~" or command in READS):
                return True
        for pattern in grant.channels.split():
            # A pattern must be granted letter by letter, or with all.
            matched = command != "psubscribe" and fnmatchcase(channel, pattern[1:])
            if channel and (matched or pattern in ("&*", f"&{channel}")):
                return True
        if not key and not channel:
            return True
    return False


def test_the_walk_tries_every_command_of_the_table() -> None:
    commands = {word for grants in rights.RIGHTS.values() for grant in grants for word in grant.commands.split()}
    assert commands - UNTRIED == {*ON_KEYS, *ON_CHANNELS, *PLAIN}


@pytest.mark.parametrize("user", USERS)
def test_redis_allows_what_the_table_grants_and_nothing_else(server: Any, user: str) -> None:
    wanted = [
        (call(name, text, key), granted(user, name, key))
        for (name, text), key in itertools.product(ON_KEYS.items(), KEYS)
    ]
    wanted += [
        (call(name, text, place), granted(user, name, channel=place))
        for (name, text), place in itertools.product(ON_CHANNELS.items(), CHANNELS)
    ]
    wanted += [(call(name, text), granted(user, name)) for name, text in PLAIN.items()]

    said = answers(server, user, [each for each, _ in wanted])

    assert [pair for pair, answer in zip(wanted, said, strict=True) if answer != pair[1]] == []
    assert any(said)


@pytest.mark.parametrize("user", USERS)
def test_no_user_may_call_a_command_that_is_not_in_the_table(server: Any, user: str) -> None:
    known = {word for grant in rights.RIGHTS[user] for word in grant.commands.replace("|", " ").split()}
    others = {name: about for name, about in server.command().items() if name not in known}
    assert len(others) > 150
    pipe = server.pipeline(transaction=False)
    for name, about in others.items():
        pipe.execute_command("ACL", "DRYRUN", user, name, *["1"] * (abs(about["arity"]) - 1))

    said = dict(zip(others, map(str, pipe.execute(raise_on_error=False)), strict=True))

    # `quit` and `reset` end or clear the caller's own connection, and Redis lets everybody.
    free = {name for name, answer in said.items() if answer == "OK"}
    assert free <= {"quit", "reset"}, free


# The promises in words of their own, so that a slip in the table is seen.
REFUSED = {
    "flower": [
        *("PUBLISH /0.celery.pidbox x", "PSUBSCRIBE /0.celery.pidbox", "PUBLISH /0.celeryev/worker.online x"),
        *("SREM _kombu.binding.default x", "SADD _kombu.binding.default x", "SADD _kombu.binding.celery.pidbox x"),
        *("ZADD _kombu.binding_deadlines 0 default", "SET unacked_mutex x", "ZREM unacked_index x", "HDEL unacked x"),
        *("LPUSH default x", "BRPOP default 1", "DEL default", "GET stack:worker:x", "SET celery-task-meta-x 1"),
        *("HGETALL stack:counters", "HSET redbeat:x definition x", "LPUSH x.reply.flower.pidbox x", "INFO"),
    ],
    "beat": [
        *("SET celery-task-meta-x 1", "GET celery-task-meta-x", "PUBLISH celery-task-meta-x 1", "SUBSCRIBE x"),
        *("LPUSH unacked x", "LPUSH _kombu.binding.default x", "LPUSH stack:task:x x", "LPUSH redbeat:x x"),
        *("BRPOP default 1", "DEL default", "SET default x", "HDEL unacked x", "PUBLISH /0.celery.pidbox x"),
        *(
            "ZADD stack:queues 1 x",
            "ZREM stack:queues:sent x",
            "LINDEX default -1",
            "SET stack:worker:x 1",
            "SADD stack:queues x",
            "PUBLISH /0.flower.pidbox x",
            "LRANGE default 0 -1",
        ),
    ],
    "web": [
        *("LPUSH unacked x", "LPUSH unacked_index x", "LPUSH _kombu.binding.default x", "LPUSH stack:workers x"),
        *("LPUSH redbeat::schedule x", "LPUSH celery-task-meta-x x", "HGETALL unacked", "HDEL unacked x"),
        *("BRPOP default 1", "RPOP default", "LRANGE default 0 -1", "DEL default", "SET default x", "EXPIRE default 0"),
        *("LINDEX default -1", "SREM _kombu.binding.default x", "DEL _kombu.binding.default", "SET unacked_mutex x"),
        *("PUBLISH project x", "PSUBSCRIBE /0.celeryev/*", "SUBSCRIBE /0.celery.pidbox", "SUBSCRIBE project"),
    ],
    "worker": [
        *("HSET redbeat:x definition x", "ZADD redbeat::schedule 0 x", "GET redbeat:x", "LPUSH unacked x"),
        *("SET default x", "SUBSCRIBE project", "PUBLISH project x"),
    ],
    "keda": ["LRANGE default 0 -1", "GET stack:worker:x", "SET x 1", "PUBLISH x 1", "HGETALL unacked", "DEL default"],
}
ALLOWED = {
    "flower": ["LLEN default:9", "PUBLISH /7.flower.pidbox x", "PSUBSCRIBE /7.celeryev/*", "GET celery-task-meta-x"],
    "beat": [
        "LPUSH default:3 x",
        "HSET redbeat:x definition x",
        "HSET stack:task:x retries 0",
        "SMEMBERS stack:queues",
        "ZADD stack:queues:sent 1 x",
    ],
    "web": [
        *("LPUSH celery x", "LPUSH default:3 x", "SETEX celery-task-meta-x 9 1", "SUBSCRIBE celery-task-meta-x"),
        *("PUBLISH /0.celery.pidbox x", "INFO memory", "TYPE default", "SMEMBERS stack:queues", "ZCARD unacked_index"),
        "PUBLISH /0.broadcast/default x",
    ],
    "worker": [
        *(
            "BRPOP default celery 1",
            "SADD stack:queues x",
            "LINDEX default:3 -1",
            "PSUBSCRIBE /2.celery.pidbox /2.flower.pidbox",
            "INFO",
        ),
        *("PSUBSCRIBE /0.broadcast/default", "PUBLISH /0.broadcast/default x"),
    ],
    "keda": ["EVAL x 1 default", "LLEN default", "HLEN unacked", "TYPE default"],
}


@pytest.mark.parametrize("user", USERS)
def test_what_a_role_needs_is_allowed_and_what_harms_is_refused(server: Any, user: str) -> None:
    said = answers(server, user, [text.split() for text in ALLOWED[user] + REFUSED[user]])
    right = [True] * len(ALLOWED[user]) + [False] * len(REFUSED[user])
    assert dict(zip(ALLOWED[user] + REFUSED[user], said, strict=True)) == dict(
        zip(ALLOWED[user] + REFUSED[user], right, strict=True)
    )


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a",
        "ab",
        "abc",
        "abq",
        "b",
        "xyz",
        "xy",
        "x",
        "xyzz",
        "a*",
        "[",
        "ü",
        "n",
        "na",
        "nab",
        "nabc",
        "nabd",
        "nac",
    ],
)
def test_all_but_some_names_is_just_that(key: str) -> None:
    prefixes, names = ("abc", "xy"), ("na", "nabc")
    matched = any(fnmatchcase(key, pattern.replace("[^", "[!")) for pattern in rights.all_but(prefixes, names))
    assert matched == (bool(key) and not key.startswith(prefixes) and key not in names)


def test_redis_6_2_is_told_the_same_commands_and_channels() -> None:
    for user in USERS:
        words = ACL_FOR(f"user {user} on #hash {rights.line(user)}", (6, 2)).split()
        assert not [word for word in words if word.startswith(("(", "%", "~", ")")) and word != "~*"]
        for grant in rights.RIGHTS[user]:
            assert {*grant.channels.split(), *(f"+{name}" for name in grant.commands.split())} <= set(words)
        assert words.index("-@all") < min(n for n, word in enumerate(words) if word[0] == "+")
        assert len(words) == len(set(words))
        # Redis 6.2 refuses a channel after that of all.
        assert "&*" not in [word for word in words if word[0] == "&"][:-1]
