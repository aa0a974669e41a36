# What a newcomer types is `make demo` and `make test`; `make` alone lists the rest.
TRAIN := .venv/train/bin
SERVE := .venv/serve/bin
DATASET ?= digits
DATA_DIR ?=
NET ?=
ACTIVATION ?= ash
EPOCHS ?=
CUDA ?=
NATIVE := ash_tf1/native/built.json
NATIVE_SOURCES := $(shell find native -name '*.cc' -o -name '*.cu*' -o -name '*.h' -o -name build.py)
LOCK := uv pip compile -q --no-header --generate-hashes

.DEFAULT_GOAL := help
.PHONY: help setup native cuda-harness demo test test-all lint bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  make demo DATASET=cifar10 DATA_DIR=cifar-10-python.tar.gz   (about an hour on 2 cores)'
	@echo '  make demo NET=resnet_v2_20 ACTIVATION=relu EPOCHS=4'

setup: ## make .venv/train (Python 3.7), .venv/serve (3.10+) and, where it can be built, native ASH
	@tools/setup_env.sh train
	@tools/setup_env.sh serve
	@$(MAKE) -s $(NATIVE)

# Where it cannot be built this says so, and is not tried again until `make native`.
$(NATIVE): $(NATIVE_SOURCES) .venv/train/.made-from
	@$(TRAIN)/python -W ignore native/build.py --if-possible

native: ## build native ASH anew; with CUDA=1 for the GPU too, which needs nvcc
	@tools/setup_env.sh train
	@$(TRAIN)/python -W ignore native/build.py $(if $(CUDA),--cuda)

cuda-harness: ## check and time the CUDA kernels alone; needs nvcc and a GPU
	@mkdir -p runs/bench
	python3 native/build.py --cuda-harness runs/bench/cuda-harness
	runs/bench/cuda-harness

demo: setup ## train, evaluate, export, verify and predict (about 3 minutes on 2 cores)
	@tools/demo.sh '$(DATASET)' '$(DATA_DIR)' '$(NET)' '$(ACTIVATION)' '$(EPOCHS)'

test: setup ## run all tests: the TensorFlow side, the modern side, and both together
	$(TRAIN)/python -m pytest -q tests/train
	$(SERVE)/python -m pytest -q tests/serve tests/project

test-all: test ## also train and export every net at its full size (an hour more on 2 cores)
	$(SERVE)/python -m pytest -q tests/project -m full_size

lint: setup ## ruff, and the imports that the layout allows
	$(SERVE)/ruff check .
	PYTHONPATH=. $(SERVE)/lint-imports

bench: setup ## time ASH, training steps and the exported net against rivals, into runs/bench/
	$(TRAIN)/python -W ignore benchmarks/activations.py --out runs/bench
	$(TRAIN)/python -W ignore benchmarks/training_step.py --out runs/bench
	$(SERVE)/python benchmarks/serving.py --out runs/bench

lock: setup ## renew the locked, hashed requirements from their .in files
	cd requirements && for set in train train-dev; do \
	  ../$(SERVE)/$(LOCK) --python-version 3.7 --python-platform x86_64-manylinux2014 --upgrade \
	    $$set.in -o $$set.txt || exit 1; done
	cd requirements && for set in serve dev; do \
	  ../$(SERVE)/$(LOCK) --universal --python-version 3.10 --upgrade $$set.in -o $$set.txt \
	    || exit 1; done
	cd requirements && ../$(SERVE)/$(LOCK) --universal --python-version 3.11 --upgrade \
	  serve-gpu.in -o serve-gpu.txt

clean: ## remove the environments, demos and caches (never your other runs, nor checkpoints/)
	rm -rf .venv ash_tf1/native/libash_ops.so $(NATIVE) runs/demo-* runs/bench build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
