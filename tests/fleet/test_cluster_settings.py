"""What a command line says of a cluster: what is read, and what each mistake is told."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tapeout.errors import InputError
from tapeout.fleet.cluster_settings import Drafts, Outages, autoscaling, drafts, outages, routing, split
from tapeout.serving.cluster import Autoscaling, Routing


def test_what_is_said_is_read() -> None:
    assert [routing(name) for name in ("round-robin", "least-loaded", "prefix")] == list(Routing)
    expected = Autoscaling(least=1, most=8, target=32.5, interval=15, start_up=120, patience=300)
    assert autoscaling("1:8:32.5:2min") == expected
    assert outages("100h : 10min") == Outages(between=360_000, restart=600)
    assert drafts("3:0.7") == Drafts(tokens=3, chance=0.7)
    assert drafts("3:0.7:meta-llama/Llama-3.1-8B") == Drafts(tokens=3, chance=0.7, model="meta-llama/Llama-3.1-8B")
    # A path may hold colons of its own.
    assert drafts("1:1:C:/models/config.json").model == "C:/models/config.json"
    assert split("2:6") == (2, 6)


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (routing, "leastloaded", "unknown routing.*least-loaded"),
        (autoscaling, "1:8:32", "cannot read --autoscale.*LEAST:MOST:TARGET:START_UP"),
        (autoscaling, "1:8:32:2min:3", "the start-up must be a time"),
        (autoscaling, "one:8:32:2min", "the least replicas must be a whole number"),
        (autoscaling, "8:1:32:2min", "bad bounds of autoscaling"),
        (autoscaling, "1:8:nan:2min", "the requests of a replica must be a number"),
        (autoscaling, "1:8:0:2min", "target of autoscaling"),
        (autoscaling, "1:8:32:2", "the start-up must be a time"),
        (outages, "100h", "cannot read --failures"),
        (outages, "100h:", "cannot read --failures"),
        (outages, "100:10min", "the time between failures must be a time"),
        (drafts, "3", "cannot read --speculate"),
        (drafts, "0:0.7", "at least 1 token"),
        (drafts, "3:1.2", "is a share"),
        (drafts, "3:x", "the chance must be a number"),
        (split, "8", "cannot read --disaggregate"),
        (split, "0:8", "leaves a side without chips"),
        (split, "-1:8", "must be a whole number"),
    ],
)
def test_what_cannot_be_read_is_told(reader: Callable[[str], Any], text: str, message: str) -> None:
    with pytest.raises(InputError) as found:
        reader(text)
    assert re.search(message, str(found.value)), found.value
