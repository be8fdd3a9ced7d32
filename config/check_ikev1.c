// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks of one connection that know the two versions' differences: which authentication, which
// algorithms and which Mode Configuration IKEv1 has, and what no IKEv2 peer is told.
#include "config/loader.h"

static const char *auth_text(enum cfg_auth a)
{
	static const char *const names[] = {
		[CFG_AUTH_PSK] = "psk", [CFG_AUTH_CERT] = "cert", [CFG_AUTH_NONE] = "none"};
	return names[a];
}

// RFC 2409 5: both sides authenticate by the method that was negotiated. Hybrid
// (draft-ietf-ipsec-isakmp-hybrid-auth-05) is a signature of the side that asks for the user.
static void check_method(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *local = member(s, "local"), *remote = member(s, "remote");
	if (!member(local, "auth") || !member(remote, "auth") || !n->ikev1)
		return;
	if (n->remote.auth == CFG_AUTH_NONE && n->local.auth != CFG_AUTH_CERT)
		diag_error(&l->diags, member(local, "auth"),
			"local.auth: hybrid authentication of the peer needs \"cert\" here, got \"%s\"",
			auth_text(n->local.auth));
	else if (n->local.auth == CFG_AUTH_NONE && n->remote.auth != CFG_AUTH_CERT)
		diag_error(&l->diags, member(remote, "auth"),
			"remote.auth: a hybrid client needs \"cert\" of the gateway, got \"%s\"",
			auth_text(n->remote.auth));
	else if (n->local.auth != n->remote.auth && n->local.auth != CFG_AUTH_NONE &&
		 n->remote.auth != CFG_AUTH_NONE)
		diag_error(&l->diags, member(remote, "auth"),
			"remote.auth: IKEv1 has one method for both sides, local.auth is \"%s\"",
			auth_text(n->local.auth));
}

static void check_client(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *local = member(s, "local");
	const config_setting_t *user = member(local, "user"), *password = member(local, "password");
	if (n->local.auth == CFG_AUTH_NONE && member(local, "auth") && !(user && !n->ikev2))
		diag_error(&l->diags, member(local, "auth"),
			"local.auth: \"none\" needs local.user, and ike_versions [ 1 ]");
	else if (user && n->ikev2)
		diag_error(&l->diags, user, "local.user: XAUTH is IKEv1's, ike_versions lists 2");
	if (user && !password)
		diag_error(&l->diags, user, "local.user: needs local.password");
	if (password && !user)
		diag_error(&l->diags, password, "local.password: needs local.user");
	if (user && n->remote.user_auth == CFG_USER_XAUTH)
		diag_warning(
			&l->diags, user, "local.user: not used, the peer is the one that logs in");
}

// RFC 2409 5.4: "When using pre-shared key authentication with Main Mode the key can only be
// identified by the IP address of the peers".
static bool found_by_address(const struct cfg_psk *p)
{
	struct ip_prefix net;
	struct ip_addr a;
	return p->address_count || (p->id && (strcmp(p->id, "*") == 0 || ip_parse(p->id, &a) == 0 ||
						     ip_prefix_parse(p->id, true, &net) == 0));
}

// A group's key is what Cisco's clients have in aggressive mode; the user alone tells them apart.
static void check_group(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	bool addresses = n->mode_config_respond || n->mode_config_initiate || n->pool_count;
	diag_warning(&l->diags, member(s, "aggressive"),
		"aggressive: whoever can send a packet gets a reply from which the "
		"pre-shared key can be guessed off line");
	if (addresses && n->remote.user_auth == CFG_USER_NONE)
		diag_warning(&l->diags, member(s, "aggressive"),
			"aggressive: without remote.user_auth every holder of a group's key is "
			"anonymous, and keeps no address between sessions");
}

static void check_psk_mode(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *remote = member(s, "remote");
	bool any = false, found = false;
	if (n->remote.auth != CFG_AUTH_PSK || !member(remote, "auth"))
		return;
	if (n->aggressive) {
		check_group(l, n, s);
		return;
	}
	for (size_t i = 0; i < l->cfg->psk_count; i++) {
		const struct cfg_psk *p = &l->cfg->psks[i];
		any = any || psk_may_match(p, n);
		found = found || (psk_may_match(p, n) && found_by_address(p));
	}
	if (any && !found)
		diag_warning(&l->diags, member(remote, "auth"),
			"remote.auth: main mode finds a key by the peer's address, and no fitting "
			"entry of credentials.psk has addresses");
}

// IANA names no IKEv1 group for the curves of RFC 7748.
static bool group_fits(const struct proposal *p)
{
	for (uint8_t i = 0; i < p->dh_count; i++)
		if (p->dh[i] != DH_X25519 && p->dh[i] != DH_X448)
			return true;
	return false;
}

// RFC 2409 appendix A and RFC 3602: phase 1 is CBC with a hash, no AEAD, no counter mode.
static bool ike_fits(const struct proposal *p)
{
	bool cipher = false;
	for (uint8_t i = 0; i < p->encr_count; i++)
		cipher = cipher || p->encr[i].id == ENCR_AES_CBC || p->encr[i].id == ENCR_3DES ||
			 p->encr[i].id == ENCR_DES;
	return cipher && group_fits(p);
}

// RFC 7634 gives ChaCha20-Poly1305 a number in IKEv2 alone, RFC 4494 AES-CMAC.
static bool esp_fits(const struct proposal *p, enum cfg_pfs pfs)
{
	bool cipher = false, integ = p->aead;
	for (uint8_t i = 0; i < p->encr_count; i++)
		cipher = cipher || p->encr[i].id != ENCR_CHACHA20_POLY1305;
	for (uint8_t i = 0; i < p->integ_count; i++)
		integ = integ || p->integ[i] != INTEG_AES_CMAC_96;
	return cipher && integ && (pfs != CFG_PFS_REQUIRED || p->dh_count == 0 || group_fits(p));
}

// A proposal that could not be read has been complained about, and may have fitted.
static void check_ike_proposals(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	bool fits = n->ike_proposal_count == 0;
	for (size_t i = 0; i < n->ike_proposal_count; i++)
		fits = fits || n->ike_proposals[i].encr_count == 0 ||
		       ike_fits(&n->ike_proposals[i]);
	if (!fits)
		diag_error(&l->diags, place(s, "ike_proposals"),
			"ike_proposals: none is possible with IKEv1, whose phase 1 has neither AEAD "
			"nor CTR ciphers, x25519 nor x448");
}

static void check_esp_proposals(
	struct loader *l, const struct cfg_child *c, const config_setting_t *s)
{
	bool fits = c->esp_proposal_count == 0;
	for (size_t i = 0; i < c->esp_proposal_count; i++)
		fits = fits || c->esp_proposals[i].encr_count == 0 ||
		       esp_fits(&c->esp_proposals[i], c->pfs);
	if (!fits)
		diag_error(&l->diags, place(s, "esp_proposals"),
			"esp_proposals: none is possible with IKEv1, which has neither "
			"chacha20poly1305 nor aescmac nor x25519 nor x448");
}

static void check_push(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *push = member(s, "push"), *delay = member(s, "push_delay_ms");
	if (n->mode_config_initiate && !n->ikev1)
		diag_error(&l->diags, place(s, "mode_config"),
			"mode_config: \"initiate\" is IKEv1's, ike_versions lists 2 alone");
	if (push && !n->mode_config_initiate)
		diag_warning(&l->diags, push, "push: not used, mode_config lists no initiate");
	if (delay && !(n->mode_config_initiate && n->mode_config_respond))
		diag_warning(&l->diags, delay,
			"push_delay_ms: not used, mode_config lists not both directions");
}

// Unity's LOCAL_LAN holds nothing else, and no other attribute says it.
static void check_local_lan(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *list)
{
	for (size_t i = 0; i < n->local_lan_count; i++)
		if (n->local_lan[i].addr.family == IP_V6)
			diag_error(
				&l->diags, element(list, i), "local_lan: must be an IPv4 prefix");
}

// What Mode Configuration tells IKEv1 clients, and nobody else.
static void check_told(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	const struct {
		const char *name;
		bool set;
	} told[] = {
		{"split_include", n->split_include_count},
		{"local_lan", n->local_lan_count},
		{"split_dns", n->split_dns.count},
		{"backup_servers", n->backup_servers.count},
		{"banner", n->banner},
		{"save_password", n->save_password},
	};
	bool silent = !n->mode_config_respond && !n->mode_config_initiate;
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		if (told[i].set && !n->ikev1)
			diag_warning(&l->diags, place(s, told[i].name),
				"%s: only IKEv1 clients are told, ike_versions lists 2 alone",
				told[i].name);
		else if (told[i].set && silent)
			diag_warning(&l->diags, place(s, told[i].name),
				"%s: not used, mode_config is empty", told[i].name);
	check_local_lan(l, n, member(s, "local_lan"));
}

void check_ikev1(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	check_client(l, n, s);
	check_push(l, n, s);
	check_told(l, n, s);
	if (n->mobike && !n->ikev2 && member(s, "mobike"))
		diag_warning(&l->diags, member(s, "mobike"),
			"mobike: not used, ike_versions lists 1 alone");
	if (!n->ikev1) {
		if (n->aggressive)
			diag_error(&l->diags, member(s, "aggressive"),
				"aggressive: is a mode of IKEv1, ike_versions lists 2 alone");
		return;
	}
	check_method(l, n, s);
	check_psk_mode(l, n, s);
	check_ike_proposals(l, n, s);
	for (size_t i = 0; i < n->child_count; i++)
		check_esp_proposals(l, &n->children[i], element(member(s, "children"), i));
}
