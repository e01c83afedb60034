/*
 * The manual and the shipped file: both must agree with the schema. Run from the top of the source;
 * the argument "write" puts the schema's DIRECTIVES into the manual.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buffer.h"
#include "common/config/config.h"
#include "common/config/schema.h"

static const char MANUAL[] = "conf/stagepost.conf.5", SHIPPED[] = "conf/stagepost.conf";
enum { MANUAL_MAX = 1024 * 1024 };

static void gather(void *arg, struct slice text)
{
	buffer_append(arg, text);
}

/* Splits the manual: before DIRECTIVES, DIRECTIVES, behind it. */
static bool split(const char *text, struct slice parts[3])
{
	const char *from = strstr(text, "\n.Sh DIRECTIVES\n");
	const char *to = strstr(text, "\n.Sh TABLES\n");
	if (!from || !to || from > to)
		return false;
	parts[0] = slice_make(text, (size_t)(from + 1 - text));
	parts[1] = slice_make(from + 1, (size_t)(to - from));
	parts[2] = slice_make(to + 1, strlen(to + 1));
	return true;
}

static bool read_manual(struct buffer *text, struct slice parts[3])
{
	size_t room;
	FILE *f = fopen(MANUAL, "r");
	buffer_init(text, 2 * MANUAL_MAX);
	if (!f)
		return false;
	char *to = buffer_reserve(text, MANUAL_MAX, &room);
	buffer_grew(text, fread(to, 1, MANUAL_MAX, f));
	fclose(f);
	return buffer_byte(text, '\0') && split(text->data, parts);
}

START_TEST(the_manual_is_what_the_schema_says)
{
	struct buffer text, wanted;
	struct slice parts[3];
	ck_assert_msg(read_manual(&text, parts), "%s has no DIRECTIVES", MANUAL);
	buffer_init(&wanted, MANUAL_MAX);
	config_schema_man(gather, &wanted);
	ck_assert_msg(slice_equal(parts[1], buffer_slice(&wanted)),
		      "%s differs from the schema: run build/tests/unit/config/test_manual write",
		      MANUAL);
	buffer_free(&text);
	buffer_free(&wanted);
}
END_TEST

START_TEST(each_directive_is_a_full_sentence)
{
	for (size_t i = 0; i < schema_count; i++) {
		struct slice help = slice_str(schema[i].help);
		ck_assert(help.len > 10 && help.ptr[help.len - 1] == '.');
		ck_assert(help.ptr[0] != '.' && help.ptr[0] != '\'');
		ck_assert(schema[i].type < TYPE_COUNT);
	}
}
END_TEST

static void no_error(void *arg, enum config_severity severity, const char *place, const char *text)
{
	(void)arg;
	ck_assert_msg(severity == CONFIG_WARNING, "%s %s", place, text);
}

START_TEST(the_shipped_file_checks_and_trusts_nobody)
{
	struct config *c;
	struct error e;
	ck_assert_msg(config_load(SHIPPED, &c, &e), "%s", e.text);
	ck_assert_int_eq(config_check(c, no_error, NULL), 0);
	ck_assert_str_eq(config_string(c, "spool"), "/var/spool/stagepost");
	config_free(&c);
}
END_TEST

static int write_manual(void)
{
	struct buffer text, directives;
	struct slice parts[3];
	if (!read_manual(&text, parts))
		return 1;
	buffer_init(&directives, MANUAL_MAX);
	config_schema_man(gather, &directives);
	FILE *f = fopen(MANUAL, "w");
	if (!f)
		return 1;
	fwrite(parts[0].ptr, 1, parts[0].len, f);
	fwrite(directives.data, 1, directives.len, f);
	fwrite(parts[2].ptr, 1, parts[2].len, f);
	return fclose(f) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "write") == 0)
		return write_manual();
	Suite *suite = suite_create("manual");
	TCase *cases = tcase_create("manual");
	tcase_add_test(cases, the_manual_is_what_the_schema_says);
	tcase_add_test(cases, each_directive_is_a_full_sentence);
	tcase_add_test(cases, the_shipped_file_checks_and_trusts_nobody);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
