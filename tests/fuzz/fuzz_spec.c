/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * --device, --port and attachments as text. Input:
 *
 *	byte 0		modulo 3: a device, a port, an attachment; the rest: which device
 *	the rest	the text, up to a NUL
 *
 * What is taken says what it is in a text that is taken again, as the same.
 */
#include "fuzz.h"

#include "daemon/spec.h"

enum { WHY = 512 };

static const struct spec_defaults defaults = { .history = 4096, .escape = "^]" };

static void check_outcome(int err, const char *why)
{
	must(err <= 0 && strlen(why) < WHY);
	must((err < 0) == (why[0] != '\0'));
}

static void check_attachment(const struct attachment_spec *spec)
{
	must((unsigned int)spec->options.kind < ATTACHMENT_N_KINDS && spec->text[0] != '\0');
}

static void try_attachment(const char *text, const struct spec_defaults *d, char why[WHY],
			   bool again)
{
	struct attachment_spec *spec, *same;
	int err = attachment_spec_parse(text, d, &spec, why, WHY);

	check_outcome(err, why);
	must(!again || err == 0);
	if (err < 0)
		return;
	check_attachment(spec);
	must(attachment_spec_parse(spec->text, d, &same, why, WHY) == 0);
	must(strcmp(same->text, spec->text) == 0 && same->options.kind == spec->options.kind);
	attachment_spec_free(same);
	attachment_spec_free(spec);
}

static void check_port(const struct port_spec *spec, const struct spec_defaults *d)
{
	char why[WHY] = "";

	must(spec->number >= SPEC_NUMBER_ANY && spec->number < 511);
	must(spec->name[0] == '\0' || port_name_valid(spec->name));
	must(is_power_of_two(spec->history) || spec->history == 0);
	for (const struct list_node *n = spec->attachments.next; n != &spec->attachments;
	     n = n->next)
		try_attachment(list_entry(n, const struct attachment_spec, link)->text, d, why,
			       true);
}

static void try_port(const char *text, const struct spec_defaults *d, char why[WHY])
{
	struct port_spec *spec, *same;
	int err = port_spec_parse(text, d, &spec, why, WHY);

	check_outcome(err, why);
	if (err < 0)
		return;
	check_port(spec, d);
	must(port_spec_parse(spec->text, d, &same, why, WHY) == 0);
	must(strcmp(same->text, spec->text) == 0 && same->number == spec->number);
	must(strcmp(same->name, spec->name) == 0 && same->console == spec->console);
	port_spec_free(same);
	port_spec_free(spec);
}

static void try_device(const char *text, const struct spec_defaults *d, char why[WHY])
{
	struct device_spec *spec;
	int err = device_spec_parse(text, d, &spec, why, WHY);

	check_outcome(err, why);
	if (err < 0)
		return;
	must(spec->options.name && (spec->options.socket || spec->options.fd));
	must(list_empty(&spec->ports));
	device_spec_free(spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t head = input_u8(&in);
	struct spec_defaults d = defaults;
	char *text = input_text(&in);
	char why[WHY] = "";

	d.device_idx = head / 3;
	if (head % 3 == 0)
		try_device(text, &d, why);
	else if (head % 3 == 1)
		try_port(text, &d, why);
	else
		try_attachment(text, &d, why, false);
	free(text);
	return 0;
}
