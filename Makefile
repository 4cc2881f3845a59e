# Every target does its own set-up, from a fresh clone: a virtual environment with what it needs.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MINUTES ?=
DATA ?=
export INKLING_E2E_HA ?= 2024.3

.PHONY: help demo test check lint types contracts format e2e bench clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime  ## a simulated home learned in seconds, then a live evening (MINUTES=2 ends it sooner)
	$(BIN)/inkling demo $(if $(MINUTES),--minutes $(MINUTES))

test: $(VENV)/.dev  ## unit tests, and tests against a broker
	$(BIN)/pytest

check: lint types contracts test  ## all that a change must pass: format, lint, types, import contracts, tests

lint: $(VENV)/.dev  ## ruff, formatting included
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/.dev  ## who may import whom
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## rewrite the sources in the project's format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

e2e: $(VENV)/.dev  ## mosquitto and a real Home Assistant (INKLING_E2E_HA="2024.3 2026.11"; the latter as root)
	$(BIN)/python -m tests.e2e.install $(INKLING_E2E_HA)
	$(BIN)/pytest -m e2e tests/e2e
	$(BIN)/pytest -m slow tests

bench: $(VENV)/.dev  ## benchmarks (DATA=folder with recordings/*.jsonl.gz, nab.tar.gz, smartguard_an.json.gz)
	@for script in benchmarks/[!_]*.py; do \
		echo "== $$script"; case "$(DATA)$$script" in \
			benchmarks/hunches.py | benchmarks/nab.py | benchmarks/surprise.py | benchmarks/next_action.py) \
				echo 'needs DATA'; continue;; esac; \
		$(BIN)/python $$script $(if $(DATA),--data $(DATA)) || exit 1; \
	done

clean:  ## remove the virtual environment, caches and builds (installed Home Assistants included)
	rm -rf $(VENV) .cache build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.runtime: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Inkling needs Python 3.11 or newer; this is' "$$($(PYTHON) --version 2>&1)." \
			'Name another: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@
