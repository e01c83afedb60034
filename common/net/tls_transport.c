/*
 * What client and server share: how the octets of an SSL object get on and off the descriptor, by a
 * BIO of our own, because OpenSSL's writes without MSG_NOSIGNAL.
 */
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "common/net/tls_parts.h"

enum {
	/* What one call may read, a whole record and its overhead: OpenSSL goes on as long as
	 * something comes that is no data (key updates, alerts, parts of a handshake), and would
	 * keep all other connections waiting. */
	ALLOWANCE = SSL3_RT_MAX_ENCRYPTED_LENGTH + SSL3_RT_HEADER_LENGTH,
	/* Of OpenSSL's state machine, in one connection: a handshake takes about 20, a key update
	 * (RFC 8446 4.6.3) 2 to 5. That costs the server more than the client, and is due every
	 * 2^24 records. */
	STEPS_MAX = 1000,
};

/* The descriptor */

/* What the peer does not wait for leaves with what follows, which is one wake-up of the peer less:
 * the last words with close_notify, the tickets of TLS 1.3 with the first answer. When nothing
 * follows the kernel sends it after 200 ms. */
static bool more_follows(const struct tls_side *side)
{
	return side->last || (SSL_get_state(side->ssl) == TLS_ST_SW_SESSION_TICKET &&
			      SSL_version(side->ssl) == TLS1_3_VERSION);
}

static int bio_write(BIO *bio, const char *data, int len)
{
	struct tls_side *side = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (side->mute) {
		errno = EPIPE;
		return -1;
	}
	ssize_t n = send(side->fd, data, (size_t)len,
			 MSG_DONTWAIT | MSG_NOSIGNAL | (more_follows(side) ? MSG_MORE : 0));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static int bio_read(BIO *bio, char *data, int len)
{
	struct tls_side *side = BIO_get_data(bio);
	size_t most = (size_t)len < side->allowance ? (size_t)len : side->allowance;
	BIO_clear_retry_flags(bio);
	if (side->steps > STEPS_MAX) {
		errno = EPROTO;
		return -1;
	}
	if (most == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	ssize_t n = recv(side->fd, data, most, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	side->allowance -= n > 0 ? (size_t)n : 0;
	return (int)n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO *bio_new(struct tls_side *side)
{
	static BIO_METHOD *method;
	if (!method) {
		BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
		if (!m || !BIO_meth_set_write(m, bio_write) || !BIO_meth_set_read(m, bio_read) ||
		    !BIO_meth_set_ctrl(m, bio_control))
			fatal("TLS: no memory");
		method = m;
	}
	BIO *bio = BIO_new(method);
	if (bio) {
		BIO_set_data(bio, side);
		BIO_set_init(bio, 1);
	}
	return bio;
}

static void on_step(const SSL *ssl, int where, int result)
{
	struct tls_side *side = SSL_get_app_data(ssl);
	(void)result;
	if (where & SSL_CB_LOOP)
		side->steps++;
}

bool tls_side_init(struct tls_side *side, SSL_CTX *context, int fd)
{
	side->fd = fd;
	side->ssl = SSL_new(context);
	BIO *bio = side->ssl ? bio_new(side) : NULL;
	if (!bio)
		return false;
	SSL_set_bio(side->ssl, bio, bio);
	SSL_set_app_data(side->ssl, side);
	SSL_set_info_callback(side->ssl, on_step);
	return true;
}

void tls_side_free(struct tls_side *side)
{
	/* else OpenSSL takes the session for one that was attacked, and no longer resumes it */
	if (side->ssl)
		SSL_set_shutdown(side->ssl, SSL_SENT_SHUTDOWN);
	SSL_free(side->ssl);
	side->ssl = NULL;
}

/* The transport */

static void begin(struct tls_side *side)
{
	side->allowance = ALLOWANCE;
	errno = 0;
	ERR_clear_error();
}

static void note_fault(struct tls_side *side)
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	if (side->steps > STEPS_MAX)
		reason = "too many handshake messages";
	side->fault = reason ? reason : errno ? strerror(errno) : "the connection was closed";
	ERR_clear_error();
}

/* -1 with errno, or 0 at the end, for what SSL_get_error() says. */
static ssize_t failed(struct tls_side *side, int result)
{
	switch (SSL_get_error(side->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		note_fault(side);
		errno = EPROTO;
		return -1;
	}
}

ssize_t tls_side_read(void *state, int fd, void *data, size_t len)
{
	struct tls_side *side = state;
	size_t got;
	(void)fd;
	begin(side);
	int result = SSL_read_ex(side->ssl, data, len, &got);
	if (result > 0)
		return (ssize_t)got;
	ssize_t why = failed(side, result);
	if (why < 0 && errno == EAGAIN && SSL_want_write(side->ssl))
		errno = EBUSY; /* an answer of TLS itself has to leave first */
	return why;
}

ssize_t tls_side_write(void *state, int fd, struct slice octets, bool last)
{
	struct tls_side *side = state;
	size_t sent = 0, n;
	(void)fd;
	begin(side);
	side->last = last;
	while (sent < octets.len) { /* a record at a time */
		int result = SSL_write_ex(side->ssl, octets.ptr + sent, octets.len - sent, &n);
		if (result > 0) {
			sent += n;
			continue;
		}
		ssize_t why = failed(side, result);
		if (sent == 0 && why == 0)
			errno = EPIPE;
		return sent > 0 ? (ssize_t)sent : -1;
	}
	return (ssize_t)sent;
}

void tls_side_end(void *state, int fd, bool closes)
{
	struct tls_side *side = state;
	ERR_clear_error();
	side->last = false;
	(void)SSL_shutdown(side->ssl); /* close_notify; nobody waits for the peer's */
	ERR_clear_error();
	if (!closes)
		(void)shutdown(fd, SHUT_WR);
}

enum transport_step tls_side_handshake(void *state, int fd)
{
	struct tls_side *side = state;
	(void)fd;
	begin(side);
	int result = SSL_do_handshake(side->ssl);
	if (result == 1)
		return TRANSPORT_DONE;
	switch (SSL_get_error(side->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TRANSPORT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TRANSPORT_WRITE;
	case SSL_ERROR_WANT_ASYNC:
	case SSL_ERROR_WANT_ASYNC_JOB:
		return TRANSPORT_WAIT;
	default:
		note_fault(side);
		return TRANSPORT_FAILED;
	}
}

bool tls_side_pending(void *state)
{
	const struct tls_side *side = state;
	return SSL_pending(side->ssl) > 0;
}

const char *tls_side_fault(void *state)
{
	const struct tls_side *side = state;
	return side->fault ? side->fault : "";
}
