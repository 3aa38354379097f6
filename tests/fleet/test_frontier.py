"""The frontier: against its own definition."""

from tapeout.fleet.engines import fleets
from tapeout.fleet.frontier import frontier
from tapeout.fleet.service_level import service_level
from tapeout.hardware import catalog
from tapeout.traffic.arrivals import closed_loop
from tapeout.workload.catalog import model
from tapeout.workload.traffic import Lengths

CHIP = catalog.chip("nvidia-h100-sxm")
LLAMA = model("meta-llama/Llama-3.1-8B")


def test_the_frontier_marks_exactly_what_no_point_beats() -> None:
    lengths = Lengths(prompt=128, output=16)
    found = fleets(CHIP, 2, LLAMA, "fp8", closed_loop(1, 1, lengths, seed=1), ["most_sequences=8"])
    points = frontier(found, lengths, service_level("2s/50ms", LLAMA), count=40, seed=1, workers=1)
    assert len(points) == 12
    assert any(point.best for point in points)
    for point in points:
        beaten = any(other.chip_rate >= point.chip_rate and other.user_rate >= point.user_rate and other is not point for other in points)
        assert point.best != beaten
