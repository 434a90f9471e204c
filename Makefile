# make run    set up, then the whole pipeline on the embedded default; ends with the address of its report
# make test   set up, then the tests
# Everything is installed into .venv; the system's Python is not touched.

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
# of the tests, each with files of its own
TEST_PROCESSES ?= 2
NO_HUB  := HF_HUB_OFFLINE=1 GX_ANALYTICS_ENABLED=false DVC_NO_ANALYTICS=1 DO_NOT_TRACK=1

# pip, so that its own configuration holds: index, mirrors, certificates, constraints, places of wheels (PyTorch's CPU build)
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps
# uv resolves faster; told here alone where wheels lie, as `make lock` is run by hand
UV      := UV_FIND_LINKS="$${PIP_FIND_LINKS:-}" $(BIN)/uv pip
LOCK    := $(UV) compile --quiet --python $(BIN)/python --prerelease=allow --no-header --no-annotate --no-emit-index-url

.PHONY: run test check bench serve docs compile derive manifests images push lock clean setup help

help:            ## this list
	@grep -E '^[a-z]+: .*##|^[a-z]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/'

setup: $(STAMP)  ## install into .venv

$(STAMP): requirements/dev.txt requirements/no-deps.txt requirements/tools.txt pyproject.toml
	@command -v g++ >/dev/null && command -v gcc >/dev/null || { echo "gcc and g++ are needed to build madmom and vamp: apt-get install -y gcc g++ make"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed, found `$(PYTHON) --version`. Name another with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "venv is missing: apt-get install -y python3-venv"; exit 1; }
	@echo "Installing into $(VENV): a few minutes the first time ..."
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements/dev.txt
	@$(BIN)/python -c 'import torch' 2>/dev/null || { echo "PyTorch is a CUDA build here: installing the libraries that belong to it ..."; $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint requirements/dev.txt "`grep '^torch==' requirements/dev.txt`"; }
	$(INSTALL) --no-build-isolation -r requirements/no-deps.txt -r requirements/tools.txt
	$(INSTALL) --no-build-isolation --editable .
	@touch $@

# make run SOURCE=path/to/music   your own songs, in runs/music-DIGEST (`mf runs` lists them)
# make run PROFILE=smoke          another size, in runs/smoke
# values, not text of this file or of the shell: a folder may be called `$(x)` or "a`b"
run: export MF_SOURCE := $(value SOURCE)
run: export MF_PROFILE := $(value PROFILE)
run: setup       ## the whole pipeline
	@$(NO_HUB) $(BIN)/mf repro $(if $(value PROFILE),--profile="$$MF_PROFILE") $(if $(value SOURCE),--source="$$MF_SOURCE")

test: setup      ## the tests
	@$(NO_HUB) $(BIN)/python -m pytest --numprocesses=$(TEST_PROCESSES) --dist=loadfile $(TESTS)

check: setup     ## ruff, mypy, import-linter, Dockerfiles, manifests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint --config images/hadolint.yaml images/*/Dockerfile
	@$(BIN)/python -m manifests.validation

manifests: setup ## render every overlay and check it: schemas, Pod Security "restricted", references
	@$(BIN)/python -m manifests.validation $(OVERLAY)

# an hour and more on two idle cores; benchmarks/README.md has each command and what it takes
bench: setup     ## measure everything; tables go to benchmarks/results
	@for name in facts scaling memory scale scoring teachers mixture packing rote grpo serving learning; do $(NO_HUB) $(BIN)/python benchmarks/$$name.py || exit 1; done

serve: setup     ## serve the release on http://127.0.0.1:8080
	@$(NO_HUB) $(BIN)/mf serve

derive: setup    ## write anew what follows from the stages: dvc.yaml, components' READMEs, tables of ports
	@$(BIN)/python -m pipelines.derive

docs: setup      ## the documentation as a site, in build/docs; a dead link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

compile: setup   ## KFP YAML of the three pipelines into build/pipelines
	@$(BIN)/python -m pipelines build/pipelines

images:          ## build all images; IMAGES="base annotate" some of them
	@images/build.sh build

push:            ## REGISTRY=registry.example/music-flamingo make push
	@images/build.sh push

lock: setup      ## resolve requirements/*.in again into name==version pins
	$(INSTALL) -r requirements/installer.txt
	$(LOCK) requirements/base.in -o requirements/base.txt
	$(LOCK) requirements/dev.in -o requirements/dev.txt
	@# vLLM is resolved apart, for the images' platform: to serve with a torch of its own, to train with the project's
	$(subst --prerelease=allow,,$(LOCK)) --python-platform x86_64-manylinux_2_28 requirements/serve-gpu.in -o requirements/serve-gpu.txt
	$(subst --prerelease=allow,,$(LOCK)) --python-platform x86_64-manylinux_2_28 requirements/train-vllm.in -o requirements/train-vllm.txt
	$(LOCK) requirements/object-store.in -o requirements/object-store.txt
	@# one list for CPU and CUDA builds of torch: the latter brings its own libraries
	sed -i -E 's/^(torch==[0-9.]*)\+cpu/\1/; /^(nvidia-|cuda-|triton==)/d' requirements/base.txt requirements/dev.txt requirements/train-vllm.txt

clean:           ## remove data, runs and builds; keeps .venv
	rm -rf data runs build dvc.lock
