"""The HTTP API of two nodes: which one is asked makes no difference."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred

from imd.http.auth import STALE_SECONDS
from imd.storage import apikeys
from imd.storage import open as storage
from imd.wire.bodies import PullNotice
from imd.wire.commands import Command
from imd.wire.results import KickReason

from .api import Api, http_settings, make_key
from .cluster import Cluster, reach_each_other
from .conftest import LogIn, NewUid
from .daemon import Daemon, free_port
from .device import eventually, new_id


class Both(NamedTuple):
    """Two nodes, and the API of each."""

    one: Daemon
    two: Daemon
    first: Api
    second: Api
    url: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Two nodes with the API."""
    with Cluster(tmp_path_factory.mktemp("cluster"), {}, start=False) as cluster:
        ports = free_port(), free_port()
        nodes = [cluster.node(f"a{n}", **http_settings(port)) for n, port in enumerate(ports)]
        try:
            url = cluster.postgres.url()
            key = make_key(url)
            yield Both(*(node.start() for node in nodes), *(Api(port, key) for port in ports), url)
        finally:
            for node in nodes:
                node.close()


@pytest_twisted.async_fixture
async def both(served: Both) -> Both:
    """Those two, once they reach each other."""
    await reach_each_other(served.one, served.two)
    return served


@ensureDeferred
async def test_a_notice_reaches_a_user_of_the_other_node_and_is_told_as_pushed(
    both: Both, log_in: LogIn, new_uid: NewUid
) -> None:
    here, there = await log_in(both.one, new_uid()), await log_in(both.two, new_uid())
    asked = {"notice_id": new_id(), "uids": [here.uid, there.uid], "text": "hi"}
    for api in (both.first, both.second):
        [result] = (await api.done("POST", "/v1/notices", {"notices": [asked]}))["results"]
        assert sorted(result["pushed"]) == sorted(asked["uids"])
        for device in (here, there):
            assert (await device.told(Command.NOTICE_MSG)).notice_id == asked["notice_id"]
    assert len((await there.request(PullNotice())).notices) == 1


@ensureDeferred
async def test_a_message_is_the_same_to_both_nodes_and_its_push_is_known_where_it_was_done(
    both: Both, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob = await log_in(both.one, new_uid()), await log_in(both.two, new_uid())
    body = {"msg_id": new_id(), "sender_id": alice.uid, "receiver_id": bob.uid, "msg_body": "hello"}
    ack = await both.first.done("POST", "/v1/messages", body)
    assert await both.second.done("POST", "/v1/messages", body) == ack
    assert (await bob.hear()).msg_id == body["msg_id"]
    traced = await both.second.done("GET", f"/v1/messages/{body['msg_id']}/trace", group_id=ack["group_id"])
    assert traced["node"] == "a1"
    assert {(each["uid"], each["client_type"]) for each in traced["pushes"]} == {(bob.uid, bob.client_type)}
    elsewhere = await both.first.done("GET", f"/v1/messages/{body['msg_id']}/trace", group_id=ack["group_id"])
    assert elsewhere["recipients"][0]["client_types"] == [bob.client_type]
    assert elsewhere["pushes"] == []


@ensureDeferred
async def test_sessions_are_seen_and_ended_from_either_node(both: Both, log_in: LogIn, new_uid: NewUid) -> None:
    device = await log_in(both.two, new_uid())
    [session] = (await both.first.done("GET", f"/v1/users/{device.uid}/sessions"))["sessions"]
    assert session["node"] == "a1"
    assert await both.first.done("POST", f"/v1/users/{device.uid}/kick", {}) == {"sessions": 1}
    assert (await device.told(Command.USER_KICK)).reason == KickReason.ADMIN
    banned = await log_in(both.two, new_uid())
    await both.first.done("POST", f"/v1/users/{banned.uid}/ban")
    assert (await banned.told(Command.USER_KICK)).reason == KickReason.BANNED


@ensureDeferred
async def test_a_group_made_by_one_node_is_changed_by_the_other(both: Both, log_in: LogIn, new_uid: NewUid) -> None:
    owner = await log_in(both.two, new_uid())
    made = await both.first.done("POST", "/v1/groups", {"owner_id": owner.uid, "group_name": "Tea"})
    assert (await owner.hear_op("create"))["value"] == "Tea"
    await both.second.done("PATCH", f"/v1/groups/{made['group_id']}", {"group_name": "Coffee"})
    assert (await owner.hear_op("update"))["by"] == 0
    assert (await both.first.done("GET", f"/v1/groups/{made['group_id']}"))["group_name"] == "Coffee"


@ensureDeferred
async def test_a_key_that_is_revoked_ends_on_both_nodes(both: Both) -> None:
    key = make_key(both.url, "statistics")
    for api in (both.first, both.second):
        assert (await api.ask("GET", "/v1/statistics", key=key)).status == 200
    with storage.transaction(both.url, "") as connection:
        assert apikeys.revoke(connection, key.split("_")[1], 1)
    assert STALE_SECONDS < 5
    for api in (both.first, both.second):

        async def is_out(api: Api = api) -> bool:
            return (await api.ask("GET", "/v1/statistics", key=key)).status == 401

        await eventually(is_out)
