#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A hub with two branches: selectors of everything, routes decide what goes where. The second branch
# is responder-only at the hub.
. "$(dirname "$0")/lib_site.sh"

lab_begin tunnel
site_pki c1 c2
ANY='local_ts = [ "0.0.0.0/0" ]; remote_ts = [ "0.0.0.0/0" ];'
{
	site_credentials
	echo "connections = ("
	site_connection 1 'addresses = [ "192.0.2.11" ];' 'initiate = "start";
		tunnel_interface: { routes = [ "10.51.0.0/24", "172.16.1.0/24" ]; };' "$ANY"
	echo ","
	site_connection 2 'addresses = [ "192.0.2.12" ];' 'responder_only = true;
		tunnel_interface: { routes = [ "10.52.0.0/24" ]; };' "$ANY"
	echo ");"
} | gw_config
for refused in 'responder_only = true; initiate = "start";' \
	'responder_only = true; initiate = "on_demand";'; do
	cp "$LAB_DIR/gw.conf" "$LAB_DIR/wrong.conf"
	sed -i "s/responder_only = true;/$refused/" "$LAB_DIR/wrong.conf"
	check "refused with its line: $refused" bash -c "\"$BUILD/app/sallyportd\" --check \
		\"$LAB_DIR/wrong.conf\" 2>&1 | grep -E '^[^:]*:[0-9]+: error: .*initiate.*responder_only'"
done
gw_up
for n in 1 2; do
	need "branch $n is made" site_place $n
	site_swan $n "" 0.0.0.0/0 0.0.0.0/0 >"$LAB_DIR/c$n.conf"
	CHARON_EXTRA=$CHARON_MARK # IKE and ESP stay out of the tunnel
	need "branch $n starts" charon_start c$n <"$LAB_DIR/c$n.conf"
done
ns c1 ip addr add 172.16.1.1/24 dev lo
ns in ip route add 172.16.1.0/24 via 10.99.0.1
need "branch 1: the hub connects" within 20 site_up 1
check "branch 2: the hub does not" site_down 2
need "branch 2 connects" swan c2 --initiate --child lan --timeout 20
check "its role is shown" shows connections \
	'[.connections[].role] == ["start", "responder-only"] and all(.connections[]; .sessions == 1)'
check "any to any was agreed on" shows sessions '.sessions | length == 2 and
	all(.[].child_sas[]; .ts_local == ["0.0.0.0/0"] and .ts_remote == ["0.0.0.0/0"])'

for n in 1 2; do
	check "inside pings branch $n" pings in 10.99.0.10 10.5$n.0.1 10
	check "branch $n pings inside" pings c$n 10.5$n.0.1 10.99.0.10 10
done
check "inside pings the second network of branch 1" pings in 10.99.0.10 172.16.1.1 10
carried() { # NUMBER PACKETS
	shows sessions ".sessions[] | select(.connection == \"site$1\") |
		.packets_in == $2 and .packets_out == $2"
}
check "branch 1 carried what is its own" carried 1 30
check "branch 2 carried what is its own" carried 2 20
check "branch 1 pings branch 2" pings c1 10.51.0.1 10.52.0.1 10
check "branch 2 pings branch 1" pings c2 10.52.0.1 10.51.0.1 10
check "TCP from branch to branch" tcp c1 10.51.0.1 c2 10.52.0.1 500000

dropped() { # WANT
	shows counters ".counters.dp_drop_reverse_path == $1"
}
check "no source was false so far" dropped 0
# Branch 2 with an address that is routed to branch 1, and with one that is routed nowhere.
ns c2 ip addr add 10.51.0.77/32 dev lo
ns c2 ip addr add 198.51.100.7/32 dev lo
for source in 10.51.0.77 198.51.100.7; do
	check "branch 2 as $source is not answered" bash -c \
		"! nsenter --net=/run/netns/$LAB-c2 -- ping -n -I $source -c 3 -i 0.1 -W 1 10.99.0.10"
done
check "its six packets were dropped for that reason" within 5 dropped 6
check "branch 1 has its network still" pings in 10.99.0.10 10.51.0.1 5

check "a child rekey of the branch" swan c2 --rekey --child lan
check "an IKE rekey of the branch" swan c2 --rekey --ike site
check "branch 2 is reached after that" pings in 10.99.0.10 10.52.0.1 10
check "branch 2 ends its session" swan c2 --terminate --ike site
check "the hub has taken that" within 5 site_down 2
check "what is for branch 2 never leaves in clear" bash -c \
	"! nsenter --net=/run/netns/$LAB-in -- ping -n -c 2 -i 0.2 -W 1 10.52.0.1"
check "branch 2 connects again" swan c2 --initiate --child lan --timeout 20
check "it is reached" pings in 10.99.0.10 10.52.0.1 10
