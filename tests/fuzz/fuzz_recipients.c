/*
 * recipients: what sendmail is given: a message on its standard input, with the recipients in its
 * header. Lines end with CRLF, recipients are canonical addresses, each there once; the completed
 * message has the fields it needs and none that are not for others' eyes, and completed again it
 * stays as it is.
 */
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"
#include "common/mail/header.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 20, OUT_MAX = 1024 * 1024 };

static void look_at_lines(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		must(s.ptr[i] != '\n' || (i > 0 && s.ptr[i - 1] == '\r'));
		must(s.ptr[i] != '\r' || (i + 1 < s.len && s.ptr[i + 1] == '\n'));
	}
}

static void look_at_recipients(const struct recipients *r)
{
	struct slice one, other;
	size_t count = 0;
	for (size_t at = 0; recipients_next(r, &at, &one); count++) {
		char again[ADDRESS_SIZE];
		struct error e;
		must(one.len > 0 && one.len <= ADDRESS_MAX);
		must(mailbox_text(one, SLICE("example.org"), again, &e) &&
		     slice_equal(slice_str(again), one));
		size_t place = 0;
		for (size_t before = 0; recipients_next(r, &before, &other) && place < count;
		     place++)
			must(!slice_equal(one, other));
	}
	must(count == r->count && count <= MOST);
}

static void complete(struct slice message)
{
	static const char *const names[] = {"", "Me, \"Myself\"", "Me", "\xc3\xa4"};
	struct author author = {.address = SLICE("me@example.org"),
				.full_name = slice_str(names[message.len % 4]),
				.host = SLICE("mx.example.org"),
				.seconds = 1800000000,
				.unique = 7};
	struct buffer out, again;
	struct error e = {0};
	buffer_init(&out, OUT_MAX);
	buffer_init(&again, OUT_MAX);
	if (message_complete(message, &author, &out, &e)) {
		struct slice header, body;
		look_at_lines(buffer_slice(&out));
		header_split(buffer_slice(&out), &header, &body);
		must(header_count(header, SLICE("From")) > 0 &&
		     header_count(header, SLICE("Date")) > 0 &&
		     header_count(header, SLICE("Message-ID")) > 0);
		must(header_count(header, SLICE("Bcc")) == 0 &&
		     header_count(header, SLICE("Return-Path")) == 0);
		must(message_complete(buffer_slice(&out), &author, &again, &e) &&
		     slice_equal(buffer_slice(&out), buffer_slice(&again)));
	}
	buffer_free(&out);
	buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct buffer message;
	struct recipients r;
	struct error e = {0};
	if (fd < 0)
		fd = memfd_create("message", MFD_CLOEXEC);
	if (size < 1)
		return 0;
	must(ftruncate(fd, 0) == 0 && pwrite(fd, data + 1, size - 1, 0) == (ssize_t)size - 1 &&
	     lseek(fd, 0, SEEK_SET) == 0);
	buffer_init(&message, OUT_MAX);
	must(message_read(fd, data[0] & 1, &message, &e));
	look_at_lines(buffer_slice(&message));
	recipients_init(&r, SLICE("example.org"), MOST);
	if (!message_recipients(buffer_slice(&message), &r, &e))
		must(e.code == EX_DATAERR);
	look_at_recipients(&r);
	recipients_free(&r);
	recipients_init(&r, SLICE("example.org"), MOST);
	(void)recipients_add_list(&r, slice_make(data, size), &e);
	look_at_recipients(&r);
	recipients_free(&r);
	complete(buffer_slice(&message));
	buffer_free(&message);
	return 0;
}
