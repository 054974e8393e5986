"""`imctl bench upstream` through a real daemon and a real Redis."""

import json

from .test_imctl import IMCTL, run


def test_every_report_is_counted_at_its_ack_and_in_the_stream() -> None:
    done = run([*IMCTL, "bench", "upstream", "--seconds", "0.3", "--users", "3", "--window", "2", "--json"])
    assert done.returncode == 0, done.stderr
    acked, carried_on = json.loads(done.stdout)["works"]
    for work in (acked, carried_on):
        assert (work["unit"], work["breaches"]) == ("report", [])
        assert work["count"] > 10
        assert work["server_us"] > 0
    assert (acked["work"], carried_on["work"]) == (
        "reports, 3 users, window 2, until the ACK",
        "reports, 3 users, window 2, on to Redis Streams",
    )
