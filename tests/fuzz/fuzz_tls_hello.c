/*
 * What a stranger sends to a server of TLS, up to the signature: the stream ends, or waits for it.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/tls_server.h"
#include "common/os/loop.h"

enum { TURNS = 4 }; /* a start, the octets, their end */

/* No more than the public half is needed. */
static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
			  "MIIBhzCCAS2gAwIBAgIUeiFjlgt09MBcQ0YOdcYMfs5E4cEwCgYIKoZIzj0EAwIw\n"
			  "GTEXMBUGA1UEAwwObXguZXhhbXBsZS5vcmcwHhcNMjYxMTI0MTU1NDE1WhcNMzYx\n"
			  "MTIxMTU1NDE1WjAZMRcwFQYDVQQDDA5teC5leGFtcGxlLm9yZzBZMBMGByqGSM49\n"
			  "AgEGCCqGSM49AwEHA0IABLOsZNW2i4c51xqlD+XUuKBuLzHatIySz4AZ4/LBGi2Z\n"
			  "kzVkaxF55m7NASSFKlU+2n3NnoROb4MOftyin+S2L6WjUzBRMB0GA1UdDgQWBBSO\n"
			  "8VIFNBGal/FcQ8SfZ6OtBtHqajAfBgNVHSMEGDAWgBSO8VIFNBGal/FcQ8SfZ6Ot\n"
			  "BtHqajAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQC4A0ygHDay\n"
			  "VPL8y0IB4r9otzHTBvzsl+P3aEJGEEJMWAIgEsFKaHhEOY+on2k2YtNzBsfTGe2/\n"
			  "UxKJMCztVy+me0o=\n"
			  "-----END CERTIFICATE-----\n";

static struct tls_server *server;
static struct tls_wait *waiting;
static bool ended;
static unsigned turns_left;

static bool sign(void *arg, const unsigned char key[TLS_KEY_NAME_SIZE], enum tls_purpose purpose,
		 unsigned scheme, struct slice text, struct tls_wait *wait)
{
	(void)arg, (void)key;
	if (waiting || (purpose != TLS_SIGN_12 && purpose != TLS_SIGN_13) || scheme == 0 ||
	    text.len == 0 || text.len > 512)
		abort();
	waiting = wait;
	return true;
}

static void forget(void *arg, struct tls_wait *wait)
{
	(void)arg;
	if (waiting != wait)
		abort();
	waiting = NULL;
}

/* Nothing is secured without a signature, but a session that is resumed: there are no tickets. */
static void never(struct stream *s)
{
	(void)s;
	abort();
}

static void on_end(struct stream *s, enum stream_end reason)
{
	(void)reason;
	if (!stream_fault(s))
		abort();
	ended = true;
}

static void on_turn(void *arg)
{
	(void)arg;
	loop_turn_again();
	if (--turns_left == 0)
		loop_stop();
}

static void begin(void)
{
	static const struct tls_signer signer = {sign, forget, NULL};
	static struct loop_turn turn;
	struct error e;
	struct tls_certificate *c = tls_certificate_read(slice_str(pem), &e);
	server = tls_server_new("smtpd", &signer, &e);
	if (!c || !server || !tls_server_use(server, 12, &c, 1, &e))
		abort();
	tls_certificate_free(&c);
	loop_turn_add(&turn, on_turn, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct stream_kind kind = {1000, 1000, never, on_end, NULL, never};
	int fds[2];
	if (!server)
		begin();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	struct stream *s = stream_open(fds[0], &kind, NULL);
	ended = false;
	if (!tls_server_start(server, s))
		abort();
	(void)send(fds[1], data, size, MSG_NOSIGNAL);
	turns_left = TURNS;
	loop_run();
	(void)shutdown(fds[1], SHUT_WR);
	turns_left = TURNS;
	loop_run();
	if (!ended && !waiting)
		abort();
	stream_free(&s);
	if (waiting)
		abort();
	close(fds[1]);
	return 0;
}
