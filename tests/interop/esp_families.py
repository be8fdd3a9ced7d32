#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A peer whose ESP is scapy's, for one family outside and one inside: echo requests through the tunnel
# that tests/dataplane/esp_host.c holds, and what comes back. Keys follow that file's rule.
# usage: esp_families.py SUITE ESN PEER GATEWAY UDP-PORT SPI INNER-FAMILY
import copy
import random
import sys

from scapy.all import (
    ESP, ICMP, IP, UDP, AsyncSniffer, Ether, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, Raw, conf,
    sendp,
)
from scapy.layers.ipsec import SecurityAssociation

MAC = "02:00:00:00:01:01"
SPI_BACK = 0x5A5A0001
SUITES = {  # cipher, bytes of its key and salt, integrity, bytes of its key
    "aes192gcm16": ("AES-GCM", 28, None, 0),
    "aes192-sha384": ("AES-CBC", 24, "SHA2-384-192", 48),
    "aes256ctr-sha256": ("AES-CTR", 36, "SHA2-256-128", 32),
    "null-sha512": ("NULL", 0, "SHA2-512-256", 64),
}
INNER = {"4": ("171.72.1.7", "10.99.0.10"), "6": ("2001:db8:77::7", "2001:db8:99::10")}
SIZES = list(range(0, 34)) + [100, 255, 256, 1000, 1300]
PORTION = 8  # packets that a socket has room for, with their answers, before anybody reads
ANSWER_S = 30  # on a loaded machine
TOS = 0xB8  # expedited forwarding, Not-ECT

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


def association(spi, first, outer, udp):
    cipher, length, integ, integ_length = SUITES[SUITE]
    sa = SecurityAssociation(
        ESP, spi=spi, crypt_algo=cipher, crypt_key=key(length, first), auth_algo=integ,
        auth_key=key(integ_length, first + 0x80) if integ else None, tunnel_header=outer,
        nat_t_header=udp, **({"esn_en": True, "esn": 0} if ESN else {}),
    )
    if ESN and integ:
        sa.auth_algo = copy.copy(sa.auth_algo)
        plain = sa.auth_algo.new_mac
        sa.auth_algo.new_mac = lambda k: HighBits(plain(k))
    return sa


def outer_header(source, destination):
    if ":" in source:
        return IPv6(src=source, dst=destination)
    return IP(src=source, dst=destination)


def echo(number, body, source=None):
    if FAMILY == "4":
        return IP(src=source or HERE, dst=THERE, tos=TOS) / ICMP(id=77, seq=number) / Raw(body)
    return IPv6(src=source or HERE, dst=THERE, tc=TOS) / ICMPv6EchoRequest(
        id=77, seq=number, data=body)


def sealed(packet):
    """Through the tunnel. In IPv4 scapy counts UDP's length without what it carries."""
    packet = OUT.encrypt(packet)
    if PORT:
        packet[UDP].len = len(packet[UDP])
    return packet


def collect(packets, count, seconds):
    """What the headend sends back for these packets."""
    sniffer = AsyncSniffer(
        iface="eth0", count=count, timeout=seconds,
        lfilter=lambda p: p.haslayer(ESP) and p.haslayer(OUTER) and p[OUTER].src == GATEWAY,
        started_callback=lambda: sendp(
            [Ether(dst=MAC) / p for p in packets], iface="eth0", inter=0.002),
    )
    sniffer.start()
    sniffer.join()
    return [OUTER(bytes(p[OUTER])) for p in sniffer.results or []]


def wrong_outside(packet, number):
    """What is wrong with a packet before it is decrypted, or None."""
    if packet[ESP].spi != SPI_BACK or packet[ESP].seq != number:
        return f"SPI {packet[ESP].spi:#x}, sequence number {packet[ESP].seq}, not {number}"
    if PORT and (packet[UDP].sport, packet[UDP].dport) != (4500, PORT):
        return f"UDP ports {packet[UDP].sport} and {packet[UDP].dport}"
    if not PORT and packet.haslayer(UDP):
        return "it is in UDP"
    if (packet.tc if OUTER is IPv6 else packet.tos) != TOS:
        return "the DSCP was not copied"
    if PORT and OUTER is IP and packet[UDP].chksum != 0:
        return "a UDP checksum"
    if PORT and OUTER is IPv6:
        again = OUTER(bytes(packet))
        del again[UDP].chksum
        if OUTER(bytes(again))[UDP].chksum != packet[UDP].chksum:
            return f"UDP checksum {packet[UDP].chksum:#x}"
    return None


def wrong_inside(packet, bodies):
    """What is wrong with a packet after it was decrypted; takes its body out of bodies."""
    if (packet.src, packet.dst) != (THERE, HERE):
        return f"inner packet {packet.summary()}"
    if FAMILY == "4":
        reply, body = packet[ICMP], bytes(packet[ICMP].payload)
        right = reply.type == 0
    else:
        reply = packet[ICMPv6EchoReply]
        body, right = bytes(reply.data), True
    if not right or body != bodies.pop(reply.seq, None):
        return f"no reply that was asked for, or another body: {packet.summary()}"
    return None


def exchange():
    """Echo requests of all sizes; what is wrong with the replies, or None."""
    bodies = {n: random.randbytes(size) for n, size in enumerate(SIZES, 1)}
    packets = [sealed(echo(n, body)) for n, body in bodies.items()]
    replies = []
    # The sniffer reads only after all of a portion were sent.
    for i in range(0, len(packets), PORTION):
        portion = packets[i : i + PORTION]
        replies += collect(portion, len(portion), ANSWER_S)
    if len(replies) != len(SIZES):
        return f"{len(replies)} of {len(SIZES)} came back"
    first = replies[0][ESP].seq
    for n, packet in enumerate(replies):
        wrong = wrong_outside(packet, first + n)
        wrong = wrong or wrong_inside(BACK.decrypt(packet), bodies)
        if wrong:
            return f"reply {n}: {wrong}"
    return None


def silent(packet):
    return not collect([packet], 1, 0.5)


def answered(packet):
    return len(collect([packet], 1, ANSWER_S)) == 1


def hostile():
    good = sealed(echo(1, b"x" * 40))
    octets = bytearray(bytes(good))
    octets[-1] ^= 1
    if not silent(OUTER(bytes(octets))):
        return "a packet with a wrong ICV was taken"
    if not answered(good):
        return "the unchanged packet was not taken"
    if not silent(good):
        return "a replay was taken"
    forged = "171.72.1.8" if FAMILY == "4" else "2001:db8:77::8"
    if not silent(sealed(echo(2, b"", forged))):
        return "an inner source outside the selector was taken"
    if not answered(claimed(3, {"4": 4, "6": 41}[FAMILY])):
        return "a packet with the right next header was not taken"
    if not silent(claimed(4, {"4": 41, "6": 4}[FAMILY])):
        return "a packet whose next header names the other family was taken"
    return None


def claimed(number, next_header):
    """An echo request in the tunnel whose ESP trailer has that next header."""
    tunnel = outer_header(PEER, GATEWAY)
    setattr(tunnel, "nh" if OUTER is IPv6 else "proto", next_header)
    OUT.tunnel_header = None  # it has its tunnel already
    return sealed(OUTER(bytes(tunnel / Raw(bytes(echo(number, b"x" * 40))))))


SUITE, ESN, PEER, GATEWAY = sys.argv[1], sys.argv[2] == "1", sys.argv[3], sys.argv[4]
PORT, FAMILY = int(sys.argv[5]), sys.argv[7]
HERE, THERE = INNER[FAMILY]
OUTER = IPv6 if ":" in PEER else IP
OUT = association(
    int(sys.argv[6], 16), 0x00, outer_header(PEER, GATEWAY),
    UDP(sport=PORT, dport=4500) if PORT else None)
BACK = association(
    SPI_BACK, 0x40, outer_header(GATEWAY, PEER), UDP(sport=4500, dport=PORT) if PORT else None)
# The one before, for the other family, used the numbers below.
OUT.seq_num = 1 if FAMILY == "4" else 1000

wrong = exchange() or hostile()
if wrong:
    sys.exit(wrong)
print(f"{len(SIZES)} packets there and back")
