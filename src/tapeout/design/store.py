"""Results of a search's jobs on disk, so that an interrupted search goes on where it was."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError, Place
from tapeout.provenance import DATA

PREFIX = ".search-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A folder of arrays by job; its name holds what was asked, the program and its facts, so that nothing else is ever read from it."""

    folder: Path

    def held(self, name: str, place: int) -> dict[str, NDArray[Any]] | None:
        """The result of the job `place` of the stage `name`, or None where there is none that can be read."""
        try:
            with self._file(name, place).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def keep(self, name: str, place: int, result: Mapping[str, NDArray[Any]]) -> None:
        """Keep a result, whole or not at all."""
        path = self._file(name, place)
        part = path.with_suffix(".partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(file, allow_pickle=False, **dict(result))
            os.replace(part, path)
        except OSError as error:
            raise InputError("cannot keep the results of the search", place=Place(file=str(path)), hint=error.strerror) from error

    def clear(self) -> None:
        """Remove all that is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, name: str, place: int) -> Path:
        return self.folder / f"{name}-{place:06d}.npz"


def store_in(folder: Path, asked: str, version: str) -> Store:
    """The store below `folder` for what is `asked` of this version of the program with the facts that it has."""
    digest = hashlib.sha256(f"{version}\n{asked}\n".encode())
    for path in sorted(DATA.rglob("*.toml")):
        digest.update(path.read_bytes())
    return Store(folder=folder / f"{PREFIX}{digest.hexdigest()[:16]}")
