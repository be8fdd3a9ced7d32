#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A peer whose transport mode is scapy's: echo requests to the gateway that
# tests/dataplane/esp_host.c is, and what comes back. Keys follow that file's rule.
# usage: esp_transport.py SUITE ESN PEER GATEWAY UDP-PORT SPI
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
    "aes256ccm16": ("AES-CCM", 35, None, 0),
    "aes192ctr-sha1": ("AES-CTR", 28, "HMAC-SHA1-96", 20),
    "chacha20poly1305": ("CHACHA20-POLY1305", 36, None, 0),
    "3des-md5": ("3DES", 24, "HMAC-MD5-96", 16),
}
SIZES = list(range(0, 34)) + [100, 255, 256, 1000, 1200]
PORTION = 8  # packets that a socket has room for, with their answers, before anybody reads
ANSWER_S = 30  # on a loaded machine

conf.verb = 0


def key(length, first):
    return bytes((first + i) & 0xFF for i in range(length))


def association(spi, first, udp):
    cipher, length, integ, integ_length = SUITES[SUITE]
    return SecurityAssociation(
        ESP, spi=spi, crypt_algo=cipher, crypt_key=key(length, first), auth_algo=integ,
        auth_key=key(integ_length, first + 0x80) if integ else None, nat_t_header=udp,
        **({"esn_en": True, "esn": 0} if ESN else {}),
    )


def echo(number, body):
    if OUTER is IP:
        return IP(src=PEER, dst=GATEWAY) / ICMP(id=77, seq=number) / Raw(body)
    return IPv6(src=PEER, dst=GATEWAY) / ICMPv6EchoRequest(id=77, seq=number, data=body)


def sealed(packet):
    """In IPv4 scapy counts UDP's length without what it carries."""
    packet = OUT.encrypt(OUTER(bytes(packet)))
    if PORT:
        packet[UDP].len = len(packet[UDP])
    return packet


def collect(packets, count, seconds):
    """What the headend sends back for these packets."""
    sniffer = AsyncSniffer(
        iface="eth0", count=count, timeout=seconds,
        lfilter=lambda p: p.haslayer(OUTER) and p[OUTER].src == GATEWAY
        and (p.haslayer(ESP) or p.haslayer(ICMP) or p.haslayer(ICMPv6EchoReply)),
        started_callback=lambda: sendp(
            [Ether(dst=MAC) / p for p in packets], iface="eth0", inter=0.002),
    )
    sniffer.start()
    sniffer.join()
    return [OUTER(bytes(p[OUTER])) for p in sniffer.results or []]


def bare(packet):
    """Without UDP, which scapy leaves between IPv6 and what it decrypts."""
    if PORT and OUTER is IPv6:
        return IPv6(bytes(IPv6(src=packet.src, dst=packet.dst, nh=50) / Raw(bytes(packet[ESP]))))
    return packet


def wrong_reply(packet, number, bodies):
    """What is wrong with a packet; takes its body out of bodies."""
    if not packet.haslayer(ESP):
        return "it is in clear"
    if packet[ESP].spi != SPI_BACK or packet[ESP].seq != number:
        return f"SPI {packet[ESP].spi:#x}, sequence number {packet[ESP].seq}, not {number}"
    if packet.haslayer(UDP) != bool(PORT):
        return "its encapsulation"
    if PORT and (packet[UDP].sport, packet[UDP].dport) != (4500, PORT):
        return f"UDP ports {packet[UDP].sport} and {packet[UDP].dport}"
    plain = BACK.decrypt(bare(packet))
    if (plain.src, plain.dst) != (GATEWAY, PEER):
        return f"it says {plain.summary()}"
    reply = plain[ICMP] if OUTER is IP else plain[ICMPv6EchoReply]
    body = bytes(reply.payload) if OUTER is IP else bytes(reply.data)
    again = OUTER(bytes(plain))
    layer = again[ICMP] if OUTER is IP else again[ICMPv6EchoReply]
    said = layer.chksum if OUTER is IP else layer.cksum
    if OUTER is IP:
        del layer.chksum
        right = OUTER(bytes(again))[ICMP].chksum
    else:
        del layer.cksum
        right = OUTER(bytes(again))[ICMPv6EchoReply].cksum
    if said != right:
        return f"checksum {said:#x}, not {right:#x}"
    if body != bodies.pop(reply.seq, None):
        return "another body"
    return None


def exchange():
    """Echo requests of all sizes; what is wrong with the replies, or None."""
    bodies = {n: random.randbytes(size) for n, size in enumerate(SIZES, 1)}
    packets = [sealed(echo(n, body)) for n, body in bodies.items()]
    # Until the headend knows our MAC address only some replies wait.
    if len(collect([sealed(echo(99, b""))], 1, ANSWER_S)) != 1:
        return "no reply to the first one"
    replies = []
    # The sniffer reads only after all of a portion were sent.
    for i in range(0, len(packets), PORTION):
        portion = packets[i : i + PORTION]
        replies += collect(portion, len(portion), ANSWER_S)
    if len(replies) != len(SIZES):
        return f"{len(replies)} of {len(SIZES)} came back"
    for n, packet in enumerate(replies, 2):
        wrong = wrong_reply(packet, n, bodies)
        if wrong:
            return f"reply {n}: {wrong}"
    return None


def silent(packet):
    return not collect([packet], 1, 0.5)


def answered(packet):
    return len(collect([packet], 1, ANSWER_S)) == 1


def hostile():
    good = sealed(echo(100, b"x" * 40))
    octets = bytearray(bytes(good))
    octets[-1] ^= 1
    if not silent(OUTER(bytes(octets))):
        return "a packet with a wrong ICV was taken"
    if not answered(good):
        return "the unchanged packet was not taken"
    if not silent(good):
        return "a replay was taken"
    if not silent(OUTER(bytes(echo(101, b"y")))):
        return "a clear packet was answered"
    return None


SUITE, ESN, PEER, GATEWAY = sys.argv[1], sys.argv[2] == "1", sys.argv[3], sys.argv[4]
PORT = int(sys.argv[5])
OUTER = IPv6 if ":" in PEER else IP
OUT = association(int(sys.argv[6], 16), 0x00, UDP(sport=PORT, dport=4500) if PORT else None)
BACK = association(SPI_BACK, 0x40, UDP(sport=4500, dport=PORT) if PORT else None)

wrong = exchange() or hostile()
if wrong:
    sys.exit(wrong)
print(f"{len(SIZES)} packets there and back")
