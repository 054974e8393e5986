"""Where the node listens: the endpoint strings of the configuration."""

from typing import Any

from twisted.internet.endpoints import serverFromString

from imd.errors import ConfigError

PROXIED = "haproxy:"
"""Before an endpoint string: a balancer connects there, and says by the PROXY protocol for whom."""

_OPEN_TO_ALL = ("tcp", "ssl", "tls")
"""Kinds of endpoints that listen on every interface unless one is named."""


def gateway_endpoint(reactor: Any, text: str) -> Any:
    """Return the endpoint for clients that ``text`` means. Raises ConfigError."""
    below = text.removeprefix(PROXIED)
    if below != text and below.startswith(("ssl:", "tls:", PROXIED)):
        raise ConfigError(
            f"{text!r} in listen can't be: a balancer sends its header before TLS begins. Let TLS end at the"
            " balancer, and listen such as haproxy:tcp:7650:interface=10.0.0.11"
        )
    try:
        return serverFromString(reactor, below)
    except Exception as error:
        raise ConfigError(
            f"{text!r} in listen is no Twisted endpoint ({error}); expected such as tcp:7650:interface=127.0.0.1"
        ) from error


def api_endpoint(reactor: Any, text: str) -> Any:
    """Return the endpoint for the API that ``text`` means, which has to name its interface. Raises ConfigError."""
    kind, _, rest = text.partition(":")
    if kind in _OPEN_TO_ALL and "interface=" not in rest:
        raise ConfigError(
            f"{text!r} in [http] doesn't say who may reach it: add :interface=127.0.0.1 for this machine alone, or"
            " :interface=0.0.0.0 for all that can"
        )
    if text.startswith(PROXIED):
        raise ConfigError(f"{text!r} in [http] can't be: the API takes no PROXY protocol")
    return gateway_endpoint(reactor, text)
