#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# usage: tests/run.sh [--only PART[,PART...]] [--runs N] [--long] [--debian13]
#
# As root: installs what is missing, builds, runs every test. One line a test with a running count;
# the last line is "N passed, N failed" alone. Parts: unit (all meson tests), asan, tsan, fuzz,
# lint, interop, quickstart. --runs: executions of each fuzz target. --long: ten minutes of a
# tunnel's life under traffic instead of two. --debian13: unit, engine and data-plane tests inside a
# Debian 13 tree instead.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/packages.sh

PARTS=unit,asan,tsan,fuzz,lint,interop,quickstart
RUNS=1000000
DEBIAN13=
LABEL=
while [ $# -gt 0 ]; do
	case $1 in
	--only) PARTS=$2 && shift ;;
	--runs) RUNS=$2 && shift ;;
	--label) LABEL=$2 && shift ;;
	--long) export LAB_SECONDS=600 ;; # lifecycle.sh
	--debian13) DEBIAN13=1 ;;
	*) sed -n '5,12s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
	esac
	shift
done

LOGS=$(mktemp -d /tmp/sallyport-run.XXXXXX)
trap 'rm -rf "$LOGS"' EXIT

part() {
	[[ ,$PARTS, == *,$1,* ]]
}

# Part NAME if it is asked for, and how long it took.
run_part() { # NAME
	local begin=$SECONDS
	part "$1" || return 0
	"part_$1"
	echo "# $1: $((SECONDS - begin)) s"
}

# Number the lines, count, and end with the sum.
number() {
	awk '
	/^ok - /     { print "ok " ++n substr($0, 3); passed++; fflush(); next }
	/^not ok - / { print "not ok " ++n substr($0, 7); failed++; names[failed] = substr($0, 10)
	               fflush(); next }
	             { print; fflush() }
	END {
		for (i = 1; i <= failed; i++) print "# failed: " names[i]
		printf "%d passed, %d failed\n", passed, failed
		exit failed > 0 || passed == 0
	}'
}

# A step that must work but is no test: one line and its log when it fails.
step() { # NAME COMMAND...
	local name=$1 log
	log=$LOGS/$(tr -c 'a-z0-9\n' _ <<<"$1").log
	shift
	if "$@" >"$log" 2>&1 </dev/null; then return 0; fi
	{
		echo "not ok - $name"
		tail -n 60 "$log" | sed 's/^/# /'
	}
	return 1
}

configure() { # DIRECTORY COMPILER MESON-OPTIONS...
	local dir=$1 compiler=$2
	shift 2
	if [ -d "$dir/meson-info" ]; then
		meson configure "$dir" "$@" || return
	else
		CC=$compiler meson setup "$dir" "$@" || return
	fi
}

make_targets() { # DIRECTORY [TARGET...]
	local dir=$1
	shift
	ninja -C "$dir" -j "${JOBS:-$(nproc)}" "$@"
}

build() { # DIRECTORY COMPILER MESON-OPTIONS...
	configure "$@" && make_targets "$1"
}

meson_tests() {
	python3 tests/meson_tests.py "$@"
}

part_unit() {
	meson_tests ${LABEL:+--label "$LABEL"} build
}

# With gcc's sanitizers a file takes half the time so, and the tests little more. A report names lines.
QUICK=(-Doptimization=1 -Dc_args=-g1)

# The long random runs have their full length with the plain build; here they look for what ASan alone
# sees. No -Werror with sanitizers: what they insert misleads gcc's checks of string lengths.
part_asan() {
	local -x BENCH_ROUNDS=10 RUNS=10 # test_collide_*, test_lease_lots
	export ASAN_OPTIONS=abort_on_error=0:detect_stack_use_after_return=1
	export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
	step "build with ASan and UBSan" build build-asan gcc "${QUICK[@]}" \
		-Db_sanitize=address,undefined -Db_lundef=false || return
	meson_tests --label asan --jobs 1 build-asan
}

# What has several threads of ours.
part_tsan() {
	local match='threads|mgmt|helpers|crypto_jobs|store$|store_faults' targets
	export TSAN_OPTIONS=halt_on_error=0
	step "set up TSan" configure build-tsan gcc "${QUICK[@]}" -Db_sanitize=thread \
		-Db_lundef=false || return
	mapfile -t targets < <(meson_tests --targets --match "$match" build-tsan)
	step "build with TSan" make_targets build-tsan "${targets[@]}" || return
	meson_tests --label tsan --jobs 1 --match "$match" build-tsan
}

# RUNS executions of a parser of wire data. What is none of them gets fewer: with config an input is
# a file of the operator's; with the engines and dhcp it is a whole life, built and torn down, and
# each parser that this meets has its own target; with pkt_gather it is hundreds of fragments.
fuzz_runs() { # NAME
	case $1 in
	config | dhcp | engine | ikev1_engine) echo $((RUNS / 10)) ;;
	pkt_gather) echo $((RUNS / 4)) ;;
	*) echo "$RUNS" ;;
	esac
}

# engines: libFuzzer's usual way to choose seeds costs more than the engine with so many of them.
# pkt_ike: a larger datagram is only cut into more fragments.
fuzz_options() { # NAME
	case $1 in
	dhcp | engine) echo -entropic=0 ;;
	ikev1_engine) echo -entropic=0 -use_counters=0 -max_len=512 ;;
	pkt_ike) echo -max_len=1500 ;;
	esac
}

# On a copy of its corpus. With a seed of its own, so that a failure comes again.
fuzz_one() { # EXECUTABLE
	local name=${1##*/fuzz_} corpus=$LOGS/corpus-${1##*/} log=$LOGS/${1##*/}.log want runs seconds
	want=$(fuzz_runs "$name")
	mkdir -p "$corpus"
	cp -r "tests/fuzz/corpus/$name/." "$corpus" 2>/dev/null
	# shellcheck disable=SC2046 # several options
	if "$1" -seed=1 -runs="$want" -timeout=20 -rss_limit_mb=3000 -verbosity=1 \
		$(fuzz_options "$name") -artifact_prefix="$LOGS/$name-" "$corpus" >"$log" 2>&1; then
		read -r runs seconds < <(sed -n 's/^Done \(.*\) runs in \(.*\) second.*/\1 \2/p' "$log")
		if [ "${runs:-0}" -ge "$want" ]; then
			echo "ok - fuzz: $name, $runs executions in $seconds s"
			return
		fi
	fi
	{
		echo "not ok - fuzz: $name"
		tail -n 40 "$log" | sed 's/^/# /'
	} >"$log.tap"
	cat "$log.tap"
}

# One while ASan's lane has the other core.
fuzz_jobs() {
	if kill -0 "$SANITIZERS" 2>/dev/null; then echo 1; else nproc; fi
}

# Clang builds the programs too: its warnings count as gcc's do.
part_fuzz() {
	local targets=() t running=0
	for t in tests/fuzz/fuzz_*.c; do targets+=("${t%.c}"); done
	step "set up the fuzz targets" configure build-fuzz clang -Dwerror=true -Dfuzzers=true \
		-Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false || return
	step "build the fuzz targets" make_targets build-fuzz "${targets[@]}" app/sallyportd \
		app/sallyport || return
	for t in "${targets[@]}"; do
		if [ "$running" -ge "$(fuzz_jobs)" ]; then
			wait -n
			running=$((running - 1))
		fi
		fuzz_one "build-fuzz/$t" &
		running=$((running + 1))
	done
	wait
}

part_lint() {
	bash tests/lint.sh
}

# What counts every packet of minutes has the machine for itself, and what takes all of it.
ALONE=(lifecycle thousand)

scenarios() { # PROCESSES FILE...
	local processes=$1
	shift
	printf '%s\n' "$@" | xargs -P "$processes" -I{} bash -c 'begin=$SECONDS
		o=$(bash "$1" 2>&1 </dev/null)
		printf "%s\n# %s: %s s\n" "$o" "$(basename "$1")" $((SECONDS - begin))' scenario {}
}

# Two scenarios at a time: they mostly wait.
part_interop() {
	local s name beside=() alone=()
	for s in tests/interop/*.sh; do
		name=$(basename "$s" .sh)
		case " ${ALONE[*]} " in
		*" $name "*) alone+=("$s") ;;
		*) [[ $name = lib* ]] || beside+=("$s") ;;
		esac
	done
	scenarios 2 "${beside[@]}"
	scenarios 1 "${alone[@]}"
}

part_quickstart() {
	if step "app/quickstart.sh" bash app/quickstart.sh; then
		echo "ok - app/quickstart.sh"
	fi
}

# ASan's lane and the others' take a core each; what measures time runs afterwards.
all_parts() {
	step "install packages" packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_QUICKSTART[@]}" \
		"${PACKAGES_TEST[@]}" || return
	step "build with gcc" build build gcc -Dwerror=true || return
	echo "# build: $SECONDS s"
	run_part unit
	{
		JOBS=1
		run_part lint
		run_part asan
	} &
	SANITIZERS=$!
	{
		JOBS=1
		run_part tsan
		run_part fuzz
	} &
	wait
	run_part interop
	run_part quickstart
}

# Inside a tree: no clang, no network tests. The long random runs look for what is ours, not the
# libraries': here they are short.
tree_parts() {
	local -x BENCH_ROUNDS=10 RUNS=10
	step "install packages" packages_install "${PACKAGES_BUILD[@]}" iproute2 python3-minimal openssl ||
		return
	step "build" build build gcc -Dwerror=true || return
	part_unit
}

if [ "$(id -u)" -ne 0 ]; then
	echo "tests/run.sh: must run as root" >&2
	exit 2
fi
if [ -n "$DEBIAN13" ]; then
	{
		step "install debootstrap" packages_install debootstrap
		SALLYPORT_IN_TREE=1 bash tests/tree.sh trixie bash tests/run.sh --label debian13 \
			2>"$LOGS/tree.log" || {
			echo "not ok - debian13: tests in the tree"
			tail -n 40 "$LOGS/tree.log" | sed 's/^/# /'
		}
	} | number
elif [ -n "${SALLYPORT_IN_TREE-}" ]; then
	tree_parts
	exit 0
else
	all_parts | number
fi
exit "${PIPESTATUS[1]}"
