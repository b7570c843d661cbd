# `make demo` and `make test` need nothing but Python 3.11 or newer; each sets up .venv by itself.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv/.peers

.PHONY: demo test test-slow test-cluster smoke bench bench-peers torture lint check-page clean

demo: $(READY)
	@echo "Training the smooth and the stepped schedule, 32 seeds of each ..."
	@$(BIN)/curriculum experiment smooth-vs-stepped
	@echo "Rendering the video of the median seeds ..."
	@$(BIN)/curriculum animate
	@echo "Writing the report ..."
	@$(BIN)/curriculum report smooth-vs-stepped
	@echo
	@echo "Open the report (.html) in a browser: it has the answer, the curves and the latent spaces, step by step."
	@echo "The video and the figures are in the other folders above."

# Tests of one file run in one process, so that what they share is made once.
test: $(READY) lint
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -n auto --maxprocesses=4 -m 'slow and not cluster'

# Experiments under a Slurm of two nodes on this machine, which is installed with apt-get if it is missing, and on a Ray that loses nodes.
test-cluster: $(READY)
	$(BIN)/python -m pytest -m cluster

# What a user's own CI would run: both sheets for 50 steps, a comparison, a poster, a report.
smoke: $(READY)
	@set -e; runs=$$(mktemp -d); trap 'rm -rf $$runs' EXIT; export CURRICULUM_RUNS=$$runs; \
	$(BIN)/curriculum train --dopesheet smooth.csv --steps 50 --name smooth; \
	$(BIN)/curriculum train --dopesheet stepped.csv --steps 50 --name stepped; \
	$(BIN)/curriculum compare smooth stepped; \
	$(BIN)/curriculum animate -o $$runs/poster.png; \
	$(BIN)/curriculum report -o $$runs/report.html

bench: $(READY)
	$(BIN)/python benchmarks/bench.py

# The same training by this project and in JAX, which only this needs and installs (about 400 MB). Takes about fifteen minutes.
bench-peers: $(PEERS)
	$(BIN)/python benchmarks/peers.py

# Breaks a thousand trainings and more, in about twenty minutes; make torture SEED=1 breaks others.
SEED := 0
torture: $(READY)
	$(BIN)/python benchmarks/torture.py --seed $(SEED)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The types of the page's code. Needs Node.js.
check-page: tools/page/node_modules
	npm --prefix tools/page run --silent check

tools/page/node_modules: tools/page/package-lock.json
	npm --prefix tools/page ci --no-audit --no-fund --silent
	@touch $@

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis

# torch comes first and by itself: its pin decides which build of it is fetched.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "curriculum needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "Setting up .venv (a minute or two the first time) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,lightning,transformers,tensorboard,ray]'
	@touch $@

$(PEERS): $(READY)
	@echo "Installing JAX ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@
