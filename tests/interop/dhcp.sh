#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Addresses from DHCP servers, Kea and dnsmasq, with the headend as the relay: leases of six seconds
# live as long as their sessions and are given back after them, a silent server costs a login a
# second and then another pool serves, and a headend that was killed takes its leases up again.
. "$(dirname "$0")/lib.sh"

RELAY=198.51.100.1
KEA=198.51.100.2
MASQ=198.51.100.3

# The management side: the headend's kernel and two servers on one bridge.
management() {
	bridge_add mgmt || return
	leg_add kea $KEA/24 mgmt && leg_add masq $MASQ/24 mgmt || return
	ns gw ip link add mgmt type veth peer name gw netns "$LAB-mgmt" || return
	ns mgmt ip link set gw master br0 up
	ns gw ip addr add $RELAY/24 dev mgmt
	ns gw ip link set mgmt up
}

# The relay's own subnet has no addresses to give: only link selection leads to these.
kea_start() {
	cat >"$LAB_DIR/kea.json" <<-END
		{ "Dhcp4": {
		  "interfaces-config": { "interfaces": [ "eth0/$KEA" ], "dhcp-socket-type": "udp" },
		  "lease-database": { "type": "memfile", "name": "$LAB_DIR/kea.csv", "lfc-interval": 0 },
		  "valid-lifetime": 6, "calculate-tee-times": true,
		  "subnet4": [ { "subnet": "198.51.100.0/24" },
		    { "subnet": "$POOL4.0/25", "pools": [ { "pool": "$POOL4.10-$POOL4.20" } ] } ],
		  "loggers": [ { "name": "kea-dhcp4", "severity": "INFO",
		    "output_options": [ { "output": "$LAB_DIR/kea.log" } ] } ] } }
	END
	KEA_PIDFILE_DIR=$LAB_DIR KEA_LOCKFILE_DIR=$LAB_DIR nsenter --net="/run/netns/$LAB-kea" -- \
		kea-dhcp4 -c "$LAB_DIR/kea.json" >"$LAB_DIR/kea.out.log" 2>&1 &
	KEA_PID=$!
	LAB_PIDS+=("$KEA_PID")
	within 10 grep -q DHCP4_STARTED "$LAB_DIR/kea.log"
}

masq_start() {
	nsenter --net="/run/netns/$LAB-masq" -- dnsmasq --no-daemon --conf-file=/dev/null --port=0 \
		--user=root --no-ping --interface=eth0 --log-dhcp --dhcp-leasefile="$LAB_DIR/masq.leases" \
		--dhcp-range="$POOL4.130,$POOL4.140,255.255.255.128,2m" >"$LAB_DIR/masq.log" 2>&1 &
	LAB_PIDS+=("$!")
	within 10 grep -q started "$LAB_DIR/masq.log"
}

connection() { # NAME CLIENT POOLS
	cat <<-END
		{ name = "$1"; ike_versions = [ 2 ];
		  ike_proposals = [ "aes128gcm16-prfsha256-x25519" ];
		  local = { id = "gw.example"; auth = "psk"; };
		  remote = { id = "$2.example"; auth = "psk"; };
		  mode_config = [ "respond" ]; pools = [ $3 ];
		  children = ( { name = "lan"; local_ts = [ "10.99.0.0/24", "$POOL4.0/24" ];
		    esp_proposals = [ "aes128gcm16" ]; } ); }
	END
}

config() {
	cat <<-END
		pools = (
		  { name = "kea"; ranges = [ "$POOL4.0/25" ]; linger_s = 2; from_dhcp: { servers = [ "$KEA" ];
		      relay = "$RELAY"; subnet = "$POOL4.0"; timeout_s = 1; }; },
		  { name = "masq"; ranges = [ "$POOL4.128/26" ]; linger_s = 2; from_dhcp: { servers = [ "$MASQ" ];
		      relay = "$RELAY"; subnet = "$POOL4.128"; timeout_s = 3; }; },
		  { name = "spare"; ranges = [ "$POOL4.192/26" ]; }
		);
		credentials: { psk = ( { id = "c1.example"; secret = "a secret that only the lab knows"; },
		  { id = "c2.example"; secret = "a secret that only the lab knows"; },
		  { id = "c3.example"; secret = "a secret that only the lab knows"; } ); };
		connections = (
		  $(connection one c1 '"kea"'),
		  $(connection two c2 '"masq"'),
		  $(connection three c3 '"kea", "spare"')
		);
	END
}

counts() { # NAME JQ-COMPARISON
	shows counters ".counters.dhcp_$1 $2"
}

count_of() { # NAME
	show counters ".counters.dhcp_$1"
}

# The server's last word on an address: its client identifier and how long it is valid.
kea_row() { # ADDRESS
	grep "^$1," "$LAB_DIR/kea.csv" | tail -n 1 | cut -d, -f3,4
}

kea_has() { # ADDRESS
	[[ $(kea_row "$1") =~ ^ff:00:00:00:00:00:04(:[0-9a-f]{2}){16},6$ ]] || { kea_row "$1" && return 1; }
}

kea_has_not() { # ADDRESS
	[[ $(kea_row "$1") == *,0 ]] || { kea_row "$1" && return 1; }
}

leave() { # NAME
	swan "$1" --terminate --ike gw --timeout 5
}

no_relay() {
	ns gw ip addr del $RELAY/24 dev mgmt
	! gw_start && grep "pool \"kea\": from_dhcp.relay: cannot use $RELAY port 67" "$LAB_DIR/sallyportd.log"
	local rc=$?
	ns gw ip addr add $RELAY/24 dev mgmt
	return $rc
}

lab_begin dhcp
config | gw_config
need "namespaces are made" gw_namespaces
need "the management network is made" management
need "sallyportd --check accepts the configuration" "$BUILD/app/sallyportd" --check "$LAB_DIR/gw.conf"
need "Kea starts" kea_start
need "dnsmasq starts" masq_start
check "without the relay's address it does not start, and says why" no_relay
need "sallyportd gets ready" gw_start
need "the ports are attached" gw_attach
for c in c1 c2 c3; do
	leg_add $c "192.0.2.1${c#c}/24"
	swan_config_psk $c >"$LAB_DIR/$c.conf"
	need "client $c starts" charon_start $c <"$LAB_DIR/$c.conf"
done

need "a client connects" connect c1
address=$(inner_address c1)
check "its address is the server's choice" kea_has "$address"
check "it pings" pings c1 "$address" 10.99.0.10
need "another client connects" connect c2
masq_address=$(inner_address c2)
check "its address is dnsmasq's choice" grep -q " $masq_address .* ff:00:00:00:00:00:04:" "$LAB_DIR/masq.leases"
check "it pings too" pings c2 "$masq_address" 10.99.0.10
check "a lease of six seconds is renewed" within 10 counts renewed ">= 3"
check "the session has its address longer than that" pings c1 "$address" 10.99.0.10
check "nothing was lost, nothing was wrong" shows counters \
	'.counters | .dhcp_lost == 0 and ([to_entries[] | select(.key | startswith("dhcp_bad")) | .value] | add == 0)'

asked=$(count_of asked)
need "the client leaves" leave c1
need "it comes back while its lease lingers" connect c1
check "it has the same address" equals "$(inner_address c1)" "$address"
check "and nobody had to be asked" equals "$(count_of asked)" "$asked"

need "both leave" eval "leave c1 && leave c2"
check "after they lingered their leases are released" within 6 counts released "== 2"
check "Kea has it back" within 2 kea_has_not "$address"
check "dnsmasq has it back" within 2 eval "! grep -q $masq_address $LAB_DIR/masq.leases"
need "the clients come back" eval "connect c1 && connect c2"
check "dnsmasq knows its client again" equals "$(inner_address c2)" "$masq_address"
address=$(inner_address c1)
check "Kea has chosen an address again" kea_has "$address"

need "the headend is killed" kill -KILL "$GW_PID"
wait "$GW_PID" 2>/dev/null
need "it starts again" gw_start
need "its ports are attached again" gw_attach
check "the servers confirmed the leases of the last life" within 3 counts confirmed "== 2"
swan c1 --terminate --ike gw --force >/dev/null 2>&1
need "the client comes back" connect c1
check "it has the same address" equals "$(inner_address c1)" "$address"
check "it pings" pings c1 "$address" 10.99.0.10
check "without another question" counts asked "== 0"

need "Kea falls silent" kill -STOP "$KEA_PID"
SECONDS=0
need "a client with another pool behind it connects all the same" connect c3
check "after a short time" test $SECONDS -le 4
check "with an address of that pool" shows sessions \
	'[.sessions[] | select(.remote_id == "c3.example")] | length == 1'
check "which is the spare one's" test "$(inner_address c3 | cut -d. -f4)" -ge 192
check "and the counter says why" counts silent "== 1"
check "the lease that nobody extended is lost" within 10 counts lost "== 1"
check "and its session ends" within 5 shows sessions \
	'[.sessions[] | select(.remote_id == "c1.example")] | length == 0'
need "Kea is back" kill -CONT "$KEA_PID"
leave c1 >/dev/null 2>&1
need "the client connects again" connect c1
check "with an address of Kea's" kea_has "$(inner_address c1)"
check "it pings" pings c1 "$(inner_address c1)" 10.99.0.10
