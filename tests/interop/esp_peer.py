#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A peer whose ESP is scapy's: pings through the tunnel that tests/dataplane/esp_host.c holds, and
# checks what comes back. Keys follow that file's rule.
# usage: esp_peer.py CIPHER KEY-BYTES INTEG INTEG-BYTES ESN SPI GATEWAY-MAC
import copy
import random
import sys

from scapy.all import ESP, ICMP, IP, AsyncSniffer, Ether, Raw, conf, sendp
from scapy.layers.ipsec import SecurityAssociation

OUTER, GATEWAY = "192.0.2.11", "192.0.2.1"
INNER, TARGET = "171.72.1.7", "10.99.0.10"
SPI_BACK = 0x5A5A0001
SIZES = list(range(0, 70)) + [100, 255, 256, 1000, 1300, 1380]
PORTION = 8  # packets that a socket has room for, with their answers, before anybody reads
ANSWER_S = 30  # on a loaded machine

conf.verb = 0


class HighBits:
    """A MAC with ESN's high bits behind what it covers (RFC 4303 2.2.1), which scapy leaves out."""

    def __init__(self, mac):
        self.mac = mac
        self.update = mac.update

    def finalize(self):
        self.mac.update(bytes(4))
        return self.mac.finalize()


def key(length, first):
    return bytes((first + i) & 0xFF for i in range(length))


def association(spi, first, source, target):
    esn = {"esn_en": True, "esn": 0} if ESN else {}
    sa = SecurityAssociation(
        ESP, spi=spi, crypt_algo=CIPHER, crypt_key=key(KEY_LEN, first),
        auth_algo=INTEG, auth_key=key(INTEG_LEN, first + 0x80) if INTEG else None,
        tunnel_header=IP(src=source, dst=target), **esn,
    )
    if ESN and INTEG:
        sa.auth_algo = copy.copy(sa.auth_algo)
        plain = sa.auth_algo.new_mac
        sa.auth_algo.new_mac = lambda k: HighBits(plain(k))
    return sa


def collect(packets, count, seconds):
    """What the headend sends back for these packets."""
    sniffer = AsyncSniffer(
        iface="eth0", count=count, timeout=seconds,
        lfilter=lambda p: p.haslayer(ESP) and p[IP].src == GATEWAY,
        started_callback=lambda: sendp(
            [Ether(dst=MAC) / p for p in packets], iface="eth0", inter=0.002),
    )
    sniffer.start()
    sniffer.join()
    return [IP(bytes(p[IP])) for p in sniffer.results or []]


def exchange():
    """Echo requests of all sizes; what is wrong with the replies after decryption, or None."""
    bodies = {n: random.randbytes(size) for n, size in enumerate(SIZES, 1)}
    pings = [IP(src=INNER, dst=TARGET) / ICMP(id=77, seq=n) / Raw(b) for n, b in bodies.items()]
    packets = [OUT.encrypt(p) for p in pings]
    replies = []
    # The sniffer reads only after all of a portion were sent.
    for i in range(0, len(packets), PORTION):
        portion = packets[i : i + PORTION]
        replies += collect(portion, len(portion), ANSWER_S)
    if len(replies) != len(SIZES):
        got = {IP(bytes(BACK.decrypt(r)))[ICMP].seq for r in replies}
        return f"{len(replies)} of {len(SIZES)} came back, not {sorted(set(bodies) - got)}"
    for n, outer in enumerate(replies, 1):
        if outer[ESP].spi != SPI_BACK:
            return f"SPI {outer[ESP].spi:#x}"
        if outer[ESP].seq != n:
            return f"sequence number {outer[ESP].seq}, want {n}"
        inner = IP(bytes(BACK.decrypt(outer)))
        if (inner.src, inner.dst) != (TARGET, INNER) or inner[ICMP].type != 0:
            return f"inner packet {inner.summary()}"
        if bytes(inner[ICMP].payload) != bodies.pop(inner[ICMP].seq, None):
            return f"another body in reply {n}"
    return None


def silent(packet):
    return not collect([packet], 1, 0.5)


def answered(packet):
    return len(collect([packet], 1, ANSWER_S)) == 1


def hostile():
    ping = IP(src=INNER, dst=TARGET) / ICMP(id=78, seq=1) / Raw(b"x" * 40)
    good = OUT.encrypt(ping)
    octets = bytearray(bytes(good))
    octets[-1] ^= 1
    if not silent(IP(bytes(octets))):
        return "a packet with a wrong ICV was taken"
    octets = bytearray(bytes(good))
    octets[40] ^= 1
    if not silent(IP(bytes(octets))):
        return "a packet with a changed body was taken"
    if not answered(good):
        return "the unchanged packet was not taken"
    if not silent(good):
        return "a replay was taken"
    forged = IP(src="171.72.1.8", dst=TARGET) / ICMP(id=78, seq=2)
    if not silent(OUT.encrypt(forged)):
        return "an inner source outside the selector was taken"
    return None


CIPHER, KEY_LEN = sys.argv[1], int(sys.argv[2])
INTEG = None if sys.argv[3] == "none" else sys.argv[3]
INTEG_LEN, ESN = int(sys.argv[4]), sys.argv[5] == "1"
MAC = sys.argv[7]
OUT = association(int(sys.argv[6], 16), 0x00, OUTER, GATEWAY)
BACK = association(SPI_BACK, 0x40, GATEWAY, OUTER)

wrong = exchange() or hostile()
if wrong:
    sys.exit(wrong)
print(f"{len(SIZES)} packets there and back")
