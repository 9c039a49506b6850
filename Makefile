# Each target is one command with no other step; all install what they need.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench clean

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: ## Install Debian packages, .venv, .venv-clients and .venv-az
	@scripts/setup

demo: ## Run the main job: a private cluster, a model on it, and the evidence
	@scripts/setup main clients
	@.venv/bin/ringfence --state "$(CURDIR)/.state/demo" demo --client-python "$(CURDIR)/.venv-clients/bin/python"

test: setup ## Run the tests, file by file, by one process more than there are cores (much of it is waiting), at most four
	@.venv/bin/python -m pytest -n $$(($$(nproc) + 1)) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: setup ## ruff, mypy --strict on source and tests, import contracts
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache

bench: setup ## Measure; each prints its baseline of the same run
	@.venv/bin/python bench/run.py

clean: ## Stop the demo and remove what it stored
	@[ ! -x .venv/bin/ringfence ] || .venv/bin/ringfence --state "$(CURDIR)/.state/demo" down --purge
