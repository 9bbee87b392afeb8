# make run     set up what is missing, then open the window on the bundled sample (FILE=… for yours)
# make test    set up what is missing, then run every test, headless
# make bench   the benchmarks, side by side with torch.load and a bare window
# make exports export and prove a matrix of models, formats and checkpoints (EXPORTS_ARGS=Cnn)
# make quantizations quantize and measure a matrix of trained models and methods (QUANTIZATIONS_ARGS=Cnn)
# make fuzz    each reader against files that a fuzzer makes up, SECONDS each (TARGET= for one)
# make lint    ruff, mypy and the import rule
# make samples train the bundled sample checkpoints anew
# make screenshots paint the README's pictures anew
# make icons   render the icons of the program and its documents from the SVG
# make bundle  the folder that people install; then make deb, tarball, installer or dmg from it
#
# PYTHON chooses the interpreter of the virtual environment, VENV its folder; TEST_PROCESSES says
# how many run the tests at once.

SHELL := /usr/bin/env bash
VENV ?= .venv
FILE ?= resources/samples/digits_cnn_epoch_4.pth
SCREENSHOT ?= build/screenshot.png
PYTEST_ARGS ?=
TEST_PROCESSES ?= 2
BENCH_ARGS ?=
EXPORTS_ARGS ?=
QUANTIZATIONS_ARGS ?=
SECONDS ?= 60
TARGET ?=
FUZZ_JOBS ?= $(shell nproc 2>/dev/null || echo 1)

bin := $(VENV)/bin
recipe := pyproject.toml constraints.txt packaging/environment.sh
libraries := packaging/linux/system-libraries.sh
# What the window needs of the system depends on whether there is a display to open it on.
mode := $(if $(DISPLAY)$(WAYLAND_DISPLAY),window,offscreen)

.PHONY: run test bench exports quantizations fuzz lint samples screenshots clean

run: $(VENV)/.installed $(VENV)/.libraries-$(mode)
	@packaging/run-window.sh $(VENV) "$(FILE)" "$(SCREENSHOT)"

test: $(VENV)/.installed-dev $(VENV)/.libraries-offscreen
	QT_QPA_PLATFORM=offscreen $(bin)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile $(PYTEST_ARGS)

bench: $(VENV)/.installed-dev $(VENV)/.libraries-offscreen
	@$(bin)/python -m compileall -q inspector_app
	$(bin)/python -m tests.benchmarks $(BENCH_ARGS)

exports: $(VENV)/.installed-exports
	$(bin)/python -m tests.exports $(EXPORTS_ARGS)

quantizations: $(VENV)/.installed-dev
	$(bin)/python -m tests.quantizations $(QUANTIZATIONS_ARGS)

fuzz: $(VENV)/.installed-fuzz
	$(bin)/python -m tests.fuzz targets --seconds $(SECONDS) --jobs $(FUZZ_JOBS) --target "$(TARGET)"

lint: $(VENV)/.installed-dev
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports

samples: $(VENV)/.installed
	$(bin)/python packaging/make_samples.py

screenshots: $(VENV)/.installed $(VENV)/.libraries-$(mode)
	$(bin)/python packaging/make_screenshots.py
	$(bin)/python packaging/make_export_screenshots.py
	$(bin)/python packaging/make_save_screenshots.py
	$(bin)/python packaging/make_training_screenshots.py
	$(bin)/python packaging/make_quantize_screenshots.py
	$(bin)/python packaging/make_run_screenshots.py
	$(bin)/python packaging/make_safety_screenshots.py

icons: $(VENV)/.installed-dev
	$(bin)/python packaging/make_icons.py

bundle: $(VENV)/.installed-bundle
	$(bin)/python -m PyInstaller packaging/bundle.spec --noconfirm --log-level WARN
	@du -sh dist/checkpoint-inspector

# From the bundle in dist/: of Linux, of Windows (packaging/README.md), of macOS.
deb:
	@$(bin)/python packaging/linux/make_deb.py

tarball:
	@$(bin)/python packaging/linux/make_tarball.py

installer:
	@$(bin)/python packaging/windows/make_installer.py

dmg:
	@packaging/macos/make_dmg.sh

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/.installed: $(recipe)
	@packaging/environment.sh $(VENV) ""
	@touch $@

$(VENV)/.installed-dev: $(recipe)
	@packaging/environment.sh $(VENV) "[dev]"
	@touch $(VENV)/.installed $@

$(VENV)/.installed-exports: $(recipe)
	@packaging/environment.sh $(VENV) "[dev,exports]"
	@touch $(VENV)/.installed $(VENV)/.installed-dev $@

$(VENV)/.installed-fuzz: $(recipe)
	@packaging/environment.sh $(VENV) "[dev,fuzz]"
	@touch $(VENV)/.installed $(VENV)/.installed-dev $@

$(VENV)/.installed-bundle: $(recipe)
	@packaging/environment.sh $(VENV) "[dev,bundle]"
	@touch $(VENV)/.installed $(VENV)/.installed-dev $@

$(VENV)/.libraries-%: $(libraries) | $(VENV)/.installed
	@$(libraries) $(VENV) $*
	@touch $@
