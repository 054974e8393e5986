"""Bans and void tokens: what one node decides holds on all of them."""

import time
from collections.abc import AsyncIterator

from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet.task import deferLater

from imd.gateway.outbox import Outbox
from imd.gateway.sessions import Sessions
from imd.logic.accounts import Accounts
from imd.wire.commands import Command
from imd.wire.results import KickReason, Result
from tests.contract.conftest import PostgresPlace
from tests.contract.subject import Time

from .cluster import Cluster
from .conftest import LogIn, LogInBoth, NewUid
from .device import ANDROID, LINUX, MAC, reactor, refusal
from .users import User


class Now(Time):
    """The clock of the machine."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


@async_yield_fixture
async def accounts(cluster: Cluster) -> AsyncIterator[Accounts]:
    """A third node, on which the operator decides."""
    store = PostgresPlace(cluster.postgres, "postgres").open(Now())
    store.start()
    yield Accounts(reactor, store, Sessions(reactor, Outbox(), 1), "n3", Now().now)
    await store.stop()


async def ended(user: User, reason: KickReason) -> None:
    """Let both devices learn why they are ended."""
    for device in user:
        assert (await device.told(Command.USER_KICK)).reason == reason
        await device.end()


@ensureDeferred
async def test_a_ban_ends_both_devices_and_holds_on_both_nodes_until_it_is_taken_back(
    cluster: Cluster, accounts: Accounts, log_in_both: LogInBoth, log_in: LogIn
) -> None:
    user, other = await log_in_both(), await log_in_both()
    await accounts.ban(user.uid)
    await ended(user, KickReason.BANNED)
    for node in cluster.nodes:
        assert await refusal(log_in(node, user.uid, LINUX)) == Result.FORBIDDEN
    await other.phone.say("still here", to=other.uid + 5000)
    await accounts.unban(user.uid)
    for node, kind in zip(cluster.nodes, (ANDROID, MAC), strict=True):
        await log_in(node, user.uid, kind)


@ensureDeferred
async def test_void_tokens_end_the_sessions_they_made_and_newer_ones_are_good(
    cluster: Cluster, accounts: Accounts, log_in_both: LogInBoth, log_in: LogIn
) -> None:
    user = await log_in_both()
    old = cluster.one.token(user.uid)
    await accounts.void_tokens(user.uid)
    await ended(user, KickReason.TOKEN_EXPIRED)
    for node in cluster.nodes:
        assert await refusal(log_in(node, user.uid, LINUX, token=old)) == Result.AUTH_EXPIRED
    await deferLater(reactor, 1.0 - time.time() % 1.0)  # tokens count in whole seconds
    new = await log_in(cluster.one, user.uid, ANDROID), await log_in(cluster.two, user.uid, MAC)
    await deferLater(reactor, 1.2)  # the nodes have looked again
    for device in new:
        assert await device.heard_all()


@ensureDeferred
async def test_who_has_never_been_here_can_be_banned(
    cluster: Cluster, accounts: Accounts, log_in: LogIn, new_uid: NewUid
) -> None:
    uid = new_uid()
    await accounts.ban(uid)
    assert await refusal(log_in(cluster.two, uid)) == Result.FORBIDDEN
    await accounts.unban(uid)
    alice = await log_in(cluster.two, uid)
    assert (await alice.conversation("system")).group_id == "system"
