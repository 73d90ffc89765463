PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test lint system claims environment clean

environment: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip<26.2" setuptools wheel
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,photos]'
	touch $(STAMP)

# The main job on the embedded default: all stages, reports, export; `open` beside it.
demo: $(STAMP)
	$(BIN)/python -m train experiment=demo run=demo
	$(BIN)/python -m train experiment=demo_open run=demo-open parent=demo@base_tower
	$(BIN)/python -m evaluation show run=demo-open
	$(BIN)/python -m evaluation show run=demo
	@echo "model, card and privacy.json: checkpoints/demo/export/"

# Two workers of one thread: small models gain nothing from a second.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not system and not gpu" tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The cluster's two nodes are tested by one worker.
system: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m "system and not gpu" tests

# Figures over seeds, into docs/results/ and README: hours; the same command goes on.
claims: $(STAMP)
	$(BIN)/python -m evaluation claims

clean:
	rm -rf .cache .mypy_cache .ruff_cache build
