#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Numbered datagrams between two ends of a tunnel, each answered by the other end: what ping does, at
# an exact rate, and it says which number was lost, when, and whether on the way there or back.
#
#   count.py run FROM TO SECONDS RATE   one end; prints what it sent, heard and got answered
#   count.py report END OTHER-END       END's losses, from both ends' output; exit status 1 if any
#
# INT ends the sending early. An end goes on answering for LINGER seconds after its last datagram.
import errno
import select
import signal
import socket
import struct
import sys
import time

PORT = 7000  # and the bytes of both addresses: one end may have several others
LINGER = 4.0
LATE = 0.1  # an end that was held up for so long does not catch up: that would be a burst
FORM = struct.Struct("!cI59x")  # kind, number: 64 bytes
REQUEST, ANSWER, HELLO = b"Q", b"A", b"H"
HELLO_WAIT = 30.0


class End:
    def __init__(self, own, peer):
        self.sent = []  # when, by number
        self.answered = set()
        self.heard = set()
        self.repeated = 0
        self.errors = {}
        self.peer_listens = False
        port = PORT + sum(sum(socket.inet_aton(a)) for a in (own, peer))
        self.peer = (peer, port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((own, port))
        self.socket.setblocking(False)

    def put(self, kind, number):
        try:
            self.socket.sendto(FORM.pack(kind, number), self.peer)
        except OSError as e:
            name = errno.errorcode.get(e.errno, str(e.errno))
            self.errors[name] = self.errors.get(name, 0) + 1

    def get(self):
        try:
            data, peer = self.socket.recvfrom(2048)
        except OSError:  # an ICMP error is none of a datagram's
            return
        if peer != self.peer or len(data) != FORM.size:
            return
        self.peer_listens = True
        kind, number = FORM.unpack(data)
        if kind == HELLO:
            return
        seen = self.heard if kind == REQUEST else self.answered
        self.repeated += number in seen
        seen.add(number)
        if kind == REQUEST:
            self.put(ANSWER, number)

    def receive_until(self, when):
        while True:
            left = when - time.monotonic()
            if not select.select([self.socket], [], [], max(left, 0))[0]:
                return
            self.get()
            if left <= 0:
                return

    def request(self):
        self.sent.append(time.time())
        self.put(REQUEST, len(self.sent))

    # Nothing is counted before the other end listens too.
    def meet(self):
        end = time.monotonic() + HELLO_WAIT
        while not self.peer_listens and time.monotonic() < end:
            self.put(HELLO, 0)
            self.receive_until(time.monotonic() + 0.05)
        self.errors = {}

    def send_all(self, seconds, rate, ended):
        due, end = time.monotonic(), time.monotonic() + seconds
        while due < end and not ended:
            self.request()
            due += 1.0 / rate
            if time.monotonic() > due + LATE:
                due = time.monotonic()
            self.receive_until(due)


def ranges(numbers):
    out = []
    for n in sorted(numbers):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return out


def text(numbers):
    return ",".join("%d-%d" % (a, b) for a, b in ranges(numbers))


def run(own, peer, seconds, rate):
    end, ended = End(own, peer), []
    signal.signal(signal.SIGINT, lambda *_: ended.append(1))
    end.meet()
    print("met", flush=True)
    end.send_all(float(seconds), float(rate), ended)
    last = time.time()
    end.receive_until(time.monotonic() + LINGER)
    print("sent", len(end.sent))
    print("ended %.3f" % last)
    print("answered", text(end.answered))
    print("heard", text(end.heard))
    print("repeated", end.repeated)
    for name in end.errors:
        print("error", name, end.errors[name])
    for n, when in enumerate(end.sent, 1):
        if n not in end.answered:
            print("unanswered", n, "%.3f" % when)
    sys.stdout.flush()
    return 0


def read(path):
    facts = {"unanswered": [], "error": [], "heard": "", "sent": "0"}
    with open(path) as f:
        for line in f:
            key, _, value = line.strip().partition(" ")
            if isinstance(facts.get(key), list):
                facts[key].append(value.split())
            else:
                facts[key] = value
    return facts


def holds(spans, n):
    return any(int(a) <= n <= int(b) for a, b in (s.split("-") for s in spans.split(",") if s))


# Losses in runs, each with which way and when.
def report(path, other):
    end, far = read(path), read(other)
    lost = [
        (int(n), "answer" if holds(far["heard"], int(n)) else "request", float(when))
        for n, when in end["unanswered"]
    ]
    print("sent %s, lost %d" % (end["sent"], len(lost)))
    for name, count in end["error"]:
        print("sending failed %s times: %s" % (count, name))
    run_of = None
    for n, way, when in lost + [(None, None, None)]:
        if run_of and n == run_of[1] + 1 and way == run_of[2]:
            run_of[1], run_of[4] = n, when
            continue
        if run_of:
            print("%d-%d: %s lost, sent from %.3f to %.3f" % tuple(run_of))
        run_of = [n, n, way, when, when]
    return 1 if lost or end["sent"] == "0" else 0


if __name__ == "__main__":
    sys.exit({"run": run, "report": report}[sys.argv[1]](*sys.argv[2:]))
