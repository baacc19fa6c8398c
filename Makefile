# Each target sets up what it needs in .venv; PYTHON chooses the interpreter (3.11 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check prove docs bench results figures clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/fairbound demo

test: $(STAMP)
	$(BIN)/python -m pytest -n auto

# mypy follows no editable map of folders to packages: it checks a plain installation, as a user gets it.
check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	rm -rf build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target build/typed .
	MYPYPATH=build/typed $(BIN)/mypy --strict --cache-dir build/mypy -p fairbound.bounds -p fairbound.proofs
	cd build && PYTHONPATH=typed ../$(BIN)/python -c "import fairbound.report, fairbound.proofs.ledger as ledger; \
	assert 'typed' in fairbound.__file__ and len(ledger.claims()) == len(ledger.IDS) and not ledger.changed_statements()"

prove: $(STAMP)
	$(BIN)/fairbound prove

docs: $(STAMP)
	$(BIN)/sphinx-build --fail-on-warning --quiet --conf-dir docs --doctree-dir build/doctrees . build/docs

bench: $(STAMP)
	$(BIN)/python -m benchmarks.counting
	$(BIN)/python -m benchmarks.fft_adult
	$(BIN)/python -m benchmarks.watch
	$(BIN)/python -m benchmarks.certify
	$(BIN)/python -m benchmarks.coverage --runs 2000

results: $(STAMP)
	$(BIN)/fairbound sweep sweeps/main.toml --out results/main
	$(BIN)/fairbound sweep sweeps/modalities.toml --out results/modalities
	$(BIN)/python -m benchmarks.fft_targets

# What takes longer (sweeps, attacks, coverage, proofs) is not made here: figures that lack it are listed with its command.
figures: $(STAMP)
	$(BIN)/fairbound demo --out results/demo
	$(BIN)/fairbound metrics --out results/metrics --json > results/metrics.json
	$(BIN)/fairbound figures

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
