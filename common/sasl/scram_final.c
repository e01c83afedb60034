/*
 * scram_final: the client's last message, c= r= ... p= (RFC 5802 7), and the server's. Whoever
 * binds to a channel proves that there is nobody between: c= repeats what the first message said of
 * it, with the binding as the client sees it.
 */
#include "common/base/encode.h"
#include "common/sasl/parts.h"

/* Is that base64 of these octets? None of them is a secret. */
static bool encodes(struct slice text, struct slice octets)
{
	struct buffer decoded;
	buffer_init(&decoded, SASL_GS2_MAX + SASL_BINDING_MAX);
	bool same = base64_decode(text, &decoded) && slice_equal(buffer_slice(&decoded), octets);
	buffer_free(&decoded);
	return same;
}

static bool take_proof(struct sasl_session *s, struct slice text)
{
	struct buffer proof;
	buffer_init(&proof, SASL_PROOF_SIZE);
	bool fine = base64_decode(text, &proof) && proof.len == SASL_PROOF_SIZE;
	if (fine)
		memcpy(s->proof, buffer_slice(&proof).ptr, SASL_PROOF_SIZE);
	buffer_free(&proof);
	return fine;
}

/* AuthMessage is complete with what stands before the proof. */
static bool complete(struct sasl_session *s, struct slice without_proof)
{
	if (s->message_len + 1 + without_proof.len > sizeof(s->message))
		return false;
	s->message[s->message_len++] = ',';
	memcpy(s->message + s->message_len, without_proof.ptr, without_proof.len);
	s->message_len += without_proof.len;
	return true;
}

enum sasl_step scram_final(struct sasl_session *s, struct slice text)
{
	struct slice binding, nonce, extension, rest;
	char first, second, other;
	size_t last = slice_find_last(text, ','); /* behind it: the proof */
	struct slice without = slice_sub(text, 0, last), proof = slice_from(text, last + 1);
	rest = without;
	if (!slice_starts(proof, SLICE("p=")) || !scram_attribute(&rest, &first, &binding) ||
	    first != 'c' || !scram_attribute(&rest, &second, &nonce) || second != 'r')
		return sasl_fail(s, SASL_MALFORMED, "no last message of SCRAM");
	while (rest.len > 0)
		if (!scram_attribute(&rest, &other, &extension))
			return sasl_fail(s, SASL_MALFORMED, "no last message of SCRAM");
	if (!slice_equal(nonce, slice_make(s->message + s->nonces_at, s->nonces_len)))
		return sasl_fail(s, SASL_DENIED, "another nonce than ours");
	if (!encodes(binding, slice_make(s->bound, s->bound_len)))
		return sasl_fail(s, SASL_DENIED, "another channel than ours");
	if (!take_proof(s, slice_from(proof, 2)))
		return sasl_fail(s, SASL_MALFORMED, "no proof of SHA-256");
	if (!complete(s, without))
		return sasl_fail(s, SASL_MALFORMED, "the last message is too long");
	s->wait = WAIT_SIGNATURE;
	return SASL_ASK_PROOF;
}

/* server-final-message. The client answers it with nothing (RFC 4954 4, RFC 5034 4). */
enum sasl_step sasl_signature(struct sasl_session *s, struct slice signature)
{
	struct buffer out;
	enum sasl_step step;
	if (s->wait != WAIT_SIGNATURE || signature.len != SASL_PROOF_SIZE)
		return sasl_fail(s, SASL_TROUBLE, "no signature");
	buffer_init(&out, SASL_AUTH_MESSAGE_MAX);
	step = buffer_append(&out, SLICE("v=")) && base64_encode(signature, &out)
		   ? sasl_challenge_is(s, buffer_slice(&out), WAIT_EMPTY)
		   : sasl_fail(s, SASL_TROUBLE, "no signature");
	buffer_free(&out);
	return step;
}
