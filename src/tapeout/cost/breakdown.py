"""The recurring cost of a chip by component, from the inputs at one point or at a hundred thousand draws."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.cost.die import dies_per_wafer, known_good_die
from tapeout.cost.inputs import Build, DieInputs, Inputs
from tapeout.cost.package import chip_last_package
from tapeout.cost.testing import passing, quality
from tapeout.cost.yields import YieldModel, harvested, negative_binomial

Array = NDArray[np.float64]
Money = TypeVar("Money")


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBreakdown(Generic[Money]):
    """Recurring cost of one chip by component in USD; they add up to `total`.

    `silicon` is the wafer under the dies and their sort, `defects` what dies with a defect would waste, `harvesting` (at most 0) what
    spare units save of that; `base_dies` all of the base dies; `memory` the stacks or devices; `package` the carrier with its bonding,
    `substrate` what is below it; `loss` what failed stacking and assembly waste, memory included; `escapes` what bad parts that passed
    their test waste; `test` the final test; `module` the board and power delivery.
    """

    silicon: Money
    defects: Money
    harvesting: Money
    base_dies: Money
    memory: Money
    package: Money
    substrate: Money
    loss: Money
    escapes: Money
    test: Money
    module: Money

    @property
    def dies(self) -> Money:
        """The compute dies that can be sold."""
        return self.silicon + self.defects + self.harvesting  # type: ignore[operator, no-any-return]

    @property
    def total(self) -> Money:
        """All components together."""
        return sum(self.by_name().values())  # type: ignore[arg-type, return-value]

    def by_name(self) -> dict[str, Money]:
        """The components in order."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dies:
    """Dies of one kind, each: cost as cut and sorted, the share without a defect, and the share that can be sold after harvesting."""

    raw: Array
    good: Array
    sold: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assembled:
    """A package that works: its carrier, what failed stacking and bonding wasted, and all of it with the parts."""

    carrier: Array
    loss: Array
    total: Array


def breakdown(build: Build, inputs: Inputs[ArrayLike], yield_model: YieldModel = negative_binomial) -> CostBreakdown[Array]:
    """Recurring cost of one chip by component in USD, of the broadcast shape of the inputs.

    Dies by `die` and `yields`; base dies are joined with the compute dies on them and tested as a stack; dies or stacks are packaged
    chip-last with the memory [chiplet-actuary]. What passed a test while bad is found at the final test, with the whole package lost
    [catch-layer-definitions]. Raises InputError for a die above the reticle limit.
    """
    compute = _dies(inputs.compute, build, inputs, yield_model)
    base = None if inputs.base is None else _dies(inputs.base, build, inputs, yield_model)
    whole = _assembled(build, inputs, compute, base, 1.0)
    real = _assembled(build, inputs, compute, base, inputs.coverage)
    return CostBreakdown(
        silicon=build.dies * compute.raw,
        defects=build.dies * compute.raw * (1 / compute.good - 1),
        harvesting=build.dies * compute.raw * (1 / compute.sold - 1 / compute.good),
        base_dies=np.zeros(()) if base is None else build.base_dies * base.raw / base.sold,
        memory=_memory(build, inputs),
        package=whole.carrier,
        substrate=_array(inputs.substrate),
        loss=whole.loss,
        escapes=real.total - whole.total,
        test=_array(inputs.final_test),
        module=_array(inputs.module) + _array(inputs.power) * _array(inputs.auxiliary),
    )


def _assembled(build: Build, inputs: Inputs[ArrayLike], compute: _Dies, base: _Dies | None, coverage: ArrayLike) -> _Assembled:
    """The package where each test finds the share `coverage` of the bad parts; 1 finds them all."""
    parts = build.dies * compute.raw / passing(compute.sold, coverage)
    working, count, area = quality(compute.sold, coverage), build.dies, build.dies * _array(inputs.compute.area)
    stacking = np.zeros(())
    if base is not None and inputs.base is not None and inputs.stacking_yield is not None:
        on_each, count, area = build.dies // build.base_dies, build.base_dies, build.base_dies * _array(inputs.base.area)
        parts = parts + count * base.raw / passing(base.sold, coverage)
        stack = (_array(inputs.stacking_yield) * working) ** on_each * quality(base.sold, coverage)
        stacking = parts * (1 / passing(stack, coverage) - 1)
        parts, working = parts + stacking, quality(stack, coverage)
    placed = _memory(build, inputs) if build.stacked else np.zeros(())
    package = chip_last_package(
        parts=parts + placed,
        count=count + (build.units if build.stacked else 0),
        carrier=_array(inputs.package_price) * _array(inputs.area_factor) * (area + build.units * build.unit_area),
        substrate=inputs.substrate,
        carrier_yield=inputs.carrier_yield,
        bonding_yield=inputs.bonding_yield,
        substrate_yield=inputs.substrate_yield,
    )
    return _Assembled(
        carrier=package.raw - _array(inputs.substrate),
        loss=stacking + package.failed + package.wasted_parts,
        total=(parts + placed + package.total) / working**count,
    )


def _dies(kind: DieInputs[ArrayLike], build: Build, inputs: Inputs[ArrayLike], yield_model: YieldModel) -> _Dies:
    gross = dies_per_wafer(kind.area, diameter=build.wafer_diameter, edge_loss=inputs.edge_loss, scribe_lane=inputs.scribe_lane)
    good = yield_model(kind.area, kind.defect_density, inputs.clustering)
    return _Dies(raw=known_good_die(kind.wafer_price, gross, 1.0, inputs.sort), good=good, sold=harvested(good, inputs.harvest))


def _memory(build: Build, inputs: Inputs[ArrayLike]) -> Array:
    return build.capacity * _array(inputs.memory_price)


def _array(number: ArrayLike) -> Array:
    return np.asarray(number, dtype=np.float64)
