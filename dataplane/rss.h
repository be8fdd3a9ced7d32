// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which queue a NIC gives a packet to: the Toeplitz hash (rte_softrss) of what the port hashes, by
// its redirection table. And whether it really did. Control thread.
#pragma once

#include "dataplane/dp.h"

// Hash inputs as a NIC takes them from a received packet: addresses and ports in wire order, src
// the sender's. key: at least 40 bytes, 4-byte aligned.
uint32_t rss_hash_dst(const uint8_t *key, const struct ip_addr *dst);
uint32_t rss_hash_addrs(const uint8_t *key, const struct ip_addr *src, const struct ip_addr *dst);
uint32_t rss_hash_ports(const uint8_t *key, const struct endpoint *src, const struct endpoint *dst);
uint32_t rss_hash_spi(const uint8_t *key, uint32_t spi);

// Look at what the workers have seen of each port's first packets (dp_rss_watch()), once a second. A
// port that contradicts the predictor is believed no more, which is logged: addresses and SPIs are then
// given to workers as where no NIC spreads, and an encapsulated peer's to the one that its IKE came to.
// Where the NIC delivers its hashes, the key that it really uses is found from them and predicted with.
void rss_judge(struct dp *d);
