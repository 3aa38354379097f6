"""`tapeout cost`: from words to a chip's unit cost, price and owner's hour as draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tapeout.cost.carbon import CarbonHourDraws, EmbodiedDraws, carbon_hour_draws, embodied_draws
from tapeout.cost.datacenter import Site, SiteKind, site, tariff
from tapeout.cost.draws import Draws
from tapeout.cost.hour import OwnerHourDraws, owner_hour_draws
from tapeout.cost.installed import installed_draws
from tapeout.cost.programme import programme
from tapeout.cost.rented import RentedHourDraws, rented_hour_draws
from tapeout.cost.tco import Owner, owner
from tapeout.cost.unit_draws import UnitDraws, unit_draws
from tapeout.errors import InputError, UnknownNameError
from tapeout.hardware.catalog import chip as find_chip
from tapeout.hardware.catalog import chips
from tapeout.hardware.chip import Chip
from tapeout.hardware.process import process
from tapeout.units import Dimensionless, TokensPerSecond


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says; a `volume` adds the programme's one-off cost, a `year` moves defects and prices to it.

    `tokens_per_second` is what one chip gives, for carbon by the token. `electricity` is a region in the place of the site's, and
    `utilisation` the share of the hours that are used, all of them where none is said.
    """

    chip: str
    volume: int | None
    year: int | None
    draws: int
    seed: int
    owner: str
    site: str
    date: str
    tokens_per_second: TokensPerSecond | None = None
    electricity: str | None = None
    utilisation: Dimensionless | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """One chip's cost; `mode` is that of the programme whose one-off cost is shared.

    `hour` is none in a cloud, where the hour is `rented`, and where the chip has no price.
    """

    asked: Asked
    chip: Chip
    unit: UnitDraws
    mode: str | None
    owner: Owner
    site: Site
    hour: OwnerHourDraws | None
    rented: RentedHourDraws | None
    hour_rule: str
    embodied: EmbodiedDraws
    carbon: CarbonHourDraws | None


def costed(asked: Asked) -> Costed:
    """The costs that are asked for; raises InputError and UnknownNameError as what it calls, and for a chip without silicon facts."""
    chip = find_chip(asked.chip)
    if chip.silicon is None or chip.silicon.die_area is None:
        known = sorted(name for name, each in chips().items() if each.silicon is not None and each.silicon.die_area is not None)
        raise InputError(
            "the area of the chip's die is not public, so its cost cannot be built up", given=chip.id, allowed=known,
            hint="or a chip file of your own, whose [silicon] states node, dies and die_area",
        )  # fmt: skip
    if asked.volume is not None and asked.volume < 1:
        raise InputError(
            "--volume must be positive", given=asked.volume, allowed="1 chip or more", hint="leave it out for the recurring cost"
        )
    if asked.tokens_per_second is not None and not asked.tokens_per_second > 0:
        raise InputError("--tokens-per-s must be positive", given=asked.tokens_per_second)
    draws = Draws(count=asked.draws, seed=asked.seed)
    unit = unit_draws(chip, draws, year=asked.year)
    mode = None
    if asked.volume is not None:
        mode = "design-partner" if unit.seller is not None and unit.seller.made_for_owner else "own-team"
        phases = programme(mode)(process(chip.silicon.node), chip.silicon.die_area.value, draws).planned()
        unit = unit_draws(chip, draws, year=asked.year, one_off=np.sum(list(phases.values()), axis=0), volume=asked.volume)
    owned_by, place = owner(asked.owner), _place(asked)
    hour, rented, rule = _hour(asked, chip, unit, draws, owned_by, place)
    embodied = embodied_draws(chip, draws)
    return Costed(
        asked=asked, chip=chip, unit=unit, mode=mode, owner=owned_by, site=place, hour=hour, rented=rented, hour_rule=rule,
        embodied=embodied,
        carbon=None if hour is None else carbon_hour_draws(embodied, hour, place=place, draws=draws),
    )  # fmt: skip


def _place(asked: Asked) -> Site:
    """The site, with the electricity of another region where one is asked for."""
    place = site(asked.site)
    if asked.electricity is None:
        return place
    if place.kind is SiteKind.CLOUD:
        raise InputError("--electricity: the rent of a cloud holds its electricity", given=asked.electricity, hint="leave it out")
    return replace(place, electricity=tariff(asked.electricity).id)


def _hour(
    asked: Asked, chip: Chip, unit: UnitDraws, draws: Draws, owned_by: Owner, place: Site
) -> tuple[OwnerHourDraws | None, RentedHourDraws | None, str]:
    """The owner's hour at what the chip sells for; a chip made for its owner, or without a quoted price, at the price found here.

    In a cloud it is the rent.
    """
    used = 1.0 if asked.utilisation is None else asked.utilisation
    if not 0 < used <= 1:
        raise InputError("--utilisation is a share of the hours", given=asked.utilisation, allowed="above 0 and at most 1")
    if place.kind is SiteKind.CLOUD:
        rented = rented_hour_draws(chip.id, asked.date, draws, utilisation=used)
        return None, rented, rented.rule
    made_for_owner = unit.seller is not None and unit.seller.made_for_owner
    year = asked.year or int(asked.date[:4])
    try:
        whole = installed_draws(chip, owned_by=owned_by, date=asked.date, draws=draws, price=unit.price if made_for_owner else None)
    except (UnknownNameError, InputError):
        if unit.price is None:
            return None, None, "no price of this chip is known"
        whole = installed_draws(chip, owned_by=owned_by, date=asked.date, draws=draws, price=unit.price)
    hour = owner_hour_draws(whole, owned_by=owned_by, place=place, year=year, draws=draws, utilisation=used)
    return hour, None, whole.rule
