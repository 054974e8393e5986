"""The description of the API says what the table says."""

from typing import Any, cast

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from imd.http.openapi import OpenApi, describe
from imd.http.routing import NoBody, NoParameters, Route
from imd.http.scopes import Scope
from imd.http.table import Services, routes

nobody = cast(Any, None)


def table() -> list[Route]:
    """Return the whole table, of services that nobody asks."""
    names = dict.fromkeys(Services.__dataclass_fields__, nobody)
    return routes(Services(**{**names, "figures": (), "issue": lambda *_: ""}))


class DescriptionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.api = OpenApi(table(), "1.2.3")
        document = self.successResultOf(Deferred.fromCoroutine(self.api.describe(NoParameters(), NoBody())))
        self.document = msgspec.json.decode(msgspec.json.encode(document))

    def test_it_is_valid(self) -> None:
        OpenAPIV31SpecValidator(self.document).validate()

    def test_it_names_every_route_once(self) -> None:
        described = {(method.upper(), path) for path, methods in self.document["paths"].items() for method in methods}
        assert described == {(route.method, route.path) for route in self.api.routes}
        ids = [each["operationId"] for methods in self.document["paths"].values() for each in methods.values()]
        assert len(set(ids)) == len(ids)

    def test_every_parameter_in_a_path_is_described(self) -> None:
        for path, methods in self.document["paths"].items():
            for operation in methods.values():
                in_path = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
                assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}
                assert all(each["required"] for each in operation.get("parameters", ()) if each["in"] == "path")

    def test_what_a_route_may_be_refused_with_is_described(self) -> None:
        responses = self.document["paths"]["/v1/messages"]["post"]["responses"]
        assert {"200", "400", "401", "403", "409", "413", "415", "429", "503"} == set(responses)
        assert "MUTED" in responses["403"]["description"]

    def test_where_imd_issues_no_tokens_there_is_no_such_route(self) -> None:
        names = dict.fromkeys(Services.__dataclass_fields__, nobody)
        without = describe(routes(Services(**{**names, "figures": ()})), "1")
        assert "/v1/tokens" in self.document["paths"]
        assert "/v1/tokens" not in without.paths

    def test_every_scope_is_needed_by_a_route_and_what_changes_something_needs_one(self) -> None:
        assert {route.scope for route in self.api.routes} == {*Scope, None}
        assert [route.path for route in self.api.routes if route.scope is None] == ["/openapi.json"]
        for route in self.api.routes:
            if route.method != "GET":
                quiet = route.scope in (Scope.NOTICES, Scope.MESSAGES, Scope.TOKENS)
                assert route.audited != quiet
