"""The load's clients without sockets: what they write is kept, and the time is told to them."""

from collections.abc import Callable
from random import Random
from typing import Any, cast

from imd.cli.bench.load import Connection, Loop
from imd.wire.bodies import ImMsg
from imd.wire.commands import Command
from imd.wire.enums import GroupType, MsgType
from imd.wire.packet import Decoder, Packet


class Wire:
    """Stands where a client has its socket."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def send(self, packets: bytes) -> int:
        self.written += packets
        return len(packets)

    def fileno(self) -> int:
        return 7

    def close(self) -> None:
        self.is_closed = True


class StillLoop:
    """A Loop that only keeps what it is given: ``calls`` to be made later."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []
        self.wires: dict[int, Wire] = {}
        self.admins: list[int] = []
        self.rng = Random(1)

    def open(self, connection: Connection) -> Wire:
        wire = self.wires[connection.uid] = Wire()
        return wire

    def token(self, uid: int, is_admin: bool) -> str:
        if is_admin:
            self.admins.append(uid)
        return "t"

    def at(self, due: float, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def forget(self, connection: Connection, fileno: int) -> None:
        pass

    def pass_time(self) -> None:
        """Make the calls that are due."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()

    def sent(self, uid: int) -> list[Packet]:
        """Return what the user has sent since the last time, the login left out."""
        written, self.wires[uid].written = self.wires[uid].written, b""
        return [packet for packet in Decoder().feed(written) if packet.command != Command.USER_LOGIN]

    def as_loop(self) -> Loop:
        return cast(Loop, self)


def push(trace_id: int, seq: int, msg_id: str = "m", group_id: str = "1_2", **more: Any) -> Packet:
    group_type = GroupType.SYSTEM if group_id == "system" else GroupType.SINGLE
    message = ImMsg(
        msg_id=msg_id, seq_id=seq, group_id=group_id, group_type=group_type, **({"msg_type": MsgType.TEXT} | more)
    )
    return Packet(Command.IM_SEND_MSG, 0, 0, trace_id, message.SerializeToString())
