"""Why something could not be done: one tree, whose leaves bear the names of the results."""

from imd.wire.results import Result


class ClientError(Exception):
    """The root: the text is a sentence."""


class ResultError(ClientError):
    """The server refused the request: ``result`` says how (Result), ``reason`` why, in the server's words."""

    def __init__(self, result: int, reason: str) -> None:
        super().__init__(reason or f"the server answered with result {result}")
        self.result = result
        self.reason = reason


class BadRequestError(ResultError):
    """BAD_REQUEST: the request is wrong; sending it again can't help."""


class UnknownCommandError(ResultError):
    """UNKNOWN_COMMAND: this server has no such command."""


class NotLoggedInError(ResultError):
    """NOT_LOGGED_IN: the session has ended on the server."""


class AuthFailedError(ResultError):
    """AUTH_FAILED: the token is not this user's."""


class AuthExpiredError(ResultError):
    """AUTH_EXPIRED: the token was good once."""


class ForbiddenError(ResultError):
    """FORBIDDEN: the user has no right to this."""


class NotFoundError(ResultError):
    """NOT_FOUND: what the request names does not exist."""


class ConflictError(ResultError):
    """CONFLICT: the request contradicts what is already there."""


class TooLargeError(ResultError):
    """TOO_LARGE: something passes a limit of size."""


class RateLimitedError(ResultError):
    """RATE_LIMITED: too much at once; wait, then ask again."""


class UnavailableError(ResultError):
    """UNAVAILABLE: the server can't do it now; the same request may work later."""


class NotInGroupError(ResultError):
    """NOT_IN_GROUP: the user is not in this group, or there is no such group."""


class MutedError(ResultError):
    """MUTED: the user may not speak in this group now."""


class BlockedError(ResultError):
    """BLOCKED: the receiver has blocked the sender."""


class RevokeTimeoutError(ResultError):
    """REVOKE_TIMEOUT: the message is too old to be revoked."""


class InternalError(ResultError):
    """INTERNAL: the server failed; its log says why."""


BY_RESULT: dict[int, type[ResultError]] = {
    Result.BAD_REQUEST: BadRequestError,
    Result.UNKNOWN_COMMAND: UnknownCommandError,
    Result.NOT_LOGGED_IN: NotLoggedInError,
    Result.AUTH_FAILED: AuthFailedError,
    Result.AUTH_EXPIRED: AuthExpiredError,
    Result.FORBIDDEN: ForbiddenError,
    Result.NOT_FOUND: NotFoundError,
    Result.CONFLICT: ConflictError,
    Result.TOO_LARGE: TooLargeError,
    Result.RATE_LIMITED: RateLimitedError,
    Result.UNAVAILABLE: UnavailableError,
    Result.NOT_IN_GROUP: NotInGroupError,
    Result.MUTED: MutedError,
    Result.BLOCKED: BlockedError,
    Result.REVOKE_TIMEOUT: RevokeTimeoutError,
    Result.INTERNAL: InternalError,
}
"""The exception of each result but OK."""

PASSING = frozenset({Result.UNAVAILABLE, Result.RATE_LIMITED})
"""Refusals of what may be asked again in a moment."""

MAY_PASS = PASSING | {Result.INTERNAL, Result.NOT_LOGGED_IN}
"""Refusals that are no reason to give up what was asked for."""


def refusal(result: int, reason: str) -> ResultError:
    """Return the exception for a result; of one that a later server has added, the ResultError itself."""
    return BY_RESULT.get(result, ResultError)(result, reason)


class ClosedError(ClientError):
    """The connection has ended, or there is none; whether the server did what was asked can't be known."""


class TimedOutError(ClientError):
    """No answer came in time; whether the server did what was asked can't be known."""


class BusyError(ClientError):
    """Too much waits already; this was not done."""


class UnreachableError(ClientError):
    """The server could not be reached, however often it was tried."""


class KickedError(ClientError):
    """The server has ended the session for good."""


class StoppedError(ClientError):
    """The client was stopped."""


class StoreError(ClientError):
    """The local store can't be used, or has failed."""


class UnknownMessageError(ClientError):
    """No message that waits or has failed bears this id."""
