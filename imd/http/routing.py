"""The table of routes as data, and which of them a request means."""

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
import msgspec.inspect
from msgspec import Struct, ValidationError

from imd.http.problems import HttpError, MisplacedError, misplaced
from imd.http.scopes import Scope
from imd.wire.results import Result


class NoParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to say in the address."""


class NoBody(Struct, frozen=True):
    """There is nothing to say in the body."""


Respond = Callable[[Any, Any], Coroutine[Any, Any, Struct]]
"""Takes what the address and the body say, of the types its route names, and returns the answer. Raises RefusedError
and what its route declares."""


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table.

    ``parameters`` holds what stands in the braces of ``path`` and behind its question mark. ``errors`` are the results
    it may be refused with beside those that are always possible. Any key may use a route without a ``scope``. What is
    done through one that is ``audited`` is logged.
    """

    method: str
    path: str
    summary: str
    respond: Respond
    answer: type[Struct]
    scope: Scope | None
    parameters: type[Struct] = NoParameters
    body: type[Struct] = NoBody
    errors: frozenset[Result] = frozenset()
    audited: bool = False

    @property
    def names(self) -> list[str]:
        """The names in the braces of the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


class Match:
    """A route that a request means, and how to read what the request says."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._decoder = msgspec.json.Decoder(route.body)
        kinds = msgspec.inspect.type_info(route.parameters)
        fields = kinds.fields if isinstance(kinds, msgspec.inspect.StructType) else ()
        self._lists = {each.name for each in fields if isinstance(each.type, msgspec.inspect.ListType)}

    def parameters(self, in_path: dict[str, str], query: dict[bytes, list[bytes]]) -> Struct:
        """Return the parameters. Raises MisplacedError."""
        values: dict[str, Any] = dict(in_path)
        for name_bytes, found in query.items():
            name = _text(name_bytes, "")
            if name in in_path:
                raise MisplacedError("it stands in the path already", name)
            texts = [_text(value, name) for value in found]
            if name in self._lists:
                values[name] = texts
            elif len(texts) == 1:
                values[name] = texts[0]
            else:
                raise MisplacedError(f"it is given {len(texts)} times; expected once", name)
        try:
            return msgspec.convert(values, self.route.parameters, strict=False)
        except ValidationError as error:
            raise misplaced(error, in_parameters=True) from None

    def body(self, content: bytes, media_type: str) -> Struct:
        """Return the body. Raises MisplacedError, HttpError."""
        if self.route.body is NoBody:
            return NoBody()
        if media_type.partition(";")[0].strip().lower() != "application/json":
            raise HttpError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body has to be JSON: expected Content-Type: application/json"
            )
        try:
            body: Struct = self._decoder.decode(content)
        except ValidationError as error:
            raise misplaced(error) from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise MisplacedError(f"the body is not JSON in UTF-8: {error}", "$") from None
        return body


@dataclass(slots=True)
class _Node:
    """A step on the way along a path."""

    below: dict[str, "_Node"] = field(default_factory=dict)
    any: "_Node | None" = None
    matches: dict[str, Match] = field(default_factory=dict)


class Router:
    """Finds the route of a request. Raises ValueError where two routes are the same."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            node = self._root
            for part in route.path[1:].split("/"):
                if part.startswith("{"):
                    node.any = node.any or _Node()
                    node = node.any
                else:
                    node = node.below.setdefault(part, _Node())
            if route.method in node.matches:
                raise ValueError(f"{route.method} {route.path} has two routes")
            node.matches[route.method] = Match(route)

    def find(self, method: str, path: bytes) -> tuple[Match, dict[str, str]]:
        """Return the route of a request, and what stands in the braces of its path. Raises HttpError."""
        node, values = self._root, []
        for part in path[1:].split(b"/"):
            text = _text(unquote_to_bytes(part), "")
            following = node.below.get(text)
            if following is None and text:
                following = node.any
                values.append(text)
            if following is None:
                raise HttpError(
                    HTTPStatus.NOT_FOUND, "there is nothing at this address; /openapi.json lists what there is"
                )
            node = following
        match = node.matches.get("GET" if method == "HEAD" else method)
        if match is None:
            if not node.matches:
                raise HttpError(
                    HTTPStatus.NOT_FOUND, "there is nothing at this address; /openapi.json lists what there is"
                )
            allowed = ", ".join(sorted(node.matches))
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, f"this address takes {allowed} only", (("Allow", allowed),))
        return match, dict(zip(match.route.names, values, strict=True))


def _text(value: bytes, path: str) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise MisplacedError("the address is not UTF-8", path) from None
    if "\0" in text:
        raise MisplacedError("the address holds a NUL character", path)
    return text
