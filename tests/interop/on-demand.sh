#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A site that is called when the first packet for it comes: that packet waits and arrives, and so do
# those behind it; the session's end leaves the connection waiting for the next.
. "$(dirname "$0")/lib_site.sh"

lab_begin ondemand
site_pki c1 c2
{
	site_credentials
	echo "connections = ("
	site_connection 1 'addresses = [ "192.0.2.11" ];' 'initiate = "on_demand";'
	echo ","
	site_connection 2 'addresses = [ "192.0.2.12" ];' 'initiate = "on_demand";
		tunnel_interface: { routes = [ "10.52.0.0/24" ]; };' \
		'local_ts = [ "0.0.0.0/0" ]; remote_ts = [ "0.0.0.0/0" ];'
	echo ");"
} | gw_config
gw_up
for n in 1 2; do need "site $n is made" site_place $n; done
site_swan 1 >"$LAB_DIR/c1.conf"
site_swan 2 "" 0.0.0.0/0 0.0.0.0/0 >"$LAB_DIR/c2.conf"
CHARON_EXTRA=$CHARON_MARK # IKE and ESP stay out of a tunnel for everything
for n in 1 2; do need "site $n starts" charon_start c$n <"$LAB_DIR/c$n.conf"; done

waiting() { # NUMBER
	shows connections ".connections[] | select(.name == \"site$1\") |
		.state == \"waiting\" and .sessions == 0"
}
first_packet() { # NUMBER TIMES
	local out
	out=$(ns in ping -n -c 1 -W 5 "10.5$1.0.1") || { echo "$out" && return 1; }
	echo "# site $1, call $2: the first packet was answered after" \
		"$(sed -n 's/.*time=//p' <<<"$out")" >&3
}
exec 3>&1

for n in 1 2; do
	check "site $n: nobody has called" waiting $n
	check "site $n: and nothing was sent" equals "$(grep -c "parsed IKE_SA_INIT" "$LAB_DIR/c$n.charon.log")" 0
	check "site $n: one packet calls, and arrives" first_packet $n 1
	check "site $n: the session is there" within 5 site_up $n
	check "site $n: so do others" pings in 10.99.0.10 10.5$n.0.1 10
	check "site $n: and the other way" pings c$n 10.5$n.0.1 10.99.0.10 10
	check "site $n: the peer ends the session" swan c$n --terminate --ike site
	check "site $n: the connection waits again" within 5 waiting $n
	check "site $n: the next packet calls again" first_packet $n 2
	check "site $n: ten more arrive" pings in 10.99.0.10 10.5$n.0.1 10
done

check "site 1: the operator ends the session" cli clear session \
	"$(show sessions '.sessions[] | select(.connection == "site1") | .id')"
check "site 1: the connection waits once more" within 5 waiting 1
# A burst: what came while nobody was there is not lost either.
burst() {
	pings in 10.99.0.10 10.51.0.1 12 0.005
}
check "site 1: a burst of 12 packets calls, and all arrive" burst
check "site 1: that was one session" within 5 site_up 1
check "no packet was refused or forgotten" shows counters \
	'.counters | .dp_drop_hold_full == 0 and .dp_drop_hold_timeout == 0 and .dp_drop_no_child == 0'

# Nobody answers: what waits ends with its reason.
kill -TERM "${CHARON_PID[c2]}"
check "site 2: the peer says farewell" within 10 waiting 2
check "site 2: a packet for a peer that is gone is not answered" bash -c \
	"! nsenter --net=/run/netns/$LAB-in -- ping -n -c 1 -W 1 10.52.0.1"
check "site 2: it is dropped with its reason" within 30 shows counters \
	'.counters.dp_drop_hold_timeout >= 1'
