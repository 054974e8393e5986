"""Where a client finds the daemon."""

import pytest
from twisted.trial.unittest import SynchronousTestCase

from imd.cli.endpoint import client_endpoint
from imd.errors import ConfigError


class EndpointTests(SynchronousTestCase):
    def test_each_kind_of_listening_has_its_kind_of_connecting(self) -> None:
        for listen, client in {
            "tcp:7650": "tcp:127.0.0.1:7650",
            "tcp:7650:interface=127.0.0.1": "tcp:127.0.0.1:7650",
            "tcp:port=7650:interface=10.0.0.3:backlog=9": "tcp:10.0.0.3:7650",
            "tcp:7650:interface=0.0.0.0": "tcp:127.0.0.1:7650",
            "tcp6:7650": r"tcp:\:\:1:7650",
            r"tcp6:7650:interface=fe80\:\:1": r"tcp:fe80\:\:1:7650",
            r"tcp:7650:interface=\:\:": r"tcp:\:\:1:7650",
            "ssl:7651:privateKey=key.pem:certKey=cert.pem:interface=10.0.0.3": "tls:10.0.0.3:7651",
            "unix:/run/imd/imd.sock": "unix:/run/imd/imd.sock",
            r"unix:address=/run/a\:b:mode=660": r"unix:/run/a\:b",
        }.items():
            assert client_endpoint(listen) == client

    def test_an_address_that_is_not_told_has_to_be_named(self) -> None:
        for listen in ("systemd:domain=INET:name=c2s", "haproxy:tcp:7650", "tcp", "unix:"):
            with pytest.raises(ConfigError, match="name it by --server"):
                client_endpoint(listen)
