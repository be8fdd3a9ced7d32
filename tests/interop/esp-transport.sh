#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# ESP in transport mode over TAP with scapy as the peer: both families, as protocol 50 and in UDP. IKE
# takes no part.
. "$(dirname "$0")/lib.sh"

lab_begin esp-transport
gw_config_psk | gw_config
ns_add gw
bridge_add out
ns_add in
leg_add c1 192.0.2.11/24
ns c1 ip addr add 2001:db8:1::11/64 dev eth0 nodad
# The peer's kernel has no ESP and would answer with ICMP.
ns c1 nft add table inet quiet
ns c1 nft 'add chain inet quiet out { type filter hook output priority 0; }'
ns c1 nft add rule inet quiet out icmp type destination-unreachable drop
ns c1 nft add rule inet quiet out icmpv6 type '{ destination-unreachable, parameter-problem }' drop

host_start() { # PROPOSAL ESN PEER UDP-PORT
	rm -f "$LAB_DIR/gw.out"
	nsenter --net="/run/netns/$LAB-gw" -- "$BUILD/tests/dataplane/esp_host" "$LAB_DIR/gw.conf" "$1" "$2" "$3" \
		"$3" "$3" "$4" >"$LAB_DIR/gw.out" 2>"$LAB_DIR/esp_host.log" &
	GW_PID=$!
	LAB_PIDS+=("$GW_PID")
	gw_wait ready
}

transport() { # WHAT PROPOSAL ESN PEER GATEWAY UDP-PORT
	check "$1: the data plane starts" host_start "$2" "$3" "$4" "$6" || return
	gw_attach
	check "$1: scapy and the headend understand each other" ns c1 /usr/bin/python3 \
		"$LAB_ROOT/tests/interop/esp_transport.py" "$2" "$3" "$4" "$5" "$6" \
		"$(sed -n 's/ready //p' "$LAB_DIR/gw.out")"
	check "$1: it ends with status 0" gw_stop
}

transport "protocol 50 over IPv4" aes256ccm16 1 192.0.2.11 192.0.2.1 0
transport "UDP over IPv4" aes192ctr-sha1 0 192.0.2.11 192.0.2.1 40500
transport "protocol 50 over IPv6" chacha20poly1305 0 2001:db8:1::11 2001:db8:1::1 0
transport "UDP over IPv6" 3des-md5 0 2001:db8:1::11 2001:db8:1::1 40500
