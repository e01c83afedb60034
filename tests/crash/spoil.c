/*
 * spoil [-s STEP] [-o KIND] [-p PART/PARTS] [-r SEED] DIRECTORY: every octet of a sample spool
 * flipped, every cut, every block zeroed, files exchanged, doubled, taken from elsewhere and from
 * before, and things in their places that are no files. DIRECTORY is empty, best in memory. STEP n:
 * each n-th case of those that go octet by octet. Prints a line for each thing that is wrong and
 * one with the counts; 1: something was wrong.
 */
#include "tests/crash/spoil.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/disk.h"

enum {
	PATH = 256,
	KINDS = 32,
	WRONG_SHOWN = 40,
	BLOCK = 4096,
	SECTOR = 512,
	CUT_STEP = 3,
	BATCH_MAX = 2
};

struct kind {
	const char *name;
	unsigned cases, refused, gone, wrong;
};

struct trial {
	struct samples samples;
	char directory[PATH]; /* of the case */
	struct kind kinds[KINDS];
	const char *only;
	unsigned step, seed, all, wrong;
	unsigned part, parts, due; /* each case whose number is PART modulo PARTS is made */
};

static struct trial trial;

static void remove_all(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		char name[PATH * 2];
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (unlink(name) < 0)
			remove_all(name);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static bool is_ledger(const char *name)
{
	return strncmp(name, "ledger/", 7) == 0;
}

static struct kind *kind_of(const char *name)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct kind *k = &trial.kinds[i];
		if (!k->name)
			k->name = name;
		if (strcmp(k->name, name) == 0)
			return k;
	}
	fatal("too many kinds");
}

void spoil_case(const char *kind, const struct sample_file *f, spoil_hurt *strike, uint64_t at,
		const struct permitted *p)
{
	char path[PATH * 2];
	unsigned gone;
	bool refused;
	struct kind *k = kind_of(kind);
	if ((trial.only && strcmp(trial.only, kind) != 0) ||
	    trial.due++ % trial.parts != trial.part)
		return;
	remove_all(trial.directory);
	if (mkdir(trial.directory, 0700) < 0)
		fatal("%s: %s", trial.directory, strerror(errno));
	sample_lay(&trial.samples.now, trial.directory);
	snprintf(path, sizeof(path), "%s/%s", trial.directory, f->name);
	strike(f, path, at);
	const char *text = judge(&trial.samples, trial.directory, p, &gone, &refused);
	k->cases++;
	trial.all++;
	k->refused += refused;
	k->gone += gone > 0;
	if (!text)
		return;
	k->wrong++;
	if (trial.wrong++ < WRONG_SHOWN)
		printf("WRONG %s %s %llu: %s\n", kind, f->name, (unsigned long long)at, text);
}

/* Octet by octet, block by block */

void spoil_put(const char *path, const void *octets, size_t len, uint64_t at)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || disk_pwrite(fd, octets, len, at) < 0)
		fatal("%s: %s", path, strerror(errno));
	close(fd);
}

static void flip(const struct sample_file *f, const char *path, uint64_t at)
{
	char octet = f->octets[at] ^ (char)(1 << ((at * 5 + trial.seed) % 8));
	spoil_put(path, &octet, 1, at);
}

static void cut(const struct sample_file *f, const char *path, uint64_t at)
{
	(void)f;
	if (truncate(path, (off_t)at) < 0)
		fatal("%s: %s", path, strerror(errno));
}

static void zero(const struct sample_file *f, const char *path, uint64_t at)
{
	static const char zeros[SECTOR];
	(void)f;
	spoil_put(path, zeros, sizeof(zeros), at);
}

static void zero_block(const struct sample_file *f, const char *path, uint64_t at)
{
	static const char zeros[BLOCK];
	(void)f;
	spoil_put(path, zeros, sizeof(zeros), at);
}

/* A block of this file where another one was. */
static void double_block(const struct sample_file *f, const char *path, uint64_t at)
{
	uint64_t from = at >= BLOCK ? at - BLOCK : (f->used / BLOCK) * BLOCK;
	size_t len = f->size - from < BLOCK ? (size_t)(f->size - from) : BLOCK;
	spoil_put(path, f->octets + from, len, at);
}

/* Where the last batch of a segment begins: what wipes its head leaves nothing to tell of. */
static uint64_t last_batch(const struct sample_file *f)
{
	uint64_t last = 0;
	for (uint64_t at = 0; at + BLOCK <= f->used; at += BLOCK)
		if (memcmp(f->octets + at, "SPB1", 4) == 0)
			last = at;
	return last;
}

static struct permitted permitted_at(const struct sample_file *f, unsigned gone)
{
	return (struct permitted){
	    .refusal = is_ledger(f->name), .repeats = is_ledger(f->name), .gone = gone};
}

static void octet_by_octet(void)
{
	for (size_t i = 0; i < trial.samples.now.count; i++) {
		const struct sample_file *f = &trial.samples.now.files[i];
		bool large = strncmp(f->name, "large/", 6) == 0;
		struct permitted flipped = permitted_at(f, large ? 1 : BATCH_MAX);
		struct permitted torn = permitted_at(f, large ? 1 : TRUTH_MAX);
		unsigned step = trial.step * (large ? 64 : 1);
		for (uint64_t at = trial.seed % step; at < f->used; at += step)
			spoil_case("flip", f, flip, at, &flipped);
		for (uint64_t at = trial.seed % step; at < f->used; at += CUT_STEP * step)
			spoil_case("cut", f, cut, at, &torn);
		for (uint64_t at = 0; at + SECTOR <= f->size && at < f->used; at += SECTOR) {
			torn.silence = !large && at >= last_batch(f);
			if (at / SECTOR % trial.step == 0)
				spoil_case("zero", f, zero, at, &torn);
		}
		for (uint64_t at = 0; at + BLOCK <= f->size && at < f->used; at += BLOCK) {
			if (at / BLOCK % trial.step != 0)
				continue;
			torn.silence = !large && at >= last_batch(f);
			spoil_case("zero block", f, zero_block, at, &torn);
			spoil_case("double block", f, double_block, at, &torn);
		}
	}
}

/* File by file */

static const struct sample_file *other_file; /* that stands where f was */

static void replace(const struct sample_file *f, const char *path, uint64_t at)
{
	(void)f;
	(void)at;
	unlink(path);
	spoil_put(path, other_file->octets, other_file->size, 0);
}

static void exchange(const struct sample_file *f, const char *path, uint64_t at)
{
	char other[PATH * 2];
	replace(f, path, at);
	snprintf(other, sizeof(other), "%s/%s", trial.directory, other_file->name);
	unlink(other);
	spoil_put(other, f->octets, f->size, 0);
}

static void as_new_name(const struct sample_file *f, const char *path, uint64_t at)
{
	char name[PATH * 3];
	const char *slash = strrchr(path, '/');
	snprintf(name, sizeof(name), "%.*s/%0*llu", (int)(slash - path), path,
		 (int)strlen(slash + 1), (unsigned long long)at);
	spoil_put(name, f->octets, f->size, 0);
}

static void removed(const struct sample_file *f, const char *path, uint64_t at)
{
	(void)f;
	(void)at;
	unlink(path);
}

static void from(const char *kind, const struct sample *source)
{
	for (size_t i = 0; i < trial.samples.now.count; i++) {
		const struct sample_file *f = &trial.samples.now.files[i];
		struct permitted p = permitted_at(f, TRUTH_MAX);
		other_file = sample_find(source, f->name);
		if (other_file)
			spoil_case(kind, f, replace, 0, &p);
	}
}

static void file_by_file(void)
{
	const struct sample *now = &trial.samples.now;
	for (size_t i = 0; i < now->count; i++) {
		const struct sample_file *f = &now->files[i];
		struct permitted p = permitted_at(f, TRUTH_MAX), none = {.refusal = p.refusal};
		spoil_case("remove", f, removed, 0, &p);
		spoil_case("copy", f, as_new_name, 77, &none);
		spoil_case("copy", f, as_new_name, 12, &none);
		for (size_t k = 0; k < now->count; k++) {
			other_file = &now->files[k];
			if (k != i)
				spoil_case("replace", f, replace, k, &p);
			p.refusal |= is_ledger(other_file->name);
			p.repeats = p.refusal;
			if (k > i)
				spoil_case("exchange", f, exchange, k, &p);
			p = permitted_at(f, TRUTH_MAX);
		}
	}
	from("older", &trial.samples.older);
	from("of another spool", &trial.samples.other);
}

/* The whole folder as it was before. */
static void older_folder(const struct sample_file *f, const char *path, uint64_t at)
{
	const char *folder = f->name;
	size_t len = (size_t)(strchr(folder, '/') - folder) + 1;
	const struct sample *older = at ? &trial.samples.other : &trial.samples.older;
	char name[PATH * 2];
	(void)path;
	for (size_t i = 0; i < trial.samples.now.count; i++) {
		snprintf(name, sizeof(name), "%s/%s", trial.directory,
			 trial.samples.now.files[i].name);
		if (strncmp(trial.samples.now.files[i].name, folder, len) == 0)
			unlink(name);
	}
	for (size_t i = 0; i < older->count; i++) {
		snprintf(name, sizeof(name), "%s/%s", trial.directory, older->files[i].name);
		if (strncmp(older->files[i].name, folder, len) == 0)
			spoil_put(name, older->files[i].octets, older->files[i].size, 0);
	}
}

static void folder_by_folder(void)
{
	struct permitted p = {.repeats = true, .gone = TRUTH_MAX};
	const char *last = "";
	for (size_t i = 0; i < trial.samples.now.count; i++) {
		const struct sample_file *f = &trial.samples.now.files[i];
		if (strncmp(f->name, last, 5) == 0)
			continue;
		last = f->name;
		p.refusal = is_ledger(f->name);
		spoil_case("older folder", f, older_folder, 0, &p);
		spoil_case("folder of another spool", f, older_folder, 1, &p);
	}
}

/* What is no file */

static void make_link(const struct sample_file *f, const char *path, uint64_t at)
{
	removed(f, path, at);
	if (symlink("/etc/passwd", path) < 0)
		fatal("%s: %s", path, strerror(errno));
}

static void make_fifo(const struct sample_file *f, const char *path, uint64_t at)
{
	removed(f, path, at);
	if (mkfifo(path, 0600) < 0)
		fatal("%s: %s", path, strerror(errno));
}

static void make_folder(const struct sample_file *f, const char *path, uint64_t at)
{
	removed(f, path, at);
	if (mkdir(path, 0700) < 0)
		fatal("%s: %s", path, strerror(errno));
}

static void make_socket(const struct sample_file *f, const char *path, uint64_t at)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	removed(f, path, at);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fatal("%s: %s", path, strerror(errno));
	close(fd);
}

static void make_device(const struct sample_file *f, const char *path, uint64_t at)
{
	removed(f, path, at);
	if (mknod(path, S_IFCHR | 0600, makedev(1, 5)) < 0) /* /dev/zero */
		fatal("%s: %s", path, strerror(errno));
}

static void make_empty(const struct sample_file *f, const char *path, uint64_t at)
{
	(void)f;
	(void)at;
	if (truncate(path, 0) < 0)
		fatal("%s: %s", path, strerror(errno));
}

static const struct {
	const char *name;
	spoil_hurt *strike;
	bool root; /* nobody else can */
} stranger[] = {
    {"link", make_link, false},	    {"fifo", make_fifo, false},	   {"folder", make_folder, false},
    {"socket", make_socket, false}, {"device", make_device, true}, {"empty", make_empty, false},
};

static void things_in_place(void)
{
	for (size_t k = 0; k < sizeof(stranger) / sizeof(stranger[0]); k++) {
		if (stranger[k].root && geteuid() != 0)
			continue;
		for (size_t i = 0; i < trial.samples.now.count; i++) {
			const struct sample_file *f = &trial.samples.now.files[i];
			struct permitted p = permitted_at(f, TRUTH_MAX);
			spoil_case(stranger[k].name, f, stranger[k].strike, 0, &p);
		}
	}
}

/* In places where nothing was. */
static void things_beside(void)
{
	static const char *const names[] = {"segments/00000050",
					    "ledger/00000050",
					    "large/0000000000000050",
					    "large/9999999999999999",
					    "segments/core.dump",
					    "ledger/core.dump",
					    "large/x",
					    "segments/00000000",
					    "segments/99999999",
					    "ledger/99999999",
					    "corrupt/x",
					    "lost+found"};
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		char nothing[1] = "";
		struct sample_file f = {.octets = nothing, .size = 0};
		struct permitted p = {.refusal = is_ledger(names[n])};
		snprintf(f.name, sizeof(f.name), "%s", names[n]);
		for (size_t k = 0; k < sizeof(stranger) / sizeof(stranger[0]) - 1; k++)
			if (!stranger[k].root || geteuid() == 0)
				spoil_case("beside", &f, stranger[k].strike, n, &p);
	}
}

static void tell(void)
{
	for (size_t i = 0; i < KINDS && trial.kinds[i].name; i++) {
		const struct kind *k = &trial.kinds[i];
		if (k->cases > 0)
			printf("%-24s %6u cases, %6u refused, %6u with mail gone and told of, %u "
			       "wrong\n",
			       k->name, k->cases, k->refused, k->gone, k->wrong);
	}
	printf("cases=%u wrong=%u seed=%u messages=%zu\n", trial.all, trial.wrong, trial.seed,
	       trial.samples.truth_count);
}

int main(int argc, char **argv)
{
	int c;
	setlinebuf(stdout);
	trial.step = trial.parts = 1;
	while ((c = getopt(argc, argv, "s:o:p:r:")) != -1) {
		if (c == 's')
			trial.step = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'r')
			trial.seed = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'p')
			sscanf(optarg, "%u/%u", &trial.part, &trial.parts);
		else if (c == 'o')
			trial.only = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc || trial.step == 0 || trial.parts == 0)
		return 2;
	snprintf(trial.directory, sizeof(trial.directory), "%s/case", argv[optind]);
	samples_make(&trial.samples, argv[optind]);
	file_by_file();
	folder_by_folder();
	things_in_place();
	things_beside();
	forge_all(&trial.samples.now, trial.step);
	octet_by_octet();
	remove_all(trial.directory);
	tell();
	return trial.wrong > 0;
}
