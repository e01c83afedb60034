/*
 * password: entries of a users table, and passwords as they are said. What is read of SCRAM keys
 * keeps its bounds; a password holds for its own PLAIN entry when it can be one, and for no other;
 * what is prepared once stays as it is.
 */
#include <string.h>

#include "common/password/password.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hashing takes as long as it should: only what costs little is hashed. */
enum { CHEAP_ITERATIONS = 5000 };

static void entry(struct slice e, struct slice said)
{
	struct scram_keys keys;
	struct slice hash;
	uint8_t proof[SCRAM_KEY_SIZE] = {1}, signature[SCRAM_KEY_SIZE];
	enum password_scheme scheme = password_scheme(e, &hash);
	must(scheme <= PASSWORD_PLAIN);
	if (scheme == PASSWORD_SCRAM_SHA_256 && password_scram_read(hash, &keys)) {
		must(keys.iterations >= PASSWORD_ITERATIONS_MIN &&
		     keys.iterations <= PASSWORD_ITERATIONS_MAX && keys.salt_len > 0 &&
		     keys.salt_len <= SCRAM_SALT_MAX);
		must(!password_scram_check(&keys, said, proof, signature));
		if (keys.iterations <= CHEAP_ITERATIONS)
			password_check(e, said);
		must(!password_fault(e));
	}
	if (scheme == PASSWORD_NONE)
		must(!password_check(e, said));
	if (scheme == PASSWORD_PLAIN)
		must(!password_check(e, said) || said.len > 0);
}

static void plain(struct slice said)
{
	struct buffer e, once, twice;
	buffer_init(&e, PASSWORD_ENTRY_MAX);
	buffer_init(&once, PASSWORD_MAX);
	buffer_init(&twice, PASSWORD_MAX);
	if (password_prepare(said, true, &once)) {
		must(once.len > 0 && !memchr(once.data, '\0', once.len));
		if (password_prepare(buffer_slice(&once), true, &twice))
			must(slice_equal(buffer_slice(&once), buffer_slice(&twice)));
		if (buffer_append(&e, SLICE("{PLAIN}")) && buffer_append(&e, buffer_slice(&once))) {
			must(password_check(buffer_slice(&e), said));
			if (buffer_byte(&e, 'x'))
				must(!password_check(buffer_slice(&e), said));
		}
	}
	buffer_free(&e);
	buffer_free(&once);
	buffer_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size), e, said;
	slice_split(in, '\n', &e, &said);
	entry(e, said);
	plain(said);
	return 0;
}
