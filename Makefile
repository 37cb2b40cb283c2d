# make demo, make test: each does its own set-up on a fresh machine (Python >= 3.11 and a C compiler).

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SOURCES = pyproject.toml setup.py $(wildcard native/*.c native/*.h)

.PHONY: demo test check bench clean

demo: $(VENV)/installed
	$(BIN)/rtsynth demo

test: $(VENV)/installed-test
	$(BIN)/python -m pytest

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_rooms.py

bench: $(VENV)/installed-test
	$(BIN)/python -m pytest bench --benchmark-sort=name
	$(BIN)/python bench/callback.py
	$(BIN)/python bench/cold_start.py
	$(BIN)/python bench/fitting.py
	$(BIN)/python bench/keyboard.py
	$(BIN)/python bench/speech.py
	$(BIN)/python bench/live.py
	$(BIN)/python bench/fill.py
	$(BIN)/python bench/wake.py
	$(BIN)/python bench/inference.py
	$(BIN)/python bench/soak.py --minutes 5
	$(BIN)/python bench/endurance.py
	$(BIN)/python bench/gpu.py
	$(BIN)/python bench/decoder.py
	$(BIN)/python bench/strikes.py
	$(BIN)/python bench/codec.py
	$(BIN)/python -m pip install -q -e ".[peers]"
	$(BIN)/python bench/peers.py

clean:
	rm -rf $(VENV) build *.egg-info rtsynth/_native*.so

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "rtsynth needs Python >= 3.11: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "no venv module: apt install python3-venv (Debian, Ubuntu), then repeat"; rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install -q --upgrade pip

$(VENV)/installed: $(BIN)/python $(SOURCES)
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q -e '.[models,report,symbolic]'
	@touch $@

$(VENV)/installed-test: $(BIN)/python $(SOURCES)
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q -e '.[test]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-dev: $(BIN)/python $(SOURCES)
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@ $(VENV)/installed $(VENV)/installed-test
