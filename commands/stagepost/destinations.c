/*
 * They come in no order that helps; when there are twice as many as are shown, the lesser half
 * goes.
 */
#include "commands/stagepost/destinations.h"

#include <inttypes.h>
#include <stdlib.h>

#include "commands/stagepost/json.h"
#include "commands/stagepost/words.h"
#include "common/base/memory.h"
#include "common/os/clock.h"

enum { KEEP_MAX = 2 * DESTINATIONS_SHOWN_MAX };

struct one {
	char *transport, *key, *reply;
	uint64_t queued, out, deferred, dead_until;
	uint32_t window, failures;
};

struct destinations {
	struct one *list;
	size_t count, size;
	uint64_t left_off;
};

struct destinations *destinations_new(void)
{
	return memory_zero(1, sizeof(struct destinations));
}

static void one_free(struct one *o)
{
	memory_free(o->transport);
	memory_free(o->key);
	memory_free(o->reply);
}

void destinations_free(struct destinations **destinations)
{
	struct destinations *d = *destinations;
	*destinations = NULL;
	if (!d)
		return;
	for (size_t i = 0; i < d->count; i++)
		one_free(&d->list[i]);
	memory_free(d->list);
	memory_free(d);
}

static uint64_t waiting(const struct one *o)
{
	return o->queued + o->deferred;
}

/* Most waiting first, then most under way, then by name. */
static int compare(const void *left, const void *right)
{
	const struct one *a = left, *b = right;
	if (waiting(a) != waiting(b))
		return waiting(a) > waiting(b) ? -1 : 1;
	if (a->out != b->out)
		return a->out > b->out ? -1 : 1;
	return slice_compare(slice_str(a->key), slice_str(b->key));
}

static void sort_and_cut(struct destinations *d)
{
	if (d->count > 0)
		qsort(d->list, d->count, sizeof(*d->list), compare);
	for (; d->count > DESTINATIONS_SHOWN_MAX; d->left_off++)
		one_free(&d->list[--d->count]);
}

void destinations_add(struct destinations *d, const struct queue_destination *m)
{
	if (d->count == KEEP_MAX)
		sort_and_cut(d);
	if (d->count == d->size) {
		d->size = d->size ? d->size * 2 : 64;
		d->list = memory_resize(d->list, d->size, sizeof(*d->list));
	}
	d->list[d->count++] = (struct one){
	    .transport = memory_string(m->transport),
	    .key = memory_string(m->key),
	    .reply = memory_string(m->reply),
	    .queued = m->queued,
	    .out = m->out,
	    .deferred = m->deferred,
	    .dead_until = m->dead_until,
	    .window = m->window,
	    .failures = m->failures,
	};
}

static void print_json(const struct one *one, FILE *to)
{
	json_t *o = json_object();
	json_put(o, "destination", json_text(slice_str(one->key)));
	json_put(o, "transport", json_text(slice_str(one->transport)));
	json_put(o, "queued", json_count(one->queued));
	json_put(o, "out", json_count(one->out));
	json_put(o, "deferred", json_count(one->deferred));
	json_put(o, "window", json_count(one->window));
	json_put(o, "failures", json_count(one->failures));
	json_put(o, "dead_until", one->dead_until ? json_count(one->dead_until) : json_null());
	json_put(o, "reply", one->reply[0] ? json_text(slice_str(one->reply)) : json_null());
	json_line(to, o);
}

static void print_row(const struct one *one, uint64_t now, FILE *to)
{
	char until[TIME_TEXT_SIZE] = "-";
	int width = 40 - (int)slice_str(one->key).len;
	if (one->dead_until)
		words_until(now, one->dead_until > now ? one->dead_until : now, until);
	words_print(to, slice_str(one->key));
	fprintf(to,
		"%*s %-9s %7" PRIu64 " %5" PRIu64 " %8" PRIu64 " %6" PRIu32 " %8" PRIu32 " %-10s ",
		width > 0 ? width : 0, "", one->transport, one->queued, one->out, one->deferred,
		one->window, one->failures, until);
	words_print(to, slice_str(one->reply[0] ? one->reply : "-"));
	fputc('\n', to);
}

void destinations_print(struct destinations *d, FILE *to, bool json)
{
	uint64_t now = clock_wall_us() / CLOCK_SECOND;
	sort_and_cut(d);
	if (!json && d->count == 0)
		fputs("no destination has mail under way or is in trouble\n", to);
	else if (!json)
		fprintf(to, "%-40s %-9s %7s %5s %8s %6s %8s %-10s %s\n", "DESTINATION", "TRANSPORT",
			"QUEUED", "OUT", "DEFERRED", "WINDOW", "FAILURES", "DEAD", "LAST REPLY");
	for (size_t i = 0; i < d->count; i++) {
		if (json)
			print_json(&d->list[i], to);
		else
			print_row(&d->list[i], now, to);
	}
	if (!json && d->left_off > 0)
		fprintf(to, "and %" PRIu64 " more with less\n", d->left_off);
}
