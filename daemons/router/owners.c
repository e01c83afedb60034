/*
 * Owners: may somebody who has logged in send as this address? It is his when it is his own, or
 * when its mail comes to him: then aliases, catch-alls and extensions lead from it to his own.
 * Tables of senders let him use others, of any domain.
 */
#include "daemons/router/walk_parts.h"

/* What a table of senders is asked for, one after the other. */
enum { AS_WHOLE, AS_BASE, AS_DOMAIN, AS_END };

static struct slice address_now(struct walk *w, struct slice local)
{
	struct address form = w->address;

	memmove(form.local, local.ptr, local.len);
	form.local_len = (uint8_t)local.len;
	form.local[local.len] = '\0';
	return address_key(&form, w->key_text);
}

void owners_login(struct walk *w, struct slice login)
{
	struct address a;
	struct slice name;

	w->login = SLICE_EMPTY;
	if (address_parse(login, ADDRESS_UTF8, &a) != ADDRESS_FINE || a.kind != ADDRESS_NAME)
		return;
	if (book_domain(w->book, address_domain(&a), &name) != NULL &&
	    a.local_len + 3 + name.len <= ADDRESS_MAX)
		walk_domain(&a, name);
	w->login = address_key(&a, w->login_text);
}

bool owners_reached(struct walk *w)
{
	if (w->kind != WALK_OWNER || w->login.len == 0 || !slice_equal(w->key, w->login))
		return false;
	w->owned = true;
	walk_accept(w);
	return true;
}

/* The key of this form of the address; false: it has no such form. */
static bool key_as(struct walk *w, size_t form)
{
	struct slice base, extension, domain = address_domain(&w->address);

	if (form == AS_WHOLE)
		w->key = address_now(w, address_local(&w->address));
	else if (form == AS_BASE &&
		 address_extension(address_local(&w->address), '+', &base, &extension))
		w->key = address_now(w, base);
	else if (form == AS_DOMAIN && w->address.kind == ADDRESS_NAME) {
		w->key_text[0] = '@';
		slice_lower(domain, w->key_text + 1);
		w->key = slice_make(w->key_text, domain.len + 1);
	} else
		return false;
	return true;
}

bool owners_senders(struct walk *w)
{
	if (w->kind != WALK_OWNER || w->senders_asked || w->book->senders.count == 0)
		return false;
	w->pattern = AS_WHOLE;
	key_as(w, AS_WHOLE);
	w->stage = STAGE_SENDERS;
	w->list = w->index = 0;
	w->lists[0] = &w->book->senders;
	w->lists[1] = NULL;
	return true;
}

void owners_without(struct walk *w)
{
	while (++w->pattern < AS_END && !key_as(w, w->pattern))
		;
	w->list = w->index = 0;
	if (w->pattern < AS_END)
		return;
	w->senders_asked = true;
	resolve_begin(w);
}

/* A name without a domain is one at origin, as it is where somebody logs in. */
static bool is_login(const struct walk *w, struct slice user)
{
	struct address a;
	char text[ADDRESS_SIZE];

	if (address_parse(user, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a) != ADDRESS_FINE ||
	    (a.kind == ADDRESS_NO_DOMAIN && !address_complete(&a, slice_str(w->book->origin))))
		return false;
	return slice_equal(address_key(&a, text), w->login);
}

bool owners_listed(struct walk *w, struct slice users)
{
	struct slice word, one;

	while ((word = slice_word(&users)).len > 0)
		while (word.len > 0) {
			slice_split(word, ',', &one, &word);
			if (one.len > 0 && w->login.len > 0 && is_login(w, one)) {
				w->owned = true;
				walk_accept(w);
				return true;
			}
		}
	return false;
}

void owners_elsewhere(struct walk *w)
{
	struct slice base, extension;

	w->stage = STAGE_NEXT;
	w->key = address_now(w, address_local(&w->address));
	if (owners_reached(w) ||
	    !address_extension(address_local(&w->address), '+', &base, &extension))
		return;
	w->key = address_now(w, base);
	owners_reached(w);
}

/* What ended it as a whole stands: a look-up that erred (S55). */
void owners_finish(struct walk *w)
{
	if (!w->owned && !w->ended)
		walk_end(w, 553, "5.7.1", "<%.*s>: Sender address rejected: not owned by user %.*s",
			 SLICE_FMT(w->sender), SLICE_FMT(w->login));
}
