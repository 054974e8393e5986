"""Every error imd raises on purpose. A refusal names the result its ACK carries."""

from imd.wire.results import Result


class ImdError(Exception):
    """The root: the text is a sentence that says what was wrong and what to do."""


class ConfigError(ImdError):
    """The configuration can't be used; the daemon leaves with exit code 78."""


class StartError(ImdError):
    """The daemon can't start; it leaves with ``exit_code`` (sysexits: 1 usage, 75 a dependency is away)."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class RefusedError(ImdError):
    """A request that is answered with ``result`` and this text as its reason."""

    result = Result.INTERNAL


class BadRequestError(RefusedError):
    """The request itself is wrong; sending it again as it is can't help."""

    result = Result.BAD_REQUEST


class UnknownCommandError(RefusedError):
    """No such command."""

    result = Result.UNKNOWN_COMMAND


class NotLoggedInError(RefusedError):
    """The session has to log in first."""

    result = Result.NOT_LOGGED_IN


class AuthFailedError(RefusedError):
    """The token is not this user's."""

    result = Result.AUTH_FAILED


class AuthExpiredError(RefusedError):
    """The token was good once; a new one is needed."""

    result = Result.AUTH_EXPIRED


class ForbiddenError(RefusedError):
    """The user has no right to this."""

    result = Result.FORBIDDEN


class NotFoundError(RefusedError):
    """What the request names does not exist."""

    result = Result.NOT_FOUND


class ConflictError(RefusedError):
    """The request contradicts what is already there."""

    result = Result.CONFLICT


class TooLargeError(RefusedError):
    """Something in the request passes a limit of size."""

    result = Result.TOO_LARGE


class RateLimitedError(RefusedError):
    """The session asks more often than it may."""

    result = Result.RATE_LIMITED


class UnavailableError(RefusedError):
    """The server can't do it now; the same request may work later."""

    result = Result.UNAVAILABLE


class NotInGroupError(RefusedError):
    """The user is not a member of the group, or there is no such group."""

    result = Result.NOT_IN_GROUP


class MutedError(RefusedError):
    """The user may not speak in the group now."""

    result = Result.MUTED


class BlockedError(RefusedError):
    """The receiver has blocked the sender."""

    result = Result.BLOCKED


class RevokeTimeoutError(RefusedError):
    """The message is too old to be revoked."""

    result = Result.REVOKE_TIMEOUT
