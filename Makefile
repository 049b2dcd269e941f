# `make help` says what there is. Everything works from a fresh clone on Debian or Ubuntu with a
# Rust toolchain and Node 20.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

WEB := dashboards/web
ARGS ?=
# Generated histories of each view in `make test`; `make test PROPTEST_CASES=1000` searches longer.
export PROPTEST_CASES ?= 32

.PHONY: help
help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: ## Build, and serve sample firms with events that keep coming (ARGS="--listen 127.0.0.1:9000")
	scripts/install build
	# What both fetch comes side by side; the page is built first, as the binary carries it.
	cargo fetch --locked & fetching=$$!
	scripts/page build
	wait $$fetching
	cargo build --locked --profile demo --bin tidemark
	exec "$${CARGO_TARGET_DIR:-target}/demo/tidemark" demo $(ARGS)

.PHONY: test
test: ## Run every test: the page's in a real browser, Kafka's and PostgreSQL's against real ones
	scripts/install build
	# What the tests use comes while they are built, and ends with this: the browser, the broker, the
	# registry, PostgreSQL, …
	trap 'wait; scripts/services stop' EXIT
	mkdir -p "$${CARGO_TARGET_DIR:-target}"
	started="$${CARGO_TARGET_DIR:-target}/started.log"
	{ scripts/install chromium services && scripts/services start; } >"$$started" 2>&1 & starting=$$!
	scripts/page build test
	cargo fmt --all --check
	# Builds target/debug/tidemark too, for the tests that start it.
	cargo test --locked --workspace --no-run
	wait $$starting || { tail -n 20 "$${started%/*}"/services/*/log "$$started" >&2 || true; exit 1; }
	cat "$$started"
	# Three at a time, as much of it is waiting: for a browser, for disks, for processes to come back.
	# Kafka's tests and those of torn files, which wait most, come after the page's.
	logs="$${started%/*}"
	rm -f "$$logs"/{unit,page,kafka}-tests.log
	(
		CHROMIUM="$$(scripts/chromium)" TIDEMARK_BIN="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/debug/tidemark" \
			npm --prefix $(WEB) run test:browser >"$$logs/page-tests.log" 2>&1
		cargo test --locked --workspace --test '[kt]*' >"$$logs/kafka-tests.log" 2>&1
	) & waiting=$$!
	cargo test --locked --workspace --lib --bins >"$$logs/unit-tests.log" 2>&1 & unit=$$!
	cargo test --locked --workspace --test '[!kt]*'
	wait $$unit || { cat "$$logs/unit-tests.log" >&2; exit 1; }
	wait $$waiting || { cat "$$logs"/{page,kafka}-tests.log >&2; exit 1; }
	cat "$$logs"/{unit,page,kafka}-tests.log

.PHONY: lint
lint: ## Check formats, lints, types of the page, and dependencies
	scripts/install build
	scripts/page build check
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	if cargo deny --version >/dev/null 2>&1; then
		cargo deny --offline check bans licenses sources
	else
		echo "cargo-deny is not installed, so dependencies were not checked: cargo install cargo-deny"
	fi

.PHONY: release
release: ## Build the real one: target/release/tidemark
	scripts/install build
	scripts/page build
	cargo build --locked --release --bin tidemark
	@echo "built target/release/tidemark"

.PHONY: bench
bench: ## Measure the engine alone, its peer and Nexmark (takes long; prints Markdown)
	scripts/install build
	benches/engine.sh

.PHONY: fmt
fmt: ## Format the Rust code
	cargo fmt --all
