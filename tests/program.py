"""A run of the program as a test sees it."""

from typing import NamedTuple


class Ran(NamedTuple):
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str
