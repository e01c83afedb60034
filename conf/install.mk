# make install, make uninstall: programs, manuals, the unit and its users and directories. DESTDIR is
# put before every path, for packages. What an administrator has written is never overwritten.

SBIN := $(PREFIX)/sbin
BIN := $(PREFIX)/bin
LIBEXEC := $(PREFIX)/lib/stagepost
MAN := $(PREFIX)/share/man
DOC := $(PREFIX)/share/doc/stagepost
ETC := /etc/stagepost
PAM := /etc/pam.d
UNIT := $(PREFIX)/lib/systemd/system/stagepost.service
SYSUSERS := $(PREFIX)/lib/sysusers.d/stagepost.conf
TMPFILES := $(PREFIX)/lib/tmpfiles.d/stagepost.conf

MAN_PAGES := $(wildcard master/*.[158] daemons/*/*.[158] queue/*/*.[158] commands/*/*.[158] conf/*.[158])
man_path = $(MAN)/man$(patsubst .%,%,$(suffix $(1)))/$(notdir $(1))
COMMANDS := $(patsubst commands/%,$B/bin/%,$(COMMAND_DIRS))
DAEMONS := $(foreach d,$(DAEMON_DIRS),$B/libexec/$(call program_name,$(d)))
INSTALL ?= install

# A sendmail that belongs to a Debian package stays, and the installation says so.
SENDMAIL := $(filter %/sendmail,$(COMMANDS))
SENDMAIL_OWNER = $(if $(DESTDIR),,$(shell dpkg -S $(SBIN)/sendmail 2>/dev/null | cut -d: -f1))
SENDMAIL_INSTALL = $(if $(SENDMAIL),$(if $(SENDMAIL_OWNER),\
	@echo "$(SBIN)/sendmail belongs to the package $(SENDMAIL_OWNER) and stays",\
	$(INSTALL) -m 755 $(SENDMAIL) $(DESTDIR)$(SBIN)/ && $(SENDMAIL_GROUP) && $(INSTALL) -d $(DESTDIR)$(BIN) $(DESTDIR)$(PREFIX)/lib && \
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/lib/sendmail && \
	ln -sf ../sbin/sendmail $(DESTDIR)$(BIN)/mailq && ln -sf ../sbin/sendmail $(DESTDIR)$(BIN)/newaliases))
# Set-group-ID, when the group is there already: INSTALL says how to do it later, and a package does it by
# dpkg-statoverride.
DROP_GROUP := stagepost-drop
SENDMAIL_GROUP = { { getent group $(DROP_GROUP) >/dev/null && chgrp $(DROP_GROUP) $(DESTDIR)$(SBIN)/sendmail && \
	chmod 2555 $(DESTDIR)$(SBIN)/sendmail; } || echo "$(SBIN)/sendmail can keep mail while the server is down only\
	for root: make the system users, then chgrp $(DROP_GROUP) and chmod 2555 $(SBIN)/sendmail"; }
SENDMAIL_UNINSTALL = $(if $(SENDMAIL),$(if $(SENDMAIL_OWNER),,rm -f $(DESTDIR)$(SBIN)/sendmail \
	$(DESTDIR)$(PREFIX)/lib/sendmail $(DESTDIR)$(BIN)/mailq $(DESTDIR)$(BIN)/newaliases))

install: all
	$(INSTALL) -d $(DESTDIR)$(SBIN) $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(ETC) $(DESTDIR)$(DOC)
	$(INSTALL) -m 755 $(DAEMONS) $(DESTDIR)$(LIBEXEC)/
	$(INSTALL) -m 755 $(filter-out $(SENDMAIL),$(COMMANDS)) $(DESTDIR)$(SBIN)/
	$(SENDMAIL_INSTALL)
	$(foreach m,$(MAN_PAGES),$(INSTALL) -D -m 644 $(m) $(DESTDIR)$(call man_path,$(m))$(newline))
	$(INSTALL) -m 644 README.md INSTALL ARCHITECTURE.md LICENSE $(DESTDIR)$(DOC)/
	$(INSTALL) -d $(DESTDIR)$(DOC)/dovecot
	$(INSTALL) -m 644 conf/dovecot/imap.conf conf/dovecot/auth.conf $(DESTDIR)$(DOC)/dovecot/
	$(INSTALL) -D -m 644 conf/stagepost.service $(DESTDIR)$(UNIT)
	sed -i 's,/usr/lib/stagepost/,$(LIBEXEC)/,; s,/usr/sbin/,$(SBIN)/,' $(DESTDIR)$(UNIT)
	$(INSTALL) -D -m 644 conf/sysusers.conf $(DESTDIR)$(SYSUSERS)
	$(INSTALL) -D -m 644 conf/tmpfiles.conf $(DESTDIR)$(TMPFILES)
	$(INSTALL) -d $(DESTDIR)$(PAM)
	[ -e $(DESTDIR)$(PAM)/stagepost ] || $(INSTALL) -m 644 conf/pam $(DESTDIR)$(PAM)/stagepost
	[ -e $(DESTDIR)$(ETC)/stagepost.conf ] || $(INSTALL) -m 644 conf/stagepost.conf $(DESTDIR)$(ETC)/

# The configuration, the spool and all mailboxes stay.
uninstall:
	rm -rf $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(DOC)
	rm -f $(addprefix $(DESTDIR)$(SBIN)/,$(notdir $(filter-out $(SENDMAIL),$(COMMANDS))))
	$(SENDMAIL_UNINSTALL)
	rm -f $(foreach m,$(MAN_PAGES),$(DESTDIR)$(call man_path,$(m)))
	rm -f $(DESTDIR)$(UNIT) $(DESTDIR)$(SYSUSERS) $(DESTDIR)$(TMPFILES)

define newline


endef

.PHONY: uninstall
