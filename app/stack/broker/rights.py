"""What each Redis user may do: one table of commands, keys and channels, from which users.acl is made.

A grant is a list of commands with the keys and the channels on which they may be used. `acl_for` in
deploy/redis_server.py says the same as far as Redis 6.2 can: it knows the keys and channels of a user, not a
command's.
"""

from typing import NamedTuple


class Grant(NamedTuple):
    """Commands, and where they may be used; `%R~` before a key pattern is reading, `~` both."""

    commands: str
    keys: str = ""
    channels: str = ""


# What is no queue: the keys of the transport, of results, of schedules, and the stack's own records.
PREFIXES = ("_kombu.", "celery-task-meta-", "celery-taskset-meta-", "redbeat:", "stack:")
TAKEN = ("unacked", "unacked_index", "unacked_mutex")


def all_but(prefixes: tuple[str, ...], names: tuple[str, ...] = ()) -> list[str]:
    """Patterns that together match each key but `names`, and those that begin with one of `prefixes`.

    Redis knows no exception from a pattern, but a class of letters: what does not begin with "ab" begins with
    another letter than "a", or is "a", or has another letter after it.
    """
    found, words = [], (*prefixes, *names)
    # Redis tries one after the other, for each message that is sent: most names match one of the shortest.
    starts = {word[:length] for word in words for length in range(len(word))}.union(names)
    for start in sorted(starts, key=lambda each: (len(each), each)):
        if start.startswith(prefixes):
            continue
        letters = sorted({word[len(start)] for word in words if word.startswith(start) and word != start})
        found.append(f"{start}[^{''.join(letters)}]*" if letters else f"{start}?*")
        if start and start not in names:
            found.append(start)
    return found


def _keys(*patterns: str) -> str:
    return " ".join(f"~{pattern}" for pattern in patterns)


def _read(*patterns: str) -> str:
    return " ".join(f"%R~{pattern}" for pattern in patterns)


def _listen(*patterns: str) -> str:
    """A pattern of PSUBSCRIBE stands in the ACL letter by letter; kombu's begins with the database's number."""
    return " ".join(f"&/{database}.{pattern}" for pattern in patterns for database in range(16))


# A queue may have any name that is not another's key.
_QUEUES = _keys(*all_but(PREFIXES, TAKEN))
_BINDINGS = "_kombu.binding*"
_RESULTS = ("celery-task-meta-*", "celery-taskset-meta-*")
_RECORDS, _SCHEDULES = "stack:*", "redbeat:*"
# Fanout exchanges: of events, of the mailboxes, and of any name where a project has broadcasts.
_EVENTS, _EXCHANGES = "&/*.celeryev/*", "&/*"

_CONNECT = Grant(
    "auth hello ping select client|setinfo client|setname multi exec discard unwatch script|load script|exists time"
)
_GET = "get mget hget hmget hgetall smembers sismember zrange zrangebyscore zscore zcard pttl"
_PUT = "set setex del expire pexpire hset hsetnx hdel hincrby incr sadd srem zadd zrem evalsha watch"
_LENGTH = Grant("llen exists type", _read("*"))
# What kombu needs to know a queue, to put a task into it, and to tell of it.
_SEND = (
    Grant("lpush", _QUEUES),
    Grant("smembers sadd", _keys(_BINDINGS)),
    Grant("publish", channels=_EVENTS),
    Grant("zadd", _keys("stack:queues:sent")),
)
# A view that waits for a result (`.get()`) subscribes to it, and who stores one publishes it.
_WAIT = Grant("subscribe unsubscribe publish", channels=" ".join(f"&{pattern}" for pattern in _RESULTS))

FLOWER_MAILBOX = "flower"  # its channel is /0.flower.pidbox, beside the workers' own: /0.celery.pidbox
# Flower's own keys: the mailbox in which workers answer it, and the queue of its events. Its deadlines are apart from
# those of others, whose tables kombu's script would delete.
FLOWER_DEADLINES = "_kombu.binding_deadlines.flower"
_FLOWERS = (
    *("_kombu.binding.reply.flower.pidbox", "_kombu.binding_permanent.reply.flower.pidbox"),
    *("_kombu.binding.celeryev", "_kombu.binding_permanent.celeryev"),
    FLOWER_DEADLINES,
    "*.reply.flower.pidbox*",
    "celeryev.*",
)

RIGHTS: dict[str, tuple[Grant, ...]] = {
    "web": (
        _CONNECT,
        Grant("info"),
        _LENGTH,
        *_SEND,
        Grant(f"{_GET} {_PUT}", _keys(_RECORDS, *_RESULTS, _SCHEDULES)),
        # How many tasks workers hold, and whether the keys are what they should be. A message in them is read only by
        # who knows its tag.
        Grant("zcard hget", _read("unacked_index", "unacked")),
        _WAIT,
        # `app.control.revoke()` of a project's view, and what it sends to a fanout exchange of its own.
        Grant("publish", channels=_EXCHANGES),
    ),
    "worker": (
        _CONNECT,
        Grant("info"),
        _LENGTH,
        *_SEND,
        Grant("rpush brpop rpop lindex del pexpire", _QUEUES),
        Grant(f"{_GET} {_PUT}", _keys(_BINDINGS, *TAKEN, _RECORDS, *_RESULTS)),
        Grant("zrevrangebyscore", _read("unacked_index")),
        Grant("rpush lrange zcount", _keys(*_RESULTS)),
        _WAIT,
        Grant("publish", channels=_EXCHANGES),
        # Its mailboxes, events, and the broadcasts of a project, whose names nobody knows here. It reads all else too.
        Grant("psubscribe punsubscribe", channels="&*"),
    ),
    "beat": (
        _CONNECT,
        _LENGTH,
        *_SEND,
        Grant(f"{_GET} {_PUT}", _keys("stack:task:*", "stack:beat:*", _SCHEDULES)),
        Grant(_GET, _read(_RECORDS)),
    ),
    "flower": (
        _CONNECT,
        _LENGTH,
        Grant("smembers sadd srem zadd zrem zrangebyscore del pexpire evalsha brpop", _keys(*_FLOWERS)),
        Grant("publish", channels="&/*.flower.pidbox"),
        Grant("psubscribe punsubscribe", channels=_listen("celeryev/*")),
        # `/api/task/result/<id>`.
        Grant("get mget", _read("celery-task-meta-*")),
        Grant("subscribe unsubscribe", channels="&celery-task-meta-*"),
    ),
    # In Kubernetes, KEDA counts what waits and what runs, by a script: Redis asks for the right to write the keys that
    # a script names, and the script has no command that writes.
    "keda": (_CONNECT, Grant("eval evalsha type llen hlen", _keys("*"))),
}

# Nobody can log in as `default`. Redis itself does as it loads its log of writes: without rights there, every
# transaction of the log would be refused and lost.
DEFAULT = "user default off ~* &* +@all"


def line(user: str) -> str:
    """The rights of `user` as a line of users.acl ends with them: one pair of brackets a grant."""
    if user == "admin":
        return "~* &* +@all"
    first, *others = (
        " ".join([*grant.keys.split(), *grant.channels.split(), *(f"+{word}" for word in grant.commands.split())])
        for grant in RIGHTS[user]
    )
    return " ".join(["resetchannels -@all", first, *(f"({other})" for other in others)])


# The users of each runtime; KEDA's is in Kubernetes only.
USERS = ("web", "worker", "beat", "flower", "admin")
CLUSTER_USERS = (*USERS, "keda")
