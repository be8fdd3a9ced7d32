// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A cell of a page of a damaged lease store, at an offset (the first two bytes): a row or the store's
// description; where a row spills over, it is into the same page again.
#include "pools/store_parts.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *same(void *ctx, uint32_t n)
{
	return n % 7 ? ctx : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t page[STORE_PAGE];
	struct store_pages pages = {same, page};
	struct store_found row;
	struct store_db meta = {0};
	struct lease_row r;
	if (size < 2)
		return 0;
	size_t at = (size_t)(data[0] << 8 | data[1]) % (STORE_PAGE - 8);
	size -= 2;
	memset(page, 0, sizeof(page));
	memcpy(page + at, data + 2, size < STORE_PAGE - at ? size : STORE_PAGE - at);
	if (store_cell_row(&pages, page, at, &row) &&
		!store_row_decode((struct view){row.body, row.len}, &r))
		abort(); // a row whose checksum is right is a row
	(void)!store_cell_meta(page, at, &meta);
	return 0;
}
