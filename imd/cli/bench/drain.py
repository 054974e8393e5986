"""Coming back: a user who was offline pulls what was missed."""

from dataclasses import dataclass

from imd.cli.bench.asker import Asker, pull_all
from imd.cli.bench.chat import Chat, Pace, Sender
from imd.cli.bench.ledger import Delivery, Stream, gaps
from imd.cli.bench.load import Loop, Target
from imd.cli.bench.outcome import Outcome, Progress
from imd.cli.bench.pairs import BODY, ordered_ids
from imd.cli.bench.server import Meter, resident_bytes
from imd.cli.bench.wire import LoadError
from imd.wire.bodies import Empty, ImGroup, ImMsg, ListGroup, UserData, UserLogout
from imd.wire.commands import Command
from imd.wire.enums import GroupType, MsgType

_RATE = 4_000.0
"""Messages a second from the one sender: less than its bucket of packets allows."""


@dataclass(frozen=True, slots=True)
class Drain:
    """``messages`` of one conversation, in pages of ``page``, from the newest to the oldest."""

    messages: int = 10_000
    page: int = 100

    @property
    def label(self) -> str:
        """What the work is, with its parameters."""
        return f"offline drain of {self.messages:,} messages, pages of {self.page}"

    def run(self, target: Target, progress: Progress) -> Outcome:
        """Store, then pull, and count. Raises LoadError."""
        uid = target.first_uid + 1
        with Loop(target) as loop:
            stream = Stream("the conversation")
            self._leave_offline(loop, uid)
            self._store(loop, target, stream, progress)
            meter = Meter(target)
            client = Asker(loop, uid)
            loop.log_in([client])
            group = only_group(client)
            pulled = pull_all(client, group.group_id, self.page)
            used = meter.stop(loop)
            delivery = Delivery(stream, "the user who came back")
            for message in pulled:
                delivery.delivered(message.msg_id, message.seq_id)
            breaches = [*stream.complaints(), *gaps(stream.name, [stream], 1)]
            left = only_group(client)
            if left.receive_seq != left.max_seq:
                breaches.append(
                    f"{uid} has ACKed up to {left.max_seq}, and its inbox is empty up to {left.receive_seq}"
                )
            if delivery.repeats:
                breaches.append(f"{stream.name}: {delivery.repeats} messages came twice in its pages")
            return Outcome(
                self.label, "message", delivery.count, used, resident_bytes(target), breaches=tuple(breaches)
            )

    def _leave_offline(self, loop: Loop, uid: int) -> None:
        client = Asker(loop, uid)
        loop.log_in([client])
        client.ask(Command.USER_LOGOUT, UserLogout(), Empty)
        client.close()

    def _store(self, loop: Loop, target: Target, stream: Stream, progress: Progress) -> None:
        chat = Chat(loop, target)
        message = ImMsg(msg_type=MsgType.TEXT, msg_body=BODY, receiver_id=target.first_uid + 1)
        chat.senders.append(
            Sender(loop, target.first_uid, stream, message, ordered_ids(loop.rng), chat.quota, window=0)
        )
        loop.log_in(chat.senders)
        chat.drive(Pace(count=self.messages, rate=_RATE), progress)


def only_group(client: Asker) -> ImGroup:
    """Return the one conversation of a user, beside ``system``. Raises LoadError where there is none or more."""
    listed = client.ask(Command.LIST_GROUP, ListGroup(), UserData).groups
    groups = [group for group in listed if group.group_type != GroupType.SYSTEM]
    if len(groups) != 1:
        raise LoadError(f"{client.uid} has {len(groups)} conversations, where one was expected.")
    return groups[0]
