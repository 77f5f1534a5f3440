# From a fresh clone:  make figures/fig4a.pdf   |   make test
# CORES, SCALE and PUBLISHED are optional:  make figures/fig4a.pdf CORES=8 SCALE=paper

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEVELOP := $(VENV)/.develop
DOCS_READY := $(VENV)/.docs-ready
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES) --resources gpu_percent=100 $(if $(SCALE)$(PUBLISHED),--config $(SCALE:%=scale=%) $(PUBLISHED:%=published=%))

# Snakemake needs a folder for its cache, even if there is no home folder.
ifneq ($(shell cache="$${XDG_CACHE_HOME:-$$HOME/.cache}"; mkdir -p "$$cache" 2>/dev/null && test -w "$$cache" && echo writable),writable)
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
endif

LEGACY := .legacy
# Run each candidate, since a pyenv shim may have no version behind it.
LEGACY_PYTHON ?= $(shell for python in python3.10 python3.9 python3.8 $(HOME)/.pyenv/versions/3.10.*/bin/python \
  $(HOME)/.pyenv/versions/3.9.*/bin/python $(HOME)/.pyenv/versions/3.8.*/bin/python; \
  do $$python -c "import ensurepip, venv" 2>/dev/null && echo $$python && break; done)
LEGACY_NEEDS := gcc:gcc g++:g++ patchelf:patchelf GL/osmesa.h:libosmesa6-dev GL/gl.h:libgl1-mesa-dev GL/glew.h:libglew-dev

.PHONY: audit coverage develop help setup legacy figures claims tune plan report verify docs docs-numbers test test-slow test-cluster test-all torture lint benchmark clean
.DELETE_ON_ERROR:

help:
	@echo "make figures/fig4a.pdf   set up if necessary and build a figure; config/figures.yaml lists the names"
	@echo "make figures             build all figures"
	@echo "make plan                list the missing runs and estimate their core-hours, for example with SCALE=paper"
	@echo "make claims              execute the runs of figures with claims, test the claims and write figures/claims.md"
	@echo "make tune                choose hyperparameters of the comparisons of a scale, and write config/tuned/<scale>.yaml"
	@echo "make verify              repeat the beginning of some published runs and compare, for example with SCALE=day"
	@echo "make report              build one page, figures/report.html, with figures, claims, costs and provenance"
	@echo "make docs                build the documentation as a website, docs/_build/html/index.html"
	@echo "make docs-numbers        redraw the pictures and rewrite the generated tables of the documentation"
	@echo "make test                run the fast tests; test-all adds the slow ones and those on a one-node cluster; lint runs the linters"
	@echo "make benchmark           measure the speed of algorithms, problems and the workflow"
	@echo "make legacy              set up the original simulator, for \`backend: mujoco-py\`"
	@echo "make clean               remove the figures and keep the results"

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || \
	  { echo "missing: Python 3.11 or newer. Debian, Ubuntu: sudo apt-get install python3.11 python3.11-venv   macOS: brew install python@3.11   or specify one: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || \
	  { echo "missing: Python's venv module. Debian, Ubuntu: sudo apt-get install $$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; exit 1; }
	@echo "Setting up $(VENV) with the pinned packages of requirements.lock; this takes a minute or more and 2 GB."
	@$(BIN)/pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
	  { echo "failed: cannot create $(CURDIR)/$(VENV); the folder must be writable and have 2 GB of free space"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar on -r requirements.lock && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . || \
	  { echo "failed: pip cannot install the packages, for the reason above. It needs 2 GB of free space, and PyPI or a mirror of it; check HTTPS_PROXY and PIP_INDEX_URL"; exit 1; }
	@touch $@

develop: $(DEVELOP)

$(DEVELOP): $(READY) requirements-dev.lock
	@echo "Adding the pinned packages of requirements-dev.lock to $(VENV), for tests, linters and live curves."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar on -r requirements-dev.lock || \
	  { echo "failed: pip cannot install the packages, for the reason above"; exit 1; }
	@touch $@

# The original simulator, for `backend: mujoco-py`. The first import compiles it.
legacy: $(LEGACY)/.ready

$(LEGACY)/.ready: envs/legacy.txt
	@python="$(LEGACY_PYTHON)"; \
	"$${python:-none}" -c "import sys, ensurepip, venv; sys.exit(not (3, 8) <= sys.version_info < (3, 11))" 2>/dev/null || \
	  { echo "missing: Python 3.8, 3.9 or 3.10 with its venv module, which the original simulator needs; specify one: make legacy LEGACY_PYTHON=/path/to/python3.10"; exit 1; }
	@missing=; for need in $(LEGACY_NEEDS); do \
	  case $$need in \
	    *.h:*) echo "#include <$${need%:*}>" | gcc -E - ;; \
	    *) command -v "$${need%:*}" ;; \
	  esac >/dev/null 2>&1 || missing="$$missing $${need#*:}"; done; \
	test -z "$$missing" || \
	  { echo "missing: build dependencies of the original simulator. Debian, Ubuntu: sudo apt-get install$$missing   others: see envs/legacy.yaml"; exit 1; }
	@echo "Setting up $(LEGACY) with gym 0.23.1 and mujoco-py; this takes a few minutes."
	@$(LEGACY_PYTHON) -m venv --clear $(LEGACY)
	@$(LEGACY)/bin/python -m pip install --quiet --disable-pip-version-check "pip<24.1" "setuptools<66" wheel
	@$(LEGACY)/bin/python -m pip install --quiet --disable-pip-version-check -r envs/legacy.txt
	@MUJOCO_PY_FORCE_CPU=1 $(LEGACY)/bin/python -c "import mujoco_py" > $(LEGACY)/compile.log 2>&1 || \
	  { tail -3 $(LEGACY)/compile.log; echo "mujoco-py failed to compile; full log: $(LEGACY)/compile.log"; exit 1; }
	@touch $@

# Snakemake decides what is outdated, so make always calls it.
figures/%: $(READY) FORCE
	@$(SNAKEMAKE) -- $@ $(if $(filter %.pdf,$@),$(@:.pdf=.png) $(@:.pdf=.csv))

results/%: $(READY) FORCE
	@$(SNAKEMAKE) -- $@

figures: $(READY)
	@$(SNAKEMAKE)

claims: $(READY)
	@$(SNAKEMAKE) -- claims

tune: $(READY)
	@$(SNAKEMAKE) -- tune

plan: $(READY)
	@$(SNAKEMAKE) --quiet -- plan

verify: $(READY)
	@$(SNAKEMAKE) --quiet -- verify

report: $(READY)
	@$(SNAKEMAKE) --quiet -- report

# The website: Markdown pages, API reference, gallery and executed pages. Warnings are errors.
docs: $(DOCS_READY)
	$(BIN)/sphinx-build -W --keep-going --quiet -c docs . docs/_build/html

$(DOCS_READY): $(DEVELOP) docs/requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.lock
	@touch $@

# Pictures and generated tables of the documentation, from the published tables.
docs-numbers: $(READY)
	@$(BIN)/python -m lop.report.documentation

FORCE:

test: $(DEVELOP)
	$(BIN)/python -m pytest -n $(CORES) -m "not slow"

# Includes tests that start a one-node SLURM cluster, which requires root and SLURM installed but not configured.
test-slow: $(DEVELOP)
	$(BIN)/python -m pytest -n $(CORES) -m slow

test-cluster: $(DEVELOP)
	$(BIN)/python -m pytest -m cluster

test-all: test test-slow

# Injects every fault into every operation on files, and hundreds of sequences of accidents; takes hours.
torture: $(DEVELOP)
	TORTURE=1 $(BIN)/python -m pytest -n $(CORES) tests/runs/test_faults.py \
	  tests/runs/test_any_order.py tests/runs/test_fuzzing.py tests/runs/test_fuzzed_configuration.py

# Measures which lines of lop/ and workflow/ the fast tests execute, in all of their processes.
coverage: $(DEVELOP)
	rm -rf .coverage_data
	$(BIN)/coverage run -m pytest -n $(CORES) -m "not slow"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(DEVELOP)
	$(BIN)/ruff check --no-cache .  # the cache does not notice a new folder named like a module
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*_*.yml

# Compares the pinned packages with known vulnerabilities, from PyPI.
audit:
	$(PYTHON) -m venv --clear .audit
	.audit/bin/python -m pip install --quiet pip-audit
	.audit/bin/pip-audit --requirement requirements.lock --requirement requirements-dev.lock --no-deps --disable-pip

benchmark: $(READY)
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python benchmarks/algos.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python benchmarks/regression.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python benchmarks/mnist.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python benchmarks/images.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python benchmarks/cifar.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python benchmarks/rl.py
	$(BIN)/python benchmarks/workflow.py

clean:
	rm -rf figures
