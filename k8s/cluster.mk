# The verbs of the Kubernetes runtime: `up`, `down` and `rotate-secret` lead here with TARGET=k8s.
# OVERLAY is the folder that is applied, as k8s/overlays/production.
up-k8s:
	@$(PYTHON) deploy/cluster.py up

down-k8s:
	@$(PYTHON) deploy/cluster.py down

overlay: ## a folder for what is yours on a cluster: make overlay NAME=shop
	@$(PYTHON) deploy/overlay.py "$$NAME"

rotate-secret-k8s:
	@$(PYTHON) deploy/cluster.py rotate $(NAME)

.venv-scan/.installed: requirements/scan.txt
	@echo "installing checkov, pip-audit and CycloneDX into .venv-scan ..."
	@$(PYTHON) -m venv .venv-scan
	@.venv-scan/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/scan.txt
	@touch $@

# One run over all that the overlays and the READMEs' combinations make: it is the scanner's start that takes time.
scan: .venv/.dev .venv-scan/.installed ## checkov over every rendered manifest; .checkov.yaml has each waiver's reason
	@$(VENV)/python -m tests.bundle.rendering > .venv-scan/rendered.yaml
	@LOG_LEVEL=CRITICAL .venv-scan/bin/checkov -f .venv-scan/rendered.yaml --config-file .checkov.yaml

.PHONY: up-k8s down-k8s overlay rotate-secret-k8s scan
