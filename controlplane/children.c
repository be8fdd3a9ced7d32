// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The child SAs of a session that we began: one for each child of its connection.
#include "controlplane/ikev1/ikev1.h"

static size_t conf_index(const struct ike_session *s, const struct cfg_child *conf)
{
	return (size_t)(conf - s->conn->children);
}

static bool has_child(struct ike_session *s, const struct cfg_child *conf)
{
	const struct ike_child *c;
	if (ikev1_is(s->sa) && ikev1_child_missing(s, conf))
		return false;
	LIST_FOREACH (c, &s->children, link)
		if (c->conf == conf && c->state != IKE_CHILD_REKEYED &&
			c->state != IKE_CHILD_DELETING)
			return true;
	return false;
}

static size_t confs(const struct ike_session *s)
{
	return s->conn->child_count < IKE_CHILDREN_MAX ? s->conn->child_count : IKE_CHILDREN_MAX;
}

void ike_session_begin_children(struct ike_session *s)
{
	uint32_t done = s->making | s->refused;
	if (!s->initiator || !ike_may_begin(s))
		return;
	for (size_t i = 0; i < confs(s); i++) {
		const struct cfg_child *conf = &s->conn->children[i];
		if (done & 1u << i || has_child(s, conf))
			continue;
		ike_session_child_asked(s, conf);
		if (ike_child_add(s->sa, conf) < 0)
			ike_session_child_refused(s, conf);
	}
}

bool ike_session_restore_children(struct ike_session *s)
{
	bool missing = false;
	for (size_t i = 0; i < confs(s); i++) {
		const struct cfg_child *conf = &s->conn->children[i];
		if (has_child(s, conf))
			continue;
		missing = true;
		(void)ike_child_add(s->sa, conf); // else with the next look
	}
	return missing;
}

void ike_session_child_asked(struct ike_session *s, const struct cfg_child *conf)
{
	size_t i = conf_index(s, conf);
	if (i < confs(s))
		s->making |= 1u << i;
}

void ike_session_child_refused(struct ike_session *s, const struct cfg_child *conf)
{
	size_t i = conf_index(s, conf);
	if (i >= confs(s))
		return;
	s->making &= ~(1u << i);
	s->refused |= 1u << i;
}

bool ike_session_making_children(struct ike_session *s)
{
	for (size_t i = 0; i < confs(s); i++)
		if (s->making & 1u << i && !has_child(s, &s->conn->children[i]))
			return true;
	return false;
}

bool ike_children_ready(const struct ike_session *s)
{
	const struct ike_child *c;
	LIST_FOREACH (c, &s->children, link)
		if (c->state == IKE_CHILD_ACTIVE && c->installed_ns)
			return true;
	return false;
}
