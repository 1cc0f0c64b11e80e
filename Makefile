# Everything starts here. `make help` lists the targets.
#
#   TARGET=cpu|cuda   which lock of constraints/ to install (default: cpu)

TARGET ?= cpu
BIN := .venv/bin
PYTEST := $(BIN)/pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo check test test-all fmt proto proto-check lock bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## make .venv with the locked dependencies and the models; quick when it is done
	@tools/setup.sh $(TARGET)

demo: setup ## start the mesh, ingest documentation that is on this machine, ask three questions
	@$(BIN)/python tools/demo.py

check: setup ## format, lint, types, import contracts, protos, fast tests: under two minutes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/protos.py check
	$(PYTEST) -n 3 --dist loadfile -m "not e2e and not slow"

test: check ## everything that half an hour on two cores can hold, real engines included
	$(PYTEST) -m "e2e and not slow"

test-all: check ## the long matrices and soaks too
	$(PYTEST) -m "e2e or slow"

fmt: ## format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: ## generate the stubs of protos/ into src/groundmesh/v1
	$(BIN)/python tools/protos.py generate

proto-check: ## stubs up to date, buf lint, nothing broken since the last release
	$(BIN)/python tools/protos.py check

lock: ## renew constraints/ from the pyproject files
	@tools/lock.sh

bench: setup ## measure this machine's mesh
	@$(BIN)/python -m benchmarks

clean: ## remove .venv, caches and the demo's data; prepared models stay in the user's cache
	rm -rf .venv .demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
