/*
 * What programs and people ask of sendmail beside sending: the queue, the aliases, another try.
 * `stagepost`, which lies beside this program, does it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"
#include "common/config/config.h"

enum { WORDS_MAX = 8 };

/* The program's own folder may be reached by a link: /usr/bin/mailq. */
static bool find_stagepost(char path[PATH_MAX], struct error *e)
{
	char own[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own));
	size_t dir = len > 0 ? slice_find_last(slice_make(own, (size_t)len), '/') : 0;
	int n = snprintf(path, PATH_MAX, "%.*s/stagepost", (int)dir, own);
	if (len > 0 && (size_t)len < sizeof(own) && n < PATH_MAX && access(path, X_OK) == 0)
		return true;
	return error_set(e, EX_UNAVAILABLE, "the program stagepost is not beside this one");
}

/* Returns only when it could not be started. words: NULL at the end. */
static void become(const struct options *o, const char *const *words, struct error *e)
{
	char path[PATH_MAX];
	char *argv[WORDS_MAX + 4] = {path, (char *)"-c", (char *)(uintptr_t)o->config_path};
	for (size_t i = 0; i < WORDS_MAX && words[i]; i++)
		argv[i + 3] = (char *)(uintptr_t)words[i];
	if (!find_stagepost(path, e))
		return;
	execv(path, argv);
	error_set(e, EX_OSERR, "%s: %s", path, strerror(errno));
}

/* The same in a process of its own, until it ends. */
static bool call(const struct options *o, const char *const *words, struct error *e)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		become(o, words, e);
		fprintf(stderr, "sendmail: %s\n", e->text);
		_exit(e->code);
	}
	if (pid < 0 || TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) < 0)
		return error_set(e, EX_OSERR, "no process can be made: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (WIFEXITED(status))
		exit(WEXITSTATUS(status)); /* it has said why */
	return error_set(e, EX_SOFTWARE, "stagepost %s %s was killed", words[0], words[1]);
}

struct rebuild {
	const struct options *o;
	struct error *e;
	size_t built;
	bool good;
};

/* Only an indexed table has something to be built, from the text that has its name without .db; a
 * text file is used as it is within 2 s. */
static void rebuild_one(void *arg, const struct config_table *table)
{
	static const struct slice SUFFIX = {".db", 3};
	struct rebuild *r = arg;
	struct slice name = table->path ? slice_str(table->path) : SLICE_EMPTY;
	char path[PATH_MAX];
	const char *words[] = {"table", "build", "aliases", path, NULL};
	if (!r->good || table->use != TABLE_ALIASES ||
	    !slice_starts(slice_str(table->spec), SLICE("db:")))
		return;
	if (slice_ends_fold(name, SUFFIX))
		name = slice_sub(name, 0, name.len - SUFFIX.len);
	if (!slice_copy(name, path, sizeof(path)))
		return;
	r->good = call(r->o, words, r->e);
	r->built += r->good;
}

static void rebuild_aliases(const struct options *o, struct error *e)
{
	struct rebuild r = {.o = o, .e = e, .good = true};
	struct config *config;
	if (!config_load(o->config_path, &config, e)) {
		e->code = EX_UNAVAILABLE;
		return;
	}
	config_tables(config, rebuild_one, &r);
	config_free(&config);
	if (!r.good)
		return;
	if (r.built == 0)
		puts("sendmail: no alias table needs building: a changed text file is used by "
		     "itself");
	exit(EX_OK);
}

/* One after the other; the code of the first that does not do well. */
static void verify(const struct options *o, struct error *e)
{
	for (int i = 0; i < o->recipient_count; i++) {
		const char *words[] = {"route", o->recipients[i], NULL};
		if (!call(o, words, e))
			return;
	}
	exit(EX_OK);
}

static void flush(const struct options *o, struct error *e)
{
	char site[PATH_MAX];
	const char *all[] = {"queue", "retry", "--all", NULL};
	const char *id[] = {"queue", "retry", o->flush_value, NULL};
	const char *some[] = {"queue", "retry", o->flush_what, site, NULL};
	if (!o->flush_what) {
		become(o, all, e);
	} else if (!o->flush_what[0]) {
		become(o, id, e);
	} else {
		snprintf(site, sizeof(site), "%s%s", strchr(o->flush_value, '@') ? "" : "@",
			 o->flush_value);
		become(o, some, e);
	}
}

void others_run(const struct options *o, struct error *e)
{
	static const char *const list[] = {"queue", "list", "--mailq", NULL};
	fflush(NULL);
	switch (o->mode) {
	case MODE_LIST:
		become(o, list, e);
		break;
	case MODE_ALIASES:
		rebuild_aliases(o, e);
		break;
	case MODE_VERIFY:
		verify(o, e);
		break;
	default:
		flush(o, e);
		break;
	}
}
