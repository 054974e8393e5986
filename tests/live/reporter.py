"""A client that reports to the business, through whatever happens to the daemon and to the business."""

from collections import deque
from collections.abc import Sequence

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from imd.client.errors import ClientError, ResultError
from imd.wire.bodies import Empty, Upstream
from imd.wire.commands import Command
from imd.wire.results import Result

from .device import Device, new_id, reactor

WINDOW = 8


class Reporter:
    """One user's reports to one destination; what had no ACK is reported again, in its order, before anything new."""

    def __init__(self, uid: int, destination: str) -> None:
        self.uid = uid
        self.destination = destination
        self.said: list[str] = []
        self.acked: set[str] = set()
        self.is_done = False

    async def report(self, device: Device, message_id: str = "", payload: bytes = b"{}") -> str:
        """Report one thing, and return its id once it is ACKed. Raises ResultError."""
        message_id = message_id or self._new()
        request = Upstream(
            destination=self.destination, message_id=message_id, payload=payload, content_type="application/json"
        )
        await device.ask(Command.UPSTREAM, request, Empty)
        self.acked.add(message_id)
        return message_id

    async def speak(self, device: Device, *, pause: float = 0.02) -> None:
        """Send WINDOW reports, again and again, until the connection ends or ``is_done``, and then what has no ACK."""
        while True:
            waiting = deque(message_id for message_id in self.said if message_id not in self.acked)
            if self.is_done and not waiting:
                return
            while not self.is_done and len(waiting) < WINDOW:
                waiting.append(self._new())
            outcomes: Sequence[bool | None] = await gatherResults(
                [Deferred.fromCoroutine(self._try(device, message_id)) for message_id in waiting]
            )
            if None in outcomes:
                return
            await deferLater(reactor, pause)

    async def _try(self, device: Device, message_id: str) -> bool | None:
        """Return whether it was ACKed, None where the connection has ended."""
        try:
            await self.report(device, message_id)
        except ResultError as error:
            if error.result != Result.UNAVAILABLE:
                raise
            return False
        except ClientError:
            return None
        return True

    def _new(self) -> str:
        self.said.append(new_id())
        return self.said[-1]


def check(reporters: Sequence[Reporter], arrived: Sequence[tuple[int, str]]) -> None:
    """See that all that was ACKed has arrived, and that first arrivals are in the order in which they were said."""
    first = list(dict.fromkeys(arrived))
    for reporter in reporters:
        mine = [message_id for uid, message_id in first if uid == reporter.uid]
        assert reporter.acked <= set(mine)
        assert mine == [message_id for message_id in reporter.said if message_id in set(mine)]
