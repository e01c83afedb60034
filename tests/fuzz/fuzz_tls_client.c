/*
 * tls_client: what a server of TLS sends to our client. The stream ends with a reason, or waits for
 * more; nothing is secured by octets that know no key.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/tls_client.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TURNS = 4 };

static bool ended;
static unsigned turns_left;

static void never(struct stream *s)
{
	(void)s;
	must(false);
}

static void on_end(struct stream *s, enum stream_end reason)
{
	must(!ended && stream_fault(s) && stream_end_name(reason));
	ended = true;
}

static void on_turn(void *arg)
{
	(void)arg;
	loop_turn_again();
	if (--turns_left == 0)
		loop_stop();
}

static void turns(void)
{
	turns_left = TURNS;
	loop_run();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct stream_kind kind = {1000, 1000, never, on_end, NULL, never};
	static struct tls_client *client;
	static struct loop_turn turn;
	struct error e;
	int fds[2];
	if (!client) {
		clock_warm();
		must((client = tls_client_new(&e)));
		loop_turn_add(&turn, on_turn, NULL);
	}
	if (size < 1)
		return 0;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	struct stream *s = stream_open(fds[0], &kind, NULL);
	ended = false;
	must(tls_client_start(client, s, SLICE("mx.example.test"), SLICE("[192.0.2.1]:25")));
	turns();
	size_t first = data[0] < size - 1 ? data[0] : size - 1;
	(void)send(fds[1], data + 1, first, MSG_NOSIGNAL);
	turns();
	(void)send(fds[1], data + 1 + first, size - 1 - first, MSG_NOSIGNAL);
	turns();
	(void)shutdown(fds[1], SHUT_WR);
	turns();
	must(ended);
	stream_free(&s);
	close(fds[1]);
	return 0;
}
