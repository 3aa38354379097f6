"""Single files, written whole or not at all: beside their place first, then renamed into it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tapeout.errors import InputError, Place


def write_bytes(path: Path, content: bytes) -> Path:
    """`content` in the file `path`, whole or not at all; raises InputError where the place cannot be written."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    except OSError as error:
        raise InputError("cannot write the file", place=Place(file=str(path)), hint=error.strerror) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError("cannot write the file", place=Place(file=str(path)), hint=error.strerror) from error
        raise
    return path


def write_text(path: Path, text: str) -> Path:
    """`text` in the file `path` as UTF-8, whole or not at all."""
    return write_bytes(path, text.encode("utf-8"))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
