// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/engine/bench.h"
#include "tests/engine/configs.h"

int main(void)
{
	return 0;
}
