/*
 * One record of a set of settings, from the master's octets to the daemon's struct. A daemon sees
 * only the records that its table lists, whatever is sent.
 */
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/settings.h"
#include "common/service/parts.h"
#include "common/wire/codec.h"

static const struct record *find_record(const struct record *const *records, struct slice name)
{
	for (; records && *records; records++)
		if (slice_equal(name, slice_str((*records)->name)))
			return *records;
	return NULL;
}

bool setting_decode(const struct service *s, const struct master_setting *m)
{
	const struct record *record = find_record(s->settings, m->record);
	void *value;
	bool good;
	if (!record)
		return find_record(settings_records, m->record) != NULL;
	value = memory_zero(1, record->size);
	good = codec_decode(record, m->value, value);
	if (good && s->setting)
		s->setting(record, value);
	memory_free(value);
	return good;
}
