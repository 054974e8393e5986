"""The HTTP API of a real daemon: what business servers send, and what operators decide and look at."""

import base64
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from click.testing import Result as Outcome
from openapi_spec_validator import OpenAPIV31SpecValidator
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from imd.cli.main import main
from imd.wire.bodies import GroupMute, ImMsg, NoticeMsg, NoticeMsgAck, PullNotice, SubmitReadSeq
from imd.wire.commands import Command
from imd.wire.enums import MsgType, Role
from imd.wire.results import KickReason, Result

from .api import ApiDaemon
from .conftest import LogIn, NewUid
from .device import ANDROID, MAC, Device, eventually, new_id, refusal, until


def imctl(served: ApiDaemon, *arguments: str, key: str = "") -> Outcome:
    """Run imctl beside the daemon."""
    variables = {
        "IMCTL_URL": f"http://127.0.0.1:{served.api_port}",
        "IMCTL_KEY": key or served.api.key,
        "COLUMNS": "200",
    }
    return CliRunner().invoke(main, arguments, env=variables)


def notice(uids: Sequence[int], **fields: Any) -> dict[str, Any]:
    return {"notice_id": new_id(), "notice_type": 7, "sender": "shop", "uids": list(uids), **fields}


# Notices.


@ensureDeferred
async def test_a_notice_is_pushed_to_who_is_online_and_kept_for_who_is_not_and_unknown_users_are_named(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    phone, desk = await log_in(served.daemon, uid := new_uid(), ANDROID), await log_in(served.daemon, uid, MAC)
    away = await log_in(served.daemon, new_uid())
    await away.leave()
    nobody = new_uid()
    asked = notice([uid, away.uid, nobody, uid], json={"order": 7, "说": [1.50, None]})
    [result] = (await served.api.done("POST", "/v1/notices", {"notices": [asked]}))["results"]
    assert result == {
        "notice_id": asked["notice_id"],
        "pushed": [uid],
        "kept": [away.uid],
        "acknowledged": [],
        "unknown": [nobody],
    }
    for device in (phone, desk):
        told = await device.told(Command.NOTICE_MSG)
        assert (told.notice_id, told.notice_type, told.sender) == (asked["notice_id"], 7, "shop")
        assert json.loads(told.payload) == asked["json"]
    back = await log_in(served.daemon, away.uid)
    assert [each.notice_id for each in (await back.request(PullNotice())).notices] == [asked["notice_id"]]


@ensureDeferred
async def test_a_notice_sent_again_changes_nothing_and_is_told_as_acknowledged_once_it_is(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    device = await log_in(served.daemon, new_uid())
    asked = notice([device.uid], text="first")
    for text in ("first", "second"):
        await served.api.done("POST", "/v1/notices", {"notices": [{**asked, "text": text}]})
        told: NoticeMsg = await device.told(Command.NOTICE_MSG)
        assert told.payload == b"first"
    device.connection.tell(Command.NOTICE_MSG_ACK, NoticeMsgAck(notice_ids=[asked["notice_id"]]))

    async def is_acknowledged() -> bool:
        [result] = (await served.api.done("POST", "/v1/notices", {"notices": [asked]}))["results"]
        return bool(result["acknowledged"] == [device.uid])

    await eventually(is_acknowledged)
    assert not (await device.request(PullNotice())).notices


@ensureDeferred
async def test_many_notices_travel_in_one_request_each_with_its_own_payload(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    device = await log_in(served.daemon, new_uid())
    asked = [notice([device.uid], payload=base64.b64encode(bytes([n, 0, 255])).decode()) for n in range(100)]
    results = (await served.api.done("POST", "/v1/notices", {"notices": asked}))["results"]
    assert [(each["notice_id"], each["pushed"]) for each in results] == [
        (each["notice_id"], [device.uid]) for each in asked
    ]
    told = [await device.told(Command.NOTICE_MSG) for _ in asked]
    assert {each.notice_id: each.payload[0] for each in told} == {each["notice_id"]: n for n, each in enumerate(asked)}


@ensureDeferred
async def test_of_notices_that_are_wrong_in_one_place_none_is_sent(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    device = await log_in(served.daemon, new_uid())
    wrong = {
        "$.notices[1].uids[0]": notice([-1]),
        "$.notices[1]": notice([device.uid], text="a", payload="YQ=="),
        "$.notices[1].payload": notice([device.uid], payload="*"),
    }
    for path, second in wrong.items():
        body = {"notices": [notice([device.uid]), second]}
        answer = await served.api.ask("POST", "/v1/notices", body)
        assert (answer.status, answer.body["code"], answer.body["path"]) == (400, "BAD_REQUEST", path)
        assert answer.headers.getRawHeaders("Content-Type") == ["application/problem+json"]
    past = {"notices": [notice([device.uid]), notice([device.uid], expire_time=1)]}
    assert (await served.api.ask("POST", "/v1/notices", past)).status == 400
    assert await device.told_all(Command.NOTICE_MSG)


# Messages.


@ensureDeferred
async def test_a_message_on_behalf_of_a_user_reaches_the_other_one_and_the_users_own_devices_once(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob = await log_in(served.daemon, new_uid()), await log_in(served.daemon, new_uid())
    body = {"msg_id": new_id(), "sender_id": alice.uid, "receiver_id": bob.uid, "msg_body": "你好", "sender_name": "A"}
    ack = await served.api.done("POST", "/v1/messages", body)
    for device in (alice, bob):
        heard = await device.hear()
        assert (heard.msg_id, heard.group_id, heard.seq_id, heard.send_time) == tuple(ack.values())
        assert (heard.sender_id, heard.sender_name, heard.msg_body) == (alice.uid, "A", "你好")
    assert await served.api.done("POST", "/v1/messages", body) == ack
    other = await served.api.ask("POST", "/v1/messages", {**body, "msg_body": "other"})
    assert (other.status, other.body["code"]) == (409, "CONFLICT")
    again = await bob.catch_up()  # once more, where the ACK of the first was not stored yet
    assert {each.msg_id for each in again} <= {body["msg_id"]}
    assert len(await bob.history(ack["group_id"])) == 1


@ensureDeferred
async def test_a_user_is_bound_by_the_rules_and_the_system_is_not(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    owner, member = await log_in(served.daemon, new_uid()), await log_in(served.daemon, new_uid())
    stranger = new_uid()
    group_id = await owner.make_group("Tea", member.uid)
    await owner.request(GroupMute(group_id=group_id, uid=0, until=2**53))

    async def send(sender: int, **fields: Any) -> Any:
        return await served.api.ask(
            "POST", "/v1/messages", {"msg_id": new_id(), "sender_id": sender, "group_id": group_id, **fields}
        )

    refused = [await send(member.uid), await send(stranger), await send(owner.uid, msg_type=100)]
    assert [(each.status, each.body["code"]) for each in refused] == [
        (403, "MUTED"),
        (403, "NOT_IN_GROUP"),
        (403, "FORBIDDEN"),
    ]
    said = await send(0, msg_type=int(MsgType.ANNOUNCEMENT), msg_body="closed today", at_uids=[0])
    assert said.status == 200
    for device in (owner, member):
        heard = [each for each in await device.catch_up() if each.msg_type != MsgType.CONTROL]
        assert [(each.sender_id, each.msg_body) for each in heard] == [(0, "closed today")]
        assert (await device.conversation(group_id)).at_seq == said.body["seq_id"]
        assert await device.unread(group_id) == 1


@ensureDeferred
async def test_the_system_writes_to_both_of_a_single_chat_that_nobody_has_begun(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    alice, bob = await log_in(served.daemon, new_uid()), await log_in(served.daemon, new_uid())
    body = {"msg_id": new_id(), "group_id": f"{alice.uid}_{bob.uid}", "msg_body": "you have matched"}
    await served.api.done("POST", "/v1/messages", body)
    for device in (alice, bob):
        heard = await device.hear()
        assert (heard.sender_id, heard.receiver_id, heard.seq_id) == (0, 0, 1)
        [pulled] = await device.history(body["group_id"])
        assert (pulled.sender_id, pulled.receiver_id, pulled.msg_body) == (0, 0, "you have matched")
        assert await device.unread(body["group_id"]) == 1
        await device.request(SubmitReadSeq(group_id=body["group_id"], read_seq=1))
        assert await device.unread(body["group_id"]) == 0
    assert (await bob.say("hello", to=alice.uid)).seq_id == 2
    assert (await alice.hear()).msg_body == "hello"


@ensureDeferred
async def test_a_broadcast_goes_to_everybody_and_needs_a_scope_of_its_own(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    devices = [await log_in(served.daemon, new_uid()) for _ in range(2)]
    body = {"msg_id": new_id(), "msg_body": "maintenance at noon"}
    refused = await served.api.ask("POST", "/v1/broadcasts", body, key=served.key("messages"))
    assert (refused.status, refused.body["detail"]) == (403, "this key may not do that: it lacks the scope broadcasts")
    wrong = await served.api.ask("POST", "/v1/messages", {**body, "group_id": "system"})
    assert wrong.status == 400
    await served.api.done("POST", "/v1/broadcasts", body)
    for device in devices:
        assert (await device.hear()).msg_body == "maintenance at noon"
    [last] = (await served.api.done("GET", "/v1/groups/system/messages"))["messages"][-1:]
    assert (last["msg_body"], last["sender_id"]) == ("maintenance at noon", 0)


# Where a message is.


@ensureDeferred
async def test_a_trace_tells_who_has_a_message_who_has_read_it_and_where_it_was_pushed(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    owner, reader, holder = [await log_in(served.daemon, new_uid()) for _ in range(3)]
    away = new_uid()
    group_id = await owner.make_group("Tea", reader.uid, holder.uid, away)
    for device in (owner, reader, holder):
        await device.catch_up()
    said = await owner.say("where am I?", group=group_id)
    for device in (reader, holder):
        await device.hear()
    await reader.request(SubmitReadSeq(group_id=group_id, read_seq=said.seq_id))

    async def trace() -> Any:
        return await served.api.done("GET", f"/v1/messages/{said.msg_id}/trace", group_id=group_id)

    async def is_told() -> bool:
        states = {each["uid"]: each["state"] for each in (await trace())["recipients"]}
        return states == {reader.uid: "read", holder.uid: "received", away: "waiting"}

    await eventually(is_told)
    found = await trace()
    assert found["message"]["msg_body"] == "where am I?"
    assert {each["uid"]: each["client_types"] for each in found["recipients"]} == {
        reader.uid: [reader.client_type],
        holder.uid: [holder.client_type],
        away: [],
    }
    assert {each["uid"] for each in found["pushes"]} == {reader.uid, holder.uid}
    assert all(abs(each["time"] - said.send_time) < 5000 for each in found["pushes"])
    pages: list[int] = []
    cursor = ""
    while True:
        page = await served.api.done(
            "GET", f"/v1/messages/{said.msg_id}/trace", group_id=group_id, limit=2, cursor=cursor
        )
        pages += [each["uid"] for each in page["recipients"]]
        if not (cursor := page["cursor"]):
            break
    assert pages == sorted([reader.uid, holder.uid, away])
    missing = await served.api.ask("GET", "/v1/messages/nothing/trace", group_id=group_id)
    assert (missing.status, missing.body["code"]) == (404, "NOT_FOUND")


# Users.


@ensureDeferred
async def test_an_operator_sees_and_ends_sessions(served: ApiDaemon, log_in: LogIn, new_uid: NewUid) -> None:
    phone, desk = await log_in(served.daemon, uid := new_uid(), ANDROID), await log_in(served.daemon, uid, MAC)
    listed = (await served.api.done("GET", f"/v1/users/{uid}/sessions"))["sessions"]
    assert [(each["client_type"], each["node"]) for each in listed] == [(ANDROID, "imd1"), (MAC, "imd1")]
    online = await served.api.done("GET", "/v1/presence", uids=[uid, new_uid()])
    assert [each["client_types"] for each in online["users"]] == [[ANDROID, MAC], []]
    kick = {"client_type": ANDROID, "message": "go home"}
    assert await served.api.done("POST", f"/v1/users/{uid}/kick", kick) == {"sessions": 1}
    notice = await phone.told(Command.USER_KICK)
    assert (notice.reason, notice.message) == (KickReason.ADMIN, "go home")
    assert await desk.heard_all()


@ensureDeferred
async def test_a_banned_user_is_out_and_stays_out_until_the_ban_is_taken_back(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    device = await log_in(served.daemon, uid := new_uid())
    assert (await served.api.done("POST", f"/v1/users/{uid}/ban"))["is_banned"]
    assert (await device.told(Command.USER_KICK)).reason == KickReason.BANNED
    assert await refusal(log_in(served.daemon, uid)) == Result.FORBIDDEN
    assert not (await served.api.done("POST", f"/v1/users/{uid}/unban"))["is_banned"]
    await log_in(served.daemon, uid)


@ensureDeferred
async def test_tokens_are_issued_and_made_void(served: ApiDaemon, log_in: LogIn, new_uid: NewUid) -> None:
    issued = await served.api.done("POST", "/v1/tokens", {"uid": (uid := new_uid()), "name": "Ann", "seconds": 60})
    device = await log_in(served.daemon, uid, token=issued["token"])
    assert (await served.api.done("GET", f"/v1/users/{uid}"))["name"] == "Ann"
    voided = await served.api.done("POST", f"/v1/users/{uid}/tokens/void", {})
    assert voided["void_before"] > 0
    assert (await device.told(Command.USER_KICK)).reason == KickReason.TOKEN_EXPIRED
    assert await refusal(log_in(served.daemon, uid, token=issued["token"])) == Result.AUTH_EXPIRED


@ensureDeferred
async def test_a_block_list_is_looked_after(served: ApiDaemon, log_in: LogIn, new_uid: NewUid) -> None:
    alice, bob = await log_in(served.daemon, new_uid()), await log_in(served.daemon, new_uid())
    blocks = f"/v1/users/{alice.uid}/blocks"
    assert await served.api.done("POST", blocks, {"uids": [bob.uid]}) == {"uids": [bob.uid]}
    assert await refusal(bob.say("hello?", to=alice.uid)) == Result.BLOCKED
    await served.api.done("DELETE", f"{blocks}/{bob.uid}")
    assert await served.api.done("GET", blocks) == {"uids": []}
    await bob.say("hello!", to=alice.uid)


# Groups.


@ensureDeferred
async def test_a_group_is_looked_after_from_its_making_to_its_end(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    owner, member = await log_in(served.daemon, new_uid()), await log_in(served.daemon, new_uid())
    third = new_uid()
    new = {"owner_id": owner.uid, "group_name": "Tea", "member_ids": [member.uid], "request_id": new_id()}
    made = await served.api.done("POST", "/v1/groups", new)
    assert await served.api.done("POST", "/v1/groups", new) == made
    assert (made["owner_id"], made["member_count"], made["group_name"]) == (owner.uid, 2, "Tea")
    of = f"/v1/groups/{made['group_id']}"
    assert (await member.hear_op("create"))["by"] == owner.uid

    async def change(method: str, path: str, op: str, body: Any = None) -> Any:
        changed = await served.api.done(method, of + path, body)
        assert (await member.hear_op(op))["by"] == 0
        return changed

    assert (await change("PATCH", "", "update", {"announcement": "at five"}))["announcement"] == "at five"
    assert (await change("POST", "/members", "invite", {"uids": [third]}))["member_count"] == 3
    await change("PUT", f"/members/{third}/mute", "mute", {"until": 2**53})
    assert (await change("PUT", "/mute", "mute", {"until": 2**53}))["mute_until"] == 2**53
    assert (await change("PUT", f"/members/{member.uid}/role", "role", {"role": 1}))["owner_id"] == member.uid
    listed = (await served.api.done("GET", f"{of}/members"))["members"]
    assert [(each["uid"], each["role"], each["mute_until"]) for each in listed] == [
        (owner.uid, Role.MEMBER, 0),
        (member.uid, Role.OWNER, 0),
        (third, Role.MEMBER, 2**53),
    ]
    page = await served.api.done("GET", f"{of}/members", limit=2)
    rest = await served.api.done("GET", f"{of}/members", limit=2, cursor=page["cursor"])
    assert ([each["uid"] for each in rest["members"]], rest["cursor"]) == ([third], "")
    assert (await change("DELETE", f"/members/{third}", "remove"))["member_count"] == 2
    kept = await served.api.ask("DELETE", f"{of}/members/{member.uid}")
    assert kept.status == 403
    assert (await change("DELETE", "", "dismiss"))["is_dismissed"]
    assert (await served.api.done("DELETE", of))["is_dismissed"]
    gone = [
        await served.api.ask("PATCH", of, {"group_name": "x"}),
        await served.api.ask("GET", "/v1/groups/nothing"),
        await served.api.ask("GET", "/v1/groups/nothing/members"),
        await served.api.ask("GET", "/v1/groups/nothing/messages"),
    ]
    assert [each.status for each in gone] == [404] * 4
    dead = {"msg_id": new_id(), "group_id": made["group_id"]}
    assert (await served.api.ask("POST", "/v1/messages", dead)).status == 403


@ensureDeferred
async def test_a_history_is_exported_whole_page_by_page(served: ApiDaemon, log_in: LogIn, new_uid: NewUid) -> None:
    alice, bob = await log_in(served.daemon, new_uid()), new_uid()
    for n in range(7):
        said = await alice.say(f"line {n}", to=bob)
    exported: list[str] = []
    cursor = ""
    while True:
        page = await served.api.done("GET", f"/v1/groups/{said.group_id}/messages", limit=3, cursor=cursor)
        exported += [each["msg_body"] for each in page["messages"]]
        assert len(page["messages"]) <= 3
        if not (cursor := page["cursor"]):
            break
    assert exported == [f"line {n}" for n in range(7)]
    nonsense = await served.api.ask("GET", f"/v1/groups/{said.group_id}/messages", cursor="x")
    assert nonsense.status == 400


# The API itself.


@ensureDeferred
async def test_the_description_is_valid_openapi_and_names_every_route(served: ApiDaemon) -> None:
    described = await served.api.done("GET", "/openapi.json")
    OpenAPIV31SpecValidator(described).validate()
    assert {"/v1/notices", "/v1/messages/{msg_id}/trace", "/v1/users/{uid}/ban", "/openapi.json"} <= set(
        described["paths"]
    )


@ensureDeferred
async def test_the_node_tells_what_it_counts_and_whether_it_is_ready(
    served: ApiDaemon, log_in: LogIn, new_uid: NewUid
) -> None:
    await log_in(served.daemon, new_uid())
    told = await served.api.done("GET", "/v1/statistics")
    assert told["node"] == "imd1"
    assert told["figures"]["sessions"] >= 1
    for path in ("/healthz", "/readyz"):
        answer = await served.watch.ask("GET", path)
        assert (answer.status, answer.body) == (200, b"ok\n")
    metrics = (await served.watch.ask("GET", "/metrics")).body.decode()
    assert "\nimd_users_online " in metrics
    assert 'imd_http_answers_total{route="GET /v1/statistics",status="200"}' in metrics
    assert (await served.watch.ask("GET", "/v1/statistics")).status == 404


@ensureDeferred
async def test_imctl_makes_a_key_uses_it_and_revokes_it(served: ApiDaemon, log_in: LogIn, new_uid: NewUid) -> None:
    device = await log_in(served.daemon, new_uid())
    data = ("--data", str(served.daemon.data))
    made = imctl(served, "apikey", "create", "shop", "--scope", "notices", *data)
    key = made.stdout.strip()
    listed = json.loads((imctl(served, "apikey", "list", "--json", *data)).stdout)
    [mine] = [each for each in listed if each["name"] == "shop"]
    assert (mine["prefix"], mine["scopes"], mine["revoked"]) == (key.split("_")[1], ["notices"], 0)
    assert key not in json.dumps(listed)
    stored = served.daemon.rows("SELECT * FROM x_apikey WHERE name = 'shop'")
    assert key.split("_")[2] not in str(stored)
    sent = imctl(served, "notice", str(device.uid), "--text", "hi", "--json", key=key)
    assert json.loads(sent.stdout)["results"][0]["pushed"] == [device.uid]
    refused = imctl(served, "user", "show", str(device.uid), key=key)
    assert (refused.exit_code, refused.stdout) == (77, "")
    assert "it lacks the scope users:read" in refused.stderr
    assert (imctl(served, "apikey", "revoke", mine["prefix"], *data)).exit_code == 0

    async def is_out() -> bool:
        return (await served.api.ask("GET", "/openapi.json", key=key)).status == 401

    await eventually(is_out)


@ensureDeferred
async def test_imctl_looks_after_users_groups_and_messages(served: ApiDaemon, log_in: LogIn, new_uid: NewUid) -> None:
    device: Device = await log_in(served.daemon, new_uid())
    made = imctl(served, "group", "create", str(device.uid), "Tea", "--json")
    group_id = json.loads(made.stdout)["group_id"]
    await device.catch_up()
    said = imctl(served, "send", "kettle is on", "--group", group_id, "--json")
    heard: ImMsg = await device.hear()
    assert heard.msg_body == "kettle is on"
    traced = imctl(served, "trace", group_id, json.loads(said.stdout)["msg_id"])
    assert str(device.uid) in traced.stdout
    missing = imctl(served, "group", "show", "nothing")
    assert missing.exit_code == 66
    kicked = imctl(served, "user", "kick", str(device.uid))
    assert "sessions" in kicked.stdout
    assert (await device.told(Command.USER_KICK)).reason == KickReason.ADMIN


@ensureDeferred
async def test_a_node_that_is_stopped_says_so_and_answers_what_it_was_asked(
    tmp_path: Path, log_in: LogIn, new_uid: NewUid
) -> None:
    served = ApiDaemon(tmp_path / "served", {"IMD_DRAIN_SECONDS": "2"}).start()
    try:
        # Who doesn't read keeps the node from being done at once.
        slow = socket.create_connection(("127.0.0.1", served.daemon.port))
        asked = [
            served.api.ask("POST", "/v1/messages", {"msg_id": new_id(), "group_id": "1_2", "msg_body": "x" * 60_000})
            for _ in range(20)
        ]
        answering = gatherResults([Deferred.fromCoroutine(each) for each in asked])
        await until(lambda: served.daemon.rows("SELECT 1 FROM x_message LIMIT 1") != [])
        served.daemon.terminate()
        unready = await served.watch.ask("GET", "/readyz")
        assert (unready.status, unready.body) == (503, b"the node is being stopped\n")
        assert (await served.watch.ask("GET", "/healthz")).status == 200
        answers = await answering
        assert {each.status for each in answers} <= {200, 503}
        stored = served.daemon.rows("SELECT count(*) FROM x_message")
        assert stored == [(sum(each.status == 200 for each in answers),)]
        slow.close()
        assert await deferToThread(served.daemon.wait) == 0
    finally:
        served.close()
