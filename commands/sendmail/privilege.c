/*
 * Installed set-group-ID, sendmail may write into the drop directory, and that is all that the
 * group can do. It is put away before an argument is read, taken for the moment in which a file is
 * made, and given up for good before another program is started. What the caller could have left
 * for such a program to stumble on - variables, descriptors - goes first.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sysexits.h>
#include <unistd.h>
#include <bsd/unistd.h>

#include "commands/sendmail/sendmail.h"

enum { KEPT_SIZE = 256 };

static gid_t privileged;

/* Nothing but the time zone is the caller's to say: the C library reads it with care (secure
 * execution, ld.so(8)). */
static void clean_environment(void)
{
	char zone[KEPT_SIZE];
	const char *said = getenv("TZ");
	bool kept = said && slice_copy(slice_str(said), zone, sizeof(zone));
	clearenv();
	if (kept)
		setenv("TZ", zone, 1);
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
}

bool privilege_begin(struct error *e)
{
	privileged = getegid();
	signal(SIGXFSZ, SIG_IGN); /* a caller's limit of file sizes is an error like others */
	if (!getauxval(AT_SECURE))
		return true;
	clean_environment();
	closefrom(STDERR_FILENO + 1);
	/* Nobody installs it set-user-ID; whoever does gets no root out of it. */
	if (setresuid(getuid(), getuid(), getuid()) == 0 && setegid(getgid()) == 0)
		return true;
	return error_set(e, EX_OSERR, "the caller's rights can't be taken: %s", strerror(errno));
}

bool privilege_there(void)
{
	return privileged != getgid();
}

void privilege_take(void)
{
	if (setegid(privileged) < 0)
		fatal("sendmail: the group can't be taken: %s", strerror(errno));
}

void privilege_give_back(void)
{
	if (setegid(getgid()) < 0)
		fatal("sendmail: the caller's group can't be taken back: %s", strerror(errno));
}

void privilege_end(void)
{
	gid_t own = getgid();
	if (setresgid(own, own, own) < 0)
		fatal("sendmail: the group can't be given up: %s", strerror(errno));
	privileged = own;
}
