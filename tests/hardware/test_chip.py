from typing import Any

import pytest

from tapeout.errors import InputError
from tapeout.hardware.chip import Chip
from tapeout.provenance import read_facts


def number(value: Any, **more: Any) -> dict[str, Any]:
    return {"value": value, "source": "tapeout-estimate", "place": "here", "grade": "guess"} | more


def table(**more: Any) -> dict[str, Any]:
    return {
        "name": "Own chip",
        "vendor": "Us",
        "generation": "own",
        "released": "2028-01-01",
        "power": number("500 W"),
        "peak": {"fp8": number("1 PFLOP/s")},
        "memory": {"kind": "HBM4", "capacity": number("96 GB"), "bandwidth": number("4 TB/s")},
        "scale_up": {"topology": "mesh", "domain": 8, "bandwidth": number("400 GB/s")},
    } | more


def test_the_least_chip_has_no_optional_part() -> None:
    chip = read_facts(Chip, table(), "own.toml", defaults={"id": "own"})
    assert (chip.scale_out, chip.on_chip_memory, chip.silicon) == (None, None, None)
    assert chip.peak["fp8"].value == 1e15  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peak": {}}, "the peak of at least one number format"),
        ({"power": number("0 W")}, "power must be positive"),
        ({"power": number("5 W", low="-1 W")}, "power must be positive"),
        ({"peak": {"bf16": number("-1 TFLOP/s")}}, "peak.bf16 must be positive"),
        ({"scale_out": number("0 B/s")}, "scale_out must be positive"),
        ({"memory": {"kind": "x", "capacity": number("0 B"), "bandwidth": number("1 B/s")}}, "memory.capacity must be positive"),
        ({"scale_up": {"topology": "ring", "domain": 0, "bandwidth": number("1 B/s")}}, "scale_up.domain must be at least 1, given 0"),
        ({"silicon": {"node": "tsmc-5", "dies": 0}}, "silicon.dies must be at least 1, given 0"),
        ({"silicon": {"node": "tsmc-5", "dies": 1, "die_area": number("0 mm2")}}, "silicon.die_area must be positive"),
    ],
)
def test_an_impossible_chip_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_facts(Chip, table(**change), "own.toml", defaults={"id": "own"})
    assert str(caught.value).startswith("own.toml: ")
