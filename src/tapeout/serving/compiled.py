"""Functions in the subset of Python that numba compiles: compiled once and kept on disk where numba is there, plain Python elsewhere.

What is kept depends on the text of every module with such functions and of all that these import from this part, so that a change
of one never meets an old translation of another.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

try:
    import numba
except ImportError:
    numba = None

COMPILES = numba is not None
"""Whether numba is there; without it the same source runs as Python, a few hundred times slower."""
IMPORT = re.compile(r"^from tapeout\.serving(?:\.(\w+))? import ([^\n(]+|\([^)]*\))", re.MULTILINE)
"""A line that imports from this part: the module, or names of modules."""
WRITTEN = 600.0
"""Seconds after which no process still writes to translations of another source."""


def _kept_in() -> str:
    here = Path(__file__).parent
    digest = hashlib.sha256("".join(sources(here)).encode()).hexdigest()[:16]
    beside = here / "__pycache__"
    writable = os.access(beside if beside.exists() else here, os.W_OK)
    root = beside if writable else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tapeout"
    forget_others(root, digest)
    return str(root / digest)


def waiting_for_translation() -> list[str]:
    """Lines to say before the first compiled call, where it takes long: nothing once the translation is on disk."""
    if numba is None:
        return ["numba is not installed: the simulator runs as plain Python, hundreds of times slower"]
    if not any(Path(_KEPT_IN).rglob("*.nbc")):
        return ["compiling the simulator, once; this takes about half a minute"]
    return []


def sources(folder: Path) -> list[str]:
    """The texts of the modules in `folder` that have compiled functions, and of all that these import there, by name."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}
    found, new = set[str](), {name for name, text in texts.items() if re.search(r"^@compiled", text, re.MULTILINE)}
    while new:
        found |= new
        lines = [line for name in new for line in IMPORT.findall(texts[name])]
        named = {name for module, names in lines for name in ([module] if module else re.findall(r"\w+", names))}
        new = (named & set(texts)) - found
    return [texts[name] for name in texts if name in found]


def forget_others(root: Path, digest: str) -> None:
    """Remove the translations in `root` of any source but that of `digest`; those so young that they may still be written stay."""
    for path in root.glob("*"):
        if re.fullmatch("[0-9a-f]{16}", path.name) and path.name != digest and path.is_dir():
            latest = max((inner.stat().st_mtime for inner in (path, *path.iterdir())), default=0.0)
            if time.time() - latest > WRITTEN:
                shutil.rmtree(path, ignore_errors=True)


def compiled(function: Function) -> Function:
    """`function` compiled into its callers, which are compiled themselves; to the bit the same floats."""
    return _translated(function, inside=True, called=False)


def compiled_apart(function: Function) -> Function:
    """The same for what is called rarely: a call costs more, a translation of all less."""
    return _translated(function, inside=False, called=False)


def compiled_openly(function: Function) -> Function:
    """The same for what plain Python calls as well; what unpacks its arguments takes longer to translate than most functions."""
    return _translated(function, inside=True, called=True)


def _translated(function: Function, *, inside: bool, called: bool) -> Function:
    if numba is None:
        return function
    before = numba.config.CACHE_DIR
    # The place is read when the decorator runs; nobody else's functions are to move.
    numba.config.CACHE_DIR = _KEPT_IN
    try:
        # Nothing here makes or keeps an array, so none is counted: calls that pass the state take a tenth of the time.
        found: Function = numba.njit(
            cache=True, error_model="numpy", forceinline=inside, _nrt=False, no_cpython_wrapper=not called, no_cfunc_wrapper=True
        )(function)
    finally:
        numba.config.CACHE_DIR = before
    return found


_KEPT_IN = _kept_in()
