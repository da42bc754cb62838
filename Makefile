# `make up` tries Catena out, `make test` checks it; both install what they need into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Most tests wait for something; with more than two side by side, those that measure time would wait for each other.
PYTEST_ARGS ?= --numprocesses 2
BENCH_ARGS ?=
SOAK_ARGS ?=

.PHONY: install up docs test lint bench bench-links bench-ingest bench-federation soak clean

install: $(VENV)/.installed  ## create .venv with Catena and its tools in it

$(VENV)/.installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Catena needs Python 3.10 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "installing Catena and its tools into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --editable '.[test]'
	@touch $@

up: install  ## run the whole topology on this machine, with a sandbox to feed it
	@$(BIN)/catena up

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy catena_core federation topology sandbox links tests

docs: install  ## docs/reference.md anew, from the docstrings
	$(BIN)/python docs/make_reference.py

test: lint  ## every test, on real Kafka, Redis and Fuseki where they can be had
	$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: bench-ingest bench-links bench-federation  ## the measured claims; needs Java for Apache Kafka, and takes a while

bench-links: install  ## links on Apache Kafka, beside a hand-written loop and other libraries
	$(BIN)/python -m tests.bench.links $(BENCH_ARGS)

bench-federation: install  ## the gateway beside one store that holds everything, and beside Comunica
	$(BIN)/python -m tests.bench.federation $(BENCH_ARGS)

bench-ingest: install  ## offerings per second through the topology, and where the time goes
	$(BIN)/python tests/bench/ingest.py

soak: install  ## ten million electrons through a link: its memory stays flat
	$(BIN)/python -m tests.bench.links.soak $(SOAK_ARGS)

clean:
	rm -rf $(VENV) .cache build *.egg-info
