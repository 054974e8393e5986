"""The load runs in a process of its own, so that neither the progress bar nor the report costs it anything."""

import gc
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import monotonic

from imd.cli.bench.load import Target
from imd.cli.bench.outcome import Outcome, Progress, Work
from imd.cli.bench.wire import LoadError

_PROGRESS_SECONDS = 0.25


def run_apart(work: Work, target: Target, progress: Progress) -> Outcome:
    """Run ``work`` in a child process and return what it came to. Raises LoadError."""
    context = get_context("spawn")
    results, sending_end = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, target, sending_end), daemon=True)
    process.start()
    sending_end.close()
    try:
        while True:
            match results.recv():
                case Outcome() as outcome:
                    return outcome
                case LoadError() as error:
                    raise error
                case done, whole:
                    progress(done, whole)
    except EOFError:
        raise LoadError("The load process ended before it was done; what it said stands above.") from None
    finally:
        process.terminate()
        process.join()
        results.close()


def _child(work: Work, target: Target, results: "Connection[object, object]") -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    gc.disable()  # nothing per message is cyclic, and a collection would show in the latencies
    with suppress(BrokenPipeError):
        try:
            results.send(replace(work.run(target, _seldom(results.send)), nodes=len(target.nodes)))
        except LoadError as error:
            results.send(error)


def _seldom(send: Callable[[object], None]) -> Progress:
    """Return a Progress that passes on a few calls a second."""
    due = 0.0

    def progress(done: float, whole: float) -> None:
        nonlocal due
        now = monotonic()
        if now >= due:
            due = now + _PROGRESS_SECONDS
            send((done, whole))

    return progress
