"""What it costs. In: dies, packages, servers, sites and prices; out: dollars per unit, per hour and per token, with ranges."""
