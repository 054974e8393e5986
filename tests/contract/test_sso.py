"""ISso: is this token this user's?"""

import pytest
from pytest_twisted import ensureDeferred
from zope.interface.verify import verifyObject

from imd.errors import AuthExpiredError, AuthFailedError
from imd.model import Identity
from imd.ports.sso import ISso

from .sso_sources import Tokens


def test_the_implementation_provides_the_port(tokens: Tokens) -> None:
    assert verifyObject(ISso, tokens.sso)


@ensureDeferred
async def test_a_good_token_says_who_its_user_is(tokens: Tokens) -> None:
    identity = await tokens.verify(7, tokens.token(7, 60, name="李", is_admin=True))
    assert identity == Identity(7, "李", True, int(tokens.now) + 60, tokens.now)


@ensureDeferred
async def test_nobody_is_an_admin_and_nobody_has_a_name_unless_the_login_system_says_so(tokens: Tokens) -> None:
    identity = await tokens.verify(7, tokens.token(7))
    assert (identity.name, identity.is_admin) == ("", False)


@ensureDeferred
async def test_the_token_of_another_user_is_refused(tokens: Tokens) -> None:
    with pytest.raises(AuthFailedError):
        await tokens.verify(8, tokens.token(7))


@ensureDeferred
async def test_what_is_no_token_is_refused(tokens: Tokens) -> None:
    good = tokens.token(7)
    for bad in ("", "x", "a.b.c", good[:-2], good + "x", "é" * 50, "\0", "." * 10_000):
        with pytest.raises(tokens.refuses):
            await tokens.verify(7, bad)


@ensureDeferred
async def test_a_token_that_was_good_once_is_expired(tokens: Tokens) -> None:
    token = tokens.token(7, 60)
    tokens.now += 59
    await tokens.verify(7, token)
    tokens.now += 1
    with pytest.raises(AuthExpiredError):
        await tokens.verify(7, token)


@ensureDeferred
async def test_a_refusal_does_not_tell_the_token(tokens: Tokens) -> None:
    token = tokens.token(7)
    with pytest.raises(AuthFailedError) as refused:
        await tokens.verify(8, token)
    assert token not in str(refused.value)


@ensureDeferred
async def test_the_largest_uid_has_a_token_too(tokens: Tokens) -> None:
    assert (await tokens.verify(2**63 - 1, tokens.token(2**63 - 1))).uid == 2**63 - 1
