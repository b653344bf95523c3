# `make demo` and `make test` are all that a fresh machine needs: Python 3.11 or newer, no more.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
READY_FOR_TESTS := .venv/.ready-for-tests

.PHONY: setup demo test test-kafka check format bench bench-demand simulate soak-simulation faults kills soak fuzz fuzz-coverage lock clean help

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## Make .venv with the locked dependencies and the command tidegate

PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --require-virtualenv
LOCKED := install --no-compile --require-hashes
# Where Python may not write byte code while it runs, every start would compile all sources anew.
BYTE_CODE := $(BIN)/python -m compileall -q -j 0 .venv/lib

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Python must be 3.11 or newer, got {v[0]}.{v[1]}: make PYTHON=python3.12")'
	@echo "setting up .venv, once: 1 of 2, the packages that Tidegate needs"
	@$(PYTHON) -m venv .venv
	@$(PIP) $(LOCKED) -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@echo "2 of 2, compiling its kernels, which takes a minute or two"
	@$(BYTE_CODE) policy streams infra
	@$(BIN)/python -m infra.compile
	@touch $(READY)

$(READY_FOR_TESTS): $(READY) requirements-dev.lock
	@echo "adding the tools of its tests, once"
	@$(PIP) $(LOCKED) -r requirements-dev.lock
	@$(BYTE_CODE) tests
	@touch $(READY_FOR_TESTS)

demo: setup ## Play a synthetic live sale through a whole Tidegate on this machine
	@$(BIN)/tidegate demo

# Rewritten assertions are kept between runs, also where Python may not write other byte code.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --durations 20

test: setup $(READY_FOR_TESTS) ## All tests, on the embedded broker
	$(PYTEST)

LEFT_TO_THE_OTHER_RUN := admin_port handover live prometheus redis_failover replay_days

test-kafka: setup $(READY_FOR_TESTS) ## The system tests on Apache Kafka (needs Java and Maven)
	$(PYTEST) --broker kafka -m "system or kafka" tests/system tests/infra/kafka tests/infra/local tests/streams/ingest \
	  $(patsubst %,--ignore=tests/system/test_%.py,$(LEFT_TO_THE_OTHER_RUN))

check: setup $(READY_FOR_TESTS) ## Format, lint, types and the quick tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) -q -m "not slow and not system and not kafka"

format: setup $(READY_FOR_TESTS) ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup $(READY_FOR_TESTS) ## Events and decisions per second, latency and memory, beside the peers
	$(BIN)/python -m tests.bench.throughput
	$(BIN)/python -m tests.bench.latency
	$(BIN)/python -m tests.bench.memory
	$(BIN)/python -m tests.bench.policy

SEED ?= 0
SEEDS ?= 10000

simulate: setup $(READY_FOR_TESTS) ## Replay one simulated world of faults with its trace: make simulate SEED=7
	$(BIN)/python -m tests.simulation --seed $(SEED)

soak-simulation: setup $(READY_FOR_TESTS) ## Run many simulated worlds, with progress: make soak-simulation SEEDS=10000
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(SEED)

TIMES ?= 1
MINUTES ?= 30

faults: setup $(READY_FOR_TESTS) ## Every fault on real servers, on Apache Kafka, with a table: make faults TIMES=5
	$(BIN)/python -m tests.system.faults --times $(TIMES) --seed $(SEED)

kills: setup $(READY_FOR_TESTS) ## Kill a worker again and again under load: make kills TIMES=200
	$(BIN)/python -m tests.system.faults.kills --times $(TIMES) --seed $(SEED)

soak: setup $(READY_FOR_TESTS) ## Half of what this machine can take, on Apache Kafka, for long: make soak MINUTES=30
	$(BIN)/python -m tests.system.soak --minutes $(MINUTES)

fuzz: setup $(READY_FOR_TESTS) ## Fold 1,000,000 fuzzed records and account for each: make fuzz SEED=7
	$(BIN)/python -m tests.fuzz --seed $(SEED)

FUZZED := decoder adapters history instance settings audit query
SECONDS_EACH ?= 60

fuzz-coverage: setup $(READY_FOR_TESTS) ## Fuzz what takes bytes, guided by coverage (Linux on x86-64): make fuzz-coverage SECONDS_EACH=600
	@$(PIP) install --no-deps "$$(sed -n 's/^ *"\(atheris==[0-9.]*\)".*/\1/p' pyproject.toml)"
	for name in $(FUZZED); do $(BIN)/python -m tests.fuzz.guided $$name $(SECONDS_EACH) || exit 1; done

OF_DEMAND := forecast stockouts surges shops calibration alarms ticks

bench-demand: setup $(READY_FOR_TESTS) ## Forecasts, stock-outs, surges, made-up shops, ticks, with plots in build/
	@$(PIP) install "$$(sed -n 's/^ *"\(statsforecast==[0-9.]*\)".*/\1/p' pyproject.toml)"
	@mkdir -p build
	for name in $(OF_DEMAND); do $(BIN)/python -m tests.bench.$$name --plot build/$$name.png || exit 1; done

COMPILE := pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
  --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock: ## Renew the lock files from pyproject.toml (needs pip-tools)
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean: ## Remove what setup and the tools made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build
