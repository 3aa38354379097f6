"""The search for the own chip. In: a grid of own-chip parameters, workloads, an owner; out: the best design, certified, and the front."""
