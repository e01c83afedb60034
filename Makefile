# Stagepost: one Makefile for all. A folder with a main.c is a program; each layer is a static
# library. WHO_MAY_USE below is the law of the house; `make layers` proves it.

PREFIX ?= /usr
DESTDIR ?=
SAN ?=
ifeq ($(origin CC),default)
CC := gcc
endif
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3
B := build$(if $(SAN),/san)$(if $(FAULTS),/faults)$(if $(filter clang%,$(CC)),/clang)

# layer: the layers it may use, in link order (transitive use is named too).
LAYERS := base os mail smtp pop3 sasl password mailbox net wire dialogue table config service store writing schedule
DIR_base := common/base
DIR_os := common/os
DIR_mail := common/mail
DIR_smtp := common/smtp
DIR_sasl := common/sasl
DIR_password := common/password
DIR_pop3 := common/pop3
DIR_mailbox := common/mailbox
DIR_net := common/net
DIR_wire := common/wire
DIR_dialogue := common/dialogue
DIR_table := common/table
DIR_config := common/config
DIR_service := common/service
DIR_store := queue/store
DIR_writing := queue/writing
DIR_schedule := queue/schedule
MAY_base :=
MAY_os := base
MAY_mail := base
MAY_smtp := base mail
MAY_sasl := base
MAY_password := base
MAY_pop3 := base
MAY_mailbox := base os
MAY_net := base os
MAY_wire := base os
MAY_dialogue := base mail wire
MAY_table := base os mail net
MAY_config := base os mail net table
MAY_service := base os mail smtp sasl net wire dialogue table config
MAY_store := base os mail
MAY_writing := base os mail wire dialogue store
MAY_schedule := base
# what every program may link, in an order that resolves left to right
LINK_ORDER := service writing store schedule config table dialogue wire net pop3 sasl password mailbox smtp mail os base

LIBS := -Wl,--as-needed -lev -lseccomp -lssl -lcrypto -lidn2 -lidn -lcrypt -ldb -lbsd -lmd -lpthread
# what one program needs beyond that
LIBS_stagepost := -ljansson
LIBS_accounts-system := -lpam
LIBS_resolver := -lunbound

include conf/build.mk
include conf/checks.mk
