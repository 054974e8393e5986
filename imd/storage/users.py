"""What users set for themselves: whom they block, and from when on their badge counts."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from imd.errors import TooLargeError
from imd.storage.schema import x_block, x_user
from imd.storage.transaction import Transaction


def clear_badge(transaction: Transaction, uid: int) -> None:
    """Count the badge of offline pushes from now on."""
    transaction.connection.execute(update(x_user).where(x_user.c.uid == uid).values(badge_from=transaction.time))


def block(transaction: Transaction, uid: int, uids: Sequence[int], limit: int) -> None:
    """Add to a block list. Raises TooLargeError past ``limit``."""
    connection = transaction.connection
    # The first write takes the row's lock, so that two nodes count one after the other.
    connection.execute(update(x_user).where(x_user.c.uid == uid).values(uid=uid))
    already = set(blocked(connection, uid))
    fresh = [other for other in dict.fromkeys(uids) if other not in already]
    if len(already) + len(fresh) > limit:
        raise TooLargeError(f"a block list holds at most {limit} users; this would make {len(already) + len(fresh)}")
    if fresh:
        connection.execute(insert(x_block), [{"uid": uid, "blocked": other} for other in fresh])


def unblock(transaction: Transaction, uid: int, uids: Sequence[int]) -> None:
    """Take off a block list."""
    transaction.connection.execute(delete(x_block).where(x_block.c.uid == uid, x_block.c.blocked.in_(uids)))


def blocked(connection: Connection, uid: int) -> list[int]:
    """Whom the user has blocked, ascending."""
    query = select(x_block.c.blocked).where(x_block.c.uid == uid).order_by(x_block.c.blocked)
    return list(connection.execute(query).scalars())


def blockers(connection: Connection, uid: int, uids: Collection[int]) -> frozenset[int]:
    """Those of ``uids`` who have blocked ``uid``."""
    query = select(x_block.c.uid).where(x_block.c.uid.in_(list(uids)), x_block.c.blocked == uid)
    return frozenset(connection.execute(query).scalars())
