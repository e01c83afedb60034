/*
 * text: a word at a time (lex), a statement at a time (parse). The parser keeps no stack of its
 * own: blocks and includes are bounded recursion. Every limit of the text is tested here, so that
 * what comes after may trust lengths and depths.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/config/config.h"
#include "common/config/text.h"

enum token_kind { TOKEN_WORD, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_NEWLINE, TOKEN_SEMICOLON, TOKEN_END };

struct token {
	enum token_kind kind;
	bool quoted;
	struct text_value value; /* text only for words */
};

/* One file being read; `from` is the file that includes it. */
struct lexer {
	const struct text_source *source;
	const struct lexer *from;
	const char *file;
	struct slice rest;
	unsigned line, column;
	unsigned includes; /* how many files above this one */
	struct error *e;
};

struct parser {
	struct lexer lex;
	struct token token; /* the one to be looked at */
};

static bool out_of_memory(struct error *e)
{
	return error_set(e, EX_CONFIG, "the configuration is too large");
}

bool text_error(struct error *e, struct text_place place, const char *format, ...)
{
	enum { NAME_SHOWN_MAX = 160 };
	struct slice file = slice_str(place.file);
	char text[ERROR_TEXT_SIZE];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	bool cut = file.len > NAME_SHOWN_MAX;
	if (cut)
		file = slice_from(file, file.len - NAME_SHOWN_MAX);
	return error_set(e, EX_CONFIG, "%s%.*s:%u:%u: %s", cut ? "..." : "", SLICE_FMT(file),
			 place.line, place.column, text);
}

const char *text_path(struct arena *a, const char *base, struct slice name)
{
	struct slice dir = slice_str(base);
	size_t slash = slice_find_last(dir, '/');
	if ((name.len > 0 && name.ptr[0] == '/') || slash == dir.len)
		return arena_copy(a, name).ptr;
	dir.len = slash + 1;
	char *path = arena_get(a, dir.len + name.len + 1);
	if (!path)
		return NULL;
	memcpy(path, dir.ptr, dir.len);
	if (name.len > 0)
		memcpy(path + dir.len, name.ptr, name.len);
	path[dir.len + name.len] = '\0';
	return path;
}

static struct text_place here(const struct lexer *l)
{
	return (struct text_place){l->file, l->line, l->column};
}

static int peek(const struct lexer *l, size_t at)
{
	return at < l->rest.len ? (unsigned char)l->rest.ptr[at] : -1;
}

static void skip(struct lexer *l, size_t n)
{
	l->rest = slice_from(l->rest, n);
	l->column += (unsigned)n;
}

static void skip_newline(struct lexer *l, size_t n)
{
	skip(l, n);
	l->line++;
	l->column = 1;
}

/* Octets of the line end at `at`, CR LF or LF; 0: there is none. */
static size_t line_end(const struct lexer *l, size_t at)
{
	if (peek(l, at) == '\n')
		return 1;
	return peek(l, at) == '\r' && peek(l, at + 1) == '\n' ? 2 : 0;
}

static void skip_blanks(struct lexer *l)
{
	for (;;) {
		if (peek(l, 0) == ' ' || peek(l, 0) == '\t')
			skip(l, 1);
		else if (peek(l, 0) == '\\' && line_end(l, 1))
			skip_newline(l, 1 + line_end(l, 1));
		else if (peek(l, 0) == '#')
			while (peek(l, 0) != -1 && peek(l, 0) != '\n' && !line_end(l, 0))
				skip(l, 1);
		else
			return;
	}
}

static bool take_quoted(struct lexer *l, struct token *t)
{
	char text[TEXT_WORD_MAX];
	size_t len = 0;
	struct text_place start = here(l);
	skip(l, 1);
	while (peek(l, 0) != '"') {
		int c = peek(l, 0);
		if (c == -1 || c == '\n' || c == '\r')
			return text_error(l->e, start, "the quote is not closed on its line");
		if (c == '\\') {
			skip(l, 1);
			c = peek(l, 0);
			if (c != '"' && c != '\\')
				return text_error(l->e, here(l),
						  "inside quotes write \\\" or \\\\");
		}
		if (c < ' ' || c == 127)
			return text_error(l->e, here(l), "a control character");
		if (len == sizeof(text))
			return text_error(l->e, start, "a value has at most %d octets",
					  TEXT_WORD_MAX);
		text[len++] = (char)c;
		skip(l, 1);
	}
	skip(l, 1);
	if (peek(l, 0) != -1 && !strchr(" \t\r\n;{}", peek(l, 0)))
		return text_error(l->e, here(l), "a blank is missing behind the quote");
	t->quoted = true;
	t->value.text = arena_copy(l->source->arena, slice_make(text, len));
	return t->value.text.ptr || out_of_memory(l->e);
}

static bool take_bare(struct lexer *l, struct token *t)
{
	size_t len = 0;
	struct text_place start = here(l);
	for (;; len++) {
		int c = peek(l, len);
		if (c == -1 || c == 0 || strchr(" \t\n;{}", c) || line_end(l, len))
			break;
		if (c == '\\' && line_end(l, len + 1))
			break;
		start.column = l->column + (unsigned)len;
		if (c == '"' || c == '\\')
			return text_error(l->e, start, "a value with %c must stand in quotes", c);
		if (c < ' ' || c == 127)
			return text_error(l->e, start, "a control character");
	}
	start = here(l);
	if (len == 0)
		return text_error(l->e, start, "a control character");
	if (len > TEXT_WORD_MAX)
		return text_error(l->e, start, "a value has at most %d octets", TEXT_WORD_MAX);
	t->value.text = arena_copy(l->source->arena, slice_sub(l->rest, 0, len));
	skip(l, len);
	return t->value.text.ptr || out_of_memory(l->e);
}

static bool lex(struct lexer *l, struct token *t)
{
	skip_blanks(l);
	*t = (struct token){.value = {.place = here(l)}};
	switch (peek(l, 0)) {
	case -1:
		t->kind = TOKEN_END;
		return true;
	case '{':
	case '}':
	case ';':
		t->kind = peek(l, 0) == '{'   ? TOKEN_OPEN
			  : peek(l, 0) == '}' ? TOKEN_CLOSE
					      : TOKEN_SEMICOLON;
		skip(l, 1);
		return true;
	case '"':
		return take_quoted(l, t);
	default:
		if (!line_end(l, 0))
			return take_bare(l, t);
		t->kind = TOKEN_NEWLINE;
		skip_newline(l, line_end(l, 0));
		return true;
	}
}

static bool next(struct parser *p)
{
	return lex(&p->lex, &p->token);
}

static bool parse_statements(struct parser *p, struct text_list *list, unsigned depth);

static bool parse_values(struct parser *p, struct text_statement *s)
{
	struct text_value values[64], *all = values;
	size_t room = sizeof(values) / sizeof(values[0]);
	struct arena *a = p->lex.source->arena;
	while (p->token.kind == TOKEN_WORD) {
		if (s->value_count == TEXT_VALUES_MAX)
			return text_error(p->lex.e, p->token.value.place,
					  "a statement has at most %d values", TEXT_VALUES_MAX);
		if (s->value_count == room) {
			struct text_value *more = arena_get(a, 2 * room * sizeof(*more));
			if (!more)
				return out_of_memory(p->lex.e);
			memcpy(more, all, room * sizeof(*more));
			all = more;
			room *= 2;
		}
		all[s->value_count++] = p->token.value;
		if (!next(p))
			return false;
	}
	s->values = arena_get(a, s->value_count * sizeof(*s->values));
	if (!s->values)
		return out_of_memory(p->lex.e);
	memcpy(s->values, all, s->value_count * sizeof(*s->values));
	return true;
}

static bool parse_block(struct parser *p, struct text_statement *s, unsigned depth)
{
	struct text_place open = p->token.value.place;
	if (depth == TEXT_NESTING_MAX)
		return text_error(p->lex.e, open, "at most %d blocks inside each other",
				  TEXT_NESTING_MAX);
	s->has_block = true;
	if (!next(p) || !parse_statements(p, &s->block, depth + 1))
		return false;
	if (p->token.kind != TOKEN_CLOSE)
		return text_error(p->lex.e, open, "the block that opens here is not closed");
	return next(p);
}

static bool include_file(struct parser *p, const struct text_statement *s, struct text_list *list,
			 unsigned depth)
{
	struct lexer *l = &p->lex;
	if (s->value_count != 1 || s->has_block)
		return text_error(l->e, s->name.place, "include takes one file");
	struct text_place place = s->values[0].place;
	if (l->includes == CONFIG_INCLUDE_DEPTH)
		return text_error(l->e, place, "at most %d includes inside each other",
				  CONFIG_INCLUDE_DEPTH);
	struct parser inner = {.lex = {.source = l->source,
				       .from = l,
				       .line = 1,
				       .column = 1,
				       .includes = l->includes + 1,
				       .e = l->e}};
	inner.lex.file = text_path(l->source->arena, l->file, s->values[0].text);
	if (!inner.lex.file)
		return out_of_memory(l->e);
	for (const struct lexer *above = l; above; above = above->from)
		if (strcmp(above->file, inner.lex.file) == 0)
			return text_error(l->e, place, "%s includes itself", above->file);
	struct error why;
	if (!l->source->read(l->source->arg, inner.lex.file, &inner.lex.rest, &why))
		return text_error(l->e, place, "%s", why.text);
	if (!next(&inner) || !parse_statements(&inner, list, depth))
		return false;
	if (inner.token.kind != TOKEN_END)
		return text_error(l->e, inner.token.value.place, "there is no block to close");
	return true;
}

static bool parse_statement(struct parser *p, struct text_list *list, unsigned depth)
{
	struct text_statement *s = arena_get(p->lex.source->arena, sizeof(*s));
	if (!s)
		return out_of_memory(p->lex.e);
	*s = (struct text_statement){.name = p->token.value};
	TAILQ_INIT(&s->block);
	if (p->token.quoted)
		return text_error(p->lex.e, s->name.place, "a directive's name is not quoted");
	if (!next(p) || !parse_values(p, s))
		return false;
	if (p->token.kind == TOKEN_OPEN && !parse_block(p, s, depth))
		return false;
	if (p->token.kind == TOKEN_WORD || p->token.kind == TOKEN_OPEN)
		return text_error(p->lex.e, p->token.value.place,
				  "a new line or `;` is missing behind the block");
	if (slice_equal(s->name.text, SLICE("include")))
		return include_file(p, s, list, depth);
	TAILQ_INSERT_TAIL(list, s, link);
	return true;
}

/* Up to the end of the file or a '}', which is left to be looked at. */
static bool parse_statements(struct parser *p, struct text_list *list, unsigned depth)
{
	for (;;) {
		switch (p->token.kind) {
		case TOKEN_END:
		case TOKEN_CLOSE:
			return true;
		case TOKEN_NEWLINE:
		case TOKEN_SEMICOLON:
			if (!next(p))
				return false;
			break;
		case TOKEN_OPEN:
			return text_error(p->lex.e, p->token.value.place,
					  "a block opens on the line of its directive");
		case TOKEN_WORD:
			if (!parse_statement(p, list, depth))
				return false;
			break;
		}
	}
}

bool text_parse(const struct text_source *source, const char *path, struct text_list *list,
		struct error *e)
{
	struct parser p = {.lex = {.source = source, .line = 1, .column = 1, .e = e}};
	p.lex.file = arena_copy(source->arena, slice_str(path)).ptr;
	if (!p.lex.file)
		return out_of_memory(e);
	if (!source->read(source->arg, path, &p.lex.rest, e))
		return false;
	if (!next(&p) || !parse_statements(&p, list, 0))
		return false;
	if (p.token.kind != TOKEN_END)
		return text_error(e, p.token.value.place, "there is no block to close");
	return true;
}
