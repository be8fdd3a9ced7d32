#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# The Linux kernel's ESP (protocol 50) with strongSwan's IKE as the peer: suites with and without
# ESN, both IKE versions, both families outside and inside, transport mode, rekeying, path MTU, and ESP
# in fragments. Every tunnel has addresses of its own at both ends: 10.60.N.1 in the guest,
# 10.99.0.(100 + N) inside.
. "$(dirname "$0")/lib_guest.sh"

# NAME IKE ESP ESN OUTER
ROWS=(
	"gcm 2 aes128gcm16 esn 4"
	"cbc 2 aes256-sha256 esn 4"
	"chacha 2 chacha20poly1305 noesn 4"
	"ccm 2 aes128ccm16 esn 4"
	"ctr 2 aes128ctr-sha1 noesn 4"
	"outer6 2 aes256gcm16 esn 6"
	"cbc6 2 aes128-sha384 noesn 6"
	"ikev1 1 aes128-sha256 noesn 4"
)
# What a ping carries that fits into no packet. The kernel encrypts it whole, and ESP leaves in fragments.
LONG=3452
declare -A FRAGMENT=([cbc]='fragment = "after";')
declare -A OUTER_GW=([4]=192.0.2.1 [6]=2001:db8:1::1) OUTER=([4]=$GUEST4 [6]=$GUEST6)

# Transport mode, each from an address of the guest's own, beside what has tunnels: NAME IKE ESP ESN
# GUEST HEADEND.
TRANSPORT=(
	"host4 2 aes128gcm16 esn 198.51.100.22 192.0.2.1"
	"host6 2 aes256-sha256 noesn 2001:db8:2::22 2001:db8:1::1"
	"hostv1 1 aes128-sha256 noesn 198.51.100.23 192.0.2.1"
)

# --- both sides' configuration -------------------------------------------------------------------

gw_row() { # N NAME IKE ESP ESN
	local esn=false
	[ "$5" = noesn ] || esn=true
	[ "$1" = 1 ] || echo ,
	cat <<-END
		{ name = "$2"; ike_versions = [ $3 ]; ike_proposals = [ "aes128-sha256-ecp256" ];
		  local = { id = "gw.example"; auth = "psk"; };
		  remote = { id = "$2.example"; auth = "psk"; };
		  children = ( { name = "$2"; esp_proposals = [ "$4" ]; esn = $esn; ${FRAGMENT[$2]-}
		    local_ts = [ "10.99.0.$((100 + $1))", "2001:db8:99::$((100 + $1))" ];
		    remote_ts = [ "10.60.$1.0/24", "2001:db8:60:$1::/64" ]; } ); }
	END
}

# IKEv1 has one selector a side.
guest_row() { # N NAME IKE ESP ESN OUTER
	local ts6=,2001:db8:60:$1::1/128 in6=,2001:db8:99::$((100 + $1)) esn=-$5
	if [ "$3" = 1 ]; then ts6='' in6='' esn=''; fi
	cat <<-END
		$2 { version = $3
		  local_addrs = ${OUTER[$6]}
		  remote_addrs = ${OUTER_GW[$6]}
		  proposals = aes128-sha256-ecp256
		  local { auth = psk
		    id = $2.example }
		  remote { auth = psk
		    id = gw.example }
		  children { $2 { local_ts = 10.60.$1.1/32$ts6
		    remote_ts = 10.99.0.$((100 + $1))$in6
		    esp_proposals = $4$esn } } }
	END
}

gw_transport() { # N NAME IKE ESP ESN
	cat <<-END
		, { name = "$2"; ike_versions = [ $3 ]; ike_proposals = [ "aes128-sha256-ecp256" ];
		  local = { id = "gw.example"; auth = "psk"; };
		  remote = { id = "$2.example"; auth = "psk"; };
		  children = ( { name = "$2"; mode = "transport"; esp_proposals = [ "$4" ];
		    esn = $([ "$5" = esn ] && echo true || echo false); } ); }
	END
}

guest_transport() { # N NAME IKE ESP ESN GUEST HEADEND
	cat <<-END
		$2 { version = $3
		  local_addrs = $6
		  remote_addrs = $7
		  proposals = aes128-sha256-ecp256
		  local { auth = psk
		    id = $2.example }
		  remote { auth = psk
		    id = gw.example }
		  children { $2 { mode = transport
		    local_ts = dynamic
		    remote_ts = dynamic
		    esp_proposals = $4$([ "$3" = 1 ] || echo "-$5") } } }
	END
}

rows() { # FUNCTION
	local n=0 row list=("${ROWS[@]}")
	[[ $1 != *transport* ]] || list=("${TRANSPORT[@]}")
	for row in "${list[@]}"; do
		n=$((n + 1))
		# shellcheck disable=SC2086 # columns
		"$1" $n $row
	done
}

gw_rows() {
	echo 'credentials: { psk = ( { addresses = [ "198.51.100.0/24", "2001:db8:2::/64" ];'
	echo '  secret = "a secret that only the lab knows"; } ); };'
	echo "connections = ("
	rows gw_row
	rows gw_transport
	echo ");"
}

guest_rows() {
	echo "connections {"
	rows guest_row
	rows guest_transport
	echo "}"
	echo 'secrets { ike-1 { secret = "a secret that only the lab knows" } }'
}

# The addresses of all connections, in the guest and inside.
places() {
	local n command=
	for ((n = 1; n <= ${#ROWS[@]}; n++)); do
		command+="ip addr add 10.60.$n.1/32 dev lo; ip addr add 2001:db8:60:$n::1/128 dev lo nodad;"
		ns in ip addr add "10.99.0.$((100 + n))/24" dev sp-inside || return
		ns in ip addr add "2001:db8:99::$((100 + n))/64" dev sp-inside nodad || return
	done
	ns in ip route add 10.60.0.0/16 via 10.99.0.1 || return
	ns in ip route add 2001:db8:60::/48 via 2001:db8:99::1 && guest "$command"
}

# --- what both ends count ------------------------------------------------------------------------

# SPI, packets and ESN of every SA, as the kernel sees them; the SPI is the receiver's.
kernel_sas() {
	guest ip -s xfrm state | awk '
	/proto esp spi/ { spi = substr($4, 1, 10); esn = "noesn" }
	/flag.* esn/    { esn = "esn" }
	/\(packets\)$/ && /bytes\),/ { sub(/\(packets\)/, "", $2); print spi, $2, esn }' | sort
}

headend_sas() {
	show sa '.sas[] | (if .esp | endswith("-esn") then "esn" else "noesn" end) as $esn |
		"\(.spi_in) \(.packets_in) \($esn)\n\(.spi_out) \(.packets_out) \($esn)"' | sort
}

same_counts() {
	local kernel
	kernel=$(kernel_sas)
	[ "$(wc -l <<<"$kernel")" -ge $((2 * (${#ROWS[@]} + ${#TRANSPORT[@]}))) ] && diff <(echo "$kernel") <(headend_sas)
}

kernel_has_no_errors() {
	guest "cat /proc/net/xfrm_stat; ip -s xfrm state | grep replay-window" | awk '
	/^Xfrm/ && $2 != 0 || $1 == "replay-window" && /failed/ && !/replay 0 failed 0/ { print; bad = 1 }
	END { exit bad || NR == 0 }'
}

# --- traffic -------------------------------------------------------------------------------------

# Until three are answered: an emulated guest may take longer for one than ping waits for the last.
guest_pings() { # FROM TO [PING-ARGUMENTS...]
	local from=$1 to=$2
	shift 2
	guest "ping -n -q -I $from -c 3 -i 0.2 -w 5 $* $to" | grep " 3 received"
}

long_pings() { # FROM TO
	ns in ping -n -q -I "$1" -c 3 -i 0.2 -w 5 -M dont -s $LONG "$2" | grep " 3 received"
}

guest_got() { # SUM
	equals "$(guest cat /tmp/sum)" "$1"
}

# BYTES of random data over TCP from the inside to the guest, and the same back.
guest_tcp() { # INSIDE GUEST [BYTES]
	local sum server
	head -c "${3:-100000}" /dev/urandom >"$LAB_DIR/tcp.sent"
	sum=$(sha256sum <"$LAB_DIR/tcp.sent")
	guest "rm -f /tmp/sum; (nc -l -p 5001 >/tmp/got; sha256sum </tmp/got >/tmp/sum) >/dev/null 2>&1 &" ||
		return
	timeout 30 nsenter --net="/run/netns/$LAB-in" -- python3 "$LAB_ROOT/tests/interop/tcp.py" send "$1" \
		"$2" 5001 <"$LAB_DIR/tcp.sent" || return
	within 10 guest_got "$sum" || return
	nsenter --net="/run/netns/$LAB-in" -- python3 "$LAB_ROOT/tests/interop/tcp.py" receive "$1" 5002 \
		>"$LAB_DIR/tcp.received" &
	server=$!
	LAB_PIDS+=("$server")
	guest "i=0; until nc -w 5 $1 5002 </tmp/got; do i=\$((i + 1)); [ \$i -lt 20 ] || exit 1; sleep 0.1; done" ||
		{ kill "$server"; return 1; }
	wait "$server" && cmp "$LAB_DIR/tcp.sent" "$LAB_DIR/tcp.received"
}

traffic() { # N NAME IKE ESP ESN OUTER
	local what="IKEv$3, $4-$5, IPv$6 outside" in4=10.99.0.$((100 + $1)) in6=2001:db8:99::$((100 + $1))
	check "$what: the guest connects" guest_swan --initiate --child "$2" --timeout 15 || return
	check "$what: the headend has what was asked for" shows sa ".sas[] | select(.name == \"$2\") |
		.esp == \"$4$(sed 's/noesn//; s/^e/-e/' <<<"$5")\""
	check "$what: the guest pings inside" guest_pings "10.60.$1.1" "$in4"
	check "$what: inside pings the guest" pings in "$in4" "10.60.$1.1" 3
	check "$what: TCP both ways" guest_tcp "$in4" "10.60.$1.1"
	[ "$3" = 2 ] || return
	check "$what: the guest pings inside over IPv6" guest_pings "2001:db8:60:$1::1" "$in6"
	check "$what: inside pings the guest over IPv6" pings in "$in6" "2001:db8:60:$1::1" 3
	check "$what: TCP both ways over IPv6" guest_tcp "$in6" "2001:db8:60:$1::1"
}

transport() { # N NAME IKE ESP ESN GUEST HEADEND
	local what="transport mode, IKEv$3, $4-$5, from $6" options="/24 dev eth0" size
	[[ $6 != *:* ]] || options="/64 dev eth0 nodad"
	need "$what: the guest has its address" guest "ip addr add $6$options"
	check "$what: the guest connects" guest_swan --initiate --child "$2" --timeout 15 || return
	check "$what: the headend says so" shows sa "[.sas[] | select(.name == \"$2\")] |
		length == 1 and .[0].mode == \"transport\""
	check "$what: so does the guest" guest "ip xfrm state | grep -A1 'src $6 ' | grep 'mode transport'"
	for size in 0 57 1200; do
		check "$what: pings of $size bytes" guest_pings "$6" "$7" -s $size
	done
	check "$what: they went through the SA" shows sa ".sas[] | select(.name == \"$2\") |
		.packets_in == 9 and .packets_out == 9"
}

# Both SAs of a connection are rekeyed under 100 pings a second.
rekeyed() { # N NAME
	local before
	before=$(show sa ".sas[] | select(.name == \"$2\") | .spi_in")
	guest "ping -n -q -I 10.60.$1.1 -c 250 -i 0.01 -W 2 10.99.0.$((100 + $1)) >/tmp/ping 2>&1 &"
	guest_swan --rekey --child "$2" || return
	guest_swan --rekey --ike "$2" || return
	within 10 guest grep -q packets /tmp/ping || return
	guest cat /tmp/ping
	guest grep -q "' 250 received'" /tmp/ping && within 5 shows sa "[.sas[] | select(.name == \"$2\")] |
		length == 1 and .[0].spi_in != \"$before\""
}

# What pings that are too long with DF are told: the largest packet that fits.
mtu_told() { # FILE
	grep -o 'mtu[=:] *[0-9]*' "$1" | grep -o '[0-9]*$' | sort -u
}

mtu_same() { # PING-BYTES GUEST INSIDE
	local ping="ping -n -c 3 -i 0.2 -W 1 -M do -s $1" here there
	# shellcheck disable=SC2086 # arguments
	ns in $ping -I "$3" "$2" >"$LAB_DIR/mtu.in" 2>&1
	guest "$ping -I $2 $3" >"$LAB_DIR/mtu.guest"
	here=$(mtu_told "$LAB_DIR/mtu.in")
	there=$(mtu_told "$LAB_DIR/mtu.guest")
	check "$2 and $3 are told the same path MTU: ${here:-none}" grep -qx "${here:-none}" <<<"$there"
}

# The router's links to both sides take packets of at most BYTES, and it says so to who sends more.
narrow() { # BYTES
	ns rt ip route replace 198.51.100.0/24 dev eth1 mtu "$1" &&
		ns rt ip route replace 192.0.2.0/24 dev eth0 mtu "$1" &&
		ns rt ip -6 route change 2001:db8:2::/64 dev eth1 proto kernel metric 256 mtu "$1" &&
		ns rt ip -6 route change 2001:db8:1::/64 dev eth0 proto kernel metric 256 mtu "$1"
}

lab_begin guest
gw_rows | gw_config
mapfile -t files < <(guest_charon_files)
need "the kernel's package is there" guest_kernel
need "the guest's files are there" guest_root "$LAB_DIR/guest-root" "${files[@]}"
gw_up
need "the guest has a router" guest_router
need "the guest is started" guest_boot
need "the guest is ready" guest_wait
need "both ends have their addresses" places
need "strongSwan starts" guest_charon < <(guest_rows)
rows traffic
rows transport
check "both ends count the same packets of every SA, and agree on ESN" within 5 same_counts
check "the kernel has counted no error" kernel_has_no_errors
check "the headend has counted no error" shows sa \
	'.sas | length >= 11 and all(.auth_failed == 0 and .replayed == 0)'
check "no SA is wrapped in UDP" guest '! ip xfrm state | grep encap'
check "AEAD: child SA and IKE SA are rekeyed, and no ping is lost" rekeyed 1 gcm
check "CBC: child SA and IKE SA are rekeyed, and no ping is lost" rekeyed 2 cbc
check "the kernel has still counted no error" kernel_has_no_errors
mtu_same 1472 10.60.1.1 10.99.0.101
mtu_same 1452 2001:db8:60:1::1 2001:db8:99::101
mtu_same 1472 10.60.2.1 10.99.0.102
mtu_same 1472 10.60.6.1 10.99.0.106
for n in 1 2 6; do
	what="connection ${ROWS[n - 1]%% *}, long packets"
	# The first one over IPv6 is told of the MTU.
	guest ping -c 1 -W 1 -s $LONG -I 2001:db8:60:$n::1 2001:db8:99::10$n >"$LAB_DIR/long.log"
	check "$what: the guest pings inside" guest_pings 10.60.$n.1 10.99.0.10$n -M dont -s $LONG
	check "$what: inside pings the guest" long_pings 10.99.0.10$n 10.60.$n.1
	check "$what: the guest pings inside over IPv6" guest_pings 2001:db8:60:$n::1 2001:db8:99::10$n -s $LONG
	check "$what: inside pings the guest over IPv6" long_pings 2001:db8:99::10$n 2001:db8:60:$n::1
done
need "the path becomes narrow" narrow 1400
for n in 1 2 6; do
	what="connection ${ROWS[n - 1]%% *}, narrow path"
	check "$what: TCP both ways" guest_tcp 10.99.0.10$n 10.60.$n.1
	check "$what: TCP both ways over IPv6" guest_tcp 2001:db8:99::10$n 2001:db8:60:$n::1
	mtu_same 1352 10.60.$n.1 10.99.0.10$n
	mtu_same 1352 2001:db8:60:$n::1 2001:db8:99::10$n
done
