/*
 * The quoting is a small machine, since "From " may be cut by the end of a piece: what has matched
 * so far is held back until it is known.
 */
#include "daemons/local/mbox_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char from[] = "From ";

enum { FROM_LEN = sizeof(from) - 1, SENDER_MAX = 320, MICROSECONDS = 1000000 };

struct slice mbox_from_line(struct slice sender, uint64_t wall_us, int offset,
			    char text[MBOX_FROM_SIZE])
{
	time_t seconds = (time_t)(wall_us / MICROSECONDS) + offset * 60;
	char who[SENDER_MAX + 1] = "MAILER-DAEMON", when[64] = "";
	struct tm tm;
	/* A blank would end the address, a control character the line. */
	for (size_t i = 0; i < sender.len && i < SENDER_MAX; i++) {
		unsigned char c = (unsigned char)sender.ptr[i];
		who[i] = c <= ' ' || c == 127 ? '?' : (char)c;
		who[i + 1] = '\0';
	}
	if (gmtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%a %b %e %H:%M:%S %Y", &tm);
	int len = snprintf(text, MBOX_FROM_SIZE, "From %s  %s\n", who, when);
	return slice_make(text, (size_t)len);
}

static bool put_some(struct mbox_quote *q, struct slice s, mbox_put *put, void *arg)
{
	if (s.len == 0)
		return true;
	q->newline = s.ptr[s.len - 1] == '\n';
	return put(arg, s);
}

/* What was held back is no "From " after all. */
static bool release(struct mbox_quote *q, mbox_put *put, void *arg)
{
	struct slice held = slice_make(from, q->matched);
	q->matched = 0;
	return put_some(q, held, put, arg);
}

/* At the start of a line: takes octets off *s until it is known what it begins with. */
static bool begin_line(struct mbox_quote *q, struct slice *s, mbox_put *put, void *arg)
{
	while (q->matched < FROM_LEN && s->len > 0 && s->ptr[0] == from[q->matched]) {
		q->matched++;
		*s = slice_from(*s, 1);
	}
	if (q->matched < FROM_LEN && s->len == 0)
		return true;
	q->inside = true;
	return (q->matched < FROM_LEN || put_some(q, SLICE(">"), put, arg)) && release(q, put, arg);
}

bool mbox_quote(struct mbox_quote *q, struct slice octets, mbox_put *put, void *arg)
{
	size_t done = 0, at = 0;
	/* Whole runs of lines are put at once: only a quoted line cuts them. */
	while (at < octets.len) {
		struct slice rest = slice_from(octets, at);
		if (!q->inside) {
			bool held = q->matched > 0;
			if (!held && rest.ptr[0] != from[0]) {
				q->inside = true;
				continue;
			}
			if (!put_some(q, slice_sub(octets, done, at - done), put, arg) ||
			    !begin_line(q, &rest, put, arg))
				return false;
			done = at = octets.len - rest.len;
			continue;
		}
		at += slice_find(rest, '\n');
		if (at < octets.len) {
			at++;
			q->inside = false;
		}
	}
	return put_some(q, slice_from(octets, done), put, arg);
}

bool mbox_quote_end(struct mbox_quote *q, mbox_put *put, void *arg)
{
	return release(q, put, arg) && (q->newline || put_some(q, SLICE("\n"), put, arg)) &&
	       put_some(q, SLICE("\n"), put, arg);
}
