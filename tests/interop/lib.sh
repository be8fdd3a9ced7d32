# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A laboratory of network namespaces, one per scenario, sourced by the scenarios and the quickstart.
#
#   c1 (192.0.2.11) --+                                 +-- in (10.99.0.10)
#   c2 (192.0.2.12) --+-- out (bridge) -- [sallyportd] -+
#   nat (192.0.2.50) -+
#
# Every name begins with the scenario's, so that scenarios run beside each other, and lab_end
# (a trap) ends what they started, whatever happened.
# shellcheck shell=bash disable=SC2034

set -u
LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$LAB_ROOT/build}
LAB_DIR=       # a scenario may choose its own before lab_begin
POOL4=171.72.1 # of the pool "ire"

CHARON_PLUGINS="random nonce x509 constraints pubkey pem pkcs1 openssl curve25519 hmac kdf gcm aes
 sha1 sha2 md5 kernel-libipsec kernel-netlink socket-default vici updown xauth-generic eap-identity
 eap-mschapv2 eap-md5 unity attr"

lab_begin() { # NAME
	LAB=sallyport-$1
	LAB_DIR=${LAB_DIR:-$(mktemp -d "/tmp/$LAB.XXXXXX")}
	LAB_NAMESPACES=()
	LAB_PIDS=()
	LAB_CHECKS=0
	LAB_FAILED=0
	GW_PID=
	declare -gA CHARON_PID=()
	CHARON_EXTRA= # lines for strongswan.conf
	trap lab_end EXIT
	trap 'exit 130' INT TERM HUP
}

# Ends a process that we started; KILL after five seconds.
lab_kill() { # PID
	kill -TERM "$1" 2>/dev/null || return 0
	local i
	for ((i = 0; i < 50; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "$1" 2>/dev/null
}

lab_end() {
	local rc=$? ns pid
	trap - EXIT INT TERM HUP
	if [ $rc -ne 0 ] || [ "$LAB_FAILED" -ne 0 ]; then
		gw_snapshot
		if declare -F lab_snapshot >/dev/null; then lab_snapshot; fi # the scenario's own
	fi
	for pid in "${LAB_PIDS[@]}"; do lab_kill "$pid"; done
	for ns in "${LAB_NAMESPACES[@]}"; do ip netns del "$ns" 2>/dev/null; done
	if declare -F lab_undo >/dev/null; then lab_undo; fi # the scenario's own
	if [ $rc -eq 0 ] && [ "$LAB_FAILED" -ne 0 ]; then rc=1; fi
	if [ $rc -ne 0 ] && [ "$LAB_FAILED" -eq 0 ]; then
		echo "not ok - $LAB: ended early with status $rc"
	fi
	if [ $rc -ne 0 ]; then lab_logs; fi
	[ -n "${LAB_KEEP-}" ] || rm -rf "$LAB_DIR"
	exit $rc
}

# What the headend says of itself before it ends, for a failure's log.
gw_snapshot() {
	local what
	[ -S "$LAB_DIR/run/control.sock" ] || return 0
	for what in status ports workers counters sa; do
		echo "-- show $what"
		cli show $what
	done >"$LAB_DIR/show.log" 2>&1
}

lab_logs() {
	local f
	for f in "$LAB_DIR"/*.log; do
		[ -s "$f" ] || continue
		echo "# --- ${f##*/} (end)"
		tail -n "${LAB_LINES:-60}" "$f" | sed 's/^/# /'
	done
}

# One result, in the form that tests/run.sh counts. The command must succeed.
check() { # DESCRIPTION COMMAND...
	local what=$1
	shift
	LAB_CHECKS=$((LAB_CHECKS + 1))
	if "$@" >"$LAB_DIR/check.out" 2>&1; then
		echo "ok - $LAB: $what"
		return 0
	fi
	echo "not ok - $LAB: $what"
	echo "# command: $*"
	sed 's/^/# /' "$LAB_DIR/check.out"
	LAB_FAILED=$((LAB_FAILED + 1))
	return 1
}

# A step without which the rest makes no sense.
need() { # DESCRIPTION COMMAND...
	check "$@" || exit 1
}

# Repeat a command until it succeeds, for at most SECONDS; only its last failure is printed.
within() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $end ]; then
			"$@"
			return
		fi
		sleep 0.1
	done
}

equals() { # GOT WANT
	[ "$1" = "$2" ] || { echo "got \"$1\", want \"$2\"" && return 1; }
}

# nsenter, not "ip netns exec": that wants to mount, which a plain chroot refuses.
ns() { # NAME COMMAND...
	local name=$LAB-$1
	shift
	nsenter --net="/run/netns/$name" -- "$@"
}

ns_add() { # NAME
	ip netns add "$LAB-$1" || return
	LAB_NAMESPACES+=("$LAB-$1")
	ns "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	ns "$1" ip link set lo up
}

# A namespace with one leg on the bridge of OUT.
leg_add() { # NAME ADDRESS/BITS [BRIDGE-NAMESPACE]
	local bridge=${3:-out}
	ns_add "$1" || return
	ns "$1" ip link add eth0 type veth peer name "$1" netns "$LAB-$bridge" || return
	ns "$bridge" ip link set "$1" master br0 up
	ns "$1" ip addr add "$2" dev eth0
	ns "$1" ip link set eth0 up
}

bridge_add() { # NAME
	ns_add "$1" || return
	ns "$1" ip link add br0 type bridge || return
	ns "$1" ip link set br0 up
}

# A masquerading router between the bridge "lan" (10.200.0.0/24) and the bridge "out".
nat_add() {
	bridge_add lan || return
	leg_add nat 192.0.2.50/24 || return
	ns nat ip link add eth1 type veth peer name nat netns "$LAB-lan" || return
	ns lan ip link set nat master br0 up
	ns nat ip addr add 10.200.0.1/24 dev eth1
	ns nat ip link set eth1 up
	ns nat sysctl -qw net.ipv4.ip_forward=1
	ns nat nft add table ip nat
	ns nat nft 'add chain ip nat post { type nat hook postrouting priority 100; }'
	ns nat nft add rule ip nat post oifname eth0 masquerade
}

# --- the headend ---------------------------------------------------------------------------------

# The configuration on standard input starts with what every scenario shares. GW_MAIN: more of main.
gw_config() { # [WORKERS [IDLE]]
	local workers=${1:-1} idle=${2:-sleep}
	cat >"$LAB_DIR/gw.conf" <<-END
		main: {
		  workers = [ $workers ];  control_core = 0;  helper_cores = [ 0 ];
		  idle = "$idle";  hugepages = "off";  memory_mb = 256;
		  state_dir = "$LAB_DIR/state";  run_dir = "$LAB_DIR/run";
		  ${GW_MAIN-}
		};
		ports = (
		  { name = "outside"; role = "outside"; device = "net_tap0,iface=sp-outside";
		    mac = "02:00:00:00:01:01"; addresses = [ "192.0.2.1/24", "2001:db8:1::1/64" ];
		    gateways = [ "192.0.2.254", "2001:db8:1::fe" ]; mtu = 1500; },
		  { name = "inside"; role = "inside"; device = "net_tap1,iface=sp-inside";
		    mac = "02:00:00:00:02:01"; addresses = [ "10.99.0.1/24", "2001:db8:99::1/64" ];
		    mtu = 1500; proxy_arp = true; }
		);
	END
	cat >>"$LAB_DIR/gw.conf"
}

# Pools, credentials and one connection with a PSK: what most scenarios want.
gw_config_psk() { # [CONNECTION-EXTRA]
	cat <<-END
		pools = (
		  { name = "ire"; ranges = [ "$POOL4.1-$POOL4.254" ]; dns = [ "9.9.9.9" ]; },
		  { name = "ire6"; ranges = [ "2001:db8:77::1-2001:db8:77::ffff" ]; }
		);
		credentials: { psk = ( { id = "c1.example"; secret = "a secret that only the lab knows"; },
		  { id = "c2.example"; secret = "a secret that only the lab knows"; },
		  { id = "c3.example"; secret = "a secret that only the lab knows"; } ); };
		connections = (
		  { name = "clients"; ike_versions = [ 2 ];
		    ike_proposals = [ "aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048" ];
		    local = { id = "gw.example"; auth = "psk"; };
		    remote = { id = "*"; auth = "psk"; };
		    mode_config = [ "respond" ]; pools = [ "ire", "ire6" ];
		    ${1-}
		    children = ( { name = "lan"; local_ts = [ "10.99.0.0/24", "2001:db8:99::/64",
		        "$POOL4.0/24" ];
		      esp_proposals = [ "aes128gcm16", "aes128-sha256" ]; } ); }
		);
	END
}

# The headend prints a line that begins with TEXT; false as soon as it has ended.
gw_wait() { # TEXT
	local end=$((SECONDS + 60))
	until grep -qs "^$1" "$LAB_DIR/gw.out"; do
		[ $SECONDS -lt $end ] && kill -0 "$GW_PID" 2>/dev/null || return 1
		sleep 0.1
	done
}

gw_start() {
	rm -f "$LAB_DIR/gw.out" # of an earlier one
	# Not by ns(): what is started in the background is the program itself, for its PID.
	nsenter --net="/run/netns/$LAB-gw" -- "$BUILD/app/sallyportd" ${GW_DEBUG:+-d} -c "$LAB_DIR/gw.conf" >"$LAB_DIR/gw.out" \
		2>"$LAB_DIR/sallyportd.log" &
	GW_PID=$!
	LAB_PIDS+=("$GW_PID")
	gw_wait ready
}

# The TAP interfaces are our side of the headend's cables: they go where the peers are. net_tap
# gives them the port's own MAC, which a bridge would take for an address of its own.
gw_attach() {
	ns gw ip link set sp-outside netns "$LAB-out" || return
	ns out ip link set sp-outside address 02:00:00:00:01:02 master br0 up || return
	ns gw ip link set sp-inside netns "$LAB-in" || return
	ns in ip link set sp-inside address 02:00:00:00:02:02
	ns in ip addr add 10.99.0.10/24 dev sp-inside
	ns in ip addr add 2001:db8:99::10/64 dev sp-inside nodad
	ns in ip link set sp-inside up
	ns in ip route add "$POOL4.0/24" via 10.99.0.1
	ns in ip -6 route add 2001:db8:77::/64 via 2001:db8:99::1
}

gw_namespaces() {
	ns_add gw && bridge_add out && ns_add in
}

# Namespaces, headend and cables; the configuration was written by gw_config.
gw_up() {
	need "namespaces are made" gw_namespaces
	need "sallyportd --check accepts the configuration" \
		"$BUILD/app/sallyportd" --check "$LAB_DIR/gw.conf"
	need "sallyportd gets ready" gw_start
	need "the ports are attached" gw_attach
}

show() { # WHAT JQ-FILTER
	"$BUILD/app/sallyport" --socket "$LAB_DIR/run/control.sock" show "$1" --json | jq -r "$2"
}

# An expression over a show command's JSON is true.
shows() { # WHAT JQ-EXPRESSION
	local json
	json=$("$BUILD/app/sallyport" --socket "$LAB_DIR/run/control.sock" show "$1" --json) || return
	jq -e "$2" >/dev/null <<<"$json" || { echo "$json" && return 1; }
}

cli() {
	"$BUILD/app/sallyport" --socket "$LAB_DIR/run/control.sock" "$@"
}

# Pools and one connection with certificates: $LAB_DIR/pki/gw.pem and ca.pem.
gw_config_cert() { # [CONNECTION-EXTRA]
	cat <<-END
		pools = ( { name = "ire"; ranges = [ "$POOL4.1-$POOL4.254" ]; } );
		credentials: { ca = [ "$LAB_DIR/pki/ca.pem" ]; certificates = (
		  { cert = "$LAB_DIR/pki/gw.pem"; key = "$LAB_DIR/pki/gw.key"; } ); };
		connections = (
		  { name = "clients"; ike_versions = [ 2 ];
		    ike_proposals = [ "aes128gcm16-prfsha256-x25519" ];
		    local = { id = "gw.example"; auth = "cert"; };
		    remote = { id = "*"; auth = "cert"; };
		    mode_config = [ "respond" ]; pools = [ "ire" ];
		    ${1-}
		    children = ( { name = "lan"; local_ts = [ "10.99.0.0/24" ];
		      esp_proposals = [ "aes128gcm16" ]; } ); }
		);
	END
}

# SIGTERM; the daemon's exit status is the function's.
gw_stop() {
	kill -TERM "$GW_PID"
	wait "$GW_PID"
}

# --- strongSwan ----------------------------------------------------------------------------------

# strongSwan does not know a new IKE SA by its SPI until the thread that begins it has given it back: on a
# loaded machine the answer may be there before, and is dropped without a word. So it asks again after half
# a second, not after four, and gives up after two minutes, as it does by default.
CHARON_RETRANSMIT='retransmit_timeout = 0.5
		  retransmit_tries = 8'

# A daemon of its own in namespace NAME, its swanctl.conf on standard input.
charon_start() { # NAME
	local dir=$LAB_DIR/$1
	mkdir -p "$dir"/{x509,x509ca,private}
	rm -f "$dir/vici" # of one that was killed
	cat >"$dir/swanctl.conf"
	cat >"$dir/strongswan.conf" <<-END
		charon-systemd {
		  load_modular = no
		  load = ${CHARON_PLUGINS//$'\n'/ }
		  $CHARON_RETRANSMIT
		  $CHARON_EXTRA
		  filelog { lab { path = $LAB_DIR/$1.charon.log
		    default = 1
		    ike = 2
		    flush_line = yes } }
		  plugins {
		    vici { socket = unix://$dir/vici }
		    kernel-libipsec { allow_peer_ts = yes }
		  }
		}
	END
	STRONGSWAN_CONF=$dir/strongswan.conf nsenter --net="/run/netns/$LAB-$1" -- /usr/sbin/charon-systemd \
		>"$LAB_DIR/$1.out.log" 2>&1 &
	LAB_PIDS+=("$!")
	CHARON_PID[$1]=$!
	within 10 test -S "$dir/vici" || return
	within 10 swan "$1" --stats >/dev/null || return
	swan "$1" --load-all
}

swan() { # NAME SWANCTL-ARGUMENTS...
	local name=$1 command=$2
	shift 2
	case $command in
	--load-all) set -- --noprompt --file "$LAB_DIR/$name/swanctl.conf" "$@" ;;
	esac
	SWANCTL_DIR=$LAB_DIR/$name STRONGSWAN_CONF=$LAB_DIR/$name/strongswan.conf \
		ns "$name" swanctl "$command" --uri "unix://$LAB_DIR/$name/vici" "$@"
}

# The same as swan_config_psk with a certificate.
swan_config_cert() { # NAME [CONNECTION-EXTRA [GATEWAY-ID]]
	cat <<-END
		connections { gw { version = 2
		  remote_addrs = 192.0.2.1
		  vips = 0.0.0.0
		  proposals = aes128gcm16-prfsha256-x25519
		  ${2-}
		  local { auth = pubkey
		    certs = $1.pem
		    id = $1.example }
		  remote { auth = pubkey
		    id = ${3:-gw.example} }
		  children { lan { remote_ts = 10.99.0.0/24
		    esp_proposals = aes128gcm16 } } } }
	END
}

# A client's swanctl.conf: id NAME.example, PSK, virtual IPv4 address.
swan_config_psk() { # NAME [LOCAL-ADDRESS [VIPS [CHILD-EXTRA [CONNECTION-EXTRA]]]]
	cat <<-END
		connections { gw { version = 2
		  remote_addrs = 192.0.2.1
		  ${2:+local_addrs = $2}
		  vips = ${3:-0.0.0.0}
		  proposals = aes128gcm16-prfsha256-x25519
		  ${5-}
		  local { auth = psk
		    id = $1.example }
		  remote { auth = psk
		    id = gw.example }
		  children { lan { remote_ts = 10.99.0.0/24,2001:db8:99::/64,$POOL4.0/24
		    esp_proposals = aes128gcm16
		    ${4-} } } } }
		secrets { ike-1 { secret = "a secret that only the lab knows" } }
	END
}

connect() { # NAME
	swan "$1" --initiate --child lan --timeout 20
}

# The client's inner IPv4 address, as the client sees it.
inner_address() { # NAME
	swan "$1" --list-sas --raw | grep -o 'local-vips=\[[^]]*' | cut -d'[' -f2 | tr ' ' '\n' |
		grep -m1 "${2:-\.}"
}

# A CA for this run, and certificates NAME.pem with NAME.key for NAME.example.
pki_ca() {
	mkdir -p "$LAB_DIR/pki"
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=sallyport lab CA" \
		-addext keyUsage=critical,keyCertSign,cRLSign \
		-keyout "$LAB_DIR/pki/ca.key" -out "$LAB_DIR/pki/ca.pem" 2>&1
}

pki_issue() { # NAME NEWKEY-ARGUMENTS...
	local pki=$LAB_DIR/pki name=$1
	shift
	openssl req -new -nodes "$@" -subj "/O=sallyport lab/CN=$name.example" \
		-keyout "$pki/$name.key" -out "$pki/$name.csr" &&
		openssl x509 -req -in "$pki/$name.csr" -days 2 -CA "$pki/ca.pem" \
			-CAkey "$pki/ca.key" -CAcreateserial -out "$pki/$name.pem" \
			-extfile <(echo "subjectAltName=DNS:$name.example
				extendedKeyUsage=serverAuth,clientAuth") 2>&1
}

# Give NAME's charon its certificate and the CA.
pki_install() { # NAME
	local dir=$LAB_DIR/$1
	mkdir -p "$dir"/{x509,x509ca,private}
	cp "$LAB_DIR/pki/$1.pem" "$dir/x509/"
	cp "$LAB_DIR/pki/$1.key" "$dir/private/"
	cp "$LAB_DIR/pki/ca.pem" "$dir/x509ca/"
}

# --- traffic -------------------------------------------------------------------------------------

# COUNT pings and no more, each answered, some seconds later at the most: one at a time, as ping gives the
# last of several no more time than a round trip or two.
pings() { # NAMESPACE FROM TO [COUNT [INTERVAL]]
	local n
	for ((n = 0; n < ${4:-5}; n++)); do
		[ $n -eq 0 ] || sleep "${5:-0.1}"
		ns "$1" ping -n -q -I "$2" -c 1 -W 5 "$3" || return
	done
}

# What ping printed says that each of the first COUNT was answered; else which were not.
pings_answered() { # COUNT
	awk -v count="$1" '
	/bytes from/ && match($0, /icmp_seq=[0-9]+ /) {
		answered[substr($0, RSTART + 9, RLENGTH - 10) + 0] = 1
		next
	}
	{ print }
	END {
		for (i = 1; i <= count; i++)
			if (!(i in answered)) {
				print "no answer to " i
				bad = 1
			}
		exit bad
	}'
}

# Pings beside the scenario, without a pause for answers; with a deadline ping sends on until COUNT were
# answered. pings_end waits for the end and says whether each of the first COUNT was.
pings_start() { # NAMESPACE FROM TO COUNT INTERVAL
	nsenter --net="/run/netns/$LAB-$1" -- ping -n -I "$2" -c "$4" -i "$5" \
		-w "$(awk "BEGIN { print int(2 * $4 * $5) + 4 }")" "$3" >"$LAB_DIR/ping.out" 2>&1 &
	PINGS_PID=$!
	PINGS_COUNT=$4
	LAB_PIDS+=("$!")
}

pings_end() {
	wait "$PINGS_PID"
	pings_answered "$PINGS_COUNT" <"$LAB_DIR/ping.out"
}

# BYTES of random data over TCP between two namespaces arrive unchanged.
tcp() { # FROM-NAMESPACE FROM-ADDRESS TO-NAMESPACE TO-ADDRESS [BYTES]
	local port=$((20000 + RANDOM % 20000)) bytes=${5:-2000000} server
	head -c "$bytes" /dev/urandom >"$LAB_DIR/tcp.sent"
	nsenter --net="/run/netns/$LAB-$3" -- python3 "$LAB_ROOT/tests/interop/tcp.py" receive "$4" "$port" \
		>"$LAB_DIR/tcp.received" &
	server=$!
	LAB_PIDS+=("$server")
	timeout 60 nsenter --net="/run/netns/$LAB-$1" -- python3 "$LAB_ROOT/tests/interop/tcp.py" send "$2" "$4" \
		"$port" <"$LAB_DIR/tcp.sent" || { kill "$server"; return 1; }
	wait "$server" || return
	cmp "$LAB_DIR/tcp.sent" "$LAB_DIR/tcp.received" && echo "$bytes bytes, equal"
}
