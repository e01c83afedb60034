/*
 * Who may ask what. The kernel says who the peer is, at the moment it connected, before a byte is
 * read: user, first group (SO_PEERCRED) and all other groups (SO_PEERGROUPS), so no list of members
 * has to be read, and who leaves the group has no right from his next session on.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/user.h"
#include "daemons/control/control.h"

static const char admin_group[] = "stagepost-admin";

enum { GROUPS_USUAL = 64 };

static gid_t admin_gid;
static bool have_group;

static const struct {
	uint16_t message;
	uint32_t verb;
	enum right right;
} rights[] = {
    {COMMAND_MASTER_ASK, MASTER_VERB_STATUS, RIGHT_EVERYONE}, /* which processes there are */
    {COMMAND_MASTER_ASK, MASTER_VERB_STOP, RIGHT_ADMIN},
    {COMMAND_MASTER_ASK, MASTER_VERB_RELOAD, RIGHT_ADMIN},
    {COMMAND_QUEUE_ASK, QUEUE_STATUS, RIGHT_EVERYONE}, /* how many messages */
    {COMMAND_QUEUE_ASK, QUEUE_LIST, RIGHT_ADMIN},
    {COMMAND_QUEUE_ASK, QUEUE_SHOW, RIGHT_ADMIN},
    {COMMAND_QUEUE_ASK, QUEUE_HOLD, RIGHT_ADMIN},
    {COMMAND_QUEUE_ASK, QUEUE_RELEASE, RIGHT_ADMIN},
    {COMMAND_QUEUE_ASK, QUEUE_RETRY, RIGHT_ADMIN},
    {COMMAND_QUEUE_ASK, QUEUE_DELETE, RIGHT_ADMIN},
    {COMMAND_QUEUE_ASK, QUEUE_BOUNCE, RIGHT_ADMIN},
    {COMMAND_QUEUE_ASK, QUEUE_DESTINATIONS, RIGHT_ADMIN},
    {COMMAND_QUEUE_ASK, QUEUE_VERIFY, RIGHT_ADMIN},
    {COMMAND_KEYS_STATUS, 0, RIGHT_EVERYONE}, /* which certificates there are */
    {COMMAND_ROUTER_EXPLAIN, 0, RIGHT_ADMIN}, /* where an address goes */
    {COMMAND_LOGIN_CHECK, 0, RIGHT_ADMIN},    /* does a password hold? */
    {COMMAND_USAGE_ASK, USAGE_BLOCK, RIGHT_ADMIN},
    {COMMAND_USAGE_ASK, USAGE_UNBLOCK, RIGHT_ADMIN},
    {COMMAND_USAGE_ASK, USAGE_LIST, RIGHT_ADMIN}, /* what users have sent */
};

enum right rights_needed(uint16_t message, uint32_t verb)
{
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++)
		if (rights[i].message == message && rights[i].verb == verb)
			return rights[i].right;
	return RIGHT_UNKNOWN;
}

void rights_warm(void)
{
	struct error e = {0};
	have_group = user_find_group(admin_group, &admin_gid, &e);
	if (!have_group && !service_one_uid())
		log_warning("there is no group %s: only root may ask", admin_group);
}

static bool in_list(const gid_t *groups, socklen_t octets)
{
	for (size_t i = 0; i < octets / sizeof(*groups); i++)
		if (groups[i] == admin_gid)
			return true;
	return false;
}

/* A kernel without SO_PEERGROUPS (Linux before 4.13) knows the first group alone. */
static bool in_peer_groups(int fd)
{
	gid_t usual[GROUPS_USUAL], *all;
	socklen_t len = sizeof(usual);
	bool found;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, usual, &len) == 0)
		return in_list(usual, len);
	if (errno != ERANGE)
		return false;
	all = memory_get(len); /* the kernel has said how much: at most NGROUPS_MAX */
	found = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, all, &len) == 0 && in_list(all, len);
	memory_free(all);
	return found;
}

bool rights_is_admin(int fd, unsigned uid, unsigned gid)
{
	if (uid == 0 || (service_one_uid() && uid == getuid()))
		return true;
	return have_group && (gid == admin_gid || in_peer_groups(fd));
}
