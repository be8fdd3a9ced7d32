# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Peers with networks of their own behind them: cN (192.0.2.1N) has 10.5N.0.0/24, and its host there
# is 10.5N.0.1.
# shellcheck shell=bash disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/lib_life.sh"

site_pki() { # PEER...
	local c
	need "the CA is made" pki_ca
	for c in gw "$@"; do
		need "the certificate of $c is made" pki_issue "$c" -newkey ec -pkeyopt ec_paramgen_curve:P-256
	done
}

site_credentials() {
	cat <<-END
		credentials: { ca = [ "$LAB_DIR/pki/ca.pem" ]; certificates = (
		  { cert = "$LAB_DIR/pki/gw.pem"; key = "$LAB_DIR/pki/gw.key"; } ); };
	END
}

# The headend's side of a peer; CHILD is the insides of its child.
site_connection() { # NUMBER REMOTE-EXTRA CONNECTION-EXTRA [CHILD]
	cat <<-END
		{ name = "site$1"; ike_versions = [ 2 ]; ike_proposals = [ "aes128gcm16-prfsha256-x25519" ];
		  local = { id = "gw.example"; auth = "cert"; };
		  remote = { id = "c$1.example"; auth = "cert"; $2 };
		  $3
		  children = ( { name = "lan"; esp_proposals = [ "aes128gcm16" ];
		    ${4-local_ts = [ \"10.99.0.0/24\" ]; remote_ts = [ \"10.5$1.0.0/24\" ];} } ); }
	END
}

# A peer's swanctl.conf.
site_swan() { # NUMBER [CONNECTION-EXTRA [LOCAL-TS REMOTE-TS]]
	cat <<-END
		connections { site { version = 2
		  local_addrs = ${LOCAL_ADDRS-192.0.2.1$1}
		  remote_addrs = 192.0.2.1
		  proposals = aes128gcm16-prfsha256-x25519
		  ${2-}
		  local { auth = pubkey
		    certs = c$1.pem
		    id = c$1.example }
		  remote { auth = pubkey
		    id = gw.example }
		  children { lan { local_ts = ${3-10.5$1.0.0/24}
		    remote_ts = ${4-10.99.0.0/24}
		    esp_proposals = aes128gcm16 } } } }
	END
}

SITES=()

# Its namespace, its host and its certificate, and the way to it from inside.
site_place() { # NUMBER
	leg_add "c$1" "192.0.2.1$1/24" || return
	ns "c$1" ip addr add "10.5$1.0.1/24" dev lo
	SITES+=("$1")
	site_route "$1" && pki_install "c$1"
}

site_route() { # NUMBER
	ns in ip route add "10.5$1.0.0/24" via 10.99.0.1
}

# The connection has one session with one child SA.
site_up() { # NUMBER
	shows sessions "[.sessions[] | select(.connection == \"site$1\")] | length == 1 and
		(.[0] | .state == \"established\" and (.child_sas | length == 1))"
}

site_down() { # NUMBER
	shows sessions "[.sessions[] | select(.connection == \"site$1\")] | length == 0"
}

# strongSwan has that many IKE SAs with the headend.
swan_sas() { # NAME COUNT
	equals "$(swan "$1" --list-sas --raw | grep -c 'state=ESTABLISHED')" "$2"
}

# The headend starts once more; its ports go where they were, and what lay behind them.
gw_again() {
	local n
	gw_start && gw_attach || return
	for n in "${SITES[@]}"; do site_route "$n" || return; done
}
