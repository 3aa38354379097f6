"""The search for the own chip. In: a space of own-chip parameters and a cost per token; out: the best design, certified over the grid."""
