/*
 * routes: KEY smtp:NEXT-HOP or KEY local, one a line. The key is an address, a name or @DOMAIN; the
 * next hop may be several items, tried in order, or nothing for the MX hosts of the address. Its
 * value is kept in its one form. What stands behind lmtp: (as Mailman writes it) is kept as it is:
 * who asks must know that it is not supported.
 */
#include "common/base/buffer.h"
#include "common/table/next_hop.h"
#include "common/table/reader.h"

static const struct slice SMTP = {"smtp:", 5}, LMTP = {"lmtp:", 5};

const char *route_value(struct slice text, struct buffer *value)
{
	char hops[NEXT_HOP_TEXT_MAX + 1] = "";
	text = slice_trim(text);
	if (slice_equal(text, SLICE("local")) || slice_equal(text, SMTP) ||
	    slice_starts(text, LMTP))
		return buffer_append(value, text) ? NULL : "the value is too long";
	if (!slice_starts(text, SMTP))
		return "the value is smtp:NEXT-HOP or local";
	const char *fault = next_hop_parse(slice_from(text, SMTP.len), hops);
	if (fault)
		return fault;
	return buffer_append(value, SMTP) && buffer_append(value, slice_str(hops))
		   ? NULL
		   : "the value is too long";
}

void read_routes(struct reader *r)
{
	struct buffer key, value;
	struct slice line;
	buffer_init(&key, TABLE_LINE_MAX);
	buffer_init(&value, TABLE_LINE_MAX);
	while (reader_line(r, &line)) {
		struct slice name = slice_word(&line);
		buffer_reset(&key);
		buffer_reset(&value);
		const char *fault = reader_key(name, true, &key);
		if (!fault)
			fault = route_value(line, &value);
		if (fault)
			reader_bad(r, r->line, "`%.*s`: %s", SLICE_FMT(slice_sub(name, 0, 80)),
				   fault);
		else
			reader_add(r, r->line, buffer_slice(&key), buffer_slice(&value));
		if (!fault && slice_starts(buffer_slice(&value), LMTP))
			reader_warn(r, r->line,
				    "%.*s: lmtp: is not supported; mail for this address will wait "
				    "in the queue",
				    SLICE_FMT(slice_sub(buffer_slice(&key), 0, 80)));
	}
	buffer_free(&key);
	buffer_free(&value);
}
