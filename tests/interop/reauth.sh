#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# IKEv2 clients that authenticate anew under traffic, again and again, the new IKE SA before the old
# one goes: the address stays theirs and nothing is lost. One has a time of its own, the other obeys
# the headend's AUTH_LIFETIME (RFC 4478).
. "$(dirname "$0")/lib_life.sh"

lab_begin reauth
connection() { # NAME EXTRA
	cat <<-END
		{ name = "$1"; ike_versions = [ 2 ]; ike_proposals = [ "aes128gcm16-prfsha256-x25519" ];
		  local = { id = "gw.example"; auth = "psk"; };
		  remote = { id = "$1.example"; auth = "psk"; };
		  mode_config = [ "respond" ]; pools = [ "ire" ]; unique = "replace"; $2
		  children = ( { name = "lan"; local_ts = [ "10.99.0.0/24" ];
		    esp_proposals = [ "aes128gcm16" ]; } ); }
	END
}
gw_config <<END
pools = ( { name = "ire"; ranges = [ "$POOL4.1-$POOL4.254" ]; } );
credentials: { psk = ( { id = "c1.example"; secret = "$V1_SECRET"; },
  { id = "c2.example"; secret = "$V1_SECRET"; } ); };
connections = ( $(connection c1 ""), $(connection c2 "lifetime: { reauth_s = 6; };") );
END
gw_up
declare -A TIMES=([c1]="reauth_time = 5s
  rand_time = 1s
  over_time = 3s" [c2]="over_time = 3s") INNER=() WHAT=([c1]="its own time" [c2]="the headend's time")
CHARON_EXTRA="make_before_break = yes
$LATE_LOG"
for c in c1 c2; do
	leg_add $c "192.0.2.1${c#c}/24"
	swan_config_psk $c "" 0.0.0.0 "" "${TIMES[$c]}" >"$LAB_DIR/$c.conf"
	need "${WHAT[$c]}: the client starts" charon_start $c <"$LAB_DIR/$c.conf"
	need "${WHAT[$c]}: the client connects" connect $c
	INNER[$c]=$(inner_address $c)
	stream_start $c $c "${INNER[$c]}" in 10.99.0.10 24
done

rounds() { # NAME COUNT
	local n
	n=$(grep -c "state change: CONNECTING => ESTABLISHED" "$LAB_DIR/$1.charon.log")
	echo "$n IKE SAs"
	[ "$n" -gt "$2" ]
}
for c in c1 c2; do stream_wait $c; done
check "the headend's time: the client was told" grep -q "received AUTH_LIFETIME of 6s" \
	"$LAB_DIR/c2.charon.log"
for c in c1 c2; do
	echo "# ${WHAT[$c]}: $(rounds $c 0), $(stream_lost $c here) and $(stream_lost $c there) lost"
	check "${WHAT[$c]}: it has authenticated anew three times" rounds $c 3
	check "${WHAT[$c]}: nothing is lost that either end sent" stream_whole_but_late $c 2000
	check "${WHAT[$c]}: it has its address still" equals "$(inner_address $c)" "${INNER[$c]}"
	check "${WHAT[$c]}: one session, with one child SA, has it" within 10 shows sessions \
		"[.sessions[] | select(.remote_id == \"$c.example\")] | length == 1 and
		(.[0] | .inner_addrs == [\"${INNER[$c]}\"] and (.child_sas | length == 1))"
done
check "two leases are in use" shows pools '.pools[0].in_use == 2'
check "both clients ping inside" pings c1 "${INNER[c1]}" 10.99.0.10 10
