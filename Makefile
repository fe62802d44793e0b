SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup servers demo test check bench docs lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# GPU=1 installs the CUDA builds, for servers with NVIDIA cards.
LOCK := $(if $(GPU),requirements-gpu.lock,requirements.lock)
# What was installed is known by its content: files that come in an archive may be older than the
# last installation.
INSTALLED := $(LOCK) requirements-dev.lock pyproject.toml .ci/setup
STAMP := $(VENV)/installed-$(shell cat $(INSTALLED) | cksum | cut -d ' ' -f 1)
# One more than there are cores: half of the time tests wait for processes that they have started.
TESTERS = $(shell echo $$(($$(nproc) + 1)))

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv and install everything that the lock names

$(STAMP):
	@.ci/setup "$(PYTHON)" "$(VENV)" "$(LOCK)"
	@rm -f $(VENV)/installed-* && touch $@

servers: ## install the servers that the tests start for themselves (Debian packages)
	@.ci/servers

demo: setup ## the whole way once: data, training, prediction, ensembles, leaderboard
	@$(BIN)/deepcredit demo

test: setup servers ## run all tests; PYTEST=... adds arguments
	@# What one of the many processes compiles is there for all.
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(TESTERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST)

check: setup ## check format, lint, types and the layers of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup servers ## measure, and print ratios; BENCH=reading runs only that one
	@$(BIN)/python -m benchmarks $(BENCH)

docs: setup ## write the pages of docs/ that repeat what the code says
	@$(BIN)/python -m docs.generate

lock: setup ## write the lock files anew from pyproject.toml
	@$(BIN)/python .ci/lock.py

clean: ## remove .venv and caches; var/ and logs/ hold data and stay
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
