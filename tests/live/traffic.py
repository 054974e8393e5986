"""Users who chat through every fault, and the account of it: each message is stored once and heard once."""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any

from google.protobuf.message import Message
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.task import deferLater

from imd.client.connection import Connection, connect
from imd.client.errors import ClientError, ClosedError, ResultError
from imd.wire.bodies import GroupCreate, ImMsg, ImMsgAck, KickNotice, MsgAck, PullMsg, UserData
from imd.wire.commands import Command
from imd.wire.enums import MsgType
from imd.wire.results import KickReason, Result
from imd.wire.single import single_group_id

from .cluster import Cluster
from .daemon import Daemon
from .device import LINUX, message, reactor

WINDOW = 3
"""Messages that a user has on their way."""

PACE = 0.01
"""Seconds between an ACK and the next message, so that the load leaves the machine to the nodes."""

PATIENCE = 0.05
"""Seconds before what was refused is tried again."""

WITHIN = 40.0
"""Seconds in which all has come to its end, once no fault is left."""

PAGE = 100


class Talker:
    """A user who talks into conversations and listens, as a careful client does.

    What had no ACK is said again under its msg_id. Who comes back fetches what was missed, and who is told that a
    conversation has changed looks what is new there. What is heard counts once by its msg_id, however often it comes.
    """

    def __init__(self, uid: int, homes: Sequence[Daemon]) -> None:
        self.uid = uid
        self.conversations: list[str] = []
        self.said: dict[str, str] = {}
        """The conversation of each message, by its msg_id."""
        self.acked: dict[str, int] = {}
        self.heard: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """By conversation: the seq of each message of others, by its msg_id."""
        self.sessions: list[Connection] = []
        self.breaches: list[str] = []
        self.is_quiet = False
        self._homes = homes
        self._known: defaultdict[str, set[int]] = defaultdict(set)
        self._ends: defaultdict[str, int] = defaultdict(int)
        self._again: deque[ImMsg] = deque()
        self._has_to_go = False

    async def stay(self) -> None:
        """Come, and come back to the other node when the connection ends, but not where another login replaced it."""
        turn = 0
        while not self._has_to_go:
            try:
                ended = await self.come(self._homes[turn % len(self._homes)])
                await ended
            except (ClientError, ConnectError, ConnectionDone):
                await deferLater(reactor, PATIENCE)
            turn += 1

    async def come(self, node: Daemon) -> "Deferred[str]":
        """Log in, fetch what was missed, and talk; return what fires when the connection ends."""
        ended: Deferred[str] = Deferred()
        connection = Connection(
            reactor,
            lambda pushed, trace_id: self._pushed(connection, pushed, trace_id),
            lambda command, body: self._told(connection, command, body),
            lambda reason: self._closed(connection, ended, reason),
        )
        await connect(reactor, f"tcp:127.0.0.1:{node.port}", connection)
        try:
            await connection.login(self.uid, node.token(self.uid), LINUX)
        except BaseException:
            connection.drop("it could not log in")
            raise
        if not ended.called:
            self.sessions.append(connection)
            self._run(self._catch_up(connection))
        return ended

    def leave(self) -> None:
        """Be gone, for good."""
        self._has_to_go = True
        for connection in list(self.sessions):
            connection.drop("the test is over")

    def has_all_acks(self) -> bool:
        return len(self.acked) == len(self.said)

    # What is said.

    async def _catch_up(self, connection: Connection) -> None:
        await self._fetch(connection, self.conversations)
        for _ in range(WINDOW):
            self._run(self._talk(connection))

    async def _talk(self, connection: Connection) -> None:
        while connection in self.sessions:
            if self._again:
                next_ = self._again.popleft()
            elif self.is_quiet or not self.conversations:
                await deferLater(reactor, PATIENCE)
                continue
            else:
                next_ = self._next()
            try:
                ack: ImMsgAck = await connection.request(Command.IM_SEND_MSG, next_)
            except ClientError as error:
                self._again.append(next_)
                if isinstance(error, ClosedError):
                    return
                if isinstance(error, ResultError) and error.result != Result.UNAVAILABLE:
                    raise
                await deferLater(reactor, PATIENCE)
                continue
            if self.acked.setdefault(ack.msg_id, ack.seq_id) != ack.seq_id:
                self.breaches.append(f"{ack.msg_id} was ACKed as seq {self.acked[ack.msg_id]} and as {ack.seq_id}")
            self._known[ack.group_id].add(ack.seq_id)
            await deferLater(reactor, PACE)

    def _next(self) -> ImMsg:
        group_id = self.conversations[len(self.said) % len(self.conversations)]
        said = message(f"{len(self.said)}", group=group_id)
        self.said[said.msg_id] = group_id
        return said

    # What is heard.

    def _pushed(self, connection: Connection, pushed: ImMsg, trace_id: int) -> None:
        self._enter(pushed)
        connection.acknowledge(trace_id)

    def _enter(self, came: ImMsg) -> None:
        self._known[came.group_id].add(came.seq_id)
        if came.msg_type == MsgType.CONTROL:
            return
        if came.sender_id == self.uid:
            known = self.acked.get(came.msg_id, came.seq_id)
        else:
            known = self.heard[came.group_id].setdefault(came.msg_id, came.seq_id)
        if known != came.seq_id:
            self.breaches.append(f"{came.msg_id} came to {self.uid} as seq {known} and as {came.seq_id}")

    def _told(self, connection: Connection, command: Command, body: Any) -> None:
        if command == Command.CONVERSATION_NOTICE:
            named = [group.group_id for group in body.groups] or self.conversations
            self._run(self._fetch(connection, named))
        elif isinstance(body, KickNotice):
            self._has_to_go = True
            if body.reason != KickReason.REPLACED:
                self.breaches.append(f"{self.uid} was kicked: {body.message}")

    def _closed(self, connection: Connection, ended: "Deferred[str]", reason: str) -> None:
        if connection in self.sessions:
            self.sessions.remove(connection)
        ended.callback(reason)

    async def _fetch(self, connection: Connection, group_ids: Iterable[str]) -> None:
        for group_id in group_ids:
            floor = self._floor(group_id)
            messages: list[ImMsg] = []
            has_more = True
            while has_more:
                before = messages[0].seq_id if messages else 0
                pull = PullMsg(group_id=group_id, receive_seq_id=floor, before_seq_id=before, page_size=PAGE)
                page: UserData = await self._asked(connection, Command.IM_OFFLINE_MSG, pull)
                messages, has_more = [*page.messages, *messages], page.has_more
            for pulled in messages:
                self._enter(pulled)
            held = [ImMsgAck(group_id=group_id, seq_id=self._floor(group_id))]
            connection.tell(Command.IM_MSG_ACK, MsgAck(acks=held))

    async def _asked(self, connection: Connection, command: Command, body: Message) -> Any:
        while True:
            try:
                return await connection.request(command, body)
            except ResultError as error:
                if error.result != Result.UNAVAILABLE:
                    raise
                await deferLater(reactor, PATIENCE)

    def _floor(self, group_id: str) -> int:
        """Return the seq up to which everything of a conversation is here."""
        end, known = self._ends[group_id], self._known[group_id]
        while end + 1 in known:
            end += 1
            known.discard(end)
        self._ends[group_id] = end
        return end

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        def failed(failure: Any) -> None:
            if not failure.check(ClientError) or failure.check(ResultError):
                self.breaches.append(f"{self.uid} stumbled: {failure.getTraceback()}")

        Deferred.fromCoroutine(work).addErrback(failed)


class Traffic:
    """Four users, two on each node at first: each chats with one of the other node, and all in a group."""

    def __init__(self, cluster: Cluster, new_uid: Callable[[], int]) -> None:
        self._cluster = cluster
        orders = [cluster.nodes, cluster.nodes[::-1]] * 2
        self.talkers = [Talker(new_uid(), homes) for homes in orders]
        self._members: dict[str, list[Talker]] = {}

    async def begin(self) -> "Traffic":
        """Let everybody come, and return once all are heard."""
        for talker in self.talkers:
            Deferred.fromCoroutine(talker.stay())
        await self._until(lambda: all(talker.sessions for talker in self.talkers), "somebody could not come")
        owner, *others = self.talkers
        request = GroupCreate(group_name="everybody", member_ids=[other.uid for other in others])
        made: UserData = await owner.sessions[0].request(Command.GROUP_CREATE, request)
        self._members = {made.groups[0].group_id: self.talkers}
        for first, second in (self.talkers[:2], self.talkers[2:]):
            self._members[single_group_id(first.uid, second.uid)] = [first, second]
        for group_id, members in self._members.items():
            for member in members:
                member.conversations.append(group_id)
        await self.goes_on(10)
        return self

    async def goes_on(self, n: int = 5, talkers: Collection[Talker] = ()) -> None:
        """Return once each of these users, or everybody, has had ``n`` more messages stored."""
        aims = {talker: len(talker.acked) + n for talker in talkers or self.talkers}
        await self._until(
            lambda: all(len(talker.acked) >= aim for talker, aim in aims.items()), "somebody gets no ACKs any more"
        )

    async def compare(self) -> None:
        """Let everything come to its end, and hold what is stored against what was said and heard."""
        for talker in self.talkers:
            talker.is_quiet = True
        await self._until(lambda: all(talker.has_all_acks() for talker in self.talkers), "not all has its ACK")
        stored = {group_id: self._stored(group_id) for group_id in self._members}
        for group_id, members in self._members.items():
            rows = stored[group_id]
            assert [seq for seq, *_ in rows] == list(range(1, len(rows) + 1)), f"the seqs of {group_id} have gaps"
            for member in members:
                mine = {msg_id: seq for seq, msg_id, sender in rows if sender == member.uid}
                said = {msg_id: seq for msg_id, seq in member.acked.items() if member.said[msg_id] == group_id}
                assert mine == said, f"what {member.uid} said in {group_id} is not what is stored"
                theirs = {msg_id: seq for seq, msg_id, sender in rows if sender not in (member.uid, None)}
                await self._until(
                    lambda: len(member.heard[group_id]) >= len(theirs),  # noqa: B023 - it is awaited here
                    f"{member.uid} has not heard all of {group_id}",
                )
                assert member.heard[group_id] == theirs
        assert [breach for talker in self.talkers for breach in talker.breaches] == []

    async def is_all_acked(self) -> None:
        """See that nothing is left in their inboxes, where an ACK that was lost leaves it until the next sweep."""
        left = self._cluster.has_nothing_for(*(talker.uid for talker in self.talkers))
        deadline = reactor.seconds() + WITHIN
        while not await left():
            assert reactor.seconds() < deadline, "what was heard still lies in an inbox"
            await deferLater(reactor, PATIENCE)

    def end(self) -> None:
        """Let everybody go."""
        for talker in self.talkers:
            talker.leave()

    def _stored(self, group_id: str) -> list[tuple[int, str, int | None]]:
        rows = self._cluster.postgres.ask(
            f"SELECT seq_id, msg_id, sender_id, msg_type FROM x_message WHERE group_id = '{group_id}' ORDER BY seq_id"
        )
        return [(seq, msg_id, None if kind == MsgType.CONTROL else sender) for seq, msg_id, sender, kind in rows]

    async def _until(self, condition: Callable[[], bool], complaint: str) -> None:
        deadline = reactor.seconds() + WITHIN
        while not condition():
            assert not any(talker.breaches for talker in self.talkers), [each.breaches for each in self.talkers]
            assert reactor.seconds() < deadline, complaint
            await deferLater(reactor, 0.01)
