"""The results an ACK can carry."""

from enum import IntEnum


class Result(IntEnum):
    """What became of a request; in the header of its ACK and in ``Error.code``."""

    OK = 0
    BAD_REQUEST = 1
    UNKNOWN_COMMAND = 2
    NOT_LOGGED_IN = 3
    AUTH_FAILED = 4
    AUTH_EXPIRED = 5
    FORBIDDEN = 6
    NOT_FOUND = 7
    CONFLICT = 8
    TOO_LARGE = 9
    RATE_LIMITED = 10
    UNAVAILABLE = 11
    NOT_IN_GROUP = 12
    MUTED = 13
    BLOCKED = 14
    REVOKE_TIMEOUT = 15
    INTERNAL = 16


class KickReason(IntEnum):
    """Why the server ended a session (``KickNotice.reason``)."""

    REPLACED = 1
    ADMIN = 2
    BANNED = 3
    TOKEN_EXPIRED = 4
    SHUTDOWN = 5
