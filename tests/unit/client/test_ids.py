"""Message ids."""

import os
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imd.client.ids import uuid7


class IdTests(SynchronousTestCase):
    def test_the_example_of_rfc_9562_comes_out(self) -> None:
        rand_a, rand_b = 0xCC3, 0x18C4DC0C0C07398F
        random = (rand_a << 62 | rand_b).to_bytes(10)
        assert uuid7(0x017F22E279B0, lambda size: random[-size:]) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"

    @given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
    def test_every_id_is_a_uuid_of_version_7_that_tells_its_time(self, now_ms: int, random: bytes) -> None:
        made = uuid7(now_ms, lambda size: random[:size])
        parsed = UUID(made)
        assert (str(parsed), parsed.version, parsed.variant) == (made, 7, RFC_4122)
        assert parsed.int >> 80 == now_ms

    def test_later_ids_sort_after_earlier_ones(self) -> None:
        ids = [uuid7(now_ms, os.urandom) for now_ms in range(1000)]
        assert ids == sorted(ids)

    def test_ids_of_the_same_instant_differ(self) -> None:
        assert len({uuid7(1, os.urandom) for _ in range(1000)}) == 1000
