#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# vpnc as NetScreen's client: the headend pushes the address (SET) before XAUTH's status. Both
# directions are allowed; one connection only pushes.
. "$(dirname "$0")/lib_v1.sh"

lab_begin netscreen
netscreen() { # NAME ID CONFIG
	v1_connection "$1" "aggressive = true; responder_only = true;
		local = { id = \"gw.example\"; auth = \"psk\"; };
		remote = { id = \"$2\"; auth = \"psk\"; user_auth = \"xauth\"; };
		mode_config = [ $3 ]; push = \"before_status\"; pools = [ \"ire\" ];"
}
gw_config <<END
$V1_POOLS
credentials: { psk = ( { id = "push@example"; secret = "$V1_GROUP_SECRET"; },
  { id = "both@example"; secret = "$V1_GROUP_SECRET"; } ); $V1_USERS };
connections = ( $(netscreen push push@example '"initiate"'),
  $(netscreen both both@example '"initiate", "respond"') );
END
gw_up
leg_add c1 192.0.2.11/24
leg_add c2 192.0.2.12/24

round() { # NAME ID USER PASSWORD
	local inner
	V1_GROUP=$2 vpnc_start "$1" "$3" "$4" --vendor netscreen
	need "the client of $2 connects" vpnc_up "$1"
	inner=$(vpnc_told "$1" INTERNAL_IP4_ADDRESS)
	check "its address is one of the pool" grep -Eq "^$POOL4\.[0-9]+$" <<<"$inner"
	check "it was told the name servers" \
		equals "$(vpnc_told "$1" INTERNAL_IP4_DNS)" "9.9.9.9 9.9.9.10"
	check "client pings inside" pings "$1" "$inner" 10.99.0.10 10
	check "inside pings the client" pings in 10.99.0.10 "$inner" 10
	check "client pings the headend's outside address" pings "$1" "$inner" 192.0.2.1 10
	check "show sessions says that it was pushed" shows sessions ".sessions | map(select(
		.user == \"$3\")) | length == 1 and .[0].mode_config == \"push\" and
		.[0].inner_addrs == [\"$inner\"]"
}
round c1 push@example user1 "a password"
round c2 both@example user2 "another one"
check "two leases are in use" shows pools '.pools[0].in_use == 2'
check "the first client leaves" vpnc_stop c1
check "the second client leaves" vpnc_stop c2
check "and nothing of them stays" within 5 headend_empty
V1_GROUP=push@example vpnc_start c1 user1 "a wrong password" --vendor netscreen
check "a wrong password is refused" within 20 vpnc_ended c1
check "and leaves no lease" within 5 headend_empty
