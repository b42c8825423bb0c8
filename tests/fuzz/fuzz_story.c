/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What vhu-trace tells of a capture, whatever is in it: all its views at once.
 * Input: a file. Text has no control characters, whoever wrote the capture; each
 * line of JSON is an object; the page says what the lines say.
 */
#include "config.h"

#include "fuzz.h"

#ifdef HAVE_JSON_C
#include <json-c/json.h>
#endif

#include "log.h"
#include "trace/capture/capture.h"
#include "trace/hub.h"

enum { INPUT_MAX = 1 << 16, N_VIEWS = 3 };

struct view {
	enum hub_form form;
	FILE *out;
	char *text;
	size_t len;
};

static void check_plain(const struct view *v)
{
	for (size_t i = 0; i < v->len; i++)
		must((uint8_t)v->text[i] >= 0x20 || v->text[i] == '\n');
}

static void check_json_line(const char *line, size_t len)
{
#ifdef HAVE_JSON_C
	struct json_tokener *tok = json_tokener_new();
	struct json_object *object;

	must(tok != NULL);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	object = json_tokener_parse_ex(tok, line, (int)len);
	must(json_tokener_get_error(tok) == json_tokener_success);
	must(json_object_is_type(object, json_type_object));
	json_object_put(object);
	json_tokener_free(tok);
#else
	must(len >= 2 && line[0] == '{' && line[len - 1] == '}');
#endif
}

static void check_json(const struct view *v)
{
	const char *end;

	check_plain(v);
	for (const char *at = v->text; at < v->text + v->len; at = end + 1) {
		end = memchr(at, '\n', v->len - (size_t)(at - v->text));
		must(end != NULL);
		check_json_line(at, (size_t)(end - at));
	}
}

/* Text of others cannot end the script that holds it: it is in there once, at its end. */
static void check_page(const struct view *v)
{
	must(v->len > 8 && memcmp(v->text + v->len - 8, "</html>\n", 8) == 0);
}

static void check(const struct view *v)
{
	if (v->form == HUB_TEXT)
		check_plain(v);
	else if (v->form == HUB_JSON)
		check_json(v);
	else
		check_page(v);
}

static struct trace_hub *open_hub(struct view views[N_VIEWS])
{
	static const struct view_options options = { .fields = true,
						     .hex = true,
						     .explain = true,
						     .map = true,
						     .data = true,
						     .latency = true,
						     .device = "console" };
	struct trace_hub *hub = hub_new(NULL, &options);
	char why[256];

	must(hub != NULL);
	for (unsigned int i = 0; i < N_VIEWS; i++) {
		views[i].out = open_memstream(&views[i].text, &views[i].len);
		must(views[i].out != NULL);
		must(hub_add_stream(hub, views[i].form, views[i].out, "a view", false, why,
				    sizeof(why)) == 0);
	}
	return hub;
}

static void read_into(struct trace_hub *hub, const uint8_t *data, size_t size)
{
	static uint8_t copy[INPUT_MAX + 1];
	struct capture_about about;
	char error[256] = "";
	FILE *in;

	if (size > 0)
		memcpy(copy, data, size);
	in = fmemopen(copy, size > 0 ? size : 1, "r");
	must(in != NULL);
	if (capture_read(in, hub_sink(hub), &about, error) < 0)
		must(fuzz_is_sentence(error));
	fclose(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view views[N_VIEWS] = { { .form = HUB_TEXT },
				       { .form = HUB_JSON },
				       { .form = HUB_PAGE } };
	struct trace_hub *hub;

	if (size > INPUT_MAX)
		return 0;
	log_set_level(LOG_LEVEL_ERROR);
	hub = open_hub(views);
	read_into(hub, data, size);
	must(hub_finish(hub) == 0);
	for (unsigned int i = 0; i < N_VIEWS; i++) {
		must(fclose(views[i].out) == 0);
		check(&views[i]);
		free(views[i].text);
	}
	return 0;
}
