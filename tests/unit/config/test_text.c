/*
 * The grammar: what a configuration's text may look like, and where its faults are.
 */
#include <check.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/base/buffer.h"
#include "common/config/config.h"
#include "common/config/text.h"

/* The files that includes may name. */
static const struct {
	const char *path, *text;
} FILES[] = {
    {"dir/one", "one 1\ninclude sub/two\n"},
    {"dir/sub/two", "two {\n include three\n}\n"},
    {"dir/sub/three", "three 3"},
    {"dir/loop", "include loop2"},
    {"dir/loop2", "include loop"},
    {"dir/closes", "x }"},
    {"dir/opens", "x {"},
};

static bool read_memory(void *arg, const char *path, struct slice *text, struct error *e)
{
	*text = slice_str(arg);
	if (strcmp(path, "dir/main") == 0)
		return true;
	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
		if (strcmp(path, FILES[i].path) == 0) {
			*text = slice_str(FILES[i].text);
			return true;
		}
	}
	return error_set(e, EX_NOINPUT, "%s: not there", path);
}

/* One line for the whole tree: name[value,value]{...} */
static void show(const struct text_list *list, struct buffer *out)
{
	const struct text_statement *s;
	TAILQ_FOREACH (s, list, link) {
		buffer_printf(out, "%.*s", SLICE_FMT(s->name.text));
		for (size_t i = 0; i < s->value_count; i++)
			buffer_printf(out, "%c%.*s", i == 0 ? '[' : ',',
				      SLICE_FMT(s->values[i].text));
		if (s->value_count > 0)
			buffer_byte(out, ']');
		if (s->has_block) {
			buffer_byte(out, '{');
			show(&s->block, out);
			buffer_byte(out, '}');
		}
		buffer_byte(out, ' ');
	}
}

static const char *parse(const char *text, struct error *e)
{
	static struct buffer out;
	struct arena arena;
	struct text_list list;
	struct text_source source = {read_memory, (void *)text, &arena};
	TAILQ_INIT(&list);
	arena_init(&arena, CONFIG_TEXT_MAX);
	buffer_free(&out);
	buffer_init(&out, CONFIG_TEXT_MAX);
	bool good = text_parse(&source, "dir/main", &list, e);
	if (good)
		show(&list, &out);
	buffer_byte(&out, '\0');
	arena_free(&arena);
	return good ? out.data : NULL;
}

static const struct {
	const char *text, *tree;
} GOOD[] = {
    {"", ""},
    {"\n\n ;; # only a comment", ""},
    {"a", "a "},
    {"a b c\nd", "a[b,c] d "},
    {"a b; c\r\n\td e", "a[b] c d[e] "},
    {"a \"b c\" \"\\\"\\\\\" \"\"", "a[b c,\"\\,] "},
    {"a#b c # d \\\ne", "a#b[c] e "},
    {"a b \\\n c\\\nd \\\r\n e", "a[b,c,d,e] "},
    {"a \\\n# no more\nb", "a b "},
    {"a{b{c d}}", "a{b{c[d] } } "},
    {"a x { b\n c ; d }; e", "a[x]{b c d } e "},
    {"a { }\nb", "a{} b "},
    {"l [::1]:25 *:25", "l[[::1]:25,*:25] "},
    {"include one; z", "one[1] two{three[3] } z "},
    {"b { include one }", "b{one[1] two{three[3] } } "},
};

START_TEST(takes)
{
	struct error e = {0};
	const char *tree = parse(GOOD[_i].text, &e);
	ck_assert_msg(tree, "%s: %s", GOOD[_i].text, e.text);
	ck_assert_str_eq(tree, GOOD[_i].tree);
}
END_TEST

static const struct {
	const char *text, *error;
} BAD[] = {
    {"a\n  \"b\"", "dir/main:2:3: a directive's name is not quoted"},
    {"a \"b\nc\"", "dir/main:1:3: the quote is not closed on its line"},
    {"a \"b", "dir/main:1:3: the quote is not closed on its line"},
    {"a \"b\\n\"", "dir/main:1:6: inside quotes write \\\" or \\\\"},
    {"a \"b\"c", "dir/main:1:6: a blank is missing behind the quote"},
    {"a b\"c", "dir/main:1:4: a value with \" must stand in quotes"},
    {"a b\\c", "dir/main:1:4: a value with \\ must stand in quotes"},
    {"a b\\", "dir/main:1:4: a value with \\ must stand in quotes"},
    {"a \x01", "dir/main:1:3: a control character"},
    {"a \rb", "dir/main:1:3: a control character"},
    {"a\n{ b }", "dir/main:2:1: a block opens on the line of its directive"},
    {"a { b\nc {", "dir/main:2:3: the block that opens here is not closed"},
    {"a }", "dir/main:1:3: there is no block to close"},
    {"a { } b", "dir/main:1:7: a new line or `;` is missing behind the block"},
    {"a{b{c{d{e{f{g{h{i{", "dir/main:1:18: at most 8 blocks inside each other"},
    {"include", "dir/main:1:1: include takes one file"},
    {"include a b", "dir/main:1:1: include takes one file"},
    {"\ninclude missing", "dir/main:2:9: dir/missing: not there"},
    {"include loop", "dir/loop2:1:9: dir/loop includes itself"},
    {"include main", "dir/main:1:9: dir/main includes itself"},
    {"a { include closes", "dir/closes:1:3: there is no block to close"},
    {"include opens\n}", "dir/opens:1:3: the block that opens here is not closed"},
};

START_TEST(refuses)
{
	struct error e = {0};
	ck_assert_ptr_null(parse(BAD[_i].text, &e));
	ck_assert_str_eq(e.text, BAD[_i].error);
	ck_assert_int_eq(e.code, EX_CONFIG);
}
END_TEST

START_TEST(says_when_the_file_is_not_there)
{
	struct arena arena;
	struct text_list list;
	struct error e = {0};
	struct text_source source = {read_memory, (void *)"", &arena};
	TAILQ_INIT(&list);
	arena_init(&arena, 100);
	ck_assert(!text_parse(&source, "dir/nothing", &list, &e));
	ck_assert_int_eq(e.code, EX_NOINPUT);
	arena_free(&arena);
}
END_TEST

START_TEST(words_and_statements_have_a_limit)
{
	static char text[3 * TEXT_VALUES_MAX + 2 * TEXT_WORD_MAX];
	struct error e = {0};
	memset(text, 'a', TEXT_WORD_MAX + 1);
	ck_assert_ptr_null(parse(text, &e));
	ck_assert_str_eq(e.text, "dir/main:1:1: a value has at most 4096 octets");
	text[TEXT_WORD_MAX] = '\0';
	ck_assert_ptr_nonnull(parse(text, &e));
	memset(text, 'a', sizeof(text) - 1);
	for (size_t i = 1; i < 2 * TEXT_VALUES_MAX; i += 2)
		text[i] = ' ';
	text[2 * TEXT_VALUES_MAX + 1] = '\0';
	ck_assert_ptr_nonnull(parse(text, &e));
	memcpy(text + 2 * TEXT_VALUES_MAX + 1, " b", sizeof(" b"));
	ck_assert_ptr_null(parse(text, &e));
	ck_assert_str_eq(e.text, "dir/main:1:8195: a statement has at most 4096 values");
}
END_TEST

START_TEST(a_full_arena_is_an_error)
{
	struct arena arena;
	struct text_list list;
	struct text_source source = {read_memory, (void *)"a { b c } ; d e f", &arena};
	for (size_t limit = 0; limit < 1000; limit += 8) {
		struct error e = {0};
		TAILQ_INIT(&list);
		arena_init(&arena, limit);
		if (!text_parse(&source, "dir/main", &list, &e))
			ck_assert_str_eq(e.text, "the configuration is too large");
		else
			limit = 1000;
		arena_free(&arena);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *cases = tcase_create("text");
	tcase_add_loop_test(cases, takes, 0, sizeof(GOOD) / sizeof(GOOD[0]));
	tcase_add_loop_test(cases, refuses, 0, sizeof(BAD) / sizeof(BAD[0]));
	tcase_add_test(cases, says_when_the_file_is_not_there);
	tcase_add_test(cases, words_and_statements_have_a_limit);
	tcase_add_test(cases, a_full_arena_is_an_error);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
