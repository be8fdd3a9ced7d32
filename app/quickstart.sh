#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# usage: app/quickstart.sh [--keep | --stop]
#
# As root on Debian 12 or 13: installs what is missing, builds, starts sallyportd with two TAP ports
# in network namespaces, connects a strongSwan client over IKEv2, sends traffic through the tunnel
# in both directions, shows what the headend says of it, and cleans up. Exit status 0: it all
# worked. --keep leaves everything running; --stop ends what --keep left.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/packages.sh
. tests/interop/lib.sh

KEPT=/run/sallyport-quickstart
HUGEPAGES_FILE=/proc/sys/vm/nr_hugepages
HUGEPAGES=192 # of 2 MB
BYTES=10000000
KEEP=

say() {
	printf '\n== %s\n' "$*"
}

die() {
	echo "quickstart: $*" >&2
	exit 1
}

# More pages while we run; whatever of them the kernel had.
hugepages_take() {
	local before
	[ -w $HUGEPAGES_FILE ] || return 0
	before=$(cat $HUGEPAGES_FILE)
	[ "$before" -lt $HUGEPAGES ] || return 0
	echo "$before" >"$LAB_DIR/hugepages"
	echo $HUGEPAGES >$HUGEPAGES_FILE 2>/dev/null
	echo "hugepages: $(cat $HUGEPAGES_FILE) reserved for this run, $before before"
}

hugepages_give_back() { # DIRECTORY
	if [ -s "$1/hugepages" ]; then cat "$1/hugepages" >$HUGEPAGES_FILE; fi
}

stop_kept() {
	local pid name
	[ -d $KEPT ] || die "nothing was left running"
	while read -r pid name; do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$name" ] && lab_kill "$pid"
	done <$KEPT/pids
	while read -r name; do ip netns del "$name" 2>/dev/null; done <$KEPT/namespaces
	hugepages_give_back $KEPT
	rm -rf $KEPT
	echo "stopped"
}

# Called by lab_end.
lab_undo() {
	hugepages_give_back "$LAB_DIR"
}

# Stands before the laboratory's trap: with --keep everything stays.
finish() {
	local rc=$? pid
	[ $rc -eq 0 ] && [ "$LAB_FAILED" -ne 0 ] && rc=1
	if [ -n "$KEEP" ] && [ $rc -eq 0 ]; then
		for pid in "${LAB_PIDS[@]}"; do
			echo "$pid $(cat "/proc/$pid/comm" 2>/dev/null)"
		done >"$LAB_DIR/pids"
		printf '%s\n' "${LAB_NAMESPACES[@]}" >"$LAB_DIR/namespaces"
		look_around
		trap - EXIT
		exit 0
	fi
	[ $rc -eq 0 ] || say "FAILED; what the programs wrote:"
	(exit $rc)
	lab_end
}

look_around() {
	cat <<-END

		== Everything is left running. To look around:
		  $BUILD/app/sallyport --socket $LAB_DIR/run/control.sock            # a prompt
		  $BUILD/app/sallyport --socket $LAB_DIR/run/control.sock show sa
		  nsenter --net=/run/netns/$LAB-c1 ping -I $inner 10.99.0.10         # through the tunnel
		  nsenter --net=/run/netns/$LAB-in ping $inner                       # and back
		  less $LAB_DIR/sallyportd.log $LAB_DIR/gw.conf
		To stop it:
		  app/quickstart.sh --stop
	END
}

case ${1-} in
--keep) KEEP=1 ;;
--stop) stop_kept && exit 0 ;;
"") ;;
*) sed -n '5,10s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
[ "$(id -u)" -eq 0 ] || die "must run as root"
[ ! -d $KEPT ] || die "an earlier run was kept; end it with app/quickstart.sh --stop"
[ -c /dev/net/tun ] || die "/dev/net/tun is missing: TAP ports need it"

say "Installing what is missing, and building"
packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_QUICKSTART[@]}" || die "packages are missing"
[ -d "$BUILD/meson-info" ] || meson setup "$BUILD" >/dev/null || die "meson setup failed"
ninja -C "$BUILD" --quiet || die "the build failed"

say "Starting sallyportd: ports \"outside\" and \"inside\" are TAP devices in namespaces"
mkdir -m 0755 $KEPT
LAB_DIR=$KEPT
lab_begin quickstart
trap finish EXIT
hugepages_take
gw_config_psk | gw_config 1 sleep
sed -i 's/hugepages = "off"/hugepages = "auto"/' "$LAB_DIR/gw.conf"
gw_up

say "Connecting a strongSwan client: IKEv2, PSK, an inner address from the pool"
leg_add c1 192.0.2.11/24
swan_config_psk c1 >"$LAB_DIR/c1.conf"
need "charon-systemd starts in its namespace" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
inner=$(inner_address c1)
echo "the client's inner address is $inner"

say "Sending traffic through the tunnel"
need "20 pings from the client to 10.99.0.10 are answered" pings c1 "$inner" 10.99.0.10 20
grep -A2 statistics "$LAB_DIR/check.out"
need "20 pings from 10.99.0.10 to the client are answered" pings in 10.99.0.10 "$inner" 20
grep -A2 statistics "$LAB_DIR/check.out"
need "TCP: $BYTES bytes from the client arrive unchanged" tcp c1 "$inner" in 10.99.0.10 $BYTES
need "TCP: $BYTES bytes to the client arrive unchanged" tcp in 10.99.0.10 c1 "$inner" $BYTES
need "the session's counters hold these bytes" shows sessions \
	".sessions | length == 1 and .[0].bytes_in > $BYTES and .[0].bytes_out > $BYTES"

for what in sessions pools counters; do
	say "sallyport show $what"
	cli show $what || die "show $what failed"
done

if [ -z "$KEEP" ]; then
	say "Stopping"
	need "sallyportd tells the client and ends with status 0" gw_stop
	check "the client received DELETE" within 5 grep -q "received DELETE for IKE_SA" \
		"$LAB_DIR/c1.charon.log"
fi
