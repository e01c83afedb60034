/*
 * password: one question to PAM, in a child that has nothing but a socket. It runs as root, since
 * PAM reads shadow(5) itself only then, but with no capability beyond telling the kernel's log of
 * events, and in a sandbox: once PAM's modules are loaded it may read files and call servers, and
 * neither write a file nor execute a program.
 */
#ifndef DAEMONS_ACCOUNTS_SYSTEM_PASSWORD_H
#define DAEMONS_ACCOUNTS_SYSTEM_PASSWORD_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/base/slice.h"

/* In the fork server: builds the sandbox. */
bool password_begin(struct error *e);
/* request: an encoded struct accounts_password; it is wiped. Sends one encoded struct
 * accounts_answer to fd: known, with numbers and home; missing, when it does not hold; trouble. */
void password_child(struct slice request, int fd);

#endif
