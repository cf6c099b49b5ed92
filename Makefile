# make help lists what there is.
SHELL     := /bin/bash
GO        ?= go
TOOL      := $(GO) tool -modfile=tools/go.mod
FUZZTIME  ?= 60s
TESTFLAGS ?= -race -shuffle=on -p 2 -timeout 25m
PKGS      ?= ./...
ARGS      ?=
VCS       := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false)

.DEFAULT_GOAL := help
.PHONY: help try build test check fmt lint docs tidy fuzz spec corpus vectors bench soak clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PKGS=./internal/queue/... chooses packages for test and fuzz; FUZZTIME=10s the time of each fuzz target"

try: ## two domains on this machine, a real video from one to the other (ARGS=--once ends by itself)
	@scripts/try.sh $(ARGS)

build: ## bin/vam
	@mkdir -p bin
	$(GO) build -trimpath -buildvcs=$(VCS) -o bin/vam ./cmd/vam

test: ## every test, with the race detector; installs what is missing
	@scripts/deps.sh test bench
	$(GO) test $(TESTFLAGS) $(PKGS)
	@for pkg in $$(grep -rl --include='*_test.go' '^//go:build fault' . | xargs -r -n 1 dirname | sort -u); do \
		echo "$(GO) test -tags fault $$pkg"; $(GO) test $(TESTFLAGS) -tags fault $$pkg || exit 1; done

check: fmt-check lint docs-check tidy-check ## what must hold before a commit: format, vet, staticcheck, imports, documents, modules
	@echo "check: ok"

.PHONY: fmt-check docs-check tidy-check
fmt-check:
	@files=$$($(TOOL) gofumpt -l .); if [ -n "$$files" ]; then echo "gofumpt would change ('make fmt' does):"; echo "$$files"; exit 1; fi

lint:
	$(GO) vet ./...
	$(GO) vet -tags fault ./...
	$(TOOL) staticcheck ./...
	$(GO) test -count=1 ./internal/archtest

docs-check:
	@scripts/docs.sh check

tidy-check:
	@$(GO) mod tidy -diff >/dev/null || { echo "go.mod is not tidy; 'make tidy' mends it"; exit 1; }
	@cd tools && $(GO) mod tidy -diff >/dev/null || { echo "tools/go.mod is not tidy; 'make tidy' mends it"; exit 1; }

fmt: ## format every Go file
	$(TOOL) gofumpt -w .

tidy: ## bring go.mod up to date
	$(GO) mod tidy
	cd tools && $(GO) mod tidy

docs: ## write the generated pages of docs/ anew
	@scripts/docs.sh update

spec: ## rules of the specification that no code or no test names
	@$(GO) test -count=1 -v -run 'TestSpecification$$' ./internal/speccheck

corpus: ## play every recording of ../shared/media in the browsers and write docs/corpus.md
	@scripts/deps.sh test
	$(GO) test -count=1 -timeout 30m -run 'TestCorpus$$' ./e2e/corpus -update

vectors: ## check the Go code against spec/vectors, as another implementation would: over a pipe
	$(GO) run ./activmail/amtest/amvectors run $(GO) run ./activmail/amtest/amvectors serve

fuzz: ## every fuzz target for FUZZTIME each
	@scripts/fuzz.sh $(FUZZTIME) $(PKGS)

bench: ## the figures of the README, side by side with what users would run instead
	@scripts/deps.sh bench
	$(GO) run ./bench/cmd/vambench $(ARGS)

soak: ## the long forms: 1,000 kills under load, every cut
	@scripts/deps.sh test bench
	VAM_SOAK=1 $(GO) test -count=1 -timeout 4h -v ./e2e/... $(ARGS)

clean: ## remove what build and tests leave
	rm -rf bin
