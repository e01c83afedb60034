/*
 * mailboxes: the directories that mail is delivered into, and whose they are.
 */
#ifndef MASTER_MAILBOXES_H
#define MASTER_MAILBOXES_H

#include "common/base/error.h"
#include "common/config/config.h"
#include "master/places.h"

struct mailboxes;

/* Opens the base directory of every deliver statement, and makes what is missing. With one_uid all
 * is ours; else `owner` is who owns them, or `nobody` when there is no deliver statement. code 71
 * or 78. */
bool mailboxes_open(const struct config *config, bool one_uid, const struct identity *nobody,
		    struct mailboxes **m, struct error *e);
void mailboxes_free(struct mailboxes **m);
struct identity mailboxes_owner(const struct mailboxes *m);

typedef void mailboxes_call(void *arg, const char *path, int fd);
void mailboxes_each(const struct mailboxes *m, mailboxes_call *call, void *arg);
/* The same owner and the same directories, not only by their names: whoever has the one needs
 * nothing of the other. */
bool mailboxes_same(const struct mailboxes *a, const struct mailboxes *b);

#endif
