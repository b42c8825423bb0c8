/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the commands of the control socket do, and what they say when they cannot. */
#include "control_rig.h"

/* A client of a port that can be disconnected, and one that cannot, as a log. */
static struct port_client person, logger;

static void on_disconnect(struct port_client *c, const char *why)
{
	assert_non_null(why);
	rig.n_disconnects++;
	port_leave(c);
}

static const struct port_client_ops person_ops = { .disconnect = on_disconnect };
static const struct port_client_ops logger_ops = { .output_ready = NULL };

static struct guest_port *port_of(unsigned int guest, const char *number)
{
	return guest_find_port(&rig.guest[guest], number);
}

static struct port *data(void)
{
	return &port_of(0, "4")->port;
}

static void begin(unsigned int n_guests)
{
	rig_begin(n_guests);
	rig_listen();
}

static void add_attachment(struct guest_port *p, const char *text)
{
	struct attachment_spec *spec;
	struct guest_attachment *a;

	assert_int_equal(attachment_spec_parse(text, NULL, &spec, NULL, 0), 0);
	assert_int_equal(guest_attach(p, spec, &a, NULL, 0), 0);
}

/* The member at a path of names and indices, separated by dots. */
static struct json_object *at(struct json_object *o, const char *path)
{
	char words[128], *save = NULL;

	snprintf(words, sizeof(words), "%s", path);
	for (char *w = strtok_r(words, ".", &save); w; w = strtok_r(NULL, ".", &save)) {
		if (w[0] >= '0' && w[0] <= '9')
			o = json_object_array_get_idx(o, strtoul(w, NULL, 10));
		else if (!json_object_object_get_ex(o, w, &o))
			fail_msg("no %s in the answer", path);
	}
	return o;
}

static void expect_at(struct json_object *o, const char *path, const char *json)
{
	const char *got = json_object_to_json_string_ext(
		at(o, path), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (strcmp(got, json) != 0)
		fail_msg("%s is %s, not %s", path, got, json);
}

static struct json_object *status_of(const char *request)
{
	struct json_object *answer = json_tokener_parse(rig_ask_once(request));

	assert_non_null(answer);
	expect_at(answer, "ok", "true");
	return answer;
}

static void status_names_every_device(void **state)
{
	struct json_object *o;
	char pid[16];

	(void)state;
	begin(2);
	o = status_of("{\"command\":\"status\"}");
	snprintf(pid, sizeof(pid), "%d", getpid());
	expect_at(o, "result.pid", pid);
	assert_int_equal(json_object_array_length(at(o, "result.devices")), 2);
	expect_at(o, "result.devices.0.name", "\"console0\"");
	expect_at(o, "result.devices.0.socket", "\"/tmp/con0\"");
	expect_at(o, "result.devices.0.present", "false");
	expect_at(o, "result.devices.0.max_ports", "8");
	expect_at(o, "result.devices.0.loop", "3");
	assert_int_equal(json_object_array_length(at(o, "result.devices.0.ports")), 2);
	expect_at(o, "result.devices.1.name", "\"console1\"");
	expect_at(o, "result.devices.1.socket", "null");
	json_object_put(o);
	o = status_of("{\"command\":\"status\",\"device\":\"console1\"}");
	assert_int_equal(json_object_array_length(at(o, "result.devices")), 1);
	expect_at(o, "result.devices.0.name", "\"console1\"");
	json_object_put(o);
	rig_end();
}

static void status_of_a_port_that_nobody_has_touched(void **state)
{
	struct json_object *o;

	(void)state;
	begin(1);
	o = status_of("{\"command\":\"status\"}");
	expect_at(o, "result.devices.0.ports.1",
		  "{\"number\":4,\"name\":\"data\",\"console\":false,\"overflow\":\"drop\","
		  "\"guest_open\":false,\"host_open\":false,\"stalled\":false,\"input\":\"on\","
		  "\"output\":\"on\",\"size\":null,\"history\":4096,\"input_waiting\":0,"
		  "\"counters\":{\"output\":0,\"input\":0,\"output_lost\":0,"
		  "\"output_discarded\":0,\"stalls\":0,\"stalled_ns\":0},"
		  "\"latency\":{\"n\":0,\"mean_ns\":0,\"p50_ns\":0,\"p99_ns\":0,\"max_ns\":0,"
		  "\"buckets\":[]},\"attachments\":[],\"clients\":[]}");
	expect_at(o, "result.devices.0.ports.0.name", "null");
	expect_at(o, "result.devices.0.ports.0.console", "true");
	json_object_put(o);
	rig_end();
}

static void status_has_open_states_counters_and_latency(void **state)
{
	struct json_object *o;
	char taken[4];

	(void)state;
	begin(1);
	rig.guest[0].console.present = true;
	port_set_present(data(), true);
	port_set_guest_open(data(), true);
	port_output(data(), "12345", 5);
	assert_int_equal(port_input(data(), "abc", 3), 3);
	assert_int_equal(port_take_input(data(), taken, 2), 2);
	port_enable_output(data(), false);
	port_output(data(), "gone", 4);
	port_resize(data(), 132, 43);
	histogram_add(&data()->latency, 5000);
	histogram_add(&data()->latency, 7000);
	o = status_of("{\"command\":\"status\"}");
	expect_at(o, "result.devices.0.present", "true");
	expect_at(o, "result.devices.0.ports.1.guest_open", "true");
	expect_at(o, "result.devices.0.ports.1.host_open", "true");
	expect_at(o, "result.devices.0.ports.1.size", "\"132x43\"");
	expect_at(o, "result.devices.0.ports.1.output", "\"off\"");
	expect_at(o, "result.devices.0.ports.1.input_waiting", "1");
	expect_at(o, "result.devices.0.ports.1.counters",
		  "{\"output\":9,\"input\":2,\"output_lost\":0,\"output_discarded\":4,"
		  "\"stalls\":0,\"stalled_ns\":0}");
	expect_at(o, "result.devices.0.ports.1.latency.mean_ns", "6000");
	expect_at(o, "result.devices.0.ports.1.latency.max_ns", "7000");
	expect_at(o, "result.devices.0.ports.1.latency.buckets", "[{\"from_ns\":4096,\"n\":2}]");
	json_object_put(o);
	rig_end();
}

/* A wait that is not over counts up to now. */
static void status_counts_a_stall_that_lasts(void **state)
{
	struct json_object *o;

	(void)state;
	begin(1);
	port_output_stalled(data());
	o = status_of("{\"command\":\"status\"}");
	expect_at(o, "result.devices.0.ports.1.stalled", "true");
	expect_at(o, "result.devices.0.ports.1.counters.stalls", "1");
	assert_true(json_object_get_uint64(at(o, "result.devices.0.ports.1.counters.stalled_ns")) >
		    0);
	json_object_put(o);
	rig_end();
}

static void join(bool writes, bool passive, const char *what)
{
	const struct port_client_options options = { .writes = writes, .what = what };
	const struct port_client_options log = { .passive = passive, .what = "log /x" };

	port_join(data(), &person, &person_ops, &options);
	port_join(data(), &logger, &logger_ops, &log);
}

static void leave(void)
{
	port_leave(&person);
	port_leave(&logger);
}

static void status_has_attachments_and_clients(void **state)
{
	static const struct port_client_tls facts = { .version = "TLS1.3",
						      .cipher = "AES-256-GCM" };
	struct json_object *o;
	char buf[PORT_READ_MIN];

	(void)state;
	begin(1);
	add_attachment(port_of(0, "4"), "null");
	join(true, true, "tcp 127.0.0.1:4711");
	port_output(data(), "12345", 5);
	assert_int_equal(port_read(&logger, buf, sizeof(buf)), 5);
	port_client_resize(&person, 80, 24);
	o = status_of("{\"command\":\"status\"}");
	expect_at(o, "result.devices.0.ports.1.attachments",
		  "[{\"id\":1,\"text\":\"null\",\"kind\":\"null\",\"describe\":\"somewhere\","
		  "\"closing\":false}]");
	expect_at(o, "result.devices.0.ports.1.clients.0",
		  "{\"id\":1,\"what\":\"tcp 127.0.0.1:4711\",\"role\":\"writer\","
		  "\"may_write\":true,\"read\":0,\"written\":0,\"lost\":0,\"behind\":5,"
		  "\"size\":\"80x24\",\"tls\":null}");
	expect_at(o, "result.devices.0.ports.1.clients.1.role", "\"passive\"");
	expect_at(o, "result.devices.0.ports.1.clients.1.behind", "0");
	json_object_put(o);
	person.tls = &facts;
	o = status_of("{\"command\":\"status\"}");
	expect_at(o, "result.devices.0.ports.1.clients.0.tls",
		  "{\"version\":\"TLS1.3\",\"cipher\":\"AES-256-GCM\",\"peer\":null}");
	json_object_put(o);
	leave();
	rig_end();
}

/* A client asks for all; what is gone from the ring is not what it is behind by. */
static void behind_counts_what_is_still_there(void **state)
{
	const struct port_client_options all = { .replay = PORT_REPLAY_ALL };
	char bulk[HISTORY];
	struct json_object *o;

	(void)state;
	begin(1);
	memset(bulk, 'x', sizeof(bulk));
	for (unsigned int i = 0; i < 3; i++)
		port_output(data(), bulk, sizeof(bulk));
	port_join(data(), &person, &person_ops, &all);
	o = status_of("{\"command\":\"status\"}");
	expect_at(o, "result.devices.0.ports.1.clients.0.behind", "4096");
	expect_at(o, "result.devices.0.ports.1.clients.0.role", "\"watcher\"");
	json_object_put(o);
	port_leave(&person);
	rig_end();
}

/* Paths are bytes; JSON is not. */
static void text_that_is_not_utf8_is_replaced(void **state)
{
	struct json_object *o;

	(void)state;
	begin(1);
	join(true, true, "unix /\xff\xc3\xa9\xed\xa0\x80\n");
	o = status_of("{\"command\":\"status\"}");
	assert_string_equal(
		json_object_get_string(at(o, "result.devices.0.ports.1.clients.0.what")),
		"unix /\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n");
	json_object_put(o);
	leave();
	rig_end();
}

static void set_port_sets_what_is_given_and_nothing_else(void **state)
{
	char byte;

	(void)state;
	begin(1);
	assert_int_equal(port_input(data(), "x", 1), 1);
	rig_expect("{\"command\":\"set-port\",\"port\":4,\"input\":\"off\"}", OK_ANSWER);
	assert_int_equal(port_take_input(data(), &byte, 1), 0);
	assert_false(data()->output_disabled);
	rig_expect("{\"command\":\"set-port\",\"port\":\"data\",\"input\":\"on\","
		   "\"output\":\"off\"}",
		   OK_ANSWER);
	assert_int_equal(port_take_input(data(), &byte, 1), 1);
	port_output(data(), "x", 1);
	assert_int_equal(data()->counters.output_discarded, 1);
	rig_expect("{\"command\":\"set-port\",\"port\":\"4\",\"overflow\":\"hold\","
		   "\"size\":\"65535x1\"}",
		   OK_ANSWER);
	assert_int_equal(data()->overflow, PORT_HOLD);
	assert_int_equal(data()->cols, 65535);
	assert_int_equal(data()->rows, 1);
	assert_true(data()->output_disabled);
	rig_expect("{\"command\":\"set-port\",\"port\":\"4\",\"overflow\":\"drop\","
		   "\"output\":\"on\"}",
		   OK_ANSWER);
	assert_int_equal(data()->overflow, PORT_DROP);
	assert_false(data()->output_disabled);
	assert_int_equal(port_of(0, "0")->port.cols, 0);
	rig_end();
}

static void set_port_with_one_bad_value_sets_nothing(void **state)
{
	static const char *const values[] = {
		"\"input\":\"OFF\"",	"\"input\":false",	"\"overflow\":\"wait\"",
		"\"size\":\"0x0\"",	"\"size\":\"80\"",	"\"size\":\"80x\"",
		"\"size\":\"65536x1\"", "\"size\":\"1x65536\"", "\"size\":\"-1x1\"",
		"\"size\":\"1x1x1\"",	"\"size\":[80,24]",	"\"size\":\"4294967376x24\"",
		"\"name\":\"x\"",	"\"input\":\"on|off\"", "\"input\":\"\"",
	};
	char request[160];

	(void)state;
	begin(1);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		snprintf(request, sizeof(request),
			 "{\"command\":\"set-port\",\"port\":4,\"output\":\"off\",%s}", values[i]);
		assert_non_null(strstr(rig_ask_once(request), "\"ok\":false"));
		assert_false(data()->output_disabled);
	}
	rig_end();
}

static void refusals_say_what_was_expected(void **state)
{
	static const char *const rows[][2] = {
		{ "{\"command\":\"set-port\",\"port\":4}",
		  REFUSED("set-port needs something to set: input, output, overflow or size") },
		{ "{\"command\":\"set-port\",\"port\":4,\"input\":\"maybe\"}",
		  REFUSED("\\\"input\\\" must be on or off, not \\\"maybe\\\"") },
		{ "{\"command\":\"set-port\",\"port\":4,\"size\":\"big\"}",
		  REFUSED("\\\"size\\\" must be COLSxROWS, each from 1 to 65535, not "
			  "\\\"big\\\"") },
		{ "{\"command\":\"set-port\",\"port\":7,\"input\":\"on\"}",
		  REFUSED("console0 has no port 7; it has 0 and 4") },
		{ "{\"command\":\"set-port\",\"port\":-1,\"input\":\"on\"}",
		  REFUSED("console0 has no port -1; it has 0 and 4") },
		{ "{\"command\":\"set-port\",\"input\":\"on\"}",
		  REFUSED("set-port needs \\\"port\\\": number of the port, or its name") },
		{ "{\"command\":\"set-port\",\"port\":1.5}",
		  REFUSED("\\\"port\\\" must be a string or a number, not 1.5") },
		{ "{\"command\":\"status\",\"device\":\"x\"}",
		  REFUSED("there is no device \\\"x\\\"; the devices: console0") },
		{ "{\"command\":\"steal\",\"port\":4,\"client\":1}",
		  REFUSED("console0/p4 has no client 1; its clients: none") },
		{ "{\"command\":\"detach\",\"port\":4,\"attachment\":1}",
		  REFUSED("console0/p4 has no attachment 1; its attachments: none") },
		{ "{\"command\":\"detach\",\"port\":4,\"attachment\":0}",
		  REFUSED("\\\"attachment\\\" must be a number from 1, not 0") },
		{ "{\"command\":\"detach\",\"port\":4,\"attachment\":4294967297}",
		  REFUSED("\\\"attachment\\\" must be a number from 1, not 4294967297") },
		{ "{\"command\":\"reload\",\"now\":true}",
		  REFUSED("reload takes no \\\"now\\\"; its arguments: none") },
		{ "{\"command\":\"steal\",\"port\":4,\"now\":true}",
		  REFUSED("steal takes no \\\"now\\\"; its arguments: device, port and client") },
		{ "{}", REFUSED("a request needs a \\\"command\\\"; \\\"help\\\" lists them") },
		{ "[]", REFUSED("a request is an object: {\\\"command\\\": \\\"status\\\"}") },
		{ "{\"command\":\"reload\",\"command\":\"help\"}",
		  REFUSED("an argument is given twice") },
		{ "{\"command\":", REFUSED("this is not JSON: it ends too early") },
	};

	(void)state;
	begin(1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		rig_expect(rows[i][0], rows[i][1]);
	assert_int_equal(rig.n_reloads, 0);
	rig_end();
}

static void device_must_be_named_where_there_are_two(void **state)
{
	(void)state;
	begin(2);
	rig_expect("{\"command\":\"set-port\",\"port\":0,\"input\":\"off\"}",
		   REFUSED("a device must be named: console0 and console1"));
	rig_expect("{\"command\":\"set-port\",\"device\":\"console1\",\"port\":0,"
		   "\"input\":\"off\"}",
		   OK_ANSWER);
	assert_true(port_of(1, "0")->port.input_disabled);
	assert_false(port_of(0, "0")->port.input_disabled);
	rig_end();
}

static void long_lists_of_ports_are_cut(void **state)
{
	const char *answer;

	(void)state;
	begin(1);
	for (unsigned int i = 5; i < CONSOLE_MAX_PORTS; i++)
		rig_add_port(&rig.guest[0], i, "");
	answer = rig_ask_once("{\"command\":\"remove-port\",\"port\":\"x\"}");
	assert_non_null(strstr(answer, "console0 has no port x; it has 0, 4, 5, 6, "));
	assert_non_null(strstr(answer, " more\"}"));
	rig_end();
}

static void add_port_answers_the_number(void **state)
{
	(void)state;
	begin(1);
	rig_expect("{\"command\":\"add-port\",\"spec\":\"extra\"}",
		   "{\"ok\":true,\"result\":{\"port\":7}}");
	assert_string_equal(port_of(0, "7")->port.name, "extra");
	rig_expect("{\"command\":\"add-port\",\"spec\":\"bad\"}", REFUSED("'bad' is no port"));
	rig_expect("{\"command\":\"add-port\",\"spec\":\"taken\"}", REFUSED("the name is in use"));
	rig_end();
}

static void remove_and_rename_port_find_it_by_number_or_name(void **state)
{
	(void)state;
	begin(1);
	rig_expect("{\"command\":\"rename-port\",\"port\":\"4\",\"name\":\"a\\/b\"}",
		   REFUSED("no slash"));
	rig_expect("{\"command\":\"rename-port\",\"port\":\"data\",\"name\":\"other\"}", OK_ANSWER);
	assert_string_equal(data()->name, "other");
	rig_expect("{\"command\":\"remove-port\",\"port\":\"other\"}", OK_ANSWER);
	assert_null(port_of(0, "4"));
	rig_end();
}

static void attach_answers_the_id_and_detach_takes_it(void **state)
{
	(void)state;
	begin(1);
	rig_expect("{\"command\":\"attach\",\"port\":0,\"spec\":\"null\"}",
		   "{\"ok\":true,\"result\":{\"attachment\":1}}");
	rig_expect("{\"command\":\"attach\",\"port\":0,\"spec\":\"null\"}",
		   "{\"ok\":true,\"result\":{\"attachment\":2}}");
	rig_expect("{\"command\":\"attach\",\"port\":0,\"spec\":\"bad\"}",
		   REFUSED("'bad' is no attachment"));
	rig_expect("{\"command\":\"detach\",\"port\":0,\"attachment\":1}", OK_ANSWER);
	assert_int_equal(rig.n_detached, 1);
	/* It is closing, and so as good as gone. */
	rig_expect("{\"command\":\"detach\",\"port\":0,\"attachment\":1}",
		   REFUSED("console0/p0 has no attachment 1; its attachments: 2"));
	assert_int_equal(rig.n_detached, 1);
	rig_end();
}

static void disconnect_asks_the_client_to_leave(void **state)
{
	(void)state;
	begin(1);
	join(true, true, "tcp 127.0.0.1:4711");
	rig_expect("{\"command\":\"disconnect\",\"port\":4,\"client\":2}",
		   REFUSED("client 2, log /x, cannot be disconnected; detach its attachment"));
	rig_expect("{\"command\":\"disconnect\",\"port\":4,\"client\":1}", OK_ANSWER);
	assert_int_equal(rig.n_disconnects, 1);
	rig_expect("{\"command\":\"disconnect\",\"port\":4,\"client\":1}",
		   REFUSED("console0/p4 has no client 1; its clients: 2"));
	port_leave(&logger);
	rig_end();
}

static void steal_makes_a_client_the_writer(void **state)
{
	const struct port_client_options options = { .writes = true, .what = "tcp x" };
	struct port_client second;

	(void)state;
	begin(1);
	join(true, false, "tcp 127.0.0.1:4711");
	port_join(data(), &second, &person_ops, &options);
	assert_true(port_is_writer(&person));
	rig_expect("{\"command\":\"steal\",\"port\":4,\"client\":3}", OK_ANSWER);
	assert_true(port_is_writer(&second));
	rig_expect("{\"command\":\"steal\",\"port\":4,\"client\":2}",
		   REFUSED("client 2, log /x, has no keyboard: it only watches"));
	assert_true(port_is_writer(&second));
	port_leave(&second);
	leave();
	rig_end();
}

static void help_lists_every_command_with_its_arguments(void **state)
{
	struct json_object *o;

	(void)state;
	begin(1);
	o = status_of("{\"command\":\"help\"}");
	assert_int_equal(json_object_array_length(at(o, "result.commands")), CONTROL_N_COMMANDS);
	expect_at(o, "result.commands.1.name", "\"set-port\"");
	expect_at(o, "result.commands.1.arguments.1.name", "\"port\"");
	expect_at(o, "result.commands.1.arguments.1.needed", "true");
	expect_at(o, "result.commands.1.arguments.2.value", "\"on|off\"");
	json_object_put(o);
	rig_end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(status_names_every_device),
	UNIT_TEST(status_of_a_port_that_nobody_has_touched),
	UNIT_TEST(status_has_open_states_counters_and_latency),
	UNIT_TEST(status_counts_a_stall_that_lasts),
	UNIT_TEST(status_has_attachments_and_clients),
	UNIT_TEST(behind_counts_what_is_still_there),
	UNIT_TEST(text_that_is_not_utf8_is_replaced),
	UNIT_TEST(set_port_sets_what_is_given_and_nothing_else),
	UNIT_TEST(set_port_with_one_bad_value_sets_nothing),
	UNIT_TEST(refusals_say_what_was_expected),
	UNIT_TEST(device_must_be_named_where_there_are_two),
	UNIT_TEST(long_lists_of_ports_are_cut),
	UNIT_TEST(add_port_answers_the_number),
	UNIT_TEST(remove_and_rename_port_find_it_by_number_or_name),
	UNIT_TEST(attach_answers_the_id_and_detach_takes_it),
	UNIT_TEST(disconnect_asks_the_client_to_leave),
	UNIT_TEST(steal_makes_a_client_the_writer),
	UNIT_TEST(help_lists_every_command_with_its_arguments),
};

UNIT_MAIN(tests)
