/*
 * Two for each service: the one that seals and the one before it.
 */
#include "daemons/keys/tickets.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/base/error.h"
#include "common/os/loop.h"

struct ticket_key {
	unsigned char name[KEYS_TICKET_NAME];
	unsigned char secret[KEYS_TICKET_SECRET];
};

static struct {
	struct ticket_key now, before;
} sets[TICKETS_SERVICES];
static bool have_before;
static struct loop_timer timer;
static void (*tell)(void);

static void draw(void *octets, size_t len)
{
	if (TEMP_FAILURE_RETRY(getrandom(octets, len, 0)) != (ssize_t)len)
		fatal("no random octets: %s", strerror(errno));
}

static void draw_all(void)
{
	for (size_t i = 0; i < TICKETS_SERVICES; i++) {
		draw(sets[i].now.name, sizeof(sets[i].now.name));
		draw(sets[i].now.secret, sizeof(sets[i].now.secret));
	}
}

static void on_timer(void *arg)
{
	(void)arg;
	tickets_turn();
}

void tickets_turn(void)
{
	for (size_t i = 0; i < TICKETS_SERVICES; i++)
		sets[i].before = sets[i].now;
	have_before = true;
	draw_all();
	loop_timer_start(&timer, TICKETS_TURN_US, on_timer, NULL);
	tell();
}

void tickets_start(void (*changed)(void))
{
	tell = changed;
	draw_all();
	loop_timer_start(&timer, TICKETS_TURN_US, on_timer, NULL);
}

struct keys_tickets tickets_of(enum tickets_service service)
{
	struct keys_tickets m = {
	    .name = slice_make(sets[service].now.name, KEYS_TICKET_NAME),
	    .secret = slice_make(sets[service].now.secret, KEYS_TICKET_SECRET),
	};
	if (have_before) {
		m.old_name = slice_make(sets[service].before.name, KEYS_TICKET_NAME);
		m.old_secret = slice_make(sets[service].before.secret, KEYS_TICKET_SECRET);
	}
	return m;
}
