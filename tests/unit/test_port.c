/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "backends/port.h"

enum { HISTORY = 4096 };

/* A client that counts what it is told. */
struct counter {
	struct port_client client;
	unsigned int n_output, n_room, n_present;
};

/* A device that counts what it is told. */
struct device {
	unsigned int n_input, n_open, n_size;
};

static void on_output(struct port_client *c)
{
	container_of(c, struct counter, client)->n_output++;
}

static void on_room(struct port_client *c)
{
	container_of(c, struct counter, client)->n_room++;
}

static void on_present(struct port_client *c)
{
	container_of(c, struct counter, client)->n_present++;
}

static const struct port_client_ops client_ops = {
	.output_ready = on_output,
	.input_room = on_room,
	.present_changed = on_present,
};

static void on_input(void *dev)
{
	((struct device *)dev)->n_input++;
}

static void on_open(void *dev)
{
	((struct device *)dev)->n_open++;
}

static void on_size(void *dev)
{
	((struct device *)dev)->n_size++;
}

static const struct port_device_ops device_ops = {
	.input_ready = on_input,
	.host_open_changed = on_open,
	.size_changed = on_size,
};

struct rig {
	struct port port;
	struct device device;
	struct counter a, b, c;
};

static struct rig rig;

static void begin(void)
{
	memset(&rig, 0, sizeof(rig));
	assert_int_equal(port_init(&rig.port, HISTORY), 0);
	rig.port.dev_ops = &device_ops;
	rig.port.dev = &rig.device;
}

static void output(const char *text)
{
	port_output(&rig.port, text, strlen(text));
	port_output_done(&rig.port);
}

/* What a client reads next, all of it, is text. */
static void expect(struct counter *c, const char *text)
{
	char buf[2 * HISTORY];
	size_t n = port_read(&c->client, buf, sizeof(buf));

	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
	assert_int_equal(port_read(&c->client, buf, sizeof(buf)), 0);
	assert_false(port_readable(&c->client));
}

static void history_is_rounded_up_to_a_power_of_two(void **state)
{
	static const size_t rows[][2] = {
		{ 1, 1 }, { 4096, 4096 }, { 4097, 8192 }, { 5000, 8192 }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct port port;

		assert_int_equal(port_init(&port, rows[i][0]), 0);
		assert_int_equal(port.out.size, rows[i][1]);
		port_fini(&port);
	}
}

/* VC-093 */
static void output_before_a_client_is_read_in_order(void **state)
{
	(void)state;
	begin();
	output("first ");
	output("second");
	port_join(&rig.port, &rig.a.client, &client_ops);
	assert_true(port_readable(&rig.a.client));
	expect(&rig.a, "first second");
	output(" third");
	assert_int_equal(rig.a.n_output, 1);
	expect(&rig.a, " third");
	port_leave(&rig.a.client);
	port_fini(&rig.port);
}

static void clients_read_at_cursors_of_their_own(void **state)
{
	(void)state;
	begin();
	output("one ");
	port_join(&rig.port, &rig.a.client, &client_ops);
	expect(&rig.a, "one ");
	output("two ");
	port_join(&rig.port, &rig.b.client, &client_ops);
	expect(&rig.b, "one two ");
	expect(&rig.a, "two ");
	port_leave(&rig.a.client);
	output("three");
	expect(&rig.b, "three");
	port_leave(&rig.b.client);
	port_fini(&rig.port);
}

static void reads_in_small_pieces_lose_nothing(void **state)
{
	char text[1000], got[1000];
	size_t n, done = 0;

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	port_output(&rig.port, text, sizeof(text));
	port_join(&rig.port, &rig.a.client, &client_ops);
	while ((n = port_read(&rig.a.client, got + done,
			      min_size(PORT_MARKER_MAX + 1, sizeof(got) - done))) > 0) {
		done += n;
		if (sizeof(got) - done <= PORT_MARKER_MAX)
			break;
	}
	assert_memory_equal(got, text, done);
	assert_true(done > sizeof(got) - 2 * PORT_MARKER_MAX);
	port_leave(&rig.a.client);
	port_fini(&rig.port);
}

/* A line that says how many are gone, then the newest that are left. */
static void expect_marker(struct counter *c, unsigned long lost, const char *rest)
{
	char line[PORT_MARKER_MAX + 1], buf[2 * HISTORY];
	size_t n = port_read(&c->client, buf, sizeof(buf)), len;

	snprintf(line, sizeof(line), "\r\n[%lu bytes of output lost here]\r\n", lost);
	len = strlen(line);
	assert_true(n > len);
	assert_memory_equal(buf, line, len);
	assert_int_equal(n - len, strlen(rest));
	assert_memory_equal(buf + len, rest, n - len);
}

/* VC-061 */
static void slow_client_sees_how_much_it_lost_once(void **state)
{
	static char kept[HISTORY + 1];
	char bulk[1000];

	(void)state;
	begin();
	port_join(&rig.port, &rig.a.client, &client_ops);
	output("seen");
	expect(&rig.a, "seen");
	memset(bulk, 'x', sizeof(bulk));
	for (unsigned int i = 0; i < 10; i++)
		port_output(&rig.port, bulk, sizeof(bulk));
	memset(kept, 'x', HISTORY);
	expect_marker(&rig.a, 10000 - HISTORY, kept);
	output("on");
	expect(&rig.a, "on");
	/* A client that comes now is told as well: it is late by what is gone. */
	port_join(&rig.port, &rig.b.client, &client_ops);
	kept[HISTORY - 2] = 'o';
	kept[HISTORY - 1] = 'n';
	expect_marker(&rig.b, 10006 - HISTORY, kept);
	port_leave(&rig.a.client);
	port_leave(&rig.b.client);
	port_fini(&rig.port);
}

/* The worst: a number of twenty digits fits the line that was promised. */
static void marker_of_any_number_fits(void **state)
{
	char buf[HISTORY];
	size_t n;

	(void)state;
	begin();
	rig.port.out.head = UINT64_MAX - 5;
	rig.port.out.tail = UINT64_MAX - 5;
	port_join(&rig.port, &rig.a.client, &client_ops);
	n = port_read(&rig.a.client, buf, sizeof(buf));
	assert_true(n > 20 && n < PORT_MARKER_MAX);
	assert_memory_equal(buf + n - 2, "\r\n", 2);
	assert_non_null(memmem(buf, n, "18446744073709551610", 20));
	port_leave(&rig.a.client);
	port_fini(&rig.port);
}

/* VC-050: the first that comes and the last that goes, and nobody between. */
static void host_side_is_open_while_anybody_is_there(void **state)
{
	(void)state;
	begin();
	assert_false(port_host_open(&rig.port));
	port_join(&rig.port, &rig.a.client, &client_ops);
	assert_true(port_host_open(&rig.port));
	port_join(&rig.port, &rig.b.client, &client_ops);
	assert_int_equal(rig.device.n_open, 1);
	port_leave(&rig.a.client);
	assert_int_equal(rig.device.n_open, 1);
	port_leave(&rig.b.client);
	assert_int_equal(rig.device.n_open, 2);
	assert_false(port_host_open(&rig.port));
	port_fini(&rig.port);
}

static void writer_is_the_first_and_then_the_next(void **state)
{
	(void)state;
	begin();
	port_join(&rig.port, &rig.a.client, &client_ops);
	port_join(&rig.port, &rig.b.client, &client_ops);
	port_join(&rig.port, &rig.c.client, &client_ops);
	assert_true(port_is_writer(&rig.a.client));
	assert_false(port_is_writer(&rig.b.client));
	/* One that only watches goes: nothing changes. */
	port_leave(&rig.b.client);
	assert_true(port_is_writer(&rig.a.client));
	assert_int_equal(rig.c.n_room, 0);
	port_leave(&rig.a.client);
	assert_true(port_is_writer(&rig.c.client));
	assert_int_equal(rig.c.n_room, 1); /* it may begin */
	port_leave(&rig.c.client);
	assert_null(rig.port.writer);
	port_fini(&rig.port);
}

static void writer_whose_input_ended_hands_over_and_reads_on(void **state)
{
	(void)state;
	begin();
	port_join(&rig.port, &rig.a.client, &client_ops);
	port_join(&rig.port, &rig.b.client, &client_ops);
	port_end_input(&rig.a.client);
	assert_true(port_is_writer(&rig.b.client));
	assert_int_equal(rig.b.n_room, 1);
	output("both");
	expect(&rig.a, "both");
	expect(&rig.b, "both");
	/* It does not become the writer again. */
	port_leave(&rig.b.client);
	assert_null(rig.port.writer);
	assert_true(port_host_open(&rig.port));
	port_join(&rig.port, &rig.c.client, &client_ops);
	assert_true(port_is_writer(&rig.c.client));
	port_leave(&rig.c.client);
	port_leave(&rig.a.client);
	port_fini(&rig.port);
}

static void input_is_bounded_and_room_is_told_to_the_writer(void **state)
{
	static uint8_t bytes[PORT_INPUT_SIZE + 1], got[PORT_INPUT_SIZE];
	void *space;

	(void)state;
	begin();
	port_join(&rig.port, &rig.a.client, &client_ops);
	port_join(&rig.port, &rig.b.client, &client_ops);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31);
	assert_int_equal(port_input(&rig.port, bytes, sizeof(bytes)), PORT_INPUT_SIZE);
	assert_int_equal(rig.device.n_input, 1);
	assert_int_equal(port_input(&rig.port, bytes, 1), 0);
	assert_int_equal(rig.device.n_input, 1);
	assert_int_equal(port_input_space(&rig.port, &space), 0);
	assert_int_equal(port_input_pending(&rig.port), PORT_INPUT_SIZE);
	assert_int_equal(rig.a.n_room, 0);
	assert_int_equal(port_take_input(&rig.port, got, 1000), 1000);
	assert_int_equal(rig.a.n_room, 1);
	assert_int_equal(rig.b.n_room, 0);
	assert_int_equal(port_take_input(&rig.port, got + 1000, sizeof(got)),
			 PORT_INPUT_SIZE - 1000);
	assert_memory_equal(got, bytes, sizeof(got));
	assert_int_equal(port_take_input(&rig.port, got, 1), 0);
	port_leave(&rig.a.client);
	port_leave(&rig.b.client);
	port_fini(&rig.port);
}

static void input_space_when_committed_is_input(void **state)
{
	void *space;
	char got[8];

	(void)state;
	begin();
	assert_int_equal(port_input_space(&rig.port, &space), PORT_INPUT_SIZE);
	memcpy(space, "typed", 5);
	port_input_commit(&rig.port, 5);
	assert_int_equal(rig.device.n_input, 1);
	assert_int_equal(port_take_input(&rig.port, got, sizeof(got)), 5);
	assert_memory_equal(got, "typed", 5);
	port_fini(&rig.port);
}

/* VC-097: typed ahead by one, delivered although the next is there. */
static void input_outlives_the_client_that_typed_it(void **state)
{
	char got[8];

	(void)state;
	begin();
	port_join(&rig.port, &rig.a.client, &client_ops);
	assert_int_equal(port_input(&rig.port, "ahead", 5), 5);
	port_leave(&rig.a.client);
	assert_int_equal(port_input_pending(&rig.port), 5);
	assert_int_equal(port_take_input(&rig.port, got, sizeof(got)), 5);
	assert_memory_equal(got, "ahead", 5);
	port_fini(&rig.port);
}

static void guest_that_comes_or_goes_is_told_to_all_once(void **state)
{
	(void)state;
	begin();
	port_join(&rig.port, &rig.a.client, &client_ops);
	port_join(&rig.port, &rig.b.client, &client_ops);
	port_set_present(&rig.port, true);
	port_set_present(&rig.port, true);
	assert_int_equal(rig.a.n_present, 1);
	port_set_present(&rig.port, false);
	assert_int_equal(rig.a.n_present, 2);
	assert_int_equal(rig.b.n_present, 2);
	port_leave(&rig.a.client);
	port_leave(&rig.b.client);
	port_fini(&rig.port);
}

static void size_is_told_when_it_changes(void **state)
{
	(void)state;
	begin();
	port_resize(&rig.port, 80, 25);
	port_resize(&rig.port, 80, 25);
	assert_int_equal(rig.device.n_size, 1);
	port_resize(&rig.port, 80, 26);
	assert_int_equal(rig.device.n_size, 2);
	port_fini(&rig.port);
}

static void port_without_a_device_or_callbacks_works(void **state)
{
	static const struct port_client_ops deaf = { .output_ready = NULL };
	struct port port;
	struct port_client client;

	(void)state;
	assert_int_equal(port_init(&port, HISTORY), 0);
	port_join(&port, &client, &deaf);
	port_output(&port, "x", 1);
	port_output_done(&port);
	assert_int_equal(port_input(&port, "x", 1), 1);
	port_set_present(&port, true);
	port_resize(&port, 1, 1);
	port_end_input(&client);
	port_leave(&client);
	port_fini(&port);
}

/* A driver may offer one buffer a million times over: only what can be kept is copied. */
static void output_larger_than_the_ring_counts_whole_and_keeps_its_end(void **state)
{
	static const struct port_client_ops ops = { 0 };
	struct port_client client;
	struct iovec iov[3];
	static char big[3000], end[2000], text[8192];
	struct port port;
	size_t n;

	(void)state;
	assert_int_equal(port_init(&port, 4096), 0);
	memset(big, 'b', sizeof(big));
	memset(end, 'e', sizeof(end));
	iov[0] = (struct iovec){ big, sizeof(big) };
	iov[1] = (struct iovec){ big, sizeof(big) };
	iov[2] = (struct iovec){ end, sizeof(end) };
	port_join(&port, &client, &ops);
	port_output_v(&port, iov, 3, 8000);
	n = port_read(&client, text, sizeof(text));
	assert_non_null(strstr(text, "[3904 bytes of output lost here]"));
	assert_int_equal(port.out.head, 8000);
	assert_memory_equal(text + n - sizeof(end), end, sizeof(end));
	assert_memory_equal(text + n - 4096, big, 2096);
	port_leave(&client);
	port_fini(&port);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(history_is_rounded_up_to_a_power_of_two),
	UNIT_TEST(output_before_a_client_is_read_in_order),
	UNIT_TEST(clients_read_at_cursors_of_their_own),
	UNIT_TEST(reads_in_small_pieces_lose_nothing),
	UNIT_TEST(slow_client_sees_how_much_it_lost_once),
	UNIT_TEST(marker_of_any_number_fits),
	UNIT_TEST(host_side_is_open_while_anybody_is_there),
	UNIT_TEST(writer_is_the_first_and_then_the_next),
	UNIT_TEST(writer_whose_input_ended_hands_over_and_reads_on),
	UNIT_TEST(input_is_bounded_and_room_is_told_to_the_writer),
	UNIT_TEST(input_space_when_committed_is_input),
	UNIT_TEST(input_outlives_the_client_that_typed_it),
	UNIT_TEST(guest_that_comes_or_goes_is_told_to_all_once),
	UNIT_TEST(size_is_told_when_it_changes),
	UNIT_TEST(port_without_a_device_or_callbacks_works),
	UNIT_TEST(output_larger_than_the_ring_counts_whole_and_keeps_its_end),
};
UNIT_MAIN(tests)
