"""Which names a queue may have: each queue is a key of Redis, beside those of the transport, the results and the stack.

The role table imports this before Celery exists, so the names of kombu, Celery and RedBeat are written here once more;
tests/unit/test_names.py compares them with the libraries' own.
"""

SEPARATOR = ":"  # between a queue and its priority, and in every key of the stack and of beat
# kombu's hash of what workers hold, its index and the lock of its sweep. `redbeat` and `stack` are no keys; but the
# list of the queue's priority 3 is `redbeat:3`, as is a schedule that is named 3.
TAKEN = ("unacked", "unacked_index", "unacked_mutex", "redbeat", "stack")
PREFIXES = ("_kombu.", "celery-task-meta-", "celery-taskset-meta-", "chord-unlock-", "celeryev")
MAILBOX = "pidbox"  # the queues of remote control: worker@host.celery.pidbox, <id>.reply.celery.pidbox
ACCEPTED = "a word such as default, mail or reports.daily"


def problem(name):
    """Why no queue may be called `name`, as the end of a sentence, or None when one may."""
    if not isinstance(name, str) or not name:
        return f"is no name: it must be {ACCEPTED}"
    if not name.isprintable() or any(letter.isspace() for letter in name):
        return f"holds a space or a character that cannot be printed: it must be {ACCEPTED}"
    if SEPARATOR in name:
        return f"holds a colon, which marks the priority of a queue: it must be {ACCEPTED}"
    if "," in name:
        return f"holds a comma, which separates the names in WORKER_QUEUES: it must be {ACCEPTED}"
    # Channels of broadcasts are /0.celery.pidbox, with the number of the database.
    number, dot, _ = name[1:].partition(".")
    broadcast = name[0] == "/" and bool(dot) and number.isdigit()
    if broadcast or name in TAKEN or name.startswith(PREFIXES) or name.split(".")[-1] == MAILBOX:
        return f"is a key that Celery, beat or the stack keeps in Redis: it must be {ACCEPTED}"
    return None
