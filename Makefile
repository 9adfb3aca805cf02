# What a newcomer needs: `make demo` shows it working, `make test` proves it. Either does all set-up first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.setup-stamp
# Runware's own clients, against which the emulator is tested. Each lives apart: they have the same import name.
SDK       := .venv-sdk
SDK_STAMP := $(SDK)/.setup-stamp
SDK_LEGACY       := .venv-sdk-legacy
SDK_LEGACY_STAMP := $(SDK_LEGACY)/.setup-stamp
# What lets a test use the browser. It adds to the tests' own environment, and changes nothing that is there.
UI_STAMP  := $(VENV)/.ui-stamp
DEMO   := demo

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-runs test-server test-film test-sdk test-speed test-crash test-machines test-ui chromium ui ui-stop lint format lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv and install everything, hash-checked

$(STAMP): requirements/pip.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else "shotchain needs Python 3.11, 3.12 or 3.13; %s is %d.%d (say: make PYTHON=python3.12 ...)" % (sys.executable, v[0], v[1]))'
	$(PYTHON) -m venv $(VENV)
# Before 23.3, pip does not see that a version locked without extras is the one with them, too.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/pip.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(SDK_STAMP): requirements/sdk.txt | $(STAMP)
	$(BIN)/python -m venv $(SDK)
	$(SDK)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/sdk.txt
	@touch $@

$(SDK_LEGACY_STAMP): requirements/sdk-legacy.txt | $(STAMP)
	$(BIN)/python -m venv $(SDK_LEGACY)
	$(SDK_LEGACY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/sdk-legacy.txt
	@touch $@

demo: setup ## render the demo storyboard on the embedded emulator: free, no key needed
	$(BIN)/shotchain render configs/storyboards/demo.yaml --provider emulator --output $(DEMO)/film.mp4

# Each has a target of its own.
SLOW := speed or crash or machines or ui or server or film

test: setup ## run the tests, with a quick part of each slow suite
	$(BIN)/python -m pytest -n 2 --dist loadgroup --ignore tests/sdk -m "not ($(SLOW) or ((runs or thorough) and not quick))"

test-thorough: setup ## try every case of each rule, and every order of events: minutes
	$(BIN)/python -m pytest -n 2 --dist loadgroup --ignore tests/sdk -m "thorough and not (quick or runs or $(SLOW))"

test-runs: setup ## run whole films, as flows and from the command line: some minutes
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "runs and not (quick or $(SLOW))"

test-server: setup ## run deployments on servers and workers of Prefect's that the tests start
	$(BIN)/python -m pytest -m server tests/flows

test-film: setup ## join films of a hundred clips, and of every kind of source: some minutes
	$(BIN)/python -m pytest -m film tests/sequence tests/flows

test-sdk: setup $(SDK_STAMP) $(SDK_LEGACY_STAMP) ## let Runware's own clients speak to the emulator
	$(BIN)/python -m pytest -m "not speed" tests/sdk

test-speed: setup $(SDK_STAMP) ## measure the wall clock against the critical path, on an idle machine: a quarter of an hour
	$(BIN)/python -m pytest -m speed -s

test-crash: setup ## kill runs at every step and resume them: half an hour on two cores
	$(BIN)/python -m pytest -n 2 -m crash tests/crash

test-machines: setup ## films on two machines and what they share, while either is killed: some minutes
	$(BIN)/python -m pytest -m machines tests/machines

test-ui: chromium $(UI_STAMP) ## let a browser (Chromium) use Prefect's UI, and play films
	$(BIN)/python -m pytest tests/ui
	$(BIN)/python -m pytest tests/sequence/lossless/players

$(UI_STAMP): requirements/ui.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/ui.txt
	@touch $@

chromium:
	@command -v "$${CHROMIUM:-chromium}" > /dev/null || { \
	  test -z "$$CHROMIUM" && test "$$(id -u)" = 0 && command -v apt-get > /dev/null && apt-get update -qq \
	    && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium; \
	} || { \
	  echo "make test-ui needs Chromium: install your system's package, or name a browser: CHROMIUM=/opt/chrome/chrome" >&2; \
	  exit 1; \
	}

ui: setup ## start Prefect with UI, worker and deployments on this machine (PORT=4200), in the background
	@$(BIN)/python -m flows.server.local_ui start $(if $(PORT),--port $(PORT))

ui-stop: ## end what `make ui` started
	@if test -x $(BIN)/python; then $(BIN)/python -m flows.server.local_ui stop; \
	elif test -e .ui/running.json; then \
	  echo "without $(VENV) nobody can end what .ui/running.json names: make setup, or end it and delete that file" >&2; \
	  exit 1; \
	fi

lint: setup ## check style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

LOCK := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

lock: ## re-lock requirements/ and what the image is made from (needs uv)
	uv pip compile pyproject.toml --group dev $(LOCK) -o requirements/dev.txt
	echo 'pip>=25' | uv pip compile - $(LOCK) -o requirements/pip.txt
	echo 'runware-sdk>=1.8,<2' | uv pip compile - $(LOCK) -o requirements/sdk.txt
	echo 'runware>=0.5.24,<1' | uv pip compile - $(LOCK) -o requirements/sdk-legacy.txt
	echo 'playwright>=1.5' | uv pip compile - --constraint requirements/dev.txt $(LOCK) -o requirements/ui.txt
# The image has the versions that the tests ran with, and none of the tests' own packages.
	uv pip compile pyproject.toml --extra s3 --extra postgres --extra provenance --constraint requirements/dev.txt $(LOCK) -o docker/requirements.txt
	echo 'hatchling>=1.27' | uv pip compile - --constraint requirements/dev.txt $(LOCK) -o docker/build-requirements.txt

clean: ## remove all virtual environments, caches, the demo's output, and what `make ui` keeps
# What may still run stays noted, and what could end it stays there.
	@test ! -e .ui/running.json || $(MAKE) --no-print-directory ui-stop
	rm -rf $(VENV) $(SDK) $(SDK_LEGACY) $(DEMO) .ui tests/ui/output .mypy_cache .ruff_cache .pytest_cache .hypothesis
