"""The table: which route a request means, and what it says."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from twisted.trial.unittest import SynchronousTestCase

from imd.http.fields import Uid
from imd.http.problems import HttpError, MisplacedError
from imd.http.routing import NoBody, Route, Router


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    uid: Uid
    uids: list[Uid] = []
    name: str = ""


class Body(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=3)]
    more: list[int] = []


async def respond(_parameters: Any, _body: Any) -> Struct:
    return NoBody()


def route(method: str, path: str, **fields: Any) -> Route:
    return Route(method, path, "", respond, NoBody, None, **fields)


class RouterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.router = Router(
            [
                route("GET", "/v1/users/{uid}", parameters=Parameters),
                route("POST", "/v1/users/{uid}/kick", parameters=Parameters, body=Body),
                route("GET", "/v1/users/all"),
                route("PUT", "/v1/{a}/x/{b}"),
            ]
        )

    def find(self, method: str, path: bytes) -> tuple[str, dict[str, str]]:
        match, values = self.router.find(method, path)
        return match.route.path, values

    def status(self, method: str, path: bytes) -> int:
        with self.assertRaises(HttpError) as caught:
            self.router.find(method, path)
        return int(caught.exception.status)

    def test_a_path_is_matched_part_by_part(self) -> None:
        assert self.find("GET", b"/v1/users/7") == ("/v1/users/{uid}", {"uid": "7"})
        assert self.find("HEAD", b"/v1/users/7") == ("/v1/users/{uid}", {"uid": "7"})
        assert self.find("GET", b"/v1/users/all") == ("/v1/users/all", {})
        assert self.find("PUT", b"/v1/1_2/x/%E4%BD%A0%2F") == ("/v1/{a}/x/{b}", {"a": "1_2", "b": "你/"})

    def test_what_is_not_there_is_not_found(self) -> None:
        for path in (b"/", b"/v1", b"/v1/users", b"/v1/users/", b"/v1//7", b"/v2/users/7", b"/v1/users/7/", b"*"):
            assert self.status("GET", path) == 404

    def test_another_method_is_told_which_there_are(self) -> None:
        with self.assertRaises(HttpError) as caught:
            self.router.find("DELETE", b"/v1/users/7")
        assert (caught.exception.status, caught.exception.headers) == (405, (("Allow", "GET"),))

    def test_the_same_route_twice_is_a_mistake(self) -> None:
        with self.assertRaises(ValueError):
            Router([route("GET", "/a/{b}"), route("GET", "/a/{c}")])


class MatchTests(RouterTests):
    def setUp(self) -> None:
        super().setUp()
        self.match, self.values = self.router.find("POST", b"/v1/users/7/kick")

    def parameters(self, **query: list[bytes]) -> Any:
        return self.match.parameters(self.values, {name.encode(): values for name, values in query.items()})

    def misplaced(self, call: Any, *args: Any, **kwargs: Any) -> tuple[str, str]:
        with self.assertRaises(MisplacedError) as caught:
            call(*args, **kwargs)
        return caught.exception.path, str(caught.exception)

    def test_parameters_are_of_their_types(self) -> None:
        assert self.parameters() == Parameters(7)
        assert self.parameters(uids=[b"1", b"2"], name=[b"\xe4\xbd\xa0"]) == Parameters(7, [1, 2], "你")

    def test_a_wrong_parameter_is_named(self) -> None:
        for query, path in (
            ({"uids": [b"1", b"x"]}, "uids[1]"),
            ({"uids": [b"0"]}, "uids[0]"),
            ({"name": [b"a", b"b"]}, "name"),
            ({"name": [b"\xff"]}, "name"),
            ({"name": [b"\0"]}, "name"),
            ({"uid": [b"8"]}, "uid"),
            ({"other": [b"8"]}, ""),
        ):
            assert self.misplaced(self.parameters, **query)[0] == path

    def test_a_body_is_of_its_type(self) -> None:
        assert self.match.body(b'{"name":"a"}', "application/json; charset=utf-8") == Body("a")

    def test_a_wrong_body_is_told_where(self) -> None:
        for content, path in (
            (b'{"name":"abcd"}', "$.name"),
            (b'{"name":"a","more":[1,"x"]}', "$.more[1]"),
            (b'{"name":"a","other":1}', "$"),
            (b"{}", "$"),
            (b"[]", "$"),
            (b"", "$"),
            (b'{"name":"\xff"}', "$"),
            (b'{"name":"\\ud800"}', "$"),
            (b"[" * 10_000, "$"),
        ):
            assert self.misplaced(self.match.body, content, "application/json")[0] == path

    def test_a_body_of_another_type_is_not_looked_at(self) -> None:
        for media_type in ("", "text/plain", "application/x-www-form-urlencoded"):
            with self.assertRaises(HttpError) as caught:
                self.match.body(b'{"name":"a"}', media_type)
            assert caught.exception.status == 415
