/*
 * log_style: what the log daemon makes of a line from a process that a stranger has taken over. In
 * each style it becomes whole lines without controls; a line of JSON is one object that a parser of
 * JSON takes.
 */
#include <jansson.h>

#include "common/os/log_output.h"
#include "daemons/log/event.h"
#include "daemons/log/format.h"
#include "daemons/log/style.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 64 * 1024 };

static enum style style;
static struct log_entry whose;

static void look_at_line(struct slice s)
{
	must(s.len > 0 && s.ptr[s.len - 1] == '\n');
	for (size_t i = 0; i + 1 < s.len; i++)
		must((unsigned char)s.ptr[i] >= 32 && s.ptr[i] != 127);
}

static bool take(void *arg, struct slice role, struct slice text)
{
	struct buffer b;
	struct log_entry e = whose;
	(void)arg;
	e.text = text;
	if (style == STYLE_JSON) {
		json_error_t why;
		json_t *j =
		    json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
		must(json_is_object(j) && json_object_get(j, "time") && json_object_get(j, "role"));
		json_decref(j);
		return true;
	}
	buffer_init(&b, OUT_MAX);
	must(format_text(&b, "stagepost", role, 7, &e));
	look_at_line(buffer_slice(&b));
	buffer_reset(&b);
	must(format_host(&b, "mx", "stagepost", role, 7, &e));
	look_at_line(buffer_slice(&b));
	buffer_reset(&b);
	must(format_syslog(&b, "stagepost", role, 7, &e));
	look_at_line(buffer_slice(&b));
	buffer_reset(&b);
	must(format_bare(&b, &e));
	look_at_line(buffer_slice(&b));
	buffer_free(&b);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice packet = slice_make(data, size);
	static struct event event;
	must(style_find(SLICE("postfix")) == STYLE_POSTFIX &&
	     style_find(SLICE("json")) == STYLE_JSON);
	(void)style_find(packet);
	while (log_output_next(&packet, &whose)) {
		(void)event_read(whose.text, &event);
		for (style = STYLE_TEXT; style <= STYLE_JSON; style++)
			must(style_write(style, &whose, SLICE("smtpd"), 7, take, NULL));
	}
	return 0;
}
