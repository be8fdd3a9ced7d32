# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# What the scenarios of a tunnel's life share: counted traffic that runs beside them, and a capture of
# the IKE messages on the outside port.
# shellcheck shell=bash disable=SC2034
. "$(dirname "${BASH_SOURCE[0]}")/lib_v1.sh"

# --- traffic that is counted ---------------------------------------------------------------------

declare -gA STREAM_PID=()

# Numbered datagrams from both ends at once, each answered by the other end (count.py), beside the
# scenario: 100 a second for SECONDS.
stream_start() { # STREAM NAMESPACE ADDRESS OTHER-NAMESPACE OTHER-ADDRESS SECONDS
	stream_end "$1" here "$2" "$3" "$5" "$6"
	stream_end "$1" there "$4" "$5" "$3" "$6"
}

stream_end() { # STREAM END NAMESPACE FROM TO SECONDS
	nsenter --net="/run/netns/$LAB-$3" -- python3 "$LAB_ROOT/tests/interop/count.py" run "$4" "$5" \
		"$6" "${STREAM_RATE:-100}" >"$LAB_DIR/$1.$2.count" 2>"$LAB_DIR/$1.$2.log" &
	STREAM_PID[$1.$2]=$!
	LAB_PIDS+=("$!")
}

# Both ends have begun to count.
stream_begun() { # STREAM
	grep -qs '^met' "$LAB_DIR/$1.here.count" && grep -qs '^met' "$LAB_DIR/$1.there.count"
}

# Both ends have sent all and waited for the last answers.
stream_wait() { # STREAM
	local rc=0
	wait "${STREAM_PID[$1.here]}" || rc=1
	wait "${STREAM_PID[$1.there]}" || rc=1
	return $rc
}

# The ends stop sending.
stream_stop() { # STREAM
	kill -INT "${STREAM_PID[$1.here]}" "${STREAM_PID[$1.there]}" 2>/dev/null
	stream_wait "$1"
}

stream_sent() { # STREAM END
	sed -n 's/^sent //p' "$LAB_DIR/$1.$2.count"
}

stream_lost() { # STREAM END
	grep -c '^unanswered' "$LAB_DIR/$1.$2.count"
}

# Nothing is lost of what either end sent two packets' time after WHEN (seconds) or later, and both
# went on for another second.
stream_whole_since() { # STREAM WHEN
	[ -n "$2" ] && awk -v since="$2" '
	BEGIN { since += 0.02 }
	$1 == "unanswered" && $3 >= since { print; bad = 1 }
	$1 == "ended" && $2 >= since + 1 { ended++ }
	END { exit bad || ended != 2 }' "$LAB_DIR/$1".*.count
}

# Every datagram of that end was answered, and at least WANT were sent; else which were not, when,
# and whether they were lost on the way there or back.
stream_whole() { # STREAM END [WANT]
	local other=there
	[ "$2" = here ] || other=here
	python3 "$LAB_ROOT/tests/interop/count.py" report "$LAB_DIR/$1.$2.count" \
		"$LAB_DIR/$1.$other.count" && [ "$(stream_sent "$1" "$2")" -ge "${3:-1}" ]
}

at_least() { # GOT WANT
	echo "$1, want at least $2"
	[ "$1" -ge "$2" ]
}

at_most() { # GOT WANT
	echo "$1, want at most $2"
	[ "$1" -le "$2" ]
}

# --- strongSwan's own losses ----------------------------------------------------------------------

exec 3>&1 # a check's own output is shown only when it fails

# strongSwan's IKEv1 loses a child SA whose quick mode it runs while it begins to re-authenticate: it
# moves the others to the new IKE SA at once, and this one goes with the old, without a word. For
# CHARON_EXTRA, so that its log says when and in which IKE SA.
ORPHAN_LOG='filelog { lab { ike_name = yes
  time_format = %s
  time_add_ms = yes } }'
ORPHAN_S=${ORPHAN_S:-35} # at most, until another child SA is there
ORPHAN_V2_S=7            # the same: what is left of its lifetime, a retransmission; close_action = start

# The child SAs of the connection "gw" that strongSwan made so by a quick mode of its own, a line each:
# time, child, IKE SA.
orphans() { # NAME
	awk '
	match($0, /<gw\|[0-9]+>/) { ike = substr($0, RSTART + 4, RLENGTH - 5) }
	/ESTABLISHED => REKEYING/ { # has no name in front
		match($0, /gw\[[0-9]+\]/)
		moved[substr($0, RSTART + 3, RLENGTH - 4)] = 1
	}
	/activating QUICK_MODE task/ { own[ike] = 1 }
	/generating QUICK_MODE response/ { own[ike] = 0 }
	/CHILD_SA lan\{[0-9]+\} established/ && moved[ike] && own[ike] {
		match($0, /lan\{[0-9]+\}/)
		print $1, substr($0, RSTART, RLENGTH), ike
	}' "$LAB_DIR/$1.charon.log"
}

# In IKEv2 the job that is to rekey a child SA may wait while its IKE SA is being rekeyed. It looks for
# the child SA in the old IKE SA then, which has given it to the new one, and ends: nobody rekeys that
# child SA any more, and it lives until its lifetime is over. A line each, as above.
orphans_v2() { # NAME
	awk '/CHILD_SA ESP.* not found for rekey/ { print $1, $4 }' "$LAB_DIR/$1.charon.log"
}

# What that end lost at another time than in the SECONDS after an orphan of strongSwan's.
stream_lost_else() { # STREAM END ORPHANS SECONDS
	awk -v seconds="$4" '
	NR == FNR { orphan[++n] = $1; next }
	$1 == "unanswered" {
		for (i = 1; i <= n && !($3 >= orphan[i] && $3 <= orphan[i] + seconds); i++)
			;
		if (i > n) print
	}' <("$3" "$1"; echo none) "$LAB_DIR/$1.$2.count"
}

# As stream_whole; STREAM is strongSwan's name too, and what its own orphans (ORPHANS is a function that
# lists them) cost, SECONDS of traffic each at the most, is excused but shown.
stream_whole_but() { # ORPHANS SECONDS STREAM END WANT
	stream_whole "$3" "$4" "$5" && return
	[ "$(stream_sent "$3" "$4")" -ge "$5" ] && [ -z "$(stream_lost_else "$3" "$4" "$1" "$2")" ] ||
		return
	{
		echo "excused, strongSwan dropped child SAs (time, child, IKE SA):"
		"$1" "$3"
		stream_whole "$3" "$4" "$5"
	} | sed 's/^/# /' >&3
}

stream_whole_but_orphans() { # STREAM END WANT
	stream_whole_but orphans "$ORPHAN_S" "$@"
}

stream_whole_but_orphans_v2() { # STREAM END WANT
	stream_whole_but orphans_v2 "$ORPHAN_V2_S" "$@"
}

# libipsec decrypts in a thread of its own: a packet that is still in its queue when another thread removes
# its SA is dropped, although it came in time. For CHARON_EXTRA, so that the log says so.
LATE_LOG='filelog { lab { esp = 2
  time_format = %s
  time_add_ms = yes } }'

# What NAME's libipsec dropped so, a line each: when.
late_esp() { # NAME
	awk '/inbound ESP packet does not belong to an installed SA/ { print $1 }' \
		"$LAB_DIR/$1.charon.log"
}

# As stream_whole, of both ends; STREAM is the client's name too. Each packet that its libipsec dropped so
# excuses one datagram, sent LATE_S before at the most, and is shown.
LATE_S=2 # a process that wants to run waits for a second on a loaded machine
stream_whole_but_late() { # STREAM WANT
	local end rc=0
	for end in here there; do
		stream_whole "$1" $end "$2" || rc=1
		[ "$(stream_sent "$1" $end)" -ge "$2" ] || return
	done
	[ $rc = 1 ] || return 0
	awk -v wait="$LATE_S" '
	FILENAME !~ /count$/ { late[++n] = $1; next }
	$1 == "unanswered" {
		for (i = 1; i <= n && !(late[i] >= $3 && late[i] <= $3 + wait); i++)
			;
		if (i > n) bad = 1
		late[i] = 0
	}
	END { exit bad }' <(late_esp "$1") "$LAB_DIR/$1".{here,there}.count || return
	{
		echo "excused, libipsec dropped packets of an SA that it had removed meanwhile, at:"
		late_esp "$1"
		stream_whole "$1" here "$2"
		stream_whole "$1" there "$2"
	} | sed 's/^/# /' >&3
}

# --- IKE on the outside port ---------------------------------------------------------------------

IKE_FILTER='udp port 500 or (udp port 4500 and udp[8:4] = 0)' # what is not ESP

# All of IKE on the outside port from now on, until ike_capture_end.
ike_capture() {
	# -P: pcap, readable as far as it has got
	nsenter --net="/run/netns/$LAB-out" -- dumpcap -q -P -i sp-outside -f "$IKE_FILTER" \
		-w "$LAB_DIR/ike.pcap" >"$LAB_DIR/dumpcap.log" 2>&1 &
	CAPTURE_PID=$!
	LAB_PIDS+=("$!")
	within 10 grep -qs "^File:" "$LAB_DIR/dumpcap.log"
}

# True if not one packet was missed.
ike_capture_end() {
	kill -INT "$CAPTURE_PID"
	wait "$CAPTURE_PID"
	grep -E "received/dropped on interface.*: [0-9]+/0 " "$LAB_DIR/dumpcap.log" ||
		{ cat "$LAB_DIR/dumpcap.log" && return 1; }
}

# One line for each exchange that was begun: time, who began ("gw" or the peer's address), the peer,
# the exchange type, how many messages the other side sent in it, and the key. IKEv2's by the response
# flag; IKEv1's by who sent the first message of this cookie (phase 1) or message id.
ike_exchanges() {
	tshark -r "$LAB_DIR/ike.pcap" -T fields -e frame.time_epoch -e ip.src -e ip.dst -e isakmp.version \
		-e isakmp.ispi -e isakmp.rspi -e isakmp.exchangetype -e isakmp.flags -e isakmp.messageid \
		2>"$LAB_DIR/tshark.log" | awk -F '\t' '
	BEGIN { for (i = 0; i < 16; i++) hex[substr("0123456789abcdef", i + 1, 1)] = i }
	function response(flags) { return hex[substr(flags, length(flags) - 1, 1)] % 4 >= 2 }
	$7 == "" { next } # not IKE
	{
		from = $2 == "192.0.2.1" ? "gw" : $2
		peer = from == "gw" ? $3 : $2
		if ($4 ~ /^0x20|^2/) {
			by = response($8) ? "answer" : "request"
			# each side counts its requests from 0
			key = $5 " " $7 " " $9 " " ((from == "gw") == (by == "request") ? "gw" : peer)
			if ($7 == 34) key = $5 " 34" # with cookies and another group again
		} else {
			key = ($7 == 2 || $7 == 4) ? $5 " " $7 : $5 " " $6 " " $7 " " $9
			by = !(key in began) || who[key] == from ? "request" : "answer"
		}
		if (by == "request" && !(key in began)) {
			began[key] = $1; who[key] = from; of[key] = peer; type[key] = $7; order[++n] = key
		} else if (by == "answer" && key in began) answers[key]++
	}
	END {
		for (i = 1; i <= n; i++) {
			k = order[i]
			print began[k], who[k], of[k], type[k], answers[k] + 0, k
		}
	}'
}

# Those that set up or rekey something: IKE_SA_INIT, CREATE_CHILD_SA; main, aggressive, quick mode.
IKE_NEGOTIATIONS='($4 == 34 || $4 == 36 || $4 == 2 || $4 == 4 || $4 == 32)'

# How many negotiations with PEER's address WHO began; by_type: one type alone.
ike_begun() { # WHO PEER [TYPE]
	awk -v who="$1" -v peer="$2" -v type="${3-}" \
		"$IKE_NEGOTIATIONS"' && $2 == who && $3 == peer && (type == "" || $4 == type) { n++ }
		END { print n + 0 }' "$LAB_DIR/exchanges"
}

# Negotiations that PEER began and that got no answer within the capture, its last two seconds aside.
ike_unanswered() { # PEER
	local end
	end=$(tail -n 1 "$LAB_DIR/exchanges" | cut -d' ' -f1)
	awk -v peer="$1" -v end="$end" "$IKE_NEGOTIATIONS"' && $2 == peer && $5 == 0 && $1 < end - 2' \
		"$LAB_DIR/exchanges"
}

# --- when ----------------------------------------------------------------------------------------

# When the headend logged the last line with TEXT, in seconds since 1970.
gw_logged() { # TEXT
	local stamp
	stamp=$(grep -F "$1" "$LAB_DIR/sallyportd.log" | tail -n 1 | cut -d' ' -f1)
	[ -n "$stamp" ] && date -d "$stamp" +%s.%3N
}
