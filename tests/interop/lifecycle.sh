#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Four strongSwan clients at once, IKEv2 and IKEv1, each once with a gateway that rekeys as it likes
# and once with one that is responder_only. Lifetimes are short and the same at both ends (IKE SA
# 20 s, child SA 7 s), so that the ends rekey at the same moments. 100 datagrams a second from either
# end, each answered by the other, on all four: not one is lost. A capture on the outside port says who began what.
# LAB_SECONDS: how long (120).
. "$(dirname "$0")/lib_life.sh"

LIFE=${LAB_SECONDS:-120}
COUNT=$((LIFE * 90)) # a machine that stands still now and then sends a few less
LAB_LINES=25

lab_begin lifecycle
need "the CA is made" pki_ca
need "the headend's certificate is made" pki_issue gw -newkey rsa:2048
for c in c2 c4; do need "an RSA certificate is made" pki_issue $c -newkey rsa:2048; done

# The gateway takes up to a tenth off a soft lifetime, by lot: 18 to 20 s and 6.3 to 7 s. strongSwan
# knows whole seconds: 18, 19 or 20 of 20 s with a rand_time of 3 s; a child SA's it rounds down, 6
# or 7 of 8 s with 1 s. So either may be the first.
LIFETIME='lifetime: { ike_rekey_s = 20; ike_hard_s = 25; child_rekey_s = 7; child_hard_s = 10; };'
life_connection() { # NAME VERSION CLIENT AUTH EXTRA
	cat <<-END
		{ name = "$1"; ike_versions = [ $2 ];
		  ike_proposals = [ "aes128gcm16-prfsha256-x25519", "aes128-sha256-modp2048" ];
		  local = { id = "gw.example"; auth = "$4"; };
		  remote = { id = "$3.example"; auth = "$4"; };
		  mode_config = [ "respond" ]; pools = [ "ire" ]; $LIFETIME $5
		  children = ( { name = "lan"; local_ts = [ "10.99.0.0/24" ];
		    esp_proposals = [ "aes128gcm16", "aes128-sha256" ]; } ); }
	END
}
gw_config <<END
pools = ( { name = "ire"; ranges = [ "$POOL4.1-$POOL4.254" ]; } );
credentials: { ca = [ "$LAB_DIR/pki/ca.pem" ]; certificates = (
    { cert = "$LAB_DIR/pki/gw.pem"; key = "$LAB_DIR/pki/gw.key"; } );
  psk = ( { id = "c1.example"; secret = "$V1_SECRET"; }, { id = "c3.example"; secret = "$V1_SECRET"; } ); };
connections = (
  $(life_connection both-v2 2 c1 psk ""),
  $(life_connection both-v1 1 c2 cert ""),
  $(life_connection ro-v2 2 c3 psk "responder_only = true;"),
  $(life_connection ro-v1 1 c4 cert "responder_only = true;")
);
END
gw_up

declare -A INNER=() WHAT=([c1]="IKEv2, both rekey" [c2]="IKEv1, both rekey"
	[c3]="IKEv2, responder-only" [c4]="IKEv1, responder-only")
CLIENTS="c1 c2 c3 c4"

life_swan() { # NAME VERSION AUTH PROPOSAL ESP [LOCAL-EXTRA [CHILD-EXTRA]]
	cat <<-END
		connections { gw { version = $2
		  remote_addrs = 192.0.2.1
		  vips = 0.0.0.0
		  proposals = $4
		  rekey_time = 20s
		  rand_time = 3s
		  over_time = 5s
		  local { auth = $3
		    ${6-}
		    id = $1.example }
		  remote { auth = $3
		    id = gw.example }
		  children { lan { remote_ts = 10.99.0.0/24
		    esp_proposals = $5
		    rekey_time = 8s
		    rand_time = 1s
		    life_time = 10s
		    ${7-} } } } }
		secrets { ike-1 { secret = "$V1_SECRET" } }
	END
}
life_client() { # NAME
	case $1 in
	c1) life_swan c1 2 psk aes128gcm16-prfsha256-x25519 aes128gcm16 ;;
	# Nobody but itself would make up for an orphan.
	c3) life_swan c3 2 psk aes128gcm16-prfsha256-x25519 aes128gcm16 "" "close_action = start" ;;
	c[24]) life_swan "$1" 1 pubkey aes128-sha256-modp2048 aes128-sha256 "certs = $1.pem" ;;
	esac >"$LAB_DIR/$1.conf"
	leg_add "$1" "192.0.2.1${1#c}/24" || return
	[ ! -e "$LAB_DIR/pki/$1.pem" ] || pki_install "$1" || return
	CHARON_EXTRA=$ORPHAN_LOG
	charon_start "$1" <"$LAB_DIR/$1.conf"
}

for c in $CLIENTS; do need "${WHAT[$c]}: the client starts" life_client $c; done
need "the capture begins" ike_capture
# Against orphans (lib_life.sh): strongSwan's timers have whole seconds, so the child's are kept half a
# second apart from the IKE SA's; where the gateway rekeys too, chance may still bring them together.
life_connect() { # NAME
	case $1 in
	c[24]) swan "$1" --initiate --ike gw --timeout 20 && sleep 0.6 && connect "$1" ;;
	c3) connect c3 && sleep 0.6 && swan c3 --rekey --child lan ;;
	*) connect "$1" ;;
	esac
}
for c in $CLIENTS; do
	need "${WHAT[$c]}: it connects" life_connect $c
	INNER[$c]=$(inner_address $c)
done
declare -A SESSION=()
session() { # NAME
	show sessions ".sessions[] | select(.inner_addrs | index(\"${INNER[$1]}\")) | .id"
}
for c in $CLIENTS; do
	stream_start $c $c "${INNER[$c]}" in 10.99.0.10 "$LIFE"
	SESSION[$c]=$(session $c)
done
for c in $CLIENTS; do stream_wait $c; done
check "the capture has every packet" ike_capture_end
ike_exchanges >"$LAB_DIR/exchanges"

# What both together began at the least: an SA is replaced at each lifetime's end. Some slack for a
# machine that stood still.
CHILDREN=$((LIFE / 7 * 8 / 10))
declare -A CHILD_TYPE=([c1]=36 [c3]=36 [c2]=32 [c4]=32)
for c in $CLIENTS; do
	peer=192.0.2.1${c#c}
	gw=$(ike_begun gw $peer)
	mine=$(ike_begun $peer $peer)
	echo "# ${WHAT[$c]}: the gateway began $gw negotiations, the client $mine; sent" \
		"$(stream_sent $c here) and $(stream_sent $c there), lost $(stream_lost $c here) and" \
		"$(stream_lost $c there)"
	whole=stream_whole
	case $c in
	c[24]) whole=stream_whole_but_orphans ;;
	c3) whole=stream_whole_but_orphans_v2 ;;
	esac
	check "${WHAT[$c]}: nothing is lost that the client sent" $whole $c here $COUNT
	check "${WHAT[$c]}: nothing is lost that was sent inside" $whole $c there $COUNT
	check "${WHAT[$c]}: SAs were replaced" at_least \
		$(($(ike_begun gw $peer ${CHILD_TYPE[$c]}) + $(ike_begun $peer $peer ${CHILD_TYPE[$c]}))) \
		$CHILDREN
	check "${WHAT[$c]}: every negotiation of the client was answered" equals "$(ike_unanswered $peer)" ""
	case $c in
	c[12]) check "${WHAT[$c]}: the gateway began some" at_least "$gw" 1 ;;
	c[34]) check "${WHAT[$c]}: the gateway began nothing" equals "$gw" 0 ;;
	esac
	check "${WHAT[$c]}: the client began some" at_least "$mine" 1
	check "${WHAT[$c]}: it is the session of the beginning" equals "$(session $c)" "${SESSION[$c]}"
	check "${WHAT[$c]}: the client has its address still" equals "$(inner_address $c)" "${INNER[$c]}"
	# In IKEv1 one that was replaced lives on until its time is over.
	check "${WHAT[$c]}: no child SAs have piled up" within 10 shows sessions \
		".sessions[] | select(.id == ${SESSION[$c]}) | .child_sas | length == 1 or
			(length == 2 and \"${WHAT[$c]}\"[0:5] == \"IKEv1\")"
done
check "four leases are in use" shows pools '.pools[0].in_use == 4'
show counters '.counters | to_entries[] | select(.value != 0 and
	(.key | test("rekey|collision|drop_esp|no_sa|soft|hard|temporary"))) | "# \(.key) \(.value)"'
