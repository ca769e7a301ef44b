"""The services that the network lists, as a browser of zeroconf finds them."""

from __future__ import annotations

import socket

from remote_stage import PATIENCE_S, Stage
from zeroconf import ServiceInfo, Zeroconf

from engine.remote.address import Place
from engine.remote.announce import SERVICES, Announcement
from engine.remote.board import HostInfo


def test_oscquery_and_osc_are_found_with_their_ports_and_gone_when_the_show_ends() -> None:
    with Stage(announced=True) as stage, Zeroconf(interfaces=["127.0.0.1"]) as network:
        ports = (stage.server.place.port, stage.osc.address[1])
        for service, port in zip(SERVICES, ports, strict=True):
            found = network.get_service_info(service, f"TPoS test.{service}", int(PATIENCE_S * 1000))
            assert isinstance(found, ServiceInfo), service
            assert found.port == port
            assert found.addresses == [socket.inet_aton("127.0.0.1")]
        assert not stage.troubles


def test_a_network_that_does_not_carry_it_is_a_line_and_no_more() -> None:
    troubles: list[str] = []
    announcement = Announcement(Place("192.0.2.1", 9080), HostInfo("TPoS test", "127.0.0.1", 9000), troubles.append)
    announcement.start()
    announcement.close()
    assert not announcement.ready.is_set()
    assert len(troubles) == 1
    assert "it answers at port 9080 all the same" in troubles[0]
