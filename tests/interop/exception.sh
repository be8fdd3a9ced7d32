#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# The kernel shares the headend's ports: SSH's place is taken by a TCP server on the headend's own
# addresses, reached from outside in clear, from the inside network, and by a client through its
# tunnel, while ESP runs.
. "$(dirname "$0")/lib.sh"

lab_begin exception
gw_config_psk | gw_config
sed -i -e '/name = "outside"/s/{/{ exception = "ssh0";/' -e '/name = "inside"/s/{/{ exception = "mgmt0";/' \
	"$LAB_DIR/gw.conf"
gw_up
kernel_up() {
	ns gw ip addr add 192.0.2.1/24 dev ssh0 && ns gw ip addr add 10.99.0.1/24 dev mgmt0 &&
		ns gw ip route add "$POOL4.0/24" dev mgmt0
}
check "the interfaces have the ports' MAC addresses" equals \
	"$(for i in ssh0 mgmt0; do ns gw ip -j link show $i | jq -j '.[0].address + " "'; done)" \
	"02:00:00:00:01:01 02:00:00:00:02:01 "
need "the kernel takes the headend's addresses" kernel_up
leg_add c1 192.0.2.11/24
swan_config_psk c1 >"$LAB_DIR/c1.conf"
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
inner=$(inner_address c1)
pings_start c1 "$inner" 10.99.0.10 300 0.02
check "TCP from outside to the kernel" tcp c1 192.0.2.11 gw 192.0.2.1 1000000
check "TCP from the kernel to the outside" tcp gw 192.0.2.1 c1 192.0.2.11 1000000
check "TCP from the inside to the kernel" tcp in 10.99.0.10 gw 10.99.0.1 1000000
check "TCP through the tunnel to the kernel" tcp c1 "$inner" gw 10.99.0.1 1000000
check "the kernel pings the outside" pings gw 192.0.2.1 192.0.2.11
check "the headend answers pings as before" pings c1 192.0.2.11 192.0.2.1
check "meanwhile no packet of the tunnel was lost" pings_end
check "nothing for the client left in clear" shows counters '.counters.dp_drop_no_tunnel == 0'
check "show ports counts what the kernel got and sent" shows ports '.ports | length == 2 and
	(.[0].exception == "ssh0") and all(.exception_to > 100 and .exception_from > 100)'
check "SIGTERM ends the headend with status 0" gw_stop
check "the interfaces have gone" bash -c "! nsenter --net=/run/netns/$LAB-gw -- ip link show ssh0"
[ "$LAB_FAILED" -eq 0 ]
