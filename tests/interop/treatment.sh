#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# What a connection's packets get beside encryption, as a client sees it: the MSS of its TCP, TFC
# padding, which it cuts off, and the end of an idle session.
. "$(dirname "$0")/lib.sh"

# Both ends' MSS of one connection, less the twelve bytes of the time stamps: "FROM TO".
mss() { # FROM-NAMESPACE FROM-ADDRESS TO-NAMESPACE TO-ADDRESS
	local port=$((20000 + RANDOM % 20000)) server from to
	nsenter --net="/run/netns/$LAB-$3" -- python3 "$LAB_ROOT/tests/interop/mss.py" listen "$4" "$port" \
		>"$LAB_DIR/mss" &
	server=$!
	LAB_PIDS+=("$server")
	from=$(ns "$1" python3 "$LAB_ROOT/tests/interop/mss.py" connect "$2" "$4" "$port") || return
	wait "$server" || return
	to=$(cat "$LAB_DIR/mss")
	echo "$from $to"
}

lab_begin treatment
gw_config_psk 'mss = 1240; idle_s = 10; dpd = { delay_s = 3; };' |
	sed 's/{ name = "lan";/& tfc = "mtu";/' | gw_config
gw_up
leg_add c1 192.0.2.11/24
swan_config_psk c1 "" "0.0.0.0,::" >"$LAB_DIR/c1.conf"
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
inner=$(inner_address c1) inner6=$(inner_address c1 ':')
check "client pings inside" pings c1 "$inner" 10.99.0.10
check "MSS of a connection from the client" equals "$(mss c1 "$inner" in 10.99.0.10)" "1228 1228"
check "MSS of a connection to the client" equals "$(mss in 10.99.0.10 c1 "$inner")" "1228 1228"
check "the same over IPv6" equals "$(mss c1 "$inner6" in 2001:db8:99::10)" "1228 1228"
check "the SYNs were counted" shows counters '.counters.dp_mss_clamped >= 6'
check "all that it was sent was padded" shows counters \
	'.counters | .dp_tfc_padded > 10 and .dp_tfc_padded == .dp_esp_out_packets'
check "show sessions tells idle time" shows sessions '.sessions[0] | .idle_s < 5 and .policed_in == 0'
check "the idle session ends" within 20 shows sessions '.sessions == []'
check "by its idle time" shows counters '.counters.ike_idle == 1'
check "the client was told with DELETE" within 5 grep -q "received DELETE for IKE_SA" \
	"$LAB_DIR/c1.charon.log"
check "SIGTERM ends the headend with status 0" gw_stop
