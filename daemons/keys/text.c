/*
 * The texts of both versions can't be taken for one another: where one of TLS 1.2 says that a named
 * curve follows (3), one of TLS 1.3 has a letter. Nothing else that a key of ours could be asked to
 * sign looks like either: no certificate, no DKIM header, no client's proof.
 */
#include "daemons/keys/text.h"

enum {
	BLANKS = 64,
	SHA256_OCTETS = 32,
	SHA384_OCTETS = 48,
	RANDOM_OCTETS = 32,
	CURVE_NAMED = 3, /* RFC 8422 5.4, ECCurveType */
	POINT_UNCOMPRESSED = 4,
};

/* RFC 8446 4.4.3; the hash is of the handshake so far, by the cipher suite's function. */
static bool fits_13(struct slice text)
{
	static const char context[] = "TLS 1.3, server CertificateVerify"; /* and its NUL */
	struct slice rest;
	if (text.len < BLANKS + sizeof(context))
		return false;
	for (size_t i = 0; i < BLANKS; i++)
		if (text.ptr[i] != ' ')
			return false;
	if (memcmp(text.ptr + BLANKS, context, sizeof(context)) != 0)
		return false;
	rest = slice_from(text, BLANKS + sizeof(context));
	return rest.len == SHA256_OCTETS || rest.len == SHA384_OCTETS;
}

/* NamedCurve (RFC 8422 5.1.1) and the octets of a point on it: those that net/tls_server offers. */
static const struct {
	unsigned curve;
	size_t point;
	bool uncompressed; /* the point begins with 4 */
} curves[] = {
    {23, 65, true},  /* secp256r1 */
    {24, 97, true},  /* secp384r1 */
    {25, 133, true}, /* secp521r1 */
    {29, 32, false}, /* x25519 */
};

/* ClientHello.random, ServerHello.random, ServerECDHParams (RFC 8422 5.4): curve type, curve,
 * length of the point, point. */
static bool fits_12(struct slice text)
{
	const unsigned char *at = (const unsigned char *)text.ptr + 2 * RANDOM_OCTETS;
	enum { HEAD = 4 };
	if (text.len < 2 * RANDOM_OCTETS + HEAD + 1 || at[0] != CURVE_NAMED)
		return false;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (curves[i].curve == ((unsigned)at[1] << 8 | at[2]))
			return at[3] == curves[i].point &&
			       text.len == 2 * RANDOM_OCTETS + HEAD + curves[i].point &&
			       (!curves[i].uncompressed || at[HEAD] == POINT_UNCOMPRESSED);
	return false;
}

bool text_fits(enum keys_purpose purpose, struct slice text)
{
	switch (purpose) {
	case KEYS_TLS13_SERVER:
		return fits_13(text);
	case KEYS_TLS12_SERVER:
		return fits_12(text);
	}
	return false;
}
