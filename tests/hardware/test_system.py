import pytest

from tapeout.errors import InputError, UnknownNameError
from tapeout.hardware.catalog import chip, chip_ids
from tapeout.hardware.system import OPEN_SERVER, Server, server, server_of, servers
from tapeout.provenance import facts_within, read_facts
from tapeout.units import KILO


def test_every_chip_goes_into_exactly_one_server() -> None:
    takers = {name: [found.id for found in servers().values() if name in found.takes] for name in chip_ids()}
    assert {name: found for name, found in takers.items() if len(found) != 1} == {}


def test_every_server_takes_chips_that_exist() -> None:
    assert {name for found in servers().values() for name in found.takes} <= set(chip_ids())


# Published rated power of whole systems, in kW.
RATED = [
    ("nvidia-a100-sxm-80gb", 6.5),
    ("nvidia-h100-sxm", 10.2),
    ("nvidia-h200-sxm", 10.2),
    ("nvidia-b200", 14.3),
    ("nvidia-b300", 14.5),
    ("nvidia-gb200", 120.0),
    ("nvidia-vr200", 230.0),
]


@pytest.mark.parametrize(("name", "kilowatts"), RATED)
def test_chips_and_host_add_up_to_the_rated_power(name: str, kilowatts: float) -> None:
    found = server_of(name)
    assert found.host_power.value + found.chips * chip(name).power.value == pytest.approx(kilowatts * KILO, rel=0.05)


def test_an_h100_node_in_a_cluster_costs_what_the_published_sheet_says() -> None:
    found, gpu = server_of("nvidia-h100-sxm"), 31_000.0  # USD, mid-2024
    node = found.host_price.value + found.chips * gpu
    assert node == pytest.approx(310_000, rel=0.02)
    assert node / found.chips + found.network_price.value == pytest.approx(46_883, rel=0.02)


def test_the_domain_of_a_rack_or_board_is_its_server() -> None:
    for name in (
        "nvidia-h100-sxm",
        "nvidia-b200",
        "nvidia-gb200",
        "nvidia-gb300",
        "nvidia-vr200",
        "amd-mi300x",
        "intel-gaudi3",
        "nvidia-l4",
    ):
        assert chip(name).scale_up.domain == server_of(name).chips


def test_a_chip_that_no_server_names_goes_on_the_open_board() -> None:
    assert server_of("my-own-chip") is server(OPEN_SERVER)
    assert server(OPEN_SERVER).takes == ()


def test_an_unknown_server_proposes_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean hgx-hopper"):
        server("hgx-hoper")


@pytest.mark.parametrize("change", [{"chips": 0}, {"host_power": "0 W"}, {"network_price": "-1 USD"}])
def test_an_impossible_server_is_refused(change: dict[str, object]) -> None:
    found = {"host_power": "1 W", "host_price": "1 USD", "network_price": "1 USD"} | {k: v for k, v in change.items() if k != "chips"}
    numbers = {
        key: {"value": value, "source": "tapeout-estimate", "place": "here", "grade": "guess"}
        | ({"currency_year": 2025} if "USD" in str(value) else {})
        for key, value in found.items()
    }
    table = {"name": "x", "chips": change.get("chips", 1), "takes": [], **numbers}
    with pytest.raises(InputError, match=f"{next(iter(change))} must be"):
        read_facts(Server, table, "servers.toml", "x", {"id": "x"})


def test_money_of_a_server_states_its_year() -> None:
    for found in servers().values():
        years = [number.currency_year for path, number in facts_within(found) if path.endswith("price")]
        assert all(year is not None and 2020 <= year <= 2026 for year in years)
