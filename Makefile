# `make demo` and `make test` are enough to begin with. `make` alone lists all targets.
TRAIN := .venv/train/bin
SERVE := .venv/serve/bin
SERVING := .venv/serving/bin
TASK ?= classification
DATASET ?= digits
DATA_DIR ?=
NET ?=
ACTIVATION ?= ash
EPOCHS ?=
MODEL ?= checkpoints/resnet20-cifar10-ash
HTTP_PORT ?= 8080
GRPC_PORT ?= 8081
export CUDA ?=
BUILD_CUDA := $(if $(filter-out 0,$(CUDA)),--cuda)
NATIVE := ash_tf1/native/built.json
FUSED := ash_onnx/native/built.json
NATIVE_SOURCES := $(shell find native -name '*.cc' -o -name '*.cu*' -o -name '*.h' -o -name build.py)
# From 1.29 on onnxruntime reports its use to Microsoft; tools/_serve_side.py says more.
export ORT_DISABLE_TELEMETRY ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-serving native serve web cuda-harness demo test test-fast test-ci test-all hostile image-test serving-test lint bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  make demo DATASET=cifar10 DATA_DIR=cifar-10-python.tar.gz   (about an hour on 2 cores)'
	@echo '  make demo NET=resnet_v2_20 ACTIVATION=relu EPOCHS=4'
	@echo '  make demo TASK=generation                        (a GAN; 3 minutes)'

setup: ## make .venv/train (Python 3.7), .venv/serve (3.10+) and native ASH; CUDA=1: for a GPU
	@$(MAKE) -s -j2 environment-train environment-serve
	@$(MAKE) -s -j2 $(NATIVE) $(FUSED)

environment-%:
	@tools/setup_env.sh $*

setup-serving: ## make .venv/serving, for the endpoint, and the fused op for onnxruntime
	@tools/setup_env.sh serving
	@$(MAKE) -s $(FUSED) SERVE=$(SERVING)

# If native ASH cannot be built, the build says so. It is not tried again until `make native`.
$(NATIVE): $(NATIVE_SOURCES) .venv/train/.made-from
	@$(TRAIN)/python -W ignore native/build.py --if-possible $(BUILD_CUDA)

$(FUSED): $(NATIVE_SOURCES)
	@$(SERVE)/python native/build.py --host onnxruntime --if-possible $(BUILD_CUDA)

native: ## build native ASH again for TensorFlow and onnxruntime; CUDA=1: for a GPU too, with nvcc
	@tools/setup_env.sh train
	@tools/setup_env.sh serve
	@$(TRAIN)/python -W ignore native/build.py $(BUILD_CUDA)
	@$(SERVE)/python native/build.py --host onnxruntime $(BUILD_CUDA)

serve: setup-serving ## serve MODEL="artifact..." over HTTP and gRPC on this machine (docs/serving.md)
	@exec $(SERVING)/python tools/serve.py $(MODEL) --http-port $(HTTP_PORT) --grpc-port $(GRPC_PORT)

# Where npm is missing: apt-get install npm, or https://nodejs.org
web/node_modules/.package-lock.json: web/package-lock.json
	@cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

web: setup web/node_modules/.package-lock.json ## a page that runs MODEL in the browser, on localhost:8090, from runs/web
	@$(SERVE)/python web/build.py $(firstword $(MODEL)) runs/web
	@echo 'http://127.0.0.1:8090/   (Ctrl-C ends it)'
	@exec $(SERVE)/python -m http.server 8090 --bind 127.0.0.1 --directory runs/web

cuda-harness: ## check and time the CUDA kernels without TensorFlow; needs nvcc and a GPU
	@mkdir -p runs/bench
	python3 native/build.py --cuda-harness runs/bench/cuda-harness
	runs/bench/cuda-harness

demo: setup ## train, evaluate, export, verify and predict (about 2 minutes on 2 cores)
	@tools/demo.sh '$(TASK)' '$(DATASET)' '$(DATA_DIR)' '$(NET)' '$(ACTIVATION)' '$(EPOCHS)'

# Which tests: an expression of the markers in pyproject.toml, where the one of `make test` is.
PYTEST = python -m pytest -q -n auto --dist loadfile $(if $(MARKED),-m '$(MARKED)')

test: setup ## run the tests that a change must pass: each side, and both together
	$(TRAIN)/$(PYTEST) tests/train
	$(SERVE)/$(PYTEST) tests/serve tests/project

test-fast: ## run some tests of every part, for while you work
	@$(MAKE) -s test MARKED='fast and not slow'

test-ci: ## run the slow tests too: further combinations, deep nets, whole programs
	@$(MAKE) -s test MARKED='not full_size'

test-all: test-ci ## also every net at its full size, nets of other libraries, 200 hostile graphs (2 hours more)
	$(TRAIN)/$(PYTEST) -m full_size tests/train
	$(SERVE)/python -m pytest -q tests/project -m full_size

hostile: setup ## judge 5,000 hostile inputs of both sides, with a table (about 15 minutes on 2 cores)
	$(SERVE)/python tests/hostile/run.py serve
	$(TRAIN)/python -W ignore tests/hostile/run.py train

image-test: setup ## build the images on stand-in bases and use them; needs root, and Debian or Ubuntu
	@{ command -v buildah && command -v debootstrap; } >/dev/null || \
	  (apt-get update -qq && apt-get install -qqy buildah debootstrap)
	$(SERVE)/python -m pytest -s -v tests/images --timeout 900

serving-test: setup-serving ## test the endpoint: clients, load, Chromium, Triton; needs Debian or Ubuntu
	@tools/setup_env.sh triton
	@{ command -v chromium && command -v npm && command -v ss && command -v wrk; } >/dev/null || \
	  (apt-get update -qq && apt-get install -qqy chromium npm iproute2 wrk)
	@$(MAKE) -s web/node_modules/.package-lock.json
	$(SERVING)/python -m pytest -q tests/serving --timeout 900

lint: setup ## check style (ruff), imports between packages, the Dockerfile and compose.yaml
	$(SERVE)/ruff check .
	PYTHONPATH=. $(SERVE)/lint-imports
	$(SERVE)/hadolint Dockerfile
	$(SERVE)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml

bench: setup ## time ASH, training steps and exported nets against rivals, into runs/bench/
	$(TRAIN)/python -W ignore benchmarks/activations.py --out runs/bench
	$(TRAIN)/python -W ignore benchmarks/training_step.py --out runs/bench
	$(SERVE)/python benchmarks/serving.py --out runs/bench
	$(SERVE)/python benchmarks/forms.py --out runs/bench

lock: setup ## renew the locked, hashed requirements from their .in files
	@tools/lock.sh

clean: ## remove the environments, demos and caches (not your other runs, and not checkpoints/)
	rm -rf .venv web/node_modules ash_tf1/native/libash_ops.so ash_onnx/native/libash_onnx.so $(NATIVE) $(FUSED) runs/demo-* runs/bench runs/web build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
