#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# What the compiler does not check: form, licence lines, who may include whom, headers that stand
# alone, shell scripts. One TAP line a check; exit status 1 if one failed.
set -u
cd "$(dirname "$0")/.." || exit 1
FAILED=0

check() { # DESCRIPTION FUNCTION
	local output
	if output=$("$2" 2>&1) && [ -z "$output" ]; then
		echo "ok - lint: $1"
	else
		echo "not ok - lint: $1"
		head -n 60 <<<"$output" | sed 's/^/# /'
		FAILED=1
	fi
}

c_files() { # [FIND-PATTERN]
	find app base config controlplane dataplane pools perf tests -name "${1:-*.[ch]}" | sort
}

form() {
	c_files | xargs clang-format --dry-run --Werror
}

licence() {
	local f
	for f in $(c_files) $(scripts); do
		head -n 5 "$f" | grep -q "SPDX-License-Identifier: BSD-3-Clause" &&
			head -n 5 "$f" | grep -q "Copyright (c) 2026 The sallyport authors" ||
			echo "$f: no licence lines"
	done
}

# Print the includes in FOLDERS that match PATTERN, and so break a rule of the architecture.
forbid() { # PATTERN FOLDER...
	local pattern=$1
	shift
	grep -rnE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]+$pattern" "$@"
	return 0
}

folders_apart() {
	forbid '"(app|config|controlplane|dataplane|perf|pools|tests)/' base
	forbid '"(app|controlplane|dataplane|perf|pools|tests)/' config
	forbid '"(app|controlplane|dataplane|perf|tests)/' pools
	forbid '"(app|dataplane|perf|tests)/' controlplane
	forbid '"(app|controlplane|pools|perf|tests)/' dataplane
	forbid '"(perf|tests)/' app
}

hardware_apart() {
	forbid '[<"](rte_|intel-ipsec-mb|ipsec-mb)' base config controlplane pools tests/unit \
		tests/engine tests/fuzz
}

# Each header is the whole translation unit; DPDK's own headers are not judged.
headers_alone() { # COMPILER
	local h flags
	flags=$(pkg-config --cflags libdpdk | sed 's/-I/-isystem /g')
	flags="$flags $(pkg-config --cflags jansson libconfig libedit cmocka libcrypto)"
	for h in $(c_files '*.h'); do
		# shellcheck disable=SC2086
		printf '#include "%s"\n' "$h" | "$1" -std=c17 -D_GNU_SOURCE -Wall -Wextra \
			-Wno-unused-parameter -Werror -fsyntax-only -I. $flags -x c - || echo "$h"
	done
}

headers_gcc() {
	headers_alone gcc
}

headers_clang() {
	headers_alone clang
}

scripts() {
	find app tests .ci -type f \( -name '*.sh' -o -name '*.py' -o -path .ci/run \) | sort
}

shell_scripts() {
	scripts | grep -v '\.py$' | xargs shellcheck -x -P SCRIPTDIR -S warning
}

# Names that must not stand anywhere in the sources.
names() {
	grep -rnIE --exclude-dir='build*' --exclude-dir=.git '/tmp/w[t]/|/work/shar[e]d' . || true
}

check "the code is formatted as .clang-format says" form
check "every file has its licence lines" licence
check "folders include only what the architecture allows" folders_apart
check "DPDK and intel-ipsec-mb stay where they belong" hardware_apart
check "every header compiles alone with gcc" headers_gcc
check "every header compiles alone with clang" headers_clang
check "shell scripts have no warnings" shell_scripts
check "no path of a development machine" names
exit $FAILED
