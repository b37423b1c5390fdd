# SPDX-License-Identifier: GPL-2.0-or-later
# `make help` lists the targets.
SHELL := /bin/bash
.DELETE_ON_ERROR:

RELEASE := swift build -c release --static-swift-stdlib
BIN := .build/release
PREFIX ?= /usr/local

.PHONY: help deps build sqlite-extension plugin guests qemu10 demo demo-linux demo-linux-symbols test test-unit test-qemu test-qemu10 test-report how-to lint bench bench-symbols fuzz fixtures docs deb test-deb install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' Makefile

deps: ## install the Debian packages that are missing (root or sudo)
	@scripts/install-dependencies

build: deps ## the tools, release, Swift runtime linked statically: .build/release
	$(RELEASE)

# A library needs the other flag for a static runtime, and with it a build folder that is not that of the tools.
sqlite-extension: deps ## the SQLite extension, Swift runtime linked statically: .build/release/ttlog_sqlite.so
	swift build -c release --scratch-path .build-arrow --product ttlog_sqlite -Xswiftc -static-stdlib \
	    -Xlinker --gc-sections -Xlinker --version-script=$(CURDIR)/Sources/TTLogSQLite/exports.map \
	    -Xlinker -z -Xlinker relro -Xlinker -z -Xlinker now -Xlinker -soname=ttlog_sqlite.so
	@mkdir -p $(BIN)
	@cp .build-arrow/release/libttlog_sqlite.so $(BIN)/ttlog_sqlite.so

plugin: deps ## the QEMU plugin: hypervisor/qemu/build/libttd.so
	@$(MAKE) --no-print-directory -s -C hypervisor/qemu

guests: deps ## the small guests that tests and the demo record
	@$(MAKE) --no-print-directory -s -C hypervisor/guests/tiny

qemu10: ## fetch QEMU 10.0 from bookworm-backports into the user's cache; prints its path
	@scripts/fetch-qemu10

# QEMU 10.0 shows more than 7.2; the tools use it where it is installed or fetched.
.PHONY: preferred-qemu
preferred-qemu:
	@qemu-system-x86_64 --version | grep -qE 'version (9|[1-9][0-9])\.' || scripts/fetch-qemu10 >/dev/null \
	    || echo "QEMU 10.0 cannot be fetched: the system's QEMU is used" >&2

demo: build plugin guests preferred-qemu ## record the small guest, replay it three times, compare
	@scripts/demo

demo-linux: build plugin preferred-qemu ## the demo with a Debian kernel and one byte of its disk changed
	@scripts/demo-linux

demo-linux-symbols: build plugin preferred-qemu ## demo-linux with the kernel's symbols (280 MB to fetch, once)
	@scripts/demo-linux --fetch-symbols

.PHONY: xen demo-xen test-xen
xen: ## fetch Xen's source, patch and build it (hypervisor/xen); prints where it is
	@scripts/install-dependencies --xen
	@hypervisor/xen/machine/build-xen

demo-xen: build xen ## record a Linux guest of Xen, replay it five times, compare (Xen runs under QEMU; symbols: 280 MB to fetch, once)
	@scripts/demo-xen --fetch-symbols

test-xen: build xen ## the tests that record and replay guests of Xen
	@scripts/test-xen

test: deps ## every test, but for test-fleet and test-deb
	@scripts/test all

.PHONY: ci
ci: deps ## every test, as .ci/run calls it; test-fleet and test-deb at the end: where they do not run, a line says why
	@scripts/test ci

test-unit: deps ## the tests that need no guest
	@scripts/test unit

test-qemu: deps ## the tests that record and replay real guests under QEMU
	@scripts/test qemu

test-qemu10: deps ## the tests with QEMU 10.0 (make qemu10)
	@scripts/test qemu10

deviced: ## build the daemon for dom0 of Xen
	@$(MAKE) --no-print-directory -s -C hypervisor/xen/ttd-deviced

.PHONY: test-deviced
test-deviced: build deviced ## the tests of the daemon and of recording with Xen that need no Xen
	@python3 Tests/XenDaemon/test_daemon.py

test-report: build ## the tests that open HTML reports in a headless Chromium
	@scripts/install-dependencies --browser
	@scripts/test-report

.PHONY: arrow-library wheel test-python test-fleet
arrow-library: deps ## logs as Arrow streams with a C interface (Sources/CArrow/include/ttlogarrow.h): .build-arrow/release/libttlogarrow.so
	@scripts/build-arrow-library

wheel: deps ## the Python package, with the library inside: out/wheel
	@scripts/build-wheel

test-python: deps ## the tests of the Python package and of the Arrow streams (fetches packages from PyPI, once)
	@[ -n "$$BIN" ] || [ -x .build-tests/release/bts-dump ] || $(MAKE) --no-print-directory build >&2
	@scripts/test-python

test-fleet: build plugin guests preferred-qemu ## the tests of Spark, object storage, ClickHouse and nightly corpora (fetches 900 MB from PyPI, once)
	@scripts/test-fleet

how-to: build plugin guests preferred-qemu ## run the commands of docs/how-to.md and compare their outputs (RECORD=1 writes them)
	@QEMU=$$(scripts/fetch-qemu10) scripts/demo out/how-to >/dev/null
	@scripts/how-to $(if $(RECORD),--record)

lint: ## formatting, and the rules for rooms and C files (docs/design.md)
	swift format lint --strict --parallel --recursive Package.swift Sources Tests Benchmarks
	@scripts/rooms --check
	@scripts/c-layers

bench: build plugin guests ## speeds, beside a C loop, cmp and plain QEMU
	@Benchmarks/run

bench-symbols: build ## speeds of symbolizers on Debian's vmlinux (850 MB to fetch, once)
	@Benchmarks/symbols/run

.PHONY: corpus-guests
corpus-guests: build plugin ## records and replays real guests under QEMU 7.2 and 10.0 (200 MB to fetch, once; an hour)
	@scripts/corpus-guests

.PHONY: corpus
corpus: build plugin guests ## make 60 and more pairs of runs that differ in a known way, and score the answers of diverge (GROUPS="tiny tiny10 linux debian")
	@hypervisor/guests/linux/build.sh >/dev/null
	@python3 Tests/Corpus/corpus.py $(foreach group,$(GROUPS),--group $(group))

fuzz: deps ## libFuzzer on the readers of logs (also the one of ttd-deviced), raw branch records, foreign formats, symbol files, code, indexes, bundles and guests' memory, a minute each (FUZZ_SECONDS=n)
	@Tests/Fuzz/run.sh $(or $(FUZZ_SECONDS),60)
	@Tests/Fuzz/rawbts.sh $(or $(FUZZ_SECONDS),60)
	@Tests/Fuzz/foreign.sh $(or $(FUZZ_SECONDS),60)
	@Tests/Fuzz/symbolize.sh $(or $(FUZZ_SECONDS),60)
	@Tests/Fuzz/instructions.sh $(or $(FUZZ_SECONDS),60)
	@Tests/Fuzz/index.sh $(or $(FUZZ_SECONDS),60)
	@Tests/Fuzz/bundle.sh $(or $(FUZZ_SECONDS),60)
	@Tests/Fuzz/daemonlog.sh $(or $(FUZZ_SECONDS),60)
	@Tests/Fuzz/guestmemory.sh $(or $(FUZZ_SECONDS),60)

fixtures: build plugin guests ## record the logs in Fixtures/ again
	@scripts/make-fixtures

docs: build ## generate man pages and completions from the tools' help
	@scripts/generate-docs

deb: build plugin deviced sqlite-extension arrow-library ## the Debian packages: out/deb, checked with lintian
	@scripts/install-dependencies --packaging
	@scripts/make-deb

test-deb: deb guests ## the packages in a bare Debian (root, mmdebstrap)
	@scripts/test-deb

.PHONY: tarball test-tarball
tarball: build plugin sqlite-extension arrow-library ## a tarball that runs from any folder: out/tarball
	@scripts/make-tarball

test-tarball: tarball guests preferred-qemu ## the tarball in another folder, with an empty environment
	@scripts/test-tarball "$$(ls -t out/tarball/*.tar.gz | head -n 1)"

.PHONY: reproducible
reproducible: tarball guests preferred-qemu ## everything built twice, in two folders: the bytes are the same (takes two builds from nothing)
	@scripts/test-tarball --twice "$$(ls -t out/tarball/*.tar.gz | head -n 1)"

install: build plugin ## install tools, plugin, man pages and completions under DESTDIR/PREFIX
	@DESTDIR="$(DESTDIR)" scripts/install "$(PREFIX)"

clean: ## remove build folders
	rm -rf .build .build-arrow .build-tests Benchmarks/.build Examples/.build hypervisor/qemu/build hypervisor/guests/*/build
