"""What makes a deployment weaker than it need be: `manage.py check --deploy` and each role's start say it.

docs/security.md has the same list for people. Needs no Django, as `service.py` asks it before anything is started.
"""

import ipaddress
import socket

from stack.runtime.env import BadValue, get, redis_url

LEAST_TOKEN = 16
LEAST_PASSWORD = 12
PROXIES = "TRUSTED_PROXIES"
# What `sslmode` must be so that PostgreSQL's client never goes on without TLS.
ENCRYPTED = ("require", "verify-ca", "verify-full")

Found = list[tuple[str, str]]


def open_api(env: dict[str, str]) -> str | None:
    """Why the web role must not start: others reach it, and its API asks nobody for a token. None where it may.

    Raises:
        BadValue: a variable that it reads holds what cannot work.
    """
    name, host = reached(env)
    if is_local(host) or get("API_TOKEN", env):
        return None
    if name == "WEB_ADDRESS":
        name += ", which compose takes from WEB_BIND"
    return (
        f"The API asks for no token, and the web role is reached on {host} ({name}): set API_TOKEN_FILE, the path of a "
        f"file that holds at least {LEAST_TOKEN} random characters, or keep WEB_BIND on loopback, as 127.0.0.1:8000."
    )


def reached(env: dict[str, str]) -> tuple[str, str]:
    """Where the web role is reached: the variable that says so, and its host."""
    published = get("WEB_ADDRESS", env).rpartition(":")[0].strip("[]")
    return ("WEB_ADDRESS", published) if published else ("WEB_BIND", get("WEB_BIND", env)[0])


def is_local(host: str) -> bool:
    """Whether a host's name or address can mean nothing but this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def weaknesses(role: str, env: dict[str, str], hosts: list[str], debug: bool, resolve: bool = False) -> Found:
    """What weakens `role`, and does not stop it.

    Args:
        role: a word of the role table; the web role speaks for Flower's address, which a container does not know.
        env: mapping of environment variables.
        hosts, debug: Django's ALLOWED_HOSTS and DEBUG, which a project may have set itself.
        resolve: ask the name servers for hosts that are names; a start does not wait for them.

    Returns:
        list of (str, str): the check's id, and a sentence that names the variable and the fix.
    """
    found = _unencrypted(role, env, resolve)
    if role in ("web", "flower"):
        found += _flower_password(env)
    if role == "web":
        found += _web(env, hosts, debug) + _flower(env) + _proxies(env)
    return sorted(found)


def _web(env: dict[str, str], hosts: list[str], debug: bool) -> Found:
    found = []
    host, token = reached(env)[1], get("API_TOKEN", env)
    # Behind a proxy on the same machine the role listens on loopback, and only its names tell that others reach it.
    others = [name for name in (host, *hosts) if not is_local(name)]
    if others and not token and is_local(host):
        found.append(
            (
                "stack.W001",
                f"The API asks for no token, and ALLOWED_HOSTS has {others[0]}: whoever a proxy lets through runs "
                "tasks. Set API_TOKEN_FILE.",
            )
        )
    if token and len(token) < LEAST_TOKEN:
        found.append(
            ("stack.W002", f"API_TOKEN has {len(token)} characters and can be guessed: make it {LEAST_TOKEN} or more.")
        )
    if stars := [name for name in hosts if "*" in name]:
        found.append(
            (
                "stack.W003",
                f"ALLOWED_HOSTS has {stars[0]}: name your hosts. Any website could give this machine a name of its own "
                "and call it from a visitor's browser. (.example.com stands for all names of a domain.)",
            )
        )
    if others and get("INSECURE_COOKIES", env):
        found.append(
            (
                "stack.W009",
                f"INSECURE_COOKIES is on, and others reach the web role as {others[0]}: without TLS whoever listens in "
                "that network takes a session over. End TLS in front, and take INSECURE_COOKIES out.",
            )
        )
    if debug and others:
        found.append(
            (
                "stack.W004",
                f"DEBUG is on, and others reach the web role as {others[0]}: an error shows them code and settings. "
                "Take DEBUG out.",
            )
        )
    return found


def _flower(env: dict[str, str]) -> Found:
    host, _ = get("FLOWER_BIND", env)
    if get("FLOWER_READ_ONLY", env) or is_local(host):
        return []
    return [
        (
            "stack.W005",
            f"FLOWER_READ_ONLY=false, and Flower is reached on {host}: whoever has its password stops workers. "
            "Take FLOWER_READ_ONLY out, or keep FLOWER_BIND on loopback.",
        )
    ]


def _flower_password(env: dict[str, str]) -> Found:
    try:
        length = len(get("FLOWER_PASSWORD", env))
    except BadValue:  # in a container of its own only Flower can read it
        return []
    if length >= LEAST_PASSWORD:
        return []
    return [
        (
            "stack.W006",
            f"FLOWER_PASSWORD has {length} characters and can be guessed: make it {LEAST_PASSWORD} or more, "
            "or leave it out for a random one.",
        )
    ]


def _proxies(env: dict[str, str]) -> Found:
    for entry in env.get(PROXIES, "").replace(",", " ").split():
        try:
            trusts_all = entry == "*" or ipaddress.ip_network(entry, strict=False).prefixlen < 8
        except ValueError:  # no address; who reads the variable says so
            continue
        if trusts_all:
            return [
                (
                    "stack.W007",
                    f"{PROXIES}={entry} believes everybody's X-Forwarded headers: anyone may claim any address, and "
                    "TLS. Name the addresses of your own proxies.",
                )
            ]
    return []


def _unencrypted(role: str, env: dict[str, str], resolve: bool) -> Found:
    """Where a password and what tasks are about would cross a public network as plain text."""
    scheme, _, host, _, _ = redis_url(role, env)
    clear = [("REDIS_URL", host, "rediss://")] if scheme == "redis" else []
    if role != "flower":
        database, mail = get("DATABASE_URL", env) or {}, get("EMAIL_URL", env)
        if database.get("OPTIONS", {}).get("sslmode") not in ENCRYPTED:
            clear.append(("DATABASE_URL", str(database.get("HOST", "")), "?sslmode=verify-full at its end"))
        if mail.get("EMAIL_HOST_USER") and not mail.get("EMAIL_USE_TLS") and not mail.get("EMAIL_USE_SSL"):
            clear.append(("EMAIL_URL", str(mail.get("EMAIL_HOST", "")), "smtp+tls://"))
    return [
        ("stack.W008", f"{name}: {host} is on a public network, and the password goes there as plain text: use {fix}.")
        for name, host, fix in clear
        if _is_public(host, resolve)
    ]


def _is_public(host: str, resolve: bool) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    if not resolve or not host or host.startswith("/"):  # a path is a socket
        return False
    try:
        return any(ipaddress.ip_address(info[4][0]).is_global for info in socket.getaddrinfo(host, None))
    except (OSError, ValueError):
        return False
