# Targets a developer needs. `make` alone explains them.

GO      ?= go
POOL    ?= .cache/pool
WORKDIR ?= work/demo
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Install the host programs that stages and tests run (Debian, Ubuntu)
	@tools/install-host-deps.sh

.PHONY: build
build: ## Build bin/nosa
	@mkdir -p bin
	@$(GO) build -o bin/ ./cmd/nosa

.PHONY: pool
pool: deps ## Make the offline package repository in $(POOL)
	@$(GO) run ./tools/rpmpool --output $(POOL) --cache .cache/rpmpool

.PHONY: demo
demo: build pool ## Compose, image, boot and test examples/nestos-mini
	@$(GO) run ./tools/demo --nosa bin/nosa --pool $(POOL) --workdir $(WORKDIR)

.PHONY: test
test: deps pool ## All tests that take less than a quarter of an hour; needs root or sudo
	@tools/test.sh

.PHONY: test-all
test-all: lint test e2e ## Everything, with the workflows in a real runner

.PHONY: e2e
e2e: deps pool ## Run the workflows in a real workflow runner
	@test/e2e/run.sh

.PHONY: lint
lint: ## gofmt, vet, staticcheck, actionlint, shellcheck
	@tools/lint.sh

.PHONY: bench
bench: build pool ## Seconds and bytes per stage beside the plain-tools way
	@$(GO) run ./tools/bench --nosa bin/nosa --pool $(POOL)

.PHONY: clean
clean: ## Remove what was built; keeps downloads
	@rm -rf bin work
