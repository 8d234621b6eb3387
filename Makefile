# Targets a developer needs. `make` alone explains them.

GO      ?= go
POOL    ?= .cache/pool
WORKDIR ?= work/demo
export CGO_ENABLED ?= 0

# Where stages of the demo run: host, container (in $(IMAGE)), or an image's name.
ASSEMBLER ?= host
ENGINE    ?= buildah
IMAGE     ?= .cache/assembler.oci.tar
BASE      ?=
ASSEMBLER_IMAGE = $(if $(filter container,$(ASSEMBLER)),oci-archive:$(IMAGE),$(ASSEMBLER))
DEMO_NEEDS = $(if $(filter host,$(ASSEMBLER)),build,build-container $(if $(filter container,$(ASSEMBLER)),$(IMAGE)))

.DEFAULT_GOAL := help
.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Install the host programs that stages and tests run (Debian, Ubuntu)
	@tools/install-host-deps.sh

.PHONY: build
build: ## Build bin/nosa
	@mkdir -p bin
	@$(GO) build -trimpath -o bin/ ./cmd/nosa

.PHONY: build-container
build-container: build ## Build what runs stages in containers, too
	@$(GO) build -trimpath -ldflags='-s -w' -tags containers_image_openpgp -o bin/ ./cmd/nosa-init ./cmd/nosa-container

.PHONY: pool
pool: deps ## Make the offline package repository in $(POOL)
	@$(GO) run ./tools/rpmpool --output $(POOL) --cache .cache/rpmpool

.PHONY: demo
demo: $(DEMO_NEEDS) pool ## Compose, image, boot and test examples/nestos-mini; ASSEMBLER=container: in one
	@$(GO) run ./tools/demo --nosa bin/nosa --pool $(POOL) --workdir $(WORKDIR) --assembler $(ASSEMBLER_IMAGE) --engine $(ENGINE)

.PHONY: assembler-image
assembler-image: build-container ## Build $(IMAGE); BASE= another base image, or none for one made of packages
	@tools/install-host-deps.sh --with image
	@$(GO) run ./tools/assemblerimage --base "$(BASE)" --output $(IMAGE)

$(IMAGE):
	@$(MAKE) --no-print-directory assembler-image

.PHONY: test
test: deps pool ## All tests that take less than a quarter of an hour; needs root or sudo
	@tools/test.sh

.PHONY: test-all
test-all: lint test selinux boots page schema reproduce e2e ## Everything, with the workflows in a real runner

.PHONY: boots
boots: deps pool ## Boot every kind of image in every way; two hours without KVM
	@NOSA_TEST_BOOT=1 tools/test.sh -timeout 5h ./test/boot ./test/security

.PHONY: e2e
e2e: deps pool ## Run the workflows in a real workflow runner
	@test/e2e/run.sh

.PHONY: schema
schema: ## Hold workflows and actions against GitHub's own parser
	@tools/install-host-deps.sh --with npm
	@NOSA_SCHEMA=1 $(GO) test -count=1 ./test/schema

.PHONY: suite-binaries
suite-binaries: ## Build the programs of a release of the actions; TAG=v1.2.3
	@$(GO) run ./tools/suitebinaries --tag "$$TAG" --output work/suite

.PHONY: reproduce
reproduce: ## Build them twice and compare, byte by byte
	@NOSA_TEST_REPRODUCE=1 $(GO) test -count=1 -timeout 60m -run Again ./tools/suitebinaries

.PHONY: page
page: ## Look at our pages in a real browser, on a phone and on a desktop
	@tools/install-host-deps.sh --with browser
	@NOSA_BROWSER=chromium-headless-shell $(GO) test -count=1 -run Browser ./internal/release/page ./internal/kola/page

.PHONY: selinux
selinux: deps ## Label a tree with a real SELinux policy
	@$(GO) run ./tools/rpmpool --output .cache/selinux-pool --cache .cache/rpmpool --packages test/compose/testdata/selinux-packages.txt
	@NOSA_TEST_ALL=1 NOSA_SELINUX_POOL=$(CURDIR)/.cache/selinux-pool $(GO) test -run Policy ./test/compose

.PHONY: lint
lint: ## gofmt, vet, staticcheck, actionlint, shellcheck
	@tools/lint.sh

.PHONY: bench
bench: build pool ## Seconds and bytes per stage beside the plain-tools way; FULL=1: all of a hand-off's data
	@$(GO) run ./tools/bench --nosa bin/nosa --pool $(POOL)
	@$(GO) run ./tools/handoffbench --pool $(POOL) $(if $(FULL),-full)
	@$(GO) test -run '^$$' -bench EightAssets -benchtime 3x ./internal/release/publish

.PHONY: clean
clean: ## Remove what was built; keeps downloads
	@rm -rf bin work
