"""Taking messages away: what is asked of the store, what is refused, and which devices learn it."""

from typing import Any

from twisted.internet.defer import Deferred

from imd.errors import BadRequestError, ForbiddenError, NotFoundError, NotInGroupError, RevokeTimeoutError
from imd.gateway.sessions import Session
from imd.logic.removal import MAX_SEQ_IDS, Removal
from imd.model import Identity
from imd.ports.messages import Revocation
from imd.wire.bodies import DeleteMsg, Empty, ImGroup, ImMsg, RevokeMsg, SubmitInitSeq, UserData
from imd.wire.commands import Command
from imd.wire.enums import GroupType, Role

from .parts import NOW, LogicTestCase, parsed


class RemovalTestCase(LogicTestCase):
    def setUp(self) -> None:
        super().setUp()
        ids = iter(range(1, 100))
        self.removal = Removal(self.store, self.sessions, lambda: f"id{next(ids)}", revoke_ms=120_000)
        self.me, self.desktop, self.friend = self.login(1), self.login(1, 20), self.login(2)

    def notices(self, session: Session) -> list[UserData]:
        """Return what a session was told of its conversations."""
        packets = self.sent(session)
        assert {packet.command for packet in packets} <= {Command.CONVERSATION_NOTICE}
        return [parsed(packet, UserData) for packet in packets]

    def only_the_other_devices_learn(self, answer: Any) -> None:
        """Check that what the store says has changed goes to the user's other devices."""
        self.store.answer = UserData(groups=[ImGroup(group_id="g", init_seq=4)], messages=[ImMsg(seq_id=3)])
        assert self.wait(answer) == Empty()
        assert self.notices(self.desktop) == [self.store.answer]
        assert self.notices(self.me) == []
        assert self.notices(self.friend) == []

    def nothing_is_told(self, answer: Any) -> None:
        """Check that where nothing has changed nobody is told."""
        self.store.answer = None
        assert self.wait(answer) == Empty()
        assert self.notices(self.desktop) == []

    def who_asked_stays_who_asked(self, answer: Any) -> None:
        """Check that the devices of who asked learn it though the session is somebody else's by then."""
        self.store.is_slow = True
        waiting = Deferred.fromCoroutine(answer)
        self.me.log_out()
        self.me.log_in(2, 11, "again", Identity(2))
        self.store.settle()
        self.successResultOf(waiting)
        assert len(self.notices(self.desktop)) == 1
        assert self.notices(self.friend) == []


class Revoking(RemovalTestCase):
    def revoke(self, group_id: str = "g", msg_id: str = "m1", session: Session | None = None) -> Any:
        return self.removal.revoke(session or self.me, RevokeMsg(group_id=group_id, msg_id=msg_id))

    def rule(self, session: Session | None = None) -> Any:
        """Return the rule that the store is given."""
        self.wait(self.revoke(session=session))
        return self.store.asked.pop()[-1]

    def test_the_store_gets_the_message_who_asks_and_an_id_for_the_control_message(self) -> None:
        assert self.wait(self.revoke()) == Empty()
        assert self.store.asked.pop()[:-1] == ("g", "m1", 1, "id1")

    def test_the_sender_has_so_long(self) -> None:
        may = self.rule()
        message = ImMsg(group_id="g", group_type=GroupType.GROUP, sender_id=1, send_time=NOW, msg_type=1)
        may(Revocation(1, Role.MEMBER, message, NOW + 120_000))
        with self.assertRaises(RevokeTimeoutError):
            may(Revocation(1, Role.MEMBER, message, NOW + 120_001))

    def test_a_broadcast_is_the_admins(self) -> None:
        message = ImMsg(group_id="system", group_type=GroupType.SYSTEM, sender_id=1, send_time=NOW, msg_type=1)
        self.rule(self.login(9, is_admin=True))(Revocation(9, 0, message, NOW))
        with self.assertRaises(ForbiddenError):
            self.rule()(Revocation(1, 0, message, NOW))

    def test_a_refusal_of_the_store_is_passed_on(self) -> None:
        for error in (NotFoundError("no"), ForbiddenError("no"), RevokeTimeoutError("late"), NotInGroupError("out")):
            self.store.answer = error
            self.refused(self.revoke(), type(error))

    def test_in_a_single_chat_in_which_nothing_was_said_there_is_no_such_message(self) -> None:
        self.store.answer = NotInGroupError("nothing there")
        self.refused(self.revoke("1_2"), NotFoundError)

    def test_a_single_chat_of_others_is_forbidden(self) -> None:
        self.refused(self.revoke("2_3"), ForbiddenError)
        assert self.store.asked == []

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for group_id, msg_id in (("", "m"), ("g", ""), ("g", "x" * 65), ("2_1", "m")):
            self.refused(self.revoke(group_id, msg_id), BadRequestError)
        assert self.store.asked == []


class Deleting(RemovalTestCase):
    def delete(self, *seq_ids: int, group_id: str = "g") -> Any:
        return self.removal.delete(self.me, DeleteMsg(group_id=group_id, seq_ids=seq_ids))

    def test_the_store_gets_the_seqs(self) -> None:
        self.wait(self.delete(3, 5))
        assert self.store.asked == [(1, "g", [3, 5])]

    def test_my_other_devices_learn_the_tombstones_and_nobody_else_does(self) -> None:
        self.only_the_other_devices_learn(self.delete(3))

    def test_where_nothing_changed_nobody_is_told(self) -> None:
        self.nothing_is_told(self.delete(3))

    def test_it_is_told_to_the_devices_of_who_asked(self) -> None:
        self.who_asked_stays_who_asked(self.delete(3))

    def test_so_many_can_be_deleted_at_once_and_no_more(self) -> None:
        self.wait(self.delete(*range(1, MAX_SEQ_IDS + 1)))
        self.store.asked.clear()
        self.refused(self.delete(*range(1, MAX_SEQ_IDS + 2)), BadRequestError)
        assert self.store.asked == []

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        for seq_ids in ((), (0,), (-1,), (3, 0)):
            self.refused(self.delete(*seq_ids), BadRequestError)
        self.refused(self.delete(3, group_id=""), BadRequestError)
        assert self.store.asked == []

    def test_a_refusal_of_the_store_is_passed_on(self) -> None:
        for error in (NotFoundError("past the end"), NotInGroupError("out")):
            self.store.answer = error
            self.refused(self.delete(3), type(error))
        assert self.notices(self.desktop) == []

    def test_in_a_single_chat_in_which_nothing_was_said_there_is_no_message(self) -> None:
        self.store.answer = NotInGroupError("nothing there")
        self.refused(self.delete(3, group_id="1_2"), NotFoundError)

    def test_a_single_chat_of_others_is_forbidden(self) -> None:
        self.refused(self.delete(3, group_id="2_3"), ForbiddenError)


class Clearing(RemovalTestCase):
    def clear(self, init_seq: int = 4, group_id: str = "g") -> Any:
        return self.removal.clear(self.me, SubmitInitSeq(group_id=group_id, init_seq=init_seq))

    def test_the_store_gets_the_seq(self) -> None:
        self.wait(self.clear())
        self.wait(self.clear(0))
        assert self.store.asked == [(1, "g", 4), (1, "g", 0)]

    def test_my_other_devices_learn_it_and_nobody_else_does(self) -> None:
        self.only_the_other_devices_learn(self.clear())

    def test_where_nothing_changed_nobody_is_told(self) -> None:
        self.nothing_is_told(self.clear())

    def test_it_is_told_to_the_devices_of_who_asked(self) -> None:
        self.who_asked_stays_who_asked(self.clear())

    def test_what_makes_no_sense_is_a_bad_request(self) -> None:
        self.refused(self.clear(-1), BadRequestError)
        self.refused(self.clear(4, ""), BadRequestError)
        assert self.store.asked == []

    def test_in_a_single_chat_in_which_nothing_was_said_there_is_nothing_to_clear(self) -> None:
        self.store.answer = NotInGroupError("nothing there")
        assert self.wait(self.clear(group_id="1_2")) == Empty()
        assert self.notices(self.desktop) == []

    def test_a_group_that_is_not_mine_is_refused(self) -> None:
        self.store.answer = NotInGroupError("out")
        self.refused(self.clear(), NotInGroupError)

    def test_a_single_chat_of_others_is_forbidden(self) -> None:
        self.refused(self.clear(group_id="2_3"), ForbiddenError)
