# The verbs of the compose runtime. `up` and `down` of the Makefile lead here with TARGET=compose.
PYTHON ?= python3
# The commit, with `-dirty` where the image holds what it does not: a change, or a file of app/ that git does not know.
REVISION = $(shell commit=$$(git rev-parse --verify --quiet HEAD 2>/dev/null) && { \
  git status --porcelain --untracked-files=normal | grep -qE '^[^?]|^\?\? "?app/' && commit=$$commit-dirty; echo "$$commit"; })
# A password in the remote's address must not get into a label.
SOURCE = $(shell git remote get-url origin 2>/dev/null | sed 's,://[^/]*@,://,')
export REVISION SOURCE

image: ## build the image, and push it: make image TAG=1.2.3 REGISTRY=registry.example.com/team [TARGET=compose]
	@$(PYTHON) deploy/image.py

# Into dist/sbom/. Its tools are in the environment of `make scan`: k8s/cluster.mk makes it.
sbom: .venv-scan/.installed ## a bill of materials for each image that is built, as CycloneDX: make image first
	@.venv-scan/bin/python deploy/sbom.py

# What stops every role, as settings that cannot be read, stops the migrations first.
up-compose:
	@docker compose build
	@docker compose up -d --wait || { docker compose logs --no-log-prefix --tail 30 migrate >&2; exit 1; }
	@docker compose exec -T web env PYTHONPATH=app python -m stack.ops.unserved

down-compose:
	@docker compose down

deploy: ## a new version with no failed request and no lost task: make deploy TARGET=compose [PULL=1|ROLLBACK=1]
	@test "$(TARGET)" = compose || { echo "make deploy TARGET=compose; Kubernetes rolls out by kubectl apply" >&2; exit 2; }
	@$(PYTHON) deploy/rollout.py $(if $(ROLLBACK),--rollback,$(if $(PULL),--pull))

ifeq ($(TARGET),k8s)
rotate-secret: rotate-secret-k8s
else
rotate-secret: ## a new random secret, read by those who use it: make rotate-secret NAME=web/redis_password
	@$(PYTHON) deploy/rotate_secret.py $(NAME)
endif

.PHONY: image sbom up-compose down-compose deploy rotate-secret
