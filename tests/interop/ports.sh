#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Two outside and two inside ports on two devices, one of each in a VLAN: clients come by either, and
# reach hosts behind either. Then the interface of the inside's device is deleted.
. "$(dirname "$0")/lib.sh"

lab_begin ports
gw_config_psk | sed 's|local_ts = \[ |&"10.20.0.0/24", |' | gw_config
vlan_ports=', { name = "out10"; role = "outside"; device = "net_tap0"; vlan = 10;
    addresses = [ "203.0.113.1/24" ]; },
  { name = "in20"; role = "inside"; device = "net_tap1"; vlan = 20; addresses = [ "10.20.0.1/24" ]; }'
awk -v more="$vlan_ports" '/^\);/ && !done { print more; done = 1 } { print }' "$LAB_DIR/gw.conf" \
	>"$LAB_DIR/vlan.conf" && mv "$LAB_DIR/vlan.conf" "$LAB_DIR/gw.conf"
gw_up
# An interface vID in a VLAN of another.
vlan() { # NAMESPACE INTERFACE ID ADDRESS
	nsenter --net="/run/netns/$LAB-$1" -- python3 "$LAB_ROOT/tests/interop/tag.py" "$2" "v$3" "$3" \
		>"$LAB_DIR/tag$3.out" 2>"$LAB_DIR/tag$3.log" &
	LAB_PIDS+=("$!")
	within 5 grep -q ready "$LAB_DIR/tag$3.out" && ns "$1" ip addr add "$4" dev "v$3" &&
		ns "$1" ip link set "v$3" up
}
need "a host in the inside's VLAN" vlan in sp-inside 20 10.20.0.10/24
leg_add c1 192.0.2.11/24
leg_add c2 198.51.100.99/24
need "the second client stands in the outside's VLAN" vlan c2 eth0 10 203.0.113.12/24
to_both() { # NAME REMOTE
	swan_config_psk "$1" | sed -e "s/remote_addrs = .*/remote_addrs = $2/" \
		-e 's|remote_ts = |&10.20.0.0/24,|'
}
to_both c1 192.0.2.1 >"$LAB_DIR/c1.conf"
to_both c2 203.0.113.1 >"$LAB_DIR/c2.conf"
for c in c1 c2; do
	need "client $c starts" charon_start "$c" <"$LAB_DIR/$c.conf"
	need "client $c connects" connect "$c"
	inner=$(inner_address "$c")
	check "$c pings the untagged inside" pings "$c" "$inner" 10.99.0.10
	ns in ip route replace "$inner/32" via 10.20.0.1
	check "$c pings the inside's VLAN" pings "$c" "$inner" 10.20.0.10
	check "TCP from $c into the VLAN" tcp "$c" "$inner" in 10.20.0.10 500000
done
check "a full-sized packet fits beside the tag" ns in ping -n -q -c 3 -i 0.1 -W 2 -M "do" -s 1472 10.20.0.1
check "each port has counted its own" shows ports '.ports | map({(.name): .}) | add |
	.out10.vlan == 10 and .in20.vlan == 20 and .out10.rx_packets > 50 and .in20.tx_packets > 50 and
	.outside.rx_packets > 50 and (.out10.mac == .outside.mac) and all(.link)'
check "tunnels came by both outside ports" shows sa \
	'[.sas[].local_addr] | sort == ["192.0.2.1", "203.0.113.1"]'

# ---- The device of the inside goes ----
ns in ip link del sp-inside
check "its ports are known to have gone" within 5 shows ports '.ports | map({(.name): .}) | add |
	.inside.removed and .in20.removed and (.outside.removed | not) and .inside.link == false'
check "the outside goes on" within 5 pings c1 192.0.2.11 192.0.2.1
ns c1 ping -n -q -I "$(inner_address c1)" -c 3 -i 0.1 -W 1 10.99.0.10 >/dev/null
check "what is for the inside is counted" shows counters '.counters.dp_drop_port_down > 0 or
	.counters.dp_drop_neighbour > 0'
check "the workers do not spin" bash -c "a=\$(awk '{print \$14 + \$15}' /proc/$GW_PID/stat); sleep 1;
	b=\$(awk '{print \$14 + \$15}' /proc/$GW_PID/stat); echo \$((b - a)) ticks; [ \$((b - a)) -lt 80 ]"
check "the device returns" within 10 shows ports '.ports | map({(.name): .}) | add |
	(.inside.removed | not) and .inside.removals == 1'
gw_attach_inside() {
	ns gw ip link set sp-inside netns "$LAB-in" && ns in ip link set sp-inside address 02:00:00:00:02:02 &&
		ns in ip addr add 10.99.0.10/24 dev sp-inside && ns in ip link set sp-inside up &&
		ns in ip route add "$POOL4.0/24" via 10.99.0.1
}
need "its new interface is attached" gw_attach_inside
check "c1 pings the inside again" within 10 pings c1 "$(inner_address c1)" 10.99.0.10
check "SIGTERM ends the headend with status 0" gw_stop
[ "$LAB_FAILED" -eq 0 ]
