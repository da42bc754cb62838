# `make up` tries Catena out, `make test` checks it; both install what they need into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=

.PHONY: install up test lint bench clean

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
	$(BIN)/mypy catena_core links topology tests/servers tests/bench

test: lint  ## every test, on real Kafka, Redis and Fuseki where they can be had
	$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: install  ## the measured claims: prints offerings per second, and where the time goes
	$(BIN)/python tests/bench/ingest.py

clean:
	rm -rf $(VENV) .cache build *.egg-info
