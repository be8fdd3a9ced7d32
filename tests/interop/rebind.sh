#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A NAT in front of a client forgets it under traffic and gives it other ports: the first ESP packet
# from there moves the tunnel, without MOBIKE and before IKE says a word. For IKEv2 and IKEv1.
. "$(dirname "$0")/lib_life.sh"

lab_begin rebind
connection() { # NAME VERSION
	cat <<-END
		{ name = "v$2"; ike_versions = [ $2 ]; ike_proposals = [ "aes128-sha256-modp2048" ];
		  local = { id = "gw.example"; auth = "psk"; };
		  remote = { id = "$1.example"; auth = "psk"; };
		  mode_config = [ "respond" ]; pools = [ "ire" ];
		  children = ( { name = "lan"; local_ts = [ "10.99.0.0/24" ];
		    esp_proposals = [ "aes128-sha256" ]; } ); }
	END
}
gw_config "0, 1" sleep <<END
pools = ( { name = "ire"; ranges = [ "$POOL4.1-$POOL4.254" ]; } );
credentials: { psk = ( { addresses = [ "192.0.2.50" ]; secret = "$V1_SECRET"; },
  { id = "c1.example"; secret = "$V1_SECRET"; } ); };
connections = ( $(connection c1 2), $(connection c2 1) );
END
gw_up
need "the NAT router is made" nat_add
ns nat nft flush ruleset

# The UDP ports 500 and 4500 of a host (the last byte of its address) are these of the router from
# now on; it forgets what they were.
nat_ports() { # HOST PORT-OF-500 PORT-OF-4500
	ns nat nft -f - <<-END || return
		table ip nat$1
		delete table ip nat$1
		table ip nat$1 {
		  chain post { type nat hook postrouting priority 100;
		    ip saddr 10.200.0.$1 udp sport 500 snat to 192.0.2.50:$2
		    ip saddr 10.200.0.$1 udp sport 4500 snat to 192.0.2.50:$3
		  }
		}
	END
	ns nat conntrack -D -s "10.200.0.$1" || true # there may be none
}

client() { # NAME VERSION
	local host=1${1#c}
	leg_add "$1" "10.200.0.$host/24" lan || return
	ns "$1" ip route add default via 10.200.0.1
	nat_ports "$host" "${host}500" "${host}450" || return
	REMOTE_TS=10.99.0.0/24 swan_config_v1 "auth = psk
	  id = $1.example" "auth = psk
	  id = gw.example" "vips = 0.0.0.0
	  mobike = no" | sed "s/version = 1/version = $2/" >"$LAB_DIR/$1.conf"
	charon_start "$1" <"$LAB_DIR/$1.conf" && connect "$1"
}

session_at() { # VERSION PORT
	shows sessions ".sessions | length == 1 and (.[0] | .ike_version == $1 and .nat and
		.remote_addr == \"192.0.2.50\" and .remote_port == $2)"
}

# 100 datagrams a second: of what is on its way at the change one packet may be lost, the next one
# from the client moves the tunnel.
rebinds() { # NAME VERSION
	local inner moved what="IKEv$2" host=1${1#c} id
	need "$what: the client connects through the NAT" client "$1" "$2"
	inner=$(inner_address "$1")
	id=$(show sessions '.sessions[0].id')
	check "$what: it comes from the NAT's port" session_at "$2" "${host}450"
	stream_start "$1" "$1" "$inner" in 10.99.0.10 5
	check "$what: the traffic begins" within 10 stream_begun "$1"
	sleep 1
	need "$what: the NAT gives it other ports" nat_ports "$host" "${host}501" "${host}451"
	check "$what: the headend follows" within 5 session_at "$2" "${host}451"
	moved=$(gw_logged "$id: peer moved")
	stream_wait "$1"
	echo "# $what: $(stream_lost "$1" here) of $(stream_sent "$1" here) lost that the client sent," \
		"$(stream_lost "$1" there) of $(stream_sent "$1" there) that were sent inside"
	check "$what: nothing is lost that was sent after that" stream_whole_since "$1" "$moved"
	check "$what: nor more than a few before" test \
		$(($(stream_lost "$1" here) + $(stream_lost "$1" there))) -lt 20
	check "$what: IKE goes on: a child rekey" swan "$1" --rekey --child lan
	check "$what: inside pings the client" pings in 10.99.0.10 "$inner" 10
	check "$what: the client ends its session" swan "$1" --terminate --ike gw
	check "$what: the headend has taken that" within 5 headend_empty
}
rebinds c1 2
rebinds c2 1
check "both moves were counted" shows counters '.counters.ike_peer_moved >= 2'
