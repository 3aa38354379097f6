"""What every driver shares: reading the cases and the facts, timing each answer, writing the answers.

A driver runs in its peer's own environment, so this file needs the standard library only.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

ANSWERS = ("case", "status", "ttft_ms", "tpot_ms", "output_tokens_per_s_per_chip", "detail")
REFUSED, FAILED = "refused", "failed"
LONGEST_REASON = 300
Row = dict[str, str]


class RefusedError(Exception):
    """The peer cannot express the case, or declined it; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """`tensor` x `pipeline` chips hold one copy of attention; `data` such ranks form a replica; `expert` splits the experts."""

    tensor: int
    pipeline: int
    expert: int
    data: int

    @property
    def chips(self) -> int:
        """Chips of one replica."""
        return self.tensor * self.pipeline * self.data


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the cases with the facts it refers to: `chip`, `model` and `formats` are entries of the facts file."""

    name: str
    online: bool
    chip: dict[str, Any]
    chips: int
    model: dict[str, Any]
    formats: dict[str, str]
    prompt: int
    output: int
    deployments: tuple[Deployment, ...]
    concurrency: float | None
    software: str

    def users(self, deployment: Deployment) -> int | None:
        """Sequences that one attention rank serves at once, at least one; offline the most that it may, None without a limit."""
        if self.concurrency is None:
            return None
        return max(1, round(self.concurrency * deployment.tensor * deployment.pipeline / self.chips))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Times in milliseconds and output tokens/s per chip; None where the case does not ask for it."""

    ttft: float | None = None
    tpot: float | None = None
    rate: float | None = None
    detail: str = ""


class Peer(Protocol):
    """A predictor: answers one case; counts the evaluations, and the seconds of set-up that it did meanwhile."""

    evaluations: int
    setup_seconds: float

    def answer(self, case: Case) -> Answer:
        """The prediction for the case; raises RefusedError."""
        ...


def best_of(case: Case, attempt: Callable[[Deployment], Answer]) -> Answer:
    """The answer of the given deployment or, where the row leaves it open, of the one with the most tokens/s per chip."""
    found: list[Answer] = []
    refusals: list[RefusedError] = []
    for deployment in case.deployments:
        try:
            found.append(attempt(deployment))
        except RefusedError as refusal:
            refusals.append(refusal)
    if not found:
        raise refusals[0]
    return max(found, key=lambda answer: answer.rate or 0.0)


def plain(model: dict[str, Any]) -> dict[str, Any]:
    """The model, refused where it is more than equal layers of attention and one feed-forward."""
    if model["beyond"]:
        raise RefusedError(model["beyond"])
    return model


def stored_and_computed(case: Case) -> tuple[str, str]:
    """The format of most weights (the experts', where there are some), and that of their products: bf16 where the chip lacks it."""
    stored = case.formats["expert" if case.model["experts"] else "linear"]
    return stored, stored if stored in case.chip["peak_flops"] else "bf16"


def main(peer: Callable[[], Peer]) -> None:
    """Answer the cases of the command line: `DRIVER cases.csv facts.json answers.csv timing.json`.

    The facts' `deployments` of a case are never empty; which software served a case is an optional column.
    """
    cases, facts, answers, timing = (Path(argument) for argument in sys.argv[1:5])
    known = json.loads(facts.read_text(encoding="utf-8"))
    with cases.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with contextlib.redirect_stdout(io.StringIO()):
        driven = peer()
        seconds, found = _answered(rows, known, driven)
    with answers.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ANSWERS)
        writer.writeheader()
        writer.writerows(found)
    timing.write_text(json.dumps({"seconds": seconds - driven.setup_seconds, "evaluations": driven.evaluations}), encoding="utf-8")


def _answered(rows: list[Row], facts: dict[str, Any], peer: Peer) -> tuple[float, list[Row]]:
    """Seconds of processor time spent in the peer, which other work on the machine does not lengthen, and the answers in order."""
    seconds, found = 0.0, []
    for row in rows:
        begin = time.process_time()
        try:
            cells = _cells(peer.answer(_case(row, facts)))
        except RefusedError as refusal:
            cells = _reason(REFUSED, str(refusal))
        except Exception as error:  # whatever else a peer trips over is its answer too
            cells = _reason(FAILED, f"{type(error).__name__}: {error}")
        seconds += time.process_time() - begin
        found.append({"case": row["case"], **cells})
    return seconds, found


def _reason(status: str, reason: str) -> Row:
    return {"status": status, "detail": " ".join(reason.split())[:LONGEST_REASON]}


def _cells(answer: Answer) -> Row:
    values = {"ttft_ms": answer.ttft, "tpot_ms": answer.tpot, "output_tokens_per_s_per_chip": answer.rate}
    return {"status": "ok", "detail": answer.detail, **{name: "" if value is None else f"{value:.6g}" for name, value in values.items()}}


def _case(row: Row, facts: dict[str, Any]) -> Case:
    entry = facts["cases"].get(row["case"])
    if entry is None or "reason" in entry:
        raise RefusedError(entry["reason"] if entry else "no facts")
    return Case(
        name=row["case"],
        online=row["kind"].strip() == "online",
        chip=facts["chips"][entry["chip"]],
        chips=int(float(row["chips"])),
        model=facts["models"][entry["model"]],
        formats=facts["formats"][entry["formats"]],
        prompt=int(float(row["isl"])),
        output=int(float(row["osl"])),
        deployments=tuple(Deployment(**deployment) for deployment in entry["deployments"]),
        concurrency=float(row["concurrency"]) if row["concurrency"].strip() else None,
        software=row.get("software") or "",
    )
