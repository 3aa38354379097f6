from collections import Counter

from tapeout.cost.margins import seller_of, sellers
from tapeout.hardware.catalog import chips


def test_every_vendor_of_the_catalogue_has_one_seller_and_no_seller_stands_idle():
    vendors = Counter(vendor for seller in sellers().values() for vendor in seller.vendors)
    assert set(vendors) == {chip.vendor for chip in chips().values()}
    assert set(vendors.values()) == {1}


def test_chips_of_clouds_are_made_for_their_owner():
    made = {chip.vendor for chip in chips().values() if (seller := seller_of(chip)) and seller.made_for_owner}
    assert made == {"Google", "AWS", "Microsoft"}


def test_margins_leave_something_for_the_maker():
    assert all(0 < seller.margin.low <= seller.margin.high < 1 for seller in sellers().values())
