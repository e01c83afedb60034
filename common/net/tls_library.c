/*
 * The one library context of a process. It is not OpenSSL's own default, so that neither
 * /etc/ssl/openssl.cnf nor what other libraries load changes how TLS is spoken here.
 */
#include <openssl/err.h>
#include <openssl/provider.h>

#include "common/net/tls_parts.h"

static OSSL_LIB_CTX *library;

OSSL_LIB_CTX *tls_library(void)
{
	if (library)
		return library;
	ERR_load_crypto_strings();
	library = OSSL_LIB_CTX_new();
	if (!library || !OSSL_PROVIDER_load(library, "default") ||
	    !EVP_set_default_properties(library, "?provider=default"))
		fatal("TLS: OpenSSL's default provider can't be loaded");
	return library;
}

bool tls_error(struct error *e, int code, const char *why)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	ERR_clear_error();
	return error_set(e, code, "%s: %s", why, reason ? reason : "the library does not say why");
}
