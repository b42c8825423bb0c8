/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Messages of a console's control queues (virtio 1.x, "Console Device"). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"
#include "trace/story/story.h"
#include "virtio/console-ctrl.h"

struct control {
	uint32_t port;
	uint16_t event, value;
	const uint8_t *data;
	size_t len;
};

static const char *event_name(uint16_t event)
{
	static const char *const names[] = {
		[CONSOLE_DEVICE_READY] = "DEVICE_READY", [CONSOLE_PORT_ADD] = "PORT_ADD",
		[CONSOLE_PORT_REMOVE] = "PORT_REMOVE",	 [CONSOLE_PORT_READY] = "PORT_READY",
		[CONSOLE_CONSOLE_PORT] = "CONSOLE_PORT", [CONSOLE_RESIZE] = "RESIZE",
		[CONSOLE_PORT_OPEN] = "PORT_OPEN",	 [CONSOLE_PORT_NAME] = "PORT_NAME",
	};

	return event < ARRAY_SIZE(names) ? names[event] : NULL;
}

static void put_size(FILE *out, const struct control *c)
{
	if (c->len >= 4)
		fprintf(out, ": %u columns, %u rows", get_le16(c->data), get_le16(c->data + 2));
	else
		fputs(", without a size", out);
}

static void put_name(FILE *out, const struct control *c)
{
	char name[PORT_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", (int)min_size(c->len, PORT_NAME_MAX),
		 (const char *)c->data);
	fputs(" \"", out);
	encode_line(out, name, "\"\\");
	fputc('"', out);
}

static void put_value(FILE *out, const struct control *c)
{
	switch (c->event) {
	case CONSOLE_PORT_READY:
		fputs(c->value ? ": ready" : ": failed", out);
		break;
	case CONSOLE_PORT_OPEN:
		fputs(c->value ? ": open" : ": closed", out);
		break;
	case CONSOLE_RESIZE:
		put_size(out, c);
		break;
	case CONSOLE_PORT_NAME:
		put_name(out, c);
		break;
	default:
		break;
	}
}

static void put_control(FILE *out, const struct control *c)
{
	const char *name = event_name(c->event);

	if (!name)
		fprintf(out, "event %u, port %" PRIu32 ", value %u", c->event, c->port, c->value);
	else if (c->event == CONSOLE_DEVICE_READY)
		fprintf(out, "%s: %s", name, c->value ? "ready" : "failed");
	else
		fprintf(out, "%s port %" PRIu32, name, c->port);
	if (name)
		put_value(out, c);
}

static void put_bytes(FILE *out, const uint8_t *bytes, size_t len)
{
	struct control c = { 0 };

	if (len < CONSOLE_MSG_LEN) {
		fprintf(out, "%zu bytes, too few for a control message", len);
		return;
	}
	c.port = get_le32(bytes);
	c.event = get_le16(bytes + 4);
	c.value = get_le16(bytes + 6);
	c.data = bytes + CONSOLE_MSG_LEN;
	c.len = len - CONSOLE_MSG_LEN;
	put_control(out, &c);
}

size_t story_control_text(char *buf, size_t cap, const uint8_t *bytes, size_t len)
{
	char *text = NULL;
	size_t text_len = 0;
	FILE *out = open_memstream(&text, &text_len);

	if (out) {
		put_bytes(out, bytes, len);
		if (fclose(out) != 0)
			text_len = 0;
	}
	snprintf(buf, cap, "%s", text_len > 0 ? text : "");
	free(text);
	return text_len;
}
