"""What one part of a scenario says of another, of the catalogue and of the calendar: every reference must lead somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tapeout.cost import prices
from tapeout.cost.datacenter import SiteKind, sites, tariffs
from tapeout.errors import InputError, did_you_mean
from tapeout.hardware.catalog import SUFFIX, chip, chips
from tapeout.hardware.custom import VENDOR, own_chip
from tapeout.hardware.process import memories, packagings, processes
from tapeout.scenario.branches import branch_faults
from tapeout.scenario.contracts import AnyContract, Lease, OnDemand, Own, Owned, Partner, Purchase, Reserved
from tapeout.scenario.document import Document, Location
from tapeout.scenario.quarters import Quarter, Series, quarter_of
from tapeout.scenario.schema import Scenario, ServedModel
from tapeout.workload.architecture import Architecture
from tapeout.workload.catalog import model

NEGLIGIBLE = 1e-6


@dataclass(frozen=True, slots=True)
class _Fault:
    location: Location
    error: InputError


def faults(scenario: Scenario, document: Document) -> list[InputError]:
    """Every reference of `scenario` that leads nowhere and every date out of order, each at its place in `document`."""
    checks: tuple[Callable[[Scenario], Iterable[_Fault]], ...] = (
        _chips, _sites, _programmes, _prices, _launches, _windows, _starts, _ranges, _unused, _suppliers, _own_chips,
    )  # fmt: skip
    found = [fault for check in checks for fault in check(scenario)]
    found += list(_architectures(scenario, document))
    found += [_Fault(location, error) for location, error in branch_faults(scenario, document)]
    return [fault.error.at(document.value_place(fault.location)) for fault in found]


def _unknown(location: Location, what: str, given: str, known: Iterable[str], hint: str | None = None) -> _Fault:
    names = sorted(known)
    shown = names if len(names) <= 12 else None
    return _Fault(location, InputError(what, given=given, allowed=shown, hint=did_you_mean(given, names) or hint))


def _chips(scenario: Scenario) -> Iterator[_Fault]:
    for name, contract in scenario.contracts.items():
        location = ("contracts", name, "chip")
        if isinstance(contract, Own):
            if contract.chip not in scenario.own_chips:
                hint = "a chip of the market is bought with kind: purchase" if contract.chip in chips() else "describe it under own_chips"
                yield _unknown(location, "unknown own chip", contract.chip, scenario.own_chips, hint)
        elif contract.chip.endswith(SUFFIX):
            try:
                chip(contract.chip)
            except InputError as error:
                yield _Fault(location, InputError(error.what, given=contract.chip, hint=error.hint))
        elif contract.chip not in chips():
            hint = "an own chip has kind: own" if contract.chip in scenario.own_chips else "tapeout catalog chips lists them"
            yield _unknown(location, "unknown chip", contract.chip, chips(), hint)


def _sites(scenario: Scenario) -> Iterator[_Fault]:
    for name, contract in scenario.contracts.items():
        for index, named in enumerate(contract.sites if isinstance(contract, Owned) else ()):
            if named not in scenario.sites:
                yield _unknown(("contracts", name, "sites", index), "unknown site", named, scenario.sites, "describe it under sites")
    places = [identifier for identifier, place in sites().items() if place.kind is not SiteKind.CLOUD]
    for name, site in scenario.sites.items():
        if site.place not in places:
            yield _unknown(("sites", name, "place"), "unknown place", site.place, places)
        if isinstance(site.electricity, str) and site.electricity not in tariffs():
            hint = "tapeout catalog prices lists the regions"
            yield _unknown(("sites", name, "electricity"), "unknown electricity region", site.electricity, tariffs(), hint)


def _programmes(scenario: Scenario) -> Iterator[_Fault]:
    for name, contract in scenario.contracts.items():
        if isinstance(contract, Own) and contract.programme not in scenario.programmes:
            yield _unknown(
                ("contracts", name, "programme"),
                "unknown programme",
                contract.programme,
                scenario.programmes,
                "describe it under programmes",
            )
    for name, programme in scenario.programmes.items():
        total = sum(programme.profile)
        if abs(total - 1) > NEGLIGIBLE:
            error = InputError("the shares do not sum to 100 %", given=f"a sum of {total:.4g}", allowed="shares such as [20 %, 30 %, 50 %]")
            yield _Fault(("programmes", name, "profile"), error)


def _prices(scenario: Scenario) -> Iterator[_Fault]:
    """A price that is left to the catalogue must be there."""
    for name, contract in scenario.contracts.items():
        known = contract.chip in chips() or (contract.chip.endswith(SUFFIX) and Path(contract.chip).is_file())
        if not known or contract.price is not None:
            continue
        try:
            match contract:
                case OnDemand():
                    prices.rent(contract.chip, str(scenario.start), seller=contract.seller)
                case Reserved() | Lease():
                    prices.reserved(contract.chip, str(scenario.start), seller=contract.seller)
                case Purchase() | Partner():
                    prices.purchase(contract.chip, str(scenario.start))
        except InputError as error:
            hint = "give the contract a price with its source, or as a guess"
            yield _Fault(("contracts", name, "chip"), InputError(error.what, given=error.given, allowed=error.allowed, hint=hint))


def _launches(scenario: Scenario) -> Iterator[_Fault]:
    """A chip of the market must be there before it is ordered."""
    for name, contract in scenario.contracts.items():
        of_file = contract.chip.endswith(SUFFIX)
        if isinstance(contract, Own) or (contract.chip not in chips() and not (of_file and Path(contract.chip).is_file())):
            continue
        found = chip(contract.chip)
        launch, first = quarter_of(found.released), _first_order(scenario, contract)
        if first is not None and first < launch:
            where = contract.chip if of_file else f"data/chips/{contract.chip}{SUFFIX}"
            allowed = f"{launch} or later, since {found.name} was released on {found.released} ({where})"
            key = "initial" if contract.initial else "from"
            yield _Fault(("contracts", name, key), InputError("a contract before its chip exists", given=str(first), allowed=allowed))


def _first_order(scenario: Scenario, contract: AnyContract) -> Quarter | None:
    """The first quarter of the plan in which chips can be ordered or are in service, None where there is none."""
    if contract.initial:
        return scenario.start
    for index, allowed in enumerate(contract.allocation.over(scenario.start, scenario.quarters)):
        at = scenario.start + index
        inside = (contract.orders_from or at) <= at <= (contract.orders_until or at)
        if allowed > 0 and inside:
            return at
    return None


def _windows(scenario: Scenario) -> Iterator[_Fault]:
    last = scenario.start + (scenario.quarters - 1)
    windows = [(("contracts", name), part.orders_from, part.orders_until) for name, part in scenario.contracts.items()]
    windows += [(("programmes", name), part.starts_from, part.starts_until) for name, part in scenario.programmes.items()]
    windows += [(("prepayments", name), part.pays_from, part.pays_until) for name, part in scenario.prepayments.items()]
    for location, opens, closes in windows:
        if opens and closes and closes < opens:
            yield _Fault(
                (*location, "until"), InputError("a date out of order", given=str(closes), allowed=f"{opens}, where it begins, or later")
            )
        elif opens and opens > last:
            yield _Fault((*location, "from"), InputError("a date after the plan", given=str(opens), allowed=f"{scenario.start} to {last}"))
        elif closes and closes < scenario.start:
            yield _Fault(
                (*location, "until"), InputError("a date before the plan", given=str(closes), allowed=f"{scenario.start} to {last}")
            )
    if scenario.finance.share_from and scenario.finance.share_from > last:
        error = InputError("a date after the plan", given=str(scenario.finance.share_from), allowed=f"{scenario.start} to {last}")
        yield _Fault(("finance", "share_from"), error)


def _starts(scenario: Scenario) -> Iterator[_Fault]:
    """Money by quarter must be known from the first quarter in which it counts, since a series is 0 before its first point."""
    series: list[tuple[Location, object, Quarter]] = [(("finance", "budget"), scenario.finance.budget, scenario.start)]
    for name, contract in scenario.contracts.items():
        series.append((("contracts", name, "price"), contract.price, max(scenario.start, contract.orders_from or scenario.start)))
    for name, prepayment in scenario.prepayments.items():
        series.append((("prepayments", name, "price"), prepayment.price, max(scenario.start, prepayment.pays_from or scenario.start)))
    if scenario.finance.debt:
        series.append((("finance", "debt", "limit"), scenario.finance.debt.limit, scenario.start))
    for name, site in scenario.sites.items():
        series += [(("sites", name, field), getattr(site, field), scenario.start) for field in ("rent", "capital", "electricity")]
    for location, values, needed in series:
        if isinstance(values, Series) and values.first is not None and values.first > needed:
            given = f"a first value in {values.first}"
            yield _Fault((*location, "by_quarter"), InputError("starts too late", given=given, allowed=f"a value for {needed} or before"))


def _ranges(scenario: Scenario) -> Iterator[_Fault]:
    ratios = [(("models", name, "peak_to_mean"), model.peak_to_mean) for name, model in scenario.models.items()]
    ratios += [(("sites", name, "pue"), site.pue) for name, site in scenario.sites.items() if site.pue]
    for location, ratio in ratios:
        if ratio.low < 1:
            yield _Fault(location, InputError("out of range", given=f"{ratio.low:g}", allowed="1 or more, its low end too"))


def _unused(scenario: Scenario) -> Iterator[_Fault]:
    owned = [contract for contract in scenario.contracts.values() if isinstance(contract, Owned)]
    own = [contract for contract in owned if isinstance(contract, Own)]
    used: dict[str, tuple[Mapping[str, object], set[str]]] = {
        "sites": (scenario.sites, {site for contract in owned for site in contract.sites}),
        "programmes": (scenario.programmes, {contract.programme for contract in own}),
        "own_chips": (scenario.own_chips, {contract.chip for contract in own}),
    }
    for section, (named, names) in used.items():
        for name in named:
            if name not in names:
                yield _Fault((section, name), InputError("no contract uses it", given=name, hint="name it in a contract, or take it out"))


def _suppliers(scenario: Scenario) -> Iterator[_Fault]:
    vendors = {chip.vendor for chip in chips().values()}
    found = set[str]()
    for name, contract in scenario.contracts.items():
        supplier = contract.supplier
        spelt = next((vendor for vendor in sorted(vendors | found) if supplier and vendor.casefold() == supplier.casefold()), supplier)
        if supplier != spelt:
            error = InputError("a supplier spelt in two ways", given=supplier, hint=f"did you mean {spelt}?")
            yield _Fault(("contracts", name, "supplier"), error)
        found.add(supplier or (chips()[contract.chip].vendor if contract.chip in chips() else VENDOR))
    if len(found) == 1 and scenario.finance.largest_supplier_share < 1:
        error = InputError(
            "one supplier cannot have less than all",
            given=f"only {found.pop()}",
            hint="add a contract of another supplier, or take the limit out",
        )
        yield _Fault(("finance", "largest_supplier_share"), error)


def _own_chips(scenario: Scenario) -> Iterator[_Fault]:
    for name, own in scenario.own_chips.items():
        if own.node not in processes():
            yield _unknown(("own_chips", name, "node"), "unknown process node", own.node, processes())
        if own.base is not None and own.base.node not in processes():
            yield _unknown(("own_chips", name, "base", "node"), "unknown process node", own.base.node, processes())
        if own.memory.generation not in memories():
            yield _unknown(("own_chips", name, "memory", "generation"), "unknown memory generation", own.memory.generation, memories())
        if own.package not in packagings():
            yield _unknown(("own_chips", name, "package"), "unknown package", own.package, packagings())
        if name in chips():
            error = InputError("the name of a chip on the market", given=name, hint="take another name")
            yield _Fault(("own_chips", name), error)
        try:
            nodes = {own.node, *((own.base.node,) if own.base else ())}
            if nodes <= set(processes()) and own.memory.generation in memories():
                own_chip(own.parameters(name))
        except InputError as error:
            yield _Fault(("own_chips", name), error)


def architecture(document: Document, served: ServedModel) -> Architecture:
    """The architecture of a model of the scenario in `document`, whose folder is where the path of a `config.json` begins."""
    return model(served.located(Path(document.file).parent))


def _architectures(scenario: Scenario, document: Document) -> Iterator[_Fault]:
    for name, served in scenario.models.items():
        try:
            architecture(document, served)
        except InputError as error:
            yield _Fault(
                ("models", name, "architecture"), InputError(error.what, given=error.given, allowed=error.allowed, hint=error.hint)
            )
