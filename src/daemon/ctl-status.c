/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/ctl-status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control-text.h"
#include "daemon/ctl-table.h"

enum { BAR_COLUMNS = 40 };

static struct json_object *member(struct json_object *o, const char *name)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(o, name, &value) ? value : NULL;
}

static const char *text(struct json_object *o, const char *name)
{
	return json_object_get_string(member(o, name));
}

static uint64_t number(struct json_object *o, const char *name)
{
	return json_object_get_uint64(member(o, name));
}

static bool flag(struct json_object *o, const char *name)
{
	return json_object_get_boolean(member(o, name));
}

static bool is(struct json_object *o, const char *name, const char *value)
{
	const char *found = text(o, name);

	return found && strcmp(found, value) == 0;
}

/* Elements of a list; 0 and NULL for anything else. */
static size_t count(struct json_object *o, const char *name)
{
	struct json_object *list = member(o, name);

	return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

static struct json_object *element(struct json_object *o, const char *name, size_t idx)
{
	return json_object_array_get_idx(member(o, name), idx);
}

/* What is called for each port of the answer. */
typedef void port_fn(struct json_object *device, struct json_object *port, void *arg);

static void each_port(struct json_object *result, port_fn *fn, void *arg)
{
	for (size_t i = 0; i < count(result, "devices"); i++) {
		struct json_object *device = element(result, "devices", i);

		for (size_t j = 0; j < count(device, "ports"); j++)
			fn(device, element(device, "ports", j), arg);
	}
}

static void cell_address(struct table *t, struct json_object *device, struct json_object *port)
{
	const char *name = text(device, "name");

	table_cell_f(t, "%s/%" PRIu64, name ? name : "", number(port, "number"));
}

static void cell_number(struct table *t, uint64_t value)
{
	table_cell_f(t, "%" PRIu64, value);
}

static void print_devices(struct json_object *result, FILE *out)
{
	static const struct table_column columns[] = {
		{ "DEVICE", false }, { "FRONT-END", false }, { "PORTS", true },
		{ "MAX", true },     { "SOCKET", false },
	};
	struct table t;

	table_init(&t, columns, ARRAY_SIZE(columns));
	for (size_t i = 0; i < count(result, "devices"); i++) {
		struct json_object *device = element(result, "devices", i);

		table_cell(&t, text(device, "name"));
		table_cell(&t, flag(device, "present") ? "connected" : NULL);
		cell_number(&t, count(device, "ports"));
		cell_number(&t, number(device, "max_ports"));
		table_cell(&t, text(device, "socket"));
	}
	table_print(&t, out);
	table_fini(&t);
}

static void add_port(struct json_object *device, struct json_object *port, void *arg)
{
	struct table *t = arg;
	const char *input_off = is(port, "input", "off") ? " input-off" : "";
	const char *output_off = is(port, "output", "off") ? " output-off" : "";
	const char *waits = flag(port, "stalled") ? " guest-waits" : "";
	char state[64];

	snprintf(state, sizeof(state), "%s%s%s", waits, input_off, output_off);
	cell_address(t, device, port);
	table_cell(t, flag(port, "console") ? "console" : "port");
	table_cell(t, text(port, "name"));
	table_cell(t, flag(port, "guest_open") ? "open" : NULL);
	table_cell(t, flag(port, "host_open") ? "open" : NULL);
	table_cell(t, text(port, "overflow"));
	table_cell(t, text(port, "size"));
	table_cell(t, state[0] ? state + 1 : NULL);
}

static void print_ports(struct json_object *result, FILE *out)
{
	static const struct table_column columns[] = {
		{ "PORT", false }, { "KIND", false },	  { "NAME", false }, { "GUEST", false },
		{ "HOST", false }, { "OVERFLOW", false }, { "SIZE", false }, { "STATE", false },
	};
	struct table t;

	table_init(&t, columns, ARRAY_SIZE(columns));
	each_port(result, add_port, &t);
	table_print(&t, out);
	table_fini(&t);
}

static void add_attachments(struct json_object *device, struct json_object *port, void *arg)
{
	struct table *t = arg;

	for (size_t i = 0; i < count(port, "attachments"); i++) {
		struct json_object *a = element(port, "attachments", i);
		const char *where = text(a, "describe");

		cell_address(t, device, port);
		cell_number(t, number(a, "id"));
		table_cell(t, text(a, "text"));
		table_cell_f(t, "%s%s", where ? where : "-", flag(a, "closing") ? ", closing" : "");
	}
}

static void print_attachments(struct json_object *result, FILE *out)
{
	static const struct table_column columns[] = {
		{ "PORT", false },
		{ "ID", true },
		{ "ATTACHMENT", false },
		{ "STATE", false },
	};
	struct table t;

	table_init(&t, columns, ARRAY_SIZE(columns));
	each_port(result, add_attachments, &t);
	table_print(&t, out);
	table_fini(&t);
}

/* "TLS1.3 AES-256-GCM, CN=alice" */
static void cell_tls(struct table *t, struct json_object *tls)
{
	const char *version = text(tls, "version"), *cipher = text(tls, "cipher");
	const char *peer = text(tls, "peer");

	if (version && cipher)
		table_cell_f(t, "%s %s%s%s", version, cipher, peer ? ", " : "", peer ? peer : "");
	else
		table_cell(t, NULL);
}

static void add_clients(struct json_object *device, struct json_object *port, void *arg)
{
	struct table *t = arg;

	for (size_t i = 0; i < count(port, "clients"); i++) {
		struct json_object *c = element(port, "clients", i);

		cell_address(t, device, port);
		cell_number(t, number(c, "id"));
		table_cell(t, text(c, "role"));
		cell_number(t, number(c, "read"));
		cell_number(t, number(c, "written"));
		cell_number(t, number(c, "behind"));
		cell_number(t, number(c, "lost"));
		table_cell(t, text(c, "size"));
		cell_tls(t, member(c, "tls"));
		table_cell(t, text(c, "what"));
	}
}

static void print_clients(struct json_object *result, FILE *out)
{
	static const struct table_column columns[] = {
		{ "PORT", false },   { "CLIENT", true }, { "ROLE", false }, { "READ", true },
		{ "WRITTEN", true }, { "BEHIND", true }, { "LOST", true },  { "SIZE", false },
		{ "TLS", false },    { "WHO", false },
	};
	struct table t;

	table_init(&t, columns, ARRAY_SIZE(columns));
	each_port(result, add_clients, &t);
	table_print(&t, out);
	table_fini(&t);
}

/* A duration with two or three digits and a unit. */
static const char *duration(uint64_t ns, char buf[16])
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	uint64_t whole = ns, tenths = 0;
	size_t unit = 0;

	for (; whole >= 1000 && unit + 1 < ARRAY_SIZE(units); unit++) {
		tenths = whole % 1000 / 100;
		whole /= 1000;
	}
	if (unit > 0 && whole < 10)
		snprintf(buf, 16, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths, units[unit]);
	else
		snprintf(buf, 16, "%" PRIu64 " %s", whole < 1000000 ? whole : 999999, units[unit]);
	return buf;
}

static void print_bars(struct json_object *latency, FILE *out)
{
	static const char bar[BAR_COLUMNS + 1] = "########################################";
	uint64_t most = 1;
	char from[16];

	for (size_t i = 0; i < count(latency, "buckets"); i++) {
		uint64_t n = number(element(latency, "buckets", i), "n");

		most = n > most ? n : most;
	}
	for (size_t i = 0; i < count(latency, "buckets"); i++) {
		struct json_object *bucket = element(latency, "buckets", i);
		uint64_t n = number(bucket, "n");
		double part = (double)n / (double)most;

		fprintf(out, "    from %7s %10" PRIu64 "  %.*s\n",
			duration(number(bucket, "from_ns"), from), n,
			n > 0 ? 1 + (int)(part * (BAR_COLUMNS - 1)) : 0, bar);
	}
}

static void print_counters(struct json_object *device, struct json_object *port, void *arg)
{
	struct json_object *c = member(port, "counters"), *latency = member(port, "latency");
	char *name = text_for_terminal(text(device, "name") ? text(device, "name") : "");
	char a[16], b[16], d[16], e[16];
	FILE *out = arg;

	fprintf(out, "\n%s/%" PRIu64 ":\n", name ? name : "", number(port, "number"));
	free(name);
	fprintf(out, "  output %" PRIu64 ", lost %" PRIu64 ", discarded %" PRIu64 "; ",
		number(c, "output"), number(c, "output_lost"), number(c, "output_discarded"));
	fprintf(out, "input %" PRIu64 ", waiting %" PRIu64 "; history %" PRIu64 " bytes\n",
		number(c, "input"), number(port, "input_waiting"), number(port, "history"));
	fprintf(out, "  the guest has waited %" PRIu64 " times, %s in all\n", number(c, "stalls"),
		duration(number(c, "stalled_ns"), a));
	if (number(latency, "n") == 0)
		return;
	fprintf(out,
		"  %" PRIu64
		" kicks served: mean %s, half within %s, 99%% within %s, all within %s\n",
		number(latency, "n"), duration(number(latency, "mean_ns"), a),
		duration(number(latency, "p50_ns"), b), duration(number(latency, "p99_ns"), d),
		duration(number(latency, "max_ns"), e));
	print_bars(latency, out);
}

void ctl_status_print(struct json_object *result, bool verbose, FILE *out)
{
	char *version = text_for_terminal(text(result, "version") ? text(result, "version") : "-");
	const char *named = text(result, "engine"); /* not by older daemons */
	char *engine = named ? text_for_terminal(named) : NULL;

	fprintf(out, "vhost-device-console %s, pid %" PRIu64, version ? version : "",
		number(result, "pid"));
	if (engine)
		fprintf(out, ", engine %s", engine);
	fputc('\n', out);
	free(version);
	free(engine);
	print_devices(result, out);
	print_ports(result, out);
	print_attachments(result, out);
	print_clients(result, out);
	if (verbose)
		each_port(result, print_counters, out);
}
