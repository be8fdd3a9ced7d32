#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A thousand clients, 700 of IKEv2 and 300 of IKEv1 with XAUTH and Mode Configuration, in one process
# (tests/engine/clients_tool.c), each with an identity and an outer address of its own; and two
# strongSwan, so that packets flow. The pool has as many addresses as there are clients: one client
# more is refused, and only he. The headend is killed while all are connected, and, from the beginning
# again, in the middle of their logins: everybody comes back to the address that he was told.
. "$(dirname "$0")/lib_v1.sh"

V2=700 V1=300
ALL=$((V2 + V1))
EXTRA=$((V2 + 1)) # of IKEv2, for whom there is no address
LAST=$((ALL + 1))

lab_begin thousand
RANGE="10.44.0.1-10.44.$(((ALL + 2) / 256)).$(((ALL + 2) % 256))" # two more: strongSwan's
psks() {
	seq 1 $EXTRA | sed 's/.*/{ id = "c&.example"; secret = "the key of everybody"; },/'
	echo "{ id = \"s1.example\"; secret = \"$V1_SECRET\"; },
		{ addresses = [ \"198.18.0.0/15\" ]; secret = \"the key of everybody\"; },
		{ addresses = [ \"192.0.2.12/32\" ]; secret = \"$V1_SECRET\"; }"
}
users() {
	seq $((EXTRA + 1)) $LAST | sed 's/.*/{ name = "c&"; password = "the password of c&"; },/'
	echo '{ name = "s2"; password = "a password"; }'
}
connection() { # NAME MORE
	cat <<-END
		{ name = "$1"; $2 mode_config = [ "respond" ]; pools = [ "ire" ];
		  local = { id = "gw.example"; auth = "psk"; };
		  children = ( { name = "lan"; local_ts = [ "10.99.0.0/24" ];
		    esp_proposals = [ "aes128gcm16", "aes128-sha256" ]; } ); }
	END
}
gw_config <<END
pools = ( { name = "ire"; ranges = [ "$RANGE" ]; } );
credentials: { psk = ( $(psks) ); users = ( $(users) ); };
connections = (
  $(connection v2 'ike_versions = [ 2 ]; ike_proposals = [ "aes128gcm16-prfsha256-x25519" ];
    remote = { id = "*"; auth = "psk"; };'),
  $(connection v1 'ike_versions = [ 1 ]; ike_proposals = [ "aes128-sha256-ecp256-modp2048" ];
    remote = { id = "*"; auth = "psk"; user_auth = "xauth"; };')
);
END
sed -i 's|mtu = 1500; },|routes = ( { prefix = "198.18.0.0/15"; via = "192.0.2.100"; } ); &|' "$LAB_DIR/gw.conf"

attach() {
	gw_attach && ns in ip route add 10.44.0.0/16 via 10.99.0.1
}
gw_again() {
	gw_start && attach
}
gw_killed() {
	kill -KILL "$GW_PID"
	wait "$GW_PID" 2>/dev/null
	rm -f "$LAB_DIR/run/control.sock"
}

# --- the clients ---------------------------------------------------------------------------------

clients_start() {
	mkfifo "$LAB_DIR/say.$1" "$LAB_DIR/hear.$1"
	nsenter --net="/run/netns/$LAB-many" -- "$BUILD/tests/engine/clients_tool" 192.0.2.1 198.18.1.0 \
		$EXTRA $V1 <"$LAB_DIR/say.$1" >"$LAB_DIR/hear.$1" 2>"$LAB_DIR/clients.$1.log" &
	CLIENTS_PID=$!
	LAB_PIDS+=("$CLIENTS_PID")
	exec 7>"$LAB_DIR/say.$1" 8<"$LAB_DIR/hear.$1"
}
clients_end() {
	echo quit >&7
	wait "$CLIENTS_PID"
}

# What the clients answer to a command.
tell() { # COMMAND...
	local line
	echo "$*" >&7
	while read -r -t 60 line <&8; do
		[ "$line" != . ] || return 0
		echo "$line"
	done
	return 1
}

everybody_connects() {
	tell mark && tell connect 1 $V2 && tell connect $((EXTRA + 1)) $V1
}

# Of WANTED clients COUNT (all of them) are connected SECONDS later, or as soon as they are.
connected() { # SINCE WANTED SECONDS [COUNT]
	local out up ms
	out=$(tell wait "$2" "$3") && read -r up ms <<<"$out"
	echo "# $up clients $ms ms after $1" >&3
	equals "$up" "${4:-$2}"
}

# NAME: identity, first and latest address, up or down.
table() { # NAME
	tell table >"$LAB_DIR/$1.table"
	wc -l <"$LAB_DIR/$1.table"
}

# Of COUNT clients nobody was ever told another address than at first, and no two have one.
own_addresses() { # NAME COUNT
	awk -v want="$2" '
	$2 != $3 && bad++ < 10 { print "has another address now: " $0 }
	$3 in owner && bad++ < 10 { print "the address of " owner[$3] ": " $0 }
	{ owner[$3] = $1 }
	END { print NR " clients"; exit bad || NR != want }' "$LAB_DIR/$1.table"
}

# Whoever stands in the table BEFORE stands in AFTER with the same address.
kept() { # BEFORE AFTER
	awk '
	NR == FNR { now[$1] = $3; next }
	now[$1] != $3 && bad++ < 10 { print "had " $3 ", has " now[$1] ": " $1 }
	END { exit bad > 0 }' "$LAB_DIR/$2.table" "$LAB_DIR/$1.table"
}

# The headend says the same as the clients.
headend_agrees() { # NAME
	show sessions '.sessions[] | select((.remote_id | startswith("c")) and .inner_addrs != []) |
		"\(.remote_id) \(.inner_addrs[0])"' | sort >"$LAB_DIR/headend.table"
	cut -d' ' -f1,3 "$LAB_DIR/$1.table" | sort >"$LAB_DIR/clients.table"
	diff "$LAB_DIR/clients.table" "$LAB_DIR/headend.table" >"$LAB_DIR/diff" ||
		{ head -n 20 "$LAB_DIR/diff" && return 1; }
}

# --- strongSwan ----------------------------------------------------------------------------------

swan_config() { # NAME
	case $1 in
	s1) swan_config_psk s1 "" "" "" "" | sed 's/remote_ts = .*/remote_ts = 10.99.0.0\/24/' ;;
	s2) REMOTE_TS=10.99.0.0/24 swan_config_v1 "auth = psk
		id = s2.example }
		local-2 { auth = xauth
		xauth_id = s2" "auth = psk
		id = gw.example" "vips = 0.0.0.0" "" 'xauth-1 { id = s2
		secret = "a password" }' ;;
	esac
}
declare -A INNER=()
swans_connect() {
	local c
	for c in s1 s2; do
		swan $c --terminate --force --timeout 1 --ike gw
		connect $c || return
		INNER[$c]=$(inner_address $c)
	done >"$LAB_DIR/swans.out" 2>&1
}
swans_ping() {
	local c
	for c in s1 s2; do
		pings $c "${INNER[$c]}" 10.99.0.10 && pings in 10.99.0.10 "${INNER[$c]}" || return
	done
}

# --- the scenario --------------------------------------------------------------------------------

exec 3>&1
gw_up
ns in ip route add 10.44.0.0/16 via 10.99.0.1
leg_add many 192.0.2.100/24
ns many ip route add local 198.18.0.0/15 dev lo
leg_add s1 192.0.2.11/24
leg_add s2 192.0.2.12/24
for c in s1 s2; do need "$c starts" charon_start $c < <(swan_config $c); done
need "the thousand start" clients_start 1

need "strongSwan connects" swans_connect
everybody_connects
check "a thousand connect within 30 s" connected "they were told to connect" $ALL 30
table first >/dev/null
check "each has an address of his own" own_addresses first $ALL
check "the headend says the same" headend_agrees first
check "the pool is used up" shows pools ".pools[0] | .in_use == $((ALL + 2)) and .free == 0"
check "packets flow" swans_ping
declare -A BEFORE=([s1]=${INNER[s1]} [s2]=${INNER[s2]})

tell connect $EXTRA 1
check "one more is refused" connected "the same, with one more" $((ALL + 1)) 2 $ALL
check "because the pool is used up" shows pools '.pools[0].exhausted > 0'
table more >/dev/null
check "and only he" kept first more
check "nobody else came or went" own_addresses more $ALL

# He goes on asking while the others are away: what lingers is theirs.
need "SIGKILL" gw_killed
tell mark
CLAIMS="$((EXTRA + 1)) $((EXTRA + 2)) $LAST"
for n in $CLAIMS; do tell claim "$n"; done
need "the headend starts again" gw_again
check "all but him come back within 30 s" connected SIGKILL $ALL 30
table second >/dev/null
echo "# clients that were shown by a token (RFC 6290) that the headend had lost them:" \
	"$(tell counters | sed -n 's/^ike_qcd_crashed //p')"
check "to their own addresses" own_addresses second $ALL
check "and nobody has another's" kept first second
check "the headend says the same" headend_agrees second
for n in $CLAIMS; do
	check "c$n, of IKEv1, asked for nothing and has his" shows sessions \
		"[.sessions[] | select(.user == \"c$n\" and .mode_config == \"none\")] | length == 1"
done
need "strongSwan connects again" swans_connect
for c in s1 s2; do check "$c has its old address" equals "${INNER[$c]}" "${BEFORE[$c]}"; done
check "packets flow again" swans_ping
check "he was refused all the time" equals "$(grep "^c$EXTRA\." "$LAB_DIR/second.table")" ""
check "the pool is used up, and nothing lingers" shows pools \
	".pools[0] | .in_use == $((ALL + 2)) and .free == 0 and .lingering == 0"

# From the beginning, and the headend is killed when a third has been answered.
need "the clients end" clients_end
need "SIGKILL" gw_killed
rm -rf "$LAB_DIR/state"
need "the headend starts anew" gw_again
need "the thousand start anew" clients_start 2
everybody_connects
some_told() {
	[ "$(table storm)" -ge $((ALL / 3)) ]
}
need "a third is connected" within 20 some_told
need "SIGKILL" gw_killed
told=$(table storm)
check "others are not" test "$told" -lt $ALL
echo "# $told had been told an address"
tell mark
need "the headend starts again" gw_again
check "all connect within 30 s" connected "they were told to connect, the headend was killed meanwhile" $ALL 30
table last >/dev/null
check "each has an address of his own, and never had another" own_addresses last $ALL
check "and those who had been told one before have theirs" kept storm last
check "the headend says the same" headend_agrees last
check "no address is lost" shows pools ".pools[0] | .in_use == $ALL and .lingering + .free == 2"
need "the clients end" clients_end
