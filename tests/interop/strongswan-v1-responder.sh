#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# strongSwan's IKEv1 as responder: the headend initiates, site to site, and as XAUTH client.
. "$(dirname "$0")/lib_v1.sh"

lab_begin v1resp
need "the CA is made" pki_ca
need "the headend's certificate is made" pki_issue gw -newkey rsa:2048
need "the peer's certificate is made" pki_issue c2 -newkey rsa:2048
need "an ECDSA certificate of the headend" pki_issue gwec -newkey ec \
	-pkeyopt ec_paramgen_curve:P-256
need "an ECDSA certificate of a peer" pki_issue c3 -newkey ec -pkeyopt ec_paramgen_curve:P-256

site() { # NUMBER LOCAL REMOTE [MORE]
	cat <<-END
		{ name = "site$1"; ike_versions = [ 1 ]; ike_proposals = [ "aes128-sha256-modp2048" ];
		  local = { id = "gw.example"; $2 }; remote = { id = "c$1.example"; $3 }; ${4-}
		  children = ( { name = "lan"; local_ts = [ "10.99.0.0/24" ];
		    remote_ts = [ "10.5$1.0.0/24" ]; esp_proposals = [ "aes128-sha256" ]; },
		  { name = "own"; local_ts = [ "192.0.2.1/32" ];
		    remote_ts = [ "10.5$1.0.0/24" ]; esp_proposals = [ "aes128-sha256" ]; } ); }
	END
}
gw_config <<END
credentials: { ca = [ "$LAB_DIR/pki/ca.pem" ]; certificates = (
    { cert = "$LAB_DIR/pki/gw.pem"; key = "$LAB_DIR/pki/gw.key"; },
    { cert = "$LAB_DIR/pki/gwec.pem"; key = "$LAB_DIR/pki/gwec.key"; } );
  psk = ( { addresses = [ "192.0.2.0/24" ]; secret = "$V1_SECRET"; } ); };
connections = (
  $(site 1 'auth = "psk";' 'auth = "psk"; addresses = [ "192.0.2.11" ];'),
  $(site 2 'auth = "cert";' 'auth = "cert"; addresses = [ "192.0.2.12" ];'),
  $(site 3 "auth = \"cert\"; cert = \"$LAB_DIR/pki/gwec.pem\";" \
	'auth = "cert"; addresses = [ "192.0.2.13" ];' | sed 's/id = "gw.example"/id = "gwec.example"/'),
  $(site 4 'auth = "psk";' 'auth = "psk"; addresses = [ "192.0.2.14" ];' 'aggressive = true;'),
  $(site 5 'auth = "psk"; user = "user1"; password = "a password";' \
	'auth = "psk"; addresses = [ "192.0.2.15" ];')
);
END
gw_up

peer_config() { # NUMBER LOCAL REMOTE [CONNECTION-EXTRA [SECRETS]]
	cat <<-END
		connections { site { version = 1
		  local_addrs = 192.0.2.1$1
		  remote_addrs = 192.0.2.1
		  proposals = aes128-sha256-modp2048
		  ${4-}
		  local { $2 }
		  remote { $3 }
		  children { lan { local_ts = 10.5$1.0.0/24
		    remote_ts = 10.99.0.0/24
		    esp_proposals = aes128-sha256 }
		  own { local_ts = 10.5$1.0.0/24
		    remote_ts = 192.0.2.1/32
		    esp_proposals = aes128-sha256 } } } }
		secrets { ike-1 { secret = "$V1_SECRET" }
		  ${5-} }
	END
}

established() { # NUMBER
	shows sessions "[.sessions[] | select(.connection == \"site$1\")] | length == 1 and
		(.[0] | .state == \"established\" and ([.child_sas[].name] | sort == [\"lan\", \"own\"]))"
}

# The peer's LAN is an address of its own.
meets() { # NUMBER CONFIG WHAT
	local c=c$1 lan=10.5$1.0.1
	leg_add "$c" "192.0.2.1$1/24" || exit 1
	ns "$c" ip addr add "$lan/24" dev lo
	ns in ip route add "10.5$1.0.0/24" via 10.99.0.1
	printf '%s\n' "$2" >"$LAB_DIR/$c.conf"
	CHARON_EXTRA="${EXTRA-}
		$CHARON_MARK"
	need "$3: the peer starts" charon_start "$c" <"$LAB_DIR/$c.conf"
	check "$3: the headend initiates" cli initiate "site$1" "192.0.2.1$1"
	need "$3: the session is established, with both child SAs" within 10 established "$1"
	check "$3: inside pings the site" pings in 10.99.0.10 "$lan" 10
	check "$3: the site pings inside" pings "$c" "$lan" 10.99.0.10 10
	check "$3: the site asks for another child SA" swan "$c" --initiate --child own --timeout 10
	check "$3: the site pings the headend's outside address" pings "$c" "$lan" 192.0.2.1 10
}

PSK='auth = psk
  id = '
CERT='auth = pubkey
  id = '
meets 1 "$(peer_config 1 "${PSK}c1.example" "${PSK}gw.example")" "main mode with PSK"
pki_install c2
meets 2 "$(peer_config 2 "${CERT}c2.example
  certs = c2.pem" "${CERT}gw.example")" "main mode with RSA"
pki_install c3
meets 3 "$(peer_config 3 "${CERT}c3.example
  certs = c3.pem" "${CERT}gwec.example")" "main mode with ECDSA"
EXTRA='i_dont_care_about_security_and_use_aggressive_mode_psk = yes' \
	meets 4 "$(peer_config 4 "${PSK}c4.example" "${PSK}gw.example" "aggressive = yes")" \
	"aggressive mode with PSK"
meets 5 "$(peer_config 5 "${PSK}c5.example" "${PSK}gw.example }
  remote-2 { auth = xauth" "" 'xauth-1 { id = user1
  secret = "a password" }')" "XAUTH, the headend is the client"
check "an unknown connection is refused" bash -c "! $BUILD/app/sallyport --socket \
	$LAB_DIR/run/control.sock initiate nothing 192.0.2.11"
check "child rekey from the site" swan c1 --rekey --child lan
check "traffic goes on" pings in 10.99.0.10 10.51.0.1 10
id=$(show sessions '.sessions[] | select(.connection == "site1") | .id')
check "the headend ends a session" cli clear session "$id"
check "the peer was told" within 5 grep -q "received DELETE for IKE_SA" "$LAB_DIR/c1.charon.log"
check "a peer ends its session" swan c2 --terminate --ike site
site2_gone() {
	shows sessions '[.sessions[] | select(.connection == "site2")] | length == 0'
}
check "the headend has taken that" within 5 site2_gone
check "SIGTERM ends the headend with status 0" gw_stop
