"""What to do, when. In: offers, sites, programmes and demand by quarter; out: orders, fleet, spend, a bound and a certificate."""
