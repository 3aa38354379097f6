"""The same work on many jobs in several processes, here or on a cluster, which get what all of them need once.

An interrupt reaches only the one that asks.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
Shared = TypeVar("Shared")


class Crew(Protocol):
    """Runs a function on the shared value and each job; gives the place of a job and its result, in the order in which they are ready."""

    def __call__(self, function: Callable[[Any, Job], Result], jobs: Sequence[Job], /) -> Iterator[tuple[int, Result]]:
        """The places and results."""
        ...


Cluster = Callable[[Any], AbstractContextManager[Crew]]
"""Makes a crew of other machines' processes for the shared value that it is given; `dask_cluster.connected` gives one."""


@contextlib.contextmanager
def crew(shared: Shared, workers: int | None = None, cluster: Cluster | None = None) -> Iterator[Crew]:
    """A crew of so many processes, as many as there are processors where None; of one, this process alone; or that of a cluster.

    Functions must be known by name in a module, and jobs and results are copied, as by `pickle`. Leaving early drops the jobs that have
    not begun.
    """
    if cluster is not None:
        with cluster(shared) as elsewhere:
            yield elsewhere
        return
    count = workers or os.cpu_count() or 1
    if count == 1:

        def alone(function: Callable[[Any, Job], Result], jobs: Sequence[Job], /) -> Iterator[tuple[int, Result]]:
            return ((place, function(shared, job)) for place, job in enumerate(jobs))

        yield alone
        return
    # A fork of a process with threads may hang; a server forks from a clean one.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    executor = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context(method), initializer=_begin, initargs=(shared,))

    def together(function: Callable[[Any, Job], Result], jobs: Sequence[Job], /) -> Iterator[tuple[int, Result]]:
        places = {executor.submit(_call, function, job): place for place, job in enumerate(jobs)}
        return ((places[done], done.result()) for done in as_completed(places))

    try:
        yield together
    finally:
        executor.shutdown(cancel_futures=True)


_held: Any = None
"""What this process was given at its start."""


def _begin(shared: object) -> None:
    global _held
    # An interrupt is for the process that waits for the results.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _held = shared


def _call(function: Callable[[Any, Job], Result], job: Job) -> Result:
    return function(_held, job)
