"""What may happen: independent processes, their scenario tree, and its reduction to a wanted size."""
