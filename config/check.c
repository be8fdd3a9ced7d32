// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks over several options: processors, credentials.
#include "config/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void check_main(struct loader *l, const config_setting_t *root)
{
	const struct cfg_main *m = &l->cfg->main;
	const config_setting_t *group = member(root, "main"), *workers = member(group, "workers");
	for (size_t i = 0; workers && i < m->worker_count; i++) {
		for (size_t k = 0; k < i; k++)
			if (m->workers[i] == m->workers[k]) {
				diag_error(&l->diags, element(workers, i),
					"main.workers: lcore %u is named twice", m->workers[i]);
				break;
			}
		if (m->idle == CFG_IDLE_POLL && m->workers[i] == m->control_core)
			diag_warning(&l->diags, element(workers, i),
				"main.workers: lcore %u polls without a pause, and is control_core",
				m->workers[i]);
	}
	if (member(group, "state_dir") && !m->quick_crash_detection &&
		m->lease_store == CFG_LEASES_MEMORY)
		diag_warning(&l->diags, place(group, "state_dir"),
			"main.state_dir: not used, leases are in memory and quick_crash_detection is "
			"false");
	if (m->half_open_max && m->cookie_threshold > m->half_open_max)
		diag_warning(&l->diags, place(group, "cookie_threshold"),
			"main.cookie_threshold: %u is never reached, half_open_max is %u",
			m->cookie_threshold, m->half_open_max);
}

bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

struct numbered {
	const char *name;
	size_t i;
};

static int by_name(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;
	int c = strcmp(x->name, y->name);
	return c ? c : (x->i > y->i) - (x->i < y->i);
}

void check_unique(struct loader *l, const struct named *n)
{
	struct numbered *names = calloc(n->count + 1, sizeof(*names));
	size_t count = 0;
	if (!names) {
		l->diags.oom = true;
		return;
	}
	for (size_t i = 0; i < n->count; i++) {
		const char *name = n->name(n->elements, i);
		if (name)
			names[count++] = (struct numbered){name, i};
	}
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 1; i < count; i++)
		if (strcmp(names[i].name, names[i - 1].name) == 0)
			diag_error(&l->diags, place(element(n->list, names[i].i), n->option),
				"%s \"%s\" is defined twice", n->what, names[i].name);
	free(names);
}

static const char *user_name(const void *users, size_t i)
{
	return ((const struct cfg_user *)users)[i].name;
}

// A key found by identity alone.
static const char *psk_id(const void *psks, size_t i)
{
	const struct cfg_psk *p = (const struct cfg_psk *)psks + i;
	return p->address_count ? NULL : p->id;
}

static void check_psk(struct loader *l, const config_setting_t *list, size_t i)
{
	const struct cfg_psk *p = &l->cfg->psks[i];
	const config_setting_t *s = element(list, i);
	const config_setting_t *text = member(s, "secret"), *file = member(s, "secret_file");
	if (text && file)
		diag_error(&l->diags, file, "psk: secret and secret_file exclude each other");
	else if (s && !text && !file)
		diag_error(&l->diags, s, "psk: needs secret or secret_file");
	if (s && !member(s, "id") && !member(s, "addresses"))
		diag_error(&l->diags, s, "psk: needs id or addresses");
	if (p->id && strcmp(p->id, "*") == 0)
		diag_warning(&l->diags, place(s, "id"),
			"psk: \"*\" lets whoever knows the secret in under any name");
	if (p->secret.len && p->secret.len < 20)
		diag_warning(&l->diags, text ? text : file,
			"psk: shorter than 20 characters, it can be guessed off line");
}

static void check_file(
	struct loader *l, const config_setting_t *at, const char *label, const char *path)
{
	if (path && !l->no_files && access(path, R_OK) != 0)
		diag_error(
			&l->diags, at, "%s: cannot read \"%s\": %s", label, path, strerror(errno));
}

static void check_key(struct loader *l, const config_setting_t *at, const char *path)
{
	struct stat st;
	check_file(l, at, "key", path);
	if (path && !l->no_files && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		(st.st_mode & (S_IROTH | S_IWOTH)))
		diag_warning(&l->diags, at, "key: \"%s\" is open to all users", path);
}

void check_credentials(struct loader *l, const config_setting_t *root)
{
	const config_setting_t *s = member(root, "credentials");
	const config_setting_t *psk = member(s, "psk"), *users = member(s, "users");
	const config_setting_t *certs = member(s, "certificates"), *ca = member(s, "ca");
	for (size_t i = 0; i < l->cfg->psk_count; i++)
		check_psk(l, psk, i);
	check_unique(l, &(struct named){psk, l->cfg->psks, l->cfg->psk_count, psk_id, "id", "psk"});
	check_unique(l, &(struct named){users, l->cfg->users, l->cfg->user_count, user_name, "name",
				"user"});
	for (size_t i = 0; i < l->cfg->certificate_count; i++) {
		const config_setting_t *e = element(certs, i);
		check_file(l, place(e, "cert"), "cert", l->cfg->certificates[i].cert);
		check_key(l, place(e, "key"), l->cfg->certificates[i].key);
	}
	for (size_t i = 0; i < l->cfg->ca.count; i++)
		check_file(l, element(ca, i), "ca", l->cfg->ca.items[i]);
}
