# make demo   runs the example build on the embedded AWS, from nothing but Python ≥ 3.11
# make test   everything CI runs
# make help   the rest

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   := $(CURDIR)/.demo
# Where the Zika data is that `make bench` builds; see examples/zika/README.md.
ZIKA   ?= examples/zika

# The demo keeps its sandbox and settings apart from yours.
demo: export NEXTSTRAIN_HOME := $(DEMO)

.PHONY: help demo test lint types imports unit functional system conformance peers reference bench chaos clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo ## run the example build on the embedded AWS
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

# Files of tests run beside each other; each has servers and directories of its own.
test: lint types imports ## lint, types, import rules and every test
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

unit functional system conformance: $(VENV)/.dev ## run one kind of test, such as make unit
	$(BIN)/pytest tests/$@

peers: $(VENV)/.dev ## run the reference client and the AWS CLI on the sandbox (installs them)
	$(BIN)/pytest -m peers tests/system

reference: $(VENV)/.dev ## write the generated pages of docs/reference anew (minutes)
	$(BIN)/python docs/generate_reference.py
	$(BIN)/python docs/generate_fidelity.py

bench: $(VENV)/.dev ## measure the overhead of a round trip and the start-up time (minutes)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/overhead.py $(ZIKA)

chaos: $(VENV)/.dev ## kill the sandbox, its jobs and clients a hundred times (some minutes)
	PYTHONPATH=tests $(BIN)/python tests/chaos.py --rounds 100 $(if $(SEED),--seed $(SEED))

clean: ## remove what the other targets made
	-[ ! -x $(BIN)/nextstrain ] || NEXTSTRAIN_HOME=$(DEMO) $(BIN)/nextstrain sandbox stop
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# pip older than 25.1 knows no dependency groups.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' \
	  || { echo "Python's venv module is incomplete; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[sandbox,example]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[sandbox,example]' --group dev
	@touch $@ $(VENV)/.demo
