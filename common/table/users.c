/*
 * users: Dovecot's passwd-file, ADDRESS:{SCHEME}HASH:UID:GID:GECOS:HOME:SHELL:EXTRA, one a line.
 * Trailing fields may be missing, so a bare list of names is a table too. The value of an entry is
 * the line behind the name, as it is.
 */
#include "common/base/buffer.h"
#include "common/mail/address.h"
#include "common/table/reader.h"

static struct slice next_field(struct slice *rest)
{
	struct slice field;
	slice_split(*rest, ':', &field, rest);
	return field;
}

void table_user_read(struct slice value, struct table_user *user)
{
	user->password = next_field(&value);
	user->uid = next_field(&value);
	user->gid = next_field(&value);
	next_field(&value); /* the person's name */
	user->home = next_field(&value);
	next_field(&value); /* the shell */
	user->extra = value;
}

static const char *check_fields(struct slice value)
{
	struct table_user user;
	uint64_t number;
	table_user_read(value, &user);
	if (slice_starts(user.password, SLICE("{")) &&
	    slice_find(user.password, '}') == user.password.len)
		return "the password scheme is not closed ({SCHEME}HASH)";
	if (user.uid.len > 0 && !slice_number(user.uid, UINT32_MAX - 1, &number))
		return "the third field is no user id";
	if (user.gid.len > 0 && !slice_number(user.gid, UINT32_MAX - 1, &number))
		return "the fourth field is no group id";
	return NULL;
}

static bool has_mailbox_name(struct slice name)
{
	struct address a;
	return address_parse(name, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a) == ADDRESS_FINE &&
	       address_path_safe(address_local(&a));
}

static void add_user(struct reader *r, struct slice line, struct buffer *key)
{
	struct slice name, value;
	slice_split(line, ':', &name, &value);
	const char *fault = reader_key(name, false, key);
	if (fault)
		reader_bad(r, r->line, "`%.*s`: %s", SLICE_FMT(slice_sub(name, 0, 80)), fault);
	else if ((fault = check_fields(value)))
		reader_bad(r, r->line, "%s", fault);
	else if (!has_mailbox_name(name))
		reader_bad(r, r->line,
			   "`%.*s` can't name a mailbox: no leading dot, `/` or control character",
			   SLICE_FMT(slice_sub(name, 0, 80)));
	else
		reader_add(r, r->line, buffer_slice(key), value);
}

void read_users(struct reader *r)
{
	struct buffer key;
	struct slice line;
	buffer_init(&key, TABLE_LINE_MAX);
	while (reader_line(r, &line)) {
		buffer_reset(&key);
		add_user(r, slice_trim(line), &key);
	}
	buffer_free(&key);
}
