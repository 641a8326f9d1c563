# Every verb of the project. `make` alone prints them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
WORKERS ?= 4
FUZZ_SECONDS ?= 60
STORE ?= sqlite
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
EDITABLE := -e ./client -e ./server
unexport PYTHONDONTWRITEBYTECODE

ifdef UV
CREATE = uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)
INSTALL = uv pip install --quiet --compile-bytecode --python $(BIN)/python
else
CREATE = $(PYTHON) -m venv $(VENV)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(VENV)/runtime: requirements.txt client/pyproject.toml server/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11")'
	@echo "setting up $(VENV) (runtime)"
	@$(CREATE)
	@$(INSTALL) --require-hashes -r requirements.txt
	@$(INSTALL) --no-deps --no-build-isolation $(EDITABLE)
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.txt
	@echo "setting up $(VENV) (tests and tools)"
	@$(INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@

# Clients that others wrote in JavaScript, for tests/system/test_others.py; without npm that test is skipped.
$(VENV)/npm: $(VENV)/runtime $(wildcard tests/system/npm/*.json tests/system/npm/n8n-errors/*)
	@if command -v npm >/dev/null; then echo "setting up $(VENV)/npm (others' clients)"; rm -rf $@; cp -r tests/system/npm $@ && \
		npm ci --prefix $@ --ignore-scripts --no-audit --no-fund --silent && touch $@; else echo "no npm: others' clients are not tested"; fi

.PHONY: setup
setup: $(VENV)/runtime ## install what the demo and the server need into .venv

.PHONY: demo
demo: $(VENV)/runtime ## watch three jobs being pushed to a client: real processes, real HTTP
	@$(BIN)/python -m examples.demo

.PHONY: run
run: $(VENV)/runtime ## serve on http://localhost:8000 until Ctrl-C (FLAGS="..." adds options)
	@exec $(BIN)/python -m video_translation_server serve $(FLAGS)

# Thousands of tests commit to files of their own: in memory, where it has 3 GB of room, none of them waits for a disk.
.PHONY: test
test: export TMPDIR ?= $(shell df -Pk /dev/shm 2>/dev/null | awk '$$4 > 3000000 && $$6 == "/dev/shm" { print $$6; found = 1 } END { if (!found) print "/tmp" }')
test: $(VENV)/dev $(VENV)/npm ## run the tests, side by side in WORKERS processes (ARGS="-k words" picks some)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/dev ## search with the property tests, in rounds, for FUZZ_SECONDS (60; a round that began is finished)
	@end=$$((SECONDS + $(FUZZ_SECONDS))); while [ $$SECONDS -lt $$end ]; do \
		$(BIN)/python -m pytest -q -n $(WORKERS) -m fuzz --hypothesis-profile=fuzz --timeout=900 $(ARGS) || exit 1; done

.PHONY: integration-test
integration-test: $(VENV)/runtime ## server and client side by side, with both logs, requests per job and delays
	@$(BIN)/python -m tests.system.integration

.PHONY: example-test
example-test: $(VENV)/runtime ## run the example's tests from built wheels, in an environment of their own
	@.ci/example-test

.PHONY: chaos
chaos: $(VENV)/dev ## kill servers for 5 minutes, compare what arrived with the log (STORE=postgresql: three; OPTIONS="--kills 20")
	@$(BIN)/python -m tests.chaos --store $(STORE) $(OPTIONS)

.PHONY: bench-delivery
bench-delivery: $(VENV)/dev ## what a durable delivery costs, beside a bare protocol, aiohttp and naive httpx (FLAGS="--profile"; STORE=postgresql)
	@$(BIN)/python -m benchmarks.$(if $(filter postgresql,$(STORE)),shared,delivery) $(FLAGS)

.PHONY: bench-latency
bench-latency: $(VENV)/dev ## from a transition to its push, beside a bare POST and polling (FLAGS="..." adds options)
	@$(BIN)/python -m benchmarks.latency $(FLAGS)

.PHONY: bench-fairness
bench-fairness: $(VENV)/runtime ## what a hanging and a refusing endpoint cost 98 healthy ones (FLAGS="..." adds options)
	@$(BIN)/python -m benchmarks.fairness $(FLAGS)

.PHONY: bench-start
bench-start: $(VENV)/runtime ## how soon a server is up inside a test, beside a bare one; a day of retries (FLAGS="..." adds options)
	@$(BIN)/python -m benchmarks.start $(FLAGS)

.PHONY: bench-scale
bench-scale: $(VENV)/dev ## a million pending jobs beside a thousand, 100,000 endpoints beside a hundred; ~6 min, 2 GB of disk
	@$(BIN)/python -m benchmarks.scale $(FLAGS)

.PHONY: bench-client
bench-client: $(VENV)/dev ## receiving beside a bare ASGI app, waking, memory, requests per job (FLAGS="..." adds options)
	@$(BIN)/python -m benchmarks.client $(FLAGS)

.PHONY: check
check: $(VENV)/dev ## format, lint, strict types, import rules, fresh contract
	@$(BIN)/ruff format --check . || { echo "fix with: make format"; exit 1; }
	@$(BIN)/ruff check . || { echo "fix with: make format (what it can fix), then by hand"; exit 1; }
	@$(BIN)/mypy || exit 1
	@$(BIN)/lint-imports --no-cache || { echo "the import map is in pyproject.toml; docs/architecture.md explains it"; exit 1; }
	@$(BIN)/python -m video_translation_server.contract --check contract || { echo "fix with: make contract"; exit 1; }
	@$(BIN)/python -m tests.contract.fidelity --check || { echo "docs/fidelity.md is stale; fix with: make contract"; exit 1; }

.PHONY: format
format: $(VENV)/dev ## format the code and apply safe lint fixes
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: contract
contract: $(VENV)/runtime ## write the generated files of contract/ anew, and the tables of docs/fidelity.md
	@$(BIN)/python -m video_translation_server.contract contract
	@$(BIN)/python -m tests.contract.fidelity

.PHONY: lock
lock: ## write the lock files (LOCK=--upgrade takes the newest of everything; needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv"; exit 1; }
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(LOCK) \
		--group build client/pyproject.toml server/pyproject.toml -o requirements.txt
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(LOCK) \
		--group build --group dev -c requirements.txt client/pyproject.toml server/pyproject.toml -o requirements-dev.txt
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(LOCK) \
		--group example -c requirements-dev.txt -o examples/requirements.txt

.PHONY: clean
clean: ## remove .venv and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
