#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A client that changes its outer address under traffic, and again: MOBIKE moves its tunnel. What is
# lost is lost before the headend knows of the change.
. "$(dirname "$0")/lib_life.sh"

lab_begin mobike
gw_config_psk | gw_config
gw_up
leg_add c1 192.0.2.11/24
ns c1 sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1 # the new address survives the old one
swan_config_psk c1 "" 0.0.0.0 "" "mobike = yes" >"$LAB_DIR/c1.conf"
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
inner=$(inner_address c1)
session=$(show sessions '.sessions[0].id')
check "MOBIKE was agreed on" shows sessions '.sessions[0].mobike'
check "client pings inside" pings c1 "$inner" 10.99.0.10 10

is_at() { # ADDRESS
	shows sessions ".sessions | length == 1 and .[0].id == $session and
		.[0].remote_addr == \"$1\" and .[0].inner_addrs == [\"$inner\"]"
}
moves() { # OLD NEW WHAT
	local moved
	stream_start "$2" c1 "$inner" in 10.99.0.10 5
	check "$3: the traffic begins" within 10 stream_begun "$2"
	sleep 1
	ns c1 ip addr add "$2/24" dev eth0
	ns c1 ip addr del "$1/24" dev eth0
	check "$3: the headend follows" within 10 is_at "$2"
	moved=$(gw_logged "now at $2")
	stream_wait "$2"
	echo "# $3: $(stream_lost "$2" here) of $(stream_sent "$2" here) lost that the client sent," \
		"$(stream_lost "$2" there) of $(stream_sent "$2" there) that were sent inside"
	check "$3: nothing is lost that was sent after that" stream_whole_since "$2" "$moved"
	check "$3: nor much before" test \
		$(($(stream_lost "$2" here) + $(stream_lost "$2" there))) -lt 200
}
moves 192.0.2.11 192.0.2.21 "first move"
moves 192.0.2.21 192.0.2.31 "second move"
check "the client said so" test "$(grep -c "N(UPD_SA_ADDR)" "$LAB_DIR/c1.charon.log")" -ge 2
check "the headend counted both" shows counters \
	'.counters | .ike_mobike_update >= 2 and .ike_peer_moved >= 2'
check "a child rekey at the new address" swan c1 --rekey --child lan
check "an IKE rekey at the new address" swan c1 --rekey --ike gw
check "it is the same session" is_at 192.0.2.31
check "client pings inside" pings c1 "$inner" 10.99.0.10 10
check "inside pings the client" pings in 10.99.0.10 "$inner" 10
