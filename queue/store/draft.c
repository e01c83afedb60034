/*
 * draft: one message on its way in. Up to CONTENT_INLINE_MAX its content stays in memory and is
 * encoded once, into the batch. What is larger, or comes when memory is short, goes to a file of
 * its own piece by piece; its record then waits, encoded but for the file's digest, for the file's
 * sync.
 */
#include <errno.h>

#include "common/base/memory.h"
#include "queue/store/writer_private.h"

struct draft *draft_new(struct writer *w, uint64_t id)
{
	struct draft *d = memory_zero(1, sizeof(*d));
	d->w = w;
	d->id = id;
	buffer_init(&d->held, WRITER_MEMORY_MAX);
	buffer_init(&d->record, RECORD_LENGTH_MAX);
	w->drafts++;
	return d;
}

void draft_destroy(struct draft *d)
{
	spill_abandon(d);
	d->w->memory -= d->held.len + d->record.len;
	buffer_free(&d->held);
	buffer_free(&d->record);
	memory_free(d);
}

void draft_free(struct draft **dp)
{
	if (!*dp)
		return;
	(*dp)->w->drafts--;
	draft_destroy(*dp);
	*dp = NULL;
}

static void resume(struct draft *d)
{
	void (*call)(void *arg) = d->resume;
	d->resume = NULL;
	if (call)
		call(d->resume_arg);
}

void draft_fail(struct draft *d, int err)
{
	if (d->committing) {
		writer_answer_later(d->w, d->done, d->arg, err);
		draft_destroy(d);
		return;
	}
	spill_abandon(d);
	d->w->memory -= d->held.len;
	buffer_free(&d->held);
	d->err = err;
	resume(d);
}

static size_t under_way(const struct draft *d)
{
	return d->held.len + (d->file ? d->file->under_way : 0);
}

void draft_go_on(struct draft *d)
{
	if (d->file && under_way(d) <= DRAFT_MEMORY_MAX / 2)
		resume(d);
}

static enum draft_result failed(const struct draft *d)
{
	return d->err == ENOSPC || d->err == EDQUOT ? DRAFT_FULL : DRAFT_FAILED;
}

enum draft_result draft_body(struct draft *d, struct slice octets, void (*call)(void *arg),
			     void *arg)
{
	struct writer *w = d->w;
	if (octets.len == 0)
		return d->err ? failed(d) : DRAFT_OK;
	d->resume = NULL; /* who gives more waits no longer */
	if (d->err)
		return failed(d);
	if (!buffer_append(&d->held, octets)) {
		draft_fail(d, ENOSPC);
		return DRAFT_FULL;
	}
	d->size += octets.len;
	w->memory += octets.len;
	bool short_of_memory = w->memory > WRITER_MEMORY_MAX;
	if (!d->in_files && (d->size > CONTENT_INLINE_MAX || short_of_memory)) {
		int err = spill_want(d);
		if (err)
			draft_fail(d, err);
	}
	if (d->err)
		return failed(d);
	spill_feed(d, short_of_memory);
	if (under_way(d) <= DRAFT_MEMORY_MAX && !short_of_memory)
		return DRAFT_OK;
	d->resume = call;
	d->resume_arg = arg;
	return DRAFT_WAIT;
}

uint64_t draft_body_size(const struct draft *d)
{
	return d->size;
}

/* The record but for its file, and the header block behind the body. */
static int begin_large_commit(struct draft *d, struct stored_message *m)
{
	m->file = (struct stored_file){.number = 1}; /* record_set_file() puts the right one */
	m->body = SLICE_EMPTY;
	if (!record_encode(m, &d->record))
		return E2BIG;
	d->w->memory += d->record.len;
	if (!buffer_append(&d->held, m->header))
		return ENOSPC;
	d->w->memory += m->header.len;
	d->header_length = m->header.len;
	int err = d->in_files ? 0 : spill_want(d);
	if (err)
		return err;
	d->committing = true;
	if (d->file)
		spill_finish(d);
	return 0;
}

void draft_commit(struct draft **dp, const struct stored_message *given, writer_done *done,
		  void *arg)
{
	struct draft *d = *dp;
	struct writer *w = d->w;
	struct stored_message m = *given;
	*dp = NULL;
	w->drafts--;
	w->pending++;
	d->resume = NULL;
	d->done = done;
	d->arg = arg;
	m.id = d->id;
	m.file.number = 0;
	m.body = buffer_slice(&d->held);
	int err = d->err;
	/* The manager that comes believes no id but those of its own leases. */
	if (!err && (w->lost || d->id < w->ids_dead))
		err = ECONNRESET;
	if (!err && !w->lease && w->full)
		err = ENOSPC;
	if (!err && m.header.len > HEADER_BLOCK_MAX)
		err = E2BIG;
	bool large = d->in_files || d->size + m.header.len > CONTENT_INLINE_MAX;
	if (!err)
		err = large ? begin_large_commit(d, &m) : commit_add(w, &m, done, arg);
	if (err)
		writer_answer_later(w, done, arg, err);
	if (err || !large)
		draft_destroy(d);
}
