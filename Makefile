# Everything runs in .venv, which is made on first use and again when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: quickstart test test-slow test-cluster test-gpu lint docs bench

quickstart: $(READY)
	$(BIN)/orch sweep sweeps/quickstart.yaml

test: lint
	$(BIN)/pytest --cov --cov-report=term:skip-covered

test-slow: $(READY)
	$(BIN)/pytest -m slow -n 2 --dist load

# Two hosts made of namespaces, and a Slurm of two nodes: root on Linux, with iproute2,
# openssh-server, rsync, and for Slurm, whose tests are skipped without them, slurm-wlm and munge.
test-cluster: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev,cluster]'
	$(BIN)/pytest tests/cluster -m cluster -n 0

# What only a GPU can show.
test-gpu: $(READY)
	$(BIN)/pytest tests/trainables -m gpu -n 0 -rs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

bench: $(READY)
	$(BIN)/python -m benchmarks

docs: $(READY)
	$(BIN)/python docs/reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
