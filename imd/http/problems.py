"""How a request is refused: application/problem+json (RFC 9457)."""

import re
from http import HTTPStatus

from msgspec import Struct, ValidationError

from imd.errors import BadRequestError, RefusedError
from imd.wire.results import Result

MEDIA_TYPE = "application/problem+json"

STATUS: dict[Result, HTTPStatus] = {
    Result.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    Result.AUTH_FAILED: HTTPStatus.UNAUTHORIZED,
    Result.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Result.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Result.CONFLICT: HTTPStatus.CONFLICT,
    Result.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Result.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Result.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Result.NOT_IN_GROUP: HTTPStatus.FORBIDDEN,
    Result.MUTED: HTTPStatus.FORBIDDEN,
    Result.BLOCKED: HTTPStatus.FORBIDDEN,
    Result.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of each result a route may be refused with."""

ALWAYS_POSSIBLE = frozenset(
    {
        Result.BAD_REQUEST,
        Result.AUTH_FAILED,
        Result.FORBIDDEN,
        Result.TOO_LARGE,
        Result.RATE_LIMITED,
        Result.UNAVAILABLE,
    }
)
"""Results that every route may be refused with without declaring them."""

_PLACE = re.compile(r" - at `(?:key in )?(\$.*?)`\Z", re.DOTALL)


class Problem(Struct, omit_defaults=True, frozen=True, kw_only=True):
    """Why a request was refused.

    ``code`` is the name of the result that a client would get (proto/README.md), ``detail`` a sentence for the
    developer, ``path`` where in the request the fault lies: ``$.uids[0]`` in the body, ``uid`` of the parameters.
    """

    title: str
    status: int
    code: str
    detail: str
    path: str = ""
    type: str = "about:blank"


class HttpError(Exception):
    """A request that is refused for a reason which only HTTP has; the text is a sentence."""

    def __init__(self, status: HTTPStatus, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers


class MisplacedError(BadRequestError):
    """Something in the request is not what was expected there; ``path`` says where it stands."""

    def __init__(self, detail: str, path: str) -> None:
        super().__init__(detail)
        self.path = path


def misplaced(error: ValidationError, *, in_parameters: bool = False) -> MisplacedError:
    """Return the refusal for what msgspec has found."""
    text = str(error)
    found = _PLACE.search(text)
    if found is None:
        return MisplacedError(text, "" if in_parameters else "$")
    path = found[1]
    return MisplacedError(text[: found.start()], path.removeprefix("$.") if in_parameters else path)


def problem_of(error: HttpError | RefusedError) -> Problem:
    """Return what is told of ``error``."""
    if isinstance(error, HttpError):
        return Problem(title=error.status.phrase, status=error.status, code=error.status.name, detail=str(error))
    status = STATUS.get(error.result, HTTPStatus.INTERNAL_SERVER_ERROR)
    return Problem(
        title=status.phrase,
        status=status,
        code=error.result.name,
        detail=str(error),
        path=getattr(error, "path", ""),
    )
