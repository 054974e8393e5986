"""What an API key may be allowed to do."""

from enum import StrEnum


class Scope(StrEnum):
    """What a key has to hold for a route; the value is its name in `imctl apikey create --scope`."""

    NOTICES = "notices"
    MESSAGES = "messages"
    BROADCASTS = "broadcasts"
    HISTORY = "history"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    GROUPS_READ = "groups:read"
    GROUPS_WRITE = "groups:write"
    TOKENS = "tokens"
    PRESENCE = "presence"
    STATISTICS = "statistics"
