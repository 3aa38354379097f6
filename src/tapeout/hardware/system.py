"""What stands around the chips: the server that holds them, its power and its price, from `data/servers.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tapeout.errors import InputError, UnknownNameError, did_you_mean
from tapeout.provenance import DATA, Sourced, facts_within, load_toml, read_facts
from tapeout.units import Usd, Watts

OPEN_SERVER = "open-accelerator-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A family of servers that hold `chips` chips of one kind, any of the ids in `takes`.

    `host_power` and `host_price` are of the whole server without its chips (W, USD), at rated load: processors, memory, disks,
    fans, switches on the board, network cards. `network_price` is what the network outside the server costs per chip (USD).
    """

    id: str
    name: str
    chips: int
    takes: tuple[str, ...]
    host_power: Sourced[Watts]
    host_price: Sourced[Usd]
    network_price: Sourced[Usd]
    note: str = ""

    def __post_init__(self) -> None:
        if self.chips < 1:
            raise InputError("chips must be at least 1", given=self.chips)
        for path, number in facts_within(self):
            if number.low <= 0:
                raise InputError(f"{path} must be positive", given=number.low)


@cache
def servers() -> dict[str, Server]:
    """All server families by id, in the order of the file."""
    table = load_toml(DATA / "servers.toml")
    return {key: read_facts(Server, entry, "servers.toml", key, {"id": key}) for key, entry in table.items()}


def server(identifier: str) -> Server:
    """The server family with this id; raises UnknownNameError with the closest one.

    >>> server("hgx-hopper").chips
    8
    """
    if identifier not in servers():
        raise UnknownNameError("unknown server", given=identifier, allowed=servers(), hint=did_you_mean(identifier, servers()))
    return servers()[identifier]


def server_of(chip_id: str) -> Server:
    """The server family that takes this chip; a chip that no family names, such as an own chip, goes on the open board.

    >>> server_of("nvidia-gb200").id
    'nvl72-grace-blackwell'
    >>> server_of("my-own-chip").id
    'open-accelerator-8'
    """
    return next((found for found in servers().values() if chip_id in found.takes), server(OPEN_SERVER))
