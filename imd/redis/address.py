"""Where Redis is, and as whom to go there."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS

from imd.authorities import trust_root
from imd.errors import ConfigError

PORT = 6379
_EXPECTED = "expected redis://, rediss:// (TLS) or unix://, such as redis://[user:password@]host[:6379][/database]"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One Redis server and the account there; neither its text nor its repr holds the password.

    ``path`` is a Unix socket's, and then there is no host. ``database`` is 0 to 15 unless the server has more.
    """

    host: str
    port: int
    path: str
    is_tls: bool
    database: int
    username: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.is_tls else 'redis'}://{host}:{self.port}/{self.database}"

    def endpoint(self, reactor: Any, connect_seconds: float, authorities: bytes = b"") -> IStreamClientEndpoint:
        """Return the way there; over TLS the server must show a certificate for this host.

        It is to be signed by one of ``authorities`` (PEM), or by one that the machine trusts where there are none.
        Raises ConfigError for PEM without a certificate.
        """
        if self.path:
            return UNIXClientEndpoint(reactor, self.path, timeout=connect_seconds)
        if not self.is_tls:
            return self._plain(reactor, connect_seconds)
        # txredisapi's own TLS does not verify.
        verifying = optionsForClientTLS(self.host, trustRoot=trust_root(authorities, " for Redis"))
        return wrapClientTLS(verifying, self._plain(reactor, connect_seconds))

    def _plain(self, reactor: Any, connect_seconds: float) -> IStreamClientEndpoint:
        return HostnameEndpoint(reactor, self.host, self.port, timeout=connect_seconds)


def parse(url: str, password: str = "") -> RedisAddress:
    """Return the address that ``url`` stands for.

    ``password`` comes from elsewhere, such as a file, and then ``url`` must hold none. Raises ConfigError, which
    repeats nothing that may be secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
    except ValueError as error:
        raise ConfigError(f"the address of Redis has a port or host that can't be: {_EXPECTED}") from error
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(f"the address of Redis begins with {parts.scheme[:20]!r}: {_EXPECTED}")
    is_unix = parts.scheme == "unix"
    if is_unix and not parts.path.startswith("/"):
        raise ConfigError("the address of Redis names no socket: expected such as unix:///run/redis.sock?db=0")
    if not is_unix and not parts.hostname:
        raise ConfigError(f"the address of Redis names no host: {_EXPECTED}")
    if parts.password and password:
        raise ConfigError("the password for Redis is given twice, in its address and by a file: leave one out")
    return RedisAddress(
        host="" if is_unix else parts.hostname or "",
        port=0 if is_unix else port,
        path=unquote(parts.path) if is_unix else "",
        is_tls=parts.scheme == "rediss",
        database=_database(parts, is_unix),
        username=unquote(parts.username or ""),
        password=password or unquote(parts.password or ""),
    )


def _database(parts: SplitResult, is_unix: bool) -> int:
    text = parts.query if is_unix else parts.path.strip("/")
    if is_unix and text:
        key, _, text = text.partition("=")
        text = text if key == "db" else "?"
    elif parts.query:
        text = "?"
    if text and not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise ConfigError("the address of Redis ends in what is no number of a database: " + _EXPECTED)
    return int(text or 0)
