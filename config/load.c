// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// From libconfig's tree to the snapshot, by the table of options.
#include "config/loader.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

static void read_group(struct loader *l, const char *group, const config_setting_t *s,
	const config_setting_t *where, void *object);

config_setting_t *member(const config_setting_t *s, const char *name)
{
	return s && config_setting_is_group(s) ? config_setting_get_member(s, name) : NULL;
}

config_setting_t *element(const config_setting_t *s, size_t i)
{
	if (!s || !config_setting_is_aggregate(s) || i >= (size_t)config_setting_length(s))
		return NULL;
	return config_setting_get_elem(s, (unsigned)i);
}

const config_setting_t *place(const config_setting_t *s, const char *name)
{
	const config_setting_t *m = member(s, name);
	return m ? m : s;
}

static const char *type_text(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return "a group";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "an integer";
	case CONFIG_TYPE_FLOAT:
		return "a number with a fraction";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "a boolean";
	case CONFIG_TYPE_ARRAY:
		return "an array";
	case CONFIG_TYPE_LIST:
		return "a list";
	default:
		return "nothing";
	}
}

static void wrong_type(
	struct loader *l, const struct option *o, const config_setting_t *s, const char *expected)
{
	diag_error(&l->diags, s, "%s: expected %s, got %s", opt_label(o), expected, type_text(s));
}

static bool is_integer(const config_setting_t *s)
{
	int t = config_setting_type(s);
	return t == CONFIG_TYPE_INT || t == CONFIG_TYPE_INT64;
}

// One scalar of the file into slot; nothing is written where it is wrong.
static void read_scalar(
	struct loader *l, const struct option *o, const config_setting_t *s, void *slot)
{
	if (o->kind == OPT_BOOL) {
		if (config_setting_type(s) != CONFIG_TYPE_BOOL)
			wrong_type(l, o, s, opt_type_text(o));
		else
			*(bool *)slot = config_setting_get_bool(s);
	} else if (o->kind == OPT_U16 || o->kind == OPT_U32 || o->kind == OPT_U64) {
		if (o->words && config_setting_type(s) == CONFIG_TYPE_STRING)
			value_parse(l, o, s, config_setting_get_string(s), slot);
		else if (!is_integer(s))
			wrong_type(l, o, s, opt_type_text(o));
		else
			value_number(l, o, s, config_setting_get_int64(s), slot);
	} else if (o->number) {
		char text[24];
		if (!is_integer(s)) {
			wrong_type(l, o, s, opt_type_text(o));
			return;
		}
		snprintf(text, sizeof(text), "%lld", config_setting_get_int64(s));
		value_parse(l, o, s, text, slot);
	} else if (config_setting_type(s) != CONFIG_TYPE_STRING) {
		wrong_type(l, o, s, opt_type_text(o));
	} else {
		value_parse(l, o, s, config_setting_get_string(s), slot);
	}
}

// The table's own default text, which is right by construction (a unit test loads each).
static void read_default(struct loader *l, const struct option *o, const char *text, void *slot)
{
	if (o->kind == OPT_BOOL)
		*(bool *)slot = strcmp(text, "true") == 0;
	else if (o->words && opt_word(o->words, text))
		value_parse(l, o, NULL, text, slot);
	else if (o->kind == OPT_U16 || o->kind == OPT_U32 || o->kind == OPT_U64)
		value_number(l, o, NULL, strtoll(text, NULL, 10), slot);
	else
		value_parse(l, o, NULL, text, slot);
}

// Where item i of n goes: an array of the object, or one that is allocated here.
static uint8_t *array_slots(struct loader *l, const struct option *o, void *object, size_t n)
{
	uint8_t *base = (uint8_t *)object;
	if (o->offset == OPT_NOWHERE || n == 0)
		return NULL;
	if (o->fixed) {
		uint16_t count = (uint16_t)n;
		memcpy(base + o->count_offset, &count, sizeof(count));
		return base + o->offset;
	}
	uint8_t *items = calloc(n, opt_size(o));
	if (!items) {
		l->diags.oom = true;
		return NULL;
	}
	memcpy(base + o->offset, &items, sizeof(items));
	memcpy(base + o->count_offset, &n, sizeof(n));
	return items;
}

union any_value {
	char *text;
	uint64_t number;
	struct secret secret;
	struct selector selector;
	struct proposal proposal;
	bool flags[sizeof(struct cfg_connection)];
};

// Item by item; what has no place in the object is read for its mistakes only.
static void read_item(struct loader *l, const struct option *o, const config_setting_t *s,
	const char *def, void *slot)
{
	union any_value scratch = {0};
	void *to = slot ? slot : &scratch;
	if (s)
		read_scalar(l, o, s, to);
	else
		read_default(l, o, def, to);
	if (!slot)
		value_fini(o, &scratch);
}

static bool count_fits(
	struct loader *l, const struct option *o, const config_setting_t *s, size_t n)
{
	size_t max = o->max_items ? o->max_items : o->kind == OPT_LIST ? 1u << 20 : 4096;
	if (n < o->min_items)
		diag_error(&l->diags, s, "%s: at least %u needed, got %zu", opt_label(o),
			o->min_items, n);
	else if (n > max)
		diag_error(&l->diags, s, "%s: at most %zu allowed, got %zu", opt_label(o), max, n);
	else
		return true;
	return false;
}

static void read_array(
	struct loader *l, const struct option *o, const config_setting_t *s, void *object)
{
	if (!config_setting_is_array(s) && !config_setting_is_list(s)) {
		wrong_type(l, o, s, "an array [ ]");
		return;
	}
	size_t n = (size_t)config_setting_length(s);
	if (!count_fits(l, o, s, n))
		return;
	uint8_t *items = o->kind == OPT_FLAGS ? NULL : array_slots(l, o, object, n);
	for (size_t i = 0; i < n; i++) {
		void *slot = items ? items + i * opt_size(o) : NULL;
		if (o->kind == OPT_FLAGS && o->offset != OPT_NOWHERE)
			slot = object;
		read_item(l, o, element(s, i), NULL, slot);
	}
}

static void default_array(struct loader *l, const struct option *o, void *object)
{
	char text[512], *save = NULL;
	size_t n = 0, i = 0;
	snprintf(text, sizeof(text), "%s", o->def);
	for (const char *p = o->def; p; p = strchr(p + 1, ' '))
		n++;
	uint8_t *items = o->kind == OPT_FLAGS ? object : array_slots(l, o, object, n);
	for (char *t = strtok_r(text, " ", &save); t && items; t = strtok_r(NULL, " ", &save))
		read_item(l, o, NULL, t, items + i++ * opt_size(o));
}

static void read_list(
	struct loader *l, const struct option *o, const config_setting_t *s, void *object)
{
	char group[128];
	if (!config_setting_is_list(s)) {
		wrong_type(l, o, s, opt_type_text(o));
		return;
	}
	size_t n = (size_t)config_setting_length(s);
	if (!count_fits(l, o, s, n))
		return;
	uint8_t *items = array_slots(l, o, object, n);
	snprintf(group, sizeof(group), "%s[]", o->path);
	for (size_t i = 0; items && i < n; i++) {
		config_setting_t *e = element(s, i);
		if (config_setting_is_group(e))
			read_group(l, group, e, e, items + i * o->size);
		else
			wrong_type(l, o, e, "a group { }");
	}
}

static void read_option(
	struct loader *l, const struct option *o, const config_setting_t *s, void *object)
{
	size_t errors = l->diags.errors;
	if (o->kind == OPT_GROUP && config_setting_is_group(s))
		read_group(l, o->path, s, s, object);
	else if (o->kind == OPT_GROUP)
		wrong_type(l, o, s, opt_type_text(o));
	else if (o->kind == OPT_LIST)
		read_list(l, o, s, object);
	else if (o->array)
		read_array(l, o, s, object);
	else
		read_item(l, o, s, NULL,
			o->offset == OPT_NOWHERE ? NULL : (uint8_t *)object + o->offset);
	bool right = l->diags.errors == errors;
	if ((o->kind == OPT_MAC || o->kind == OPT_GROUP) && o->count_offset && right)
		*((bool *)object + o->count_offset) = true;
}

static void left_out(struct loader *l, const struct option *o, const char *group,
	const config_setting_t *where, void *object)
{
	if (o->required)
		diag_error(&l->diags, where, "missing required option \"%s\" in %s", opt_label(o),
			group);
	else if (o->kind == OPT_GROUP)
		read_group(l, o->path, NULL, where, object);
	else if (o->def && o->array)
		default_array(l, o, object);
	else if (o->def && o->offset != OPT_NOWHERE)
		read_item(l, o, NULL, o->def, (uint8_t *)object + o->offset);
}

static void unknown_option(struct loader *l, const char *group, const config_setting_t *s)
{
	const char *name = config_setting_name(s), *near = NULL;
	unsigned best = UINT_MAX;
	for (const struct option *o = opt_next(group, NULL); o; o = opt_next(group, o)) {
		const char *known = strrchr(o->path, '.');
		known = known ? known + 1 : o->path;
		unsigned d = diag_distance(name, known);
		if (d < best && diag_near(name, known)) {
			best = d;
			near = known;
		}
	}
	diag_error(&l->diags, s, "unknown option \"%s\"%s%s%s%s%s", name, *group ? " in " : "",
		group, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void read_group(struct loader *l, const char *group, const config_setting_t *s,
	const config_setting_t *where, void *object)
{
	int n = s ? config_setting_length(s) : 0;
	for (int i = 0; i < n; i++) {
		const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		const struct option *o = opt_find(group, config_setting_name(e));
		if (o)
			read_option(l, o, e, object);
		else
			unknown_option(l, group, e);
	}
	for (const struct option *o = opt_next(group, NULL); o; o = opt_next(group, o)) {
		const char *name = strrchr(o->path, '.');
		if (!member(s, name ? name + 1 : o->path))
			left_out(l, o, group, where, object);
	}
}

static void check_all(struct loader *l, const config_setting_t *root)
{
	check_main(l, root);
	check_ports(l, root);
	check_pools(l, root);
	check_credentials(l, root);
	check_connections(l, root);
}

// libconfig keeps every string of the file; those may be secrets.
static void wipe_strings(config_setting_t *s)
{
	if (config_setting_type(s) == CONFIG_TYPE_STRING) {
		if (s->value.sval)
			secret_wipe(s->value.sval, strlen(s->value.sval));
	} else if (config_setting_is_aggregate(s)) {
		for (int i = 0; i < config_setting_length(s); i++)
			wipe_strings(config_setting_get_elem(s, (unsigned)i));
	}
}

static int load(struct loader *l, const char *text, FILE *errors, struct cfg **out)
{
	config_t tree;
	config_init(&tree);
	if (l->dir)
		config_set_include_dir(&tree, l->dir);
	l->cfg = calloc(1, sizeof(*l->cfg));
	if (!l->cfg) {
		l->diags.oom = true;
	} else if (!includes_fit(l, text)) {
		// Said already, and libconfig would end the process.
	} else if (config_read_string(&tree, text) != CONFIG_TRUE) {
		diag_error_at(&l->diags, config_error_file(&tree),
			(unsigned)config_error_line(&tree), "%s",
			config_error_text(&tree) ? config_error_text(&tree) : "syntax error");
	} else {
		const config_setting_t *root = config_root_setting(&tree);
		read_group(l, "", root, NULL, l->cfg);
		check_all(l, root);
	}
	diag_print(&l->diags, errors);
	int rc = l->diags.oom ? -ENOMEM : l->diags.errors ? -EINVAL : 0;
	diag_fini(&l->diags);
	if (config_root_setting(&tree))
		wipe_strings(config_root_setting(&tree));
	config_destroy(&tree);
	if (rc == 0)
		*out = l->cfg;
	else
		cfg_free(l->cfg);
	return rc;
}

int cfg_load_text(const char *name, const char *text, FILE *errors, struct cfg **out)
{
	struct loader l = {.diags.name = name};
	return load(&l, text, errors, out);
}

int cfg_load_text_alone(const char *name, const char *text, FILE *errors, struct cfg **out)
{
	struct loader l = {.diags.name = name, .no_files = true};
	if (strstr(text, "@include")) {
		if (errors)
			fprintf(errors, "%s:1: error: @include is not allowed here\n", name);
		return -EINVAL;
	}
	return load(&l, text, errors, out);
}

static int load_stream(const char *path, FILE *in, FILE *errors, struct cfg **out)
{
	char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : NULL;
	size_t cap;
	if (slash && !dir)
		return -ENOMEM;
	char *text = file_slurp(in, &cap);
	if (!text) {
		int e = errno;
		if (errors)
			fprintf(errors, "%s:1: error: cannot read: %s\n", path, strerror(e));
		free(dir);
		return e == ENOMEM ? -ENOMEM : -EINVAL;
	}
	struct loader l = {.diags = {.name = path, .dir = dir}, .dir = dir};
	int rc = load(&l, text, errors, out);
	secret_wipe(text, cap);
	free(text);
	free(dir);
	return rc;
}

int cfg_load(const char *path, FILE *errors, struct cfg **out)
{
	struct stat st;
	FILE *in = fopen(path, "re");
	if (!in || fstat(fileno(in), &st) != 0 || S_ISDIR(st.st_mode)) {
		if (errors)
			fprintf(errors, "%s:1: error: cannot read: %s\n", path,
				in ? strerror(EISDIR) : strerror(errno));
		if (in)
			fclose(in);
		return -EINVAL;
	}
	int rc = load_stream(path, in, errors, out);
	fclose(in);
	return rc;
}
