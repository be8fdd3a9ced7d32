#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Site to site with certificates, begun by the headend at its start: of two addresses the first is
# dead. The peer is killed and comes again, and so does the headend, with and without a farewell.
. "$(dirname "$0")/lib_site.sh"

lab_begin site
site_pki c1
GW_MAIN='half_open_timeout_s = 3;' # of an address that does not answer
{
	site_credentials
	echo "connections = ("
	site_connection 1 'addresses = [ "192.0.2.99", "192.0.2.11" ];' 'initiate = "start";
		dpd: { delay_s = 1; timeout_s = 3; };'
	echo ");"
} | gw_config
gw_up
check "nobody is there: it tries" within 10 shows connections \
	'.connections[0] | .role == "start" and .state != "up" and .attempts >= 1'
site_place 1
site_swan 1 >"$LAB_DIR/c1.conf"
need "the peer starts" charon_start c1 <"$LAB_DIR/c1.conf"

pings_both() { # WHAT
	check "$1: inside pings the site" within 5 pings in 10.99.0.10 10.51.0.1 10
	check "$1: the site pings inside" pings c1 10.51.0.1 10.99.0.10 10
	check "$1: the peer has one IKE SA" within 5 swan_sas c1 1
}

check "the headend connects to the second address" within 30 site_up 1
check "it says so" shows connections '.connections[0] |
	.state == "up" and (.peer_addr | startswith("192.0.2.11")) and .sessions == 1'
pings_both "first"

kill -KILL "${CHARON_PID[c1]}"
need "the peer is killed and starts again" charon_start c1 <"$LAB_DIR/c1.conf"
again() { # the peer has what the headend has
	site_up 1 && swan_sas c1 1 && pings in 10.99.0.10 10.51.0.1 1
}
check "the headend finds out and connects again" within 30 again
pings_both "after the peer's crash"

kill -TERM "${CHARON_PID[c1]}"
check "a peer that says farewell ends the session" within 5 site_down 1
need "the peer starts again" charon_start c1 <"$LAB_DIR/c1.conf"
check "the headend connects again" within 30 again
pings_both "after the peer's farewell"

check "SIGTERM ends the headend with status 0" gw_stop
check "the peer was told" within 5 swan_sas c1 0
need "the headend starts again" gw_again
check "it connects" within 30 again
pings_both "after the headend's farewell"

kill -KILL "$GW_PID"
wait "$GW_PID" 2>/dev/null
check "the peer knows nothing of it" swan_sas c1 1
need "the headend starts again after a crash" gw_again
check "it connects then" within 30 again
pings_both "after the headend's crash"
