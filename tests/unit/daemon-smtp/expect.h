/*
 * What an outcome should look like, as a line: "status code enhanced site relay text", where site
 * is "site" or "-", relay the number of the server (0: we said it), and text may be its beginning.
 */
static inline void expect(const char *name, const struct seen *s, const char *expected)
{
	char text[JOB_TEXT_MAX + 200];
	unsigned host = 0;
	if (s->relay[0])
		sscanf(s->relay, "%*[^[][127.0.0.%u", &host);
	snprintf(text, sizeof(text), "%u %u %s %s %u %s", s->status, s->code, s->enhanced,
		 s->site ? "site" : "-", host, s->text);
	ck_assert_msg(strncmp(text, expected, strlen(expected)) == 0,
		      "%s: message %u: \"%s\", not \"%s\"", name, (unsigned)s->message, text,
		      expected);
}

static unsigned heard_server;
static const char *heard_text;

static inline bool is_heard(void)
{
	return server_heard(heard_server, heard_text);
}

static inline void run_until_heard(unsigned server, const char *text)
{
	heard_server = server;
	heard_text = text;
	run_until(is_heard);
}

static bool time_is_over;

static inline void time_over(void *arg)
{
	(void)arg;
	time_is_over = true;
}

static inline bool is_over(void)
{
	return time_is_over;
}

/* To see what does not happen meanwhile. */
static inline void run_for(uint64_t us)
{
	struct loop_timer timer = {0};
	time_is_over = false;
	loop_timer_start(&timer, us, time_over, NULL);
	run_until(is_over);
}
