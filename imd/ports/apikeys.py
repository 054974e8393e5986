"""The keys of the HTTP API."""

from collections.abc import Sequence
from typing import NamedTuple

from zope.interface import Interface


class ApiKey(NamedTuple):
    """A key as it is kept; times in milliseconds since the epoch, 0 for never.

    ``prefix`` is the part of the key that names it, ``digest`` the SHA-256 of its secret part, in hex. ``per_second``
    is how many requests it may make on one node, 0 for what the node's configuration says.
    """

    prefix: str
    digest: str
    name: str
    scopes: tuple[str, ...]
    per_second: int = 0
    created: int = 0
    expires: int = 0
    revoked: int = 0


class IApiKeyStore(Interface):
    """The keys, which `imctl apikey` makes and revokes."""

    async def api_keys(prefixes: Sequence[str]) -> Sequence[ApiKey]:
        """Return those of these keys that there are, revoked and expired ones too."""
