"""The local store's file: its columns, whose it is, and that it is one process's alone."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import OperationalError
from twisted.trial.unittest import SynchronousTestCase

import imd
from imd.client import messages, schema
from imd.client.database import Database
from imd.client.errors import StoreError
from imd.client.values import Conversation, Message
from imd.storage.schema import x_conversation, x_message
from imd.wire.bodies import ImMsg

from ..paths import new_path

ROOT = Path(imd.__file__).parents[1]


class SchemaTests(SynchronousTestCase):
    def test_messages_have_every_column_of_the_servers_but_the_digest(self) -> None:
        assert {column.name for column in x_message.columns} - {"digest"} <= set(schema.x_message.columns.keys())

    def test_conversations_have_every_column_that_a_user_sees(self) -> None:
        theirs = {column.name for column in x_conversation.columns}
        inner = {"uid", "joined_time", "left_time", "seen"}
        shared = {"group_name", "avatar", "last_message", "sender_name", "sender_remark", "send_time"}
        assert theirs - inner | shared <= set(schema.x_conversation.columns.keys())

    def test_rows_and_values_have_the_same_columns_in_the_same_order(self) -> None:
        assert Message._fields == tuple(schema.x_message.columns.keys())
        assert Conversation._fields == tuple(schema.x_conversation.columns.keys())

    def test_a_message_has_a_field_for_each_of_the_wires(self) -> None:
        wire = {field.name for field in ImMsg.DESCRIPTOR.fields} - {"receiver_id"}
        assert wire <= set(Message._fields)


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = new_path(self)

    def open(self, uid: int = 7) -> Database:
        database = Database(self.path, uid)
        database.open()
        self.addCleanup(database.close)
        return database

    def complaint(self, uid: int = 7) -> str:
        with self.assertRaises(StoreError) as refused:
            self.open(uid)
        return str(refused.exception)

    def test_what_is_committed_is_there_the_next_time(self) -> None:
        first = self.open()
        with first.transaction():
            messages.delete(first, "g1", [3])
        first.close()
        second = self.open()
        with second.transaction():
            assert second.run("SELECT seq_id FROM x_message") == [(3,)]

    def test_nobody_else_may_read_it(self) -> None:
        self.open()
        for file in Path(self.path).parent.glob(f"{Path(self.path).name}*"):
            assert file.stat().st_mode & 0o077 == 0, file

    def test_two_on_one_file_are_an_error_that_says_so(self) -> None:
        self.open()
        assert "is in use by another client" in self.complaint()

    def test_also_from_another_process_and_after_another_try(self) -> None:
        self.open()
        for _ in range(2):
            self.complaint()
            code = f"from imd.client.database import Database; Database({self.path!r}, 7).open()"
            other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
            assert "is in use by another client" in other.stderr

    def test_one_that_is_closed_can_be_opened_by_another(self) -> None:
        self.open().close()
        self.open()

    def test_another_users_store_is_not_taken(self) -> None:
        self.open(7).close()
        assert "is the local store of uid 7, not of 8" in self.complaint(8)

    def test_another_programs_database_is_left_as_it_is(self) -> None:
        with closing(sqlite3.connect(self.path)) as other:
            other.execute("CREATE TABLE x_message (a)")
            other.commit()
        assert "not a local store" in self.complaint()

    def test_a_later_versions_store_is_left_as_it_is(self) -> None:
        database = self.open()
        with database.transaction():
            database.run("PRAGMA user_version = 99")
        database.close()
        assert "has version 99" in self.complaint()

    def test_what_is_no_database_is_an_error(self) -> None:
        with open(self.path, "wb") as file:
            file.write(b"nonsense" * 1000)
        assert "can't be used: file is not a database" in self.complaint()

    def test_a_folder_that_is_not_there_is_an_error(self) -> None:
        self.path = "/nowhere/at/all"
        assert "can't be used: unable to open database file" in self.complaint()

    def test_a_statement_that_fails_undoes_its_step_alone(self) -> None:
        database = self.open()
        with database.transaction():
            messages.delete(database, "g1", [1])
            with self.assertRaises(OperationalError), database.savepoint():
                messages.delete(database, "g1", [2])
                database.run("nonsense")
            assert database.run("SELECT seq_id FROM x_message") == [(1,)]


class PlanTests(SynchronousTestCase):
    """Each look-up goes by a key, however many messages there are."""

    def test_no_message_is_looked_for_one_by_one(self) -> None:
        database = Database(None, 7)
        database.open()
        plans: list[str] = []
        run = database.run

        def explain(statement: str, *parameters: object) -> list[object]:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                plans.extend(row[-1] for row in run(f"EXPLAIN QUERY PLAN {statement}", *parameters))
            return run(statement, *parameters)

        database.run = explain  # type: ignore[method-assign]
        with database.transaction():
            messages.newest(database, "g1", 5, 20)
            messages.run_after(database, "g1", 5, 20)
            messages.lowest(database, "g1")
            messages.mark_read(database, "g1", 1, 5)
            messages.count_unread(database, "g1", 1, 1000)
            messages.take_back(database, "g1", 5)
            messages.queued(database, "g1", 5, 20)
            messages.clear(database, "g1", 5)
            messages.insert_received(database, [messages.tombstone("g1", 1)._replace(sender_id=7, msg_id="m")])
        database.close()
        assert plans
        for plan in plans:
            assert (
                plan.startswith("SEARCH x_message USING") or "CO-ROUTINE" in plan or plan.startswith("SCAN (subquery")
            )
