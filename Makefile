# `make up` tries Catena out, `make test` checks it; each installs into .venv what it needs, and no more.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check
# Most tests wait for something: four side by side took two processors to about two thirds of what they can.
# A failed test runs again, twice at most, and the end tells of each with its traceback: see CONTRIBUTING.md.
PYTEST_ARGS ?= --numprocesses 6 --reruns 2 --max-suite-reruns 5 --rerun-show-tracebacks --cov --cov-report term:skip-covered
# From Python 3.12 on, coverage costs a tenth of the time of tests instead of a third.
export COVERAGE_CORE ?= $(shell $(PYTHON) -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")' 2>/dev/null)
BENCH_ARGS ?=
SOAK_ARGS ?=
FUZZ_ARGS ?=
CHAOS_ARGS ?=
COMPOSE_ARGS ?=

.DEFAULT_GOAL := help
# Side by side, since one of them waits for the network and one takes as long as all others.
CHECKS := style types imports security audited
.PHONY: $(CHECKS) collected help up check test lint audit docs web wheel sbom install bench bench-links bench-ingest bench-federation soak chaos test-compose clean

help:  ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(VENV)/.running  ## run the whole topology on this machine, with a sandbox to feed it
	@$(BIN)/catena up

check: lint  ## lint, and the unit tests but for the slow ones: for the inner loop
	$(BIN)/python -m pytest --numprocesses 2 -m 'not slow' tests/unit

test: install  ## every check and test, on real Kafka, Redis and Fuseki where they can be had
	@$(MAKE) --no-print-directory --jobs $(CHECKS) collected
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: install  ## ruff, mypy, bandit, the direction of imports, and once a day the audit
	@$(MAKE) --no-print-directory --jobs $(CHECKS)

style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports --no-logo

security:
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive catena_core federation links sandbox topology

audited:
	$(BIN)/python -m tests.audit --daily

# The tests as they are kept for the next start: else each worker compiles them all by itself, at the same time.
collected:
	@$(BIN)/python -m pytest --collect-only --quiet --quiet --no-cov > $(VENV)/.collected || { cat $(VENV)/.collected; exit 1; }

audit: install  ## known vulnerabilities of the installed packages, where the service that knows them can be reached
	$(BIN)/python -m tests.audit

docs: install $(VENV)-docs/.installed  ## write docs/reference.md from the docstrings, and build the site, every link checked
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_site.py
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --strict --quiet
	@echo "see it by: $(PYTHON) -m http.server --bind 127.0.0.1 --directory build/site"

# Apart from the tests' environment, which does without its thirty packages.
$(VENV)-docs/.installed: pyproject.toml
	@$(PYTHON) -m venv $(VENV)-docs
	@PYTHONWARNINGS=ignore $(VENV)-docs/bin/pip install --quiet --disable-pip-version-check 'mkdocs-material>=9.6,<10'
	@touch $@

web:  ## build the query editor's component into topology/gateway/web/assets, by npm; the result is committed
	cd web_editor && npm ci --no-audit --no-fund --silent && npm run --silent build

wheel: $(VENV)/.running  ## build the wheel into dist/
	rm -rf build dist
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	rm -rf build

sbom: install  ## write dist/catena-links.cdx.json: the packages of a release, as installed in .venv, and the JavaScript of its pages
	@mkdir -p dist
	$(BIN)/python -m tests.sbom dist/catena-links.cdx.json

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
	$(BIN)/python tests/bench/fetchers.py

soak: install  ## ten million electrons through a link: its memory stays flat
	$(BIN)/python -m tests.bench.links.soak $(SOAK_ARGS)

chaos: install  ## hurt the whole topology for an hour, and print the table of faults
	$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

test-compose: install  ## run docker-compose.yml for real, and hurt what runs; needs Docker
	$(BIN)/python -m tests.compose $(COMPOSE_ARGS)

fuzz: install  ## ten minutes of odd input for everything that strangers send, by coverage where atheris can be had
	@$(PIP) '.[fuzz]' || echo "atheris cannot be had for this Python; inputs come from mutation alone"
	$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

clean:  ## remove all that make has made
	rm -rf $(VENV) $(VENV)-docs .cache .coverage build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
