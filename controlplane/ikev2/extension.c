// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/ikev2/extension.h"

#include "controlplane/ikev2/mobike.h"
#include "controlplane/ikev2/qcd.h"
#include "controlplane/ikev2/reauth.h"

// One line each.
static const struct ikev2_extension *const extensions[] = {
	&ikev2_mobike_extension,
	&ikev2_reauth,
	&ikev2_qcd,
	NULL,
};

#define EACH(e) \
	for (const struct ikev2_extension *const *p = extensions, *(e); ((e) = *p) != NULL; p++)

void ikev2_auth_put(struct ike_exchange *x)
{
	EACH(e)
	if (e->auth_put)
		e->auth_put(x);
}

void ikev2_auth_read(struct ike_exchange *x)
{
	EACH(e)
	if (e->auth_read)
		e->auth_read(x);
}

void ikev2_rekey_put(struct ike_exchange *x, struct ike_sa *sa)
{
	EACH(e)
	if (e->rekey_put)
		e->rekey_put(x, sa);
}

void ikev2_rekey_read(struct ike_exchange *x, struct ike_sa *sa)
{
	EACH(e)
	if (e->rekey_read)
		e->rekey_read(x, sa);
}

void ikev2_inherit(struct ike_sa *sa, struct ike_sa *old)
{
	EACH(e)
	if (e->inherit)
		e->inherit(sa, old);
}

enum ike_verdict ikev2_informational_extensions(struct ike_exchange *x)
{
	EACH(e)
	{
		enum ike_verdict v = e->informational ? e->informational(x) : IKE_DONE;
		if (v != IKE_DONE)
			return v;
	}
	return IKE_DONE;
}

void ikev2_probe_put(struct ike_exchange *x)
{
	EACH(e)
	if (e->probe_put)
		e->probe_put(x);
}

void ikev2_probe_read(struct ike_exchange *x)
{
	EACH(e)
	if (e->probe_read)
		e->probe_read(x);
}

void ikev2_extensions_release(struct ike_sa *sa)
{
	EACH(e)
	if (e->release)
		e->release(sa);
}
