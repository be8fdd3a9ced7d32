// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Reading whole files, and a look at what they include before libconfig does: its scanner ends the
// process when it is given a directory.
#include "config/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILE_MAX     ((size_t)64 << 20) // bytes of a configuration file
#define DEPTH_MAX    10                 // libconfig's own limit of nesting
#define INCLUDES_MAX 1000               // files looked at in all

char *file_slurp(FILE *in, size_t *cap)
{
	char *text = malloc(*cap = 4096);
	size_t len = 0, n;
	while (text && (n = fread(text + len, 1, *cap - len, in)) > 0) {
		len += n;
		if (len < *cap)
			continue;
		char *grown = *cap < FILE_MAX ? malloc(*cap * 2) : NULL;
		if (grown)
			memcpy(grown, text, len);
		else
			errno = *cap < FILE_MAX ? ENOMEM : EFBIG;
		secret_wipe(text, *cap);
		free(text);
		text = grown;
		*cap *= 2;
	}
	if (text && ferror(in)) {
		secret_wipe(text, *cap);
		free(text);
		errno = EIO;
		return NULL;
	}
	if (text)
		text[len] = '\0';
	return text;
}

// The path of an include line at p, or NULL: white space, @include, the path in quotes.
static char *included_path(const char *p, const char *dir)
{
	p += strspn(p, " \t");
	if (strncmp(p, "@include", 8) != 0)
		return NULL;
	p += 8 + strspn(p + 8, " \t");
	size_t n = *p == '"' ? strcspn(p + 1, "\"\n") : 0;
	char *path;
	if (n == 0 || p[1 + n] != '"')
		return NULL;
	if (asprintf(&path, "%s%s%.*s", dir ? dir : "", dir ? "/" : "", (int)n, p + 1) < 0)
		return NULL;
	return path;
}

struct search {
	const char *dir;
	unsigned depth; // of the file that is being looked at
	unsigned files; // looked at so far
};

static bool text_reaches_directory(const char *text, struct search *s);

static bool reaches_directory(const char *path, struct search *s)
{
	struct stat st;
	size_t cap;
	if (stat(path, &st) != 0)
		return false; // libconfig says so itself
	if (S_ISDIR(st.st_mode))
		return true;
	bool look = S_ISREG(st.st_mode) && s->depth < DEPTH_MAX && s->files++ < INCLUDES_MAX;
	FILE *in = look ? fopen(path, "re") : NULL;
	char *text = in ? file_slurp(in, &cap) : NULL;
	s->depth++;
	bool reaches = text && text_reaches_directory(text, s);
	s->depth--;
	if (text)
		secret_wipe(text, cap);
	free(text);
	if (in)
		fclose(in);
	return reaches;
}

static const char *next_line(const char *p)
{
	p += strcspn(p, "\n");
	return *p ? p + 1 : NULL;
}

static bool text_reaches_directory(const char *text, struct search *s)
{
	bool reaches = false;
	for (const char *p = text; p && !reaches; p = next_line(p)) {
		char *path = included_path(p, s->dir);
		reaches = path && reaches_directory(path, s);
		free(path);
	}
	return reaches;
}

bool includes_fit(struct loader *l, const char *text)
{
	size_t errors = l->diags.errors;
	struct search search = {.dir = l->dir, .depth = 1};
	unsigned line = 1;
	for (const char *p = text; p; p = next_line(p), line++) {
		char *path = included_path(p, l->dir);
		if (path && reaches_directory(path, &search))
			diag_error_at(&l->diags, NULL, line,
				"@include: \"%s\" is a directory, or includes one", path);
		free(path);
	}
	return l->diags.errors == errors;
}
