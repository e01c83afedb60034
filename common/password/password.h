/*
 * password: what a users table says of a password, made and checked. An entry is what Dovecot has
 * in its passwd-file, {SCHEME}HASH, or a hash of crypt(3) alone ($y$..., $6$...):
 *
 *	{SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY	base64, RFC 5803's values
 *	{CRYPT}HASH and {BLF-CRYPT} {SHA256-CRYPT} {SHA512-CRYPT}	whatever libcrypt knows
 *	{ARGON2ID} {ARGON2I} {YESCRYPT}		the same; Debian 12's has no argon2
 *	{PLAIN}PASSWORD and {CLEARTEXT}		as it is said
 *
 * Neither I/O nor logging: what is secret is wiped before a function returns. Without memory the
 *process ends by fatal(), as in memory.h: a password that can't be judged is not a wrong one.
 *Checking and making take milliseconds on purpose; whoever must not wait does it on a thread.
 */
#ifndef COMMON_PASSWORD_PASSWORD_H
#define COMMON_PASSWORD_PASSWORD_H

#include "common/base/buffer.h"
#include "common/base/slice.h"

enum {
	PASSWORD_MAX = 1024,	  /* octets of a password, as said and as prepared */
	PASSWORD_ENTRY_MAX = 512, /* octets of an entry: the longest hash of libcrypt has 384 */
	PASSWORD_ITERATIONS_MIN = 4096, /* of SCRAM: RFC 7677 4 */
	PASSWORD_ITERATIONS_MAX = 1000000,
	/* of a new entry: 11 ms of a processor with SHA instructions (README.md), which an attacker
	 * with the file pays for each guess, and a login by PLAIN once. */
	PASSWORD_ITERATIONS = 65536,
	SCRAM_KEY_SIZE = 32,
	SCRAM_SALT_MAX = 64,
	SCRAM_SALT_NEW = 16, /* octets of a new entry's salt */
};

enum password_scheme {
	PASSWORD_NONE, /* an empty entry, `*`, `!`, or a scheme that we can't check: nobody logs in
			*/
	PASSWORD_SCRAM_SHA_256,
	PASSWORD_CRYPT,
	PASSWORD_PLAIN,
};

/* What the server keeps of a SCRAM user (RFC 5802 3). */
struct scram_keys {
	uint32_t iterations;
	size_t salt_len;
	uint8_t salt[SCRAM_SALT_MAX];
	uint8_t stored[SCRAM_KEY_SIZE];
	uint8_t server[SCRAM_KEY_SIZE];
};

/* Which scheme an entry is of, and what stands behind its name. Names in any case. */
enum password_scheme password_scheme(struct slice entry, struct slice *hash);
/* The hash of a SCRAM entry; false: it is none, or a number is out of the bounds above. */
bool password_scram_read(struct slice hash, struct scram_keys *keys);

/* check.c. Does this password hold? As it is, or prepared (below) where that is another. False for
 * PASSWORD_NONE, for no or too long a password. The comparison takes the same time wherever they
 * differ. */
bool password_check(struct slice entry, struct slice password);
/* check.c. Why nobody could tell whether a password holds for this entry: a scheme or hash that
 * this libcrypt lacks, keys that can't be read. NULL: it can be checked, or it says that there is
 * no password. */
const char *password_fault(struct slice entry);
/* check.c. Is `proof` (ClientProof) one for this AuthMessage (RFC 5802 3)? Then *signature is the
 * ServerSignature. */
bool password_scram_check(const struct scram_keys *keys, struct slice auth_message,
			  const uint8_t proof[SCRAM_KEY_SIZE], uint8_t signature[SCRAM_KEY_SIZE]);

/* make.c. SASLprep (RFC 4013), a password as it is kept; out holds PASSWORD_MAX. False: it is
 * empty, too long, no UTF-8, or has a character that is not allowed. unassigned: may it have
 * characters that Unicode 3.2 does not know? Yes to check one, no to keep one (RFC 3454 7). */
bool password_prepare(struct slice password, bool unassigned, struct buffer *out);
/* make.c. Appends the entry of a password that was prepared: {SCRAM-SHA-256}..., with these
 * iterations and a random salt. False: no randomness, or out is full. */
bool password_make_scram(struct slice prepared, uint32_t iterations, struct buffer *out);
/* make.c. The same by crypt_gensalt(3) with its default cost, prefix "$y$" (yescrypt) or "$6$"
 * (sha512-crypt), as {CRYPT}$... False too when libcrypt does not know it. */
bool password_make_crypt(struct slice prepared, const char *prefix, struct buffer *out);
/* make.c. The keys of a password that was prepared; salt and iterations are given. False: it is
 * empty or too long. */
bool password_scram_derive(struct slice prepared, struct scram_keys *keys);
/* make.c. A library had no memory for it. */
_Noreturn void password_no_memory(void);

#endif
