"""The trace that comes along: an hour and a half of conversations, made by rule and by nobody's customers.

It holds what real traces hold and simple rules do not: long-tailed lengths, prompts that grow with the turn, and a rate that swings.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from tapeout.errors import UnknownNameError, did_you_mean
from tapeout.provenance import DATA
from tapeout.traffic.arrivals import diurnal
from tapeout.traffic.lengths import EmpiricalLengths
from tapeout.traffic.requests import Requests

SHIPPED = {"synthetic-conversations": DATA / "traces" / "synthetic-conversations.csv"}
COUNT, SEED = 2000, 20261125
SOURCE = "tapeout-synthetic-trace"


def shipped_trace(name: str) -> Path:
    """The file of the trace with this name; raises UnknownNameError with the closest one."""
    if name not in SHIPPED:
        raise UnknownNameError("unknown trace", given=name, allowed=sorted(SHIPPED), hint=did_you_mean(name, SHIPPED))
    return SHIPPED[name]


def conversations(count: int, *, seed: int) -> Requests:
    """`count` turns of conversations at 0.3 requests/s on the mean, twice that at the peak of a period of two hours.

    A message and an answer are log-normal (medians 120 and 180 tokens), a system prompt has 200 tokens, and a turn carries the messages
    and answers of those before it; the number of turns is geometric with a mean of 3.
    """
    generator = np.random.default_rng(seed)
    turns = generator.geometric(1 / 3, size=count)
    past = generator.integers(0, turns)
    message, answer = (np.exp(np.log(median) + 0.9 * generator.standard_normal((2, count))) for median in (120.0, 180.0))
    prompt = np.rint(200 + message[0] + past * (message[1] + answer[1]))
    lengths = EmpiricalLengths(prompt=np.clip(prompt, 1, 30_000).astype(np.int64), output=np.clip(answer[0], 1, 4_000).astype(np.int64))
    return diurnal(count, 0.3, 7200.0, 2.0, lengths, seed=seed)


def to_csv(requests: Requests, source: str) -> str:
    """An open trace in the plain format, times to the millisecond, with who made it in every row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arrival_s", "prompt", "output", "source"])
    rows = zip(requests.arrival.tolist(), requests.prompt.tolist(), requests.output.tolist(), strict=True)
    writer.writerows([f"{arrival:.3f}", prompt, output, source] for arrival, prompt, output in rows)
    return text.getvalue()
