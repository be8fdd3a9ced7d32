#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# usage: test_gateways.sh SOURCE-DIRECTORY SALLYPORTD
#
# The configurations for Pktgen-DPDK are ones that sallyportd takes.
set -u
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
N=0
FAILED=0

check() { # NAME COMMAND...
	local name=$1
	shift
	N=$((N + 1))
	if "$@" >"$DIR/log" 2>&1; then
		echo "ok $N - $name"
	else
		echo "not ok $N - $name"
		sed 's/^/# /' "$DIR/log"
		FAILED=1
	fi
}

fails() {
	! "$@"
}

make() {
	bash "$1/perf/pktgen/gateways.sh" "${@:2}"
}

SOURCE=$1
SALLYPORTD=$2
echo "1..8"
check "encrypt, memif" make "$SOURCE" encrypt 300 "$DIR/m"
check "A's configuration" "$SALLYPORTD" --check "$DIR/m/a.conf"
check "B's configuration" "$SALLYPORTD" --check "$DIR/m/b.conf"
check "decrypt, NICs" make "$SOURCE" decrypt 3 "$DIR/n" 01:00.0 01:00.1 02:00.0 02:00.1
check "A's configuration" "$SALLYPORTD" --check "$DIR/n/a.conf"
check "B's configuration" "$SALLYPORTD" --check "$DIR/n/b.conf"
check "a direction that is none is refused" fails make "$SOURCE" both 1 "$DIR/x"
check "no tunnels are refused" fails make "$SOURCE" encrypt 0 "$DIR/x"
exit $FAILED
