#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# vpnc as Cisco's VPN client: aggressive mode with a group's PSK or hybrid, XAUTH, Mode Configuration
# by pull, Unity attributes; its re-authentication while it pings, and a stranger's group.
. "$(dirname "$0")/lib_v1.sh"

lab_begin vpnc
need "the CA is made" pki_ca
need "the headend's certificate is made" pki_issue gw -newkey rsa:2048
ezvpn() { # NAME GROUP OWN-AUTH GROUP-AUTH [MORE]
	v1_connection "$1" "aggressive = true; responder_only = true;
		local = { id = \"gw.example\"; auth = \"$3\"; };
		remote = { id = \"$2\"; auth = \"$4\"; user_auth = \"xauth\"; };
		mode_config = [ \"respond\" ]; pools = [ \"ire\" ]; address_required = true;
		split_include = [ \"10.99.0.0/24\", \"192.0.2.1/32\" ];
		split_dns = [ \"corp.example\", \"lab.example\" ];
		banner = \"Welcome to the lab.\"; ${5-}"
}
gw_config <<END
$V1_POOLS
credentials: { ca = [ "$LAB_DIR/pki/ca.pem" ]; certificates = (
    { cert = "$LAB_DIR/pki/gw.pem"; key = "$LAB_DIR/pki/gw.key"; } );
  psk = ( { id = "$V1_GROUP"; secret = "$V1_GROUP_SECRET"; },
  { id = "short-group"; secret = "$V1_GROUP_SECRET"; } ); $V1_USERS };
connections = ( $(ezvpn clients "$V1_GROUP" psk psk), $(ezvpn hybrid hybrid-group cert none),
  $(ezvpn short short-group psk psk "lifetime = { ike_hard_s = 10; };") );
END
gw_up
leg_add c1 192.0.2.11/24
leg_add c2 192.0.2.12/24
leg_add c3 192.0.2.13/24

# Without a NAT ESP is protocol 50.
vpnc_start c1 user1 "a password"
need "vpnc connects" vpnc_up c1
inner=$(vpnc_told c1 INTERNAL_IP4_ADDRESS)
check "its address is one of the pool" grep -Eq "^$POOL4\.[0-9]+$" <<<"$inner"
check "client pings inside" pings c1 "$inner" 10.99.0.10 10
check "inside pings the client" pings in 10.99.0.10 "$inner" 10
before=$(show sessions '.sessions[0].packets_in')
check "client pings the headend's outside address" pings c1 "$inner" 192.0.2.1 10
check "through the tunnel" shows sessions ".sessions[0].packets_in == $before + 10"
check "TCP from the client" tcp c1 "$inner" in 10.99.0.10
check "TCP to the client" tcp in 10.99.0.10 c1 "$inner"
check "the client was told the banner" equals "$(vpnc_told c1 CISCO_BANNER)" "Welcome to the lab."
check "two name servers" equals "$(vpnc_told c1 INTERNAL_IP4_DNS)" "9.9.9.9 9.9.9.10"
check "the WINS server" equals "$(vpnc_told c1 INTERNAL_IP4_NBNS)" "10.99.0.137"
check "the netmask" equals "$(vpnc_told c1 INTERNAL_IP4_NETMASK)" "255.255.255.0"
check "the domain" equals "$(vpnc_told c1 CISCO_DEF_DOMAIN)" "corp.example"
check "the split domains" grep -q "corp.example.*lab.example" <<<"$(vpnc_told c1 CISCO_SPLIT_DNS)"
split() {
	equals "$(vpnc_told c1 CISCO_SPLIT_INC) $(vpnc_told c1 CISCO_SPLIT_INC_0_ADDR)/$(
		vpnc_told c1 CISCO_SPLIT_INC_0_MASKLEN) $(vpnc_told c1 CISCO_SPLIT_INC_1_ADDR)/$(
		vpnc_told c1 CISCO_SPLIT_INC_1_MASKLEN) $(vpnc_told c1 CISCO_SPLIT_INC_0_PROTOCOL)" \
		"2 10.99.0.0/24 192.0.2.1/32 0"
}
check "and the split networks" split
check "show sessions gives user, group and direction" shows sessions '.sessions | length == 1 and
	(.[0] | .user == "user1" and .group == "staff" and .mode_config == "pull" and
	.ike_version == 1 and .connection == "clients" and .state == "established" and
	(.nat | not) and (.child_sas | length == 1))'
check "vpnc leaves" vpnc_stop c1
check "and nothing of it stays" within 5 headend_empty
check "but its address, for its return" shows pools '.pools[0].lingering == 1'

vpnc_start c1 user1 "a password"
need "vpnc comes back" vpnc_up c1
check "with the address that it had" equals "$(vpnc_told c1 INTERNAL_IP4_ADDRESS)" "$inner"
vpnc_start c2 user2 "not the password"
check "a wrong password is refused" within 15 vpnc_ended c2
# It was asked again, and has no other to give.
check "and vpnc knows why" grep -q "can't reuse password" "$LAB_DIR/c2.vpnc.log"
check "it is counted" shows counters '[.counters | to_entries[] |
	select(.key | test("xauth")) | .value] | add > 0'
check "no session of it is left" shows sessions '.sessions | length == 1'
V1_GROUP=unknown-group vpnc_start c2 user2 "another one"
check "an unknown group gets nowhere" within 30 vpnc_ended c2

V1_GROUP=hybrid-group vpnc_start c3 user2 "another one" --auth-mode hybrid \
	--ca-file "$LAB_DIR/pki/ca.pem"
need "vpnc connects in hybrid mode" vpnc_up c3
inner3=$(vpnc_told c3 INTERNAL_IP4_ADDRESS)
pings_all c3 "$inner3" "hybrid"
check "hybrid: it is user2's" shows sessions "[.sessions[] | select(.connection == \"hybrid\")] |
	length == 1 and .[0].user == \"user2\" and .[0].inner_addrs == [\"$inner3\"]"
check "hybrid: vpnc leaves" vpnc_stop c3
hybrid_gone() {
	shows sessions 'all(.sessions[]; .connection != "hybrid")' && shows pools '.pools[0].in_use == 1'
}
check "hybrid: its lease is not in use" within 5 hybrid_gone

# Both answers to aggressive mode's first message hold the same payloads, of the same lengths.
shape() { # GROUP
	ns c2 ike-scan --sport=0 --aggressive --id="$1" --idtype=11 --auth=65001 --dhgroup=14 \
		--trans="(1=7,14=128,2=2,3=65001,4=14)" --retry=1 --timeout=3000 192.0.2.1 |
		grep -o 'Aggressive Mode Handshake.*' | sed 's/CKY-R=[0-9a-f]*//'
}
known=$(shape "$V1_GROUP")
check "ike-scan sees aggressive mode" grep -q "Aggressive Mode Handshake" <<<"$known"
check "an unknown group looks like a known one" equals "$(shape nobody-knows-it)" "$known"

# vpnc re-runs aggressive mode and XAUTH at 80 % of the lifetime that it was told: 10 s here.
V1_GROUP=short-group vpnc_start c2 user2 "another one"
need "vpnc connects where ISAKMP SAs live for 10 s" vpnc_up c2
inner2=$(vpnc_told c2 INTERNAL_IP4_ADDRESS)
session=$(show sessions '.sessions[] | select(.user == "user2") | .id')
spi=$(show sessions ".sessions[] | select(.id == $session) | .child_sas[0].spi_in")
pings_all c2 "$inner2" "the short-lived one"
check "none of 1000 pings is lost while it re-authenticates" pings c2 "$inner2" 10.99.0.10 1000 0.01
logins() {
	test "$(grep -c "xauth done" "$LAB_DIR/c2.vpnc.log")" -ge 2
}
check "it has done so" within 5 logins
check "the session, its address and its child SA are what they were" shows sessions \
	".sessions[] | select(.id == $session) | .inner_addrs == [\"$inner2\"] and
	(.child_sas | length == 1) and .child_sas[0].spi_in == \"$spi\""
check "the lease is one" shows pools '.pools[0].in_use == 2'
check "inside pings the client still" pings in 10.99.0.10 "$inner2" 10
check "SIGTERM ends the headend with status 0" gw_stop
check "vpnc was told" within 5 vpnc_ended c1
