#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Two workers that sleep when idle: sessions on both, traffic between all.
. "$(dirname "$0")/lib.sh"

lab_begin workers
gw_config_psk | gw_config "1, 2" sleep # on two CPUs they share one
gw_up
for c in c1 c2 c3; do
	leg_add $c "192.0.2.1${c#c}/24"
	swan_config_psk $c >"$LAB_DIR/$c.conf"
	need "client $c starts" charon_start $c <"$LAB_DIR/$c.conf"
	need "client $c connects" connect $c
	check "$c pings inside" pings $c "$(inner_address $c)" 10.99.0.10 20
	check "inside pings $c" pings in 10.99.0.10 "$(inner_address $c)" 20
done
check "TCP through the first" tcp c1 "$(inner_address c1)" in 10.99.0.10
check "client pings client" pings c1 "$(inner_address c1)" "$(inner_address c2)" 10
check "two workers are shown" shows workers '.workers | length == 2'
check "each session's worker is one of them" shows sessions \
	'.sessions | length == 3 and all(.worker == 0 or .worker == 1)'
check "every SA has an owner" shows workers '[.workers[].sas] | add == 6'
idle_cpu() { # of a second, in clock ticks
	local before after
	read -ra before < <(sed 's/.*) //' "/proc/$GW_PID/stat")
	sleep 2
	read -ra after < <(sed 's/.*) //' "/proc/$GW_PID/stat")
	local ticks=$((after[11] + after[12] - before[11] - before[12]))
	echo "$ticks ticks in two seconds"
	[ $ticks -lt 150 ] # of 200 a CPU
}
check "idle workers leave the CPU to others" idle_cpu
check "SIGTERM ends the headend with status 0" gw_stop
