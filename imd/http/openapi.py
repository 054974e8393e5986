"""GET /openapi.json: the API as OpenAPI 3.1, made from the table of routes and its types."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from imd.http.problems import ALWAYS_POSSIBLE, MEDIA_TYPE, STATUS, Problem
from imd.http.routing import NoBody, NoParameters, Route
from imd.http.scopes import Scope

_REF = "#/components/schemas/{name}"


class Document(Struct, frozen=True):
    """The description itself."""

    openapi: str
    info: dict[str, Any]
    security: list[Any]
    paths: dict[str, Any]
    components: dict[str, Any]


class OpenApi:
    """Describes ``routes`` and itself."""

    def __init__(self, routes: Iterable[Route], version: str) -> None:
        mine = Route("GET", "/openapi.json", "Describe this API", self.describe, Document, None)
        self.routes: Sequence[Route] = [*routes, mine]
        self._document = describe(self.routes, version)

    async def describe(self, _parameters: NoParameters, _body: NoBody) -> Document:
        """Describe the API."""
        return self._document


def describe(routes: Sequence[Route], version: str) -> Document:
    """Return the description of ``routes``."""
    types = {type_: None for route in routes for type_ in (route.answer, route.body) if type_ not in (NoBody, Document)}
    _, components = msgspec.json.schema_components([*types, Problem], ref_template=_REF)
    paths: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route)
    return Document(
        openapi="3.1.0",
        info={
            "title": "imd",
            "version": version or "0",
            "description": "The API of an imd node, for business servers and operators. Errors are problem+json"
            " (RFC 9457); `code` names the result as proto/README.md does.",
        },
        security=[{"key": []}],
        paths=dict(paths),
        components={
            "schemas": components,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`imctl apikey create` prints a key. Scopes: "
                    + ", ".join(f"`{scope.value}`" for scope in Scope)
                    + ".",
                }
            },
        },
    )


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}{route.path.title().translate({ord(c): None for c in '/{}_.'})}",
        "tags": [_tag(route.path)],
        "responses": _responses(route),
    }
    if route.scope is not None:
        operation["description"] = f"The key needs the scope `{route.scope.value}`."
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.body is not NoBody:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _REF.format(name=route.body.__name__)}}},
        }
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(route.parameters)
    described = schema["$defs"][route.parameters.__name__]
    required = described.get("required", ())
    return [
        {
            "name": name,
            "in": "path" if name in route.names else "query",
            "required": name in required,
            "schema": of,
        }
        for name, of in described["properties"].items()
    ]


def _responses(route: Route) -> dict[str, Any]:
    answer = {"type": "object"} if route.answer is Document else {"$ref": _REF.format(name=route.answer.__name__)}
    codes: defaultdict[int, list[str]] = defaultdict(list)
    for result in sorted(ALWAYS_POSSIBLE | route.errors):
        codes[int(STATUS[result])].append(result.name)
    if route.body is not NoBody:
        codes[415].append("UNSUPPORTED_MEDIA_TYPE")
    problem = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name=Problem.__name__)}}}
    refused = {str(code): {"description": ", ".join(names), "content": problem} for code, names in codes.items()}
    done = {"200": {"description": "Done.", "content": {"application/json": {"schema": answer}}}}
    return done | dict(sorted(refused.items()))


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if len(parts) > 1 else parts[0]
