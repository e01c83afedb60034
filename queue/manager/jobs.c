/*
 * Jobs: a delivery to a mailbox is a job at once; those by smtp wait until all of the message are
 * routed, and those that go the same way become one job, as far as a job may have recipients.
 */
#include "queue/manager/jobs.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"

enum { BY_RECIPIENT_FIRST = 16 };

static struct job_list suspects[TRANSPORTS] = {TAILQ_HEAD_INITIALIZER(suspects[0]),
					       TAILQ_HEAD_INITIALIZER(suspects[1]),
					       TAILQ_HEAD_INITIALIZER(suspects[2])};
static struct job_list unread = TAILQ_HEAD_INITIALIZER(unread);
static struct job_list picked = TAILQ_HEAD_INITIALIZER(picked);
static struct job_list out[AGENTS] = {
    TAILQ_HEAD_INITIALIZER(out[0]), TAILQ_HEAD_INITIALIZER(out[1]), TAILQ_HEAD_INITIALIZER(out[2]),
    TAILQ_HEAD_INITIALIZER(out[3]), TAILQ_HEAD_INITIALIZER(out[4])};
static size_t given[AGENTS], given_suspects[AGENTS], given_alone[AGENTS];
static size_t waiting[TRANSPORTS];

/* Where they are */

struct job_list *jobs_at(enum job_place place, unsigned which)
{
	switch (place) {
	case JOB_SUSPECT:
		return &suspects[which];
	case JOB_UNREAD:
		return &unread;
	case JOB_PICKED:
		return &picked;
	case JOB_OUT:
		return &out[which];
	default:
		return NULL;
	}
}

size_t jobs_given(unsigned agent)
{
	return given[agent];
}

bool jobs_given_suspect(unsigned agent)
{
	return given_suspects[agent] > 0;
}

bool jobs_given_alone(unsigned agent)
{
	return given_alone[agent] > 0;
}

size_t jobs_out(void)
{
	size_t all = 0;

	for (unsigned i = 0; i < AGENTS; i++)
		all += given[i];
	return all;
}

size_t jobs_waiting(enum transport t)
{
	return waiting[t];
}

bool job_wants_content(const struct job *j)
{
	return j->place == JOB_UNREAD || j->place == JOB_PICKED;
}

static bool is_given(const struct job *j)
{
	return job_wants_content(j) || j->place == JOB_OUT;
}

static bool is_waiting(const struct job *j)
{
	return j->place == JOB_QUEUED || j->place == JOB_SUSPECT;
}

static struct job_list *list_of(const struct job *j)
{
	return jobs_at(j->place, j->place == JOB_SUSPECT ? j->transport : j->agent);
}

void job_move(struct job *j, enum job_place place)
{
	struct job_list *list = list_of(j);

	if (list != NULL)
		TAILQ_REMOVE(list, j, link);
	j->active->content -= job_wants_content(j);
	given[j->agent] -= is_given(j);
	given_suspects[j->agent] -= is_given(j) && j->suspect;
	given_alone[j->agent] -= is_given(j) && j->alone;
	waiting[j->transport] -= is_waiting(j);
	j->place = (uint8_t)place;
	j->active->content += job_wants_content(j);
	given[j->agent] += is_given(j);
	given_suspects[j->agent] += is_given(j) && j->suspect;
	given_alone[j->agent] += is_given(j) && j->alone;
	waiting[j->transport] += is_waiting(j);
	list = list_of(j);
	if (list != NULL && place == JOB_SUSPECT && j->alone) /* they are few */
		TAILQ_INSERT_HEAD(list, j, link);
	else if (list != NULL)
		TAILQ_INSERT_TAIL(list, j, link);
}

/* Deliveries */

struct delivery *delivery_of(const struct active *a, uint32_t recipient)
{
	return recipient < a->by_recipient_size ? a->by_recipient[recipient] : NULL;
}

/* False: no memory for the message any more. */
static bool delivery_register(struct delivery *d)
{
	struct active *a = d->active;
	uint32_t size = a->by_recipient_size;
	struct delivery **grown;

	if (size <= d->recipient && a->entry->state->count > FEED_AT_ONCE)
		size = a->entry->state->count;
	while (size <= d->recipient)
		size = size == 0 ? BY_RECIPIENT_FIRST : size * 2;
	if (size > a->by_recipient_size) {
		grown = arena_get(&a->arena, size * sizeof(*grown));
		if (grown == NULL)
			return false;
		memset(grown, 0, size * sizeof(*grown));
		if (a->by_recipient_size > 0)
			memcpy(grown, a->by_recipient, a->by_recipient_size * sizeof(*grown));
		a->by_recipient = grown;
		a->by_recipient_size = size;
	}
	a->by_recipient[d->recipient] = d;
	a->deliveries++;
	portion_use(d->portion);
	return true;
}

static struct delivery *delivery_new(struct active *a, struct portion *p, uint32_t recipient,
				     const struct routed *to, struct slice original)
{
	struct delivery *d = arena_get(&p->arena, sizeof(*d));

	if (d == NULL)
		return NULL;
	*d = (struct delivery){
	    .active = a,
	    .portion = p,
	    .recipient = recipient,
	    .transport = (uint8_t)to->transport,
	    .deliver = to->deliver,
	    .user = to->user,
	    .domain = to->domain,
	    .next_hop = to->next_hop,
	    .address = to->address,
	    .original = original,
	};
	return delivery_register(d) ? d : NULL;
}

void delivery_close(struct delivery *d)
{
	struct active *a = d->active;

	if (d->job != NULL) {
		TAILQ_REMOVE(&d->job->deliveries, d, link);
		d->job->count--;
	} else if (d->search != NULL)
		sites_forget(d);
	else if (d->destination.len > 0) {
		TAILQ_REMOVE(&a->loose, d, link);
		a->loose_count--;
	}
	a->by_recipient[d->recipient] = NULL;
	a->deliveries--;
	portion_drop(a, d->portion);
}

/* Jobs */

struct slice job_key(const struct job *j, char key[DESTINATION_KEY_MAX])
{
	const struct delivery *d = TAILQ_FIRST(&j->deliveries);
	int len;

	if (j->destination.len > 0)
		return j->destination;
	len = snprintf(key, DESTINATION_KEY_MAX, "%.*s@%.*s#%u", SLICE_FMT(d->user),
		       SLICE_FMT(d->domain), d->deliver);
	return slice_make(key, (size_t)len);
}

void job_queue(struct job *j)
{
	char key[DESTINATION_KEY_MAX];
	struct active *a = j->active;

	job_move(j, JOB_QUEUED);
	schedule_job_add(manager.schedule, &j->scheduled,
			 schedule_destination(manager.schedule, j->transport, job_key(j, key)),
			 a->origin, a->first, manager_now());
	a->first = false;
	if (a->entry != NULL && stub_of(a->entry)->schedule.urged)
		schedule_job_urge(&j->scheduled, manager_now());
}

void job_suspect(struct job *j, bool alone)
{
	/* Where one agent has all, others may be beside it. */
	j->alone = alone || agent_for(j->transport, true) == agent_for(j->transport, false);
	j->suspect = true;
	job_move(j, JOB_SUSPECT);
}

static struct job *job_new(struct active *a, struct delivery *first)
{
	struct job *j = arena_get(&first->portion->arena, sizeof(*j));

	if (j == NULL)
		return NULL;
	portion_use(first->portion);
	*j = (struct job){
	    .active = a,
	    .portion = first->portion,
	    .transport = first->transport,
	    .outcome = OUTCOME_NONE,
	    .next_hop = first->next_hop,
	    .destination = first->destination,
	};
	TAILQ_INIT(&j->deliveries);
	TAILQ_INSERT_TAIL(&a->jobs, j, sibling);
	a->open++;
	return j;
}

static void job_take(struct job *j, struct delivery *d)
{
	d->job = j;
	TAILQ_INSERT_TAIL(&j->deliveries, d, link);
	j->count++;
}

/* An agent has died of the message before: not beside others. The children of system are apart. */
static void job_begin(struct job *j)
{
	if (j->active->entry->deaths > 0 && j->transport != TRANSPORT_SYSTEM)
		job_suspect(j, true);
	else
		job_queue(j);
}

void jobs_add(struct active *a, struct portion *p, uint32_t recipient, const struct routed *to,
	      struct slice original)
{
	struct delivery *d = delivery_new(a, p, recipient, to, original);
	struct job *j;

	if (d != NULL && to->transport == TRANSPORT_SMTP) {
		sites_find(d);
		return;
	}
	j = d != NULL ? job_new(a, d) : NULL;
	if (j == NULL) { /* pending still: tried again soon */
		log_error("a message has more deliveries than fit in memory: the rest waits");
		return;
	}
	job_take(j, d);
	job_begin(j);
}

static int compare(const void *one, const void *other)
{
	const struct delivery *a = *(struct delivery *const *)one;
	const struct delivery *b = *(struct delivery *const *)other;
	int order = slice_compare(a->destination, b->destination);

	if (order == 0)
		order = slice_compare(a->next_hop, b->next_hop);
	if (order == 0)
		order = a->recipient < b->recipient ? -1 : 1;
	return order;
}

static bool fits(const struct job *j, const struct delivery *d)
{
	return j != NULL && j->count < JOB_RECIPIENTS_MAX &&
	       slice_equal(j->destination, d->destination) && slice_equal(j->next_hop, d->next_hop);
}

/* Sorted, those of one job stand together: no search, whatever the message's size. */
static void group_sorted(struct active *a, struct delivery **sorted, size_t count)
{
	struct job *j = NULL, *next;

	for (size_t i = 0; i < count; i++) {
		if (!fits(j, sorted[i])) {
			next = job_new(a, sorted[i]);
			if (next == NULL) {
				delivery_close(sorted[i]); /* pending still */
				continue;
			}
			if (j != NULL)
				job_begin(j);
			j = next;
		}
		TAILQ_REMOVE(&a->loose, sorted[i], link);
		a->loose_count--;
		job_take(j, sorted[i]);
	}
	if (j != NULL)
		job_begin(j);
}

void jobs_group(struct active *a)
{
	struct delivery **sorted, *d;
	size_t count = a->loose_count, i = 0;

	if (count == 0)
		return;
	sorted = memory_get(count * sizeof(*sorted));
	TAILQ_FOREACH (d, &a->loose, link)
		sorted[i++] = d;
	qsort(sorted, count, sizeof(*sorted), compare);
	group_sorted(a, sorted, count);
	memory_free(sorted);
}

void job_back(struct job *j, enum schedule_outcome outcome)
{
	job_move(j, JOB_NOWHERE);
	if (!j->suspect)
		schedule_job_done(manager.schedule, &j->scheduled, outcome, manager_now());
}

void job_close(struct job *j)
{
	struct delivery *d;

	if (j->place == JOB_QUEUED && j->scheduled.destination != NULL)
		schedule_job_remove(manager.schedule, &j->scheduled, manager_now());
	job_move(j, JOB_NOWHERE);
	while ((d = TAILQ_FIRST(&j->deliveries)) != NULL)
		delivery_close(d);
	TAILQ_REMOVE(&j->active->jobs, j, sibling);
	j->active->open--;
	portion_drop(j->active, j->portion);
}

void job_take_back(struct job *j)
{
	struct entry *e = j->active->entry;
	struct delivery *d;

	job_back(j, OUTCOME_NONE);
	if (e != NULL)
		TAILQ_FOREACH (d, &j->deliveries, link)
			spool_result(manager.spool, e, d->recipient, RECIPIENT_PENDING, 0, NULL);
	job_close(j);
}

void jobs_withdraw(struct active *a)
{
	struct job *j, *next;
	struct delivery *d;

	feed_end(a);
	for (uint32_t i = 0; i < a->by_recipient_size; i++) {
		d = a->by_recipient[i];
		if (d != NULL && d->job == NULL)
			delivery_close(d);
	}
	TAILQ_FOREACH_SAFE (j, &a->jobs, sibling, next) {
		if (job_wants_content(j))
			job_take_back(j);
		else if (j->place != JOB_OUT)
			job_close(j);
	}
}

void jobs_recall(void)
{
	struct job *j;

	while ((j = TAILQ_FIRST(&unread)) != NULL || (j = TAILQ_FIRST(&picked)) != NULL) {
		struct active *a = j->active;

		job_take_back(j);
		active_settle(a);
	}
}
