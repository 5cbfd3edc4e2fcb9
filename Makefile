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
# What `make image` names the image, `make image-push` pushes, and for which machines.
IMAGE ?=
PLATFORMS ?= linux/amd64,linux/arm64
DOCKER ?= docker
TOOL := go tool -modfile=tools/go.mod

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-11s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/sluice, static
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X sluice/internal/app.Version=$(VERSION)' -o bin/sluice ./cmd/sluice

.PHONY: engine
engine:
	@$(DOCKER) buildx version >/dev/null 2>&1 || { echo '$@: needs docker with its plugin buildx; DOCKER=… names another command of that kind' >&2; exit 1; }
	@$(DOCKER) info >/dev/null 2>&1 || { echo '$@: docker is there, but its engine does not answer: start it, or set DOCKER_HOST' >&2; exit 1; }

.PHONY: image
image: engine ## build the container image for this machine (IMAGE=name:tag)
	$(DOCKER) buildx build --load --build-arg 'VERSION=$(VERSION)' -t '$(or $(IMAGE),sluice:$(VERSION))' .

.PHONY: image-push
image-push: ## build and push it: IMAGE=registry/name:tag PLATFORMS=linux/amd64,linux/arm64
	@[ -n '$(IMAGE)' ] || { echo 'image-push: say where to: make image-push IMAGE=registry/name:tag' >&2; exit 1; }
	@$(MAKE) --no-print-directory engine
	$(DOCKER) buildx build --push --platform '$(PLATFORMS)' --build-arg 'VERSION=$(VERSION)' -t '$(IMAGE)' .

.PHONY: chart
chart: ## check the Dockerfile and the Helm chart by the real tools; compile for each machine
	cd tools/deploy && go vet ./... && go test -count=1 ./...

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

.PHONY: test-matrix
test-matrix: ## the search suites on each Elasticsearch and OpenSearch; writes docs/compatibility.md
	go run ./internal/testkit/matrix $(ARGS)

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
