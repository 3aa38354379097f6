"""Speeds and sizes, each beside its limit; `make bench` runs them all. Timings are no tests: a busy machine fails nothing."""
