"""A crew on a cluster through dask.distributed: the same functions, jobs and results as in processes here, copied in the same way.

Needs the extra `cluster`. Its processes must run this very program; that is checked, since another one would give other results.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import importlib.metadata
import pickle
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distributed import CancelledError, Client, KilledWorker, Security, as_completed, rpc

from tapeout import __version__
from tapeout.errors import InputError, TapeoutError
from tapeout.fleet.parallel import Cluster, Crew, Job, Result
from tapeout.units import Seconds

PACKAGE = Path(__file__).parents[1]
PATIENCE = 10.0
"""Seconds in which a scheduler must answer, and then a process of its cluster."""
CODE_AND_FACTS = {".py", ".toml", ".json", ".csv"}
FORM = re.compile(r"(tcp|tls)://[^/@?#\s]+")


@contextlib.contextmanager
def connected(address: str, say: Callable[[str], None] = lambda text: None, patience: Seconds = PATIENCE) -> Iterator[Cluster]:
    """The cluster whose scheduler listens at `address`, such as tcp://host:8786, for as many crews as are wanted.

    Raises InputError where no scheduler answers there within `patience`, no process works for it, or one of them runs another program.
    """
    check_address(address)
    try:
        # A client alone waits for ever on a server of another kind.
        kind = asyncio.run(_kind(address, patience))
    except (OSError, TimeoutError):
        kind = None
    if kind != "Scheduler":
        hint = f"start one by `dask scheduler`, and `dask worker {address}` where the work is to be done"
        raise InputError(f"no dask scheduler answers within {patience:g} s", given=address, hint=hint)
    with Client(address, timeout=patience, set_as_default=False) as client:
        say(f"{_checked_workers(client, address, patience)} processes work for {address}")
        yield functools.partial(_crew, client, address)


def check_address(address: str) -> None:
    """Raise InputError where this is no address of a scheduler.

    >>> check_address("tcp://10.0.0.7:8786")
    """
    try:
        parts = urlsplit(address)
        whole = bool(FORM.fullmatch(address) and parts.hostname and parts.port)
    except ValueError:
        whole = False
    if not whole:
        raise InputError("not the address of a dask scheduler", given=address, allowed="tcp://HOST:PORT or tls://HOST:PORT")


def program() -> str:
    """What runs here, in words: versions, and a digest of the code and the facts of this package."""
    digest = hashlib.sha256()
    for path in sorted(path for path in PACKAGE.rglob("*") if path.suffix in CODE_AND_FACTS):
        digest.update(f"{path.relative_to(PACKAGE)}\n".encode() + path.read_bytes())
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy"))
    return f"tapeout {__version__} ({digest.hexdigest()[:12]}), Python {platform.python_version()}, {versions}"


async def _kind(address: str, patience: Seconds) -> str:
    secrets = Security().get_connection_args("client")
    async with asyncio.timeout(patience), rpc(address, connection_args=secrets) as server:
        return str((await server.identity())["type"])


@contextlib.contextmanager
def _crew(client: Client, address: str, shared: object) -> Iterator[Crew]:
    # A result of the cluster itself, so that it is made again where a machine that held it is lost.
    held = client.submit(pickle.loads, pickle.dumps(shared), pure=False)
    places: dict[Any, int] = {}

    def run(function: Callable[[Any, Job], Result], jobs: Sequence[Job], /) -> Iterator[tuple[int, Result]]:
        begun = {client.submit(_call, held, pickle.dumps((function, job)), pure=False): place for place, job in enumerate(jobs)}
        places.update(begun)
        return _results(begun)

    def _results(begun: dict[Any, int]) -> Iterator[tuple[int, Any]]:
        for done in as_completed(begun, loop=client.loop):
            del begun[done]
            place = places.pop(done)
            try:
                result = done.result()
            except (CancelledError, KilledWorker) as error:
                raise TapeoutError(f"the cluster at {address} was lost: {' '.join(str(error).split())}") from error
            yield place, pickle.loads(result)  # noqa: S301 (what our own function made)

    try:
        yield run
    finally:
        client.cancel([*places, held])


def _call(shared: object, work: bytes) -> bytes:
    function, job = pickle.loads(work)  # noqa: S301 (made below `_crew`)
    return pickle.dumps(function(shared, job))


def _checked_workers(client: Client, address: str, patience: Seconds) -> int:
    """How many there are; raises InputError where there is none, or one runs another program."""
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError:
        raise InputError("no process works for this scheduler", given=address, hint=f"start some by `dask worker {address}`") from None
    here = program()
    programs = client.run(program, on_error="return")
    for worker, there in programs.items():
        if there != here:
            given = f"{type(there).__name__}: {there}" if isinstance(there, Exception) else there
            raise InputError(f"the process at {worker} runs another program", given=given, allowed=here, hint="install the same there")
    return len(programs)
