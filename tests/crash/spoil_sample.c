/*
 * spoil_sample: the spool that is damaged. In it are messages that wait, that are held, that have
 * gone to added recipients, that have moved, that have ended; large ones; and some that the ledger
 * has not heard of. Its ledger is a chain of several files.
 */
#define SPOOL_WORLD_SIZES
#include "tests/crash/spoil.h"

enum { WORLD_SEGMENT = SAMPLE_SEGMENT, WORLD_LEDGER = SAMPLE_LEDGER };

#include <dirent.h>
#include <sys/stat.h>

#include "queue/store/spool_parts.h"
#include "tests/unit/store/spool_world.h"

enum { SMALL = 700, LARGE = 70 * 1024, TOP = 128, PATH = 256, LEDGER_TURNS = 150 };

static const char *const folders[] = {"ledger", "segments", "large", "corrupt"};

static bool all_arrived(struct spool_world *w)
{
	return world_idle(w);
}

static void send(struct spool_world *w, unsigned count, size_t size, uint32_t recipients)
{
	for (unsigned i = 0; i < count; i++) {
		ck_assert(world_send(w, size + i, recipients));
		/* batches of one and of two */
		if (i % 3 != 1)
			world_run(w, all_arrived);
	}
	world_run(w, all_arrived);
	ck_assert_uint_eq(w->failed, 0);
}

static void defer(struct spool_world *w, uint64_t id)
{
	struct entry *e = spool_get(w->spool, id);
	struct reply reply = {.code = 450, .enhanced = {4, 2, 0}, .text = SLICE("not now")};
	spool_attempt(w->spool, e, 0);
	spool_result(w->spool, e, 0, RECIPIENT_DEFERRED, 1000000, &reply);
}

static void loaded(void *arg, struct entry *e, int err)
{
	(void)arg;
	(void)e;
	ck_assert_int_eq(err, 0);
	loop_stop();
}

static void deliver(struct spool_world *w, uint64_t id)
{
	struct entry *e = spool_get(w->spool, id);
	if (!e->state && spool_load(w->spool, e, loaded, NULL) == 0)
		loop_run();
	world_deliver(w, id);
}

static void copy_to(const struct spool_world *w, const char *directory)
{
	world_shell("cp -r %s/. %s/", w->path, directory);
}

static void put_to_rest(struct spool_world *w)
{
	for (size_t i = 0; i < w->arrived; i++) {
		struct entry *e = spool_get(w->spool, w->ids[i]);
		if (e && e->state)
			spool_rest(w->spool, e, (enum disposition)e->disposition, 2000000);
	}
	world_run(w, world_idle);
}

static bool moved(struct spool_world *w)
{
	for (size_t i = 0; i < 3; i++) {
		const struct entry *e = spool_get(w->spool, w->ids[i]);
		if (!index_segment(ledger_index(spool_ledger(w->spool)), e->segment)->line.own)
			return false;
	}
	return world_synced(w);
}

/* The first life: what the older copy holds. */
static void first_half(struct spool_world *w)
{
	static const struct spool_address added[] = {{.address = SLICE("carol@trial.example")},
						     {.address = SLICE("dave@trial.example")}};
	bool over;
	send(w, 6, SMALL, 2);
	send(w, 1, LARGE, 1);
	w->hold = "too much";
	send(w, 1, SMALL + 100, 1);
	w->hold = NULL;
	ck_assert(spool_expand(w->spool, spool_get(w->spool, w->ids[3]), 1, added, 2, &over));
	for (size_t i = 0; i < 3; i++) {
		defer(w, w->ids[i]);
		spool_rest(w->spool, spool_get(w->spool, w->ids[i]), MESSAGE_QUEUED, 1000000);
		spool_stays(w->spool, spool_get(w->spool, w->ids[i]));
	}
	move_now(spool_move(w->spool));
	world_run(w, moved);
	world_run(w, world_idle);
}

/* Then others come, some end, and the ledger goes on over the ends of its files. */
static void second_half(struct spool_world *w, const char *middle)
{
	size_t from = w->arrived;
	send(w, 5, SMALL + 50, 1);
	for (unsigned turn = 0; turn < LEDGER_TURNS; turn++) {
		for (size_t i = from; i < from + 3; i++)
			defer(w, w->ids[i]);
		spool_flush(w->spool);
		world_run(w, world_idle);
	}
	put_to_rest(w);
	copy_to(w, middle);
	deliver(w, w->ids[4]);
	deliver(w, w->ids[from + 3]);
	spool_flush(w->spool);
	put_to_rest(w);
	w->deaf = true;
	send(w, 4, SMALL + 30, 1);
	send(w, 1, LARGE + 1000, 1);
	send(w, 1, SMALL + 90, 2);
}

/* A test to Check, because spool_world speaks by its assertions. */
static const char *directory;

START_TEST(the_sample_is_made)
{
	struct spool_world w;
	char to[TOP];
	world_make(&w);
	world_writer(&w);
	first_half(&w);
	snprintf(to, sizeof(to), "%s/older", directory);
	copy_to(&w, to);
	snprintf(to, sizeof(to), "%s/middle", directory);
	second_half(&w, to);
	snprintf(to, sizeof(to), "%s/now", directory);
	copy_to(&w, to);
	w.deaf = false;
	world_stop(&w);
	/* one with the same numbers, and other content */
	world_make(&w);
	world_writer(&w);
	send(&w, 6, SMALL + 300, 1);
	send(&w, 1, LARGE + 300, 1);
	snprintf(to, sizeof(to), "%s/other", directory);
	copy_to(&w, to);
	world_stop(&w);
}
END_TEST

static void make_spools(const char *where)
{
	Suite *suite = suite_create("sample");
	TCase *one = tcase_create("sample");
	directory = where;
	tcase_add_test(one, the_sample_is_made);
	suite_add_tcase(suite, one);
	SRunner *runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_SILENT);
	if (srunner_ntests_failed(runner) > 0)
		srunner_print(runner, CK_NORMAL);
	_exit(srunner_ntests_failed(runner) > 0);
}

static void in_child(void (*work)(const char *where), const char *where)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		work(where);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fatal("the sample can't be made: status %d", status);
}

static void read_file(struct sample *s, const char *top, const char *name)
{
	char path[PATH];
	struct stat st;
	struct sample_file *f = &s->files[s->count++];
	snprintf(path, sizeof(path), "%s/%s", top, name);
	snprintf(f->name, sizeof(f->name), "%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || s->count == SAMPLE_FILES || fstat(fd, &st) < 0)
		fatal("%s: %s", path, strerror(errno));
	f->size = (size_t)st.st_size;
	f->octets = memory_zero(1, f->size + 1);
	if (disk_pread(fd, f->octets, f->size, 0) != (ssize_t)f->size)
		fatal("%s: %s", path, strerror(errno));
	for (f->used = f->size; f->used > 0 && f->octets[f->used - 1] == '\0'; f->used--)
		;
	close(fd);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sample_file *)a)->name, ((const struct sample_file *)b)->name);
}

static void sample_read(struct sample *s, const char *within, const char *which)
{
	char path[PATH];
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", within, which, folders[i]);
		DIR *d = opendir(path);
		struct dirent *e;
		while (d && (e = readdir(d))) {
			char name[SAMPLE_NAME], top[TOP];
			if (e->d_name[0] == '.')
				continue;
			snprintf(name, sizeof(name), "%s/%.24s", folders[i], e->d_name);
			snprintf(top, sizeof(top), "%s/%s", within, which);
			read_file(s, top, name);
		}
		if (d)
			closedir(d);
	}
	qsort(s->files, s->count, sizeof(s->files[0]), by_name);
}

/* What recovery makes of a copy in which nothing is wrong is what is true. */
static void find_truth(const char *top)
{
	struct recover_limits limits = {SAMPLE_SEGMENT, SAMPLE_LEDGER, CASE_US};
	struct recovered r;
	char path[PATH];
	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	recover_run(fd, &limits, &r);
	if (r.refusal.code || !r.done || r.set_aside || r.complaints)
		fatal("%s: the sample is not whole: %s %.*s", top, r.refusal.text,
		      SLICE_FMT(buffer_slice(&r.log)));
	for (size_t i = 0; i < r.count; i++)
		if (!r.messages[i].whole)
			fatal("%s: a message of the sample is not whole", top);
	snprintf(path, sizeof(path), "%s.truth", top);
	int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (disk_pwrite(out, r.messages, r.count * sizeof(*r.messages), 0) < 0)
		fatal("%s: %s", path, strerror(errno));
	close(out);
	recovered_free(&r);
}

static void truth_read(struct samples *s, const char *top, const char *which, bool ended)
{
	char path[PATH];
	struct recovered_message m;
	snprintf(path, sizeof(path), "%s/%s", top, which);
	in_child(find_truth, path);
	snprintf(path, sizeof(path), "%s/%s.truth", top, which);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	for (uint64_t at = 0; disk_pread(fd, &m, sizeof(m), at) == sizeof(m); at += sizeof(m)) {
		bool there = false;
		for (size_t i = 0; i < s->truth_count; i++)
			there |= s->truths[i].message.id == m.id;
		if (!there && s->truth_count < TRUTH_MAX)
			s->truths[s->truth_count++] = (struct truth){m, ended};
	}
	close(fd);
}

void samples_make(struct samples *s, const char *top)
{
	static const char *const which[] = {"older", "middle", "now", "other"};
	char path[PATH];
	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, which[i]);
		if (mkdir(path, 0700) < 0)
			fatal("%s: %s", path, strerror(errno));
	}
	in_child(make_spools, top);
	sample_read(&s->older, top, "older");
	sample_read(&s->now, top, "now");
	sample_read(&s->other, top, "other");
	truth_read(s, top, "now", false);
	truth_read(s, top, "middle", true);
	truth_read(s, top, "older", true);
}

const struct sample_file *sample_find(const struct sample *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->files[i].name, name) == 0)
			return &s->files[i];
	return NULL;
}

void sample_lay(const struct sample *s, const char *top)
{
	char path[PATH];
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, folders[i]);
		if (mkdir(path, 0700) < 0)
			fatal("%s: %s", path, strerror(errno));
	}
	for (size_t i = 0; i < s->count; i++) {
		const struct sample_file *f = &s->files[i];
		snprintf(path, sizeof(path), "%s/%s", top, f->name);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || disk_pwrite(fd, f->octets, f->used, 0) < 0 ||
		    ftruncate(fd, (off_t)f->size) < 0)
			fatal("%s: %s", path, strerror(errno));
		close(fd);
	}
}
