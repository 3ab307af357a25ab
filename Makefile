# SPDX-License-Identifier: MIT
# The front door. `make run` and `make test` install what is missing (tools/install-deps), build and go.

PORT = 8080
FUZZ_SECONDS = 60
PREFIX = /usr/local
BUILD = build/release

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

deps: ## install what building and running need
	@tools/install-deps build run

build: deps ## the program build/release/linnet, the libraries, the examples
	@cmake --preset release >/dev/null
	@cmake --build --preset release

run: build ## serve the demo page on http://localhost:8080 (PORT=...)
	@exec $(BUILD)/linnet serve --listen 127.0.0.1:$(PORT) --static web

test: ## everything; the last line is "N passed, M failed"
	@tools/install-deps build run test
	@tools/run-tests release asan

asan: ## tests and server under address and undefined-behaviour sanitizers
	@tools/install-deps build run test
	@tools/run-tests asan

tsan: ## the same under the thread sanitizer
	@tools/install-deps build run test
	@tools/run-tests tsan

fuzz: ## every fuzz target for FUZZ_SECONDS each
	@tools/install-deps build fuzz
	@cmake --preset fuzz >/dev/null && cmake --build --preset fuzz --target tests
	@tools/fuzz $(FUZZ_SECONDS)

bench: deps ## build the benchmarks and run them
	@cmake --preset release >/dev/null && cmake --build --preset release --target all benches
	@bench/run $(BUILD)

format: ## lay out the code with clang-format
	@tools/install-deps lint
	@tools/format

lint: ## layout and the checkers, without building
	@tools/install-deps lint
	@tools/format --check && tools/layers && tools/budget -a && tools/limits check

install: build ## into PREFIX (/usr/local), DESTDIR respected
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean: ## forget everything built
	@rm -rf build

.PHONY: help deps build run test asan tsan fuzz bench format lint install clean
