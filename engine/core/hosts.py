"""Which addresses are this machine's."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress

import psutil


def is_local(host: str) -> bool:
    """Whether a host is this machine's own loopback."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_addresses() -> list[str]:
    """This machine's IPv4 addresses in its networks, likeliest first.

    That by which others are reached, then private ones; those that an adapter without a network gave itself are last.
    """
    found = [address.address for nets in psutil.net_if_addrs().values() for address in nets
             if address.family == socket.AF_INET and not is_local(address.address)]  # fmt: skip
    routed = _routed()

    def unlikely(address: str) -> tuple[bool, bool, bool]:
        known = ipaddress.ip_address(address)
        return known.is_link_local, address != routed, not known.is_private

    return sorted(found, key=unlikely)


def _routed() -> str:
    """The address that this machine speaks to others from, "" where it cannot; nothing is sent."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("192.0.2.1", 9))  # of no machine (RFC 5737)
        return str(asked.getsockname()[0])
    return ""


def own_names() -> set[str]:
    """What this machine is called in its networks."""
    name = socket.gethostname().lower()
    return {name, f"{name.split('.')[0]}.local"}
