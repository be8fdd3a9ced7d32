#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# IPv6 outside: strongSwan with a virtual address of each family (4in6 and 6in6), beside one over
# IPv4 (4in4 and 6in4) and an IKEv1 one; from client to client between the families; rekeying.
. "$(dirname "$0")/lib.sh"

lab_begin ipv6
{
	gw_config_psk | sed '/^connections = (/,$d; s/^credentials.*/&\n  { addresses = [ "2001:db8:1::14" ];\n    secret = "a secret that only the lab knows"; },/'
	cat <<-END
		connections = (
		  { name = "clients"; ike_versions = [ 2 ]; ike_proposals = [ "aes128gcm16-prfsha256-x25519" ];
		    local = { id = "gw.example"; auth = "psk"; };
		    remote = { id = "*"; auth = "psk"; };
		    mode_config = [ "respond" ]; pools = [ "ire", "ire6" ];
		    children = ( { name = "lan"; esp_proposals = [ "aes128gcm16" ];
		      local_ts = [ "10.99.0.0/24", "2001:db8:99::/64", "$POOL4.0/24", "2001:db8:77::/64" ]; } ); },
		  { name = "old"; ike_versions = [ 1 ]; ike_proposals = [ "aes128-sha256-modp2048" ];
		    local = { id = "gw.example"; auth = "psk"; };
		    remote = { id = "c4.example"; auth = "psk"; addresses = [ "2001:db8:1::14" ]; };
		    mode_config = [ "respond" ]; pools = [ "ire" ];
		    children = ( { name = "lan"; esp_proposals = [ "aes128-sha256" ];
		      local_ts = [ "10.99.0.0/24" ]; } ); }
		);
	END
} | gw_config
gw_up

# The client's address outside, and its configuration with the headend's of the same family.
client() { # NAME ADDRESS/BITS HEADEND [SED-EXPRESSION]
	leg_add "$1" "$2" || return
	swan_config_psk "$1" "${2%/*}" "0.0.0.0,::" | sed "s/remote_addrs = .*/remote_addrs = $3/
		s,$POOL4.0/24,&\\,2001:db8:77::/64, ; ${4-}" >"$LAB_DIR/$1.conf"
	charon_start "$1" <"$LAB_DIR/$1.conf"
}
need "a client over IPv6 starts" client c1 2001:db8:1::11/64 2001:db8:1::1
need "a client over IPv4 starts" client c2 192.0.2.12/24 192.0.2.1
need "an IKEv1 client over IPv6 starts" client c4 2001:db8:1::14/64 2001:db8:1::1 's/version = 2/version = 1/
	s/vips = .*/vips = 0.0.0.0/; s/proposals = aes128gcm16-.*/proposals = aes128-sha256-modp2048/
	s/remote_ts = .*/remote_ts = 10.99.0.0\/24/; s/esp_proposals = .*/esp_proposals = aes128-sha256/'

declare -A INNER4=() INNER6=()
for c in c1 c2; do
	need "$c connects" connect $c
	INNER4[$c]=$(inner_address $c '\.')
	INNER6[$c]=$(inner_address $c ':')
	check "$c has an IPv4 address" grep -Eq "^$POOL4\.[0-9]+$" <<<"${INNER4[$c]}"
	check "$c has an IPv6 address" grep -Eq "^2001:db8:77::" <<<"${INNER6[$c]}"
done

# What of either family goes to and fro between the client and a namespace with both.
traffic() { # WHAT CLIENT NAMESPACE ADDRESS4 ADDRESS6
	local family here there
	for family in 4 6; do
		here=${INNER4[$2]} there=$4
		if [ $family = 6 ]; then here=${INNER6[$2]} there=$5; fi
		check "$1, IPv$family inside: $2 pings" pings "$2" "$here" "$there"
		check "$1, IPv$family inside: $2 is pinged" pings "$3" "$there" "$here"
		check "$1, IPv$family inside: TCP from $2" tcp "$2" "$here" "$3" "$there" 500000
		check "$1, IPv$family inside: TCP to $2" tcp "$3" "$there" "$2" "$here" 500000
	done
}
traffic "IPv6 outside" c1 in 10.99.0.10 2001:db8:99::10
traffic "IPv4 outside" c2 in 10.99.0.10 2001:db8:99::10
traffic "from IPv6 to IPv4 outside" c1 c2 "${INNER4[c2]}" "${INNER6[c2]}"
check "the sessions' outer addresses are of both families" shows sessions \
	'[.sessions[].remote_addr] | sort == ["192.0.2.12", "2001:db8:1::11"]'

need "the IKEv1 client connects" connect c4
check "IKEv1, IPv6 outside: the client pings inside" pings c4 "$(inner_address c4)" 10.99.0.10
check "IKEv1, IPv6 outside: inside pings the client" pings in 10.99.0.10 "$(inner_address c4)"
check "IKEv1, IPv6 outside: TCP" tcp c4 "$(inner_address c4)" in 10.99.0.10

pings_start c1 "${INNER6[c1]}" 2001:db8:99::10 200 0.01
sleep 0.3
check "the child SA over IPv6 is rekeyed" swan c1 --rekey --child lan
sleep 0.3
check "the IKE SA over IPv6 is rekeyed" swan c1 --rekey --ike gw
check "the ping runs to its end" wait "$PINGS_PID"
check "none of 200 pings is lost" pings_end
check "no SA has counted an error" shows sa \
	'.sas | length == 3 and all(.auth_failed == 0 and .replayed == 0 and .selector_mismatch == 0)'
check "SIGTERM ends the headend with status 0" gw_stop
check "the client over IPv6 was told with DELETE" within 5 grep -q "received DELETE for IKE_SA" \
	"$LAB_DIR/c1.charon.log"
