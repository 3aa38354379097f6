"""How fast one step is. In: a `Chip`, an `Architecture`, a deployment and steps; out: seconds, the binding resource and a band."""
