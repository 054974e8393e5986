"""PostgreSQL plans a statement again as it is used more: what it chose on an empty table need not be good later."""

from imd.storage.postgresql import PostgresqlDatabase, address

from .postgres_server import PostgresServer

LOOK = "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%%avatar%%' AND name LIKE 'imd%%'"
STATEMENT = "SELECT avatar FROM x_group WHERE group_id = %s"


def test_a_statement_is_planned_again_at_ten_times_the_uses(postgres: PostgresServer) -> None:
    database = PostgresqlDatabase(address(postgres.url("imd"), ""), 1, 5.0)
    try:
        with database.reading() as connection:
            names = []
            for _ in range(120):
                assert connection.exec_driver_sql(STATEMENT, ("nowhere",)).all() == []
                # One at a time: the one before is given up.
                (name,) = connection.exec_driver_sql(LOOK).scalars()
                names.append(name)
    finally:
        database.stop()
    planned = [use for use, name in enumerate(names, 1) if use == 1 or name != names[use - 2]]
    assert planned == [1, 10, 100]
