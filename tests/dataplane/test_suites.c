// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Published vectors for the suites. A vector's ESP packet is opened with its key; where its source
// has no integrity algorithm, the ICV is OpenSSL's.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#include "dataplane/suites_table.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdio.h>

static struct dp_crypto crypto;
static struct dp_sa *sa;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(dp_crypto_init(&crypto, &random_system), 0);
	sa = dp_chunk_new(dp_sa_stride(), SOCKET_ID_ANY);
	assert_non_null(sa);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dp_chunk_free(sa, dp_sa_stride());
	dp_crypto_fini(&crypto);
	return 0;
}

static size_t hex(const char *text, uint8_t *out)
{
	size_t n = 0;
	unsigned v;
	for (; *text; text += 2, n++) {
		while (*text == ' ')
			text++;
		assert_int_equal(sscanf(text, "%2x", &v), 1);
		out[n] = (uint8_t)v;
	}
	return n;
}

static struct sa_spec spec_of(uint16_t encr, uint16_t bits, const char *key, uint16_t integ)
{
	struct sa_spec s = {.encr = {encr, bits}, .integ = integ};
	s.encr_key_len = (uint8_t)hex(key, s.encr_key);
	s.integ_key_len = integ ? alg_integ(integ)->key_len : 0;
	for (size_t i = 0; i < s.integ_key_len; i++)
		s.integ_key[i] = (uint8_t)(0xa0 + i);
	return s;
}

// Open what stands in esp (ESP header to ICV); the text is decrypted in place.
static bool open_esp(const struct sa_spec *s, uint64_t seq, uint8_t *esp, size_t len,
	uint8_t **text, size_t *text_len)
{
	memset(sa, 0, sizeof(*sa));
	sa->flags = s->esn ? DP_SA_ESN : 0;
	assert_int_equal(dp_keys_expand(crypto.mgr, s, sa), 0);
	*text_len = len - 8 - sa->iv_len - sa->icv_len;
	*text = esp + 8 + sa->iv_len;
	struct esp_op op = {.sa = sa, .esp = esp, .text_len = (uint16_t)*text_len, .seq = seq};
	dp_open_burst(&crypto, &op, 1);
	return op.ok;
}

// ---- AES-GCM ----

// draft-mcgrew-gcm-test-01, "Test Cases for the use of GCM in ESP"; RFC 4106's own companion.
// aad: SPI and sequence number, 12 bytes with extended ones.
static const struct {
	uint16_t bits;
	const char *key, *aad, *iv, *plain, *cipher;
} gcm[] = {
	{128, "4c80cdefbb5d10da906ac73c3613a634 2e443b68", "00004321 87654321 00000000",
		"4956ed7e3b244cfe",
		"45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000"
		"00000000045f736970045f756470037369700963796265726369747902646b00"
		"0021000101020201",
		"fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34"
		"cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce"
		"61bc17d768fd9732459018148f6cbe722fd04796562dfdb4"},
	{192, "feffe9928665731c6d6a8f9467308308feffe9928665731c cafebabe", "0000a5f8 0000000a",
		"facedbaddecaf888",
		"45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e"
		"501016d075680001",
		"a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0"
		"315b27452144cc7795457b9652037f5318027b5b4cd7a636"},
	{256, "abbccddef00112233445566778899aababbccddef00112233445566778899aab 11223344",
		"4a2cbfe3 00000002", "0102030405060708",
		"4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000"
		"7002400020bf0000020405b40101040201020201",
		"ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763"
		"748a637985771d347f0545659f14e99def842d8eb335f4eecfdbf831824b4c49"
		"15956c96"},
};

// The packet is: SPI, sequence number, IV, ciphertext with its 16-byte tag.
static void gcm_vector(size_t i)
{
	uint8_t esp[256], aad[12], plain[256], *text;
	size_t aad_len = hex(gcm[i].aad, aad), len = 8, text_len;
	struct sa_spec s = spec_of(ENCR_AES_GCM_16, gcm[i].bits, gcm[i].key, INTEG_NONE);
	uint64_t seq = get_be32(aad + aad_len - 4);
	s.esn = aad_len == 12;
	if (s.esn)
		seq |= (uint64_t)get_be32(aad + 4) << 32;
	memcpy(esp, aad, 4);
	memcpy(esp + 4, aad + aad_len - 4, 4);
	len += hex(gcm[i].iv, esp + len);
	len += hex(gcm[i].cipher, esp + len);
	assert_true(open_esp(&s, seq, esp, len, &text, &text_len));
	assert_int_equal(hex(gcm[i].plain, plain), text_len);
	assert_memory_equal(text, plain, text_len);
}

static void aes_gcm_in_esp(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(gcm); i++)
		gcm_vector(i);
}

// ---- AES-CBC ----

// RFC 3602 4, case 5: an ESP packet.
static const struct {
	const char *key, *iv, *plain, *cipher;
	uint32_t spi, seq;
} cbc[] = {
	{"90d382b410eeba7ad938c46cec1a82bf", "e96e8c08ab465763fd098d45dd3ff893",
		"08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f1011121314151617"
		"18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
		"0102030405060708090a0b0c0d0e0e01",
		"f663c25d325c18c6a9453e194e120849 a4870b66cc6b9965330013b4898dc856"
		"a4699e523a55db080b59ec3a8e4b7e52 775b07d1db34ed9c538ab50c551b874a"
		"a269add047ad2d5913ac19b7cfbad4a6",
		0x4321, 1},
};

static void aes_cbc(void **state)
{
	(void)state;
	static const uint16_t integs[] = {INTEG_HMAC_SHA1_96, INTEG_HMAC_SHA2_256_128,
		INTEG_HMAC_SHA2_384_192, INTEG_HMAC_SHA2_512_256, INTEG_HMAC_MD5_96};
	for (size_t i = 0; i < RTE_DIM(cbc); i++)
		for (size_t k = 0; k < RTE_DIM(integs); k++) {
			struct sa_spec s = spec_of(ENCR_AES_CBC, 128, cbc[i].key, integs[k]);
			uint8_t esp[256], plain[256], iv[16], want[256], *text;
			size_t text_len, n = hex(cbc[i].plain, plain);
			hex(cbc[i].iv, iv);
			s.spi = cbc[i].spi;
			size_t len = oracle_seal(&s, cbc[i].seq, plain, n, iv, esp);
			// The ciphertext is the RFC's, whoever made the packet.
			assert_int_equal(hex(cbc[i].cipher, want), n);
			assert_memory_equal(esp + 24, want, n);
			assert_true(open_esp(&s, cbc[i].seq, esp, len, &text, &text_len));
			assert_int_equal(text_len, n);
			assert_memory_equal(text, plain, n);
		}
}

// ---- DES and 3DES ----

// FIPS 81 table C1; NIST's "Cryptographic Standards and Guidelines", examples with intermediate
// values, TDES_CBC.
static const struct {
	uint16_t id;
	const char *key, *iv, *plain, *cipher;
} des[] = {
	{ENCR_DES, "0123456789abcdef", "1234567890abcdef",
		"4e6f77206973207468652074696d6520666f7220616c6c20",
		"e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6"},
	{ENCR_3DES, "0123456789abcdef 23456789abcdef01 456789abcdef0123", "f69f2445df4f9b17",
		"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
		"2079c3d53aa763e193b79e2569ab5262516570481f25b50f73c0bda85c8e0da7"},
};

static void des_cbc(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(des); i++) {
		struct sa_spec s = spec_of(des[i].id, 0, des[i].key, INTEG_HMAC_MD5_96);
		uint8_t esp[256], plain[256], iv[8], want[256], *text;
		size_t text_len, n = hex(des[i].plain, plain);
		hex(des[i].iv, iv);
		size_t len = oracle_seal(&s, 7, plain, n, iv, esp);
		assert_int_equal(hex(des[i].cipher, want), n);
		assert_memory_equal(esp + 16, want, n);
		assert_true(open_esp(&s, 7, esp, len, &text, &text_len));
		assert_int_equal(text_len, n);
		assert_memory_equal(text, plain, n);
	}
}

// ---- AES-CTR ----

// RFC 3686 6, test vectors 1, 2, 4 and 7: key and nonce, IV, plaintext, ciphertext.
static const struct {
	uint16_t bits;
	const char *key, *iv, *plain, *cipher;
} ctr[] = {
	{128, "ae6852f8121067cc4bf7a5765577f39e 00000030", "0000000000000000",
		"53696e676c6520626c6f636b206d7367", "e4095d4fb7a7b3792d6175a3261311b8"},
	{128, "7e24067817fae0d743d6ce1f32539163 006cb6db", "c0543b59da48d90b",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28"},
	{192, "16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb78515 00000048", "36733c147d6d93cb",
		"53696e676c6520626c6f636b206d7367", "4b55384fe259c9c84e7935a003cbe928"},
	{256, "776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c104 00000060",
		"db5672c97aa8f0b2", "53696e676c6520626c6f636b206d7367",
		"145ad01dbf824ec7560863dc71e3e0c0"},
};

static void aes_ctr(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(ctr); i++) {
		struct sa_spec s =
			spec_of(ENCR_AES_CTR, ctr[i].bits, ctr[i].key, INTEG_HMAC_SHA2_256_128);
		uint8_t esp[256], plain[256], iv[8], want[256], *text;
		size_t text_len, n = hex(ctr[i].plain, plain);
		hex(ctr[i].iv, iv);
		size_t len = oracle_seal(&s, 7, plain, n, iv, esp);
		hex(ctr[i].cipher, want);
		assert_memory_equal(esp + 16, want, n);
		assert_true(open_esp(&s, 7, esp, len, &text, &text_len));
		assert_memory_equal(text, plain, n);
	}
}

// ---- ChaCha20-Poly1305 ----

// RFC 7634 appendix A: an ESP packet with an ICMP echo request.
static void chacha20_poly1305(void **state)
{
	(void)state;
	struct sa_spec s = spec_of(ENCR_CHACHA20_POLY1305, 0,
		"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f a0a1a2a3",
		INTEG_NONE);
	uint8_t esp[256], plain[256], *text;
	size_t text_len;
	size_t len = hex("01020304 00000005 1011121314151617"
			 "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6"
			 "14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
			 "cbec163fac469b502773f6fb94e664da9165b82829f641e0"
			 "76aaa8266b7fb0f7b11b369907e1ad43",
		esp);
	size_t n = hex("45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10"
		       "0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
		       "2425262728292a2b2c2d2e2f3031323334353637 01020204",
		plain);
	assert_true(open_esp(&s, 5, esp, len, &text, &text_len));
	assert_int_equal(text_len, n);
	assert_memory_equal(text, plain, n);
}

// ---- AES-GMAC ----

// draft-mcgrew-gcm-test-01, its packet of ENCR_NULL_AUTH_AES_GMAC.
static void aes_gmac(void **state)
{
	(void)state;
	struct sa_spec s = spec_of(ENCR_NULL_AUTH_AES_GMAC, 128,
		"4c80cdefbb5d10da906ac73c3613a634 22433c64", INTEG_NONE);
	uint8_t esp[256], plain[256], *text;
	size_t text_len;
	static const char *const inner =
		"45000030da3a00008001df3bc0a80005c0a800010800c6cd0200070061626364"
		"65666768696a6b6c6d6e6f707172737401020201";
	size_t len = hex("00004321 00000007 0000000000000000", esp);
	len += hex(inner, esp + len);
	len += hex("f2a9a836e155106aa8dcd618e4099aaa", esp + len);
	assert_true(open_esp(&s, 7, esp, len, &text, &text_len));
	assert_int_equal(hex(inner, plain), text_len);
	assert_memory_equal(text, plain, text_len);
	text[3] ^= 1;
	assert_false(open_esp(&s, 7, esp, len, &text, &text_len));
}

// ---- MACs ----

// RFC 4231 4.2 and 4.3 (SHA-2), RFC 2202 2 and 3 (MD5, SHA-1): with ENCR_NULL, the ESP header is the data's
// first 8 bytes. A key padded with zeros to the algorithm's length is the same HMAC key.
// RFC 3566 4.6, test cases 3 to 6; RFC 4493 4, examples 2 to 4.
#define BYTES_20 "000102030405060708090a0b0c0d0e0f10111213"
#define BYTES_32 BYTES_20 "1415161718191a1b1c1d1e1f"
#define AES_16   "6bc1bee22e409f96e93d7e117393172a"
#define AES_40   AES_16 "ae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411"
#define AES_64   AES_40 "e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
static const struct {
	uint16_t integ;
	const char *key, *data, *mac;
} macs[] = {
	{INTEG_HMAC_SHA1_96, "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		"effcdf6ae5eb2fa2d27416d5"},
	{INTEG_HMAC_SHA2_256_128, "4a656665",
		"7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		"5bdcc146bf60754e6a042426089575c7"},
	{INTEG_HMAC_SHA2_384_192, "4a656665",
		"7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		"af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47"},
	{INTEG_HMAC_SHA2_512_256, "4a656665",
		"7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		"164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"},
	{INTEG_HMAC_SHA1_96, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		"dddddddddddddddddddd",
		"125d7342b9ac11cd91a39af4"},
	{INTEG_HMAC_SHA2_256_128, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		"dddddddddddddddddddd",
		"773ea91e36800e46854db8ebd09181a7"},
	{INTEG_HMAC_SHA2_384_192, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		"dddddddddddddddddddd",
		"88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9feb"},
	{INTEG_HMAC_SHA2_512_256, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		"dddddddddddddddddddd",
		"fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"},
	{INTEG_HMAC_MD5_96, "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		"750c783e6ab0b503eaa86e31"},
	{INTEG_HMAC_MD5_96, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		"dddddddddddddddddddd",
		"56be34521d144c88dbb8c733"},
	{INTEG_AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f",
		"d2a246fa349b68a79998a439"},
	{INTEG_AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", BYTES_20,
		"47f51b4564966215b8985c63"},
	{INTEG_AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", BYTES_32,
		"f54f0ec8d2b9f3d36807734b"},
	{INTEG_AES_XCBC_96, "000102030405060708090a0b0c0d0e0f", BYTES_32 "2021",
		"becbb3bccdb518a30677d548"},
	{INTEG_AES_CMAC_96, "2b7e151628aed2a6abf7158809cf4f3c", AES_16, "070a16b46b4d4144f79bdd9d"},
	{INTEG_AES_CMAC_96, "2b7e151628aed2a6abf7158809cf4f3c", AES_40, "dfa66747de9ae63030ca3261"},
	{INTEG_AES_CMAC_96, "2b7e151628aed2a6abf7158809cf4f3c", AES_64, "51f0bebf7e3b9d92fc497417"},
};

// The oracle agrees with the vectors, too: it stands in for OpenSSL, which has no XCBC.
static void oracle_agrees(const struct sa_spec *s, const uint8_t *esp, size_t len)
{
	uint8_t plain[256];
	assert_int_equal(oracle_open(s, 0, esp, len, plain), len - 8 - oracle_icv_len(s));
}

static void mac(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(macs); i++) {
		struct sa_spec s = spec_of(ENCR_NULL, 0, "", macs[i].integ);
		uint8_t esp[256], *text;
		size_t text_len;
		memset(s.integ_key, 0, sizeof(s.integ_key));
		hex(macs[i].key, s.integ_key);
		size_t len = hex(macs[i].data, esp);
		len += hex(macs[i].mac, esp + len);
		oracle_agrees(&s, esp, len);
		assert_true(open_esp(&s, 0, esp, len, &text, &text_len));
		esp[len - 1] ^= 0x80;
		assert_false(open_esp(&s, 0, esp, len, &text, &text_len));
	}
}

// RFC 3566 4.6, test case 7: 1000 bytes of zeros.
static void a_long_xcbc(void **state)
{
	(void)state;
	struct sa_spec s = spec_of(ENCR_NULL, 0, "", INTEG_AES_XCBC_96);
	uint8_t esp[1012] = {0}, *text;
	size_t text_len;
	hex("000102030405060708090a0b0c0d0e0f", s.integ_key);
	hex("f0dafee895db30253761103b", esp + 1000);
	assert_true(open_esp(&s, 0, esp, sizeof(esp), &text, &text_len));
}

// A key schedule is never left half made.
static void refusals(void **state)
{
	(void)state;
	struct sa_spec s = spec_of(ENCR_AES_GCM_16, 128, "00", INTEG_NONE);
	assert_int_equal(dp_keys_expand(crypto.mgr, &s, sa), -EINVAL);
	s = spec_of(ENCR_NULL, 0, "", INTEG_NONE);
	assert_int_equal(dp_keys_expand(crypto.mgr, &s, sa), -ENOTSUP);
	s = spec_of(ENCR_AES_GCM_16, 128, "00112233445566778899aabbccddeeff00112233",
		INTEG_HMAC_SHA1_96);
	assert_int_equal(dp_keys_expand(crypto.mgr, &s, sa), -ENOTSUP);
	s = spec_of(ENCR_DES, 0, "0123456789abcdef", INTEG_NONE);
	assert_int_equal(dp_keys_expand(crypto.mgr, &s, sa), -ENOTSUP);
	s = spec_of(ENCR_3DES, 0, "0123456789abcdef", INTEG_HMAC_SHA1_96);
	assert_int_equal(dp_keys_expand(crypto.mgr, &s, sa), -EINVAL);
	// A salt of three bytes, not of four.
	s = spec_of(ENCR_AES_CCM_16, 128, "00112233445566778899aabbccddeeff00112233", INTEG_NONE);
	assert_int_equal(dp_keys_expand(crypto.mgr, &s, sa), -EINVAL);
	s = spec_of(ENCR_AES_CCM_16, 192, "00112233445566778899aabbccddeeff0011223344556677001122",
		INTEG_NONE);
	assert_int_equal(dp_keys_expand(crypto.mgr, &s, sa), -ENOTSUP);
	s = spec_of(ENCR_NULL_AUTH_AES_GMAC, 128, "00112233445566778899aabbccddeeff00112233",
		INTEG_HMAC_SHA1_96);
	assert_int_equal(dp_keys_expand(crypto.mgr, &s, sa), -ENOTSUP);
}

static bool has_row(const struct alg_encr *e, const struct alg_integ *a)
{
	struct sa_spec s = {.encr = {e->id, e->key_bits}, .integ = a ? a->id : INTEG_NONE};
	s.encr_key_len = e->key_len + e->salt_len;
	s.integ_key_len = a ? a->key_len : 0;
	int rc = dp_keys_expand(crypto.mgr, &s, sa);
	assert_int_equal(rc == 0 ? sa->iv_len : e->iv_len, e->iv_len);
	return rc == 0;
}

// What a proposal can name for ESP the data plane can do, with the same lengths.
static void every_algorithm_has_a_row(void **state)
{
	(void)state;
	static const uint16_t bits[] = {0, 64, 128, 192, 256};
	unsigned found = 0;
	for (uint16_t id = 1; id < 64; id++)
		for (size_t k = 0; k < RTE_DIM(bits); k++) {
			const struct alg_encr *e = alg_encr(id, bits[k]);
			if (!e)
				continue;
			for (uint16_t i = 1; i < 64 && !e->icv_len; i++)
				assert_true(!alg_integ(i) || has_row(e, alg_integ(i)));
			if (e->icv_len)
				assert_true(has_row(e, NULL));
			found++;
		}
	assert_true(found >= dp_cipher_count);
}

// Two copies share nothing that a call writes, and do what the library does.
static void copies(void **state)
{
	(void)state;
	struct dp_crypto c[2];
	uint8_t key[16] = {1}, iv[16] = {2}, text[2][64] = {{3}, {3}}, tag[2][16];
	struct gcm_key_data k __attribute__((aligned(64)));
	bool copied = dp_mb_copies();
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(dp_crypto_init_apart(&c[i], &random_system), 0);
		assert_int_equal(c[i].lib.handle != NULL, copied);
		assert_int_equal(c[i].gcm_seal[0] != crypto.gcm_seal[0], copied);
	}
	assert_int_equal(c[0].gcm_seal[0] != c[1].gcm_seal[0], copied);
	IMB_AES128_GCM_PRE(c[0].mgr, key, &k);
	for (unsigned i = 0; i < 2; i++)
		(i ? c[1] : crypto)
			.gcm_seal[0](&k, &c[i].gcm, text[i], text[i], sizeof(text[i]), iv, iv, 8,
				tag[i], sizeof(tag[i]));
	assert_memory_equal(text[0], text[1], sizeof(text[0]));
	assert_memory_equal(tag[0], tag[1], sizeof(tag[0]));
	dp_crypto_fini(&c[0]);
	dp_crypto_fini(&c[1]);
}

int main(void)
{
	fx_eal();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aes_gcm_in_esp),
		cmocka_unit_test(aes_cbc),
		cmocka_unit_test(des_cbc),
		cmocka_unit_test(aes_ctr),
		cmocka_unit_test(chacha20_poly1305),
		cmocka_unit_test(aes_gmac),
		cmocka_unit_test(mac),
		cmocka_unit_test(a_long_xcbc),
		cmocka_unit_test(refusals),
		cmocka_unit_test(every_algorithm_has_a_row),
		cmocka_unit_test(copies),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
