"""From where the daemon listens to where its clients connect."""

import re

from twisted.internet.endpoints import quoteStringArgument

from imd.errors import ConfigError

_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_CLIENT_KINDS = {"tcp": "tcp", "tcp6": "tcp", "ssl": "tls", "tls": "tls"}


def client_endpoint(listen: str) -> str:
    """Return the client's endpoint string for the server's, such as tcp:127.0.0.1:7650 for tcp:7650.

    Raises ConfigError where the string doesn't tell where that is.
    """
    kind, *fields = (re.sub(r"\\(.)", r"\1", field) for field in re.split(r"(?<!\\):", listen))
    named = dict(field.split("=", 1) for field in fields if "=" in field)
    first = next((field for field in fields if "=" not in field), "")
    if kind == "unix" and (path := named.get("address", first)):
        return f"unix:{_quoted(path)}"
    if kind in _CLIENT_KINDS and (port := named.get("port", first)):
        interface = named.get("interface", "::" if kind == "tcp6" else "")
        return f"{_CLIENT_KINDS[kind]}:{_quoted(_LOOPBACK.get(interface, interface))}:{port}"
    raise ConfigError(
        f"[server] listen begins with {listen}, which doesn't tell where to connect to: name it by --server."
    )


def _quoted(argument: str) -> str:
    return str(quoteStringArgument(argument))
