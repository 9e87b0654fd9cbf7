# Everything runs from .venv, made on first use. A stamp file records what is installed there, so
# that later runs install nothing and need no network.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
SOURCE := pyproject.toml $(shell find eirt datasets -type f -not -name '*.pyc' 2>/dev/null)

INSTALLED := $(VENV)/.installed
EDITABLE  := $(VENV)/.installed-editable

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types tutorials bench clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(INSTALLED)  ## fit the main models to real data; tables and plots go to demo_results/
	$(BIN)/eirt demo --out demo_results

test: $(EDITABLE)  ## run the tests and the examples in docstrings
	$(BIN)/python -m pytest -n 2 -q --dist loadfile

lint: $(EDITABLE)  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(EDITABLE)  ## fix style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(EDITABLE)  ## check the types
	$(BIN)/mypy

tutorials: $(EDITABLE)  ## run every tutorial
	set -e; for file in tutorials/*.py; do echo "== $$file"; MPLBACKEND=Agg $(BIN)/python "$$file"; done

bench: $(EDITABLE)  ## run every benchmark
	set -e; for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

clean:  ## remove the environment, caches and results
	rm -rf $(VENV) build dist demo_results .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("eirt needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# An editable install follows the source by itself: only a changed pyproject.toml renews it.
$(EDITABLE): pyproject.toml | $(BIN)/python
	$(PIP) install -e '.[test]'
	@touch $@ $(INSTALLED)

$(INSTALLED): $(SOURCE) | $(BIN)/python
	@if [ $(EDITABLE) -nt pyproject.toml ]; then :; else \
	    echo "$(PIP) install ."; $(PIP) install . && rm -f $(EDITABLE); fi
	@touch $@
