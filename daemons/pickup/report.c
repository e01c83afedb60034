/*
 * What the author hears of recipients that the server refused for good. `sendmail` has said that
 * the mail is safe, so nobody waits for an exit code any more: a notification as of any mail that
 * could not be delivered goes the same way as the letter.
 */
#include <errno.h>
#include <stdio.h>
#include <bsd/stdlib.h>

#include "common/mail/header.h"
#include "common/os/clock.h"
#include "daemons/pickup/pickup.h"

enum { SECONDS_A_MINUTE = 60, ID_SIZE = 17 };

struct slice report_to(const struct report *r)
{
	return r->postmaster ? slice_str(pickup_postmaster()) : r->file->drop.sender;
}

/* All of the content when it is short, else what may hold the header. */
static bool read_content(const struct file *f, struct buffer *content)
{
	uint64_t octets = f->drop.content_octets;
	size_t room;
	if (octets > HEADER_LIMIT)
		octets = HEADER_LIMIT;
	if (octets == 0)
		return true;
	char *to = buffer_reserve(content, (size_t)octets, &room);
	if (!to || !file_read(f, f->content, to, (size_t)octets))
		return false;
	buffer_grew(content, (size_t)octets);
	return true;
}

static bool write_whole(const struct report *r, struct slice content, struct dsn_plan *plan,
			struct buffer *out)
{
	uint64_t now = clock_wall_us();
	struct slice header, body;
	char id[ID_SIZE];
	snprintf(id, sizeof(id), "%08x%08x", arc4random(), arc4random());
	header_split(content, &header, &body);
	struct dsn d = {.host = slice_str(pickup_hostname()),
			.to = report_to(r),
			.postmaster = r->postmaster,
			.id = slice_str(id),
			.now = (int64_t)(now / CLOCK_SECOND),
			.parent = slice_str(r->letter->name),
			.sender = r->file->drop.sender,
			.envid = r->file->drop.envid,
			.arrived = (int64_t)(r->letter->made / CLOCK_SECOND),
			.now_zone = clock_offset_minutes(now) * SECONDS_A_MINUTE,
			.arrived_zone = clock_offset_minutes(r->letter->made) * SECONDS_A_MINUTE,
			.smtputf8 = r->file->drop.utf8,
			.headers_only = r->file->drop.content_octets > DSN_CONTENT_MAX,
			.header = header,
			.body = slice_from(content, header.len),
			.recipients = r->recipients,
			.recipient_count = r->count};
	dsn_plan(&d, plan);
	if (dsn_header(&d, plan, out) && dsn_body(&d, plan, out))
		return true;
	errno = EFBIG;
	return false;
}

bool report_write(const struct report *r, struct dsn_plan *plan, struct buffer *out)
{
	struct buffer content;
	bool good;
	buffer_init(&content, HEADER_LIMIT);
	good = read_content(r->file, &content) && write_whole(r, buffer_slice(&content), plan, out);
	buffer_free(&content);
	return good;
}
