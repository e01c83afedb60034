/*
 * certificate: PEM files of certificates and of private keys. What is taken has a name and a kind,
 * and host names that are host names; what is not has a reason.
 */
#include "common/net/tls_private.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void certificate(struct slice pem)
{
	struct error e = {0};
	struct tls_certificate *c = tls_certificate_read(pem, &e);
	if (!c) {
		must(e.code == 65 && e.text[0] != '\0');
		return;
	}
	must(tls_certificate_kind(c)[0] != '\0');
	must(tls_certificate_names(c) <= TLS_CERTIFICATE_NAMES_MAX);
	(void)tls_certificate_from(c);
	(void)tls_certificate_until(c);
	must(tls_certificate_disorder(c) <= TLS_CHAIN_MAX);
	for (size_t i = 0; i < tls_certificate_names(c); i++) {
		struct slice name = tls_certificate_name(c, i);
		must(name.len > 0);
		for (size_t j = 0; j < name.len; j++)
			must((unsigned char)name.ptr[j] > 32 && (unsigned char)name.ptr[j] < 127 &&
			     !(name.ptr[j] >= 'A' && name.ptr[j] <= 'Z'));
		if (name.ptr[0] != '*')
			must(tls_certificate_is_for(c, name));
	}
	must(!tls_certificate_is_for(c, SLICE("other.test")) || pem.len > 100);
	tls_certificate_free(&c);
}

static void private_key(struct slice pem)
{
	struct error e = {0};
	struct tls_private *k = tls_private_read(pem, &e);
	unsigned char signature[TLS_SIGNATURE_MAX];
	if (!k) {
		must(e.code == 65 && e.text[0] != '\0');
		return;
	}
	must(tls_private_kind(k)[0] != '\0');
	must(tls_private_sign(k, TLS_SIGN_13, 0x0101, pem, signature) == 0);
	must(tls_private_sign(k, TLS_SIGN_13, 0x0403, pem, signature) <= sizeof(signature));
	tls_private_free(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* without tls_privates_begin(): what lies in OpenSSL's secure heap the leak check does not
	 * look through */
	struct slice in = slice_make(data, size);
	certificate(in);
	private_key(in);
	return 0;
}
