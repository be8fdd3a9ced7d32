#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# The laboratory itself, with strongSwan at both ends: where this fails, the others' failures say
# nothing about sallyport.
. "$(dirname "$0")/lib.sh"

lab_begin lab
bridge_add out
leg_add gw 192.0.2.1/24
ns_add in
ns gw ip link add eth1 type veth peer name eth0 netns "$LAB-in"
ns gw ip addr add 10.99.0.1/24 dev eth1
ns gw ip link set eth1 up
ns in ip addr add 10.99.0.10/24 dev eth0
ns in ip link set eth0 up
ns in ip route add "$POOL4.0/24" via 10.99.0.1
ns gw sysctl -qw net.ipv4.ip_forward=1
leg_add c1 192.0.2.11/24

need "strongSwan starts as the headend" charon_start gw <<END
connections { clients { version = 2
  local_addrs = 192.0.2.1
  pools = ire
  local { auth = psk
    id = gw.example }
  remote { auth = psk }
  children { lan { local_ts = 10.99.0.0/24 } } } }
pools { ire { addrs = $POOL4.1-$POOL4.254 } }
secrets { ike-1 { secret = "a secret that only the lab knows" } }
END
swan_config_psk c1 192.0.2.11 >"$LAB_DIR/c1.conf"
need "strongSwan starts as the client" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
check "the client has an address of the pool" equals "$(inner_address c1)" "$POOL4.1"
check "client pings inside" pings c1 "$POOL4.1" 10.99.0.10
check "inside pings the client" pings in 10.99.0.10 "$POOL4.1"
check "TCP from the client" tcp c1 "$POOL4.1" in 10.99.0.10
check "TCP to the client" tcp in 10.99.0.10 c1 "$POOL4.1"
