# `make` prints what there is. Every target builds the environment by itself on first use.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

.PHONY: help demo run test test-ops check bench chaos image-check audit sbom format protos lock clean

help: ## Print this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

demo: $(RUNTIME) ## Acquire albums on an embedded loopback network, and show what happened
	@$(BIN)/lockgroove demo $(ARGS)

run: $(RUNTIME) ## Run the suite for real (settings from the environment, see README)
	@$(BIN)/lockgroove up $(ARGS)

test: check ## check, then every test, on SQLite and on PostgreSQL
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-ops: $(DEV) ## Every query of the dashboards and alerts on a running suite, by a real Prometheus
	@$(BIN)/python -m tests.ops.prometheus
	@$(BIN)/python -m pytest -o python_files='check_*.py' tests/ops $(ARGS)

check: $(DEV) ## Format, lint, types, import contracts, protos, links in docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@protos/check
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/contract/docs

bench: $(DEV) ## Print the benchmarks of docs/performance.md
	@$(BIN)/python -m tests.benchmarks $(ARGS)

chaos: $(DEV) ## Kill gateway, webhooks service and database hundreds of times, and count what was lost
	@$(BIN)/python -m tests.chaos $(ARGS)

image-check: $(DEV) ## Test what is deployed: image, entry point, compose, Kubernetes, workflows (no engine needed)
	@$(BIN)/python -m pytest -q tests/unit/container tests/unit/release tests/integration/container tests/contract/deploy

audit: $(DEV) ## Look for known holes in dependencies (asks the network), unsafe code and unsafe workflows
	@$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements/runtime.lock
	@$(BIN)/bandit --quiet --configfile deploy/release/bandit.yaml --recursive libs services deploy --exclude libs/stubs
	@$(BIN)/zizmor --offline --no-progress --quiet .github

sbom: $(DEV) ## Write what the image is made of to build/sbom.json (CycloneDX)
	@$(BIN)/python -m deploy.release.sbom

format: $(DEV) ## Format code and protos
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/buf format -w protos

protos: $(DEV) ## Make libs/stubs from protos/
	@protos/generate

lock: ## Renew requirements/*.lock (needs uv)
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" pyproject.toml --group build -o requirements/runtime.lock
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" pyproject.toml --group build --group dev \
	  --constraint requirements/runtime.lock -o requirements/dev.lock

clean: ## Remove what was built; data/ stays
	@rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(RUNTIME): requirements/runtime.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("lockgroove needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements/runtime.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements/dev.lock $(RUNTIME)
	@echo "Installing the test tools (once) ..."
	@$(PIP) install --require-hashes --requirement requirements/dev.lock
	@touch $@
