"""The option `--cluster` of the commands whose jobs may run elsewhere. Heavy imports stand inside, so that help is instant."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tapeout.console import say
from tapeout.errors import InputError

if TYPE_CHECKING:
    from tapeout.fleet.parallel import Cluster

ClusterOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Work on the dask cluster whose scheduler listens there, such as tcp://host:8786.")
]


@contextlib.contextmanager
def cluster_at(address: str | None, workers: int | None = None) -> Iterator[Cluster | None]:
    """The cluster at the address that was given to `--cluster`, None where none was; raises InputError where it cannot be used."""
    if address is None:
        yield None
        return
    if workers is not None:
        raise InputError("--cluster and --workers exclude each other", hint="a cluster has the processes that were started for it")
    try:
        from tapeout.fleet.dask_cluster import connected
    except ModuleNotFoundError as error:
        if error.name not in ("dask", "distributed"):
            raise
        raise InputError("--cluster needs dask.distributed, which is not installed", hint="pip install 'tapeout[cluster]'") from None
    # A lost connection is told once, as an error of this program.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with connected(address, say) as cluster:
        yield cluster
