"""The parts of a client, joined: what the server sends goes through them, and out of them what the application sees."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message as Body

from imd.batching import IReactor
from imd.client.callbacks import Callbacks
from imd.client.database import Database
from imd.client.gaps import Gaps
from imd.client.history import History
from imd.client.keeping import Keeper
from imd.client.notices import Notices
from imd.client.presence import Online, Presence
from imd.client.receiving import Receiver
from imd.client.returning import Return
from imd.client.sending import SendQueue
from imd.client.session import Session, TokenSource
from imd.client.settings import Settings
from imd.client.store import Store
from imd.client.streams import Streams
from imd.client.talks import Conversations
from imd.client.values import Connectivity, Conversation, Kick, Message, Notice, Receipt, State
from imd.wire.bodies import ImMsg, IssueReadSeq, IssueReceipt, NoticeMsg, PresenceNotice, UserData


class Events:
    """What the application wants to be called with."""

    def __init__(self) -> None:
        self.message: Callbacks[Message] = Callbacks()
        self.status: Callbacks[Message] = Callbacks()
        self.passthrough: Callbacks[Message] = Callbacks()
        self.conversation: Callbacks[Conversation] = Callbacks()
        self.receipt: Callbacks[Receipt] = Callbacks()
        self.notice: Callbacks[Notice] = Callbacks()
        self.presence: Callbacks[Online] = Callbacks()
        self.connection: Callbacks[Connectivity] = Callbacks()
        self.kicked: Callbacks[Kick] = Callbacks()


class Engine:
    """One client's parts. ``chance`` gives numbers from 0 to 1; the session tells it what happens (Watcher)."""

    def __init__(
        self,
        clock: IReactor,
        server: str,
        uid: int,
        token: TokenSource,
        client_type: int,
        device_id: str,
        database: Database,
        settings: Settings,
        now_ms: Callable[[], int],
        chance: Callable[[], float],
        batching: Callable[..., Any],
    ) -> None:
        self.events = events = Events()
        self._database = database
        self.session = session = Session(clock, server, uid, token, client_type, device_id, settings, chance, self)
        request, tell = session.request, session.tell
        self.store = store = Store(clock, database, settings.commit_gap_seconds, settings.max_calls, batching)
        self._streams = Streams(clock, store, settings.ack_seconds, events.message.tell)
        self.keeper = Keeper(store, request, now_ms, self._found, settings.max_in_memory)
        self.gaps = Gaps(clock, store, self._streams, self.keeper, settings)
        self._receiver = Receiver(
            clock,
            store,
            self._streams,
            self.keeper,
            self.gaps,
            settings,
            session.acknowledge,
            events.passthrough.tell,
        )
        self.sending = SendQueue(
            clock,
            store,
            self.keeper,
            settings,
            request,
            lambda: session.state is State.ONLINE,
            events.status.tell,
            self._receiver.stored,
        )
        self._return = Return(
            clock,
            store,
            self._streams,
            self.keeper,
            self.gaps,
            settings,
            request,
            tell,
            events.conversation.tell,
        )
        self._notices = Notices(request, tell, events.notice.tell)
        self.history = History(store, self._streams, self.keeper, self.gaps)
        self.conversations = Conversations(store, self._streams, uid, request, events.conversation.tell)
        self.presence = Presence(request, events.presence.tell)

    async def start(self) -> None:
        """Open the store where it is not, and log in. Raises as Client.start."""
        if not self.store.is_open:
            self.store.open()
            with self._database.transaction():
                self.keeper.open(self._database)
                self._streams.open(self._database)
                self.sending.open(self._database)
            self.gaps.open()
        await self.session.start()

    async def stop(self) -> None:
        """Disconnect, and close the store once all is in it."""
        self._receiver.flush()
        self.gaps.close()
        self._return.close()
        self.sending.close()
        await self.session.stop()
        self._streams.flush()
        await self.store.close()

    # What the session tells.

    def came_online(self) -> None:
        """Catch up, and send what waits."""
        self._return.refresh()
        self.gaps.came_online()
        self._notices.came_online()
        self.presence.came_online()
        self.sending.came_online()

    def went_offline(self) -> None:
        """Forget what belonged to the connection."""
        self._receiver.went_offline()
        self.sending.went_offline()

    def changed(self, connectivity: Connectivity) -> None:
        """Tell the application."""
        self.events.connection.tell(connectivity)

    def kicked(self, kick: Kick) -> None:
        """Tell the application."""
        self.events.kicked.tell(kick)

    def pushed(self, message: ImMsg, trace_id: int) -> None:
        """Store a message, ACK and show it."""
        self._receiver.pushed(message, trace_id)

    def noticed(self, body: Body) -> None:
        """Take in what else the server sends by itself."""
        match body:
            case NoticeMsg():
                self._notices.take([body])
            case IssueReceipt():
                self.conversations.receipt(body)
                self.events.receipt.tell(Receipt(body.group_id, body.uid, body.receive_seq, body.read_seq))
            case IssueReadSeq():
                self.conversations.read_elsewhere(body)
            case UserData():
                self._return.noticed(body)
            case PresenceNotice():
                self.presence.noticed(body)

    def _found(self, message: Message) -> None:
        self.sending.found(message)
