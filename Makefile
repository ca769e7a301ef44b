# `make help` lists what there is.
.POSIX:
.PHONY: help demo gallery test tests coverage lint fmt faults docs setup setup-test system system-test clean

PYTHON ?= python3
VENV = .venv/bin
RUNTIME_PACKAGES = python3-venv libportaudio2 libasound2-plugins libegl1 libgl1 libgl1-mesa-dri libxrender1 libxrandr2 libxinerama1
TEST_PACKAGES = $(RUNTIME_PACKAGES) pulseaudio pulseaudio-utils xvfb xdotool jackd2 chromium

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: setup ## Set up everything, then see sound move pictures
	$(VENV)/tpos demo

gallery: setup ## The scenes and sounds of the paper's page, as films in gallery/
	$(VENV)/tpos gallery

test: setup-test ## Set up everything, then lint, types and every test
	@$(MAKE) --no-print-directory -j 2 tests lint

# coverage in `make test` where Python counts lines by itself (3.12): traced, it costs a third more time
COV = $$($(VENV)/python -c 'import sys; print("--cov" * (sys.version_info >= (3, 12)))')
tests: setup-test ## Every test; those that a clock hurries last, one by one, in a process that may fall
	@cov=$(COV); others=0; export COVERAGE_CORE=sysmon; \
	$(VENV)/python -m pytest -m "not realtime" -n 2 --dist worksteal -rs $$cov $${cov:+--cov-report=} || others=$$?; \
	$(VENV)/python -m pytest -m realtime -n 1 -rsR $$cov $${cov:+--cov-append --cov-report=term:skip-covered} && exit $$others

coverage: ## Every test, with coverage, on any Python
	@$(MAKE) --no-print-directory tests COV=--cov

lint: setup-test ## Lint, format and types, without changing anything
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy

fmt: setup-test ## Put imports, quotes and lines in order
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

faults: setup-test ## Make every fault of tests/faults.toml, and see a test fail
	$(VENV)/python tests/support/faults.py

docs: setup ## Write the generated parts of docs/ and examples/ anew
	$(VENV)/python -m engine.control.reference docs

setup: system .venv/.installed

setup-test: system-test .venv/.installed-test

system:
	@sh .ci/system-packages $(RUNTIME_PACKAGES)

system-test:
	@sh .ci/system-packages $(TEST_PACKAGES)

.venv/bin/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing packages into .venv: gigabytes the first time, where torch comes with CUDA"
	$(VENV)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/.installed-test: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing packages into .venv: gigabytes the first time, where torch comes with CUDA"
	$(VENV)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch .venv/.installed $@

clean: ## Remove what was installed and built here
	rm -rf .venv build dist *.egg-info .coverage .coverage.*
