# `make up` tries Catena out, `make test` checks it; each installs into .venv what it needs, and no more.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check
# Most tests wait for something; with more than two side by side, those that measure time would wait for each other.
PYTEST_ARGS ?= --numprocesses 2 --cov --cov-report term:skip-covered
BENCH_ARGS ?=
SOAK_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help up check test lint docs wheel install bench bench-links bench-ingest bench-federation soak clean

help:  ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(VENV)/.running  ## run the whole topology on this machine, with a sandbox to feed it
	@$(BIN)/catena up

check: lint  ## lint, and the unit tests but for the slow ones: for the inner loop
	$(BIN)/python -m pytest --numprocesses 2 -m 'not slow' tests/unit

test: lint  ## every check and test, on real Kafka, Redis and Fuseki where they can be had
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: install  ## ruff, mypy and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: install  ## write docs/reference.md from the docstrings
	$(BIN)/python docs/make_reference.py

wheel: $(VENV)/.running  ## build the wheel into dist/
	rm -rf build dist
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	rm -rf build

install: $(VENV)/.testing  ## create .venv with all that the tests need

$(VENV)/.running: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Catena needs Python 3.10 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "installing Catena into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --upgrade pip
	@$(PIP) --editable '.[catalogue,redis]'
	@touch $@

$(VENV)/.testing: $(VENV)/.running
	@echo "installing what the tests need into $(VENV) …"
	@$(PIP) --editable '.[test]'
	@touch $@

bench: bench-ingest bench-links bench-federation  ## all measured claims; needs Java for Apache Kafka, and takes a while

bench-links: install  ## links on Apache Kafka, beside a hand-written loop and other libraries
	$(BIN)/python -m tests.bench.links $(BENCH_ARGS)

bench-federation: install  ## the gateway beside one store that holds everything, and beside Comunica
	$(BIN)/python -m tests.bench.federation $(BENCH_ARGS)

bench-ingest: install  ## offerings per second through the topology, and where the time goes
	$(BIN)/python tests/bench/ingest.py

soak: install  ## ten million electrons through a link: its memory stays flat
	$(BIN)/python -m tests.bench.links.soak $(SOAK_ARGS)

clean:  ## remove all that make has made
	rm -rf $(VENV) .cache .coverage build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
