# Every verb of the project. `make help` lists them.
PYTHON ?= python3
VENV := .venv/bin
.DEFAULT_GOAL := help

# Variables of `.env` may also be given on the command line: make up WEB_BIND=127.0.0.1:9000
MAKEFLAGS += --no-print-directory
export

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

.venv/.installed: requirements/base.txt requirements/vm.txt requirements/redis.txt
	@deploy/venv.sh $(PYTHON)

up: .venv/.installed ## start every role with a Redis of its own, prove one task, print the addresses
	@$(VENV)/python deploy/vm.py up

down: .venv/.installed ## stop every role; queued tasks are kept
	@$(VENV)/python deploy/vm.py down

scale: .venv/.installed ## run several workers: make scale worker=3
	@$(VENV)/python deploy/vm.py scale worker $(worker)

schedules-reset: .venv/.installed ## undo run-time changes to the schedules of the settings
	@cd app && ../$(VENV)/python manage.py schedules_reset

.PHONY: help up down scale schedules-reset
