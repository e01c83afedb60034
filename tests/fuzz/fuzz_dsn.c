/*
 * fuzz: a notification made of hostile strings: addresses, replies, ENVID, ORCPT, and the message
 * itself. Its lines end with CRLF alone, hold no controls, and the parts are three.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/mail/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECIPIENTS = 3, OUT_MAX = 1 << 22 };

/* The next string: its length is the first octet's. */
static struct slice take(struct slice *rest)
{
	size_t len = rest->len > 0 ? (unsigned char)rest->ptr[0] : 0;
	struct slice s = slice_sub(*rest, 1, len);
	*rest = slice_from(*rest, 1 + len);
	return s;
}

static void check_lines(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		bool end = c == '\n' && i > 0 && s.ptr[i - 1] == '\r';
		bool begins_end = c == '\r' && i + 1 < s.len && s.ptr[i + 1] == '\n';
		if ((c < 32 && c != '\t' && !end && !begins_end) || c == 127)
			abort();
	}
}

static size_t count(struct slice s, struct slice what)
{
	size_t n = 0;
	const char *at;
	while (s.len > 0 && (at = memmem(s.ptr, s.len, what.ptr, what.len))) {
		n++;
		s = slice_from(s, (size_t)(at - s.ptr) + 1);
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_make(data, size);
	struct dsn_recipient list[RECIPIENTS];
	struct dsn d = {.host = SLICE("mx.trial.example"),
			.id = SLICE("0000000000B2"),
			.parent = SLICE("0000000000B1"),
			.recipients = list};
	unsigned bits = size > 0 ? data[0] : 0;
	take(&rest);
	d.postmaster = bits & 1;
	d.smtputf8 = bits & 2;
	d.headers_only = bits & 4;
	d.recipient_count = bits >> 3 & 3;
	d.to = take(&rest);
	d.sender = take(&rest);
	d.envid = take(&rest);
	for (size_t i = 0; i < d.recipient_count; i++)
		list[i] = (struct dsn_recipient){.address = take(&rest),
						 .original = take(&rest),
						 .orcpt = take(&rest),
						 .enhanced = take(&rest),
						 .text = take(&rest),
						 .relay = take(&rest),
						 .action = (enum dsn_action)((bits >> 5) + i) %
							   DSN_ACTIONS,
						 .code = bits};
	struct buffer out;
	struct dsn_plan plan;
	buffer_init(&out, OUT_MAX);
	dsn_plan(&d, &plan); /* without a message all lines are ours */
	if (!dsn_header(&d, &plan, &out) || !dsn_body(&d, &plan, &out))
		abort();
	check_lines(buffer_slice(&out));
	if (count(buffer_slice(&out), SLICE("\n--")) != 4)
		abort();
	d.header = SLICE("Subject: x\r\n"); /* a block ends with CRLF, which is in no boundary */
	d.body = rest;
	buffer_reset(&out);
	dsn_plan(&d, &plan);
	char delimiter[DSN_BOUNDARY_SIZE + 8];
	snprintf(delimiter, sizeof(delimiter), "\r\n--%s", plan.boundary);
	if (!dsn_header(&d, &plan, &out) || !dsn_body(&d, &plan, &out) ||
	    count(buffer_slice(&out), slice_str(delimiter)) != 4)
		abort();
	buffer_free(&out);
	return 0;
}
