# The front door. python3 (3.11 or later) and make are all that a machine needs:
# everything else, Node included, is installed into .venv and node_modules from the lock files.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	$(UPGRADE)
PYTEST := $(BIN)/pytest -n 2 --dist loadgroup
PEERS := benchmarks/peers
LOOPBACK := --allow-hosts=127.0.0.1,::1,localhost

export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv

.DEFAULT_GOAL := help
.PHONY: help run run-aws check test sim sim-many seeds mutants crashes kills test-dynamodb-local bench bench-aws bench-cron bench-peers bench-scale coverage synth openapi format lock clean

help:  ## say what there is
	@awk -F ':.*##' '/^[a-z-]+:.*##/ { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/run-ready  ## the scheduler on this machine, at 127.0.0.1:8400 (ARGS="--help")
	@exec $(BIN)/punctual serve $(ARGS)

run-aws: .venv/ready node_modules/ready  ## the real stack, deployed to an emulated AWS on this machine
	@exec $(BIN)/python -m infra.emulator $(ARGS)

check: .venv/ready node_modules/ready  ## what CI runs, in its order
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/codespell
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(MAKE) test
	$(MAKE) seeds
	CDK_OUTDIR=cdk.out $(BIN)/python -m infra.app

test: .venv/ready node_modules/ready  ## every kind of test that needs no account
	$(PYTEST)
	$(PYTEST) -m "(emulator or e2e) and not nightly" $(LOOPBACK)

sim: .venv/ready  ## one seed of the simulation, told step by step (SEED=7, SHRINK=1 for the fewest faults)
	@$(BIN)/python -m tests.simulation $(SEED) $(if $(SHRINK),--shrink)

sim-many: .venv/ready  ## many seeds of the simulation that no check runs (N=100000, FROM=2000)
	@$(BIN)/python -m tests.simulation.batch --count $(or $(N),1000) --first $(or $(FROM),2000)

seeds: .venv/ready  ## the seeds that each check runs, until they have seen all that they should
	@$(BIN)/python -m tests.simulation.batch --corpus --count 2000 --covers

mutants: .venv/ready  ## broken versions of the code, each to be found by the simulation (ARGS=claim-first)
	@$(BIN)/python -m tests.simulation.mutation $(ARGS)

crashes: .venv/ready  ## the embedded host crashed at each of its statements (N=1000, ARGS="--seed 7")
	@$(BIN)/python -m tests.crashes --count $(or $(N),200) $(ARGS)

kills: .venv/ready  ## processes killed and held while runs go on (ARGS="--engine aws --kills 200 --runs 2000")
	@$(BIN)/python -m tests.kills $(ARGS)

test-dynamodb-local: .venv/ready  ## the stores on a DynamoDB Local that runs already (AT=http://127.0.0.1:8000)
	@test -n "$(AT)" || { echo "start DynamoDB Local, and name it: make $@ AT=http://127.0.0.1:8000" >&2; exit 2; }
	$(BIN)/pytest -m "emulator and not nightly" $(LOOPBACK) --dynamodb $(AT) tests/contract

bench: .venv/ready  ## the host on this machine under load, as JSON lines (ARGS="w1 w3 --rounds 3")
	@$(BIN)/python -m benchmarks.workloads $(ARGS)

bench-aws: .venv/ready  ## the functions on a stubbed or emulated AWS, as JSON lines (ARGS="execute imports")
	@$(BIN)/python -m benchmarks.aws $(ARGS)

bench-cron: .venv/ready  ## slots beside croniter and cronsim, as JSON lines (ARGS="--fuzz 1000")
	@$(BIN)/python -m benchmarks.cron $(ARGS)

bench-peers: .venv/ready $(PEERS)/.venv/ready $(PEERS)/node_modules/ready  ## the host beside other schedulers, as JSON lines (ARGS="celery w2 --rounds 3")
	@exec $(BIN)/python -m benchmarks.peers $(ARGS)

bench-scale: .venv/ready  ## the handlers on AWS's limits, in virtual time (ARGS="steady burst --minutes 5")
	@$(BIN)/python -m benchmarks.scale $(ARGS)

coverage: .venv/ready  ## which branches the fast tests never took
	$(PYTEST) --cov --cov-report=term

synth: .venv/ready node_modules/ready  ## the CloudFormation templates, in cdk.out/
	node_modules/.bin/cdk synth --quiet $(ARGS)

openapi: .venv/ready  ## write docs/openapi.json as the API serves it
	$(BIN)/python -m tests.support.document

format: .venv/ready  ## rewrite the code as `make check` wants it
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

# dev.txt holds everything, so the shorter lists are cut from it and can never disagree with it.
lock: $(UV)  ## write the lock files from pyproject.toml and package.json (UPGRADE=--upgrade)
	$(COMPILE) pyproject.toml --all-extras --group dev -o requirements/dev.txt
	$(COMPILE) pyproject.toml --all-extras --group run -c requirements/dev.txt -o requirements/run.txt
	$(COMPILE) pyproject.toml -c requirements/dev.txt -o layers/dependencies/requirements.txt
	$(COMPILE) --group bootstrap -c requirements/dev.txt -o requirements/bootstrap.txt
	$(COMPILE) $(PEERS)/requirements.in -o $(PEERS)/requirements.txt
	$(MAKE) .venv/ready
	npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error
	cd $(PEERS) && npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error

clean:  ## remove what make built; data of `make run` stays
	rm -rf .venv node_modules $(PEERS)/.venv $(PEERS)/node_modules cdk.out .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
		.hypothesis .coverage layers/dependencies/python

$(UV): requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Punctual needs Python 3.11 or later; name one with PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Two steps, so that a first `make run` does not wait for the tools of those who change it.
.venv/run-ready: $(UV) pyproject.toml requirements/run.txt
	$(INSTALL) --require-hashes -r requirements/run.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@# Compiles what the host imports, so that its first start takes no longer than any other.
	-@PYTHONDONTWRITEBYTECODE= $(BIN)/python -c 'import punctual.cli.main, punctual.local.host'
	@touch $@

.venv/ready: .venv/run-ready requirements/dev.txt
	$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

# npm comes with the Node of .venv, so a Node of the machine's own is neither needed nor used.
node_modules/ready: .venv/ready package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# The peers are measured, not run on: what they need stays out of the environment of all else.
$(PEERS)/.venv/ready: $(UV) $(PEERS)/requirements.txt
	$(UV) venv --quiet --clear --python $(BIN)/python $(PEERS)/.venv
	$(UV) pip install --quiet --python $(PEERS)/.venv/bin/python --require-hashes -r $(PEERS)/requirements.txt
	@touch $@

# None of them needs an install script; the prebuilt parts that some have come as packages.
$(PEERS)/node_modules/ready: .venv/ready $(PEERS)/package.json $(PEERS)/package-lock.json
	cd $(PEERS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
