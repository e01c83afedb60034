/*
 * outage: opens a spool as the queue manager does, lets recovery come to its end, and prints what
 * is in it then. It reads paths of spools from its input, one a line, and answers each from a child
 * of its own, so that a spool that can't be opened, or a crash, is an answer too:
 *
 *	message ID DISPOSITION FILE <SENDER> SHA256 PARENT       content without trace; FILE 0: none
 *	recipient STATUS <ADDRESS>                               of the message above
 *	verify PROBLEMS TEXT                                     0: all is as it should be
 *	end STATUS                                               of the child, as wait() has it
 *
 * STATUS 0: all was read. What the store logs goes to standard error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/queue_id.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "queue/store/content.h"
#include "queue/store/digest.h"
#include "queue/store/helper.h"
#include "queue/store/spool.h"

enum {
	LOOK_US = 200,
	QUIET_LOOKS = 3, /* in which nothing was under way: recovery is over */
	LIMIT_US = 60 * 1000 * 1000,
	MESSAGES_MAX = 10000,
	LINE_SIZE = 4096,
	FAILED = 3,
};

static struct spool *spool;
static struct helper *helper;
static struct loop_timer look_timer, limit_timer;
static unsigned quiet;
static uint64_t ids[MESSAGES_MAX];
static size_t count;
static bool done;
static int answer;

static _Noreturn void give_up(const char *what, int err)
{
	printf("failed %s: %s\n", what, strerror(err));
	fflush(stdout);
	_exit(FAILED);
}

static void arrived(void *arg, struct entry *e)
{
	(void)arg, (void)e;
}

static void too_long(void *arg)
{
	give_up(arg, ETIMEDOUT);
}

static void run(const char *what)
{
	loop_timer_start(&limit_timer, LIMIT_US, too_long, (void *)what);
	loop_run();
	loop_timer_stop(&limit_timer);
}

static void look(void *arg)
{
	struct spool_status s;
	spool_status(spool, &s);
	quiet = s.unscanned == 0 && s.safe && helper_pending(helper) == 0 ? quiet + 1 : 0;
	if (quiet >= QUIET_LOOKS)
		loop_stop();
	else
		loop_timer_start(&look_timer, LOOK_US, look, arg);
}

static void note(void *arg, struct entry *e)
{
	(void)arg;
	if (count < MESSAGES_MAX)
		ids[count++] = e->id;
}

static void loaded(void *arg, struct entry *e, int err)
{
	(void)arg, (void)e;
	answer = err;
	done = true;
	loop_stop();
}

static void was_read(void *arg, int err)
{
	loaded(arg, NULL, err);
}

static void opened(void *arg, int fd, int err)
{
	*(int *)arg = fd;
	loaded(NULL, NULL, err);
}

/* What a call that may answer later has said: 0, or an errno. */
static int wait_for(int said, const char *what)
{
	if (said == 1)
		return 0;
	if (said < 0)
		return errno;
	if (!done)
		run(what);
	done = false;
	return answer;
}

struct hashing {
	struct digest digest;
};

static bool add(void *arg, struct slice piece)
{
	digest_add(&((struct hashing *)arg)->digest, piece);
	return true;
}

/* "-" and the reason when it can't be read. */
static void print_hash(const struct stored_message *m, int fd)
{
	struct content c = {.header = m->header, .body = m->body, .file = m->file, .fd = fd};
	struct hashing h;
	uint8_t sum[DIGEST_SIZE];
	digest_init(&h.digest);
	if (content_read(&c, add, &h) < 0) {
		printf("-%s", strerrorname_np(errno));
	} else {
		digest_end(&h.digest, sum);
		for (size_t i = 0; i < sizeof(sum); i++)
			printf("%02x", sum[i]);
	}
	digest_free(&h.digest);
}

static void print_head(const struct entry *e)
{
	char id[QUEUE_ID_LEN + 1];
	queue_id_text(e->id, id);
	printf("message %s %u %llu ", id, (unsigned)e->disposition, (unsigned long long)e->file);
}

static void print_recipients(const struct entry *e, const struct stored_message *m)
{
	for (uint32_t i = 0; i < e->count; i++) {
		const struct recipient_state *r = &e->state->recipients[i];
		struct slice address = r->address;
		if (i < m->recipient_count)
			address = m->recipients[i].address;
		printf("recipient %u <%.*s>\n", r->status, SLICE_FMT(address));
	}
}

static void print_message(struct entry *e)
{
	struct buffer record;
	struct stored_message m;
	struct arena arena;
	struct error error = {0};
	char parent[QUEUE_ID_LEN + 1];
	int fd = -1, err = wait_for(spool_load(spool, e, loaded, NULL), "load");
	print_head(e);
	buffer_init(&record, RECORD_LENGTH_MAX);
	arena_init(&arena, SIZE_MAX);
	if (!err)
		err = wait_for(spool_read(spool, e, &record, was_read, NULL), "read");
	if (err || !record_decode(buffer_slice(&record), &arena, &m, &error)) {
		printf("<> -%s 0\n", strerrorname_np(err ? err : EBADMSG));
		return;
	}
	if (m.file.number) {
		spool_file_open(spool, e, opened, &fd);
		err = wait_for(0, "large");
	}
	printf("<%.*s> ", SLICE_FMT(m.reverse_path));
	if (err)
		printf("-%s", strerrorname_np(err));
	else
		print_hash(&m, fd);
	queue_id_text(m.parent, parent);
	printf(" %s\n", parent);
	print_recipients(e, &m);
	if (fd >= 0)
		disk_close(fd);
	arena_free(&arena);
	buffer_free(&record);
}

static void verified(void *arg, const struct verify_result *r)
{
	(void)arg;
	if (!r->complete || !r->digest_equal)
		printf("verify 1 incomplete or unequal: %s\n", r->problem[0]);
	else
		printf("verify %zu %s\n", r->problems, r->problems ? r->problem[0] : "");
	loop_stop();
}

static void answer_for(const char *path)
{
	struct error error = {0};
	struct spool_setup setup = {.boot_id = "11111111-2222-3333-4444-555555555555",
				    .extra = sizeof(uint64_t),
				    .arrived = arrived,
				    .lock_wait_us = 1};
	size_t cursor = 0;
	disk_faults_role("outage");
	setup.dirfd = disk_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	setup.helper = helper = helper_new();
	spool = setup.dirfd < 0 ? NULL : spool_open(&setup, &error);
	if (!spool) {
		printf("failed open: %s\n", setup.dirfd < 0 ? strerror(errno) : error.text);
		fflush(stdout);
		_exit(FAILED);
	}
	loop_timer_start(&look_timer, LOOK_US, look, NULL);
	run("recovery");
	while (spool_walk(spool, &cursor, note, NULL))
		;
	for (size_t i = 0; i < count; i++)
		if (spool_get(spool, ids[i]))
			print_message(spool_get(spool, ids[i]));
	spool_verify(spool, verified, NULL);
	run("verify");
	fflush(stdout);
	_exit(0); /* without a word to the spool: a crash again */
}

int main(void)
{
	char line[LINE_SIZE];
	record_warm();
	while (fgets(line, sizeof(line), stdin)) {
		int status = -1;
		line[strcspn(line, "\n")] = '\0';
		pid_t child = fork();
		if (child == 0)
			answer_for(line);
		if (child > 0)
			waitpid(child, &status, 0);
		printf("end %d\n", status);
		fflush(stdout);
	}
	return 0;
}
