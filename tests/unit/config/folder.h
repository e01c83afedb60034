/*
 * folder: a temporary directory with files, for tests of the configuration.
 */
#ifndef TESTS_UNIT_CONFIG_FOLDER_H
#define TESTS_UNIT_CONFIG_FOLDER_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/config.h"

static char folder[64];

static inline void folder_make(void)
{
	snprintf(folder, sizeof(folder), "/tmp/stagepost-test-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline int folder_remove_one(const char *path, const struct stat *st, int type,
				    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void folder_remove(void)
{
	nftw(folder, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *folder_path(const char *name)
{
	static char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static inline void folder_write(const char *name, const char *text)
{
	FILE *f = fopen(folder_path(name), "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	fclose(f);
}

/* Loads stagepost.conf with this text; hostname mx.test.example. */
static inline struct config *folder_try(const char *text, struct error *e)
{
	struct config_host host = {"mx.test.example", NULL};
	struct config *c;
	folder_write("stagepost.conf", text);
	config_load_for(&host, folder_path("stagepost.conf"), &c, e);
	return c;
}

static inline struct config *folder_load(const char *text)
{
	struct error e = {0};
	struct config *c = folder_try(text, &e);
	ck_assert_msg(c, "%s", e.text);
	return c;
}

/* Text with the folder's path where F/ begins a path. */
static inline const char *folder_text(const char *text)
{
	static char out[16384];
	size_t len = 0;
	for (; *text && len < sizeof(out) - sizeof(folder); text++) {
		if (text[0] == 'F' && text[1] == '/')
			len += (size_t)snprintf(out + len, sizeof(out) - len, "%s", folder);
		else
			out[len++] = *text;
	}
	out[len] = '\0';
	return out;
}

#endif
