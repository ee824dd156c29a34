# Every verb of the project. `make help` lists them.
PYTHON ?= python3
VENV := .venv/bin
.DEFAULT_GOAL := help

# Variables of `.env` may also be given on the command line: make up WEB_BIND=127.0.0.1:9000
MAKEFLAGS += --no-print-directory
export
# A command of Django's with a `$` in it is to arrive as it was typed.
ifneq ($(origin ARGS),undefined)
override ARGS := $(value ARGS)
endif

ifneq ($(filter-out supervisor compose k8s,$(TARGET)),)
$(error TARGET=$(TARGET): it must be supervisor, which is the default, compose or k8s)
endif

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What the project lists: by convention, or where app/project.env says.
SAID = $(shell sed -n 's/^$(1)=//p' app/project.env 2>/dev/null | tr -d '\r')
LISTS = $(wildcard app/project.env $(foreach folder,app/* $(addprefix app/,$(call SAID,PROJECT_DIR)),\
  $(addprefix $(folder)/,requirements*.txt requirements/*.txt pyproject.toml)) \
  $(addprefix app/,$(call SAID,PROJECT_REQUIREMENTS)))
# A list that was not there is new however old its file is, as behind a symbolic link; deploy/venv.sh notes the names.
NEW = $(if $(wildcard .venv/.lists),$(filter-out $(shell cat .venv/.lists),$(LISTS)))

# Whoever names a Python gets it, also where .venv was made with another one.
ifeq ($(origin PYTHON),command line)
ifneq ($(shell $(PYTHON) -V 2>&1 || :),$(shell $(VENV)/python -V 2>&1 || :))
ANEW = anew
endif
endif

.venv/.installed: requirements/base.txt requirements/vm.txt requirements/redis.txt $(LISTS) $(if $(NEW),new-list) $(ANEW)
	@deploy/venv.sh $(PYTHON) $(ANEW)

new-list:

# Empty where an engine or a cluster is meant, also where the environment has a variable of this name.
INSTALLED =
LOOK =
# TARGET=compose leads to docker/compose.mk, TARGET=k8s to k8s/cluster.mk; without it the verbs mean supervisord.
ifeq ($(TARGET),compose)
up: up-compose
down: down-compose
OPERATE = $(PYTHON) deploy/operate_compose.py
else ifeq ($(TARGET),k8s)
up: up-k8s
down: down-k8s
OPERATE = $(PYTHON) deploy/operate_cluster.py
else
OPERATE = $(VENV)/python deploy/operate_vm.py
INSTALLED = .venv/.installed
LOOK = test -f .venv/.installed || { echo "not up: make up" >&2; exit 1; };
up: .venv/.installed ## start every role with a Redis of its own, prove one task, print the addresses
	@$(VENV)/python deploy/vm.py up

down: .venv/.installed ## stop every role; queued tasks are kept
	@$(VENV)/python deploy/vm.py down
endif

scale: $(INSTALLED) ## run several workers: make scale worker=3
ifeq ($(TARGET),compose)
	@echo "on compose: docker compose up -d --no-recreate --scale worker=$(or $(worker),3) --wait" >&2; exit 2
else ifeq ($(TARGET),k8s)
	@echo "on Kubernetes the number is in the overlay, as replicas; for a while: kubectl scale deployment/worker" >&2; exit 2
else
	@$(VENV)/python deploy/vm.py scale worker $(worker)
endif

status: ## each role: how many are ready of those wanted, and why one is not; exit code 1 if one is not
	@$(LOOK) $(OPERATE) status

logs: ## the end of the logs: make logs ROLE=worker [TAIL=100|all] [FOLLOW=1]
	@$(LOOK) $(OPERATE) logs

shell: $(INSTALLED) ## Django's shell in web, or with ROLE=worker there: make shell; echo 'print(1)' | make shell
	@$(OPERATE) shell

manage: $(INSTALLED) ## a command of manage.py in web, or in ROLE: make manage ARGS='createsuperuser'
	@$(OPERATE) manage

schedules-reset: override ARGS = schedules_reset
schedules-reset: $(INSTALLED) ## undo run-time changes to the schedules of the settings
	@$(OPERATE) manage

.venv/.dev: .venv/.installed requirements/dev.txt requirements/windows.txt
	@echo "installing the tools of the tests into .venv ..."
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt -r requirements/windows.txt
	@touch $@

# In an environment of its own: it pins versions that the rest does not want.
.venv-fuzz/.installed: requirements/fuzz.txt
	@echo "installing schemathesis into .venv-fuzz ..."
	@$(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@touch $@

# The unit tests on Django 6, with a Python of its own where .venv has an older one.
.venv-django60/.installed: requirements/django60.txt requirements/unit.txt
	@echo "installing Django 6.0 and what the unit tests need into .venv-django60 ..."
	@python=$$(deploy/newer_python.sh) && "$$python" -m venv --clear .venv-django60
	@.venv-django60/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/django60.txt -r requirements/unit.txt
	@touch $@

# Most of a test is waiting, so more run at a time than there are cores. What shares a stack or a fixture has a group,
# and a group one process. The limits of waiting grow with the machine: tests/machine.py.
AT_ONCE ?= 6
PYTEST = $(VENV)/python -m pytest --dist loadgroup
RINGS = tests/e2e tests/adoption tests/roles tests/windows tests/unit tests/bundle

test: .venv/.dev ## does it work? some five minutes, without an engine and a cluster
	@$(PYTEST) -n $(AT_ONCE) -m "not slow" $(RINGS)
	@echo "left out: what takes long (outages, kills, every pool, clocks, Windows, fuzzing): make test-all runs that too"

test-all: test test-slow ## every test that needs no engine and no cluster

test-slow: .venv/.dev .venv-fuzz/.installed .venv-scan/.installed
	@$(PYTEST) -n $(AT_ONCE) -m slow $(RINGS)

test-django60: .venv-django60/.installed ## the unit tests on Django 6.0, with the newest Python of this machine
	@.venv-django60/bin/python -m pytest --dist loadgroup -n 2 -m "not slow" tests/unit

# The whole ring of a runtime, and of the end-to-end tests those in which runtimes differ.
test-compose: .venv/.dev .venv-scan/.installed ## what only an engine can show, and what may differ there of the end-to-end tests
	@$(PYTEST) -n 3 -m runtime tests/compose tests/e2e tests/adoption --target compose

# IMAGE_LOAD is the command that puts an image on the cluster's nodes, as `kind load docker-image`.
test-k8s: .venv/.dev ## the same on the cluster of KUBECONFIG, which has the image: make test-k8s IMAGE_LOAD=
	@$(PYTEST) -n 3 -m runtime tests/k8s tests/e2e tests/adoption --target k8s

e2e: .venv/.dev .venv-fuzz/.installed ## every end-to-end test on a stack of its own: make e2e TARGET=supervisor|compose|k8s
	@$(PYTEST) -n 3 tests/e2e --target $(or $(TARGET),supervisor)

# Each project in each place that this machine has a runtime for; one that it has not is skipped, with its reason.
adoption: .venv/.dev ## put three projects that never heard of the stack into it, on supervisord, compose and a cluster
	@$(PYTEST) -n 2 tests/adoption

# The tests with the mark `chaos`, which run above too; on Kubernetes they take minutes each and stand alone.
chaos: .venv/.dev ## kill, freeze and cut off what runs, and count: make chaos TARGET=supervisor|compose|k8s
ifeq ($(TARGET),k8s)
	@$(PYTEST) tests/chaos
else ifeq ($(TARGET),compose)
	@$(PYTEST) -n 3 -m chaos tests/compose tests/e2e --target compose
else
	@$(PYTEST) -n $(AT_ONCE) -m chaos tests/roles tests/e2e
endif

# Where the web role of each runtime answers; Kubernetes' is what you forward to it.
ADDRESS_supervisor = $$($(VENV)/python deploy/vm.py address)
ADDRESS_compose = http://$$(docker compose port proxy 8080)
ADDRESS_k8s = http://127.0.0.1:8000

smoke: .venv/.dev ## prove the chain on what runs, and disturb nobody: make smoke TARGET=supervisor|compose|k8s [BASE_URL=]
	@$(PYTEST) tests/smoke --runtime $(or $(TARGET),supervisor) --base-url "$(or $(BASE_URL),$(ADDRESS_$(or $(TARGET),supervisor)))"

check: .venv/.dev ## ruff, mypy, the order of the packages, shellcheck, yamllint, codespell
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@SECRET_KEY=lint REDIS_PASSWORD=lint $(VENV)/mypy
	@PYTHONPATH=app $(VENV)/lint-imports --no-cache
	@$(VENV)/hadolint docker/Dockerfile
	@$(VENV)/shellcheck $$(git ls-files '*.sh' .ci/run)
	@$(VENV)/yamllint --strict $$(git ls-files '*.yaml')
	@$(VENV)/codespell $$(git ls-files ':!requirements' ':!tests/adoption/projects' ':!*.csv')

bench: .venv/.dev ## what a check, a million calls and Flower cost (make up first), or TARGET=compose: the containers
ifeq ($(TARGET),compose)
	@$(VENV)/python bench/compose_cost.py
else
	@$(VENV)/python bench/check_cost.py
	@$(VENV)/python bench/chunks.py
	@$(VENV)/python -m bench.flower_memory
endif

# base.txt holds Django 5.2 and django60.txt the same versions of all else; each later file is constrained by those
# before it, so that they can be installed together.
COMPILE = uv pip compile -q --universal --generate-hashes --no-header

lock: ## compile pyproject.toml into requirements/ with hashes (needs uv)
	@$(COMPILE) --python-version 3.11 --group django52 pyproject.toml -o requirements/base.txt
	@cp requirements/base.txt requirements/django60.txt
	@$(COMPILE) --python-version 3.12 --group django60 pyproject.toml -o requirements/django60.txt
	@set -- -c requirements/base.txt; for group in vm redis windows unit dev; do \
	  $(COMPILE) --python-version 3.11 --group $$group "$$@" -o requirements/$$group.txt; \
	  set -- "$$@" -c requirements/$$group.txt; done
	@for group in fuzz scan uv; do \
	  $(COMPILE) --python-version 3.11 --group $$group -o requirements/$$group.txt; done

audit: .venv-scan/.installed ## ask whether a locked package has a known vulnerability: make audit [AUDIT_URL=] [AUDIT_IGNORE=]
	@.venv-scan/bin/python deploy/audit.py

env-example: .venv/.installed ## write .env.example from app/stack/runtime/variables.py
	@cd app && ../$(VENV)/python -m stack.runtime.variables > ../.env.example

redis-users: .venv/.installed ## write k8s/base/users.acl from app/stack/broker/rights.py, and the cache's beside it
	@cd app && ../$(VENV)/python -m stack.ops.secretfiles --cluster-acl > ../k8s/base/users.acl
	@cd app && ../$(VENV)/python -m stack.ops.secretfiles --cluster-cache-acl > ../k8s/components/cache/users.acl

include docker/compose.mk k8s/cluster.mk

.PHONY: anew new-list help up down scale status logs shell manage schedules-reset test test-all test-slow test-django60 test-compose test-k8s e2e adoption chaos smoke check bench lock audit \
  env-example redis-users
