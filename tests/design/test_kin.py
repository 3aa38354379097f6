import dataclasses

from tapeout.design.kin import enough_on_chip_memory, on_chip_memory_per_peak
from tapeout.hardware.catalog import chip
from tapeout.hardware.chip import NumberFormat
from tapeout.hardware.designs import designs_of

from .questions import SPACE

BF16, FP8, FP4 = NumberFormat.BF16, NumberFormat.FP8, NumberFormat.FP4


def test_the_share_is_that_of_the_leanest_chip_of_the_kin():
    found = chip("nvidia-h100-sxm")
    assert on_chip_memory_per_peak((BF16, FP8)) == found.on_chip_memory.value / found.peak[BF16].value
    assert on_chip_memory_per_peak((BF16, FP8, FP4)) <= chip("nvidia-b200").on_chip_memory.value / chip("nvidia-b200").peak[BF16].value
    assert on_chip_memory_per_peak((BF16,)) > on_chip_memory_per_peak((BF16, FP8))


def test_a_design_needs_that_share_of_its_own_peak():
    own = next(each for each in SPACE.designs() if each is not None)
    need = 2 * own.multipliers * own.clock * on_chip_memory_per_peak(own.formats)
    sizes = [dataclasses.replace(own, on_chip_memory=need * share) for share in (0.999, 1.0, 1.001)]
    assert enough_on_chip_memory(designs_of(sizes), own.formats).tolist() == [False, True, True]
