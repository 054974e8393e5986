"""What a client can be told to do otherwise: every interval and every bound."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are in seconds, with fractions."""

    heartbeat_seconds: float = 5.0
    """Between two heartbeats."""
    idle_seconds: float = 15.0
    """A connection on which nothing was read for so long is dead."""
    connect_seconds: float = 15.0
    """How long connecting may take."""
    answer_seconds: float = 15.0
    """How long a request waits for its answer; a message without its ACK by then is FAILURE."""
    close_seconds: float = 2.0
    """How long the last packets may take to go out when the client is stopped."""
    reconnect_seconds: float = 5.0
    """Between the end of a connection, or a failed try, and the next try."""
    reconnect_tries: int = 20
    """Tries that may fail in a row; then the client waits to be told of a better time."""
    jitter: float = 0.2
    """The part by which the pause before a try is longer or shorter, by chance: 0 to 1."""
    retry_seconds: float = 1.0
    """The first pause after a refusal that will pass (UNAVAILABLE, RATE_LIMITED); each later one is twice as long."""
    longest_retry_seconds: float = 30.0
    """The longest of these pauses."""
    ack_seconds: float = 0.05
    """How long ACKs of what was received may gather."""
    page_size: int = 20
    """Messages of a conversation that are fetched first on coming back: 1 to 100."""
    catch_up: int | None = 1_000
    """Messages missed in one conversation up to which all of them are fetched and shown. Where it were more only the
    newest page is, and the rest when ``history`` asks for it. None: always all."""
    pulls: int = 4
    """Requests for missed messages under way at once."""
    max_queued: int = 100_000
    """Messages that may wait to be sent."""
    max_under_way: int = 200
    """Messages that may wait for their ACK at once; of one conversation it is always one."""
    max_unstored: int = 10_000
    """Received messages that may wait to be stored; what comes above that is fetched later."""
    max_calls: int = 1_000
    """Other writes and reads of the local store that may wait; the next fails with BusyError."""
    max_in_memory: int = 10_000
    """Messages that a store in memory holds, or some more; older ones are fetched again when they are asked for."""
    commit_gap_seconds: float = 0.003
    """The least time between two commits of the local store under load."""

    def next_pause(self, pause: float) -> float:
        """Return the pause that follows on one of ``pause`` seconds, 0 for none."""
        return min(max(2 * pause, self.retry_seconds), self.longest_retry_seconds)


DEFAULTS = Settings()
