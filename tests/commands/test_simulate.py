"""Ctrl-C in `tapeout simulate`: what was answered by then is printed, written and marked, and the exit code says that it was stopped."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tapeout.serving.compiled import COMPILES

# Sends the interrupt when the compiled loop comes back for the first time, some tenths of a second after it began.
PROGRAM = """
import os, signal, sys
from tapeout.cli import main

def watch(frame, event, _):
    if event == "call" and frame.f_code.co_name == "_with_room":
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without
sys.setprofile(watch)
main()
"""
COMMAND = ("simulate", "meta-llama/Llama-3.1-8B", "--on", "nvidia-h100-sxm:1", "--tp", "1", "--traffic", "poisson:10", "--osl", "64")


@pytest.mark.skipif(not COMPILES, reason="plain Python takes minutes to the first return of the loop")
def test_an_interrupt_keeps_and_marks_what_was_answered(tmp_path: Path) -> None:
    words = [*COMMAND, "--requests", "200000", "--out", str(tmp_path / "run"), "-o", "json"]
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 130, ran.stderr
    assert "Traceback" not in ran.stderr
    row = json.loads(ran.stdout)
    assert row["interrupted"] is True
    assert 0 < row["completed"] < row["requests"] == 200_000
    assert f"stopped: {row['completed']:,} of 200,000 requests were answered" in ran.stderr
    with (tmp_path / "run" / "requests.csv").open() as file:
        requests = list(csv.DictReader(file))
    assert len(requests) == row["completed"]
    assert all(float(one["completion_s"]) > float(one["arrival_s"]) for one in requests)
    assert f"Interrupted: {row['completed']:,} of 200,000 requests" in (tmp_path / "run" / "simulation.html").read_text()
