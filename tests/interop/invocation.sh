#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# How the two programs are started and what they answer, without any peer.
. "$(dirname "$0")/lib.sh"

SALLYPORTD=$BUILD/app/sallyportd

ends_with() { # STATUS COMMAND...
	local want=$1 rc
	shift
	"$@" </dev/null
	rc=$?
	equals "status $rc" "status $want"
}

lab_begin invocation
check "--version" ends_with 0 "$SALLYPORTD" --version
check "--help" ends_with 0 "$SALLYPORTD" --help
check "--options prints the reference" bash -c "$SALLYPORTD --options | grep -q control_core"
check "an unknown option" ends_with 2 "$SALLYPORTD" --frobnicate
check "no configuration" ends_with 2 "$SALLYPORTD"
check "a file that is not there" ends_with 1 "$SALLYPORTD" --check "$LAB_DIR/none.conf"

gw_config_psk | gw_config
check "--check of a good file" ends_with 0 "$SALLYPORTD" --check "$LAB_DIR/gw.conf"
sed -e 's/idle = "sleep"/idel = "sleep"/' -e 's/mtu = 1500;/mtu = 15;/' "$LAB_DIR/gw.conf" \
	>"$LAB_DIR/bad.conf"
check "--check of a bad file" ends_with 1 "$SALLYPORTD" --check "$LAB_DIR/bad.conf"
"$SALLYPORTD" --check "$LAB_DIR/bad.conf" 2>"$LAB_DIR/errors"
check "every mistake is a line with file and line" equals \
	"$(grep -c "^$LAB_DIR/bad.conf:[0-9]*: error: " "$LAB_DIR/errors")" 3
check "the nearest known name is given" grep -q '"idle"' "$LAB_DIR/errors"
check "a bad file does not start" ends_with 1 "$SALLYPORTD" -c "$LAB_DIR/bad.conf"

need "namespaces" ns_add gw
need "sallyportd gets ready" gw_start
check "its directory is not for others" equals "$(stat -c %a "$LAB_DIR/run")" 750
check "its socket is for root alone" equals "$(stat -c %a "$LAB_DIR/run/control.sock")" 600
second() {
	sed 's/sp-outside/sp-out2/; s/sp-inside/sp-in2/' "$LAB_DIR/gw.conf" >"$LAB_DIR/second.conf"
	ends_with 1 ns gw timeout 60 "$SALLYPORTD" -c "$LAB_DIR/second.conf"
}
check "a second one with the same run_dir is refused" second
for what in sessions sa pools ports counters workers status; do
	check "show $what" cli show $what
	check "show $what --json is JSON" shows $what ".${what/%sa/sas} != null"
done
check "options may stand before the command" bash -c \
	"set -o pipefail; $BUILD/app/sallyport --json --socket $LAB_DIR/run/control.sock show status | jq -e .status"
check "commands come from standard input" bash -c \
	"printf 'show status # now\n\nshow pools\n' |
	$BUILD/app/sallyport --socket $LAB_DIR/run/control.sock | grep -q ire6"
check "an unknown command" ends_with 2 cli show everything
check "an unknown session" ends_with 1 cli clear session 4711
check "clear session all without sessions" ends_with 0 cli clear session all
check "no daemon behind the socket" ends_with 3 "$BUILD/app/sallyport" --socket \
	"$LAB_DIR/none.sock" show status
kill -HUP "$GW_PID"
check "SIGHUP reads the file again" within 5 grep -q "reload: nothing has changed" \
	"$LAB_DIR/sallyportd.log"
check "and changes nothing" shows status '.status.stopping == false'
check "SIGTERM ends it with status 0" gw_stop
check "the socket has gone" test ! -e "$LAB_DIR/run/control.sock"
need "it starts again in the same directory" gw_start
kill -KILL "$GW_PID"
wait "$GW_PID" 2>/dev/null
need "and after SIGKILL too" gw_start
check "and answers" shows status '.status.sessions == 0'
