"""Routing: what is sent reaches users on whatever node, in order, in one frame for each node and batch."""

from collections.abc import Collection, Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from imd.errors import UnavailableError
from imd.gateway.outbox import Outbox
from imd.gateway.sessions import Session, Sessions
from imd.model import Identity
from imd.ports.delivery import IDelivery, ISession, Push
from imd.ports.presence import Location
from imd.presence import routing
from imd.presence.frames import Content, decode_frame
from imd.presence.links import Links
from imd.presence.memory import MemoryPresence
from imd.presence.routing import Routing
from imd.wire.bodies import ImMsg, KickNotice
from imd.wire.commands import Command
from imd.wire.packet import Packet, encode

from ..logic.parts import Channel, parsed

SEND, RECEIPT = Command.IM_SEND_MSG, Command.ISSUE_RECEIPT


class Presence(MemoryPresence):
    """Says who is where: at once, when the test lets it (``waiting``), or not at all (``error``)."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[int]] = []
        self.waiting: list[Deferred[None]] | None = None
        self.error: Exception | None = None

    async def nodes(self, uids: Sequence[int]) -> Mapping[int, Collection[str]]:
        self.asked.append(sorted(uids))
        if self.waiting is not None:
            self.waiting.append(Deferred())
            await self.waiting[-1]
        if self.error is not None:
            raise self.error
        return await super().nodes(uids)


class Cluster:
    """Nodes that hear each other at once; ``frames`` holds what was sent beside beats: from whom, to whom, and what."""

    def __init__(self, *names: str) -> None:
        self.presence = Presence()
        self.live = frozenset(names)
        self.frames: list[tuple[str, str, Content]] = []
        self.nodes = {name: Node(name, self) for name in names}

    def publish(self, source: str, target: str, data: bytes) -> None:
        sent = decode_frame(data).content
        if sent is not None:
            self.frames.append((source, target, sent))
        self.nodes[target].routing.received(data)


class Node:
    """One node; ``broadcasts``, ``blocks`` and ``doubts`` hold what other nodes have told it."""

    def __init__(self, name: str, cluster: Cluster) -> None:
        self.name = name
        self.cluster = cluster
        self.outbox = Outbox()
        self.sessions = Sessions(Clock(), self.outbox, max_unacked=1000)
        self.channels: dict[Session, Channel] = {}
        self.broadcasts: list[Push] = []
        self.blocks: list[tuple[int, Collection[int]]] = []
        self.doubts: list[int] = []
        self.links = Links(
            name, lambda target, data: cluster.publish(name, target, data), lambda: 1, self.doubts.append
        )
        self.routing = Routing(
            name,
            self.sessions,
            cluster.presence,
            self.others,
            self.links,
            lambda push: self.broadcasts.append(push),
            lambda uid, uids: self.blocks.append((uid, uids)),
        )

    def others(self) -> frozenset[str]:
        return self.cluster.live - {self.name}

    def login(self, uid: int, client_type: int = 11) -> Session:
        channel = Channel(self.outbox)
        session = Session(channel, self.sessions)
        self.channels[session] = channel
        location = Location(self.name, f"{uid}/{client_type} on {self.name}")
        session.log_in(uid, client_type, location.session_id, Identity(uid, "", False))
        Deferred.fromCoroutine(self.cluster.presence.login(uid, client_type, location))
        return session

    def push(self, seq_id: int, *uids: int, group_id: str = "g", text: str = "") -> None:
        self.routing.push(self.message(seq_id, group_id, text), uids)

    def message(self, seq_id: int, group_id: str, text: str = "") -> Push:
        trace_id = self.routing.next_trace_id()
        body = ImMsg(group_id=group_id, seq_id=seq_id, msg_body=text).SerializeToString()
        return Push(trace_id, group_id, seq_id, 1, body, encode(SEND, trace_id, body))

    def tell(self, text: str, *uids: int, but: Collection[ISession] = ()) -> int:
        return self.routing.tell(RECEIPT, text.encode(), uids, but)

    def sent(self, session: Session) -> list[Packet]:
        return self.channels[session].sent()

    def got(self, session: Session) -> list[int | str]:
        """Return what came since this was asked last: the seq of each push, the text of what else was told."""
        return [
            parsed(packet, ImMsg).seq_id if packet.command == SEND else packet.body.decode()
            for packet in self.sent(session)
        ]

    def beat(self) -> None:
        self.links.beat(self.others())


class RoutingTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster("a", "b", "c")
        self.presence = self.cluster.presence
        self.frames = self.cluster.frames
        self.a, self.b, self.c = self.cluster.nodes.values()


class Reaching(RoutingTestCase):
    def test_it_provides_the_port(self) -> None:
        verifyObject(IDelivery, self.a.routing)

    def test_a_push_reaches_every_session_of_its_receivers_once_wherever_it_is(self) -> None:
        here, there, elsewhere, other = self.a.login(2, 11), self.b.login(2, 20), self.c.login(3), self.b.login(4)
        self.a.push(7, 2, 3)
        assert (self.a.got(here), self.b.got(there), self.c.got(elsewhere), self.b.got(other)) == ([7], [7], [7], [])

    def test_it_is_numbered_by_the_node_that_pushes_it_and_waits_there_for_its_ack(self) -> None:
        session = self.b.login(2)
        self.b.sessions.next_trace_id()
        self.a.push(7, 2)
        (packet,) = self.b.sent(session)
        assert packet.trace_id == 2
        assert session.acknowledge(2) == ("g", [7], (1,))

    def test_what_is_told_reaches_everybody_but_who_told_it_and_waits_for_no_ack(self) -> None:
        origin, desktop, tablet = self.a.login(1, 11), self.a.login(1, 20), self.b.login(1, 30)
        assert self.a.tell("read", 1, but=[origin]) == 1
        assert (self.a.got(origin), self.a.got(desktop)) == ([], ["read"])
        (packet,) = self.b.sent(tablet)
        assert (packet.command, packet.body) == (RECEIPT, b"read")
        assert tablet.acknowledge(packet.trace_id) is None

    def test_what_concerns_this_node_alone_is_sent_to_no_other(self) -> None:
        self.a.login(2)
        self.b.login(3)
        self.a.push(1, 2, 99)
        self.a.tell("read", 2)
        assert self.frames == []

    def test_without_other_nodes_nobody_is_looked_up(self) -> None:
        self.cluster.live = frozenset("a")
        session = self.a.login(2)
        self.a.push(1, 2)
        assert self.a.tell("read", 2) == 1
        assert self.a.got(session) == [1, "read"]
        assert self.presence.asked == []

    def test_a_user_may_have_other_sessions_as_soon_as_there_are_other_nodes(self) -> None:
        session = self.a.login(1)
        assert self.a.routing.has_other(1, session)
        self.cluster.live = frozenset("a")
        assert not self.a.routing.has_other(1, session)
        self.a.login(1, 20)
        assert self.a.routing.has_other(1, session)

    def test_sessions_and_users_are_those_of_this_node(self) -> None:
        session = self.a.login(1)
        self.b.login(1, 20)
        self.b.login(2)
        assert list(self.a.routing.sessions(1)) == [session]
        assert self.a.routing.online() == [1]

    def test_a_session_is_ended_wherever_it_is(self) -> None:
        here, there = self.a.login(1), self.b.login(2)
        assert self.a.routing.kick(Location("a", here.session_id), 1, "elsewhere")
        assert self.a.routing.kick(Location("b", there.session_id), 2, "by an admin")
        (packet,) = self.b.sent(there)
        assert parsed(packet, KickNotice) == KickNotice(reason=2, message="by an admin")
        assert not here.is_open
        assert not there.is_open

    def test_a_session_of_a_node_that_is_gone_or_that_has_ended_is_none_to_end(self) -> None:
        assert not self.a.routing.kick(Location("z", "s"), 1, "")
        assert not self.a.routing.kick(Location("a", "s"), 1, "")

    def test_a_broadcast_is_told_to_every_other_node(self) -> None:
        push = self.a.message(4, "system")
        self.b.sessions.next_trace_id()
        self.b.sessions.next_trace_id()
        self.a.routing.broadcast(push)
        ((at_b,), (at_c,)) = self.b.broadcasts, self.c.broadcasts
        assert at_b[1:5] == at_c[1:5] == push[1:5]
        assert (at_b.trace_id, at_b.packet) == (3, encode(SEND, 3, push.body))
        assert self.a.broadcasts == []

    def test_who_has_blocked_whom_is_told_to_every_other_node(self) -> None:
        self.a.routing.blocked(1, [2, 3])
        assert self.b.blocks == self.c.blocks == [(1, (2, 3))]
        assert self.a.blocks == []


class Batches(RoutingTestCase):
    def test_a_batch_is_one_look_up_and_one_frame_for_each_node(self) -> None:
        at_b, at_c = self.b.login(2), self.c.login(3)
        self.a.routing.hold()
        for seq_id in range(1, 6):
            self.a.push(seq_id, 2, 3, 99)
            self.a.tell(f"told {seq_id}", 3)
        assert self.frames == []
        self.a.routing.flush()
        assert self.presence.asked == [[2, 3, 99]]
        assert [(source, target) for source, target, _ in self.frames] == [("a", "b"), ("a", "c")]
        assert self.b.got(at_b) == [1, 2, 3, 4, 5]
        assert self.c.got(at_c) == [1, "told 1", 2, "told 2", 3, "told 3", 4, "told 4", 5, "told 5"]

    def test_each_node_is_told_of_its_own_users_alone(self) -> None:
        for uid in (2, 3, 4):
            self.b.login(uid)
        for uid in (4, 5):
            self.c.login(uid, 20)
        self.a.push(1, 2, 3, 4, 5, 6)
        named = {target: sent.parcels[0].uids for _, target, sent in self.frames}
        assert named == {"b": (2, 3, 4), "c": (4, 5)}

    def test_each_connection_is_written_to_once_on_either_node(self) -> None:
        writes: list[str] = []
        for node in (self.a, self.b):
            session = node.login(2, ord(node.name))
            self.patch(node.channels[session], "flush", lambda name=node.name: writes.append(name))
        self.a.routing.hold()
        for seq_id in range(1, 6):
            self.a.push(seq_id, 2)
        self.a.routing.flush()
        assert writes == ["a", "b"]

    def test_what_comes_while_a_look_up_is_under_way_goes_together_after_it_in_order(self) -> None:
        session = self.b.login(2)
        self.presence.waiting = []
        self.a.push(1, 2)
        self.a.push(2, 2)
        self.a.tell("told", 2)
        self.a.push(3, 2)
        (first,) = self.presence.waiting
        first.callback(None)
        assert self.b.got(session) == [1]
        _, second = self.presence.waiting
        second.callback(None)
        assert self.b.got(session) == [2, "told", 3]
        assert len(self.frames) == 2

    def test_a_batch_is_not_torn_where_a_look_up_is_under_way_as_it_begins(self) -> None:
        self.b.login(2)
        self.presence.waiting = []
        self.a.push(1, 2)
        self.a.routing.hold()
        self.a.push(2, 2)
        self.a.push(3, 2)
        self.a.routing.flush()
        for look_up in self.presence.waiting:
            look_up.callback(None)
        assert [[parcel.seq_id for parcel in sent.parcels] for _, _, sent in self.frames] == [[1], [2, 3]]

    def test_the_end_waits_until_all_is_on_its_way(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.a.routing.settle()))
        session = self.b.login(2)
        self.presence.waiting = []
        self.a.push(1, 2)
        self.a.push(2, 2)
        settled = Deferred.fromCoroutine(self.a.routing.settle())
        for look_up in self.presence.waiting:
            self.assertNoResult(settled)
            look_up.callback(None)
        self.successResultOf(settled)
        assert self.b.got(session) == [1, 2]


class Trouble(RoutingTestCase):
    """Chat between users of one node goes on; what others may miss they learn at the next beat."""

    def test_while_presence_is_away_this_node_goes_on_and_the_others_learn_what_they_missed(self) -> None:
        here, there = self.a.login(2), self.b.login(2, 20)
        self.presence.error = UnavailableError("away")
        self.a.push(1, 2)
        self.a.tell("told", 2)
        assert self.a.got(here) == [1, "told"]
        assert self.b.got(there) == []
        self.presence.error = None
        self.a.beat()
        assert len(self.b.doubts) == len(self.c.doubts) == 1
        self.a.push(2, 2)
        assert (self.a.got(here), self.b.got(there)) == ([2], [2])
        assert len(self.b.doubts) == 1

    def test_a_look_up_that_fails_in_whatever_way_holds_up_nothing(self) -> None:
        session = self.b.login(2)
        self.presence.error = ZeroDivisionError()
        self.a.push(1, 2)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.presence.error = None
        self.a.push(2, 2)
        assert self.b.got(session) == [2]
        assert len(self.b.doubts) == 1

    def test_what_waits_for_a_failing_look_up_has_its_own(self) -> None:
        session = self.b.login(2)
        self.presence.waiting = []
        self.a.push(1, 2)
        self.a.push(2, 2)
        self.presence.waiting[0].errback(UnavailableError("away"))
        self.presence.waiting[1].callback(None)
        assert self.b.got(session) == [2]

    def test_no_more_waits_than_a_bound_and_what_is_beyond_it_counts_as_lost(self) -> None:
        self.patch(routing, "MAX_WAITING", 1000)
        session = self.b.login(2)
        self.presence.waiting = waiting = []
        self.a.push(1, 2)
        for seq_id in range(2, 100):
            self.a.push(seq_id, 2)
        waiting[0].callback(None)
        waiting[1].callback(None)
        got = self.b.got(session)
        assert got == list(range(1, len(got) + 1))
        assert 1 < len(got) < 20
        self.presence.waiting = None
        self.a.routing.hold()
        self.a.push(100, 2)
        self.a.push(101, 2)
        self.a.routing.flush()
        assert self.b.got(session) == [100, 101]
        assert len(self.b.doubts) == 1

    def test_one_message_always_has_room(self) -> None:
        self.patch(routing, "MAX_WAITING", 1000)
        session = self.b.login(2)
        self.a.push(1, 2, text="x" * 2000)
        assert self.b.got(session) == [1]

    def test_what_cannot_be_handed_on_leaves_out_nobody_else(self) -> None:
        broken, session, victim = self.b.login(2), self.b.login(3), self.b.login(4)
        self.patch(self.b.channels[broken], "send", lambda _: 1 / 0)
        self.a.routing.hold()
        self.a.push(1, 2)
        self.a.push(1, 3)
        self.a.routing.flush()
        assert self.b.got(session) == [1]
        assert not self.b.outbox.is_held
        self.patch(self.b.channels[victim], "close", lambda: 1 / 0)
        self.a.routing.kick(Location("b", victim.session_id), 1, "")
        self.a.push(2, 3)
        assert self.b.got(session) == [2]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 2

    def test_noise_on_the_way_disturbs_nobody(self) -> None:
        session = self.b.login(2)
        self.b.routing.received(b"noise")
        self.a.push(1, 2)
        assert self.b.got(session) == [1]

    def test_who_has_just_left_is_sent_nothing(self) -> None:
        session = self.b.login(2)
        session.log_out()
        self.a.push(1, 2)
        assert self.b.sent(session) == []
        assert len(self.frames) == 1
