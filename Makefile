# Everything a contributor runs. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# What demo and bench pass on: make demo ARGS=--once
ARGS ?=
# The rules that must have a mutant; make mutants RULES=S1,S3 runs fewer.
REQUIRE ?= S1-S15,A1-A9
RULES ?=
TOOL := go tool -modfile=tools/go.mod

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/sluice, static
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X sluice/internal/app.Version=$(VERSION)' -o bin/sluice ./cmd/sluice

.PHONY: demo
demo: ## see it at work on real servers of its own (ARGS=--once: to its end)
	go run ./internal/demo $(ARGS)

.PHONY: unit
unit: ## tests that need no servers; seconds
	go test ./...

.PHONY: test
test: ## all tests with the race detector, on real servers that they start; then some mutants
	go test -race -tags integration -count=1 -timeout 20m -p 2 -json ./... | go run ./internal/testreport
	go run ./internal/testkit/mutants -quick

.PHONY: soak
soak: ## the same with the full counts of kills, seeds and sizes, and all mutants; hours
	SLUICE_SOAK=1 go test -race -tags integration -count=1 -timeout 6h -p 1 -json ./... | go run ./internal/testreport
	go run ./internal/testkit/mutants -require '$(REQUIRE)'

.PHONY: mutants
mutants: ## break each rule on purpose; its test must fail (RULES=S1,S3: only those)
	go run ./internal/testkit/mutants $(if $(RULES),-rules '$(RULES)',-require '$(REQUIRE)')

.PHONY: bench
bench: ## measure, as ratios within one run
	go run ./internal/bench $(ARGS)

.PHONY: lint
lint: ## what the compiler does not see (the first time builds the linter: minutes)
	$(TOOL) golangci-lint config verify
	$(TOOL) golangci-lint run ./...

.PHONY: fmt
fmt: ## format the code
	$(TOOL) gofumpt -w cmd internal

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
