/*
 * queue_id: the 59 bits of an id, most significant first, as 12 digits to the base 31, which has
 * room for 59.4 bits: so every id has one text. Vowels are left out so that no id spells a word.
 */
#include "common/base/error.h"
#include "common/base/queue_id.h"

enum { BASE = 31, NO_DIGIT = 255 };

static const char digits[BASE + 1] = "0123456789BCDFGHJKLMNPQRSTVWXYZ";

static const uint64_t ID_END =
    UINT64_C(1) << (QUEUE_ID_SPOOL_BITS + QUEUE_ID_INCARNATION_BITS + QUEUE_ID_COUNTER_BITS);

uint64_t queue_id_make(uint32_t spool, uint32_t incarnation, uint32_t counter)
{
	if (spool >> QUEUE_ID_SPOOL_BITS || incarnation >> QUEUE_ID_INCARNATION_BITS ||
	    counter >> QUEUE_ID_COUNTER_BITS)
		panic("queue_id: spool %u, incarnation %u or counter %u is too large", spool,
		      incarnation, counter);
	uint64_t id = spool;
	id = id << QUEUE_ID_INCARNATION_BITS | incarnation;
	id = id << QUEUE_ID_COUNTER_BITS | counter;
	if (id == 0)
		panic("queue_id: 0 is no id");
	return id;
}

bool queue_id_possible(uint64_t id)
{
	return id > 0 && id < ID_END;
}

void queue_id_text(uint64_t id, char text[QUEUE_ID_LEN + 1])
{
	if (id >= ID_END)
		panic("queue_id: %llu is no id", (unsigned long long)id);
	for (size_t i = QUEUE_ID_LEN; i-- > 0; id /= BASE)
		text[i] = digits[id % BASE];
	text[QUEUE_ID_LEN] = '\0';
}

static unsigned digit_of(char c)
{
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 0x20);
	const char *at = memchr(digits, c, BASE);
	return at ? (unsigned)(at - digits) : NO_DIGIT;
}

bool queue_id_parse(struct slice s, uint64_t *id)
{
	uint64_t n = 0;
	if (s.len != QUEUE_ID_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = digit_of(s.ptr[i]);
		if (digit == NO_DIGIT)
			return false;
		n = n * BASE + digit; /* 31^12 is under 2^60 */
	}
	if (n == 0 || n >= ID_END)
		return false;
	*id = n;
	return true;
}
