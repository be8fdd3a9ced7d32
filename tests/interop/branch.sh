#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# The branch of docs/examples as it stands: it connects by itself, asks its hub for an address, and
# the one host behind it has that address. A second connection does the same with IKEv1, whose hub
# asks for a user (XAUTH) and is asked for an address by Mode Config; there the branch authenticates
# anew every nine seconds. Both hubs are strongSwan's, rekey often, and end the session once.
. "$(dirname "$0")/lib_site.sh"

lab_begin branch
EXAMPLE=$LAB_ROOT/docs/examples/branch.conf
LIFE=16 # of the counted traffic: two rekeyings
declare -A HUB=([v2]=192.0.2.1 [v1]=198.51.100.2) NET=([v2]=10.20.0 [v1]=172.20.0) \
	INNER=([v2]=10.99.8.7 [v1]=10.99.8.9) CONNECTION=([v2]=hub [v1]=old-hub) \
	PULL=([v2]=CP [v1]="Mode Config")

old_hub() {
	cat <<-END
		{ name = "old-hub"; ike_versions = [ 1 ]; ike_proposals = [ "aes128-sha256-modp2048" ];
		  local = { id = "branch7.example"; auth = "psk"; user = "branch7"; password = "a password"; };
		  remote = { id = "oldhub.example"; auth = "psk"; addresses = [ "198.51.100.2" ]; };
		  initiate = "start"; request_addresses = [ "10.99.8.9" ];
		  lifetime = { ike_rekey_s = 9; ike_hard_s = 14; };
		  children = ( { name = "corp"; local_ts = [ "0.0.0.0/0" ]; remote_ts = [ "172.16.0.0/12" ];
		    esp_proposals = [ "aes128-sha256" ]; } ); },
	END
}
# What the machine asks for stands before the example, in place of its own group "main".
{
	cat <<-END
		main: { workers = [ 1 ];  control_core = 0;  helper_cores = [ 0 ];  idle = "sleep";
		  hugepages = "off";  memory_mb = 256;
		  state_dir = "$LAB_DIR/state";  run_dir = "$LAB_DIR/run"; };
	END
	old_hub >"$LAB_DIR/old-hub.conf"
	sed -e '/^main:/d' -e "/^connections = (/r $LAB_DIR/old-hub.conf" \
		-e "s/^  psk = (/&{ addresses = [ \"198.51.100.2\" ]; secret = \"$V1_SECRET\"; },/" "$EXAMPLE"
} >"$LAB_DIR/gw.conf"
check "the example has what is replaced" equals \
	"$(grep -cE '^(main:|connections = \(|  psk = \()' "$EXAMPLE")" 3
gw_up
# The one host behind the branch, with a foreign address besides.
host() {
	ns in ip addr add 10.99.8.7/24 dev sp-inside && ns in ip addr add 10.99.8.9/24 dev sp-inside &&
		ns in ip addr add 10.99.8.77/24 dev sp-inside &&
		ns in ip route add 10.20.0.0/16 via 10.99.8.1 && ns in ip route add 172.20.0.0/16 via 10.99.8.1
}
need "the host is there" host
check "no hub is there: it tries both" within 10 shows connections '.connections |
	length == 2 and all(.[]; .role == "start" and .state != "up" and .attempts >= 1)'

hub_swan() { # HUB ID PROPOSAL ESP NETWORK [REMOTE-2 [SECRETS]]
	cat <<-END
		connections { branch { version = ${1#v}
		  local_addrs = ${HUB[$1]}
		  proposals = $3
		  pools = branches
		  local { auth = psk
		    id = $2 }
		  remote { auth = psk
		    id = branch7.example }
		  ${6-}
		  children { lan { local_ts = $5
		    esp_proposals = $4
		    rekey_time = 8s
		    rand_time = 1s
		    life_time = 12s } } } }
		pools { branches { addrs = ${INNER[$1]}-10.99.8.20 } }
		secrets { ike-1 { secret = "$(hub_secret "$1")" }
		  ${7-} }
	END
}
hub_secret() { # HUB
	case $1 in
	v1) echo "$V1_SECRET" ;;
	v2) sed -n 's/.*id = "hub.example";  secret = "\([^"]*\)".*/\1/p' "$EXAMPLE" ;;
	esac
}
hub_start() { # HUB
	local leg=198.51.100.254
	[ "$1" = v2 ] || leg=${HUB[$1]}
	case $1 in
	v2) hub_swan v2 hub.example aes128gcm16-prfsha256-x25519,default aes128gcm16,default 10.0.0.0/8 ;;
	v1) hub_swan v1 oldhub.example aes128-sha256-modp2048 aes128-sha256 172.16.0.0/12 \
		'remote-2 { auth = xauth }' 'xauth-1 { id = branch7
		  secret = "a password" }' ;;
	esac >"$LAB_DIR/$1.conf"
	leg_add "$1" "$leg/24" && ns "$1" ip addr add "${NET[$1]}.1/24" dev lo || return
	[ "$leg" = "${HUB[$1]}" ] || ns "$1" ip addr add "${HUB[$1]}/32" dev eth0 || return
	charon_start "$1" <"$LAB_DIR/$1.conf"
}

session_of() { # HUB
	echo "[.sessions[] | select(.connection == \"${CONNECTION[$1]}\")]"
}
# One session that the branch began, with the address that it asked for and one child SA from there.
branch_up() { # HUB
	shows sessions "$(session_of "$1") | length == 1 and (.[0] | .state == \"established\" and
		.role == \"initiator\" and .mode_config == \"pull\" and .inner_addrs == [\"${INNER[$1]}\"] and
		(.child_sas | length == 1 and .[0].ts_local == [\"${INNER[$1]}/32\"]))"
}
session_id() { # HUB
	show sessions "$(session_of "$1") | .[].id"
}
logged() { # HUB TEXT
	grep -cF -- "$2" "$LAB_DIR/$1.charon.log"
}
asked() { # HUB
	logged "$1" "peer requested virtual IP ${INNER[$1]}"
}
pings_both() { # HUB WHAT
	check "IKE$1, $2: the host pings the hub's network" pings in "${INNER[$1]}" "${NET[$1]}.1" 10
	check "IKE$1, $2: the hub's network pings the host" pings "$1" "${NET[$1]}.1" "${INNER[$1]}" 10
}

declare -A FIRST=()
for v in v2 v1; do need "IKE$v: the hub starts" hub_start $v; done
for v in v2 v1; do
	need "IKE$v: the branch connects, with the address that it wants" within 20 branch_up $v
	FIRST[$v]=$(session_id $v)
	check "IKE$v: the hub was asked for it by ${PULL[$v]}, once" equals "$(asked $v)" 1
	pings_both $v "first"
	# Our own side is the address alone.
	check "IKE$v: another host's packets do not go there" bash -c \
		"! nsenter --net=/run/netns/$LAB-in -- ping -n -c 2 -i 0.2 -W 1 -I 10.99.8.77 ${NET[$v]}.1"
done
check "these ended with their reason" shows counters '.counters.dp_drop_no_selector == 4'
check "IKEv1: the hub has the user" grep -qF "XAuth authentication of 'branch7' successful" \
	"$LAB_DIR/v1.charon.log"
for v in v2 v1; do stream_start $v in "${INNER[$v]}" $v "${NET[$v]}.1" "$LIFE"; done
for v in v2 v1; do stream_wait $v; done

# Begun by the hub.
rekeyed() { # HUB COUNT
	local n
	n=$(grep -cE "generating (CREATE_CHILD_SA|QUICK_MODE) request [0-9]+ \[.* SA " "$LAB_DIR/$1.charon.log")
	echo "$n rekeyings"
	[ "$n" -ge "$2" ]
}
for v in v2 v1; do
	echo "# IKE$v: $(rekeyed $v 0), $(stream_lost $v here) and $(stream_lost $v there) lost"
	check "IKE$v: the hub has rekeyed the child SA twice" rekeyed $v 2
	check "IKE$v: nothing is lost that the host sent" stream_whole $v here $((LIFE * 90))
	check "IKE$v: nothing is lost that was sent to it" stream_whole $v there $((LIFE * 90))
	check "IKE$v: it is the session of the beginning" equals "$(session_id $v)" "${FIRST[$v]}"
done
check "IKEv1: the branch has authenticated anew" shows counters '.counters.ikev1_reauthenticated >= 1'

another() { # HUB
	branch_up "$1" && [ "$(session_id "$1")" != "${FIRST[$1]}" ]
}
for v in v2 v1; do check "IKE$v: the hub ends the session" swan $v --terminate --ike branch --timeout 5; done
for v in v2 v1; do
	check "IKE$v: the branch connects again, with the same address" within 10 another $v
	check "IKE$v: it has asked for it again" equals "$(asked $v)" 2
	check "IKE$v: the hub has one IKE SA" within 5 swan_sas $v 1
	check "IKE$v: the connection is up" shows connections \
		".connections[] | select(.name == \"${CONNECTION[$v]}\") | .state == \"up\" and .sessions == 1"
	pings_both $v "again"
done
check "SIGTERM ends the headend with status 0" gw_stop
for v in v2 v1; do check "IKE$v: the hub was told" within 5 swan_sas $v 0; done
