// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Distinguished names, and whether an identity stands in a certificate.
#include "controlplane/crypto/internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>

#define RDN_VALUE_MAX 512 // bytes
#define RDN_COUNT_MAX 32

// CVE-2013-6075: a Name is parsed by the library and must be all there is.
static X509_NAME *name_of(struct view der)
{
	if (der.len == 0 || der.len > IKE_CERT_MAX)
		return NULL;
	const uint8_t *p = der.p;
	X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)der.len);
	ERR_clear_error();
	if (name && p != der.p + der.len) {
		X509_NAME_free(name);
		name = NULL;
	}
	return name;
}

bool ike_dn_text(struct view der, char buf[static IKE_DN_TEXT_MAX])
{
	const unsigned long flags = ASN1_STRFLGS_RFC2253 | XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN;
	X509_NAME *name = name_of(der);
	BIO *bio = name ? BIO_new(BIO_s_mem()) : NULL;
	int len = 0;
	if (bio && X509_NAME_print_ex(bio, name, 0, flags) >= 0)
		len = BIO_read(bio, buf, IKE_DN_TEXT_MAX - 1);
	buf[len > 0 ? len : 0] = '\0';
	BIO_free(bio);
	X509_NAME_free(name);
	ERR_clear_error();
	return len > 0;
}

bool ike_dn_equal(struct view a_der, struct view b_der)
{
	X509_NAME *a = name_of(a_der), *b = name_of(b_der);
	bool equal = a && b && X509_NAME_cmp(a, b) == 0;
	X509_NAME_free(a);
	X509_NAME_free(b);
	return equal;
}

uint64_t ike_dn_hash(struct view der)
{
	X509_NAME *name = name_of(der);
	uint64_t hash = name ? X509_NAME_hash_ex(name, NULL, NULL, NULL) : 0;
	X509_NAME_free(name);
	ERR_clear_error();
	return hash;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// An attribute's value up to an unescaped separator, without its outer spaces. RFC 2253 2.4:
// a backslash stands before a special character or two hex digits.
static bool rdn_value(const char **text, struct wr *value)
{
	const char *p = *text;
	size_t keep = 0; // what ends with an escaped space stays
	while (*p == ' ')
		p++;
	for (; *p && *p != ',' && *p != '+'; p++) {
		if (*p != '\\') {
			wr_u8(value, (uint8_t)*p);
			if (*p != ' ')
				keep = value->len;
			continue;
		}
		p++;
		int hi = hex_digit(p[0]), lo = hi >= 0 ? hex_digit(p[1]) : -1;
		if (lo >= 0) {
			wr_u8(value, (uint8_t)(hi << 4 | lo));
			p++;
		} else if (*p) {
			wr_u8(value, (uint8_t)*p);
		} else {
			return false;
		}
		keep = value->len;
	}
	*text = p;
	value->len = keep;
	return !value->overflow && keep > 0;
}

// "type=value"; set: this one shares an RDN with the one before.
static bool rdn_add(X509_NAME *name, const char **text, int set)
{
	char type[64];
	uint8_t bytes[RDN_VALUE_MAX];
	struct wr value = wr_of(bytes, sizeof(bytes));
	const char *p = *text + strspn(*text, " ");
	size_t len = strcspn(p, "=,+");
	if (p[len] != '=' || len == 0 || len >= sizeof(type))
		return false;
	memcpy(type, p, len);
	while (len && type[len - 1] == ' ')
		len--;
	type[len] = '\0';
	// The library knows "CN", people also write "cn".
	if (OBJ_txt2nid(type) == NID_undef)
		for (size_t i = 0; i < len; i++)
			type[i] = (char)toupper((unsigned char)type[i]);
	const char *field = strcmp(type, "E") == 0 ? "emailAddress" : type;
	*text = strchr(p, '=') + 1;
	return rdn_value(text, &value) && X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
						  bytes, (int)value.len, -1, set) == 1;
}

enum ike_crypto_error ike_dn_from_text(const char *text, struct secret *out)
{
	*out = (struct secret){0};
	X509_NAME *name = X509_NAME_new();
	uint8_t *der = NULL;
	bool ok = name != NULL;
	int set = 0;
	for (int count = 0; ok; count++) {
		ok = count < RDN_COUNT_MAX && rdn_add(name, &text, set);
		if (!ok || !*text)
			break;
		set = *text++ == '+' ? -1 : 0;
	}
	int len = ok ? i2d_X509_NAME(name, &der) : -1;
	enum ike_crypto_error e = IKE_CRYPTO_AUTH_FORMAT;
	if (len > 0)
		e = secret_copy(out, der, (size_t)len) == 0 ? IKE_CRYPTO_OK : IKE_CRYPTO_NO_MEMORY;
	OPENSSL_free(der);
	X509_NAME_free(name);
	ERR_clear_error();
	return e;
}

static bool text_equal(const ASN1_STRING *s, struct view id)
{
	return (size_t)ASN1_STRING_length(s) == id.len &&
	       strncasecmp((const char *)ASN1_STRING_get0_data(s), (const char *)id.p, id.len) == 0;
}

// RFC 5280 7.5: the part before '@' is compared as it is, the host without regard to case.
static bool mail_equal(const ASN1_STRING *s, struct view id)
{
	const uint8_t *at = memchr(id.p, '@', id.len);
	size_t local = at ? (size_t)(at - id.p) : 0;
	return at && text_equal(s, id) && memcmp(ASN1_STRING_get0_data(s), id.p, local) == 0;
}

static bool bytes_equal(const ASN1_STRING *s, struct view id)
{
	return (size_t)ASN1_STRING_length(s) == id.len &&
	       memcmp(ASN1_STRING_get0_data(s), id.p, id.len) == 0;
}

static bool san_equal(const GENERAL_NAME *san, uint8_t id_type, struct view id)
{
	switch (id_type) {
	case IKE_ID_FQDN:
		return san->type == GEN_DNS && text_equal(san->d.dNSName, id);
	case IKE_ID_RFC822:
		return san->type == GEN_EMAIL && mail_equal(san->d.rfc822Name, id);
	case IKE_ID_IPV4:
		return san->type == GEN_IPADD && id.len == 4 && bytes_equal(san->d.iPAddress, id);
	case IKE_ID_IPV6:
		return san->type == GEN_IPADD && id.len == 16 && bytes_equal(san->d.iPAddress, id);
	default:
		return false;
	}
}

bool crypto_cert_has_id(X509 *cert, uint8_t id_type, struct view id_data)
{
	// A zero octet would end the text for whoever prints or compares it as a C string.
	if (id_data.len == 0 || id_data.len > IKE_CERT_MAX)
		return false;
	if ((id_type == IKE_ID_FQDN || id_type == IKE_ID_RFC822) &&
		memchr(id_data.p, 0, id_data.len))
		return false;
	if (id_type == IKE_ID_DN) {
		X509_NAME *name = name_of(id_data);
		bool same = name && X509_NAME_entry_count(name) > 0 &&
			    X509_NAME_cmp(name, X509_get_subject_name(cert)) == 0;
		X509_NAME_free(name);
		return same;
	}
	GENERAL_NAMES *sans = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	ERR_clear_error();
	bool found = false;
	for (int i = 0; !found && i < sk_GENERAL_NAME_num(sans); i++)
		found = san_equal(sk_GENERAL_NAME_value(sans, i), id_type, id_data);
	GENERAL_NAMES_free(sans);
	return found;
}

bool crypto_cert_has_text_id(X509 *cert, const char *id)
{
	struct view text = {(const uint8_t *)id, strlen(id)};
	struct ip_addr addr;
	if (ip_parse(id, &addr) == 0)
		return crypto_cert_has_id(cert, addr.family == IP_V4 ? IKE_ID_IPV4 : IKE_ID_IPV6,
			(struct view){addr.bytes, ip_len(addr.family)});
	if (strchr(id, '=')) {
		SECRET_CLEANUP struct secret der = {0};
		return ike_dn_from_text(id, &der) == IKE_CRYPTO_OK &&
		       crypto_cert_has_id(cert, IKE_ID_DN, secret_view(&der));
	}
	return crypto_cert_has_id(cert, strchr(id, '@') ? IKE_ID_RFC822 : IKE_ID_FQDN, text);
}
