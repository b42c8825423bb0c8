/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One line of the control socket, as it comes. What is refused is refused by a
 * sentence that a terminal and a JSON reader can be given; what is taken has all
 * that its command needs.
 */
#include "fuzz.h"

#include "daemon/control-request.h"
#include "daemon/control-text.h"

enum { WHY = 512 };

/* Text of others, on its way to a terminal or into an answer. */
static void check_text(const char *text)
{
	char *repaired = utf8_repair(text), *shown = text_for_terminal(text);
	size_t len, n;
	uint32_t c;

	must(repaired && shown);
	must(utf8_valid(repaired, strlen(repaired)) && utf8_valid(shown, strlen(shown)));
	must(!utf8_valid(text, strlen(text)) || strcmp(repaired, text) == 0);
	for (len = strlen(shown); len > 0; len -= n) {
		n = utf8_char(shown + strlen(shown) - len, len, &c);
		must(n > 0 && n <= len && !utf8_is_control(c));
	}
	must(utf8_width(shown) <= strlen(shown));
	free(repaired);
	free(shown);
}

static void check_request(const struct control_request *req)
{
	const struct control_command *c = req->command;

	must(c && (req->given & ~(c->needed | c->optional)) == 0);
	must((c->needed & ~req->given) == 0);
	for (unsigned int i = 0; i < CONTROL_N_ARGUMENTS; i++) {
		const struct control_value *v = &req->values[i];

		if (!(req->given & BIT(i)))
			continue;
		must(control_arguments[i].type == CONTROL_ID ? v->number >= 1
							     : v->text && v->text[0] != '\0');
		if (control_arguments[i].type == CONTROL_CHOICE)
			must(control_choice_find(control_arguments[i].words, v->text) ==
			     (int)v->number);
		if (v->text)
			check_text(v->text);
	}
}

/* The object is JSON that is read again, as it was. */
static void check_object(struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	struct json_object *again = NULL;
	char why[WHY] = "", *shown;

	must(json_object_is_type(object, json_type_object));
	shown = json_for_terminal(text);
	must(shown && control_json_parse(shown, strlen(shown), &again, why, sizeof(why)) == 0);
	must(json_object_equal(object, again));
	json_object_put(again);
	free(shown);
}

static bool has_double(struct json_object *value);

static bool has_double_inside(struct json_object *object)
{
	json_object_object_foreach(object, key, value)
	{
		(void)key;
		if (has_double(value))
			return true;
	}
	return false;
}

/* Of these the last digit may differ, and what is too large is a word that is no JSON. */
static bool has_double(struct json_object *value)
{
	if (json_object_is_type(value, json_type_object))
		return has_double_inside(value);
	if (!json_object_is_type(value, json_type_array))
		return json_object_is_type(value, json_type_double);
	for (size_t i = 0; i < json_object_array_length(value); i++)
		if (has_double(json_object_array_get_idx(value, i)))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_request req = { .command = NULL };
	struct input in = { data, size };
	struct json_object *object = NULL;
	char *line = input_text(&in);
	char why[WHY] = "";

	check_text(line);
	if (control_json_parse(line, size, &object, why, sizeof(why)) < 0) {
		must(!object && why[0] != '\0');
	} else {
		if (!has_double(object))
			check_object(object);
		if (control_request_read(object, &req, why, sizeof(why)) < 0)
			must(why[0] != '\0');
		else
			check_request(&req);
		json_object_put(object);
	}
	check_text(why);
	free(line);
	return 0;
}
