"""Files of a run, written whole or not at all.

A file is written beside its place and renamed into it. The files of a run are written in a hidden folder inside the run's
folder and moved together; when anything stops the run, Ctrl-C included, the folder is as it was before.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from tapeout.errors import InputError, Place
from tapeout.report.parquet import to_parquet
from tapeout.report.tables import Row, Table, dump_json, to_csv


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file that the run read: `name` is relative (`scenario.yaml`, `data/chips/nvidia-b200.toml`).

    `frozen` inputs are copied into the run's folder; the package's own data files are only hashed.
    """

    name: str
    content: bytes
    frozen: bool = False

    @property
    def sha256(self) -> str:
        """The SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run leaves: its inputs, its tables, `plan.json` where it made a plan, and the page. `date` is ISO, given by the caller."""

    version: str
    date: str
    inputs: tuple[Input, ...]
    tables: tuple[Table, ...]
    page: str
    plan: Mapping[str, Any] | None = None
    others: Mapping[str, str] = field(default_factory=dict)


def prepare_folder(folder: Path) -> Path:
    """`folder` where a run can be written into it, created and removed again as a trial; raises InputError where it cannot."""
    place = Place(file=str(folder))
    if folder.exists() and not folder.is_dir():
        raise InputError("the output folder is a file", place=place, hint="give another folder")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError("cannot write into the output folder", place=place, hint=error.strerror) from error
    finally:
        for path in made:
            if path.is_dir():
                path.rmdir()
    return folder


def inputs_record(run: Run) -> dict[str, Any]:
    """What `inputs.json` says: version, date, and name, size and SHA-256 of every file that the run read."""
    files: list[Row] = [
        {"name": item.name, "bytes": len(item.content), "sha256": item.sha256, "frozen": item.frozen} for item in run.inputs
    ]
    return {"tapeout": run.version, "date": run.date, "files": files}


def run_files(run: Run) -> dict[str, bytes]:
    """Every file of the run by its relative name, the page last; raises InputError for a name that leads out of the folder."""
    for name in (*(item.name for item in run.inputs), *run.others):
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise InputError("a file of a run is named relative to its folder", given=name)
    files = {f"inputs/{item.name}": item.content for item in run.inputs if item.frozen}
    files["inputs/inputs.json"] = dump_json(inputs_record(run)).encode()
    for table in run.tables:
        files[f"tables/{table.id}.csv"] = to_csv(table).encode()
        files[f"tables/{table.id}.parquet"] = to_parquet(table)
    if run.plan is not None:
        files["plan.json"] = dump_json(run.plan).encode()
    files |= {name: text.encode() for name, text in run.others.items()}
    return files | {"report.html": run.page.encode()}


def write_run(folder: Path, run: Run) -> list[Path]:
    """All files of the run in `folder`, in the order of `run_files`; as `write_files`."""
    return write_files(folder, run_files(run))


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """`files` by relative name in `folder`, all or none; what an earlier run left under the same names is replaced.

    Raises InputError where the folder cannot be written; then, and on interruption, the folder is as it was.
    """
    prepare_folder(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write_together(folder, files)
    except BaseException as error:
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        if isinstance(error, OSError):
            raise InputError("cannot write the run", place=Place(file=error.filename or str(folder)), hint=error.strerror) from error
        raise


def _write_together(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    stage = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    moved: list[tuple[Path, Path | None]] = []
    folders: list[Path] = []
    try:
        for index, content in enumerate(files.values()):
            (stage / f"new-{index}").write_bytes(content)
        for index, name in enumerate(files):
            target = folder / name
            folders += [path for path in reversed((target.parent, *target.parent.parents)) if not path.exists()]
            target.parent.mkdir(parents=True, exist_ok=True)
            saved = stage / f"old-{index}" if target.exists() else None
            if saved is not None:
                shutil.copy2(target, saved)
            moved.append((target, saved))
            os.replace(stage / f"new-{index}", target)
    except BaseException:
        _put_back(moved, folders)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return [folder / name for name in files]


def _put_back(moved: list[tuple[Path, Path | None]], folders: list[Path]) -> None:
    for target, saved in reversed(moved):
        if saved is not None:
            os.replace(saved, target)
        else:
            target.unlink(missing_ok=True)
    for path in reversed(folders):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
