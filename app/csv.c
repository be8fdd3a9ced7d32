// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/csv.h"

#include <errno.h>
#include <string.h>

#define ZERO "a zero byte"  // what stands behind it would not be seen
#define MARK "\xef\xbb\xbf" // what spreadsheets write before UTF-8

static int next(struct csv *c)
{
	int ch = getc(c->in);
	if (ch == '\n')
		c->line++;
	return ch;
}

static void put_back(struct csv *c, int ch)
{
	if (ch == EOF)
		return;
	ungetc(ch, c->in);
	if (ch == '\n')
		c->line--;
}

// What ends a line: "\r\n" is one.
static bool line_ends(struct csv *c, int ch)
{
	if (ch != '\r')
		return ch == '\n' || ch == EOF;
	int after = next(c);
	if (after == '\n')
		return true;
	put_back(c, after);
	return false;
}

static int bad(struct csv *c, int ch, const char *text, const char **why)
{
	while (ch != '\n' && ch != EOF)
		ch = next(c);
	*why = text;
	return -EINVAL;
}

struct writer {
	struct csv_record *r;
	size_t len;
};

static bool put(struct writer *w, int ch)
{
	if (w->len >= sizeof(w->r->text))
		return false;
	w->r->text[w->len++] = (char)ch;
	return true;
}

// Behind the opening quote. RFC 4180 2.7: "a double-quote appearing inside a field must be escaped by
// preceding it with another double quote". The character behind the field, or -2: *why.
static int quoted(struct csv *c, struct writer *w, const char **why)
{
	for (int ch = next(c);; ch = next(c)) {
		if (ch == EOF) {
			*why = "a quote is not closed";
			return -2;
		}
		if (ch == '"' && (ch = next(c)) != '"')
			return ch;
		if (ch == '\0' || !put(w, ch)) {
			bad(c, ch, ch == '\0' ? ZERO : "the line is too long", why);
			return -2;
		}
	}
}

static int plain(struct csv *c, struct writer *w, int ch, const char **why)
{
	for (; ch != ',' && ch != '\n' && ch != EOF; ch = next(c)) {
		if (ch == '\r' && line_ends(c, ch))
			return '\n';
		if (ch == '"' || ch == '\0' || !put(w, ch)) {
			bad(c, ch,
				ch == '"'    ? "a quote within a field"
				: ch == '\0' ? ZERO
					     : "the line is too long",
				why);
			return -2;
		}
	}
	return ch;
}

int csv_read(struct csv *c, struct csv_record *r, const char **why)
{
	struct writer w = {r, 0};
	int ch;
	do
		ch = next(c);
	while (ch == '\n' || ch == '\r');
	if (ch == EOF)
		return 0;
	*why = NULL;
	r->line = c->line + 1;
	for (r->count = 0;; ch = next(c)) {
		if (r->count == CSV_FIELDS_MAX)
			return bad(c, ch, "too many fields", why);
		r->fields[r->count++] = r->text + w.len;
		ch = ch == '"' ? quoted(c, &w, why) : plain(c, &w, ch, why);
		if (ch == -2)
			return -EINVAL;
		if (!put(&w, '\0'))
			return bad(c, ch, "the line is too long", why);
		if (ch != ',' && line_ends(c, ch)) {
			if (r->line == 1 && strncmp(r->fields[0], MARK, strlen(MARK)) == 0)
				r->fields[0] += strlen(MARK);
			return 1;
		}
		if (ch != ',')
			return bad(c, ch, "no comma behind a quoted field", why);
	}
}

void csv_write(FILE *out, const char *field, bool last)
{
	if (field[strcspn(field, ",\"\r\n")]) {
		fputc('"', out);
		for (const char *p = field; *p; p++) {
			if (*p == '"')
				fputc('"', out);
			fputc(*p, out);
		}
		fputc('"', out);
	} else {
		fputs(field, out);
	}
	fputc(last ? '\n' : ',', out);
}
