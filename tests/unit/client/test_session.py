"""The session: it stays online, comes back by itself, and stops where coming back is no use."""

from dataclasses import replace

from twisted.internet.defer import Deferred

from imd.client.errors import AuthFailedError, ClosedError, KickedError, StoppedError, UnreachableError
from imd.client.values import Connectivity, Kick, State
from imd.wire.bodies import CloseChannel, KickNotice, UserLogin
from imd.wire.commands import Command
from imd.wire.results import KickReason, Result

from .parts import ME, ClientTestCase


class LoginTests(ClientTestCase):
    def test_starting_connects_and_logs_in(self) -> None:
        self.start()
        login = UserLogin(uid=ME, token="token 1", client_type=50)
        assert self.server.bodies(Command.USER_LOGIN) == [login]
        assert [state for state, _ in self.states] == [State.CONNECTING, State.ONLINE]
        assert self.client.state is State.ONLINE

    def test_starting_again_while_online_does_nothing(self) -> None:
        self.start()
        self.start()
        assert len(self.server.bodies(Command.USER_LOGIN)) == 1

    def test_a_token_may_take_its_time(self) -> None:
        token: Deferred[str] = Deferred()
        self.client = self.make(token=lambda: token)
        started = self.client.start()
        self.server.run()
        assert self.server.bodies(Command.USER_LOGIN) == []
        token.callback("late")
        self.result(started)
        assert self.server.bodies(Command.USER_LOGIN)[0].token == "late"

    def test_an_async_function_may_make_the_token(self) -> None:
        async def token() -> str:
            return "from afar"

        self.client = self.make(token=token)
        self.start()
        assert self.server.bodies(Command.USER_LOGIN)[0].token == "from afar"

    def test_an_expired_token_is_made_anew(self) -> None:
        self.server.refused[Command.USER_LOGIN] = [Result.AUTH_EXPIRED]
        self.start()
        assert [login.token for login in self.server.bodies(Command.USER_LOGIN)] == ["token 1", "token 2"]

    def test_a_rejected_token_stops_and_says_so(self) -> None:
        self.server.refused[Command.USER_LOGIN] = [Result.AUTH_FAILED]
        self.error(self.client.start(), AuthFailedError)
        assert self.states[-1] == Connectivity(State.STOPPED, "AUTH_FAILED it is")
        self.server.wait(60)
        assert not self.server.bodies(Command.USER_LOGIN)[1:]

    def test_an_expired_token_that_can_not_be_made_anew_stops_too(self) -> None:
        self.client = self.make(token="fixed")
        self.server.refused[Command.USER_LOGIN] = [Result.AUTH_EXPIRED]
        started = self.client.start()
        self.server.run()
        self.failureResultOf(started)
        assert self.client.state is State.STOPPED

    def test_a_server_that_can_not_take_it_now_is_tried_again(self) -> None:
        self.server.refused[Command.USER_LOGIN] = [Result.UNAVAILABLE]
        started = self.client.start()
        self.server.run()
        self.assertNoResult(started)
        self.server.wait(5)
        self.successResultOf(started)

    def test_a_token_that_can_not_be_made_is_tried_again(self) -> None:
        tokens = iter([OSError("the login system is away"), None])

        def token() -> str:
            error = next(tokens)
            if error is not None:
                raise error
            return "good"

        self.client = self.make(token=token)
        started = self.client.start()
        self.server.run()
        assert self.states[-1] == Connectivity(State.CONNECTING, "the login system is away")
        self.server.wait(5)
        self.successResultOf(started)

    def test_what_is_no_endpoint_is_an_error(self) -> None:
        self.client._engine.session._server = "nonsense"
        self.error(self.client.start(), ValueError)

    def test_a_request_while_offline_fails_at_once(self) -> None:
        self.error(self.client.account.server_time(), ClosedError)


class HeartbeatTests(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start()

    def heartbeats(self) -> int:
        assert self.server.wire is not None
        found = self.server.wire.value().count(bytes.fromhex("494d01000001"))
        self.server.wire.clear()
        return found

    def test_a_heartbeat_goes_out_every_five_seconds(self) -> None:
        self.server.run()
        for _ in range(2):
            self.reactor.advance(4.9)
            assert self.heartbeats() == 0
            self.reactor.advance(0.1)
            assert self.heartbeats() == 1

    def test_fifteen_seconds_with_nothing_read_end_the_connection(self) -> None:
        for _ in range(3):
            self.reactor.advance(5)
        reason = "nothing was heard of the server for 15 seconds"
        assert self.states[-1] == Connectivity(State.CONNECTING, reason)
        self.server.wait(5)
        assert self.client.state is State.ONLINE

    def test_an_answered_heartbeat_keeps_it(self) -> None:
        self.server.wait(120)
        assert self.client.state is State.ONLINE
        assert len(self.states) == 2


class ReconnectTests(ClientTestCase):
    def lose_for_good(self) -> None:
        self.start()
        self.server.lose()

    def tries(self, number: int, pause: float = 5.0) -> None:
        for _ in range(number):
            self.reactor.advance(pause - 0.1)
            assert not self.server.is_tried
            self.reactor.advance(0.1)
            assert self.server.is_tried
            self.server.refuse_connection()

    def test_it_tries_twenty_times_every_five_seconds_and_then_waits(self) -> None:
        self.lose_for_good()
        self.tries(20)
        assert self.client.state is State.WAITING
        self.reactor.advance(3600)
        assert not self.server.is_tried

    def test_a_network_that_has_changed_is_tried_at_once(self) -> None:
        self.lose_for_good()
        self.tries(20)
        self.client.network_changed()
        self.server.run()
        assert self.client.state is State.ONLINE

    def test_it_is_not_waited_for_the_pause_then(self) -> None:
        self.lose_for_good()
        self.reactor.advance(1)
        self.client.network_changed()
        self.server.run()
        assert self.client.state is State.ONLINE

    def test_starting_again_tries_again(self) -> None:
        self.lose_for_good()
        self.tries(20)
        self.start()

    def test_a_login_that_succeeds_starts_the_count_anew(self) -> None:
        self.lose_for_good()
        self.tries(19)
        self.server.wait(5)
        self.server.lose()
        self.tries(20)
        assert self.client.state is State.WAITING

    def test_who_started_it_learns_that_it_was_in_vain(self) -> None:
        started = self.client.start()
        self.reactor.advance(0)
        self.server.refuse_connection()
        self.tries(19)
        self.failureResultOf(started, UnreachableError)

    def test_a_connection_that_is_not_made_in_time_is_a_try(self) -> None:
        self.client.start()
        self.reactor.advance(15)
        assert self.states[-1].state is State.CONNECTING
        assert self.states[-1].reason

    def test_the_pause_is_longer_or_shorter_by_chance(self) -> None:
        for chance, pause in ((0.0, 4.0), (0.5, 5.0), (1.0, 6.0)):
            self.client = self.make(settings=replace(self.settings, jitter=0.2), chance=lambda chance=chance: chance)
            self.lose_for_good()
            self.tries(1, pause)
            self.stop()

    def test_a_node_that_drains_says_when_to_come_back(self) -> None:
        self.start()
        self.server.send(Command.CLOSE_CHANNEL, CloseChannel(reconnect_after_ms=300))
        self.server.lose()
        self.reactor.advance(0.3)
        self.server.run()
        assert self.client.state is State.ONLINE

    def test_one_that_drains_and_does_not_close_is_left_then(self) -> None:
        self.start()
        self.server.send(Command.CLOSE_CHANNEL, CloseChannel(reconnect_after_ms=300))
        self.reactor.advance(0.2)
        assert self.client.state is State.ONLINE
        self.reactor.advance(0.1)
        self.server.run()
        assert self.client.state is State.ONLINE
        assert len(self.server.bodies(Command.USER_LOGIN)) == 2


class EndTests(ClientTestCase):
    def kick(self, reason: KickReason) -> None:
        self.start()
        self.server.send(Command.USER_KICK, KickNotice(reason=reason, message="go"))
        self.server.lose()

    def test_who_is_replaced_kicked_or_banned_does_not_come_back(self) -> None:
        for reason in (KickReason.REPLACED, KickReason.ADMIN, KickReason.BANNED):
            self.kicks.clear()
            self.kick(reason)
            assert self.kicks == [Kick(reason, "go")]
            assert self.client.state is State.STOPPED
            self.reactor.advance(60)
            assert not self.server.is_tried

    def test_after_other_reasons_it_comes_back_with_a_new_token(self) -> None:
        for reason in (KickReason.TOKEN_EXPIRED, KickReason.SHUTDOWN):
            self.kick(reason)
            self.server.wait(5)
            assert self.client.state is State.ONLINE
        assert [login.token for login in self.server.bodies(Command.USER_LOGIN)] == ["token 1", "token 2", "token 3"]
        assert self.kicks == []

    def test_one_kicked_while_it_logs_in_stops_as_well(self) -> None:
        self.server.silent.add(Command.USER_LOGIN)
        started = self.client.start()
        self.server.run()
        self.server.send(Command.USER_KICK, KickNotice(reason=KickReason.BANNED))
        self.server.lose()
        self.failureResultOf(started, KickedError)

    def test_stopping_ends_the_connection_and_all_tries(self) -> None:
        self.start()
        self.stop()
        self.reactor.advance(60)
        assert not self.server.is_tried
        assert self.client.state is State.STOPPED

    def test_stopping_while_it_connects_leaves_nothing_behind(self) -> None:
        started = self.client.start()
        self.reactor.advance(0)
        self.successResultOf(self.client.stop())
        self.failureResultOf(started, StoppedError)
        assert [call for call in self.reactor.getDelayedCalls() if call.active()] == []

    def test_a_server_that_does_not_let_go_is_left(self) -> None:
        self.start()
        stopped = self.client.stop()
        self.assertNoResult(stopped)
        self.reactor.advance(self.settings.close_seconds)
        self.successResultOf(stopped)

    def test_after_stopping_it_can_be_started_again(self) -> None:
        self.start()
        self.stop()
        self.start()

    def test_logging_out_tells_the_server(self) -> None:
        self.start()
        ended = self.client.log_out()
        self.server.run()
        assert len(self.server.bodies(Command.USER_LOGOUT)) == 1
        self.server.lose()
        self.successResultOf(ended)


class ServerTimeTests(ClientTestCase):
    def test_a_heartbeat_asks_for_the_servers_clock(self) -> None:
        self.start()
        assert self.result(self.client.account.server_time()) == 0
