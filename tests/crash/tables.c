/*
 * tables [-l SECONDS] [-r SEED] [-s STEP] DIRECTORY: each page of a table's database spoiled, with
 * its checksum as it was, and with one that is right again, and then asked for entries, in a child.
 * As long as the checksum is wrong an answer is right or an error, never a miss or another value,
 * and the reader comes to an end. What is done with a page whose checksum is right, is counted
 * only.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/table/table.h"

enum {
	PAGE = 4096,
	META_SUMMED = 512, /* octets of the first page that its checksum covers */
	META_SUM_AT = 492,
	SUM_AT = 28, /* of the others: behind 26 octets of header and 2 unused */
	HEADER = 32,
	ENTRIES = 3000,
	ASKED_STEP = 7,
	LONG_EVERY = 97, /* each so many has a value that needs pages of its own */
	LONG_MEMBERS = 400,
	TEXT_MAX = 4 * 1024 * 1024,
	LIMIT_S = 10, /* without -l */
	MEMORY_LIMIT = 256 * 1024 * 1024,
	WRONG_SHOWN = 40,
	ROUNDS = 40, /* of random changes with a right checksum, of each page */
};

enum outcome { RIGHT, ERROR, OTHER, ENDLESS, CRASHED, OUTCOMES };

static const char *const outcome_words[] = {"right", "error", "ALTERED", "ENDLESS", "CRASHED"};

static char *octets; /* of the database */
static size_t size;
static uint32_t truths[ENTRIES]; /* CRC-32C of each value */
static unsigned cases, wrong, counts[2][OUTCOMES], step = 1, limit = LIMIT_S;
static uint64_t seed = 7;

static uint64_t draw(void)
{
	uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static struct slice key_of(unsigned i, char key[32])
{
	snprintf(key, 32, "name%06u", i * 7);
	return slice_str(key);
}

static void make(void)
{
	struct buffer text;
	struct table *t;
	struct error e = {0};
	buffer_init(&text, TEXT_MAX);
	for (unsigned i = 0; i < ENTRIES; i++) {
		char key[32];
		buffer_printf(&text, "%s: a%u@trial.example", key_of(i, key).ptr, i);
		for (unsigned k = 0; i % LONG_EVERY == 0 && k < LONG_MEMBERS; k++)
			buffer_printf(&text, ", member%u@trial.example", k);
		buffer_append(&text, SLICE("\n"));
	}
	if (!table_open("file:/t", TABLE_ALIASES, &t, &e) ||
	    !table_load_text(t, buffer_slice(&text), NULL, NULL, &e) ||
	    !table_write_database(t, "whole.db", &e))
		fatal("%s", e.text);
	table_free(&t);
	buffer_free(&text);
}

static struct table *load(const char *name)
{
	struct table *t;
	struct error e = {0};
	int fd = disk_open(AT_FDCWD, name, O_RDONLY, 0);
	if (fd < 0 || !table_open("db:/t.db", TABLE_ALIASES, &t, &e))
		fatal("%s", name);
	if (!table_load_fd(t, fd, NULL, NULL, &e))
		table_free(&t);
	disk_close(fd);
	return t;
}

struct answer {
	enum table_result result;
	uint32_t crc;
};

static void note(void *arg, enum table_result result, struct slice value)
{
	*(struct answer *)arg = (struct answer){result, crc32c(0, value.ptr, value.len)};
}

static struct answer ask(struct table *t, unsigned i)
{
	char key[32];
	struct answer a = {TABLE_ERROR, 0};
	table_lookup(t, key_of(i, key), note, &a);
	return a;
}

/* In a child, for its memory belongs to Berkeley DB. */
static void learn(void)
{
	struct table *t = load("whole.db");
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct answer a = ask(t, i);
		if (a.result != TABLE_FOUND)
			fatal("the whole database has no entry %u", i);
		truths[i] = a.crc;
	}
	table_free(&t);
}

static void look_up(void)
{
	enum outcome worst = RIGHT;
	alarm(limit);
	struct table *t = load("bad.db");
	for (unsigned i = 0; t && i < ENTRIES; i += ASKED_STEP) {
		struct answer a = ask(t, i);
		enum outcome o = a.result == TABLE_ERROR			 ? ERROR
				 : a.result == TABLE_FOUND && a.crc == truths[i] ? RIGHT
										 : OTHER;
		worst = o > worst ? o : worst;
	}
	worst = t ? worst : ERROR;
	table_free(&t);
	_exit((int)worst);
}

/* bad.db is as it shall be. */
static void judge(const char *what, size_t page, unsigned long long detail, bool summed)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		look_up();
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fatal("no child");
	enum outcome o = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ENDLESS
			 : WIFSIGNALED(status) || WEXITSTATUS(status) > OTHER
			     ? CRASHED
			     : (enum outcome)WEXITSTATUS(status);
	cases++;
	counts[summed][o]++;
	if (o <= ERROR || summed)
		return;
	if (wrong++ < WRONG_SHOWN)
		printf("WRONG %s, page %zu, %llu%s: %s\n", what, page, detail,
		       summed ? ", its checksum right" : "", outcome_words[o]);
}

/* As Berkeley DB sums up a page that is not encrypted: its hash of the octets, with zeros where the
 * sum stands. */
static void sum_up(char *page, bool meta)
{
	uint32_t h = 0;
	size_t at = meta ? META_SUM_AT : SUM_AT, len = meta ? META_SUMMED : PAGE;
	memset(page + at, 0, sizeof(h));
	for (size_t i = 0; i < len; i++)
		h = (h << 5) + h + (uint8_t)page[i];
	put_u32(page + at, h);
}

static void put(const void *data, size_t len, uint64_t at)
{
	int fd = disk_open(AT_FDCWD, "bad.db", O_WRONLY, 0);
	if (fd < 0 || disk_pwrite(fd, data, len, at) < 0)
		fatal("bad.db: %s", strerror(errno));
	disk_close(fd);
}

static void with_page(const char *what, size_t number, const char *page, unsigned long long detail,
		      bool summed)
{
	char copy[PAGE];
	memcpy(copy, page, PAGE);
	if (summed)
		sum_up(copy, number == 0);
	put(copy, PAGE, number * PAGE);
	judge(what, number, detail, summed);
	put(octets + number * PAGE, PAGE, number * PAGE);
}

static void flips(size_t number)
{
	char page[PAGE];
	for (size_t at = (number * 11) % step; at < PAGE; at += step) {
		if (number == 0 && at >= META_SUMMED)
			break; /* nothing is there */
		memcpy(page, octets + number * PAGE, PAGE);
		page[at] ^= (char)(1 << (draw() % 8));
		with_page("flip", number, page, at, false);
		if (at < HEADER + 64 || at % 8 == 0)
			with_page("flip", number, page, at, true);
	}
}

/* Numbers of the head, and where the entries lie, are anything: pages that point to themselves, to
 * others, out of the page. */
static void numbers(size_t number)
{
	char page[PAGE];
	size_t pages = size / PAGE;
	for (unsigned round = 0; round < ROUNDS; round++) {
		memcpy(page, octets + number * PAGE, PAGE);
		for (unsigned k = 0; k < 1 + round % 4; k++) {
			uint64_t r = draw();
			size_t at = 8 + r % (HEADER + 56) / 2 * 2;
			if (round % 3 == 0)
				put_u32(page + at, (uint32_t)((r >> 32) % (pages + 2)));
			else if (round % 3 == 1)
				put_u16(page + at, (uint16_t)(r >> 32));
			else
				memset(page + r % PAGE, (int)(r >> 40),
				       1 + (r >> 50) % 40 % (PAGE - r % PAGE));
		}
		with_page("numbers", number, page, round, true);
	}
}

static void pages(void)
{
	size_t count = size / PAGE;
	char zeros[PAGE] = "";
	for (size_t number = 0; number < count; number++) {
		flips(number);
		if (number % step != 0 && number > 8 && step > 1)
			continue;
		numbers(number);
		with_page("zeros", number, zeros, 0, false);
		for (size_t other = 0; other < count; other += 1 + step / 16 + count / 16)
			with_page("page of another place", number, octets + other * PAGE, other,
				  false);
	}
}

static void cuts(void)
{
	for (size_t at = 0; at < size; at += 1021 * step) {
		if (truncate("bad.db", (off_t)at) < 0)
			fatal("bad.db: %s", strerror(errno));
		judge("cut", at / PAGE, at, false);
		put(octets, size, 0);
	}
}

static void begin(const char *directory)
{
	struct buffer whole;
	if (chdir(directory) < 0)
		fatal("%s: %s", directory, strerror(errno));
	make();
	int fd = disk_open(AT_FDCWD, "whole.db", O_RDONLY, 0);
	buffer_init(&whole, TEXT_MAX);
	if (disk_read_whole(fd, TEXT_MAX, &whole) < 0)
		fatal("whole.db: %s", strerror(errno));
	octets = whole.data;
	size = whole.len;
	disk_close(fd);
	learn();
	for (size_t number = 0; number < size / PAGE; number++) {
		char page[PAGE];
		memcpy(page, octets + number * PAGE, PAGE);
		sum_up(page, number == 0);
		if (memcmp(page, octets + number * PAGE, PAGE) != 0)
			fatal("page %zu has another checksum than this program would make", number);
	}
	disk_close(disk_create(AT_FDCWD, "bad.db", O_WRONLY, 0600));
	put(octets, size, 0);
}

int main(int argc, char **argv)
{
	int c;
	setlinebuf(stdout);
	while ((c = getopt(argc, argv, "l:s:r:")) != -1) {
		if (c == 's')
			step = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'l')
			limit = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'r')
			seed = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind + 1 != argc || step == 0)
		return 2;
	begin(argv[optind]);
	pages();
	cuts();
	for (int summed = 0; summed < 2; summed++)
		for (int o = 0; o < OUTCOMES; o++)
			printf("%s, checksum %s: %u\n", outcome_words[o],
			       summed ? "right" : "wrong", counts[summed][o]);
	printf("cases=%u wrong=%u\n", cases, wrong);
	return wrong > 0;
}
