// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The suites beside AES-GCM, one by one: what each wants in its job.
#include "dataplane/suites_jobs.h"

#include "dataplane/ip.h"

static void put_be32(uint8_t *p, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(p, &v, sizeof(v));
}

// CCM authenticates the plaintext. The IV is RFC 4309's nonce: three bytes of salt, eight of IV.
void dp_job_ccm(IMB_JOB *j, struct esp_op *op, uint32_t aad_len, bool seal)
{
	union keys *k = dp_sa_keys(op->sa);
	j->enc_keys = k->split.aes.enc;
	j->dec_keys = k->split.aes.enc;
	j->cipher_mode = IMB_CIPHER_CCM;
	j->hash_alg = IMB_AUTH_AES_CCM;
	j->chain_order = seal ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
	j->u.CCM.aad = op->aad;
	j->u.CCM.aad_len_in_bytes = aad_len;
	j->iv_len_in_bytes = 11;
	j->hash_start_src_offset_in_bytes = j->cipher_start_src_offset_in_bytes;
	j->msg_len_to_hash_in_bytes = op->text_len;
	j->auth_tag_output_len_in_bytes = op->sa->icv_len;
}

static void set_cipher_keys(IMB_JOB *j, const struct cipher_row *row, const struct keys_split *k)
{
	j->iv_len_in_bytes = row->salt_len + row->iv_len;
	if (row->mode == IMB_CIPHER_DES3) {
		j->enc_keys = j->dec_keys = k->des.pass;
	} else if (row->mode == IMB_CIPHER_DES) {
		j->enc_keys = j->dec_keys = k->des.schedule[0];
	} else {
		j->enc_keys = k->aes.enc;
		j->dec_keys = k->aes.dec;
	}
}

static void set_mac_keys(IMB_JOB *j, const struct auth_row *a, const struct keys_split *k)
{
	if (a->alg == IMB_AUTH_AES_XCBC) {
		j->u.XCBC._k1_expanded = k->block_mac.schedule;
		j->u.XCBC._k2 = k->block_mac.whole;
		j->u.XCBC._k3 = k->block_mac.padded;
	} else if (a->alg == IMB_AUTH_AES_CMAC) {
		j->u.CMAC._key_expanded = k->block_mac.schedule;
		j->u.CMAC._skey1 = k->block_mac.whole;
		j->u.CMAC._skey2 = k->block_mac.padded;
	} else {
		j->u.HMAC._hashed_auth_key_xor_ipad = k->hmac.inner;
		j->u.HMAC._hashed_auth_key_xor_opad = k->hmac.outer;
	}
}

// RFC 4303 2.2.1: with ESN the high bits are part of what is authenticated, behind the text, but
// not sent. They stand in the ICV's place while the hash runs.
void dp_job_split(IMB_JOB *j, struct esp_op *op, bool seal)
{
	const struct cipher_row *row = &dp_ciphers[op->sa->cipher];
	const struct auth_row *a = &dp_auths[op->sa->auth];
	union keys *k = dp_sa_keys(op->sa);
	uint32_t covered = ESP_HDR_LEN + row->iv_len + op->text_len;

	set_cipher_keys(j, row, &k->split);
	set_mac_keys(j, a, &k->split);
	j->cipher_mode = row->mode;
	j->hash_alg = a->alg;
	j->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	j->auth_tag_output_len_in_bytes = a->icv_len;
	if (op->sa->flags & DP_SA_ESN) {
		put_be32(op->esp + covered, (uint32_t)(op->seq >> 32));
		covered += 4;
	}
	j->hash_start_src_offset_in_bytes = 0;
	j->msg_len_to_hash_in_bytes = covered;
}

struct gmac {
	aes_gmac_init_t init;
	aes_gmac_update_t update;
	aes_gmac_finalize_t finalize;
};

static struct gmac gmac_of(const IMB_MGR *m, uint8_t key_len)
{
	switch (key_len) {
	case 16:
		return (struct gmac){m->gmac128_init, m->gmac128_update, m->gmac128_finalize};
	case 24:
		return (struct gmac){m->gmac192_init, m->gmac192_update, m->gmac192_finalize};
	default:
		return (struct gmac){m->gmac256_init, m->gmac256_update, m->gmac256_finalize};
	}
}

// RFC 4543 3.3: all of the packet is AAD, from the SPI to the next header, the sequence number with 64
// bits where it is extended; there is no plaintext.
void dp_run_gmac(struct dp_crypto *c, const struct esp_op *op, uint8_t *tag)
{
	const struct cipher_row *row = &dp_ciphers[op->sa->cipher];
	const struct gcm_key_data *key = dp_sa_keys(op->sa);
	struct gmac f = gmac_of(c->mgr, row->key_len);
	const uint8_t *from = op->esp;
	uint32_t len = ESP_HDR_LEN + row->iv_len + op->text_len;

	f.init(key, &c->gcm, op->iv, 12);
	if (op->sa->flags & DP_SA_ESN) {
		uint8_t high[8];
		memcpy(high, op->esp, 4);
		put_be32(high + 4, (uint32_t)(op->seq >> 32));
		f.update(key, &c->gcm, high, sizeof(high));
		from += 4;
		len -= 4;
	}
	f.update(key, &c->gcm, from, len);
	f.finalize(key, &c->gcm, tag, row->icv_len);
}
