/*
 * The certificates of a server: which of them a client gets is looked up by the name that it asks
 * for (RFC 6066 3), whole first, then with "*." for its first label. A name may have one of each
 * kind of key; TLS takes the one that the client understands.
 */
#include <openssl/err.h>
#include <sysexits.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/net/tls_parts.h"

enum { HOST_MAX = 255 };

struct member {
	struct tls_certificate *certificate;
	EVP_PKEY *key;
	STACK_OF(X509) * chain; /* what is sent behind the server's own */
};

struct choice {
	const struct member *of[TLS_KINDS];
};

struct tls_set {
	unsigned holders;
	struct member *members;
	size_t count;
	struct map *choices; /* by name, "*." and all; the names are the certificates' */
	struct choice first; /* for those that name nobody */
};

static void choice_add(struct choice *choice, const struct member *m)
{
	if (!choice->of[m->certificate->kind])
		choice->of[m->certificate->kind] = m;
}

static void names_add(struct tls_set *set, const struct member *m)
{
	for (size_t i = 0; i < m->certificate->names_count; i++) {
		struct slice name = slice_str(m->certificate->names[i]);
		struct choice *choice = map_get(set->choices, name);
		if (!choice) {
			choice = memory_zero(1, sizeof(*choice));
			map_put(set->choices, name, choice);
		}
		choice_add(choice, m);
	}
}

static bool member_make(struct member *m, const struct tls_certificate *certificate,
			struct error *e)
{
	m->certificate = tls_certificate_copy(certificate);
	m->key = tls_provider_key(X509_get0_pubkey(m->certificate->chain[0]), e);
	if (!m->key)
		return false;
	m->chain = sk_X509_new_null();
	for (size_t i = 1; i < m->certificate->count; i++)
		if (!m->chain || sk_X509_push(m->chain, m->certificate->chain[i]) <= 0)
			return tls_error(e, EX_DATAERR, "a chain can't be made");
	return true;
}

struct tls_set *tls_set_new(struct tls_certificate *const *certificates, size_t count,
			    struct error *e)
{
	struct tls_set *set = memory_zero(1, sizeof(*set));
	set->holders = 1;
	set->members = memory_zero(count, sizeof(set->members[0]));
	set->choices = map_new();
	for (; set->count < count; set->count++) {
		struct member *m = &set->members[set->count];
		if (!member_make(m, certificates[set->count], e)) {
			set->count++;
			tls_set_release(&set);
			return NULL;
		}
		names_add(set, m);
	}
	const struct tls_certificate *first = set->members[0].certificate;
	choice_add(&set->first, &set->members[0]);
	/* its sisters, with keys of another kind for the same host */
	const struct choice *sisters =
	    first->names_count ? map_get(set->choices, slice_str(first->names[0])) : NULL;
	for (int kind = 0; sisters && kind < TLS_KINDS; kind++)
		if (sisters->of[kind])
			choice_add(&set->first, sisters->of[kind]);
	return set;
}

struct tls_set *tls_set_hold(struct tls_set *set)
{
	set->holders++;
	return set;
}

void tls_set_release(struct tls_set **held)
{
	struct tls_set *set = *held;
	struct slice name;
	void *choice;
	size_t at = 0;
	*held = NULL;
	if (!set || --set->holders > 0)
		return;
	while (map_next(set->choices, &at, &name, &choice))
		memory_free(choice);
	map_free(&set->choices);
	for (size_t i = 0; i < set->count; i++) {
		sk_X509_free(set->members[i].chain);
		EVP_PKEY_free(set->members[i].key);
		tls_certificate_free(&set->members[i].certificate);
	}
	memory_free(set->members);
	memory_free(set);
}

static const struct choice *choose(const struct tls_set *set, struct slice host)
{
	char name[HOST_MAX + 1];
	if (host.len == 0 || host.len > HOST_MAX)
		return &set->first;
	slice_lower(host, name);
	const struct choice *found = map_get(set->choices, slice_make(name, host.len));
	size_t dot = slice_find(host, '.');
	if (!found && dot > 0 && dot < host.len) {
		name[dot - 1] = '*';
		found = map_get(set->choices, slice_make(name + dot - 1, host.len - dot + 1));
	}
	return found ? found : &set->first;
}

bool tls_set_choose(const struct tls_set *set, SSL *ssl, struct slice host)
{
	const struct choice *choice = choose(set, host);
	for (int kind = 0; kind < TLS_KINDS; kind++) {
		const struct member *m = choice->of[kind];
		if (m &&
		    SSL_use_cert_and_key(ssl, m->certificate->chain[0], m->key, m->chain, 1) != 1)
			return false;
	}
	return true;
}
