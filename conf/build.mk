# The rules behind the Makefile: flags, libraries, programs, unit tests, journeys.

# `make V=1` shows the commands
Q := $(if $(V),,@)

WARN := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wconversion \
	-Wno-sign-conversion -Wpointer-arith -Wwrite-strings -Wvla
HARDEN := -fstack-protector-strong -fPIE -fno-strict-aliasing
comma := ,
OPT := $(if $(SAN),-O1 -fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer,-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
CFLAGS ?= -g
ALL_CFLAGS := -std=c17 -D_GNU_SOURCE -I. $(WARN) $(HARDEN) $(OPT) -MMD -MP $(CFLAGS) $(CPPFLAGS)
# a program needs only the libraries that it calls
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SAN),-fsanitize=address$(comma)undefined) $(LDFLAGS)

# A variant is a file: *_san.c replaces *_plain.c under SAN=1, *_faults.c replaces *_nofaults.c
# under FAULTS=1.
VARIANT_OUT := $(if $(SAN),%_plain.c,%_san.c) $(if $(FAULTS),%_nofaults.c,%_faults.c)
sources = $(sort $(filter-out $(VARIANT_OUT),$(wildcard $(1)/*.c)))
objects = $(patsubst %.c,$B/obj/%.o,$(call sources,$(1)))

define layer_rule
$B/lib/lib$(1).a: $(call objects,$(DIR_$(1)))
	@mkdir -p $$(@D)
	$(Q)rm -f $$@
	$(Q)ar rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rule,$(l))))
# a layer with no source yet has no library
BUILT_LAYERS := $(foreach l,$(LAYERS),$(if $(call sources,$(DIR_$(l))),$(l)))
ALL_LIBS := $(foreach l,$(LINK_ORDER),$(if $(filter $(l),$(BUILT_LAYERS)),$B/lib/lib$(l).a))

$B/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Programs
DAEMON_DIRS := $(patsubst %/main.c,%,$(wildcard daemons/*/main.c master/main.c queue/manager/main.c))
COMMAND_DIRS := $(patsubst %/main.c,%,$(wildcard commands/*/main.c))
program_name = $(if $(filter queue/manager,$(1)),queue,$(notdir $(1)))
define program_rule
$B/$(2)/$(call program_name,$(1)): $(call objects,$(1)) $(ALL_LIBS)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LIBS) $(LIBS_$(notdir $(1)))
PROGRAMS += $B/$(2)/$(call program_name,$(1))
endef
$(foreach d,$(DAEMON_DIRS),$(eval $(call program_rule,$(d),libexec)))
$(foreach d,$(COMMAND_DIRS),$(eval $(call program_rule,$(d),bin)))

.DEFAULT_GOAL := all
all: $(ALL_LIBS) $(PROGRAMS)

# Unit tests: tests/unit/FOLDER/test_X.c is a program of its own; FOLDER is a layer (linked with
# what that layer may use) or the name of a program (linked with its objects but main.o). Where a
# daemon has the name of a layer, its folder is daemon-NAME.
UNIT_SOURCES := $(sort $(wildcard tests/unit/*/test_*.c))
unit_folder = $(notdir $(patsubst %/,%,$(dir $(1))))
unit_libs = $(if $(DIR_$(1)),$(foreach l,$(LINK_ORDER),$(if $(filter $(l),$(1) $(MAY_$(1))),$(if $(filter $(l),$(BUILT_LAYERS)),$B/lib/lib$(l).a))),$(ALL_LIBS))
unit_objects = $(if $(DIR_$(1)),,$(filter-out %/main.o,$(call objects,$(firstword $(wildcard daemons/$(1:daemon-%=%) queue/$(1) commands/$(1) $(filter $(1),master))))))
define unit_rule
$B/$(basename $(1)): $B/obj/$(basename $(1)).o $(call unit_objects,$(call unit_folder,$(1))) $(call unit_libs,$(call unit_folder,$(1)))
	@mkdir -p $$(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LIBS) $(LIBS_$(call unit_folder,$(1))) -lcheck -lsubunit -lm -lrt
UNIT_TESTS += $B/$(basename $(1))
endef
$(foreach u,$(UNIT_SOURCES),$(eval $(call unit_rule,$(u))))

unit-programs: $(UNIT_TESTS)
unit: $(UNIT_TESTS)
	@tests/unit/run $(UNIT_TESTS)

# Programs of tests/crash that try many spools, or tables, in one process after the other.
CRASH_PROGRAMS := $B/tests/crash/spoil $B/tests/crash/tables $B/tests/crash/outage
$B/tests/crash/outage: $B/obj/tests/crash/outage.o $(call unit_libs,store)
$B/tests/crash/spoil: $(patsubst %.c,$B/obj/%.o,tests/crash/recover.c $(wildcard tests/crash/spoil*.c)) $(call unit_libs,store)
$B/tests/crash/tables: $B/obj/tests/crash/tables.o $(call unit_libs,table)
$(CRASH_PROGRAMS):
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS) -lcheck -lsubunit -lm -lrt
crash-programs: $(CRASH_PROGRAMS)

layers: $(ALL_LIBS)
	@$(foreach l,$(LAYERS),DIR_$(l)='$(DIR_$(l))' MAY_$(l)='$(MAY_$(l))') LAYERS='$(LAYERS)' \
		CC='$(CC)' LDFLAGS='$(ALL_LDFLAGS)' LIBS='$(LIBS)' conf/layers $B

style:
	@conf/style

journeys: all
	@BUILD="$(CURDIR)/$B" tests/journeys/run

# Those that are short in the everyday run: load, reloads, kills, many messages.
journeys-long: all
	@BUILD="$(CURDIR)/$B" JOURNEYS_SECONDS=3600 RELOAD_SECONDS=60 RELOAD_EVERY=1 RELOAD_SESSIONS=100 \
		KILL_ROUNDS=10 CORPUS_COUNT=3000 tests/journeys/run test_reload.py test_kill.py \
		test_relay_kill.py test_corpus.py test_relay_corpus.py

# What is struck, and by whom: tests/crash/rows.py. CRASH=short takes little of each. CRASH_ARGS are
# pytest's: a file, -k NAME.
ifdef FAULTS
crash attack: all $(CRASH_PROGRAMS)
	@BUILD="$(CURDIR)/$B" CRASH=$(CRASH) CRASH_RESULTS="$(CURDIR)/build/$@.json" tests/crash/run $@ $(CRASH_ARGS)
else
# Without sanitizers also from `make check SAN=1`: both they and the strikes stand before malloc().
crash attack:
	@$(MAKE) --no-print-directory SAN= FAULTS=1 $@
endif
# The short form of all three, which is part of `make check`.
strikes:
	@code=0; for one in 'CRASH=short crash' 'CRASH=short attack' 'SECONDS=0 fuzz'; do \
		$(MAKE) --no-print-directory $$one || code=1; done; exit $$code

check: style layers unit journeys strikes

bench: all
	@tests/bench/run

clean:
	rm -rf build

.PHONY: all crash-programs unit unit-programs layers style journeys journeys-long crash attack strikes check bench clean install
-include $(shell find $B/obj -name '*.d' 2>/dev/null)
-include conf/install.mk
