"""Users, as far as the store knows them: the SSO owns who they are."""

from sqlalchemy.dialects.sqlite import insert

from imd.storage.commit import Transaction
from imd.storage.schema import x_user


def remember_user(transaction: Transaction, uid: int) -> None:
    """Note the user's first login; later ones change nothing."""
    transaction.connection.execute(insert(x_user).values(uid=uid, first_seen=transaction.time).on_conflict_do_nothing())
