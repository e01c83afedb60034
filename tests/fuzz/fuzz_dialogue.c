/*
 * dialogue: every record that our processes say to each other, and every settings record. What
 * decodes keeps its limits and encodes to the same octets; what is made of random fields within
 * their limits comes back the same; and the hash of each dialogue tells it from all others.
 */
#include <string.h>

#include "common/base/memory.h"
#include "common/config/settings.h"
#include "common/dialogue/accounts.h"
#include "common/dialogue/bounce.h"
#include "common/dialogue/command.h"
#include "common/dialogue/job.h"
#include "common/dialogue/keys.h"
#include "common/dialogue/login.h"
#include "common/dialogue/maildrop.h"
#include "common/dialogue/master.h"
#include "common/dialogue/pickup.h"
#include "common/dialogue/queue.h"
#include "common/dialogue/resolver.h"
#include "common/dialogue/router.h"
#include "common/dialogue/usage.h"
#include "common/dialogue/writer.h"
#include "common/wire/channel.h"
#include "common/wire/codec.h"
#include "tests/fuzz/must.h"
/* a room's files are in no library */
#include "daemons/local/errand.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dialogue *const dialogues[] = {
    &accounts_dialogue, &bounce_dialogue, &command_dialogue,
    &job_dialogue,	&keys_dialogue,	  &login_dialogue,
    &maildrop_dialogue, &master_dialogue, &maildrop_session_dialogue,
    &pickup_dialogue,	&queue_dialogue,  &resolver_dialogue,
    &router_dialogue,	&usage_dialogue,  &writer_dialogue,
};
enum {
	DIALOGUES = sizeof(dialogues) / sizeof(dialogues[0]),
	RECORDS_MAX = 512,
	OCTETS_MAX = 1024 * 1024,
};

static const struct record *records[RECORDS_MAX];
static size_t record_count;

static void record_know(const struct record *r)
{
	must(record_count < RECORDS_MAX && r->size <= CHANNEL_RECORD_MAX);
	records[record_count++] = r;
}

static void begin(void)
{
	for (size_t i = 0; i < DIALOGUES; i++) {
		for (size_t j = 0; j < dialogues[i]->count; j++) {
			const struct dialogue_message *m = &dialogues[i]->messages[j];
			must(dialogue_record(dialogues[i], m->number) == m->record);
			record_know(m->record);
		}
		must(!dialogue_record(dialogues[i], UINT16_MAX));
		for (size_t j = 0; j < i; j++)
			must(dialogue_hash(dialogues[i]) != dialogue_hash(dialogues[j]));
	}
	for (size_t i = 0; settings_records[i]; i++)
		record_know(settings_records[i]);
	record_know(&errand_record);
	record_know(&person_record);
}

static void look_at_field(const struct record_field *f, const void *value)
{
	const void *at = (const char *)value + f->offset;
	const struct slice *s = at;
	switch (f->kind) {
	case RECORD_BOOL:
		must(*(const uint8_t *)at <= 1);
		break;
	case RECORD_U32:
		must(f->limit == 0 || *(const uint32_t *)at <= f->limit);
		break;
	case RECORD_U64:
		must(f->limit == 0 || *(const uint64_t *)at <= f->limit);
		break;
	case RECORD_STRING:
		must(s->len <= f->limit && (s->len == 0 || !memchr(s->ptr, '\0', s->len)));
		break;
	case RECORD_BYTES:
	case RECORD_SECRET:
		must(s->len <= f->limit);
		break;
	case RECORD_FD:
		must(*(const int *)at == -1);
		break;
	}
}

static void decode(const struct record *r, struct slice payload)
{
	_Alignas(16) char value[CHANNEL_RECORD_MAX];
	struct buffer again;
	if (!codec_decode(r, payload, value))
		return;
	for (size_t i = 0; i < r->field_count; i++) {
		look_at_field(&r->fields[i], value);
		must(record_field_find(r, slice_str(r->fields[i].name)) == &r->fields[i]);
	}
	buffer_init(&again, OCTETS_MAX);
	must(codec_encode(r, value, &again) && slice_equal(buffer_slice(&again), payload));
	buffer_free(&again);
}

static uint64_t number_take(struct slice *in, uint64_t limit)
{
	uint64_t n = 0;
	for (int i = 0; i < 8 && in->len > 0; i++, *in = slice_from(*in, 1))
		n = n << 8 | (unsigned char)in->ptr[0];
	return limit && limit < UINT64_MAX ? n % (limit + 1) : n;
}

/* A record within its limits, or just over one of them. */
static bool field_make(const struct record_field *f, void *value, struct slice *in)
{
	void *at = (char *)value + f->offset;
	uint64_t n = number_take(in, 0);
	struct slice s = slice_sub(*in, 0, (size_t)(n % 600));
	switch (f->kind) {
	case RECORD_BOOL:
		*(bool *)at = n & 1;
		return true;
	case RECORD_U32:
		*(uint32_t *)at = (uint32_t)n;
		return f->limit == 0 || *(uint32_t *)at <= f->limit;
	case RECORD_U64:
		*(uint64_t *)at = n;
		return f->limit == 0 || n <= f->limit;
	case RECORD_STRING:
	case RECORD_BYTES:
	case RECORD_SECRET:
		*in = slice_from(*in, s.len);
		*(struct slice *)at = s;
		return s.len <= f->limit &&
		       (f->kind != RECORD_STRING || s.len == 0 || !memchr(s.ptr, '\0', s.len));
	case RECORD_FD:
		*(int *)at = -1;
		return true;
	}
	return false;
}

static void make(const struct record *r, struct slice in)
{
	_Alignas(16) char value[CHANNEL_RECORD_MAX], back[CHANNEL_RECORD_MAX];
	struct buffer out;
	bool fits = true;
	record_clear(r, value);
	for (size_t i = 0; i < r->field_count; i++)
		fits = field_make(&r->fields[i], value, &in) && fits;
	buffer_init(&out, OCTETS_MAX);
	must(codec_encode(r, value, &out) == fits);
	must(fits || out.len == 0);
	if (fits) {
		must(codec_decode(r, buffer_slice(&out), back));
		decode(r, buffer_slice(&out));
		for (size_t cut = 0; cut < out.len && cut < 64; cut++)
			must(!codec_decode(r, slice_sub(buffer_slice(&out), 0, cut), back));
	}
	buffer_free(&out);
}

/* What a user's child and its daemon give each other. */
static void bundle(struct slice in)
{
	struct slice rest = in, part;
	struct buffer again;
	buffer_init(&again, in.len + 1);
	while (bundle_next(&rest, &part)) {
		must(part.ptr >= in.ptr && part.ptr + part.len <= in.ptr + in.len);
		decode(&errand_record, part);
		must(bundle_add(&again, part));
	}
	must(slice_starts(in, buffer_slice(&again)));
	buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	if (record_count == 0)
		begin();
	if (size < 2)
		return 0;
	in = slice_from(in, 2);
	const struct record *r = records[(data[0] | data[1] << 8 & 0x7f00) % record_count];
	if (data[1] & 0x80) {
		make(r, in);
	} else {
		decode(r, in);
		bundle(in);
	}
	return 0;
}
