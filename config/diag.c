// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "config/diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 5, 0))) static void add(struct diags *d, const char *file,
	unsigned line, bool warning, const char *format, va_list args)
{
	char *text;
	if (vasprintf(&text, format, args) < 0) {
		d->oom = true;
		return;
	}
	for (char *p = text; *p; p++) // one mistake, one line, whatever the file's strings hold
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (d->count == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 16;
		struct diag *grown = reallocarray(d->items, cap, sizeof(*grown));
		if (!grown) {
			free(text);
			d->oom = true;
			return;
		}
		d->items = grown;
		d->cap = cap;
	}
	d->items[d->count++] = (struct diag){file ? file : d->name, line ? line : 1, warning, text};
	d->errors += !warning;
}

void diag_error(struct diags *d, const config_setting_t *at, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(d, at ? config_setting_source_file(at) : NULL, at ? config_setting_source_line(at) : 0,
		false, format, args);
	va_end(args);
}

void diag_warning(struct diags *d, const config_setting_t *at, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(d, at ? config_setting_source_file(at) : NULL, at ? config_setting_source_line(at) : 0,
		true, format, args);
	va_end(args);
}

void diag_error_at(struct diags *d, const char *file, unsigned line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(d, file, line, false, format, args);
	va_end(args);
}

// The main file first, then by name; lines ascending; equal lines as they were found.
static int by_place(const void *a, const void *b, void *diags)
{
	const struct diag *const *x = a, *const *y = b;
	const char *name = ((const struct diags *)diags)->name;
	int files = strcmp((*x)->file, (*y)->file);
	if (files) {
		if (strcmp((*x)->file, name) == 0)
			return -1;
		return strcmp((*y)->file, name) == 0 ? 1 : files;
	}
	if ((*x)->line != (*y)->line)
		return (*x)->line < (*y)->line ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

// libconfig 1.5 names an included file as it is written there, 1.7 with the directory.
static bool lacks_dir(const struct diags *d, const char *file)
{
	size_t n = d->dir ? strlen(d->dir) : 0;
	return n && strcmp(file, d->name) != 0 && file[0] != '/' &&
	       (strncmp(file, d->dir, n) != 0 || file[n] != '/');
}

static void print_one(const struct diags *d, const struct diag *one, FILE *out)
{
	bool dir = lacks_dir(d, one->file);
	fprintf(out, "%s%s%s:%u: %s: %s\n", dir ? d->dir : "", dir ? "/" : "", one->file, one->line,
		one->warning ? "warning" : "error", one->text);
}

void diag_print(struct diags *d, FILE *out)
{
	const struct diag **order = calloc(d->count + 1, sizeof(struct diag *));
	if (!order) {
		d->oom = true;
		return;
	}
	for (size_t i = 0; i < d->count; i++)
		order[i] = &d->items[i];
	qsort_r(order, d->count, sizeof(struct diag *), by_place, d);
	for (size_t i = 0; out && i < d->count; i++)
		print_one(d, order[i], out);
	free(order);
}

void diag_fini(struct diags *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->items[i].text);
	free(d->items);
	*d = (struct diags){0};
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

unsigned diag_distance(const char *a, const char *b)
{
	enum { MAX = 63 };
	unsigned rows[3][MAX + 1];
	size_t alen = strlen(a), blen = strlen(b);
	if (alen > MAX || blen > MAX)
		return MAX;
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];
	for (size_t j = 0; j <= blen; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= alen; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= blen; j++) {
			unsigned change = a[i - 1] != b[j - 1];
			now[j] = least(last[j] + 1, now[j - 1] + 1, last[j - 1] + change);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		unsigned *oldest = before;
		before = last;
		last = now;
		now = oldest;
	}
	return last[blen];
}

bool diag_near(const char *written, const char *known)
{
	size_t len = strlen(known);
	return diag_distance(written, known) <= (len <= 1          ? 0
							: len <= 3 ? 1
							: len <= 8 ? 2
								   : len / 3);
}
