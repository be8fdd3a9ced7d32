// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Rows of the table by name, and what a row says about itself; the reference that is printed
// from them.
#include "config/options.h"

#include <inttypes.h>

// The part of a row's path behind the group's pattern, or NULL if the row is no direct member.
static const char *leaf(const struct option *o, const char *group)
{
	const char *p = o->path, *g = group;
	while (*g && *p == *g) {
		p++;
		g++;
	}
	if (*g || (g != group && *p++ != '.'))
		return NULL;
	for (const char *q = p; *q; q++)
		if (*q == '.' || *q == '[')
			return NULL;
	return p;
}

const struct option *opt_next(const char *group, const struct option *after)
{
	for (size_t i = after ? (size_t)(after - opt_table) + 1 : 0; i < opt_count; i++)
		if (leaf(&opt_table[i], group))
			return &opt_table[i];
	return NULL;
}

const struct option *opt_find(const char *group, const char *name)
{
	for (const struct option *o = opt_next(group, NULL); o; o = opt_next(group, o))
		if (strcmp(leaf(o, group), name) == 0)
			return o;
	return NULL;
}

const char *opt_label(const struct option *o)
{
	const char *label = o->path;
	for (const char *p = strstr(label, "[]."); p; p = strstr(label, "[]."))
		label = p + 3;
	return label;
}

const char *opt_type_text(const struct option *o)
{
	switch (o->kind) {
	case OPT_GROUP:
		return "a group { }";
	case OPT_LIST:
		return "a list ( { } )";
	case OPT_BOOL:
		return "true or false";
	case OPT_U16:
	case OPT_U32:
	case OPT_U64:
		return o->words ? "an integer or a string" : "an integer";
	default:
		return o->number ? "an integer" : "a string";
	}
}

const struct opt_word *opt_word(const struct opt_word *words, const char *text)
{
	for (; words->word; words++)
		if (strcmp(words->word, text) == 0)
			return words;
	return NULL;
}

size_t opt_size(const struct option *o)
{
	switch (o->kind) {
	case OPT_GROUP:
	case OPT_FLAGS:
		return 0;
	case OPT_LIST:
		return o->size;
	case OPT_BOOL:
		return sizeof(bool);
	case OPT_U16:
		return sizeof(uint16_t);
	case OPT_U32:
		return sizeof(uint32_t);
	case OPT_U64:
		return sizeof(uint64_t);
	case OPT_ENUM:
		return sizeof(enum cfg_idle);
	case OPT_STRING:
	case OPT_PATH:
		return sizeof(char *);
	case OPT_SECRET:
	case OPT_SECRET_FILE:
		return sizeof(struct secret);
	case OPT_MAC:
		return 6;
	case OPT_ADDR:
		return sizeof(struct ip_addr);
	case OPT_PREFIX:
	case OPT_IF_ADDR:
		return sizeof(struct ip_prefix);
	case OPT_RANGE:
		return sizeof(struct ip_range);
	case OPT_SELECTOR:
		return sizeof(struct selector);
	case OPT_IKE_PROPOSAL:
	case OPT_ESP_PROPOSAL:
		return sizeof(struct proposal);
	}
	return 0;
}

// What a value of this kind is called in the reference.
static const char *value_text(const struct option *o)
{
	switch (o->kind) {
	case OPT_GROUP:
		return "group";
	case OPT_LIST:
		return "list of groups";
	case OPT_BOOL:
		return "boolean";
	case OPT_U16:
	case OPT_U32:
	case OPT_U64:
		return "integer";
	case OPT_ENUM:
		return "one of";
	case OPT_FLAGS:
		return "any of";
	case OPT_STRING:
		return "string";
	case OPT_PATH:
	case OPT_SECRET_FILE:
		return "path";
	case OPT_SECRET:
		return "secret string";
	case OPT_MAC:
		return "Ethernet address";
	case OPT_ADDR:
		return "IP address";
	case OPT_PREFIX:
		return "prefix";
	case OPT_IF_ADDR:
		return "address/prefix length";
	case OPT_RANGE:
		return "address range";
	case OPT_SELECTOR:
		return "traffic selector";
	case OPT_IKE_PROPOSAL:
		return "IKE proposal";
	case OPT_ESP_PROPOSAL:
		return "ESP proposal";
	}
	return "";
}

static void print_words(FILE *out, const struct opt_word *words, bool number)
{
	for (const struct opt_word *w = words; w->word; w++)
		fprintf(out, "%s%s%s%s%s", w == words ? " " : ", ", number ? "" : "\\(dq", w->word,
			number ? "" : "\\(dq", w->later ? " (not supported yet)" : "");
}

static void print_range(FILE *out, const struct option *o)
{
	bool string = o->kind == OPT_STRING || o->kind == OPT_SECRET;
	bool integer = o->kind == OPT_U16 || o->kind == OPT_U32 || o->kind == OPT_U64;
	if (o->max == 0 || (!string && !integer))
		return;
	fprintf(out, " (%s%" PRIu64 " to %" PRIu64 "%s)", o->or_zero ? "0, or " : "", o->min,
		o->max, string ? " characters" : "");
}

// mdoc wants a new line for a new sentence, and lines of under 80 columns.
static void print_help(FILE *out, const char *text)
{
	size_t column = 0;
	while (*text) {
		size_t n = strcspn(text, " ");
		bool fits = column + n < 78;
		if (column)
			fputc(fits ? ' ' : '\n', out);
		column = (column && fits ? column + 1 : 0) + n;
		fwrite(text, 1, n, out);
		bool sentence = n > 1 && text[n - 1] == '.';
		text += n + (text[n] == ' ');
		if (sentence && *text) {
			fputc('\n', out);
			column = 0;
		}
	}
	fputc('\n', out);
}

static void print_row(FILE *out, const struct option *o)
{
	fprintf(out, ".It Va %s\n", o->path);
	fprintf(out, "%s%s", o->array ? "Array: " : "", value_text(o));
	print_range(out, o);
	if (o->words && o->kind == OPT_U16)
		fputs(", or", out);
	if (o->words)
		print_words(out, o->words, o->number);
	if (o->required)
		fputs(".\nRequired", out);
	else if (o->def)
		fprintf(out, ".\nDefault: %s", o->def);
	fputs(".\n", out);
	print_help(out, o->help);
}

void cfg_print_reference(FILE *out)
{
	fputs(".Bl -tag -width indent\n", out);
	for (size_t i = 0; i < opt_count; i++)
		print_row(out, &opt_table[i]);
	fputs(".El\n", out);
}
