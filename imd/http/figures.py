"""What a node counts."""

from collections.abc import Callable

from imd.gateway.factory import Gateway
from imd.gateway.sessions import Sessions
from imd.http.statistics import Figure
from imd.logic.chat import Chat
from imd.ports.presence import IPresence
from imd.storage.store import SqlStore


def figures(gateway: Gateway, sessions: Sessions, store: SqlStore, presence: IPresence, chat: Chat) -> list[Figure]:
    """Return what is counted, to be read whenever it is asked for."""

    def counter(name: str) -> Callable[[], float]:
        return lambda: float(getattr(gateway.counters, name))

    return [
        Figure("connections", "Client connections.", False, lambda: len(gateway.connections())),
        Figure("sessions", "Sessions that are logged in.", False, lambda: len(sessions)),
        Figure("users_online", "Users with a session here.", False, lambda: len(sessions.online())),
        Figure("store_waiting", "Messages and changes that wait for a commit.", False, lambda: store.waiting),
        Figure("store_up", "1: the database can be reached.", False, lambda: not store.is_away),
        Figure("presence_up", "1: presence can be used.", False, lambda: presence.is_connected),
        Figure("messages", "Messages stored, repeated or refused.", True, lambda: chat.answered),
        Figure("connections_refused", "Connections past a limit.", True, counter("refused")),
        Figure("packets_malformed", "Connections closed for what they sent.", True, counter("malformed")),
        Figure("packets_limited", "Requests past a rate.", True, counter("rate_limited")),
        Figure("clients_slow", "Clients dropped for not reading.", True, counter("slow")),
    ]
