/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/control-request.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "daemon/control-text.h"

PRINTF_LIKE(3, 4)
static int fail(char *ret_why, size_t cap, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(ret_why, cap, fmt, args);
	va_end(args);
	return -EINVAL;
}

/*
 * A look at the text before json-c reads it, for what that lets pass: other
 * quotes, NaN and Infinity, raw control characters, NULs, which would cut a
 * string short, and duplicate members, of which it keeps the last.
 */
struct scan {
	const char *at, *end;
	unsigned int depth;
	int n_members; /* of the outermost object */
};

/* The first quote is passed already. NULL, or what is wrong. */
static const char *scan_string(struct scan *s)
{
	for (; s->at < s->end; s->at++) {
		if ((uint8_t)*s->at < 0x20)
			return "a control character in a string, which must be written as \\uNNNN";
		if (*s->at == '"') {
			s->at++;
			return NULL;
		}
		if (*s->at != '\\')
			continue;
		s->at++;
		if (s->end - s->at >= 5 && memcmp(s->at, "u0000", 5) == 0)
			return "a NUL in a string";
	}
	return "a string without its end";
}

static const char *scan_other(struct scan *s)
{
	static const char allowed[] = "{}[]:,+-.0123456789Eabeflnrstu \t\r";
	char c = *s->at++;

	if (c == '\0' || !strchr(allowed, c))
		return "a character that has no place there";
	if (c == ':' && s->depth == 1)
		s->n_members++;
	if (c == '{' || c == '[')
		s->depth++;
	if ((c == '}' || c == ']') && s->depth > 0)
		s->depth--;
	return NULL;
}

static const char *scan(struct scan *s)
{
	const char *wrong = NULL;

	while (!wrong && s->at < s->end) {
		if (*s->at == '"') {
			s->at++;
			wrong = scan_string(s);
		} else {
			wrong = scan_other(s);
		}
	}
	return wrong;
}

static int tokenize(const char *line, size_t len, struct json_object **ret_object, char *ret_why,
		    size_t cap)
{
	struct json_tokener *tok = json_tokener_new_ex(CONTROL_DEPTH_MAX);
	struct json_object *object;
	enum json_tokener_error error;
	int err = 0;

	if (!tok)
		return fail(ret_why, cap, "no memory");
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	object = json_tokener_parse_ex(tok, line, (int)len);
	error = json_tokener_get_error(tok);
	if (error == json_tokener_continue)
		err = fail(ret_why, cap, "this is not JSON: it ends too early");
	else if (error != json_tokener_success)
		err = fail(ret_why, cap, "this is not JSON: %s at byte %zu",
			   json_tokener_error_desc(error), json_tokener_get_parse_end(tok) + 1);
	else if (!json_object_is_type(object, json_type_object))
		err = fail(ret_why, cap, "a request is an object: {\"command\": \"status\"}");
	json_tokener_free(tok);
	if (err == 0)
		*ret_object = object;
	else
		json_object_put(object);
	return err;
}

int control_json_parse(const char *line, size_t len, struct json_object **ret_object, char *ret_why,
		       size_t why_cap)
{
	struct scan s = { .at = line, .end = line + len };
	struct json_object *object = NULL;
	const char *wrong;
	int err;

	if (len > INT_MAX || !utf8_valid(line, len))
		return fail(ret_why, why_cap, "this is not JSON: it is not UTF-8");
	wrong = scan(&s);
	if (wrong)
		return fail(ret_why, why_cap, "this is not JSON for us: %s, at byte %td", wrong,
			    s.at - line);
	err = tokenize(line, len, &object, ret_why, why_cap);
	if (err < 0)
		return err;
	if (json_object_object_length(object) != s.n_members) {
		json_object_put(object);
		return fail(ret_why, why_cap, "an argument is given twice");
	}
	*ret_object = object;
	return 0;
}

/* What was given instead, as it was written; long ones are cut. */
static int fail_value(unsigned int arg, struct json_object *value, const char *wanted,
		      char *ret_why, size_t cap)
{
	const char *given = json_object_to_json_string_ext(
		value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	return fail(ret_why, cap, "\"%s\" must be %s, not %.60s", control_arguments[arg].name,
		    wanted, given ? given : "that");
}

static const char *text_of(struct json_object *value)
{
	const char *text = json_object_get_string(value);

	return text && text[0] ? text : NULL;
}

static int read_choice(unsigned int arg, struct json_object *value, struct control_value *ret_value,
		       char *ret_why, size_t cap)
{
	const char *words = control_arguments[arg].words;
	const char *text = json_object_is_type(value, json_type_string) ? text_of(value) : NULL;
	int idx = text ? control_choice_find(words, text) : -1;
	char list[64];

	if (idx >= 0) {
		*ret_value = (struct control_value){ .text = text, .number = (uint64_t)idx };
		return 0;
	}
	control_choice_list(words, list, sizeof(list));
	return fail_value(arg, value, list, ret_why, cap);
}

static int read_text(unsigned int arg, struct json_object *value, struct control_value *ret_value,
		     char *ret_why, size_t cap)
{
	bool port = control_arguments[arg].type == CONTROL_PORT;
	bool fits = json_object_is_type(value, json_type_string) ||
		    (port && json_object_is_type(value, json_type_int));
	const char *text = fits ? text_of(value) : NULL;

	if (!text)
		return fail_value(arg, value, port ? "a string or a number" : "a string", ret_why,
				  cap);
	*ret_value = (struct control_value){ .text = text };
	return 0;
}

static int read_id(unsigned int arg, struct json_object *value, struct control_value *ret_value,
		   char *ret_why, size_t cap)
{
	int64_t id = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;

	if (id < 1 || id > UINT_MAX)
		return fail_value(arg, value, "a number from 1", ret_why, cap);
	*ret_value = (struct control_value){ .number = (uint64_t)id };
	return 0;
}

static int read_size(unsigned int arg, struct json_object *value, struct control_value *ret_value,
		     char *ret_why, size_t cap)
{
	const char *text = json_object_is_type(value, json_type_string) ? text_of(value) : NULL;
	uint16_t cols, rows;

	if (!text || !control_size_parse(text, &cols, &rows))
		return fail_value(arg, value, "COLSxROWS, each from 1 to 65535", ret_why, cap);
	*ret_value = (struct control_value){ .text = text, .number = (uint32_t)cols << 16 | rows };
	return 0;
}

static int read_value(unsigned int arg, struct json_object *value, struct control_value *ret_value,
		      char *ret_why, size_t cap)
{
	switch (control_arguments[arg].type) {
	case CONTROL_ID:
		return read_id(arg, value, ret_value, ret_why, cap);
	case CONTROL_CHOICE:
		return read_choice(arg, value, ret_value, ret_why, cap);
	case CONTROL_SIZE:
		return read_size(arg, value, ret_value, ret_why, cap);
	default:
		return read_text(arg, value, ret_value, ret_why, cap);
	}
}

/* NULL, with a sentence, when it names none. */
static const struct control_command *read_command(struct json_object *object, char *ret_why,
						  size_t cap)
{
	const struct control_command *command;
	struct json_object *value;

	if (!json_object_object_get_ex(object, "command", &value)) {
		fail(ret_why, cap, "a request needs a \"command\"; \"help\" lists them");
		return NULL;
	}
	if (!json_object_is_type(value, json_type_string)) {
		fail(ret_why, cap, "\"command\" must be a string");
		return NULL;
	}
	command = control_find_command(json_object_get_string(value));
	if (!command)
		fail(ret_why, cap, "there is no command \"%.60s\"; \"help\" lists them",
		     json_object_get_string(value));
	return command;
}

static int fail_unknown(const struct control_command *c, const char *name, char *ret_why,
			size_t cap)
{
	struct listing takes = { .n = 0 };

	for (unsigned int i = 0; i < CONTROL_N_ARGUMENTS; i++)
		if (control_takes(c, i))
			listing_add(&takes, control_arguments[i].name);
	return fail(ret_why, cap, "%s takes no \"%.60s\"; its arguments: %s", c->name, name,
		    listing_end(&takes));
}

static int check_needed(const struct control_request *req, char *ret_why, size_t cap)
{
	for (unsigned int i = 0; i < CONTROL_N_ARGUMENTS; i++)
		if (req->command->needed & ~req->given & BIT(i))
			return fail(ret_why, cap, "%s needs \"%s\": %s", req->command->name,
				    control_arguments[i].name, control_arguments[i].help);
	return 0;
}

static int read_member(struct control_request *req, const char *name, struct json_object *value,
		       char *ret_why, size_t cap)
{
	int arg = control_find_argument(name, strlen(name)), err;

	if (strcmp(name, "command") == 0 || strcmp(name, "id") == 0)
		return 0;
	if (arg < 0 || !control_takes(req->command, (unsigned int)arg))
		return fail_unknown(req->command, name, ret_why, cap);
	err = read_value((unsigned int)arg, value, &req->values[arg], ret_why, cap);
	if (err == 0)
		req->given |= BIT(arg);
	return err;
}

int control_request_read(struct json_object *object, struct control_request *ret_request,
			 char *ret_why, size_t why_cap)
{
	struct control_request req = { .command = read_command(object, ret_why, why_cap) };
	struct json_object_iterator at = json_object_iter_begin(object);
	const struct json_object_iterator end = json_object_iter_end(object);
	int err = req.command ? 0 : -EINVAL;

	for (; err == 0 && !json_object_iter_equal(&at, &end); json_object_iter_next(&at))
		err = read_member(&req, json_object_iter_peek_name(&at),
				  json_object_iter_peek_value(&at), ret_why, why_cap);
	if (err == 0)
		err = check_needed(&req, ret_why, why_cap);
	if (err == 0)
		*ret_request = req;
	return err;
}
