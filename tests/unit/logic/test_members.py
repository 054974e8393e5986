"""The cache of members."""

from twisted.trial.unittest import SynchronousTestCase

from imd.logic.members import MembersCache
from imd.ports.messages import Members


def version(number: int) -> Members:
    return Members(number, {number: 3}, {}, 0)


class Cache(SynchronousTestCase):
    def test_it_returns_what_was_put_and_nothing_else(self) -> None:
        cache = MembersCache(10)
        cache.put("g", version(1))
        assert cache.get("g") == version(1)
        assert cache.get("other") is None

    def test_the_newer_version_stays_whatever_comes_last(self) -> None:
        cache = MembersCache(10)
        for number in (1, 3, 2):
            cache.put("g", version(number))
        assert cache.get("g") == version(3)

    def test_it_keeps_the_groups_that_were_used_last(self) -> None:
        cache = MembersCache(2)
        cache.put("a", version(1))
        cache.put("b", version(1))
        cache.get("a")
        cache.put("c", version(1))
        assert [cache.get(group_id) is not None for group_id in "abc"] == [True, False, True]
