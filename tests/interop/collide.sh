#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Rekeyings that meet: the headend and strongSwan begin at the same moment, and the first requests of
# both are lost, so that each has one under way when it gets the other's. Every pair of child and IKE
# rekeying, under traffic: nothing is lost, and one IKE SA and one child SA are left.
. "$(dirname "$0")/lib_life.sh"

ROUNDS=3

lab_begin collide
gw_config_psk | gw_config
gw_up
leg_add c1 192.0.2.11/24
# One subnet, as in rekey.sh.
swan_config_psk c1 | sed 's/remote_ts = .*/remote_ts = 10.99.0.0\/24/' >"$LAB_DIR/c1.conf"
CHARON_EXTRA='retransmit_timeout = 0.8'
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
inner=$(inner_address c1)
session=$(show sessions '.sessions[0].id')

# IKE is lost on its way between the two, ESP passes.
ike_lost() {
	ns out nft -f - <<-END
		table bridge lost {
		  chain forward { type filter hook forward priority 0;
		    ether type ip udp dport { 500, 4500 } @th,64,32 0 drop
		  }
		}
	END
}
ike_passes() {
	ns out nft delete table bridge lost
}

settled() { # as it was before
	shows sessions ".sessions | length == 1 and .[0].id == $session and
		(.[0].child_sas | length == 1)" &&
		swan_is "ESTABLISHED" && swan_is "INSTALLED"
}
swan_is() { # STATE: one SA is in it
	equals "$(swan c1 --list-sas --raw | grep -o "state=$1" | wc -l)" 1
}
gw_begins() { # child|ike
	local spi=
	[ "$1" = ike ] || spi=$(show sessions '.sessions[0].child_sas[0].spi_in')
	# shellcheck disable=SC2086 # none for an IKE SA
	cli rekey "$session" $spi
}
swan_begins() { # child|ike
	case $1 in
	child) swan c1 --rekey --child lan ;;
	ike) swan c1 --rekey --ike gw ;;
	esac
}
sas() { # the SPIs of both sides' SAs, to see that they change
	show sessions '.sessions[0] | "\(.child_sas[0].spi_in)"'
	swan c1 --list-sas --raw | grep -o 'initiator-spi=[^ ]*'
}
changed() { # SAS
	settled && [ "$(sas)" != "$1" ]
}
# Neither has anything under way that is left from the round before.
begin_lost() { # GATEWAY'S STRONGSWAN'S
	ike_lost || return
	if gw_begins "$1" && swan_begins "$2"; then
		ike_passes
	else
		ike_passes
		return 1
	fi
}
meet() { # GATEWAY'S STRONGSWAN'S
	local before
	before=$(sas)
	within 10 begin_lost "$1" "$2" && within 20 changed "$before"
}

stream_start both c1 "$inner" in 10.99.0.10 600
check "the traffic begins" within 10 stream_begun both
for a in child ike; do
	for b in child ike; do
		for ((i = 1; i <= ROUNDS; i++)); do
			check "the headend's $a, strongSwan's $b: round $i settles" meet $a $b
		done
	done
done
stream_stop both
check "nothing is lost that the client sent" stream_whole both here 500
check "nothing is lost that was sent inside" stream_whole both there 500
echo "# $(stream_sent both here) and $(stream_sent both there) were sent"
check "strongSwan saw child rekeyings that met" grep -q "CHILD_REKEY collision" "$LAB_DIR/c1.charon.log"
check "strongSwan saw IKE rekeyings that met" grep -q "IKE_REKEY collision" "$LAB_DIR/c1.charon.log"
check "the lease is the same" equals "$(inner_address c1)" "$inner"
check "the pool has one lease" shows pools '.pools[0].in_use == 1'
show counters '.counters | to_entries[] | select(.value != 0 and
	(.key | test("rekey|temporary|drop_esp"))) | "# \(.key) \(.value)"'
