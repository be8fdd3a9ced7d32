// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/starter.h"

#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"

// ---- one IKE SA --------------------------------------------------------------------------------

static const struct ike_task *first_task(const struct cfg_connection *conn)
{
	static const struct ike_task init = {.name = "ike-sa-init",
		.type = IKEV2_EXCHANGE_IKE_SA_INIT,
		.build = ikev2_sa_init_build,
		.response = ikev2_sa_init_response};
	static const struct ike_task main_mode = {
		.name = "main-mode", .type = IKEV1_EXCHANGE_MAIN, .build = ikev1_main_build};
	static const struct ike_task aggressive = {.name = "aggressive-mode",
		.type = IKEV1_EXCHANGE_AGGRESSIVE,
		.build = ikev1_aggressive_build};
	if (conn->ikev2)
		return &init;
	return conn->aggressive ? &aggressive : &main_mode;
}

struct ike_session *ike_begin(struct ike_engine *e, const struct ike_begin *b)
{
	const struct cfg_connection *conn = b->conn;
	struct ike_sa *sa = ike_sa_new(e, conn->ikev2 ? IKE_MAJOR_2 : IKE_MAJOR_1, true);
	if (!sa)
		return NULL;
	sa->conn = conn;
	sa->origin = b->origin;
	sa->local = b->local;
	sa->remote = b->remote;
	sa->floated = b->local.port == IKE_NAT_T_PORT;
	sa->reauth_session = b->follows;
	sa->first_child = conn->child_count ? &conn->children[0] : NULL;
	struct ike_session *s = ike_session_new(sa, conn);
	if (!s || ike_task_add(sa, first_task(conn)) < 0) {
		ike_sa_close(sa, IKE_REASON_NO_MEMORY);
		return NULL;
	}
	s->follows = b->follows;
	return s;
}

static const struct cfg_connection *connection_by_name(const struct cfg *cfg, const char *name)
{
	for (size_t i = 0; i < cfg->connection_count; i++)
		if (strcmp(cfg->connections[i].name, name) == 0)
			return &cfg->connections[i];
	return NULL;
}

uint64_t ike_initiate(struct ike_engine *e, const char *connection, const struct sa_origin *origin,
	const struct endpoint *local, const struct endpoint *remote)
{
	const struct cfg_connection *conn = connection_by_name(e->p.cfg, connection);
	if (!conn || conn->responder_only || e->shutting_down)
		return 0;
	// Who is asked for a user by XAUTH is never called.
	if (!conn->ikev2 && conn->remote.user_auth != CFG_USER_NONE)
		return 0;
	struct ike_begin b = {.conn = conn, .origin = *origin, .local = *local, .remote = *remote};
	ike_enter(e);
	struct ike_session *s = ike_begin(e, &b);
	uint64_t id = s ? s->id : 0;
	ike_leave(e);
	return id;
}
