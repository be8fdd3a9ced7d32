#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Path MTU: a client behind a router whose link to it carries 1300 bytes. What does not fit comes back
# to the gateway as ICMP, which tells the host inside; TCP recovers in both directions, and what may be
# fragmented is.
. "$(dirname "$0")/lib.sh"

# A router between the bridge and the client, with a narrow link behind it.
router_add() {
	leg_add rt 192.0.2.254/24 &&
		ns_add c1 &&
		ns rt ip link add eth1 type veth peer name eth0 netns "$LAB-c1" &&
		ns rt ip addr add 198.51.100.1/24 dev eth1 &&
		ns rt ip link set eth1 mtu 1300 up &&
		ns rt sysctl -qw net.ipv4.ip_forward=1 &&
		ns c1 ip addr add 198.51.100.11/24 dev eth0 &&
		ns c1 ip link set eth0 mtu 1300 up &&
		ns c1 ip route add default via 198.51.100.1
}

counter() { # NAME
	show counters ".counters.$1"
}

# All of COUNT pings of so many bytes that may be fragmented are answered.
large_pings() { # NAMESPACE FROM TO BYTES
	local out
	out=$(ns "$1" ping -n -q -M "dont" -I "$2" -c 5 -i 0.1 -W 2 -s "$4" "$3")
	echo "$out"
	[[ $out == *" 5 received"* ]]
}

lab_begin pmtu
gw_config_psk | gw_config
gw_up
need "the router is made" router_add
swan_config_psk c1 >"$LAB_DIR/c1.conf"
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
inner=$(inner_address c1)
check "small packets pass" pings c1 "$inner" 10.99.0.10
check "the path MTU is the port's at first" shows sessions '.sessions[0].path_mtu == 1500'

check "TCP towards the client recovers" tcp in 10.99.0.10 c1 "$inner"
check "the router's word was believed" shows counters '.counters.dp_pmtu_lowered == 1'
check "the path MTU is the narrow link's" shows sessions '.sessions[0].path_mtu == 1300'
check "show sa tells it too" shows sa '.sas[0].path_mtu == 1300'
check "the host inside was told" shows counters '.counters.dp_drop_too_big > 0'
check "it knows a path MTU that fits" \
	grep -Eq "mtu 12[0-9][0-9]" <(ns in ip route get "$inner")

check "TCP from the client passes" tcp c1 "$inner" in 10.99.0.10
joined=$(counter dp_joined)
check "large pings from the client, whose ESP comes in fragments" \
	large_pings c1 "$inner" 10.99.0.10 1360
check "they were put together" test "$(counter dp_joined)" -ge $((joined + 5))
cut=$(counter dp_cut_before)
need "the host inside forgets the path MTU" ns in ip route flush cache
check "large pings from inside" large_pings in 10.99.0.10 "$inner" 1360
check "they were cut before encryption" test "$(counter dp_cut_before)" -ge $((cut + 5))
check "nothing that was refused" shows counters \
	'.counters | [to_entries[] | select(.key | startswith("dp_pmtu_refused_sa")) | .value] | add == 0'
check "nothing was lost for a fragment's sake" shows counters \
	'.counters | .dp_drop_outer_fragment + .dp_drop_fragment_overlap + .dp_drop_fragment_bad +
		.dp_drop_fragment_no_mbuf == 0'
check "SIGTERM ends the headend with status 0" gw_stop
