#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Two vpnc clients behind one masquerading router, and one that wants no NAT traversal.
. "$(dirname "$0")/lib_v1.sh"

lab_begin vpncnat
natted() { # NAME GROUP MORE
	v1_connection "$1" "aggressive = true; responder_only = true;
		local = { id = \"gw.example\"; auth = \"psk\"; };
		remote = { id = \"$2\"; auth = \"psk\"; user_auth = \"xauth\"; };
		mode_config = [ \"initiate\", \"respond\" ]; pools = [ \"ire\" ];
		split_include = [ \"10.99.0.0/24\" ]; banner = \"Welcome behind the NAT.\"; $3"
}
gw_config "0, 1" sleep <<END
$V1_POOLS
credentials: { psk = ( { id = "$V1_GROUP"; secret = "$V1_GROUP_SECRET"; },
  { id = "short-group"; secret = "$V1_GROUP_SECRET"; } ); $V1_USERS };
connections = ( $(natted clients "$V1_GROUP" "dpd = { delay_s = 2; timeout_s = 4; };"),
  $(natted short short-group "lifetime = { ike_hard_s = 60; };") );
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
pings_all c1 "$inner1" c1
pings_all c2 "$inner2" c2
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

# Re-authentication at 80 % of 60 s, through the NAT, and without traffic: vpnc takes ESP on its one
# socket for a wrong answer meanwhile. It looks at the clock when it wakes, every nine seconds or so,
# and is lost if that is too late. Then a client that dies without a word.
check "the second client leaves" vpnc_stop c2
V1_GROUP=short-group vpnc_start c2 user2 "another one" --natt-mode natt --local-port 0
need "it connects where ISAKMP SAs live for 60 s" vpnc_up c2
inner2=$(vpnc_told c2 INTERNAL_IP4_ADDRESS)
id=$(show sessions '.sessions[] | select(.user == "user2") | .id')
logins() {
	test "$(grep -c "xauth done" "$LAB_DIR/c2.vpnc.log")" -ge 2
}
check "it re-authenticates" within 65 logins
check "it is the same session" shows sessions "[.sessions[] | select(.id == $id)] | length == 1 and
	.[0].inner_addrs == [\"$inner2\"] and (.[0].child_sas | length == 1)"
pings_all c2 "$inner2" "after its re-authentication"
kill -KILL "${VPNC_PID[c1]}"
user1_gone() {
	shows sessions 'all(.sessions[]; .user != "user1")' && shows pools '.pools[0].in_use == 1'
}
check "a client that dies without a word is missed" within 20 user1_gone
check "the other one leaves" vpnc_stop c2
check "no lease is in use" within 5 headend_empty
