// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "base/algs.h"

#include <errno.h>
#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct alg_encr encrs[] = {
	// id, bits, key, salt, iv, icv, block, fixed
	{ENCR_AES_GCM_16, 128, 16, 4, 8, 16, 1, false, "aes128gcm16", NULL},
	{ENCR_AES_GCM_16, 192, 24, 4, 8, 16, 1, false, "aes192gcm16", NULL},
	{ENCR_AES_GCM_16, 256, 32, 4, 8, 16, 1, false, "aes256gcm16", NULL},
	{ENCR_AES_GCM_12, 128, 16, 4, 8, 12, 1, false, "aes128gcm12", NULL},
	{ENCR_AES_GCM_12, 192, 24, 4, 8, 12, 1, false, "aes192gcm12", NULL},
	{ENCR_AES_GCM_12, 256, 32, 4, 8, 12, 1, false, "aes256gcm12", NULL},
	{ENCR_AES_GCM_8, 128, 16, 4, 8, 8, 1, false, "aes128gcm8", NULL},
	{ENCR_AES_GCM_8, 192, 24, 4, 8, 8, 1, false, "aes192gcm8", NULL},
	{ENCR_AES_GCM_8, 256, 32, 4, 8, 8, 1, false, "aes256gcm8", NULL},
	{ENCR_CHACHA20_POLY1305, 256, 32, 4, 8, 16, 1, true, "chacha20poly1305", NULL},
	// 192 bits are not in intel-ipsec-mb.
	{ENCR_AES_CCM_16, 128, 16, 3, 8, 16, 1, false, "aes128ccm16", NULL},
	{ENCR_AES_CCM_16, 256, 32, 3, 8, 16, 1, false, "aes256ccm16", NULL},
	{ENCR_AES_CCM_12, 128, 16, 3, 8, 12, 1, false, "aes128ccm12", NULL},
	{ENCR_AES_CCM_12, 256, 32, 3, 8, 12, 1, false, "aes256ccm12", NULL},
	{ENCR_AES_CCM_8, 128, 16, 3, 8, 8, 1, false, "aes128ccm8", NULL},
	{ENCR_AES_CCM_8, 256, 32, 3, 8, 8, 1, false, "aes256ccm8", NULL},
	{ENCR_NULL_AUTH_AES_GMAC, 128, 16, 4, 8, 16, 1, false, "aes128gmac", NULL},
	{ENCR_NULL_AUTH_AES_GMAC, 192, 24, 4, 8, 16, 1, false, "aes192gmac", NULL},
	{ENCR_NULL_AUTH_AES_GMAC, 256, 32, 4, 8, 16, 1, false, "aes256gmac", NULL},
	{ENCR_AES_CBC, 128, 16, 0, 16, 0, 16, false, "aes128", NULL},
	{ENCR_AES_CBC, 192, 24, 0, 16, 0, 16, false, "aes192", NULL},
	{ENCR_AES_CBC, 256, 32, 0, 16, 0, 16, false, "aes256", NULL},
	{ENCR_AES_CTR, 128, 16, 4, 8, 0, 1, false, "aes128ctr", NULL},
	{ENCR_AES_CTR, 192, 24, 4, 8, 0, 1, false, "aes192ctr", NULL},
	{ENCR_AES_CTR, 256, 32, 4, 8, 0, 1, false, "aes256ctr", NULL},
	{ENCR_NULL, 0, 0, 0, 0, 0, 1, true, "null", NULL},
	{ENCR_3DES, 192, 24, 0, 8, 0, 8, true, "3des", "3des"},
	{ENCR_DES, 64, 8, 0, 8, 0, 8, true, "des", "des"},
};

static const struct alg_integ integs[] = {
	{INTEG_HMAC_SHA2_256_128, 32, 16, "sha256", NULL},
	{INTEG_HMAC_SHA2_384_192, 48, 24, "sha384", NULL},
	{INTEG_HMAC_SHA2_512_256, 64, 32, "sha512", NULL},
	{INTEG_HMAC_SHA1_96, 20, 12, "sha1", NULL},
	{INTEG_AES_XCBC_96, 16, 12, "aesxcbc", NULL},
	{INTEG_AES_CMAC_96, 16, 12, "aescmac", NULL},
	{INTEG_HMAC_MD5_96, 16, 12, "md5", "md5"},
};

static const struct alg_prf prfs[] = {
	{PRF_HMAC_SHA2_256, 32, "prfsha256", NULL},
	{PRF_HMAC_SHA2_384, 48, "prfsha384", NULL},
	{PRF_HMAC_SHA2_512, 64, "prfsha512", NULL},
	{PRF_HMAC_SHA1, 20, "prfsha1", NULL},
	{PRF_HMAC_MD5, 16, "prfmd5", "md5"},
};

static const struct alg_dh dhs[] = {
	{DH_X25519, 32, 32, "x25519", NULL},
	{DH_X448, 56, 56, "x448", NULL},
	{DH_ECP_256, 64, 32, "ecp256", NULL},
	{DH_ECP_384, 96, 48, "ecp384", NULL},
	{DH_ECP_521, 132, 66, "ecp521", NULL},
	{DH_MODP_2048, 256, 256, "modp2048", NULL},
	{DH_MODP_3072, 384, 384, "modp3072", NULL},
	{DH_MODP_4096, 512, 512, "modp4096", NULL},
	{DH_MODP_1536, 192, 192, "modp1536", "modp1536"},
	{DH_MODP_1024, 128, 128, "modp1024", "modp1024"},
	{DH_MODP_768, 96, 96, "modp768", "modp768"},
};

// Other keywords for the same thing.
static const struct {
	const char *alias;
	const char *keyword;
} aliases[] = {
	{"aes", "aes128"},
	{"aes128cbc", "aes128"},
	{"aes192cbc", "aes192"},
	{"aes256cbc", "aes256"},
	{"aes128gcm", "aes128gcm16"},
	{"aes192gcm", "aes192gcm16"},
	{"aes256gcm", "aes256gcm16"},
	{"aes128gcm128", "aes128gcm16"},
	{"aes192gcm128", "aes192gcm16"},
	{"aes256gcm128", "aes256gcm16"},
	{"aes128gcm96", "aes128gcm12"},
	{"aes192gcm96", "aes192gcm12"},
	{"aes256gcm96", "aes256gcm12"},
	{"aes128gcm64", "aes128gcm8"},
	{"aes192gcm64", "aes192gcm8"},
	{"aes256gcm64", "aes256gcm8"},
	{"aes128ccm128", "aes128ccm16"},
	{"aes256ccm128", "aes256ccm16"},
	{"aes128ccm96", "aes128ccm12"},
	{"aes256ccm96", "aes256ccm12"},
	{"aes128ccm64", "aes128ccm8"},
	{"aes256ccm64", "aes256ccm8"},
	{"sha", "sha1"},
	{"sha2_256", "sha256"},
	{"sha2_384", "sha384"},
	{"sha2_512", "sha512"},
	{"curve25519", "x25519"},
	{"curve448", "x448"},
};

const struct alg_encr *alg_encr(uint16_t id, uint16_t key_bits)
{
	for (size_t i = 0; i < COUNT(encrs); i++)
		if (encrs[i].id == id && (encrs[i].fixed_key || encrs[i].key_bits == key_bits ||
						 (key_bits == 0 && encrs[i].key_bits == 128)))
			return &encrs[i];
	return NULL;
}

bool alg_encr_conceals(uint16_t id)
{
	return id != ENCR_NULL && id != ENCR_NULL_AUTH_AES_GMAC;
}

const struct alg_integ *alg_integ(uint16_t id)
{
	for (size_t i = 0; i < COUNT(integs); i++)
		if (integs[i].id == id)
			return &integs[i];
	return NULL;
}

const struct alg_prf *alg_prf(uint16_t id)
{
	for (size_t i = 0; i < COUNT(prfs); i++)
		if (prfs[i].id == id)
			return &prfs[i];
	return NULL;
}

const struct alg_dh *alg_dh(uint16_t id)
{
	for (size_t i = 0; i < COUNT(dhs); i++)
		if (dhs[i].id == id)
			return &dhs[i];
	return NULL;
}

static const char *plain_keyword(const char *keyword)
{
	for (size_t i = 0; i < COUNT(aliases); i++)
		if (strcmp(aliases[i].alias, keyword) == 0)
			return aliases[i].keyword;
	return keyword;
}

const struct alg_encr *alg_encr_keyword(const char *keyword)
{
	keyword = plain_keyword(keyword);
	for (size_t i = 0; i < COUNT(encrs); i++)
		if (strcmp(encrs[i].keyword, keyword) == 0)
			return &encrs[i];
	return NULL;
}

const struct alg_integ *alg_integ_keyword(const char *keyword)
{
	keyword = plain_keyword(keyword);
	for (size_t i = 0; i < COUNT(integs); i++)
		if (strcmp(integs[i].keyword, keyword) == 0)
			return &integs[i];
	return NULL;
}

const struct alg_prf *alg_prf_keyword(const char *keyword)
{
	for (size_t i = 0; i < COUNT(prfs); i++)
		if (strcmp(prfs[i].keyword, keyword) == 0)
			return &prfs[i];
	return NULL;
}

const struct alg_dh *alg_dh_keyword(const char *keyword)
{
	keyword = plain_keyword(keyword);
	for (size_t i = 0; i < COUNT(dhs); i++)
		if (strcmp(dhs[i].keyword, keyword) == 0)
			return &dhs[i];
	return NULL;
}

static uint16_t prf_of_integ(uint16_t integ)
{
	switch (integ) {
	case INTEG_HMAC_SHA2_256_128:
		return PRF_HMAC_SHA2_256;
	case INTEG_HMAC_SHA2_384_192:
		return PRF_HMAC_SHA2_384;
	case INTEG_HMAC_SHA2_512_256:
		return PRF_HMAC_SHA2_512;
	case INTEG_HMAC_SHA1_96:
		return PRF_HMAC_SHA1;
	case INTEG_HMAC_MD5_96:
		return PRF_HMAC_MD5;
	default:
		return 0;
	}
}

static bool push(uint16_t *list, uint8_t *count, uint16_t id)
{
	if (*count == PROPOSAL_MAX)
		return false;
	list[(*count)++] = id;
	return true;
}

// Why there is no such algorithm, in words to append; "" where there is no more to say.
static const char *unknown_because(const char *word, bool esp)
{
	if (strncmp(word, "aes192ccm", 9) == 0)
		return " (the library has AES-CCM with keys of 128 and 256 bits alone)";
	return esp && alg_prf_keyword(word) ? " (an ESP proposal has no PRF)" : "";
}

static int add_keyword(struct proposal *p, const char *word, bool esp, char *why, size_t cap)
{
	const struct alg_encr *e = alg_encr_keyword(word);
	const struct alg_integ *i = alg_integ_keyword(word);
	const struct alg_prf *f = alg_prf_keyword(word);
	const struct alg_dh *d = alg_dh_keyword(word);
	bool fits = true;
	if (e) {
		fits = p->encr_count < PROPOSAL_MAX;
		if (fits)
			p->encr[p->encr_count++] = (struct proposal_encr){e->id, e->key_bits};
	} else if (i) {
		fits = push(p->integ, &p->integ_count, i->id);
	} else if (f && !esp) {
		fits = push(p->prf, &p->prf_count, f->id);
	} else if (d) {
		fits = push(p->dh, &p->dh_count, d->id);
	} else {
		snprintf(why, cap, "unknown algorithm \"%s\"%s", word, unknown_because(word, esp));
		return -EINVAL;
	}
	if (!fits) {
		snprintf(why, cap, "more than %d algorithms of one kind", PROPOSAL_MAX);
		return -EINVAL;
	}
	return 0;
}

// What IKE messages are never protected by.
static const char *impossible_for_ike(const struct proposal *p)
{
	for (uint8_t i = 0; i < p->encr_count; i++) {
		uint16_t id = p->encr[i].id;
		if (!alg_encr_conceals(id))
			return "an IKE proposal needs encryption";
		if (id == ENCR_AES_CCM_8 || id == ENCR_AES_CCM_12 || id == ENCR_AES_CCM_16)
			return "AES-CCM is for ESP alone";
	}
	for (uint8_t i = 0; i < p->integ_count; i++)
		if (p->integ[i] == INTEG_AES_XCBC_96 || p->integ[i] == INTEG_AES_CMAC_96)
			return "aesxcbc and aescmac are for ESP alone";
	return NULL;
}

// What is impossible as a whole, after every keyword was understood.
static const char *impossible(const struct proposal *p, bool esp)
{
	uint8_t aeads = 0, conceal = 0;
	if (p->encr_count == 0)
		return "no encryption algorithm";
	for (uint8_t i = 0; i < p->encr_count; i++) {
		const struct alg_encr *e = alg_encr(p->encr[i].id, p->encr[i].key_bits);
		aeads = (uint8_t)(aeads + (e->icv_len != 0));
		conceal = (uint8_t)(conceal + alg_encr_conceals(e->id));
	}
	const char *problem = esp ? NULL : impossible_for_ike(p);
	if (problem)
		return problem;
	if (conceal && conceal != p->encr_count)
		return "null or GMAC and ciphers that encrypt cannot share one proposal";
	if (aeads && aeads != p->encr_count)
		return "AEAD and other ciphers cannot share one proposal";
	if (!aeads && p->integ_count == 0)
		return "a cipher that is no AEAD needs an integrity algorithm";
	if (esp && aeads && p->integ_count)
		return "an AEAD cipher takes no integrity algorithm";
	if (!esp && p->dh_count == 0)
		return "an IKE proposal needs a DH group";
	if (!esp && aeads && p->prf_count == 0 && p->integ_count == 0)
		return "an AEAD cipher needs a PRF (prfsha256, ...)";
	return NULL;
}

int proposal_parse(const char *text, bool esp, struct proposal *out, char *why, size_t cap)
{
	struct proposal p = {0};
	const char *at = text;
	while (true) {
		char word[32];
		size_t n = strcspn(at, "-");
		if (n == 0 || n >= sizeof(word)) {
			snprintf(why, cap, n ? "algorithm name too long" : "empty algorithm name");
			return -EINVAL;
		}
		memcpy(word, at, n);
		word[n] = '\0';
		int rc = add_keyword(&p, word, esp, why, cap);
		if (rc)
			return rc;
		if (at[n] == '\0')
			break;
		at += n + 1;
	}
	const char *problem = impossible(&p, esp);
	if (problem) {
		snprintf(why, cap, "%s", problem);
		return -EINVAL;
	}
	p.aead = alg_encr(p.encr[0].id, p.encr[0].key_bits)->icv_len != 0;
	if (!esp && p.prf_count == 0)
		for (uint8_t i = 0; i < p.integ_count; i++)
			push(p.prf, &p.prf_count, prf_of_integ(p.integ[i]));
	if (p.aead)
		p.integ_count = 0;
	*out = p;
	return 0;
}

static const char *encr_legacy(const struct proposal_encr *id)
{
	const struct alg_encr *e = alg_encr(id->id, id->key_bits);
	return e ? e->legacy : NULL;
}

static const char *integ_legacy(uint16_t id)
{
	const struct alg_integ *i = alg_integ(id);
	return i ? i->legacy : NULL;
}

static const char *prf_legacy(uint16_t id)
{
	const struct alg_prf *f = alg_prf(id);
	return f ? f->legacy : NULL;
}

static const char *dh_legacy(uint16_t id)
{
	const struct alg_dh *d = alg_dh(id);
	return d ? d->legacy : NULL;
}

// The word if it is one and n more were passed.
static const char *nth(const char *word, size_t *n)
{
	return word && (*n)-- == 0 ? word : NULL;
}

const char *proposal_legacy(const struct proposal *p, size_t n)
{
	const char *word = NULL;
	for (uint8_t i = 0; i < p->encr_count && !word; i++)
		word = nth(encr_legacy(&p->encr[i]), &n);
	for (uint8_t i = 0; i < p->integ_count && !word; i++)
		word = nth(integ_legacy(p->integ[i]), &n);
	for (uint8_t i = 0; i < p->prf_count && !word; i++)
		word = nth(prf_legacy(p->prf[i]), &n);
	for (uint8_t i = 0; i < p->dh_count && !word; i++)
		word = nth(dh_legacy(p->dh[i]), &n);
	return word;
}

const char *suite_legacy(const struct suite *s)
{
	const char *word = encr_legacy(&s->encr);
	word = word ? word : integ_legacy(s->integ);
	word = word ? word : prf_legacy(s->prf);
	return word ? word : dh_legacy(s->dh);
}

const char *suite_text(const struct suite *s, char buf[static SUITE_TEXT_MAX])
{
	const struct alg_encr *e = alg_encr(s->encr.id, s->encr.key_bits);
	const struct alg_integ *i = alg_integ(s->integ);
	const struct alg_prf *f = alg_prf(s->prf);
	const struct alg_dh *d = alg_dh(s->dh);
	snprintf(buf, SUITE_TEXT_MAX, "%s%s%s%s%s%s%s%s", e ? e->keyword : "?", i ? "-" : "",
		i ? i->keyword : "", f ? "-" : "", f ? f->keyword : "", d ? "-" : "",
		d ? d->keyword : "", s->esn ? "-esn" : "");
	return buf;
}
