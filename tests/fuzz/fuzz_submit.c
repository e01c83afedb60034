/*
 * submit: what a server may say to sendmail. Whatever it is: the talk ends, with a code of
 * <sysexits.h> when it did not succeed, and what was said are lines of which no recipient began
 * another.
 */
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"
#include "common/os/clock.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recipients r;
	struct error e = {0};
	char said[64 * 1024];
	bool some, good;
	int ends[2];
	if (size < 1 || size > 100000)
		return 0;
	clock_warm();
	recipients_init(&r, SLICE("example.org"), 10);
	must(recipients_add_list(&r, SLICE("a@b.example, bob, \xc3\xa4@c.example"), &e));
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	must(send(ends[0], data + 1, size - 1, MSG_NOSIGNAL) == (ssize_t)size - 1);
	shutdown(ends[0], SHUT_WR);
	struct submission s = {.host = SLICE("client.example.org"),
			       .sender = data[0] & 1 ? SLICE_EMPTY : SLICE("me@example.org"),
			       .recipients = &r,
			       .content = data[0] & 2 ? SLICE("A: b\r\n\r\n.\r\n..\xe4\r\n")
						      : SLICE("Subject: x\r\n\r\nx\r\n"),
			       .utf8 = data[0] & 4,
			       .notify = data[0] & 8 ? "NEVER" : NULL,
			       .ret = data[0] & 8 ? "HDRS" : NULL,
			       .envid = data[0] & 8 ? "x" : NULL};
	e = (struct error){0};
	good = submit_talk(ends[1], &s, &some, &e);
	must(good || (e.code >= EX_USAGE && e.code <= EX_CONFIG && e.text[0] != '\0'));
	must(!good || !some);
	close(ends[1]);
	ssize_t n = recv(ends[0], said, sizeof(said), MSG_DONTWAIT | MSG_WAITALL);
	struct slice all = slice_make(said, n > 0 ? (size_t)n : 0), line;
	for (unsigned lines = 0; all.len > 0; lines++) {
		size_t lf = slice_find(all, '\n');
		must(lf > 0 && lf < all.len && all.ptr[lf - 1] == '\r' && lines < 20);
		line = slice_sub(all, 0, lf + 1);
		all = slice_from(all, lf + 1);
		must(slice_find(line, '\r') == lf - 1);
	}
	close(ends[0]);
	recipients_free(&r);
	return 0;
}
