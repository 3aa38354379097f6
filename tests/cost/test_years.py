import dataclasses
from itertools import pairwise

import pytest

from tapeout.cost.years import defect_learning, memory_in_year, package_in_year, price_in_year, process_in_year
from tapeout.errors import InputError
from tapeout.hardware.process import manufacturing, memories, memory_generation, packaging, packagings, price_changes, process, processes
from tapeout.provenance import Grade


def test_defects_of_5_nm_follow_googles_model():
    # Its inputs for five years of 5 nm: 0.10, 0.09, 0.075, 0.06 and 0.05 defects per cm2; Tapeout's first year is 0.105 (TSMC, 2020).
    found = [process_in_year(process("tsmc-5"), year).defect_density.value / 1e4 for year in range(2020, 2025)]
    assert found == pytest.approx([0.105 * share / 0.10 for share in (0.10, 0.09, 0.075, 0.06, 0.05)])


def test_learning_never_turns_back_and_ends_flat():
    curve = [defect_learning(age / 4) for age in range(40)]
    assert curve[0] == 1.0
    assert all(after <= before for before, after in pairwise(curve))
    assert curve[-1] == manufacturing().defect_learning["4"].value == defect_learning(4)


def test_the_year_of_a_nodes_defects_leaves_them_as_they_are():
    for node in processes().values():
        assert process_in_year(node, node.defect_year).defect_density.value == pytest.approx(node.defect_density.value)


def test_prices_move_by_the_published_changes_and_back():
    # N4 at 18,000 USD in 2024: 5 to 10 % more in 2025 and again in 2026.
    price = process("tsmc-4").wafer_price
    later = price_in_year(price, "leading-edge-wafers", 2026)
    assert later.value == pytest.approx(18_000 * 1.075**2)
    assert (later.low, later.high) == pytest.approx((price.low * 1.05**2, price.high * 1.1**2))
    assert later.grade in list(Grade)[list(Grade).index(price.grade) :]
    assert "2024 to 2026" in later.place
    back = price_in_year(dataclasses.replace(later, currency_year=2026), "leading-edge-wafers", 2024)
    assert back.value == pytest.approx(price.value)
    assert back.low <= back.value <= back.high
    assert price_in_year(price, "leading-edge-wafers", 2023) == price
    assert price_in_year(price, "", 2030) == price


def test_memory_and_packages_have_their_own_changes():
    assert memory_in_year(memory_generation("hbm3e"), 2026).price.value == pytest.approx(memory_generation("hbm3e").price.value * 1.2)
    assert memory_in_year(memory_generation("hbm2"), 2026) == memory_generation("hbm2")
    assert package_in_year(packaging("cowos-s"), 2024).price.value == pytest.approx(packaging("cowos-s").price.value / 1.175)


def test_a_year_before_the_node_is_refused_with_its_first():
    with pytest.raises(InputError, match=r"TSMC N4 and 4N was not made in that year, given 2021, allowed: 2022 or later"):
        process_in_year(process("tsmc-4"), 2021)
    with pytest.raises(InputError, match="before its first year"):
        defect_learning(-1)


def test_every_change_of_price_that_a_fact_names_is_published_and_every_one_is_named():
    named = {fact.price_change for fact in (*processes().values(), *memories().values(), *packagings().values())}
    assert named - {""} == set(price_changes())
