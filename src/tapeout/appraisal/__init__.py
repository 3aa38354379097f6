"""What the numbers of a plan mean: the worth of information, of capacity and of options, and how the plan fares in fresh futures."""
