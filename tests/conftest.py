"""Every test is the same at every run: examples follow from the test, not from chance, and no machine is too slow."""

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")
