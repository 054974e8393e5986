"""What was shown already: the daemon brings a message at least once."""

_MAX_SEEN = 10_000


class Seen:
    """The newest things that were shown."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], None] = {}

    def is_new(self, name: str, number: int) -> bool:
        """Return whether this is named for the first time."""
        key = (name, number)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > _MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        return True
