// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// pcapng as it is written, read back block by block; and by libpcap, which did not write it.
#include "tests/cmocka_all.h"

#include "app/cli.h"
#include "app/pcapng.h"

#include <pcap/pcap.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t at32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
	return v;
}

static uint8_t *written(size_t *len)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5};
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	pcapng_begin(out, "test");
	pcapng_interface(out, PCAPNG_ETHERNET, "outside");
	pcapng_packet(out, &(struct pcapng_packet){.interface = 0,
				   .unix_ns = 0x123456789abcdefull,
				   .len = 77,
				   .bytes = {bytes, sizeof(bytes)},
				   .comment = "why"});
	fclose(out);
	return (uint8_t *)text;
}

// Each block has its length at both ends, in fours.
static void blocks(void **state)
{
	(void)state;
	static const uint32_t types[] = {0x0a0d0d0a, 1, 6};
	size_t len, at = 0;
	uint8_t *b = written(&len);
	for (size_t i = 0; i < 3; i++) {
		assert_true(at + 12 <= len);
		uint32_t n = at32(b + at + 4);
		assert_int_equal(at32(b + at), types[i]);
		assert_int_equal(n % 4, 0);
		assert_true(at + n <= len);
		assert_int_equal(at32(b + at + n - 4), n);
		if (i < 2)
			at += n;
	}
	const uint8_t *p = b + at;
	assert_int_equal(at32(p + 8), 0);
	assert_int_equal(at32(p + 12), 0x1234567);
	assert_int_equal(at32(p + 16), 0x89abcdef);
	assert_int_equal(at32(p + 20), 5);
	assert_int_equal(at32(p + 24), 77);
	assert_memory_equal(p + 28, "\1\2\3\4\5\0\0\0", 8);
	assert_memory_equal(p + 36, "\1\0\3\0why\0", 8);
	free(b);
}

static void saved_and_read(void **state)
{
	(void)state;
	char path[] = "/tmp/test_pcapng_XXXXXX", error[PCAP_ERRBUF_SIZE];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	json_t *rows = json_loads("[{\"packet\":1,\"worker\":0,\"time_ns\":1700000000123456789,"
				  "\"stage\":\"rx\",\"length\":20,\"port\":\"outside\","
				  "\"framed\":true,\"bytes\":\"0102fF\"},"
				  "{\"packet\":1,\"framed\":false}]",
		0, NULL);
	assert_non_null(rows);
	// What is there is never written over.
	FILE *devnull = fopen("/dev/null", "w");
	assert_false(cli_trace_save(rows, path, devnull));
	unlink(path);
	assert_true(cli_trace_save(rows, path, stderr));
	pcap_t *p =
		pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
	assert_non_null(p);
	assert_int_equal(pcap_datalink(p), DLT_EN10MB);
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	assert_int_equal(pcap_next_ex(p, &h, &bytes), 1);
	assert_int_equal(h->caplen, 3);
	assert_int_equal(h->len, 20);
	assert_int_equal(h->ts.tv_sec, 1700000000);
	assert_int_equal(h->ts.tv_usec, 123456789);
	assert_memory_equal(bytes, "\1\2\377", 3);
	assert_int_equal(pcap_next_ex(p, &h, &bytes), PCAP_ERROR_BREAK);
	pcap_close(p);
	fclose(devnull);
	json_decref(rows);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks), cmocka_unit_test(saved_and_read)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
