# Every target sets up its own environment: Python 3.11+ and make are all it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
OTHERS ?= 3.12 3.13 3.14
WORKERS ?= 2
PART    = tests/derive/language tests/derive/proof tests/derive/expectation tests/derive/emit tests/numeric/core \
          tests/numeric/recordings tests/numeric/kernels tests/reports/document tests/reports/render tests/reports/cli \
          tests/test_readme.py tests/test_package.py tests/test_layers.py
LOOPS   = tests/derive/emit/sweeps tests/derive/expectation/tables tests/numeric/linear_rnn/test_thin_products.py
PIP     = -m pip install --quiet --disable-pip-version-check

help:            ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

report: $(VENV)/.pdf     ## derive, confirm and typeset the linear RNN into report/linear-rnn/
	$(BIN)/wideproof report linear-rnn -o report/linear-rnn

certify: $(VENV)/.test   ## write every covered proof as a Coq file and let coqc check it: apt-get install coq
	$(BIN)/wideproof certify all -o certificates
	WIDEPROOF_CERTIFY=all $(BIN)/python -m pytest tests/derive/certificate

docs: $(VENV)/.docs      ## build the documentation site into docs/_build/html, warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html

accessible: $(VENV)/.test  ## check pages in Chromium by axe: needs npm and chromium (apt-get install npm chromium)
	PUPPETEER_SKIP_DOWNLOAD=1 npm install --silent --no-audit --no-fund --prefix $(VENV)/axe axe-core puppeteer-core
	WIDEPROOF_AXE=$(abspath $(VENV)/axe/node_modules) $(BIN)/python -m pytest tests/reports/render/test_html_page.py

# glibc keeps the memory that arrays free: mapping it anew was a tenth of the time of numeric tests
KEEP    = MALLOC_MMAP_THRESHOLD_=268435456 MALLOC_TRIM_THRESHOLD_=1073741824
# a worker has a core: threads of OpenBLAS that wait for each other were half of the time of some tests
ALONE   = OPENBLAS_NUM_THREADS=1
test: $(VENV)/.test      ## run the tests; WORKERS=8 on a larger machine
	$(KEEP) $(ALONE) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

compiled: $(VENV)/.test  ## the tests of compiled loops, which the others leave out where Numba is not installed
	$(BIN)/python $(PIP) -e '.[fast]'
	$(BIN)/python -m pytest -n $(WORKERS) $(LOOPS)

mutants: $(VENV)/.test   ## try small mistakes in the engine and write which ones nothing noticed: docs/mutants.md
	$(BIN)/python -m tests.mutants --write docs/mutants.md

check: lint types test compiled   ## what a change must pass: lint, format, types, tests

lint: $(VENV)/.test      ## ruff: rules, and the format of every file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.test    ## write every file in the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.test     ## mypy --strict
	$(BIN)/mypy

lowest: $(VENV)/.python  ## a part of the tests with the oldest dependencies that pyproject.toml admits
	$(PYTHON) -m venv --clear $(VENV)/lowest
	$(VENV)/lowest/bin/python $(PIP) uv
	$(VENV)/lowest/bin/uv pip install --quiet --python $(VENV)/lowest --resolution lowest-direct -e '.[pdf,test]'
	$(VENV)/lowest/bin/python -m pytest -n 2 -W default::DeprecationWarning $(PART)   # new parts beneath old ones warn

pythons:                 ## a part of the tests with every other Python that is installed
	@for version in $(OTHERS); do \
	  command -v python$$version > /dev/null && python$$version -c '' 2> /dev/null || { echo "python$$version: not found, left out"; continue; }; \
	  echo "python$$version"; \
	  python$$version -m venv --clear $(VENV)-$$version && \
	  $(VENV)-$$version/bin/python $(PIP) -e '.[pdf,test]' && \
	  $(VENV)-$$version/bin/python -m pytest -n 2 $(PART) || exit 1; \
	done

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "wideproof needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.pdf: $(VENV)/.python pyproject.toml
	$(BIN)/python $(PIP) -e '.[pdf]'
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml
	$(BIN)/python $(PIP) -e '.[pdf,test]'
	@touch $@ $(VENV)/.pdf

$(VENV)/.docs: $(VENV)/.python pyproject.toml
	$(BIN)/python $(PIP) -e '.[pdf,docs]'
	@touch $@

clean:           ## remove the environments and the reports
	rm -rf $(VENV) $(VENV)-3.* report certificates dist build docs/_build docs/generated *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# docs is a folder, too
.PHONY: help report docs accessible certify test compiled mutants check lint format types lowest pythons clean
.DEFAULT_GOAL := help
