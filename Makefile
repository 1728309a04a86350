# PYTHON: the interpreter .venv is made with.  VENV_ARGS=--system-site-packages: use the torch that is installed already.
# ARGS: more settings for `make demo`.  PYTEST_ARGS: more options for `make test`.
# JOBS: processes that `make test` runs tests in, of up to 4 GB each; 0: none beside its own.
# TEST_EXTRAS=--extra=dev: `make test` without vLLM and lmms-eval; the tests that need them are skipped.
PYTHON ?= python3
VENV_ARGS ?=
ARGS ?=
PYTEST_ARGS ?=
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n : 4)))
TEST_EXTRAS ?= --extra=dev --extra=vllm --extra=eval
SETUP = $(PYTHON) tools/setup.py --venv-args="$(VENV_ARGS)"
BIN = .venv/bin

# The models of the tests are so small that a second thread costs more than it computes.
test: export OMP_NUM_THREADS ?= 1
# A file's tests share fixtures, so that they stay in one process; tests/conftest.py says which files come first.
IN_PARALLEL = -n $(JOBS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test lint style types contracts wheel clean

help: ## list these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 18

demo: ## set up .venv, then distil a tiny video model on questions about generated clips
	@$(SETUP)
	$(BIN)/python -m uniopd_mm.train task=video_qa $(ARGS)

test: ## set up .venv with the test tools, then run the tests
	@$(SETUP) $(TEST_EXTRAS)
	$(BIN)/python -m pytest $(IN_PARALLEL) $(PYTEST_ARGS)

lint: style types contracts ## style, types and import contracts

style: ## ruff: rules and format
	@$(SETUP) --extra dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: ## mypy
	@$(SETUP) --extra dev
	$(BIN)/mypy

contracts: ## who may import whom (import-linter)
	@$(SETUP) --extra dev
	$(BIN)/lint-imports

wheel: ## build dist/*.whl and *.tar.gz
	@$(SETUP) --extra dev
	$(BIN)/python -m build

clean: ## remove builds and the tools' caches; .venv and runs stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find benchmarks configs processors tasks tests tools uniopd_mm -name __pycache__ -type d -prune -exec rm -rf {} +
