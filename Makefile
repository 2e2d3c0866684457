# `make help` lists the targets. Each does one thing and can be run twice.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export GOWORK := off

TOOL := go tool -modfile=hack/tools/go.mod
# The control plane is built on first use. Recipes that need it begin with this.
ASSETS = assets=$$(hack/controlplane/build.sh)
FUZZTIME ?= 30000x
SOAK ?= 600

##@ Use

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: build ## Run a control plane, the reference CM host and the operator until interrupted; clients find all they need in .local/.
	@$(ASSETS); exec bin/localstack up --assets "$$assets"

.PHONY: up-cmhost
up-cmhost: bin/localstack ## Start the CM host again under the `make up` that runs in this checkout.
	@bin/localstack start cmhost

.PHONY: up-manager
up-manager: bin/localstack ## Start the operator again under the `make up` that runs in this checkout.
	@bin/localstack start manager

.PHONY: demo
demo: build ## The same stack, and the story of a procedure from draft to Closed, told line by line.
	@$(ASSETS); exec bin/localstack demo --assets "$$assets"

##@ Develop

PROGRAMS := manager cmhost kubectl-tokenproc localstack

.PHONY: build
build: ## Build the programs into bin/.
	@for program in $(PROGRAMS); do echo "building $$program"; $(MAKE) bin/$$program; done

# Go knows better than make what has changed: these are always asked for and take a second when nothing has. They are built
# as tests are, so that both share what is compiled; hack/release.sh has the flags of what is released.
.PHONY: $(PROGRAMS:%=bin/%) bin/bench
bin/manager bin/cmhost: bin/%:
	@go build -o $@ ./cmd/$*
# kubectl completes the arguments of a plugin by a program of this second name.
bin/kubectl-tokenproc:
	@go build -o $@ ./cmd/kubectl-tokenproc
	@ln -sf kubectl-tokenproc bin/kubectl_complete-tokenproc
bin/localstack:
	@go build -o $@ ./hack/localstack
bin/bench:
	@go build -o $@ ./test/bench

.PHONY: generate
generate: ## Make all generated code and documentation anew.
	@hack/generate.sh .

.PHONY: verify
verify: ## Fail when generated files are not what `make generate` makes.
	@hack/verify.sh

.PHONY: lint
lint: bin/lint ## Run golangci-lint, with the checks for Kubernetes API types.
	@bin/lint run ./...

bin/lint: hack/lint/go.mod hack/lint/go.sum hack/lint/main.go
	@echo "building the linter (once on this machine; about 90 s on two cores)"
	@go build -C hack/lint -o "$(CURDIR)/$@" . && touch $@

.PHONY: fmt
fmt: bin/lint ## Format the code.
	@bin/lint fmt ./...

##@ Test

.PHONY: test
test: verify lint test-go test-pkcs11 test-race fuzz ## Everything that has to pass.

.PHONY: test-go
test-go: ## All Go tests, against the real API server and the real reference host.
	@$(ASSETS); KUBEBUILDER_ASSETS=$$assets $(TOOL) gotestsum --format pkgname-and-test-fails -- -count=1 -timeout 20m ./...

.PHONY: test-pkcs11
test-pkcs11: ## The tests of keys on tokens, which need cgo (and softhsm2, opensc).
	@CGO_ENABLED=1 $(TOOL) gotestsum --format pkgname-and-test-fails -- -count=1 -tags pkcs11 ./internal/keys/...
	@CGO_ENABLED=1 $(TOOL) gotestsum --format pkgname-and-test-fails -- -count=1 -tags pkcs11 -run 'Token' ./internal/plugin

# Packages with concurrency of their own that need no control plane.
RACE := ./internal/cmclient/... ./internal/cmhost/... ./internal/signing/... ./hack/...

.PHONY: test-race
test-race: ## The tests of packages with concurrency, with the race detector.
	@$(TOOL) gotestsum --format pkgname-and-test-fails -- -count=1 -race -timeout 20m $(RACE)

.PHONY: fuzz
fuzz: ## Every fuzz target with FUZZTIME (30000x) inputs, or for a time, such as 10m.
	@hack/fuzz.sh $(FUZZTIME)

.PHONY: soak
soak: ## The tests with faults, longer: a storm of SOAK seconds (600), 40 kills of the program, restarts of the API server, by a seed that is printed (FAULT_SEED repeats it).
	@$(ASSETS); KUBEBUILDER_ASSETS=$$assets FAULT_SECONDS=$(SOAK) KILLS=40 KILL_PROCEDURES=150 RESTARTS=3 \
		go test -count=1 -v -timeout 24h ./controllers -run TestControllers -ginkgo.label-filter=slow -ginkgo.timeout=24h

.PHONY: bench
bench: bin/manager bin/cmhost bin/bench ## Measure operator, host and API server beside a bare client; BENCH takes its flags, such as -scale=0.1.
	@$(ASSETS); bin/bench -assets "$$assets" $(BENCH)

.PHONY: bench-packages
bench-packages: ## The benchmarks of the packages.
	@go test -run '^$$' -bench . -benchmem ./internal/...

##@ Release

.PHONY: release
release: ## Build what is released into dist/, and check that building elsewhere gives the same bytes.
	@hack/release.sh --check

.PHONY: image
image: ## Put operator and reference host into an image each, and start both (after `make release`; needs buildah, bubblewrap, jq).
	@hack/image.sh

##@ Clean

.PHONY: clean
clean: ## Remove what was built in this checkout; caches of the user stay.
	@rm -rf bin dist .local
