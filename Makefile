# `make demo` and `make test` are all that a fresh machine needs: Python 3.11 or newer, no more.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test test-kafka check format bench lock clean help

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## Make .venv with the locked dependencies and the command tidegate

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Python must be 3.11 or newer, got {v[0]}.{v[1]}: make PYTHON=python3.12")'
	@echo "setting up .venv (once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: setup ## Play a synthetic live sale through a whole Tidegate on this machine
	@$(BIN)/tidegate demo

test: setup ## All tests, on the embedded broker
	$(BIN)/pytest

test-kafka: setup ## The system tests on Apache Kafka (needs Java and Maven)
	$(BIN)/pytest --broker kafka -m "system or kafka" tests

check: setup ## Format, lint, types and the quick tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q -m "not slow and not system and not kafka"

format: setup ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Events per second, latency and memory, beside the peers
	$(BIN)/python -m tests.bench.throughput
	$(BIN)/python -m tests.bench.latency
	$(BIN)/python -m tests.bench.memory

lock: ## Renew requirements.lock from pyproject.toml (needs pip-tools)
	pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --extra dev --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-emit-options --output-file requirements.lock pyproject.toml

clean: ## Remove what setup and the tools made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build
