# smartlb: make run starts everything, make test runs all tests.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
BIN := bin/smartlb
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOFLAGS_BUILD := -trimpath -ldflags "-s -w -X github.com/smartlb/smartlb/internal/cli.version=$(VERSION)"

.PHONY: run build test bench soak lint web release clean help

run: build ## build and run everything, with demo services and load
	@exec $(BIN) up --demo

build: web ## build bin/smartlb, with the web UI if Node is installed
	@CGO_ENABLED=0 $(GO) build $(GOFLAGS_BUILD) -o $(BIN) ./cmd/smartlb
	@echo "built $(BIN) $(VERSION)"

web: ## build the web UI into the binary's embedded files
	@scripts/web.sh

test: ## run every test that this machine can run; list skipped tests
	@scripts/test.sh

bench: build ## measure CPU per request and routing against HAProxy and nginx
	@scripts/bench.sh

soak: ## run fuzzing, property tests and the soak for a long time
	@scripts/soak.sh

lint: ## run gofmt, vet, staticcheck, errcheck, revive, ESLint, shellcheck, shfmt, unused code, licences
	@scripts/lint.sh

release: ## build archives for linux and darwin with UI, script, systemd unit, completions
	@VERSION=$(VERSION) scripts/release.sh dist

clean: ## remove build results
	rm -rf bin dist web/dist internal/console/ui/dist/assets internal/console/ui/dist/index.html

help: ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' Makefile
