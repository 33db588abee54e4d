# `make demo` and `make test` work as the first and only command on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slurm check format bench learn docs lock clean

demo: $(READY)
	$(BIN)/snakemake
	@echo "Report: $(CURDIR)/results/demo/report/index.html"

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Through a real SLURM cluster on this machine; root on Debian installs it where it is missing.
test-slurm: $(READY)
	$(BIN)/python -m pytest -m slurm tests/slurm

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

# Does every term learn, and nothing but its task? An hour a piece; again to go on.
learn: $(READY)
	$(BIN)/python -m tests.benchmarks.learn

# The settings reference and its JSON schema from the code, and README's figures from the demo.
docs: demo
	$(BIN)/python -m pipeline_src.stages.document_settings --readme config/README.md --schema workflow/schemas/config.schema.json
	mkdir -p docs
	cp results/demo/report/figures/results/results_motions_finetune.svg results/demo/report/figures/map/weights_over_generations.svg docs/

# New pins. CUDA's libraries are left to torch, which names their exact versions, so that a CPU build stays small.
lock: $(READY)
	$(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --upgrade --extra dev --no-header --no-annotate \
		--no-emit-index-url pyproject.toml | grep -v -E '^(nvidia-|cuda-|triton)' > requirements.lock
	{ echo "# Made by make lock, for snakemake --software-deployment-method conda; without it, stages run in Snakemake's Python."; \
	  echo "channels: [conda-forge]"; echo "dependencies:"; echo "  - python =3.12"; echo "  - pip"; echo "  - pip:"; \
	  sed "s/\(.*\)/      - \"\1\"/" requirements.lock; } > workflow/envs/workflow.yaml

# What the demo made and what tools keep; your own data and results stay.
clean:
	rm -rf data/demo results/demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: PYTHON=$(PYTHON) - Python 3.11 or newer with venv is needed; try make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python -r requirements.lock || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@
