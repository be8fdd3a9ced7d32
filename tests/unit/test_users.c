// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "controlplane/users.h"

#include <stdio.h>
#include <stdlib.h>

static struct view text(const char *s)
{
	return (struct view){(const uint8_t *)s, strlen(s)};
}

static void set_user(struct cfg_user *u, const char *name, const char *password)
{
	u->name = strdup(name);
	assert_int_equal(secret_copy(&u->password, password, strlen(password)), 0);
}

static void users_free(struct cfg *c, struct ike_users *u)
{
	ike_users_free(u);
	for (size_t i = 0; i < c->user_count; i++) {
		free(c->users[i].name);
		secret_fini(&c->users[i].password);
	}
	free(c->users);
}

static void names_and_passwords(void **state)
{
	static const struct {
		const char *name, *password;
		bool known, right;
	} cases[] = {
		{"user1", "a password", true, true},
		{"user1", "a passwor", true, false},
		{"user1", "a password ", true, false},
		{"user1", "A password", true, false},
		{"user1", "", true, false},
		{"user2", "a password", true, false},
		{"user2", "another", true, true},
		{"user", "a password", false, false},
		{"user11", "a password", false, false},
		{"", "", false, false},
		{"0\x82\x01\x0a", "a password", true, true}, // looks like ASN.1 and is a name
		{"twice", "the first", true, true},
		{"twice", "the second", true, false},
	};
	struct cfg cfg = {.users = calloc(5, sizeof(struct cfg_user)), .user_count = 5};
	struct ike_users *u;
	set_user(&cfg.users[0], "user1", "a password");
	set_user(&cfg.users[1], "user2", "another");
	set_user(&cfg.users[2], "0\x82\x01\x0a", "a password");
	set_user(&cfg.users[3], "twice", "the first");
	set_user(&cfg.users[4], "twice", "the second");
	assert_int_equal(ike_users_new(&cfg, &random_system, &u), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct cfg_user *user = ike_user_find(u, text(cases[i].name));
		assert_int_equal(user != NULL, cases[i].known);
		if (user)
			assert_string_equal(user->name, cases[i].name);
		assert_int_equal(ike_user_check(u, user, text(cases[i].password)), cases[i].right);
	}
	users_free(&cfg, u);
}

// A name is bytes: a NUL in it does not end it.
static void names_with_a_nul(void **state)
{
	struct cfg cfg = {.users = calloc(1, sizeof(struct cfg_user)), .user_count = 1};
	struct ike_users *u;
	set_user(&cfg.users[0], "user1", "a password");
	assert_int_equal(ike_users_new(&cfg, &random_system, &u), 0);
	assert_null(ike_user_find(u, (struct view){(const uint8_t *)"user1\0x", 7}));
	assert_null(ike_user_find(u, (struct view){(const uint8_t *)"user1\0", 6}));
	assert_non_null(ike_user_find(u, text("user1")));
	users_free(&cfg, u);
}

// Longer than any that is taken: never right, not even where the configuration has it.
static void long_password(void **state)
{
	char password[IKE_PASSWORD_MAX + 2];
	struct cfg cfg = {.users = calloc(2, sizeof(struct cfg_user)), .user_count = 2};
	struct ike_users *u;
	memset(password, 'x', sizeof(password));
	password[IKE_PASSWORD_MAX + 1] = '\0';
	set_user(&cfg.users[0], "longer", password);
	password[IKE_PASSWORD_MAX] = '\0';
	set_user(&cfg.users[1], "longest", password);
	assert_int_equal(ike_users_new(&cfg, &random_system, &u), 0);
	assert_true(ike_user_check(u, &cfg.users[1], text(password)));
	assert_false(ike_user_check(u, &cfg.users[0], text(password)));
	password[IKE_PASSWORD_MAX] = 'x';
	assert_false(ike_user_check(u, &cfg.users[0], text(password)));
	assert_false(ike_user_check(u, &cfg.users[1], text(password)));
	users_free(&cfg, u);
}

static void many_and_none(void **state)
{
	struct cfg none = {0}, cfg = {.users = calloc(5000, sizeof(struct cfg_user))};
	struct ike_users *u;
	char name[32];
	assert_int_equal(ike_users_new(&none, &random_system, &u), 0);
	assert_null(ike_user_find(u, text("user1")));
	assert_false(ike_user_check(u, NULL, text("a password")));
	ike_users_free(u);
	for (cfg.user_count = 0; cfg.user_count < 5000; cfg.user_count++) {
		snprintf(name, sizeof(name), "user%zu", cfg.user_count);
		set_user(&cfg.users[cfg.user_count], name, name);
	}
	assert_int_equal(ike_users_new(&cfg, &random_system, &u), 0);
	for (size_t i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "user%zu", i);
		assert_ptr_equal(ike_user_find(u, text(name)), &cfg.users[i]);
	}
	users_free(&cfg, u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_passwords),
		cmocka_unit_test(names_with_a_nul),
		cmocka_unit_test(long_password),
		cmocka_unit_test(many_and_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
