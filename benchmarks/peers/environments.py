"""The peers, and an environment of its own for each: made on first use, kept below `.peers/`, which git ignores."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".peers"
STAMP = "requirements.txt"
QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
"""One thread for every library that would take more."""


class SetupError(Exception):
    """A peer that cannot be installed here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A predictor to compare with: its name, what to install, the driver beside this file, and what it needs without saying so."""

    name: str
    requirement: str
    driver: str
    besides: tuple[str, ...] = ()

    @property
    def requirements(self) -> tuple[str, ...]:
        """All that is installed."""
        return (self.requirement, *self.besides)

    @property
    def script(self) -> Path:
        """The driver's file."""
        return Path(__file__).with_name(self.driver)


PEERS = (
    Peer(name="llm-analysis", requirement="llm-analysis==0.2.2", driver="llm_analysis_driver.py"),
    Peer(name="GenZ", requirement="genz-llm==0.0.16", driver="genz_driver.py"),
    Peer(name="AIConfigurator", requirement="aiconfigurator-core==0.12.0", driver="aiconfigurator_driver.py"),
)


def environment(peer: Peer) -> Path:
    """The interpreter of the peer's environment, made if it is not there yet; raises SetupError with the installer's last words."""
    folder = FOLDER / peer.name.lower()
    python = folder / "bin" / "python"
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == "\n".join(peer.requirements):
        return python
    shutil.rmtree(folder, ignore_errors=True)
    local = ROOT / ".uv" / "bin" / "uv"
    uv = str(local) if local.is_file() else shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), *peer.requirements])
    else:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", *peer.requirements])
    stamp.write_text("\n".join(peer.requirements), encoding="utf-8")
    return python


def run_driver(peer: Peer, *arguments: Path) -> None:
    """Run the peer's driver in its environment; raises SetupError where it cannot be installed or its driver breaks off."""
    command = [str(environment(peer)), str(peer.script), *(str(argument) for argument in arguments)]
    done = subprocess.run(command, env=os.environ | QUIET, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SetupError(f"the driver ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}")


def _run(command: list[str]) -> None:
    # uv trusts the certificates of the system, as pip does; the second name is that of older releases.
    variables = os.environ | {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    if done.returncode:
        raise SetupError(" ".join(done.stderr.split())[-300:] or f"{command[0]} ended with {done.returncode}")
