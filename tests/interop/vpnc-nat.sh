#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Two vpnc clients behind one masquerading router, and one that wants no NAT traversal.
. "$(dirname "$0")/lib_v1.sh"

lab_begin vpncnat
gw_config "0, 1" sleep <<END
$V1_POOLS
credentials: { psk = ( { id = "$V1_GROUP"; secret = "$V1_GROUP_SECRET"; } ); $V1_USERS };
connections = ( $(v1_connection clients "aggressive = true; responder_only = true;
	local = { id = \"gw.example\"; auth = \"psk\"; };
	remote = { id = \"$V1_GROUP\"; auth = \"psk\"; user_auth = \"xauth\"; };
	mode_config = [ \"initiate\", \"respond\" ]; pools = [ \"ire\" ];
	split_include = [ \"10.99.0.0/24\" ]; banner = \"Welcome behind the NAT.\";") );
END
gw_up
need "the NAT router is made" nat_add
for c in c1 c2; do
	leg_add $c "10.200.0.1${c#c}/24" lan
	ns $c ip route add default via 10.200.0.1
done
vpnc_start c1 user1 "a password" --natt-mode natt --local-port 0 --dpd-idle 10
need "the first client connects" vpnc_up c1
vpnc_start c2 user2 "another one" --natt-mode natt --local-port 0
need "the second client connects" vpnc_up c2
inner1=$(vpnc_told c1 INTERNAL_IP4_ADDRESS)
inner2=$(vpnc_told c2 INTERNAL_IP4_ADDRESS)
check "the addresses differ" test "$inner1" != "$inner2"
check "both sessions come from the router's address" shows sessions \
	'.sessions | length == 2 and all(.remote_addr == "192.0.2.50" and .nat)'
check "their ports differ" shows sessions '[.sessions[].remote_port] | unique | length == 2'
check "each is its user's" shows sessions "[.sessions[] | [.user, .inner_addrs[0]]] | sort ==
	[[\"user1\", \"$inner1\"], [\"user2\", \"$inner2\"]]"
check "both pulled, though a push was to come" shows sessions 'all(.sessions[]; .mode_config == "pull")'
check "the banner came" equals "$(vpnc_told c1 CISCO_BANNER)" "Welcome behind the NAT."
check "c1 pings inside" pings c1 "$inner1" 10.99.0.10 10
check "inside pings c1" pings in 10.99.0.10 "$inner1" 10
check "c2 pings inside" pings c2 "$inner2" 10.99.0.10 10
check "inside pings c2" pings in 10.99.0.10 "$inner2" 10
check "c1 pings the headend's outside address" pings c1 "$inner1" 192.0.2.1 10
both_at_once() {
	pings c1 "$inner1" 10.99.0.10 100 0.02 &
	local other=$!
	pings c2 "$inner2" 10.99.0.10 100 0.02 && wait $other
}
check "both ping at once, none lost" both_at_once
check "client pings client" pings c1 "$inner1" "$inner2" 10
check "TCP through the NAT" tcp c1 "$inner1" in 10.99.0.10
check "the first client leaves" vpnc_stop c1
check "its session alone has gone" within 5 shows sessions \
	'.sessions | length == 1 and .[0].user == "user2"'
check "its lease is not in use" shows pools '.pools[0] | .in_use == 1 and .lingering == 1'
vpnc_start c1 user1 "a password" --natt-mode force-natt --local-port 0
need "it comes back" vpnc_up c1
check "to its address" equals "$(vpnc_told c1 INTERNAL_IP4_ADDRESS)" "$inner1"
check "and pings inside" pings c1 "$inner1" 10.99.0.10 10
