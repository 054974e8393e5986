"""Two clients who exchange messages while the network, or the daemon, fails; and what has to be so in the end."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from imd.client import Client
from imd.client.settings import DEFAULTS, Settings
from imd.client.values import Connectivity, Message, State
from imd.wire.enums import MsgType, Status

from .daemon import Daemon
from .proxy import Proxy

FASTER = 25
SERVER = {
    "IMD_GATEWAY_HEARTBEAT_SECONDS": "0.2",
    "IMD_GATEWAY_IDLE_SECONDS": "0.6",
    "IMD_DELIVERY_SWEEP_SECONDS": "0.4",
    "IMD_DELIVERY_SWEEP_ATTEMPTS": "3",
}
"""The daemon's intervals, shortened as much."""
WITHIN = 90.0
_BURST = 10

reactor: Any = _reactor


def shortened(**changes: Any) -> Settings:
    """Return the settings with every interval 25 times shorter."""
    names = [name for name in Settings.__slots__ if name.endswith("_seconds") and name != "commit_gap_seconds"]
    return replace(DEFAULTS, **{name: getattr(DEFAULTS, name) / FASTER for name in names}, **changes)


class Party:
    """A client behind a proxy of its own, who sends again whatever fails."""

    def __init__(self, daemon: Daemon, uid: int, store: Path, **changes: Any) -> None:
        self.uid = uid
        self.shown: list[Message] = []
        self.done: dict[str, int] = {}
        self.failures = 0
        self.proxy = Proxy(daemon.port)
        self._daemon = daemon
        self.store = store
        self._settings = shortened(**changes)
        self.client: Client

    async def start(self) -> "Party":
        """Come online."""
        await self.proxy.listen()
        self.open()
        await self.client.start()
        return self

    def open(self) -> None:
        """Be a new process of the application, on the same store."""
        server = f"tcp:127.0.0.1:{self.proxy.port}"
        token = self._daemon.token
        self.client = Client(server, self.uid, lambda: token(self.uid), self.store, settings=self._settings)
        self.client.on_message(self.shown.append)
        self.client.on_status(self._changed)
        self.client.on_connection(self._connected)

    async def close(self) -> None:
        """End."""
        await self.client.stop()
        await self.proxy.close()

    def _connected(self, connectivity: Connectivity) -> None:
        if connectivity.state is State.WAITING:  # a daemon may take longer to start than twenty tries
            reactor.callLater(0, self.client.network_changed)

    def _changed(self, message: Message) -> None:
        if message.status == Status.SUCCESS:
            self.done[message.msg_id] = self.done.get(message.msg_id, 0) + 1
        elif message.status == Status.FAILURE:
            self.failures += 1
            self.client.resend(message.msg_id)


class Exchange:
    """Two parties, who each say ``count`` things in turn in their chat and in a group."""

    def __init__(self, daemon: Daemon, uids: tuple[int, int], folder: Path, count: int) -> None:
        self.daemon = daemon
        self.parties = [Party(daemon, uid, folder / f"{uid}.sqlite", catch_up=None) for uid in uids]
        self.count = count
        self.group_id = ""

    async def run(self, random: Random, faults: int, kills: int = 0) -> None:
        """Exchange everything over so many faults, of which some are a kill of the daemon; then compare."""
        for party in self.parties:
            await party.start()
        first, second = self.parties
        self.group_id = (await first.client.groups.create("Tea", [second.uid])).group_id
        seconds = faults * 0.15
        speaking = [Deferred.fromCoroutine(self._speak(party, seconds)) for party in self.parties]
        kinds = ["kill"] * kills + ["network"] * (faults - kills)
        random.shuffle(kinds)
        for kind in kinds:
            await deferLater(reactor, random.uniform(0.0, 0.2))
            if kind == "kill":
                self.daemon.kill()
                await deferToThread(self.daemon.start)
            else:
                await random.choice(self.parties).proxy.harm(random)
        for spoken in speaking:
            await spoken
        await self._settle()
        for party in self.parties:
            await party.close()
        self._compare()

    async def _speak(self, party: Party, seconds: float) -> None:
        other = next(each.uid for each in self.parties if each is not party)
        for number in range(self.count):
            where: dict[str, Any] = {"group_id": self.group_id} if number % 2 else {"to": other}
            message = await party.client.send_text(text=f"{party.uid} {number}", **where)
            assert message.status == Status.SENDING
            if number % _BURST == 0:
                await deferLater(reactor, _BURST * seconds / self.count)

    async def _settle(self) -> None:
        deadline = reactor.seconds() + WITHIN
        while not all(len(each.done) == self.count <= self._said(each) for each in self.parties):
            assert reactor.seconds() < deadline, self._how_far()
            await deferLater(reactor, 0.05)
        await deferLater(reactor, 0.5)  # for what is there twice

    def _how_far(self) -> list[Any]:
        return [(len(party.done), self._said(party), party.client.queued, party.client.state) for party in self.parties]

    @staticmethod
    def _said(party: Party) -> int:
        return sum(message.msg_type == MsgType.TEXT for message in party.shown)

    def _compare(self) -> None:
        single = "_".join(str(party.uid) for party in self.parties)
        stores = [stored(party) for party in self.parties]
        assert [row[:6] for row in stores[0]] == [row[:6] for row in stores[1]]
        for group_id, first, count in ((single, 1, self.count), (self.group_id, 1, self.count + 1)):
            seqs = [row[1] for row in stores[0] if row[0] == group_id]
            assert seqs == list(range(first, first + count)), group_id
        for party, store in zip(self.parties, stores, strict=True):
            other = next(each for each in self.parties if each is not party)
            assert {row[6] for row in store if row[4] == party.uid} == {int(Status.SUCCESS)}
            assert set(party.done.values()) == {1}, "a message was told as sent more than once"
            for group_id in (single, self.group_id):
                said = [
                    row[3] for row in store if row[0] == group_id and row[4] == other.uid and row[2] == MsgType.TEXT
                ]
                shown = [message for message in party.shown if message.group_id == group_id]
                assert [m.msg_body for m in shown if m.msg_type == MsgType.TEXT] == said
                assert said == sorted(said, key=lambda body: int(body.split()[1]))
                assert [m.seq_id for m in shown] == sorted({m.seq_id for m in shown})


def stored(party: Party) -> list[Any]:
    """Return the messages in a party's store, which is closed, in order."""
    connection = sqlite3.connect(party.store)
    try:
        return connection.execute(
            "SELECT group_id, seq_id, msg_type, msg_body, sender_id, msg_id, status FROM x_message"
            " ORDER BY group_id, seq_id"
        ).fetchall()
    finally:
        connection.close()
