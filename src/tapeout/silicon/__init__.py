"""The own chip for real. In: tensors and own-chip parameters; out: the numbers that its hardware computes, bit for bit."""
