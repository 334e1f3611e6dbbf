# One command each. The Python environment is .venv, the npm tools are node_modules; both are made on first use, which is told
# on stderr: `make demo ARGS=--json` prints nothing but JSON on stdout.
VENV := .venv
PYTHON ?= python3
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --constraint constraints.txt

.PHONY: help demo test slow quick lint format bench proto clean

help:
	@echo "make demo    a private payment end to end on this machine"
	@echo "make test    the tests (installs forge, solc and snarkjs from npm)"
	@echo "make slow    those that take long: chaos, machine code for GPUs, real proofs"
	@echo "make quick   the tests that need neither npm nor long"
	@echo "make lint    ruff, mypy, forge fmt, solhint"
	@echo "make bench   time arithmetic and proofs on this machine, in 2 minutes or so"

demo: $(VENV)/.demo node_modules/.demo
	@$(VENV)/bin/gelap demo $(ARGS)

test: $(VENV)/.dev node_modules/.dev
	$(PY) -m pytest -m "not slow" $(ARGS)

slow: $(VENV)/.dev node_modules/.dev
	$(PY) -m pytest -m slow $(ARGS)

quick: $(VENV)/.dev
	$(PY) -m pytest -m "not slow and not interop" tests/unit $(ARGS)

lint: $(VENV)/.dev node_modules/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	cd contracts && ../node_modules/.bin/forge fmt --check
	node_modules/.bin/solhint --config contracts/.solhint.json --max-warnings 0 'contracts/src/**/*.sol'

format: $(VENV)/.dev node_modules/.dev
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .
	cd contracts && ../node_modules/.bin/forge fmt

bench: $(VENV)/.demo
	$(VENV)/bin/gelap bench field --sizes 2^10,2^18
	$(VENV)/bin/gelap bench ntt --sizes 2^10,2^16
	$(VENV)/bin/gelap bench msm --sizes 2^10,2^15
	$(VENV)/bin/gelap bench prove --circuit spend --circuit insert $(ARGS)

proto: $(VENV)/.dev
	$(PY) -m proto.generate

# The development environment; `make demo` needs only the part of it that runs the product.
$(VENV): $(VENV)/.dev

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing Python packages into $(VENV)" >&2
	@$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	@echo "installing development packages into $(VENV)" >&2
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Gelap needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)

# `npm ci` empties node_modules, so the marks live inside it; the development set contains the demo's.
node_modules/.demo: package.json package-lock.json
	@echo "installing anvil from npm" >&2
	@npm ci --omit=dev --no-audit --no-fund --silent
	@touch $@

node_modules/.dev: package.json package-lock.json
	@echo "installing anvil, forge, solc and snarkjs from npm" >&2
	@npm ci --no-audit --no-fund --silent
	@touch node_modules/.demo $@

clean:
	rm -rf $(VENV) node_modules contracts/out contracts/cache .pytest_cache .mypy_cache .ruff_cache
