# make demo   set up everything, then see sound move pictures
# make test   set up everything, then lint, types and every test
.POSIX:
.PHONY: demo test setup setup-test system system-test clean

PYTHON ?= python3
TPOS = .venv/bin/tpos
RUNTIME_PACKAGES = python3-venv libportaudio2 libasound2-plugins libegl1 libgl1 libgl1-mesa-dri libxrender1 libxrandr2 libxinerama1
TEST_PACKAGES = $(RUNTIME_PACKAGES) pulseaudio pulseaudio-utils xvfb xdotool

demo: setup
	$(TPOS) demo

test: setup-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest

setup: system .venv/.installed

setup-test: system-test .venv/.installed-test

system:
	@sh .ci/system-packages $(RUNTIME_PACKAGES)

system-test:
	@sh .ci/system-packages $(TEST_PACKAGES)

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/.installed-test: .venv/bin/python pyproject.toml constraints.txt
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch .venv/.installed $@

clean:
	rm -rf .venv build dist *.egg-info
