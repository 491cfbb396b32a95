# Every target sets up its own environment: Python 3.11+ and make are all it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: report test check lint types clean help
help:            ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

report: $(VENV)/.pdf     ## derive, confirm and typeset the linear RNN into report/linear-rnn/
	$(BIN)/wideproof report linear-rnn -o report/linear-rnn

test: $(VENV)/.test      ## run the tests
	$(BIN)/python -m pytest -n 2

check: lint types test   ## lint, types, tests

lint: $(VENV)/.test
	$(BIN)/ruff check .

types: $(VENV)/.test
	$(BIN)/mypy

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "wideproof needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.pdf: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[pdf]'
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[pdf,test]'
	@touch $@ $(VENV)/.pdf

clean:           ## remove the environment and the reports
	rm -rf $(VENV) report dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
