# What people type. CMake does the work; see CMakeLists.txt.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 30
# Whether joined interfaces can be read by AF_XDP, too.
AF_XDP ?= ON
# Folder of reference captures that are not part of the project; tests that need it skip without.
HAKA_CAPTURES ?=
BENCH_DATA ?= build/bench-data
HISTORIES ?= 1000000
# Each process of `make proof` draws from its own seed: SEED * 1000 + 1, + 2 ...
SEED ?= 1
export DESTDIR

BUILD_PACKAGES := g++ cmake ninja-build ccache pkg-config libfmt-dev libcli11-dev \
    libtomlplusplus-dev nlohmann-json3-dev prometheus-cpp-dev libluajit-5.1-dev libpcap-dev libmnl-dev \
    zlib1g-dev libgtest-dev librapidcheck-dev libxdp-dev libbpf-dev
TEST_PACKAGES := luajit python3 tshark
CHECK_PACKAGES := clang-format-14 clang-tidy-14 luajit python3
FUZZ_PACKAGES := clang-14 libclang-rt-14-dev llvm-14 python3
BENCH_PACKAGES := libnids-dev libtins-dev nginx-light curl apache2-utils openssh-server openssh-client \
    iproute2 ethtool tcpdump python3

LIVE_PACKAGES := nginx-light apache2-bin curl apache2-utils wrk openssh-server openssh-client iproute2 ethtool tcpdump \
    python3 iptables iperf3 nmap iputils-ping
SOURCES := pair queue $(if $(filter ON,$(AF_XDP)),xdp)
# Of make soak.
MINUTES ?= 30
# See tests/live/live.py --help, and tests/live/sources.py, which runs before it.
LIVE_OPTIONS ?=

DEBUG := build/debug
RELEASE := build/release
CHECK := build/check
TSAN := build/tsan
FUZZ := build/fuzz
CONFIGURE := cmake --log-level=WARNING -G Ninja -DCMAKE_C_COMPILER_LAUNCHER=ccache \
    -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DHAKA_CAPTURES='$(abspath $(HAKA_CAPTURES))' \
    -DHAKA_AF_XDP=$(AF_XDP) -S .
CTEST := ctest --output-on-failure -j $(JOBS)
OUR_CODE := find src fuzz bench tests \( -name '*.h' -o -name '*.cc' \) -print0

.PHONY: help setup setup-test setup-live run build test test-debug test-release tsan live soak proof bench bench-live bench-lossy \
    fuzz fuzz-long fuzzers check \
    check-format check-layers check-headers check-tidy install clean

help:
	@echo "make run        the firewall example over a sample capture (installs, builds, runs)"
	@echo "make test       every test: Debug with sanitizers, then Release"
	@echo "make tsan       several workers with the thread sanitizer"
	@echo "make proof      HISTORIES=$(HISTORIES) random histories of two TCP ends with the engine between"
	@echo "make check      format, layers, headers, clang-tidy"
	@echo "make bench      speed and memory, compared with others"
	@echo "make bench-live what the engine costs between two kernels (root)"
	@echo "make fuzz       every fuzzer for FUZZ_SECONDS=$(FUZZ_SECONDS); make fuzz-long: an hour each"
	@echo "make soak       MINUTES=$(MINUTES) of edited load between real kernels, memory watched (root)"
	@echo "make bench-lossy goodput of edited streams over bad paths (root)"
	@echo "make live       100 MB each way between real kernels, edited, over bad paths (root)"
	@echo "make install    to PREFIX=$(PREFIX), below DESTDIR"
	@echo "make setup      only installs the Debian packages that a build needs"
	@echo "make clean      removes build/"

setup:
	@tools/install-packages.sh $(BUILD_PACKAGES)

build: setup
	@$(CONFIGURE) -B $(RELEASE) -DCMAKE_BUILD_TYPE=Release
	@cmake --build $(RELEASE) -j $(JOBS) --target haka

run: build
	@echo
	@echo "haka run -r samples/captures/firewall.pcap -w build/firewall.pcapng samples/firewall/policy.lua"
	@echo
	@$(RELEASE)/haka run -r samples/captures/firewall.pcap -w build/firewall.pcapng \
	    samples/firewall/policy.lua
	@echo
	@echo "What left is in build/firewall.pcapng."

test: test-debug test-release

setup-test: setup
	@tools/install-packages.sh $(TEST_PACKAGES)

test-debug: setup-test
	@$(CONFIGURE) -B $(DEBUG) -DCMAKE_BUILD_TYPE=Debug -DSANITIZE=ON
	@cmake --build $(DEBUG) -j $(JOBS)
	@$(CTEST) --test-dir $(DEBUG) -E '^live[-_]'  # Real programs at full speed: the release's.

test-release: setup-test
	@$(CONFIGURE) -B $(RELEASE) -DCMAKE_BUILD_TYPE=Release
	@cmake --build $(RELEASE) -j $(JOBS)
	@$(CTEST) --test-dir $(RELEASE)

tsan: setup-test
	@$(CONFIGURE) -B $(TSAN) -DCMAKE_BUILD_TYPE=Release -DSANITIZE_THREAD=ON
	@cmake --build $(TSAN) -j $(JOBS) --target haka engine_test case_runner
	@$(CTEST) --test-dir $(TSAN) -R '^(engine|threads|case-.*)$$'

setup-live: setup
	@tools/install-packages.sh $(LIVE_PACKAGES)

live: setup-live
	@$(CONFIGURE) -B $(RELEASE) -DCMAKE_BUILD_TYPE=Release
	@cmake --build $(RELEASE) -j $(JOBS) --target live_bridge haka
	@as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	    for source in $(SOURCES); do $$as_root tests/live/sources.py --source $$source $(RELEASE)/haka || exit 1; done; \
	    $$as_root tests/live/control.py $(RELEASE)/haka . && \
	    $$as_root tests/live/web.py $(RELEASE)/haka && \
	    $$as_root tests/live/live.py $(LIVE_OPTIONS) $(RELEASE)/tests/live_bridge

soak: setup
	@tools/install-packages.sh $(LIVE_PACKAGES)
	@$(CONFIGURE) -B $(RELEASE) -DCMAKE_BUILD_TYPE=Release
	@cmake --build $(RELEASE) -j $(JOBS) --target haka
	@as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	    $$as_root tests/live/soak.py --minutes $(MINUTES) $(RELEASE)/haka

proof: setup-test
	@$(CONFIGURE) -B $(RELEASE) -DCMAKE_BUILD_TYPE=Release
	@cmake --build $(RELEASE) -j $(JOBS) --target model_test
	@seq $(JOBS) | xargs -P $(JOBS) -I{} sh -c '$(RELEASE)/tests/model_test \
	    --histories $$(( ($(HISTORIES) + $(JOBS) - 1) / $(JOBS) )) --seed $$(( $(SEED) * 1000 + {} ))'

bench: setup
	@tools/install-packages.sh $(BENCH_PACKAGES)
	@$(CONFIGURE) -B $(RELEASE) -DCMAKE_BUILD_TYPE=Release -DHAKA_BENCH=ON
	@cmake --build $(RELEASE) -j $(JOBS) --target haka bench_tools
	@as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	    $$as_root bench/make-traffic.sh $(RELEASE)/bench $(BENCH_DATA)
	@bench/bench.py --data $(BENCH_DATA) --tools $(RELEASE)/bench --haka $(RELEASE)/haka \
	    --log-option=--log

bench-live: setup
	@tools/install-packages.sh $(BENCH_PACKAGES) $(LIVE_PACKAGES)
	@$(CONFIGURE) -B $(RELEASE) -DCMAKE_BUILD_TYPE=Release -DHAKA_BENCH=ON
	@cmake --build $(RELEASE) -j $(JOBS) --target haka bare_live
	@as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; for source in $(SOURCES); do \
	    $$as_root bench/live.py --source $$source $(RELEASE)/haka $(RELEASE)/bench/bare_live; done

bench-lossy: setup
	@tools/install-packages.sh $(LIVE_PACKAGES)
	@$(CONFIGURE) -B $(RELEASE) -DCMAKE_BUILD_TYPE=Release
	@cmake --build $(RELEASE) -j $(JOBS) --target live_bridge
	@as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	    $$as_root bench/lossy.py $(RELEASE)/tests/live_bridge

# Without AF_XDP: that build must work, too.
fuzzers: setup
	@tools/install-packages.sh $(FUZZ_PACKAGES)
	@$(CONFIGURE) -B $(FUZZ) -DCMAKE_BUILD_TYPE=Release -DFUZZ=ON -DCMAKE_C_COMPILER=clang-14 \
	    -DCMAKE_CXX_COMPILER=clang++-14 -DHAKA_AF_XDP=OFF
	@cmake --build $(FUZZ) -j $(JOBS) --target fuzzers

fuzz: fuzzers
	@fuzz/run.sh $(FUZZ)/fuzz $(FUZZ_SECONDS)

fuzz-long: fuzzers
	@fuzz/run.sh $(FUZZ)/fuzz 3600

check: check-format check-layers check-headers check-tidy

check-format: setup
	@tools/install-packages.sh $(CHECK_PACKAGES)
	@$(OUR_CODE) | xargs -0 clang-format-14 --dry-run -Werror

check-layers: setup
	@tools/install-packages.sh $(CHECK_PACKAGES)
	@luajit tools/tidy.lua src

# Debug, as clang-tidy doesn't know all of gcc's flags for Release.
check-headers: setup
	@$(CONFIGURE) -B $(CHECK) -DCMAKE_BUILD_TYPE=Debug
	@cmake --build $(CHECK) -j $(JOBS) --target all_verify_interface_header_sets generated

# Not the tests: most of what it finds there lies in macros of the test library.
check-tidy: check-headers
	@tools/install-packages.sh $(CHECK_PACKAGES)
	@run-clang-tidy-14 -quiet -j $(JOBS) -p $(CHECK) '/src/.*(?<!_test)\.cc$$' 2>&1 | \
	    { grep -vE '^clang-tidy-14 |warnings? (generated|treated)|^Suppressed|^Use -header-filter' || true; }

install: build
	@cmake --install $(RELEASE) --prefix '$(PREFIX)'

clean:
	rm -rf $(DEBUG) $(RELEASE) $(CHECK) $(TSAN) $(FUZZ)
