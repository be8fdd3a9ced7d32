# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# What the IKEv1 scenarios share: vpnc, and the headend's and strongSwan's sides of IKEv1.
# shellcheck shell=bash disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

V1_GROUP=ezvpn-group
V1_GROUP_SECRET="the secret of the group, long enough"
V1_SECRET="a secret that only the lab knows"

# --- the headend ---------------------------------------------------------------------------------

V1_POOLS="pools = ( { name = \"ire\"; ranges = [ \"$POOL4.1-$POOL4.254\" ];
    dns = [ \"9.9.9.9\", \"9.9.9.10\" ]; nbns = [ \"10.99.0.137\" ]; domain = \"corp.example\";
    netmask = \"255.255.255.0\"; },
  { name = \"ire6\"; ranges = [ \"2001:db8:77::1-2001:db8:77::ffff\" ]; } );"
V1_USERS='users = ( { name = "user1"; password = "a password"; groups = [ "staff" ]; },
    { name = "user2"; password = "another one"; } );'
# The reference's access list 103: the headend's own outside address, through the tunnel.
V1_CHILD="children = ( { name = \"lan\"; local_ts = [ \"10.99.0.0/24\", \"192.0.2.1/32\", \"$POOL4.0/24\" ];
    esp_proposals = [ \"aes128-sha256\", \"aes128-aes256-sha1\" ]; } );"

# One connection; its authentication, mode_config and so on are MORE.
v1_connection() { # NAME MORE
	cat <<-END
		{ name = "$1"; ike_versions = [ 1 ];
		  ike_proposals = [ "aes128-aes256-sha256-sha1-modp2048" ];
		  $2
		  ${V1_CHILD} }
	END
}

# --- vpnc ----------------------------------------------------------------------------------------

# Debian's own script would rewrite /etc/resolv.conf. What the client was told is kept in
# NAME.connect. A rule of its own leads what comes from the inner address to the tunnel, even what
# is for the gateway, whose ESP must not go there.
vpnc_script() {
	cat >"$LAB_DIR/vpnc-script" <<-'END'
		#!/bin/sh
		set -e
		env | grep -E '^(reason|TUNDEV|INTERNAL_|CISCO_|VPNGATEWAY)' >"$VPNC_TOLD.$reason"
		case $reason in
		connect)
			ip link set dev "$TUNDEV" up mtu 1300
			ip addr add "$INTERNAL_IP4_ADDRESS/32" dev "$TUNDEV"
			ip rule add from "$INTERNAL_IP4_ADDRESS" table 100
			ip route replace default dev "$TUNDEV" table 100
			;;
		disconnect)
			ip rule del from "$INTERNAL_IP4_ADDRESS" table 100
			ip link set dev "$TUNDEV" down
			;;
		esac
	END
	chmod 755 "$LAB_DIR/vpnc-script"
}

# Starts a client with a user's password; its PID is in VPNC_PID[NAME].
vpnc_start() { # NAME USER PASSWORD VPNC-ARGUMENTS...
	local name=$1 user=$2 password=$3
	shift 3
	[ -x "$LAB_DIR/vpnc-script" ] || vpnc_script
	rm -f "$LAB_DIR/$name.connect" "$LAB_DIR/$name.disconnect"
	VPNC_TOLD=$LAB_DIR/$name nsenter --net="/run/netns/$LAB-$name" -- stdbuf -oL vpnc --no-detach --non-inter \
		--gateway 192.0.2.1 --id "$V1_GROUP" --secret "$V1_GROUP_SECRET" --username "$user" \
		--password "$password" --dh dh14 --ifname "tun-$name" --debug 2 \
		--script "$LAB_DIR/vpnc-script" --pid-file "$LAB_DIR/$name.pid" \
		--application-version "vpnc of the lab" "$@" >"$LAB_DIR/$name.vpnc.log" 2>&1 </dev/null &
	VPNC_PID[$name]=$!
	LAB_PIDS+=("$!")
}
declare -gA VPNC_PID=()

# The client has run its script to connect; false as soon as it has ended.
vpnc_up() { # NAME
	local end=$((SECONDS + 20))
	until ns "$1" ip addr show dev "tun-$1" 2>/dev/null | grep -q "inet "; do
		[ $SECONDS -lt $end ] && kill -0 "${VPNC_PID[$1]}" 2>/dev/null || return 1
		sleep 0.1
	done
}

vpnc_ended() { # NAME
	! kill -0 "${VPNC_PID[$1]}" 2>/dev/null
}

# Ends a client as vpnc-disconnect does.
vpnc_stop() { # NAME
	kill -TERM "${VPNC_PID[$1]}"
	within 5 vpnc_ended "$1"
}

# What the script was told when the client connected.
vpnc_told() { # NAME VARIABLE
	sed -n "s/^$2=//p" "$LAB_DIR/$1.connect"
}

# --- strongSwan ----------------------------------------------------------------------------------

# A route to the headend's outside address must not lead IKE and ESP themselves into the tunnel.
CHARON_MARK='plugins { socket-default { fwmark = 0x42 }
  kernel-netlink { fwmark = !0x42 }
  kernel-libipsec { fwmark = 0x42 } }'

# A client of IKEv1. AUTH and REMOTE are the insides of local and remote (and of further rounds).
swan_config_v1() { # LOCAL REMOTE [CONNECTION-EXTRA [CHILD-EXTRA [SECRETS]]]
	cat <<-END
		connections { gw { version = 1
		  remote_addrs = 192.0.2.1
		  proposals = aes128-sha256-modp2048
		  ${3-vips = 0.0.0.0}
		  local { $1 }
		  remote { $2 }
		  children { lan { remote_ts = ${REMOTE_TS:-0.0.0.0/0}
		    esp_proposals = aes128-sha256
		    ${4-} } } } }
		secrets { ike-1 { secret = "$V1_SECRET" }
		  ${5-} }
	END
}

# Pings both ways, and to the headend's outside address.
pings_all() { # NAME INNER-ADDRESS WHAT
	check "$3: client pings inside" pings "$1" "$2" 10.99.0.10 10
	check "$3: inside pings the client" pings in 10.99.0.10 "$2" 10
	check "$3: client pings the headend's outside address" pings "$1" "$2" 192.0.2.1 10
}

# The headend has no session, no lease in use, and no SA.
headend_empty() {
	shows sessions '.sessions | length == 0' && shows pools 'all(.pools[]; .in_use == 0)' &&
		shows sa '.sas | length == 0'
}
