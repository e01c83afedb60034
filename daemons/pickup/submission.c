/*
 * Submission as pickup sees it: processes of which each takes sessions, and whom we are to it.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "daemons/pickup/pickup.h"

enum { PEERS_MAX = 64 };

static struct channel *peers[PEERS_MAX]; /* the processes of submission that are there */
static unsigned peer_count, peer_next;
static char hostname[HOST_NAME_MAX_OCTETS + 1], postmaster[ADDRESS_MAX_OCTETS + 1];

const char *pickup_hostname(void)
{
	return hostname;
}

const char *pickup_postmaster(void)
{
	return postmaster;
}

bool submission_reachable(void)
{
	return peer_count > 0;
}

/* In turn to each of them. */
int submission_connect(uint32_t uid)
{
	int fds[2];
	struct pickup_session m = {.uid = uid};
	bool sent;
	if (peer_count == 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
		log_error("no sockets for a session: %s", strerror(errno));
		return -1;
	}
	m.fd = fds[1];
	sent = channel_send(peers[peer_next++ % peer_count], PICKUP_SESSION, &m);
	close(fds[1]);
	if (sent)
		return fds[0];
	close(fds[0]);
	return -1;
}

void submission_up(struct channel *c, unsigned instance)
{
	(void)instance;
	if (peer_count == PEERS_MAX)
		panic("pickup: more than %d processes of submission", PEERS_MAX);
	peers[peer_count++] = c;
	letters_go();
}

void submission_down(struct channel *c)
{
	for (unsigned i = 0; i < peer_count; i++)
		if (peers[i] == c)
			peers[i] = peers[--peer_count];
}

void submission_setting(const struct record *record, const void *value)
{
	const struct settings_server *server = value;
	if (record != &settings_server_record)
		return;
	slice_copy(server->hostname, hostname, sizeof(hostname));
	slice_copy(server->postmaster, postmaster, sizeof(postmaster));
}
