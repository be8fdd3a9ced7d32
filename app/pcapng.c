// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/pcapng.h"

#include <string.h>

// Block and option types.
enum { SECTION = 0x0a0d0d0a, INTERFACE = 1, ENHANCED_PACKET = 6 };
enum { OPT_END = 0, OPT_COMMENT = 1, SHB_APPLICATION = 4, IF_NAME = 2, IF_TIME_RESOLUTION = 9 };

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define NANOSECONDS      9 // 10^-9
#define TEXT_MAX         1024

static uint32_t padded(size_t len)
{
	return (uint32_t)((len + 3) & ~(size_t)3);
}

// In the order of this machine, as the magic says.
static void put32(FILE *out, uint32_t v)
{
	fwrite(&v, sizeof(v), 1, out);
}

static void put16(FILE *out, uint16_t v)
{
	fwrite(&v, sizeof(v), 1, out);
}

static void put_padded(FILE *out, const void *p, size_t len)
{
	static const uint8_t zero[4];
	fwrite(p, 1, len, out);
	fwrite(zero, 1, padded(len) - len, out);
}

static size_t text_len(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	return n < TEXT_MAX ? n : TEXT_MAX;
}

static uint32_t option_size(size_t len)
{
	return len ? 4 + padded(len) : 0;
}

static void put_option(FILE *out, uint16_t type, const void *p, size_t len)
{
	if (!len)
		return;
	put16(out, type);
	put16(out, (uint16_t)len);
	put_padded(out, p, len);
}

static void put_end(FILE *out, uint32_t block_len)
{
	put32(out, OPT_END);
	put32(out, block_len);
}

void pcapng_begin(FILE *out, const char *application)
{
	size_t n = text_len(application);
	uint32_t len = 12 + 16 + option_size(n) + 4;
	put32(out, SECTION);
	put32(out, len);
	put32(out, BYTE_ORDER_MAGIC);
	put16(out, 1);
	put16(out, 0);
	put32(out, UINT32_MAX); // length of the section: not told
	put32(out, UINT32_MAX);
	put_option(out, SHB_APPLICATION, application, n);
	put_end(out, len);
}

void pcapng_interface(FILE *out, enum pcapng_link link, const char *name)
{
	static const uint8_t resolution = NANOSECONDS;
	size_t n = text_len(name);
	uint32_t len = 12 + 8 + option_size(n) + option_size(1) + 4;
	put32(out, INTERFACE);
	put32(out, len);
	put16(out, (uint16_t)link);
	put16(out, 0);
	put32(out, 0); // no limit
	put_option(out, IF_NAME, name, n);
	put_option(out, IF_TIME_RESOLUTION, &resolution, 1);
	put_end(out, len);
}

void pcapng_packet(FILE *out, const struct pcapng_packet *p)
{
	size_t n = text_len(p->comment);
	uint32_t len = 12 + 20 + padded(p->bytes.len) + option_size(n) + 4;
	put32(out, ENHANCED_PACKET);
	put32(out, len);
	put32(out, p->interface);
	put32(out, (uint32_t)(p->unix_ns >> 32));
	put32(out, (uint32_t)p->unix_ns);
	put32(out, (uint32_t)p->bytes.len);
	put32(out, p->len);
	put_padded(out, p->bytes.p, p->bytes.len);
	put_option(out, OPT_COMMENT, p->comment, n);
	put_end(out, len);
}
