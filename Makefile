# What can be done here. `make` alone lists it.

SHELL       := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GORELEASER  := github.com/goreleaser/goreleaser/v2@v2.17.0
CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@latest

VERSION  ?= $(shell git describe --tags --always 2>/dev/null || echo unknown)
FUZZTIME ?= 10s
SOAK     ?= 50

# With a C compiler the tests run with the race detector. Vet and staticcheck then read the same build of every dependency,
# so that a fresh machine compiles them once and not twice.
RACE = $(shell command -v $${CC:-gcc} >/dev/null && echo -race)

.DEFAULT_GOAL := help
.PHONY: help run test test-all generators runtimes frameworks examples packages client-types tools lint vulncheck bench bench-quick soak fuzz build snapshot docker

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

run: ## the development server on 127.0.0.1:8080, everything embedded
	@go run ./cmd/watchword serve --dev

# The packages whose tests take longest are named first, because go test begins them in this order. ./... adds the others.
LONGEST := ./cmd/watchword ./server ./internal/enginetest ./store/redis ./clients/typescript ./cmd/watchword-bench ./webauthn ./store/sql/postgres ./delivery

# Three packages at the same time also on two processors, because their tests mostly wait for servers.
test: tools lint ## everything that must hold: missing tools, lint, then every test with the race detector
	@scripts/progress.sh test scripts/gotest.sh $(RACE) -vet=off -p 3 -timeout 14m $(LONGEST) ./...

test-all: test generators runtimes frameworks examples ## test, and what is heavier or needs the network

generators: tools ## what four OpenAPI generators make of the server's document is compiled and tried, where they can be fetched
	@WATCHWORD_GENERATORS=1 scripts/progress.sh generators scripts/gotest.sh $(RACE) -count=1 -timeout 15m -run Generated ./server

runtimes: ## the TypeScript client on Deno and Bun, where npm can fetch them
	@WATCHWORD_RUNTIMES=1 scripts/progress.sh runtimes scripts/gotest.sh -count=1 -timeout 15m -run DenoAndBun ./clients/typescript

frameworks: ## the element on pages of Vue and Svelte, where npm can fetch them
	@WATCHWORD_FRAMEWORKS=1 scripts/progress.sh frameworks scripts/gotest.sh $(RACE) -count=1 -timeout 15m -run VueAndSvelte ./examples/element

packages: ## the Debian package of this commit installed on this machine, upgraded, taken back and purged, and the RPM package queried; needs root, dpkg and the network
	@scripts/progress.sh packages scripts/packages.sh $(GORELEASER)

examples: tools ## the examples for Express and Next.js, as their one command starts them, in a real browser, where npm can fetch their packages
	@WATCHWORD_EXAMPLES=1 scripts/progress.sh examples scripts/gotest.sh $(RACE) -count=1 -timeout 15m -run 'Express|NextJS' ./examples/node

client-types: build ## the types of the TypeScript client, from the OpenAPI document of the server
	@cd clients/typescript && npm ci --ignore-scripts --no-audit --no-fund && WATCHWORD=$(CURDIR)/bin/watchword npm run generate

tools: ## installs redis-server, PostgreSQL, PgBouncer, HAProxy, nginx, Caddy, promtool, Chromium and gcc through apt where they are missing and that is possible; says what it did
	@scripts/progress.sh tools scripts/tools.sh

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt: not formatted:"; echo "$$unformatted"; exit 1; fi
	@scripts/progress.sh "go vet" go vet $(RACE) ./...
	@TOOLFLAGS="$(RACE)" scripts/progress.sh staticcheck scripts/gotool.sh $(STATICCHECK) ./...

vulncheck: ## known vulnerabilities in what is linked; needs the network, and is no verdict
	@scripts/gotool.sh $(GOVULNCHECK) ./... || true

bench: build ## the benchmarks of every package, then the server against bare handlers, as docs/sizing.md explains
	@go test -run '^$$' -bench . -benchmem -p 1 -timeout 0 ./...
	@go run ./cmd/watchword-bench -watchword bin/watchword

bench-quick: build ## the server against bare handlers alone, with short measurements
	@go run ./cmd/watchword-bench -watchword bin/watchword -duration 300ms -rounds 5

soak: ## a hundred kills of each database under load, 60 rounds of each right answer, 50 kills of servers that send, 50 of servers with events, twelve hostile apps for two minutes, outages of a minute, hostile clients for six, 40 restarts and 400 reloads under load, 5 rounds of the engine, then SOAK=50 of the packages whose tests race
	@WATCHWORD_SOAK=1 go test -count=1 -timeout 30m ./store/sql/...
	@WATCHWORD_SOAK=1 go test -count=1 -timeout 30m -run 'RightAnswer|EveryMessageIsSent|EveryEventIsDelivered' ./internal/enginetest ./cmd/watchword
	@WATCHWORD_SOAK=1 go test -count=1 -timeout 30m -run 'Hostile|OtherApps|Unreachable|Greylisted' ./cmd/watchword
	@WATCHWORD_SOAK=1 go test -count=1 -timeout 30m -run 'Attacked|RollingRestart|ReloadUnderLoad' ./cmd/watchword
	@go test -race -count=5 -timeout 30m ./internal/enginetest
	@go test -race -p 1 -count=$(SOAK) -timeout 60m ./store/... ./ratelimit/... ./delivery/...

fuzz: ## each fuzz target for FUZZTIME=10s
	@scripts/fuzz.sh $(FUZZTIME)

build: ## bin/watchword, static
	@CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o bin/watchword ./cmd/watchword

snapshot: ## in dist/: the files of a release of this commit: binaries, packages, checksums, bills of materials; the tools are compiled first, which takes minutes
	@scripts/snapshot.sh $(GORELEASER) $(CYCLONEDX)

docker: ## the image watchword:VERSION
	@docker build --build-arg VERSION=$(VERSION) -t watchword:$(VERSION) .
