"""Replace one secret of the compose stack by a new random one: `make rotate-secret NAME=web/redis_password`.

python3 deploy/rotate_secret.py <service/name>     or without a name: list them
"""

import signal
import sys

from checkout import Stop
from containers import alone, containers, docker, image_id, image_name, images, with_further
from replacing import replace, roll
from rollout import ROLES, reload_users
from secret_readers import DATABASE_USERS, DJANGO, READERS

# Its new password comes from a file, so that it is on no command line.
ALTER = r"""\set password `cat /run/secrets/%s`
ALTER ROLE %s PASSWORD :'password';
"""


def rotate(name: str) -> None:
    """Every step leaves a stack that works: Redis knows old and new until nobody uses the old one."""
    secret = name.partition("/")[2]
    if {image_id(image_name())} != set().union(*map(images, with_further(ROLES))):
        raise Stop("what was built is not what runs, and a rotation starts what was built: make deploy TARGET=compose")
    print(docker("compose", "run", "--rm", "-T", "--no-deps", "secrets", "--rotate", name).strip())
    if secret in DATABASE_USERS:
        # PostgreSQL knows one password: from here until the roles are new, a new connection of theirs fails.
        psql = ("exec", "-i", containers("db")[0], "psql", "-qU", "postgres", "-v", "ON_ERROR_STOP=1")
        docker(*psql, text=ALTER % (secret, DATABASE_USERS[secret]))
    reload_users()
    for role in with_further(readers(name)):
        if role == "flower":
            replace(role)
        elif containers(role):
            roll(role)
    docker("compose", "run", "--rm", "-T", "--no-deps", "secrets", "--finish", name)
    reload_users()
    print(f"{name} is new, and the old one is worth nothing")


def readers(name: str) -> tuple[str, ...]:
    """The roles that have the secret: one of the project's own may be the same file for all of Django's."""
    service, _, secret = name.partition("/")
    if name.endswith("/redis_password"):
        return (service,)
    if secret in READERS:
        return READERS[secret]
    there = docker("compose", "run", "--rm", "-T", "--no-deps", "secrets", "--list").split()
    return tuple(role for role in DJANGO if f"{role}/{secret}" in there)


def runs() -> bool:
    try:
        return bool(containers("web"))
    except Stop:
        return False


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if not runs():
            raise Stop(
                "the compose stack does not run here: docker compose up -d --wait. Under supervisord: make down, "
                "delete the secret's files in run/secrets, make up. On Kubernetes: make rotate-secret TARGET=k8s."
            )
        if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
            print(__doc__)
            print(docker("compose", "run", "--rm", "-T", "--no-deps", "secrets", "--list").strip())
        else:
            with alone():
                rotate(sys.argv[1])
    except Stop as reason:
        sys.exit(str(reason))
    except KeyboardInterrupt:
        sys.exit("interrupted: run the same again")
