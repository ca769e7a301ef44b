"""The show in the network's list of services: OSCQuery as _oscjson._tcp, OSC as _osc._udp."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from engine.core.hosts import is_local, own_addresses
from engine.remote.address import HOST, Place
from engine.remote.board import HostInfo

JOIN_S = 3.0
SERVICES = ("_oscjson._tcp.local.", "_osc._udp.local.")


class Announcement:
    """Tells the networks that reach `place` of it, and of OSC, from `start` to `close`; a thread of its own waits.

    What goes wrong is told to `trouble` in a line, and the show can still be found by its address.
    """

    def __init__(self, place: Place, host: HostInfo, trouble: Callable[[str], None]) -> None:
        self._place, self._host, self._trouble = place, host, trouble
        self._over = threading.Event()
        self.ready = threading.Event()
        """The network has been told."""
        self._thread = threading.Thread(target=self._run, name="tpos-announce", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def close(self) -> None:
        """Take it back."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        from zeroconf import Error, ServiceInfo, Zeroconf

        ports = (self._place.port, self._host.osc_port)
        hosts = (self._place.host, self._host.osc_host)
        name = self._host.name.replace(".", " ")
        try:
            for address in _reached(self._place.host):  # Zeroconf leaves sockets open where it cannot begin
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind((address, 0))
            with Zeroconf(interfaces=_reached(self._place.host)) as network:
                for service, port, host in zip(SERVICES, ports, hosts, strict=True):
                    addresses = [socket.inet_aton(address) for address in _reached(host)]
                    server = f"{socket.gethostname().split('.')[0]}.local."
                    about = ServiceInfo(service, f"{name}.{service}", port, addresses=addresses, server=server)
                    network.register_service(about, allow_name_change=True)
                self.ready.set()
                self._over.wait()
        except (OSError, Error) as error:
            self._trouble(f"OSCQuery cannot be announced ({error}); it answers at port {self._place.port} all the same")


def _reached(host: str) -> list[str]:
    """The addresses of a host to listen on."""
    if host in ("0.0.0.0", "::"):
        return own_addresses() or [HOST]
    try:
        return [socket.gethostbyname(host)]
    except OSError:
        return [HOST if is_local(host) else host]
