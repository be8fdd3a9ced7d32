#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# usage: perf/run.sh [--quick] [--debian13]
#
# As root: installs what is missing, builds, measures the whole table of the data plane and writes it,
# with what machine, libraries and commit it was, to perf/results/debian12 (by the name of the system
# it runs on), then tables and plots of all that is there to perf/results. --debian13: builds and
# measures inside a Debian 13 tree, for its libraries; the plots are made here. --quick: fewer rounds,
# for a look. Hugepages that are missing are reserved for the time being. SUITES, SIZES and TUNNELS in
# the environment choose a part of the table.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh

SUITES=${SUITES:-aes128gcm16,aes128-sha256,chacha20poly1305}
SIZES=${SIZES:-64,128,256,512,1024,1420,imix}
TUNNELS=${TUNNELS:-1,100,1000,10000,60000}
NEED_MB=1600 # for 60,000 tunnels
HUGE=/proc/sys/vm/nr_hugepages
QUICK=
DEBIAN13=
while [ $# -gt 0 ]; do
	case $1 in
	--quick) QUICK=1 ;;
	--debian13) DEBIAN13=1 ;;
	*) sed -n '5,13s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
	esac
	shift
done
[ "$(id -u)" -eq 0 ] || {
	echo "perf/run.sh: must run as root" >&2
	exit 2
}

say() {
	echo "# $(date +%T) $*"
}

commit() {
	echo "${SALLYPORT_COMMIT:-$(git describe --always --dirty 2>/dev/null || echo unknown)}"
}

# ---- Hugepages: 2 MB ones, given back at the end ----

RESERVED=
give_back() {
	[ -z "$RESERVED" ] || echo "$RESERVED" >"$HUGE"
}
trap give_back EXIT

reserve() {
	local free have
	free=$(awk '/^HugePages_Free/ { print $2 }' /proc/meminfo)
	[ "$((free * 2))" -lt "$NEED_MB" ] || return 0
	have=$(cat "$HUGE")
	if echo "$((have + NEED_MB / 2 - free))" 2>/dev/null >"$HUGE"; then
		RESERVED=$have
	fi
	free=$(awk '/^HugePages_Free/ { print $2 }' /proc/meminfo)
	[ "$((free * 2))" -ge "$NEED_MB" ] ||
		say "only $free hugepages are free: figures with many tunnels will be too high"
}

# ---- Measuring ----

# The last CPU, with real-time priority: interrupts and other work are mostly on the first one.
LAST=$(($(nproc) - 1))
bench() { # FILE OPTIONS...
	local file=$1 how=(chrt -f 10) rc=0
	shift
	[ "$1" != alone ] || { how+=(taskset -c "$LAST") && shift; }
	"${how[@]}" true 2>/dev/null || how=()
	say "esp_bench $*"
	# shellcheck disable=SC2086
	"${how[@]}" build-perf/perf/esp_bench --json ${QUICK:+--rounds 7} "$@" >"$OUT/$file.json" \
		2>"$OUT/$file.log" || rc=$?
	grep -E '^esp_bench' "$OUT/$file.log" || true
	# Void rows are left out, and named; anything else is a failure.
	[ "$rc" -eq 0 ] || [ "$rc" -eq 1 ] || [ "$rc" -eq 3 ] || exit "$rc"
	[ "$rc" -eq 0 ] || FAILED=1
	rm -f "$OUT/$file.log"
}

about() {
	build-perf/perf/esp_bench --about |
		sed "s|^{|{\"commit\":\"$(commit)\",\"date\":\"$(date -u +%FT%TZ)\",\"system\":\"$SYSTEM\",\"quick\":${QUICK:-0},|"
}

measure() {
	FAILED=
	SYSTEM=$(. /etc/os-release && echo "$ID$VERSION_ID")
	OUT=perf/results/$SYSTEM
	rm -rf "$OUT"
	mkdir -p "$OUT"
	about >"$OUT/about.json"
	bench cycles alone --suite "$SUITES" --size "$SIZES" --tunnels "$TUNNELS"
	bench stages alone --stages --size 64,1420 --tunnels 1,10000
	bench order alone --order zipf --size 64,1420 --tunnels 10000
	if [ "$(nproc)" -gt 1 ]; then
		bench workers --workers 2 --size 64,1420 --tunnels 10000
		bench scale --scale --size 64,1420 --tunnels 10000
		bench handoff --handoff --size 64,1420 --tunnels 10000
		bench updates --updates 105000 --size 64,1420 --tunnels 10000
		bench latency --latency --size 64,512,1420 --tunnels 10000
	fi
	[ -z "$FAILED" ] || say "some rows are void: see above"
}

here() {
	say "build"
	packages_install "${PACKAGES_BUILD[@]}" python3-minimal >/dev/null
	[ -d build-perf/meson-info ] || meson setup build-perf >/dev/null
	ninja -C build-perf perf/esp_bench >/dev/null
	reserve
	measure
}

# The copy in the tree has no history, and its own results.
in_debian13() {
	packages_install debootstrap >/dev/null
	reserve
	SALLYPORT_COMMIT=$(commit) SALLYPORT_IN_TREE=1 bash tests/tree.sh trixie \
		bash perf/run.sh ${QUICK:+--quick}
	cp -r "${SALLYPORT_TREES:-/var/cache}/sallyport-trixie/src/perf/results/debian13" perf/results/
}

plots() {
	packages_install gnuplot-nox python3-minimal >/dev/null
	say "tables and plots"
	python3 perf/report.py perf/results
	gnuplot perf/results/plot.gp
	rm -f perf/results/plot.gp
}

mkdir -p perf/results
if [ -n "$DEBIAN13" ]; then in_debian13; else here; fi
[ -n "${SALLYPORT_IN_TREE-}" ] || plots
say "done"
[ -z "${FAILED-}" ]
