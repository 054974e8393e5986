"""What was pushed lately: noted for each push, told of the sessions that were there, forgotten in the end."""

from imd.logic.pushes import Pushed, Pushes
from imd.ports.delivery import Push
from imd.wire.enums import SYSTEM_GROUP

from .parts import NOW, LogicTestCase


class PushesTests(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.pushes = Pushes(self.sessions, self.clock.seconds, self.now, 3)

    def push(self, seq_id: int, *uids: int, group_id: str = "1_2") -> None:
        self.pushes.push(Push(seq_id, group_id, seq_id, 1, b"", b""), uids)

    def test_a_push_is_told_with_its_time_and_the_session_it_went_to(self) -> None:
        self.login(2)
        self.clock.advance(5)
        self.push(7, 2)
        self.clock.advance(10)
        assert self.pushes.of("1_2", 7, [2, 3]) == [Pushed(NOW + 5000, 2, 11, "2/11")]

    def test_it_is_pushed_as_without_it(self) -> None:
        session = self.login(2)
        self.push(7, 2)
        assert session.acknowledge(7) is not None

    def test_of_a_session_that_came_later_nothing_is_told(self) -> None:
        self.push(7, 2)
        self.clock.advance(1)
        self.login(2)
        assert self.pushes.of("1_2", 7, [2]) == []
        self.push(7, 2)
        assert len(self.pushes.of("1_2", 7, [2])) == 1

    def test_only_the_last_are_kept_and_broadcasts_are_not(self) -> None:
        self.login(2)
        for seq_id in range(1, 5):
            self.push(seq_id, 2)
        self.push(9, 2, group_id=SYSTEM_GROUP)
        told = [bool(self.pushes.of("1_2", seq_id, [2])) for seq_id in range(1, 5)]
        assert told == [False, True, True, True]
        assert self.pushes.of(SYSTEM_GROUP, 9, [2]) == []
