"""One frozen Config, read from a TOML file, IMD_* variables and the command line, checked before anything starts."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct, field

from imd.errors import ConfigError
from imd.wire.packet import MAX_BODY

_KIB = 1024
_SQLITE = "sqlite:///"
_Text = Annotated[str, Meta(pattern=r"\A[^\0]+\Z", description="a string that is not empty and has no NUL")]
_File = Annotated[str, Meta(pattern=r"\A[^\0]*\Z", description="a string without NUL")]
_Line = Annotated[str, Meta(pattern=r"\A[^\0-\x1f]*\Z", description="a string without control characters")]
_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
_LOCAL = r"(localhost|127\.[0-9.]+|\[::1\])"
_HttpUrl = Annotated[
    str,
    Meta(
        pattern=rf"\A((https://{_HOST}|http://{_LOCAL})(:[0-9]{{1,5}})?([/?][!-~]*)?)?\Z",
        description="https://HOST/PATH without a user, or http:// to this machine alone,",
    ),
]
_Seconds = Annotated[float, Meta(gt=0, le=3600)]
_Millis = Annotated[float, Meta(gt=0, le=60_000)]


class Server(Struct, frozen=True, kw_only=True):
    """Where the daemon keeps its files, where it listens, and what it is called."""

    data: _Text = "./imd-data"
    listen: Annotated[
        tuple[_Text, ...], Meta(min_length=1, description="a list of one or more endpoint strings, such as tcp:7650")
    ] = ("tcp:7650:interface=127.0.0.1",)
    node: Annotated[
        str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z", description="a name of 1 to 64 characters of A-Z a-z 0-9 . _ -")
    ] = "imd1"
    drain_seconds: _Seconds = 5.0


class Sso(Struct, frozen=True, kw_only=True):
    """How tokens are checked: by the one of the first five keys that is set.

    Where none is, an empty ``secret_file`` stands for DATA/token.secret, made on the first start.
    """

    secret_file: _File = ""
    public_key_file: _File = ""
    jwks_url: _HttpUrl = ""
    url: _HttpUrl = ""
    introspection_url: _HttpUrl = ""
    algorithm: Annotated[
        str,
        Meta(
            pattern=r"\A(HS256|RS256|RS384|RS512|PS256|ES256|EdDSA)?\Z",
            description="one of HS256, RS256, RS384, RS512, PS256, ES256 and EdDSA, or an empty string,",
        ),
    ] = ""
    issuer: _Line = ""
    audience: _Line = ""
    leeway_seconds: Annotated[float, Meta(ge=0, le=300)] = 0.0
    jwks_seconds: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    client_id: _Line = ""
    client_secret_file: _File = ""
    bearer_file: _File = ""
    ca_file: _File = ""
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 3.0
    retries: Annotated[int, Meta(ge=0, le=5)] = 1
    cache_seconds: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    max_requests: Annotated[int, Meta(ge=1, le=10_000)] = 100

    @property
    def source(self) -> str:
        """The key that says how tokens are checked."""
        return next((key for key in SSO_SOURCES if getattr(self, key)), "secret_file")


_SIGNED = frozenset({"algorithm", "issuer", "audience", "leeway_seconds"})
_FETCHED = frozenset({"ca_file", "timeout_seconds"})
_ASKED = _FETCHED | {"client_id", "client_secret_file", "bearer_file", "retries", "cache_seconds", "max_requests"}
SSO_SOURCES: Mapping[str, frozenset[str]] = {
    "secret_file": _SIGNED,
    "public_key_file": _SIGNED,
    "jwks_url": _SIGNED | _FETCHED | {"jwks_seconds"},
    "url": _ASKED,
    "introspection_url": _ASKED | (_SIGNED - {"algorithm"}),
}
"""The ways to check tokens, and which of the other keys each of them knows."""


class Storage(Struct, frozen=True, kw_only=True):
    """Where messages are kept. An empty ``url`` stands for SQLite in DATA/imd.sqlite."""

    url: Annotated[
        str,
        Meta(
            pattern=rf"\A({_SQLITE}(?!:memory:)[^?\0]+|postgresql://[^\0]+)?\Z",
            description=f"{_SQLITE}FILE, postgresql://USER@HOST/DATABASE, or an empty string for imd.sqlite in the data"
            " folder,",
        ),
    ] = ""
    password_file: _File = ""
    timeout_seconds: Annotated[float, Meta(ge=1, le=600)] = 5.0
    commit_gap_ms: Annotated[float, Meta(ge=0, le=1000)] = 3.0
    max_pending: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    max_pending_mib: Annotated[int, Meta(ge=1, le=65_536)] = 64
    readers: Annotated[int, Meta(ge=1, le=64)] = 2
    cache_mib: Annotated[int, Meta(ge=1, le=65_536)] = 64


class Presence(Struct, frozen=True, kw_only=True):
    """Where it is kept who is online, and how that is told."""

    url: Annotated[
        str,
        Meta(
            pattern=r"\A(memory:|(redis|rediss|unix)://[^\0]+)\Z",
            description="memory:, or redis://HOST:PORT/DATABASE for several nodes,",
        ),
    ] = "memory:"
    password_file: _File = ""
    lease_seconds: Annotated[float, Meta(ge=1, le=300)] = 15.0
    grace_seconds: _Seconds = 5.0
    max_watched: Annotated[int, Meta(ge=1, le=10_000)] = 500


class Gateway(Struct, frozen=True, kw_only=True):
    """What a connection may do."""

    login_seconds: _Seconds = 10.0
    heartbeat_seconds: _Seconds = 5.0
    idle_seconds: _Seconds = 15.0
    max_body: Annotated[int, Meta(ge=70 * _KIB, le=MAX_BODY)] = MAX_BODY
    max_unsent: Annotated[int, Meta(ge=70 * _KIB, le=1024 * _KIB * _KIB)] = 1024 * _KIB
    max_connections: Annotated[int, Meta(ge=1, le=10_000_000)] = 200_000
    connections_per_address: Annotated[int, Meta(ge=1, le=10_000_000)] = 1000
    packets_per_second: Annotated[int, Meta(ge=1, le=1_000_000)] = 5000
    bytes_per_second: Annotated[int, Meta(ge=70 * _KIB, le=1024 * _KIB * _KIB)] = 16 * _KIB * _KIB


class Delivery(Struct, frozen=True, kw_only=True):
    """How messages are brought to receivers, and brought again."""

    ack_delay_ms: _Millis = 50.0
    sweep_seconds: _Seconds = 10.0
    sweep_users_per_second: Annotated[int, Meta(ge=1, le=1_000_000)] = 2000
    sweep_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    max_unacked: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    broadcast_per_second: Annotated[int, Meta(ge=100, le=1_000_000)] = 5_000


class Messages(Struct, frozen=True, kw_only=True):
    """What may be done to a message that is sent, and how long messages are kept."""

    revoke_seconds: Annotated[float, Meta(ge=0, le=365 * 86_400)] = 120.0
    keep_days: Annotated[float, Meta(ge=0, le=36_500)] = 0.0


class Notices(Struct, frozen=True, kw_only=True):
    """How long notices wait for their recipients."""

    keep_days: Annotated[float, Meta(gt=0, le=3650)] = 30.0


class Groups(Struct, frozen=True, kw_only=True):
    """How large groups get, how many have their members in memory, and up to what size receipts are pushed."""

    max_members: Annotated[int, Meta(ge=2, le=100_000)] = 500
    cached: Annotated[int, Meta(ge=1, le=10_000_000)] = 10_000
    receipt_members: Annotated[int, Meta(ge=0, le=100_000)] = 100


class Http(Struct, frozen=True, kw_only=True):
    """The API for business servers and operators; off where ``listen`` is empty."""

    listen: Annotated[
        tuple[_Text, ...], Meta(description="a list of endpoint strings, such as tcp:7680:interface=127.0.0.1")
    ] = ()
    operations_listen: Annotated[
        tuple[_Text, ...], Meta(description="a list of endpoint strings, such as tcp:7681:interface=127.0.0.1")
    ] = ()
    max_body: Annotated[int, Meta(ge=_KIB, le=64 * _KIB * _KIB)] = 1024 * _KIB
    max_connections: Annotated[int, Meta(ge=1, le=100_000)] = 200
    request_seconds: _Seconds = 10.0
    answer_seconds: _Seconds = 10.0
    requests_per_second: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    traced_pushes: Annotated[int, Meta(ge=0, le=10_000_000)] = 20_000


class Destination(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Where reports of clients go, and how much may be kept for it until it takes them."""

    url: _Text
    max_rows: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1_000_000
    max_mib: Annotated[int, Meta(ge=1, le=1_048_576)] = 1024
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=600)] = 10.0


class WebhookDestination(Destination, frozen=True, kw_only=True, tag="webhook"):
    """A URL that takes signed POSTs, ``parallel`` at once; what it has refused ``attempts`` times is dead."""

    secret_file: _Text
    attempts: Annotated[int, Meta(ge=1, le=1000)] = 10
    parallel: Annotated[int, Meta(ge=1, le=1000)] = 16


class RedisDestination(Destination, frozen=True, kw_only=True, tag="redis"):
    """A stream of Redis, cut to about ``max_length`` entries; 0 cuts nothing."""

    stream: _Text
    password_file: str = ""
    max_length: Annotated[int, Meta(ge=0, le=1_000_000_000_000)] = 0


class RabbitDestination(Destination, frozen=True, kw_only=True, tag="amqp"):
    """A queue of RabbitMQ."""

    queue: Annotated[str, Meta(pattern=r"\A[^\0]+\Z", max_length=255)]
    password_file: str = ""


class Upstream(Struct, frozen=True, kw_only=True):
    """What clients report to the business, and where that goes."""

    max_payload: Annotated[int, Meta(ge=1, le=MAX_BODY - 4 * _KIB)] = 64 * _KIB
    lease_seconds: Annotated[float, Meta(ge=1, le=300)] = 15.0
    destinations: dict[str, WebhookDestination | RedisDestination | RabbitDestination] = field(default_factory=dict)


_DESTINATION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DESTINATION_KINDS = {
    "http": "webhook",
    "https": "webhook",
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "amqp": "amqp",
    "amqps": "amqp",
}
"""What stands before :// in the url of a destination."""


class Config(Struct, frozen=True, kw_only=True):
    """Everything that can be set; conf/imd.toml tells each key. Durations are in the unit their name ends with."""

    server: Server = field(default_factory=Server)
    sso: Sso = field(default_factory=Sso)
    storage: Storage = field(default_factory=Storage)
    presence: Presence = field(default_factory=Presence)
    gateway: Gateway = field(default_factory=Gateway)
    delivery: Delivery = field(default_factory=Delivery)
    messages: Messages = field(default_factory=Messages)
    notices: Notices = field(default_factory=Notices)
    groups: Groups = field(default_factory=Groups)
    http: Http = field(default_factory=Http)
    upstream: Upstream = field(default_factory=Upstream)

    @property
    def data(self) -> Path:
        """The folder of all that the daemon keeps."""
        return Path(self.server.data)

    @property
    def secret_file(self) -> Path:
        """The file with the secret that signs tokens. Raises ConfigError where they are checked in another way."""
        if self.sso.source != "secret_file":
            raise ConfigError(
                f"[sso] {self.sso.source} says how tokens are checked, so there is no secret here that signs them: get"
                " one from your login system."
            )
        return Path(self.sso.secret_file) if self.sso.secret_file else self.data / "token.secret"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return Path(self.storage.url.removeprefix(_SQLITE)) if self.storage.url else self.data / "imd.sqlite"

    @property
    def is_on_sqlite(self) -> bool:
        """Whether messages are kept in a file."""
        return not self.storage.url or self.storage.url.startswith(_SQLITE)

    @property
    def database_url(self) -> str:
        """The address of the database, of whichever kind."""
        return self.storage.url or f"{_SQLITE}{self.database}"


_KINDS: dict[str, dict[str, Any]] = {
    section.name: {key.name: key.type for key in msgspec.structs.fields(section.type)}
    for section in msgspec.structs.fields(Config)
}
_VARIABLES = {
    f"IMD_{key}".upper() if section == "server" else f"IMD_{section}_{key}".upper(): (section, key)
    for section, keys in _KINDS.items()
    for key in keys
    if key != "destinations"  # tables are for the file
}


def load(config_file: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """Read the configuration: an override wins over an ``IMD_*`` variable, which wins over the file.

    The keys of ``overrides`` are such as ``server.data``. ``[server] data`` is ``IMD_DATA``; a key of another section
    is ``IMD_SECTION_KEY``; ``IMD_LISTEN`` holds endpoints separated by blanks. Raises ConfigError.
    """
    values: dict[str, dict[str, Any]] = {section: {} for section in _KINDS}
    if config_file is not None:
        for section, key, value in _read(config_file):
            values[section][key] = _checked(section, key, value, f"{config_file}: [{section}] {key}", strict=True)
    for name in sorted(name for name in environ if name.startswith("IMD_")):
        if name not in _VARIABLES:
            raise ConfigError(f"The variable {name} is unknown{_nearest(name, _VARIABLES)}")
        section, key = _VARIABLES[name]
        text = environ[name]
        value = text.split() if key.endswith("listen") else text
        values[section][key] = _checked(section, key, value, f"The variable {name}", strict=False)
    for dotted, value in overrides.items():
        section, _, key = dotted.partition(".")
        values[section][key] = _checked(section, key, value, f"The command line's {dotted}", strict=False)
    config = msgspec.convert(values, Config)
    if config.gateway.idle_seconds <= config.gateway.heartbeat_seconds:
        raise ConfigError(
            f"[gateway] idle_seconds is {config.gateway.idle_seconds:g} and heartbeat_seconds"
            f" {config.gateway.heartbeat_seconds:g}, but clients that keep to their heartbeat must not be cut:"
            " idle_seconds was expected to be the larger."
        )
    _check_sso(config)
    return config


def _check_sso(config: Config) -> None:
    sso, source = config.sso, config.sso.source
    if len(several := [key for key in SSO_SOURCES if getattr(sso, key)]) > 1:
        raise ConfigError(
            f"[sso] {' and '.join(several)} are set, where one way to check tokens was expected: leave the others out."
        )
    default = Sso()
    for key in sorted({key for keys in SSO_SOURCES.values() for key in keys} - SSO_SOURCES[source]):
        if getattr(sso, key) != getattr(default, key):
            raise ConfigError(f"[sso] {key} is set, but means nothing where {source} says how tokens are checked.")
    if sso.algorithm and (sso.algorithm == "HS256") != (source == "secret_file"):
        raise ConfigError(
            f"[sso] algorithm is {sso.algorithm}, which needs"
            f" {'the shared secret of secret_file' if sso.algorithm == 'HS256' else 'public_key_file or jwks_url'}."
        )
    if bool(sso.client_id) != bool(sso.client_secret_file):
        raise ConfigError("[sso] client_id and client_secret_file were expected to be set together, or neither.")
    if sso.client_id and sso.bearer_file:
        raise ConfigError("[sso] client_id and bearer_file are set, where one way to show who imd is was expected.")
    if sso.timeout_seconds >= config.gateway.login_seconds and "timeout_seconds" in SSO_SOURCES[source]:
        raise ConfigError(
            f"[sso] timeout_seconds is {sso.timeout_seconds:g} and [gateway] login_seconds"
            f" {config.gateway.login_seconds:g}: the former was expected to be the smaller."
        )


def _read(file: Path) -> Iterator[tuple[str, str, object]]:
    try:
        sections = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text, which TOML has to be (byte {error.start}).") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not TOML: {error}.") from error
    for section, keys in sections.items():
        if section not in _KINDS:
            raise ConfigError(f"{file}: the section [{section}] is unknown{_nearest(section, _KINDS)}")
        if not isinstance(keys, dict):
            raise ConfigError(f"{file}: {section} was expected to be a section, [{section}].")
        for key, value in keys.items():
            if key not in _KINDS[section]:
                raise ConfigError(f"{file}: [{section}] {key} is unknown{_nearest(key, _KINDS[section])}")
            yield section, key, value


def _checked(section: str, key: str, value: object, where: str, *, strict: bool) -> object:
    if key == "destinations":
        return _checked_destinations(value, where)
    kind = _KINDS[section][key]
    try:
        return msgspec.convert(value, kind, strict=strict)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        if key.endswith("url") and isinstance(value, str):
            found = f"a {value.partition(':')[0]:.20} address"  # the rest of it may hold a password
        else:
            found = f"{value!r:.80}"
        raise ConfigError(f"{where} is {found}, where {_expected(kind)} was expected.") from error


def _checked_destinations(value: object, where: str) -> dict[str, object]:
    """Return the tables of destinations, each with its kind. No value is repeated in errors: it may be secret."""
    if not isinstance(value, dict):
        raise ConfigError(f"{where} was expected to hold tables, such as [upstream.destinations.orders].")
    destinations: dict[str, object] = {}
    for name, table in value.items():
        if not _DESTINATION.fullmatch(name):
            raise ConfigError(
                f"{where}: {name!r:.80} is no name of a destination: expected 1 to 64 characters of A-Z a-z 0-9 . _ -"
            )
        url = table.get("url") if isinstance(table, dict) else None
        kind = _DESTINATION_KINDS.get(url.partition("://")[0]) if isinstance(url, str) else None
        if kind is None or "kind" in table:
            raise ConfigError(
                f"{where}.{name} was expected to be a table with a url that begins with"
                f" {', '.join(f'{scheme}://' for scheme in _DESTINATION_KINDS)}, and keys as conf/imd.toml shows them."
            )
        destinations[name] = {"kind": kind, **table}
        try:
            msgspec.convert({name: destinations[name]}, _KINDS["upstream"]["destinations"], strict=True)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{where}.{name}: {str(error).replace('$[...]', name)}.") from None
    return destinations


def _expected(kind: Any) -> str:
    base, meta = get_args(kind)
    if meta.description:
        return str(meta.description)
    noun = "a whole number" if base is int else "a number"
    lowest = f"above {meta.gt}" if meta.gt is not None else f"of at least {meta.ge}"
    return f"{noun} {lowest} and at most {meta.le}"


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {close[0]}?" if close else f": known are {', '.join(known)}."
