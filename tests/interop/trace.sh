#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A packet trace of a client's traffic: every stage of both directions, the reason of a drop, and the
# packets as pcapng, which tshark reads: encrypted outside, in clear inside.
. "$(dirname "$0")/lib.sh"

lab_begin trace
gw_config_psk | gw_config
gw_up
leg_add c1 192.0.2.11/24
swan_config_psk c1 >"$LAB_DIR/c1.conf"
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
inner=$(inner_address c1)
check "client pings inside" pings c1 "$inner" 10.99.0.10 2

stages() { # JQ-EXPRESSION over the stages of each packet
	cli trace show --json | jq -e "[.trace | group_by(.packet)[] | map(.stage)] | $1" >/dev/null
}

need "a trace begins" cli trace start --match icmp and host "$inner" --count 100 --whole
check "a second one is refused" bash -c "! $BUILD/app/sallyport --socket $LAB_DIR/run/control.sock \
	trace start"
check "pings under the trace" pings c1 "$inner" 10.99.0.10 5
check "a ping to an address of nobody" bash -c "! ip netns exec $LAB-c1 ping -c1 -W1 -I $inner \
	10.99.0.77 >/dev/null"
check "a packet that nobody answers for is dropped, for a reason" within 5 bash -c "$BUILD/app/sallyport \
	--socket $LAB_DIR/run/control.sock trace show --json |
	jq -e 'any(.trace[]; .stage == \"drop\" and .why == \"dp_drop_neighbour\")'"
check "the trace ends" cli trace stop
check "requests come out of ESP and leave inside" stages 'any(. == ["decrypted", "tx"])'
check "replies come in, are encrypted and leave" stages 'any(. == ["rx", "to-encrypt", "tx"])'
check "what has no next hop goes to the control thread" stages 'any(. == ["decrypted", "punt", "drop"])'
check "it is shown" bash -c "$BUILD/app/sallyport --socket $LAB_DIR/run/control.sock trace show |
	grep -q '10.99.0.10 ICMP type 8'"
check "it is saved" cli trace save "$LAB_DIR/t.pcapng"
check "tshark reads the inner packets" bash -c "[ \$(tshark -r $LAB_DIR/t.pcapng \
	-Y 'icmp.type == 8 && ip.src == $inner' 2>/dev/null | wc -l) -ge 10 ]"
check "tshark reads ESP in UDP" bash -c "[ \$(tshark -r $LAB_DIR/t.pcapng -Y 'esp && udp.port == 4500' \
	2>/dev/null | wc -l) -ge 5 ]"
check "each packet says its stage" bash -c "tshark -r $LAB_DIR/t.pcapng -T fields \
	-e frame.comment 2>/dev/null | grep -q 'to-encrypt'"

need "a trace of what comes outside begins" cli trace start --match udp port 4500 --count 5
ns c1 /usr/bin/python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"\xff\xff\xff\xff" + bytes(60), ("192.0.2.1", 4500))'
check "a drop says why" within 3 bash -c "$BUILD/app/sallyport --socket $LAB_DIR/run/control.sock \
	trace show --json | jq -e 'any(.trace[]; .stage == \"drop\" and .why == \"dp_drop_esp_no_sa\")'"
check "the trace ends" cli trace stop
check "SIGTERM ends the headend with status 0" gw_stop
