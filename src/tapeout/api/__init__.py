"""Tapeout from Python: a scenario's path in; a plan as labelled arrays out, or its program for linopy, open to further constraints."""
