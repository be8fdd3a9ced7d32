#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# IKEv1 site to site with certificates: the headend connects to two strongSwans at its start, and runs
# phase 1 anew and rekeys under traffic, 100 datagrams a second from either end. One strongSwan never begins
# anything, the other one does at the same times. It stays one session, and nothing is lost.
# LAB_SECONDS: how long (40).
. "$(dirname "$0")/lib_site.sh"

LIFE=${LAB_SECONDS:-40}
COUNT=$((LIFE * 90)) # as in lifecycle.sh

lab_begin site-v1
need "the CA is made" pki_ca
for c in gw c1 c2; do need "the certificate of $c is made" pki_issue $c -newkey rsa:2048; done

v1_site() { # NUMBER
	cat <<-END
		{ name = "site$1"; ike_versions = [ 1 ]; ike_proposals = [ "aes128-sha256-modp2048" ];
		  local = { id = "gw.example"; auth = "cert"; };
		  remote = { id = "c$1.example"; auth = "cert"; addresses = [ "192.0.2.1$1" ]; };
		  initiate = "start";
		  lifetime: { ike_rekey_s = 10; ike_hard_s = 16; child_rekey_s = 6; child_hard_s = 10; };
		  children = ( { name = "lan"; esp_proposals = [ "aes128-sha256" ];
		    local_ts = [ "10.99.0.0/24" ]; remote_ts = [ "10.5$1.0.0/24" ]; } ); }
	END
}
{
	site_credentials
	echo "connections = ( $(v1_site 1), $(v1_site 2) );"
} | gw_config

# The times of the one that begins nothing, and of the other: strongSwan's rand_time comes off by lot, as
# a tenth does at the headend.
declare -A WHAT=([c1]="the headend alone begins" [c2]="both begin") \
	IKE_TIMES=([c1]="rekey_time = 0s
  over_time = 60s" [c2]="rekey_time = 10s
  rand_time = 1s
  over_time = 6s") CHILD_TIMES=([c1]="rekey_time = 0s" [c2]="rekey_time = 7s
  rand_time = 1s
  life_time = 10s")
# Child SAs at one moment: one in use and one that was replaced. strongSwan goes on to rekey by itself what
# the headend has replaced on another of its IKE SAs, which the times here are too short to end: two rows of
# them, a third one at times, each of three at the most, as one lives for CHILD_S and is rekeyed after 6.
declare -A CHILDREN=([c1]=2 [c2]=9)
# Quick modes: one in 6 s, less a tenth, for each row, and one more with each phase 1.
declare -A QUICK=([c1]=$((LIFE / 5 + 2)) [c2]=$((LIFE * 3 / 5 + 8)))
CHILD_S=13 # 10 until it expires, 3 behind the first DELETE
SITE_CLIENTS="c1 c2"
v1_swan() { # NAME
	cat <<-END
		connections { gw { version = 1
		  local_addrs = 192.0.2.1${1#c}
		  remote_addrs = 192.0.2.1
		  proposals = aes128-sha256-modp2048
		  ${IKE_TIMES[$1]}
		  local { auth = pubkey
		    certs = $1.pem
		    id = $1.example }
		  remote { auth = pubkey
		    id = gw.example }
		  children { lan { local_ts = 10.5${1#c}.0.0/24
		    remote_ts = 10.99.0.0/24
		    esp_proposals = aes128-sha256
		    ${CHILD_TIMES[$1]} } } } }
	END
}
CHARON_EXTRA=$ORPHAN_LOG

gw_up
need "the capture begins" ike_capture
for c in $SITE_CLIENTS; do
	site_place ${c#c}
	v1_swan $c >"$LAB_DIR/$c.conf"
	need "${WHAT[$c]}: strongSwan starts" charon_start $c <"$LAB_DIR/$c.conf"
done
for c in $SITE_CLIENTS; do need "${WHAT[$c]}: the headend connects" within 30 site_up ${c#c}; done

session() { # NAME
	show sessions ".sessions[] | select(.connection == \"site${1#c}\") | .id"
}
declare -A SESSION=()
for c in $SITE_CLIENTS; do
	SESSION[$c]=$(session $c)
	stream_start $c $c "10.5${c#c}.0.1" in 10.99.0.10 "$LIFE"
done
for c in $SITE_CLIENTS; do
	need "${WHAT[$c]}: the traffic begins" within 10 stream_begun $c
done
BEGUN=$(date +%s.%3N)

# Whatever else may happen, there is no moment with another session.
stays() { # SECONDS
	local end=$((SECONDS + $1)) c
	while [ $SECONDS -lt $end ]; do
		for c in $SITE_CLIENTS; do equals "$(session $c)" "${SESSION[$c]}" || return; done
		sleep 0.5
	done
}
check "both sessions are those of the beginning, all the time" stays "$LIFE"
for c in $SITE_CLIENTS; do stream_wait $c; done
check "the capture has every packet" ike_capture_end
ike_exchanges >"$LAB_DIR/exchanges"

# Main modes under the traffic that WHO began and the other side answered to the end: three messages.
main_modes() { # WHO PEER
	awk -v who="$1" -v peer="$2" -v since="$BEGUN" \
		'$4 == 2 && $1 >= since && $2 == who && $3 == peer && $5 >= 3 { n++ } END { print n + 0 }' \
		"$LAB_DIR/exchanges"
}
for c in $SITE_CLIENTS; do
	peer=192.0.2.1${c#c}
	gw=$(main_modes gw $peer)
	mine=$(main_modes $peer $peer)
	quick=$(($(ike_begun gw $peer 32) + $(ike_begun $peer $peer 32)))
	echo "# ${WHAT[$c]}: main modes of the headend $gw, of strongSwan $mine; $quick quick modes; sent" \
		"$(stream_sent $c here) and $(stream_sent $c there), lost $(stream_lost $c here) and" \
		"$(stream_lost $c there)"
	whole=stream_whole
	[ $c != c2 ] || whole=stream_whole_but_orphans
	check "${WHAT[$c]}: nothing is lost that the site sent" $whole $c here $COUNT
	check "${WHAT[$c]}: nothing is lost that was sent inside" $whole $c there $COUNT
	case $c in
	c1) check "${WHAT[$c]}: phase 1 was run anew twice or more" at_least "$gw" 2 ;;
	c2) check "${WHAT[$c]}: phase 1 was run anew twice or more" at_least $((gw + mine)) 2 ;;
	esac
	[ $c != c1 ] || check "${WHAT[$c]}: strongSwan began nothing" equals "$(ike_begun $peer $peer)" 0
	check "${WHAT[$c]}: child SAs were replaced" at_least "$quick" $((LIFE / 6 * 8 / 10))
	check "${WHAT[$c]}: it is the session of the beginning" equals "$(session $c)" "${SESSION[$c]}"
	check "${WHAT[$c]}: no child SAs have piled up" within 10 shows sessions \
		".sessions[] | select(.id == ${SESSION[$c]}) | .child_sas |
			length >= 1 and length <= ${CHILDREN[$c]}"
	check "${WHAT[$c]}: child SAs do not multiply" at_most "$quick" "${QUICK[$c]}"
	check "${WHAT[$c]}: none of them outlives its time" shows sa \
		"[.sas[] | select(.session == ${SESSION[$c]}) | .installed_s] |
			length >= 1 and max <= $((CHILD_S + 1))"
	check "${WHAT[$c]}: inside pings the site" pings in 10.99.0.10 "10.5${c#c}.0.1" 10
done
show counters '.counters | to_entries[] | select(.value != 0 and
	(.key | test("rekey|collision|drop_esp|no_sa|soft|hard|reauth|redundant|revived"))) | "# \(.key) \(.value)"'
