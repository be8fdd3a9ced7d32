// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "base/cursor.h"

static void failed_read_consumes_nothing(void **state)
{
	uint8_t bytes[3] = {1, 2, 3};
	struct rd r = rd_of(bytes, sizeof(bytes));
	uint32_t v32;
	uint16_t v16;
	uint8_t v8 = 0;
	(void)state;
	assert_false(rd_u32(&r, &v32));
	assert_int_equal(rd_left(&r), 3);
	assert_true(rd_u16(&r, &v16) && rd_u8(&r, &v8));
	assert_int_equal(v16, 0x0102);
	assert_int_equal(v8, 3);
	assert_true(rd_empty(&r));
	assert_false(rd_u8(&r, &v8));
	struct view v;
	assert_true(rd_bytes(&r, 0, &v));
	assert_false(rd_bytes(&r, SIZE_MAX, &v));
}

static void sub_reader_is_bounded(void **state)
{
	uint8_t bytes[6] = {0, 2, 9, 9, 7, 7};
	struct rd r = rd_of(bytes, sizeof(bytes)), sub;
	uint16_t len;
	uint8_t b;
	(void)state;
	assert_true(rd_u16(&r, &len) && rd_sub(&r, len, &sub));
	assert_true(rd_u8(&sub, &b) && rd_u8(&sub, &b) && rd_empty(&sub));
	assert_int_equal(rd_left(&r), 2);
	assert_false(rd_sub(&r, 3, &sub));
}

static void overflow_is_sticky(void **state)
{
	uint8_t buf[5];
	struct wr w = wr_of(buf, sizeof(buf));
	(void)state;
	wr_u32(&w, 0x01020304);
	wr_u16(&w, 0x0506);
	assert_true(w.overflow);
	wr_u8(&w, 7);
	assert_int_equal(wr_done(&w).len, 0);
	w = wr_of(buf, sizeof(buf));
	wr_u16(&w, 0);
	wr_patch_u16(&w, 0, 0xabcd);
	wr_patch_u16(&w, 1, 0xffff); // past the end: ignored
	assert_int_equal(buf[0], 0xab);
	assert_int_equal(buf[1], 0xcd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failed_read_consumes_nothing),
		cmocka_unit_test(sub_reader_is_bounded),
		cmocka_unit_test(overflow_is_sticky),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
