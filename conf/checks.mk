# What looks for defects in all of the code, on demand: fuzzing with its coverage and its control,
# valgrind, clang-tidy, cppcheck. `make fuzz SECONDS=0` alone is part of `make check`.

# tests/fuzz/fuzz_X.c with LLVMFuzzerTestOneInput; its corpus is tests/fuzz/corpus/X, its dictionary,
# when it has one, tests/fuzz/X.dict. A target that needs a daemon's or a command's objects says so
# here; where it includes one of their files itself, that file takes the object's place.
FUZZ_ROOM_smtpd_session := daemons/smtpd
FUZZ_ROOM_pop3d_session := daemons/pop3d
FUZZ_ROOM_smtp_session := daemons/smtp
FUZZ_ROOM_recipients := commands/sendmail
FUZZ_ROOM_submit := commands/sendmail
FUZZ_ROOM_arguments := commands/sendmail commands/stagepost
FUZZ_ROOM_journal := daemons/usage
FUZZ_ROOM_log_style := daemons/log
FUZZ_ROOM_walk := daemons/router
FUZZ_ROOM_users_file := commands/stagepost
FUZZ_LIBS_users_file := -ljansson
FUZZ_LIBS_log_style := -ljansson
SECONDS ?= 60
FUZZ_CC ?= clang
FUZZ_LAYERS := $(LAYERS)
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SOURCES))
FUZZ_WARN := -std=c17 -D_GNU_SOURCE -I. -fno-strict-aliasing
# A variant is a directory: targets that look for defects, and targets that count lines.
FUZZ_FLAGS_fuzz := -gline-tables-only -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
FUZZ_LINK_fuzz := -fsanitize=fuzzer,address,undefined
FUZZ_FLAGS_fuzz-coverage := -g -O1 -fprofile-instr-generate -fcoverage-mapping
FUZZ_LINK_fuzz-coverage := -fsanitize=fuzzer -fprofile-instr-generate -fcoverage-mapping
fuzz_sources = $(filter-out %_san.c %_faults.c,$(wildcard $(1)/*.c))

# variant
define fuzz_variant
build/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CC) $$(FUZZ_WARN) $$(FUZZ_FLAGS_$(1)) -MMD -MP -c -o $$@ $$<
build/$(1)/libcode.a: $$(foreach l,$$(FUZZ_LAYERS),$$(patsubst %.c,build/$(1)/%.o,$$(call fuzz_sources,$$(DIR_$$(l)))))
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
# variant, room
define fuzz_room
build/$(1)/$(2)/room.a: $$(patsubst %.c,build/$(1)/%.o,$$(filter-out %/main.c,$$(call fuzz_sources,$(2))))
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
# variant, target
define fuzz_target
build/$(1)/fuzz_$(2): build/$(1)/tests/fuzz/fuzz_$(2).o $$(foreach r,$$(FUZZ_ROOM_$(2)),build/$(1)/$$(r)/room.a) build/$(1)/libcode.a
	$$(Q)$$(FUZZ_CC) $$(FUZZ_LINK_$(1)) -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(LIBS) $$(FUZZ_LIBS_$(2))
endef
FUZZ_VARIANTS := fuzz fuzz-coverage
FUZZ_ROOMS := $(sort $(foreach n,$(FUZZ_NAMES),$(FUZZ_ROOM_$(n))))
$(foreach v,$(FUZZ_VARIANTS),$(eval $(call fuzz_variant,$(v))))
$(foreach v,$(FUZZ_VARIANTS),$(foreach r,$(FUZZ_ROOMS),$(eval $(call fuzz_room,$(v),$(r)))))
$(foreach v,$(FUZZ_VARIANTS),$(foreach n,$(FUZZ_NAMES),$(eval $(call fuzz_target,$(v),$(n)))))
FUZZ_TARGETS := $(FUZZ_NAMES:%=build/fuzz/fuzz_%)

fuzz: $(FUZZ_TARGETS)
	@tests/fuzz/run $(SECONDS) $(FUZZ_TARGETS)
fuzz-targets: $(FUZZ_TARGETS)
# What the corpora reach of each parser's lines, by the table of tests/fuzz/README.md.
fuzz-coverage: $(FUZZ_NAMES:%=build/fuzz-coverage/fuzz_%)
	@tests/fuzz/coverage $^

# The unit programs under memcheck: tests/valgrind says which not, and why.
valgrind: $(UNIT_TESTS)
	@tests/valgrind/run $(UNIT_TESTS)

# What is compiled for the product: hooks of test builds are not.
CHECKED_SOURCES = $(sort $(filter-out %_san.c %_faults.c,$(foreach d,$(foreach l,$(LAYERS),$(DIR_$(l))) $(DAEMON_DIRS) $(COMMAND_DIRS),$(wildcard $(d)/*.c))))
JOBS ?= 2
# One file a run: clang-tidy 14 takes each va_list for uninitialised in all files but the first.
tidy:
	@printf '%s\n' $(CHECKED_SOURCES) | xargs -P $(JOBS) -I {} clang-tidy-14 --quiet {} -- \
		-std=c17 -D_GNU_SOURCE -I. 2>/dev/null
	@echo 'tidy: $(words $(CHECKED_SOURCES)) files clean'
cppcheck:
	@cppcheck --quiet -j $(JOBS) --std=c11 -D_GNU_SOURCE -I. --include=/usr/include/bsd/sys/queue.h \
		--library=posix,gnu,bsd --enable=warning,performance,portability --error-exitcode=1 \
		--suppressions-list=conf/cppcheck $(CHECKED_SOURCES)
	@echo 'cppcheck: $(words $(CHECKED_SOURCES)) files clean'

.PHONY: fuzz fuzz-targets fuzz-coverage valgrind tidy cppcheck
.PRECIOUS: build/fuzz/%.o build/fuzz-coverage/%.o
-include $(shell find build/fuzz build/fuzz-coverage -name '*.d' 2>/dev/null)
