"""Addresses and networks, as TRUSTED_PROXIES holds them and as headers name them."""

import sys
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ROUTES = "/proc/net/route"


def networks(words: list[str], routes: str = ROUTES) -> list[Network]:
    """The networks that these words name; an address is the network that holds only it.

    Args:
        words: addresses, networks, and `network` for the one that this machine's default route leads through.
        routes: the file in which Linux lists its routes.

    Raises:
        ValueError: one is neither; the text says which, and what it must be.
    """
    found = []
    for word in words:
        try:
            found.append(own_network(routes) if word == "network" else ip_network(word))
        except ValueError as error:
            raise ValueError(
                f"{error}. It must hold addresses and networks, as 127.0.0.1,10.0.0.0/8, or `network` in a container."
            ) from None
    return found


def own_network(routes: str = ROUTES) -> IPv4Network:
    """The network of the default route: of a container's networks the one that leads to the host.

    Raises:
        ValueError: there is none.
    """
    try:
        with open(routes, encoding="ascii") as lines:
            rows = [line.split() for line in lines][1:]
    except OSError:
        rows = []
    for interface, destination, gateway, *_ in rows:
        if destination != "00000000" or gateway == "00000000":
            continue
        for other, network, direct, *more in rows:
            found = IPv4Network((_number(network), bin(_number(more[4])).count("1")))
            if other == interface and direct == "00000000" and IPv4Address(_number(gateway)) in found:
                return found
    raise ValueError("`network` means the network of the default route, and there is none")


def _number(text: str) -> int:
    """The kernel prints the four bytes of an address as one number of this machine's byte order."""
    return int.from_bytes(bytes.fromhex(text), "big" if sys.byteorder == "big" else "little")


def address(text: str) -> Address | None:
    """The address that a peer or a header names, with a port or without; None where it is something else."""
    text = text.strip()
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port[1:].isdigit()):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not port.isdigit():
            return None
    try:
        # Behind `%` a link-local address may name an interface, in any characters.
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # How a socket that listens for both kinds shows the old one.
    return getattr(found, "ipv4_mapped", None) or found


def inside(peer: Address, trusted: list[Network]) -> bool:
    """Whether one of the networks holds the address."""
    return any(peer in network for network in trusted)


def client(peer: Address, forwarded_for: str, trusted: list[Network]) -> Address:
    """Who sent the request: the right-most address that is no proxy of ours.

    Each proxy adds its own peer at the right, so what stands before a stranger's address is the stranger's own words.

    Args:
        peer: the trusted proxy that the request came from.
        forwarded_for: the value of X-Forwarded-For; of several headers, joined by commas in their order.
        trusted: the networks of the proxies that are believed.
    """
    for text in reversed(forwarded_for.split(",")):
        found = address(text)
        if found is None:
            return peer
        peer = found
        if not inside(peer, trusted):
            return peer
    return peer
