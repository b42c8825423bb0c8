/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A port that stands still while its contents move: what clients have, and what they had read. */
#include "bulk_rig.h"
#include "pty_rig.h"

#include "backends/port-state.h"

enum { STREAM_LEN = 200 * 1024, ROUNDS = 40 };

static uint8_t sent[STREAM_LEN], got[STREAM_LEN];
static unsigned int n_frozen;

static void on_frozen(struct port *port)
{
	(void)port;
	n_frozen++;
}

static const struct port_device_ops freezing_ops = {
	.input_ready = on_input,
	.output_room = on_room,
	.host_open_changed = on_open,
	.size_changed = on_size,
	.frozen = on_frozen,
};

static void begin_frozen_kind(bool tcp)
{
	rig_begin_lossless();
	rig.port.dev_ops = &freezing_ops;
	rig_fill(sent, sizeof(sent));
	serve_kind(tcp ? ATTACHMENT_tcp_server : ATTACHMENT_unix_server);
}

static int join_kind(bool tcp)
{
	return tcp ? join() : join_unix();
}

static void freeze(void)
{
	n_frozen = 0;
	port_freeze(&rig.port);
	PUMP_UNTIL(n_frozen > 0);
	assert_int_equal(n_frozen, 1);
	assert_true(port_is_frozen(&rig.port));
}

/* The input in the port's state; returns how much it is. */
static size_t saved_input(uint8_t *buf, size_t cap)
{
	struct port_state s;
	struct state_writer w;
	struct state_reader r;
	struct port other;
	size_t len;

	assert_int_equal(port_init(&other, HISTORY), 0);
	other.console = rig.port.console;
	other.overflow = rig.port.overflow;
	state_writer_init(&w, 1, 1);
	port_save(&rig.port, &w, PORT_STATE_MOVED);
	assert_int_equal(state_finish(&w), 0);
	state_reader_init(&r, w.buf, w.len, 1, 1);
	assert_int_equal(port_state_read(&s, &other, &r, PORT_STATE_MOVED), 0);
	port_state_apply(&s, &other);
	len = port_take_input(&other, buf, cap);
	port_state_fini(&s);
	port_fini(&other);
	state_writer_fini(&w);
	return len;
}

/* The port is nearly full, and the client has read more than fits. Returns how much came. */
static size_t flood(int fd)
{
	enum { LEFT = 1000, TYPED = 5000 };
	const size_t before = PORT_INPUT_SIZE - LEFT;

	assert_int_equal(port_input(&rig.port, sent, before), before);
	send_all(fd, sent + before, TYPED);
	PUMP_UNTIL(bytering_used(&rig.port.in) == PORT_INPUT_SIZE);
	send_all(fd, sent + before + TYPED, TYPED);
	return before + 2 * (size_t)TYPED;
}

/* What a client has read and the port had no room for moves along, and nothing moves twice. */
static void input_when_moved_goes_on_where_the_state_ends(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		size_t n_sent, n_saved;
		int fd;

		begin_frozen_kind(tcp);
		fd = join_kind(tcp);
		n_sent = flood(fd);
		freeze();
		n_saved = saved_input(got, sizeof(got));
		assert_true(n_saved > PORT_INPUT_SIZE && n_saved < n_sent);
		assert_memory_equal(got, sent, n_saved);
		port_forget(&rig.port);
		take_exactly(sent + n_saved, n_sent - n_saved);
		end_at_once(fd);
	}
}

static void input_when_thawed_goes_on_as_if_nothing_had_been(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		size_t n_sent;
		int fd;

		begin_frozen_kind(tcp);
		fd = join_kind(tcp);
		n_sent = flood(fd);
		freeze();
		assert_true(saved_input(got, sizeof(got)) > PORT_INPUT_SIZE);
		port_thaw(&rig.port);
		take_exactly(sent, n_sent);
		end_at_once(fd);
	}
}

/* A read that waits is ended, and none begins. */
static void client_when_frozen_reads_and_is_given_nothing(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		char byte;
		int fd;

		begin_frozen_kind(tcp);
		fd = join_kind(tcp);
		rig_step_quietly();
		freeze();
		assert_int_equal(write(fd, "typed", 5), 5);
		assert_int_equal(rig_offer((const uint8_t *)"output", 6), 6);
		rig_step_quietly();
		assert_int_equal(bytering_used(&rig.port.in), 0);
		assert_true(read(fd, &byte, 1) < 0);
		port_thaw(&rig.port);
		take_exactly((const uint8_t *)"typed", 5);
		rig_read_all(fd, got, 6, 6);
		assert_memory_equal(got, "output", 6);
		end_at_once(fd);
	}
}

static void client_when_it_comes_or_goes_while_frozen_holds_nothing_up(void **state)
{
	int first, second;

	(void)state;
	begin_frozen_kind(false);
	first = join_unix();
	freeze();
	second = join_unix();
	assert_int_equal(write(second, "watcher", 7), 7);
	close(first);
	rig_step_quietly();
	n_frozen = 0;
	port_freeze(&rig.port);
	PUMP_UNTIL(n_frozen > 0);
	port_thaw(&rig.port);
	PUMP_UNTIL(rig.port.n_clients == 1);
	end_at_once(second);
}

/* Again and again under way: no byte is lost, doubled, or out of order, in either direction. */
static void stream_when_frozen_now_and_then_stays_whole(void **state)
{
	(void)state;
	EACH_SOCKET
	{
		size_t n_sent = 0, n_taken = 0;
		time_t deadline = rig_seconds() + DEADLINE_SECONDS;
		int fd;

		begin_frozen_kind(tcp);
		memset(got, 0, sizeof(got));
		fd = join_kind(tcp);
		for (unsigned int i = 0; n_taken < sizeof(sent); i++) {
			ssize_t n = write(fd, sent + n_sent, min_size(5000, sizeof(sent) - n_sent));

			n_sent += n > 0 ? (size_t)n : 0;
			if (i % 7 == 3)
				port_freeze(&rig.port);
			rig_step_before(deadline);
			port_thaw(&rig.port);
			n_taken += rig_take(got + n_taken, min_size(7000, sizeof(got) - n_taken));
		}
		assert_memory_equal(got, sent, sizeof(sent));
		end_at_once(fd);
	}
}

/* The same for a terminal that a program has open. */
static void pty_when_frozen_now_and_then_stays_whole(void **state)
{
	static const char line[] = "typed in pieces\n";
	char text[sizeof(line) * ROUNDS] = "", all[sizeof(text)] = "";
	size_t len = 0;
	int fd;

	(void)state;
	begin();
	rig.port.dev_ops = &freezing_ops;
	fd = open_and_join();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		strcat(all, line);
		if (i % 3 == 1)
			freeze();
		assert_int_equal(write(fd, line, strlen(line)), strlen(line));
		rig_step_quietly();
		port_thaw(&rig.port);
	}
	PUMP_UNTIL((len += rig_take((uint8_t *)text + len, sizeof(text) - 1 - len)) >= strlen(all));
	assert_string_equal(text, all);
	close(fd);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(input_when_moved_goes_on_where_the_state_ends),
	UNIT_TEST(input_when_thawed_goes_on_as_if_nothing_had_been),
	UNIT_TEST(client_when_frozen_reads_and_is_given_nothing),
	UNIT_TEST(client_when_it_comes_or_goes_while_frozen_holds_nothing_up),
	UNIT_TEST(stream_when_frozen_now_and_then_stays_whole),
	TEST(pty_when_frozen_now_and_then_stays_whole),
};

UNIT_MAIN(tests)
