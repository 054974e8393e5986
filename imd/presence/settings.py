"""What the configuration says of Redis."""

from pathlib import Path

from imd.config import Presence
from imd.errors import ConfigError
from imd.redis.address import RedisAddress, parse


def redis_of(presence: Presence) -> RedisAddress | None:
    """Return where the nodes meet, None where there is only one. Raises ConfigError."""
    if presence.url == "memory:":
        return None
    password = ""
    if presence.password_file:
        try:
            password = Path(presence.password_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"[presence] password_file {presence.password_file} can't be read: {error}.") from error
    return parse(presence.url, password)
