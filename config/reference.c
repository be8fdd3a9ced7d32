// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// config-reference PAGE: prints the man page again with its section of options made anew from the
// table.
#include "config/config.h"

#include <stdlib.h>

#define BEGIN ".\\\" begin of what config-reference prints\n"
#define END   ".\\\" end of what config-reference prints\n"

int main(int argc, char **argv)
{
	FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
	char *line = NULL;
	size_t cap = 0;
	bool inside = false;
	if (!in) {
		fputs("usage: config-reference PAGE\n", stderr);
		return 2;
	}
	while (getline(&line, &cap, in) > 0) {
		if (strcmp(line, END) == 0)
			inside = false;
		if (!inside)
			fputs(line, stdout);
		if (strcmp(line, BEGIN) == 0) {
			inside = true;
			cfg_print_reference(stdout);
		}
	}
	free(line);
	fclose(in);
	return 0;
}
