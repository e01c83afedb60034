/*
 * One socket for each listen statement, opened in the order of the file. After a master that was
 * killed its smtpd may still be finishing a commit with the port in its hands: who is started at
 * once waits for that a moment.
 */
#include "master/listeners.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "common/net/listen.h"

enum { PORT_PATIENCE_MS = 2000, PORT_LOOK_MS = 50 };

struct listener {
	char *address, *kind;
	int fd;
};

static struct listener listeners[LISTENERS_MAX];
static size_t listener_count;

static bool open_one(void *arg, struct slice address, struct slice kind)
{
	struct error *e = arg;
	struct listener *l = &listeners[listener_count];
	struct net_address a;
	if (listener_count == LISTENERS_MAX)
		return error_set(e, EX_CONFIG, "listen: more than %d sockets", LISTENERS_MAX);
	if (!net_address_parse(address, &a))
		return error_set(e, EX_CONFIG, "listen: %.*s is no address", SLICE_FMT(address));
	l->fd = listen_open(&a, 0666, e);
	for (int ms = 0; l->fd < 0 && e->code == EADDRINUSE && ms < PORT_PATIENCE_MS;
	     ms += PORT_LOOK_MS) {
		(void)poll(NULL, 0, PORT_LOOK_MS);
		l->fd = listen_open(&a, 0666, e);
	}
	if (l->fd < 0) {
		e->code = EXIT_FAILURE;
		return error_prefix(e, "listen");
	}
	l->address = memory_string(address);
	l->kind = memory_string(kind);
	listener_count++;
	return true;
}

bool listeners_open(const struct settings *s, struct error *e)
{
	return settings_listeners(s, open_one, e);
}

void listeners_each(listeners_call *call, void *arg)
{
	for (size_t i = 0; i < listener_count; i++)
		call(arg, listeners[i].address, listeners[i].kind, listeners[i].fd);
}
