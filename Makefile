# Outlast's tasks; `make help` lists them. Everything a target needs, it makes first.
.DEFAULT_GOAL := help
.NOTPARALLEL:
BIN := .venv/bin
# Two at a time, a module stays together. Lab modules that must have the machine to themselves say `alone`.
PYTEST := $(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name words; do \
		printf '  %-12s %s\n' "$$name" "$$words"; done

.PHONY: tools
tools: ## Debian packages of the lab (as root, only what is missing) and .venv
	@scripts/tools packages
	@scripts/tools venv

.PHONY: venv
venv: ## .venv only: enough for check, plan and the unit ring; needs no root
	@scripts/tools venv

.PHONY: up
up: tools ## everything, to a working cloud: examples/lab.yaml (as root)
	@./outlast up -f examples/lab.yaml

.PHONY: down
down: venv ## removes that lab; the cached node image stays
	@./outlast down -f examples/lab.yaml

.PHONY: test
test: root test-tools lint ## lint, then every test ring (as root)
	@$(PYTEST) --durations=15 tests/unit tests/contract tests/lab

.PHONY: drills
drills: up ## every drill on the lab of examples/lab.yaml that has no fresh result yet, and the scorecard (hours; as root)
	@./outlast drill run -f examples/lab.yaml --suite all --missing || [ $$? = 1 ]
	@./outlast drill report -f examples/lab.yaml -o scorecard

.PHONY: unit
unit: venv ## the unit ring; needs no root
	@$(PYTEST) tests/unit

.PHONY: lint
lint: venv ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check --quiet src tests scripts bench
	@$(BIN)/ruff format --quiet --check src tests scripts bench
	@$(BIN)/mypy --no-error-summary
	@told=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$told"; exit 1; }
	@echo "lint: ruff, mypy and import-linter found nothing"

.PHONY: lock
lock: venv ## requirements.lock from pyproject.toml (LOCK_ARGS=--upgrade for newer versions)
	@echo 'setuptools>=75' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(LOCK_ARGS) pyproject.toml - -o requirements.lock
	@echo "requirements.lock: $$(grep -c == requirements.lock) packages; scripts/lock is for the node's environments"

.PHONY: golden
golden: venv ## tests/golden anew: the examples, planned and rendered; look at the diff
	@$(BIN)/python scripts/golden.py

.PHONY: reference
reference: venv ## docs/reference anew, from the models, the services and the rules
	@$(BIN)/python scripts/reference.py

.PHONY: bench-up
bench-up: root tools ## a lab of its own, up and down again: seconds and MiB beside the targets (as root)
	@$(BIN)/python bench/up.py

.PHONY: bench-plan
bench-plan: venv ## plan and render for 1,000 nodes: seconds and MiB beside the targets
	@$(BIN)/python bench/plan_1000.py

.PHONY: bench-instrument
bench-instrument: venv ## the load generator beside two busy processes: lateness and CPU beside the target
	@$(BIN)/python bench/instrument.py

.PHONY: root test-tools
root:
	@[ "$$(id -u)" = 0 ] || { echo "this needs root: it makes namespaces and mounts (make unit does not)" >&2; exit 3; }

test-tools:
	@scripts/tools packages tests
	@scripts/tools venv
