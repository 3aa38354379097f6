# Every target sets up what it needs; `make setup` alone makes the environment.
SHELL := /bin/sh
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
BIN := .venv/bin
STAMP := .venv/.installed
# uv trusts the certificates of the system, as pip does; the second name is that of older releases.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1

.PHONY: demo test check bench bench-peers bench-simulators bench-products setup lock
demo: $(STAMP)
	$(BIN)/tapeout plan scenarios/openai-2023.yaml --out out/openai-2023

test: $(STAMP)
	$(BIN)/pytest

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# Other predictors on the same measured cases, each in an environment of its own; CASES names a file of your own measurements.
bench-peers: $(STAMP) | $(UV)
	$(BIN)/python -m benchmarks.peers $(if $(CASES),--cases $(CASES))
	$(if $(CASES),,$(MAKE) bench-simulators bench-products)

# Other simulators of serving on the same traffic.
bench-simulators: $(STAMP) | $(UV)
	$(BIN)/python -m benchmarks.peers.simulators

# Simulators of matrix arrays on the same products.
bench-products: $(STAMP) | $(UV)
	$(BIN)/python -m benchmarks.peers.products

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet uv

lock: | $(UV)
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --group dev pyproject.toml -o requirements.lock
