#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# strongSwan's IKEv1 as client: every authentication, XAUTH, Mode Configuration by pull and push,
# split-include, re-authentication, DELETE from both sides.
. "$(dirname "$0")/lib_v1.sh"

lab_begin v1
need "the CA is made" pki_ca
need "the headend's RSA certificate is made" pki_issue gw -newkey rsa:2048
need "the headend's ECDSA certificate is made" pki_issue gwec -newkey ec \
	-pkeyopt ec_paramgen_curve:P-256
for c in c4 c7; do need "an RSA certificate is made" pki_issue $c -newkey rsa:2048; done
need "an ECDSA certificate is made" pki_issue c5 -newkey ec -pkeyopt ec_paramgen_curve:P-256

PSK='auth = "psk";'
CERT='auth = "cert";'
gw_config <<END
$V1_POOLS
credentials: { ca = [ "$LAB_DIR/pki/ca.pem" ]; certificates = (
    { cert = "$LAB_DIR/pki/gw.pem"; key = "$LAB_DIR/pki/gw.key"; },
    { cert = "$LAB_DIR/pki/gwec.pem"; key = "$LAB_DIR/pki/gwec.key"; } );
  psk = ( { addresses = [ "192.0.2.0/24" ]; secret = "$V1_SECRET"; },
    { id = "$V1_GROUP"; secret = "$V1_SECRET"; } ); $V1_USERS };
connections = (
  $(v1_connection main "local = { id = \"gw.example\"; $PSK };
    remote = { id = \"c1.example\"; $PSK }; mode_config = [ \"respond\" ];
    pools = [ \"ire\", \"ire6\" ]; split_include = [ \"10.99.0.0/24\", \"192.0.2.1/32\" ];"),
  $(v1_connection push "local = { id = \"gw.example\"; $PSK };
    remote = { id = \"c2.example\"; $PSK }; mode_config = [ \"initiate\" ]; pools = [ \"ire\" ];"),
  $(v1_connection nat "local = { id = \"gw.example\"; $PSK };
    remote = { id = \"c8.example\"; $PSK }; mode_config = [ \"respond\" ]; pools = [ \"ire\" ];"),
  $(v1_connection group "aggressive = true; local = { id = \"gw.example\"; $PSK };
    remote = { id = \"$V1_GROUP\"; $PSK user_auth = \"xauth\"; };
    mode_config = [ \"initiate\", \"respond\" ]; pools = [ \"ire\" ];"),
  $(v1_connection rsa "local = { id = \"gw.example\"; $CERT };
    remote = { id = \"c4.example\"; $CERT }; fragment_size = 600; mode_config = [ \"respond\" ]; pools = [ \"ire\" ];"),
  $(v1_connection ecdsa "local = { id = \"gwec.example\"; $CERT };
    remote = { id = \"c5.example\"; $CERT }; mode_config = [ \"respond\" ]; pools = [ \"ire\" ];"),
  $(v1_connection hybrid "local = { id = \"gw.example\"; $CERT };
    remote = { id = \"c6.example\"; auth = \"none\"; user_auth = \"xauth\"; };
    mode_config = [ \"respond\" ]; pools = [ \"ire\" ];"),
  $(v1_connection xauthpush "local = { id = \"gw.example\"; $CERT };
    remote = { id = \"c7.example\"; $CERT user_auth = \"xauth\"; };
    mode_config = [ \"initiate\" ]; pools = [ \"ire\" ];")
);
END
gw_up

PSK_LOCAL='auth = psk'
GW_PSK='auth = psk
  id = gw.example'
GW_CERT='auth = pubkey
  id = gw.example'
XAUTH_SECRET='xauth-1 { id = user1
  secret = "a password" }'
USER2_SECRET='xauth-1 { id = user2
  secret = "another one" }'
declare -A INNER

joins() { # NAME CONFIG WHAT [CHILD...]
	local name=$1 config=$2 what=$3 child inner
	shift 3
	[ -e "/run/netns/$LAB-$name" ] || leg_add "$name" "192.0.2.1${name#c}/24" || exit 1
	printf '%s\n' "$config" >"$LAB_DIR/$name.conf"
	CHARON_EXTRA="${EXTRA-}
		$CHARON_MARK"
	need "$what: the client starts" charon_start "$name" <"$LAB_DIR/$name.conf"
	for child in "${@:-lan}"; do
		need "$what: it connects ($child)" swan "$name" --initiate --child "$child" --timeout 20
	done
	inner=$(inner_address "$name")
	INNER[$name]=$inner
	check "$what: its address is one of the pool" grep -Eq "^$POOL4\.[0-9]+$" <<<"$inner"
	pings_all "$name" "$inner" "$what"
	check "$what: through its tunnel" session_of "$name" '.packets_in == 30 and .packets_out == 30'
}

# The session of NAME's address fits the expression.
session_of() { # NAME EXPRESSION
	shows sessions "[.sessions[] | select(.inner_addrs | index(\"${INNER[$1]}\"))] |
		length == 1 and (.[0] | $2)"
}

EXTRA='cisco_unity = yes' joins c1 "$(swan_config_v1 "$PSK_LOCAL
  id = c1.example" "$GW_PSK" "vips = 0.0.0.0,::")" "main mode with PSK, pull, split-include"
check "its selector is what split-include said" grep -q "remote-ts=\[10.99.0.0/24 192.0.2.1/32\]" \
	<<<"$(swan c1 --list-sas --raw)"
check "both families were given" grep -q "2001:db8:77::" <<<"$(inner_address c1 ':')"
check "it was pulled" session_of c1 '.mode_config == "pull" and .ike_version == 1 and
	.remote_id == "c1.example" and .nat'

# strongSwan keeps a child SA that it has rekeyed, unless told not to.
EXTRA='delete_rekeyed = yes' joins c2 "$(swan_config_v1 "$PSK_LOCAL
  id = c2.example" "$GW_PSK" "vips = 0.0.0.0
  pull = no")" "main mode with PSK, push"
check "it was pushed" session_of c2 '.mode_config == "push"'

joins c3 "$(REMOTE_TS=192.0.2.1/32 swan_config_v1 "auth = psk
  id = keyid:$V1_GROUP }
  local-2 { auth = xauth
  xauth_id = user1" "$GW_PSK" "aggressive = yes
  vips = 0.0.0.0" "}
  inside { remote_ts = 10.99.0.0/24
  esp_proposals = aes128-sha256" "$XAUTH_SECRET")" "aggressive mode, XAUTH, two child SAs" inside lan
check "it is user1's" session_of c3 '.user == "user1" and .group == "staff"'

EXTRA='fragment_size = 600' joins c4 "$(pki_install c4
	swan_config_v1 "auth = pubkey
  certs = c4.pem
  id = c4.example" "$GW_CERT" "vips = 0.0.0.0
  fragmentation = force")" "main mode with RSA, fragments"
check "the client sent fragments" grep -q "splitting IKE message" "$LAB_DIR/c4.charon.log"
check "the headend sent fragments" grep -q "received fragment #2" "$LAB_DIR/c4.charon.log"

joins c5 "$(pki_install c5
	swan_config_v1 "auth = pubkey
  certs = c5.pem
  id = c5.example" "auth = pubkey
  id = gwec.example")" "main mode with ECDSA"

joins c6 "$(mkdir -p "$LAB_DIR/c6/x509ca" && cp "$LAB_DIR/pki/ca.pem" "$LAB_DIR/c6/x509ca/"
	swan_config_v1 "auth = xauth
  xauth_id = user2
  id = c6.example" "$GW_CERT" "vips = 0.0.0.0
  dpd_delay = 1s" "" "$USER2_SECRET")" "hybrid"
check "it is user2's" session_of c6 '.user == "user2"'

joins c7 "$(pki_install c7
	swan_config_v1 "auth = pubkey
  certs = c7.pem
  id = c7.example }
  local-2 { auth = xauth
  xauth_id = user2" "$GW_CERT" "vips = 0.0.0.0
  pull = no" "" "$USER2_SECRET")" "RSA, XAUTH, push"
check "it was pushed after XAUTH" session_of c7 '.user == "user2" and .mode_config == "push"'

# Behind a real NAT.
need "the NAT router is made" nat_add
leg_add c8 10.200.0.18/24 lan
ns c8 ip route add default via 10.200.0.1
joins c8 "$(swan_config_v1 "$PSK_LOCAL
  id = c8.example" "$GW_PSK")" "main mode with PSK, behind a NAT"
check "it comes from the router" session_of c8 '.remote_addr == "192.0.2.50" and .nat'

check "the headend answers DPD" within 5 \
	grep -q "N(DPD_ACK)" "$LAB_DIR/c6.charon.log"

# Re-authentication: the same session goes on, with its address and its child SA. (A PSK that is
# found by an address proves no identity: its peers begin anew.)
id=$(show sessions ".sessions[] | select(.inner_addrs[0] == \"${INNER[c4]}\") | .id")
pings_start c4 "${INNER[c4]}" 10.99.0.10 200 0.01
check "the client re-authenticates" swan c4 --rekey --ike gw --reauth
check "the ping runs to its end" wait "$PINGS_PID"
check "none of 200 pings is lost" pings_end
check "the client has its address still" equals "$(inner_address c4)" "${INNER[c4]}"
check "it is the same session" within 5 session_of c4 ".id == $id and (.child_sas | length == 1)"
check "child rekey" swan c2 --rekey --child lan
check "traffic goes on" pings c2 "${INNER[c2]}" 10.99.0.10 10
check "one child SA is left" within 5 session_of c2 '.child_sas | length == 1'

# Everybody leaves, and no lease stays in use.
gone() { # NAME
	shows sessions "[.sessions[] | select(.inner_addrs | index(\"${INNER[$1]}\"))] | length == 0"
}
check "the headend ends a session" cli clear session \
	"$(show sessions ".sessions[] | select(.inner_addrs[0] == \"${INNER[c2]}\") | .id")"
check "the client was told" within 5 grep -q "received DELETE for IKE_SA" "$LAB_DIR/c2.charon.log"
for c in c1 c3 c4 c5 c6 c7; do
	check "$c ends its session" swan $c --terminate --ike gw
	check "the headend has taken that" within 5 gone $c
done
check "only the last one's lease is in use" shows pools \
	'.pools | map({(.name): .in_use}) | add == {"ire": 1, "ire6": 0}'
check "SIGTERM ends the headend with status 0" gw_stop
check "the last one was told" within 5 grep -q "received DELETE for IKE_SA" "$LAB_DIR/c8.charon.log"
