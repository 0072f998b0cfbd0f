# make demo       everything on a phantom set, nothing downloaded but Python packages
# make test       lint, types, layers, doctests and tests
# make test-slow  the long tests too
# make docs       the site, into build/site
# make dist       wheel and source archive, checked; make dist-demo runs the demo from the wheel alone
# make bench      the timing scripts

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev,dicom,fast,onnx,openvino,ray,tables,tune

export TF_CPP_MIN_LOG_LEVEL = 3

# A process for each core, four at most: each may load TensorFlow. A file's tests share what they make.
PARALLEL := --numprocesses=logical --maxprocesses=4 --dist=loadfile --durations=25

.PHONY: demo test test-slow lint docs dist dist-demo bench clean

$(VENV)/.ready: pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cxrfeat needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(VENV)/.ready
	$(BIN)/cxrfeat demo --out demo

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

# Threads of BLAS that wait sleep at once: those of one test process would keep the core that another needs.
test test-slow: export OPENBLAS_THREAD_TIMEOUT = 4
# Python keeps what it compiled, whatever the environment says: each of the many processes would compile it again.
test test-slow: export PYTHONDONTWRITEBYTECODE =

test: lint
	$(BIN)/python -m pytest -q $(PARALLEL)

test-slow: lint
	$(BIN)/python -m pytest -q $(PARALLEL) -m 'slow or not slow'

docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

dist: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[release]'
	rm -rf dist build/lib
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

dist-demo: dist
	rm -rf build/empty && $(PYTHON) -m venv build/empty
	build/empty/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt dist/*.whl
	cd build/empty && bin/cxrfeat demo --out demo && bin/cxrfeat verify demo/features/*.h5

bench: $(VENV)/.ready
	@for name in engines extract two_stage scale heads standardize finetune; do $(BIN)/python -m benchmarks.$$name || exit 1; done

clean:
	rm -rf $(VENV) demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
