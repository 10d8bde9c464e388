# Both commands create and reuse .venv by themselves. TORCH_INDEX= takes a wheel index of your own,
# for instance PyTorch's CPU builds: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
PYTHON ?= python3
TORCH_INDEX ?=
TEST_WORKERS ?= 2
# Empty for the newest versions of everything: make test CONSTRAINTS=
CONSTRAINTS ?= constraints.txt
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
LOWEST := .venv-lowest/bin/python
# Without those of the documents, the benchmarks and the recipes, which nobody installs.
OF_THE_PACKAGE := tests --ignore tests/benchmarks --ignore tests/recipes --ignore tests/scripts --ignore tests/corpus
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))

.PHONY: demo test test-long test-lowest lint docs package clean

demo: .venv/installed
	$(BIN)/trace-edges detect examples --out out/demo
	@echo "See out/demo/*.overlay.png and *.edges.png"

test: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(TEST_WORKERS) --dist worksteal -m "not long"

# One test at a time to each worker, since some take minutes.
test-long: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(TEST_WORKERS) --maxschedchunk 1 -m long

# The oldest versions that pyproject.toml admits, in a venv of their own, and the tests of the package on them. uv
# resolves them; it takes the torch of PyPI, or with TORCH_INDEX= that of an index of your own.
test-lowest: .venv-lowest/installed
	OMP_NUM_THREADS=1 .venv-lowest/bin/pytest -n $(TEST_WORKERS) --dist worksteal -m "not long" $(OF_THE_PACKAGE)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site in out/site; a warning is an error. Nothing is fetched.
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The wheel and the source archive in dist/, as they are published.
package: .venv/installed
	rm -rf dist
	$(INSTALL) build twine
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*

clean:
	rm -rf .venv .venv-lowest out build dist

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "trace-edges needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(INSTALL) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) --editable ".[dev]"
	touch $@

# Nothing of constraints.txt: those are the versions of the other tests.
.venv-lowest/installed: pyproject.toml
	test -x $(LOWEST) || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --quiet --disable-pip-version-check uv
	.venv-lowest/bin/uv pip install --quiet --python $(LOWEST) --resolution lowest-direct \
		$(if $(TORCH_INDEX),--index $(TORCH_INDEX) --index-strategy unsafe-best-match) --editable ".[annotate,distill,eval,fast,formats,onnx,s3,sentencepiece]"
	.venv-lowest/bin/uv pip install --quiet --python $(LOWEST) beartype hypothesis pytest pytest-timeout pytest-xdist
	touch $@

.venv/installed-docs: .venv/installed
	$(INSTALL) --editable ".[docs]"
	touch $@
