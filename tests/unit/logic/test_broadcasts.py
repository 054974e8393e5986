"""Broadcasts on their way: at a pace, one after the other, and never more than so many."""

from collections.abc import Iterable

from imd.gateway.sessions import Session
from imd.logic.broadcasts import MAX_WAITING, STEP_SECONDS, Broadcasts
from imd.ports.delivery import Push
from imd.wire.bodies import ImMsg
from imd.wire.commands import Command
from imd.wire.packet import encode

from .parts import LogicTestCase, parsed


class BroadcastsTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.broadcasts = Broadcasts(self.clock, self.sessions, 300)  # three a step

    def put(self, seq_id: int, sender: int = 99) -> None:
        trace_id = self.sessions.next_trace_id()
        body = ImMsg(group_id="system", seq_id=seq_id).SerializeToString()
        packet = encode(Command.IM_SEND_MSG, trace_id, body)
        self.broadcasts.put(Push(trace_id, "system", seq_id, sender, body, packet))

    def got(self, session: Session) -> list[int]:
        """Return the seqs that came since this was asked last."""
        return [parsed(packet, ImMsg).seq_id for packet in self.sent(session)]

    def step(self) -> None:
        self.clock.advance(STEP_SECONDS)

    def finish(self) -> None:
        """Let everything go out."""
        self.clock.pump([STEP_SECONDS] * 1000)
        assert self.clock.getDelayedCalls() == []


class Pace(BroadcastsTestCase):
    def test_nothing_goes_out_in_the_turn_in_which_it_was_stored(self) -> None:
        session = self.login(1)
        self.put(1)
        assert self.got(session) == []
        self.clock.advance(0)
        assert self.got(session) == [1]

    def test_each_step_is_some_users_turn(self) -> None:
        sessions = [self.login(uid) for uid in range(1, 9)]
        self.put(1)
        counts = []
        for _ in range(4):
            counts.append(sum(len(self.got(session)) for session in sessions))
            self.step()
        assert counts == [0, 3, 3, 2]

    def test_a_step_that_comes_late_is_for_fewer_since_there_is_much_else_to_do(self) -> None:
        sessions = [self.login(uid) for uid in range(1, 9)]
        self.put(1)
        counts = []
        for pause in (0, STEP_SECONDS, 3 * STEP_SECONDS, STEP_SECONDS):
            self.clock.advance(pause)
            counts.append(sum(len(self.got(session)) for session in sessions))
        assert counts == [3, 3, 1, 1]

    def test_at_least_one_user_a_step_has_their_turn(self) -> None:
        self.broadcasts = Broadcasts(self.clock, self.sessions, 1)
        session = self.login(1)
        self.put(1)
        self.finish()
        assert self.got(session) == [1]

    def test_every_device_of_a_user_has_it_at_the_users_turn(self) -> None:
        devices = [self.login(1), self.login(1, 20)]
        self.put(1)
        self.clock.advance(0)
        assert [self.got(session) for session in devices] == [[1], [1]]

    def test_a_step_is_one_write_a_connection(self) -> None:
        session = self.login(1)
        seen: list[bool] = []
        self.patch(self.channels[session], "flush", lambda: seen.append(True))
        self.put(1)
        self.clock.advance(0)
        assert seen == [True]
        assert not self.outbox.is_held

    def test_where_nobody_is_online_nothing_is_left_to_do(self) -> None:
        self.put(1)
        self.put(2)
        self.finish()
        session = self.login(1)
        self.put(3)
        self.finish()
        assert self.got(session) == [3]


class Order(BroadcastsTestCase):
    def test_everybody_gets_every_broadcast_in_order(self) -> None:
        sessions = [self.login(uid) for uid in range(1, 8)]
        for seq_id in (1, 2, 3):
            self.put(seq_id)
        self.finish()
        assert [self.got(session) for session in sessions] == [[1, 2, 3]] * 7

    def test_one_has_reached_everybody_before_the_next_begins(self) -> None:
        sessions = [self.login(uid) for uid in range(1, 8)]
        self.put(1)
        self.put(2)
        came: list[int] = []
        for _ in range(7):
            self.step()
            for session in sessions:
                came += self.got(session)
        assert came == [1] * 7 + [2] * 7

    def test_the_sender_is_left_out(self) -> None:
        me, friend = self.login(1), self.login(2)
        self.put(1, sender=1)
        self.put(2, sender=2)
        self.finish()
        assert (self.got(me), self.got(friend)) == ([2], [1])


class Meanwhile(BroadcastsTestCase):
    def test_who_goes_before_their_turn_is_passed_over(self) -> None:
        sessions = [self.login(uid) for uid in range(1, 8)]
        self.put(1)
        self.clock.advance(0)
        sessions[4].log_out()
        self.finish()
        assert [len(self.got(session)) for session in sessions] == [1, 1, 1, 1, 0, 1, 1]

    def test_who_comes_while_one_goes_out_gets_the_next(self) -> None:
        for uid in range(1, 8):
            self.login(uid)
        self.put(1)
        self.put(2)
        self.clock.advance(0)
        late = self.login(50)
        self.finish()
        assert self.got(late) == [2]

    def test_a_push_that_fails_holds_up_neither_the_other_users_nor_the_next_broadcast(self) -> None:
        def broken(push: Push, uids: Iterable[int]) -> None:
            to = list(uids)
            if push.seq_id == 1 and 1 in to:
                raise ZeroDivisionError
            deliver(push, to)

        sessions = [self.login(uid) for uid in range(1, 8)]
        deliver = self.sessions.push
        self.patch(self.sessions, "push", broken)
        self.put(1)
        self.put(2)
        self.finish()
        assert [self.got(session) for session in sessions] == [[2]] * 3 + [[1, 2]] * 4
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1


class Bound(BroadcastsTestCase):
    def test_so_many_may_wait_and_no_more_until_one_has_gone_out(self) -> None:
        self.login(1)
        for number in range(MAX_WAITING):
            assert not self.broadcasts.is_full
            self.put(number + 1)
        assert self.broadcasts.is_full
        self.clock.advance(0)
        assert not self.broadcasts.is_full

    def test_where_other_nodes_send_more_the_oldest_that_has_not_begun_gives_way(self) -> None:
        session = self.login(1)
        for number in range(MAX_WAITING + 2):
            self.put(number + 1)
        self.finish()
        assert self.got(session) == [1, *range(4, MAX_WAITING + 3)]

    def test_those_that_are_being_stored_wait_too(self) -> None:
        self.broadcasts.storing = MAX_WAITING - 1
        assert not self.broadcasts.is_full
        self.put(1)
        assert self.broadcasts.is_full
