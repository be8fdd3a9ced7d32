#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# strongSwan as client with one ESP suite after the other, by both versions of IKE: one session each, a
# child SA per suite, the one before deleted. kernel-libipsec does the suites that its plugins know.
. "$(dirname "$0")/lib_v1.sh"

SUITES=(aes256gcm16 aes192gcm12 aes128gcm8 aes128ccm16 aes256ccm8 aes256ccm12 aes192-sha384 aes256-sha512
	aes128-aesxcbc aes128ctr-sha256 aes256ctr-sha1 aes192ctr-aesxcbc null-sha256 null-aesxcbc 3des-sha1)
V2_ONLY=(chacha20poly1305 aes256-aescmac null-aescmac)

lab_begin suites
quoted() { # WORDS: in quotes, with commas between
	printf '"%s", ' "$@" | sed 's/, $//'
}
connection() { # NAME VERSION IKE-PROPOSAL SUITE...
	cat <<-END
		{ name = "$1"; ike_versions = [ $2 ]; ike_proposals = [ "$3" ];
		  local = { id = "gw.example"; auth = "psk"; };
		  remote = { id = "$1.example"; auth = "psk"; };
		  legacy = [ "3des" ]; mode_config = [ "respond" ]; pools = [ "ire" ];
		  children = ( { name = "lan"; local_ts = [ "10.99.0.0/24" ];
		    esp_proposals = [ $(quoted "${@:4}") ]; } ); }
	END
}
gw_config <<END
pools = ( { name = "ire"; ranges = [ "$POOL4.1-$POOL4.254" ]; } );
credentials: { psk = ( { addresses = [ "192.0.2.0/24" ]; secret = "$V1_SECRET"; } ); };
connections = (
  $(connection c1 2 aes128gcm16-prfsha256-x25519 "${SUITES[@]}" "${V2_ONLY[@]}"),
  $(connection c2 1 aes128-sha256-modp2048 "${SUITES[@]}") );
END
gw_up

# One child for each suite, each for the same traffic.
swan_config() { # NAME VERSION IKE-PROPOSAL SUITE...
	local s
	cat <<-END
		connections { gw { version = $2
		  remote_addrs = 192.0.2.1
		  vips = 0.0.0.0
		  proposals = $3
		  local { auth = psk
		    id = $1.example }
		  remote { auth = psk
		    id = gw.example }
		  children {
	END
	for s in "${@:4}"; do
		echo "$s { remote_ts = 10.99.0.0/24
		    esp_proposals = $s }"
	done
	echo "} } } secrets { ike-1 { secret = \"$V1_SECRET\" } }"
}

# The headend has one child SA, of this suite, and packets went both ways.
only_sa() { # SUITE
	equals "$(show sa '.sas[] | .esp + " " +
		(.packets_in >= 10 and .packets_out >= 10 and .auth_failed == 0 | tostring)')" "$1 true"
}

try() { # NAME VERSION SUITE
	local inner
	check "IKEv$2, $3: it comes up" swan "$1" --initiate --child "$3" --timeout 20 || return
	inner=$(inner_address "$1")
	check "IKEv$2, $3: the client pings inside" pings "$1" "$inner" 10.99.0.10 10 0.02
	check "IKEv$2, $3: a large ping" ns "$1" ping -q -n -c 1 -W 5 -s 1300 -I "$inner" 10.99.0.10
	check "IKEv$2, $3: that is the suite" only_sa "$3"
	check "IKEv$2, $3: it ends" swan "$1" --terminate --child "$3" --timeout 5
}

CHARON_PLUGINS="$CHARON_PLUGINS ccm ctr xcbc cmac chapoly"
leg_add c1 192.0.2.11/24
leg_add c2 192.0.2.12/24
swan_config c1 2 aes128gcm16-prfsha256-x25519 "${SUITES[@]}" "${V2_ONLY[@]}" >"$LAB_DIR/c1.conf"
swan_config c2 1 aes128-sha256-modp2048 "${SUITES[@]}" >"$LAB_DIR/c2.conf"
need "the IKEv2 client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the IKEv1 client starts" charon_start c2 <"$LAB_DIR/c2.conf"
for suite in "${SUITES[@]}" "${V2_ONLY[@]}"; do try c1 2 "$suite"; done
for suite in "${SUITES[@]}"; do try c2 1 "$suite"; done
check "SIGTERM ends the headend with status 0" gw_stop
