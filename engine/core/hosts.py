"""Which addresses are this machine's."""

from __future__ import annotations

import ipaddress
import socket

import psutil


def is_local(host: str) -> bool:
    """Whether a host is this machine's own loopback."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_addresses() -> list[str]:
    """This machine's IPv4 addresses in its networks, private ones first."""
    found = [address.address for nets in psutil.net_if_addrs().values() for address in nets
             if address.family == socket.AF_INET and not is_local(address.address)]  # fmt: skip
    return sorted(found, key=lambda address: not ipaddress.ip_address(address).is_private)


def own_names() -> set[str]:
    """What this machine is called in its networks."""
    name = socket.gethostname().lower()
    return {name, f"{name.split('.')[0]}.local"}
