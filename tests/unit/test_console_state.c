/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A console as state, without queues: what is saved, what is refused, what is changed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

#include "virtio/console-state.h"

enum { HISTORY = 1024, N_PORTS = 4 };

/* Ports 0, a console that drops, and 2, "data", which holds and whose client does not read. */
struct side {
	struct console con;
	struct port ports[2];
	struct port_client client;
};

struct pair {
	struct side here, there;
};

static void side_init(struct side *s)
{
	static const struct port_client_ops ops = { 0 };
	static const struct port_client_options options = { .writes = true, .holds = true };

	assert_int_equal(console_init(&s->con, N_PORTS, false), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(port_init(&s->ports[i], HISTORY), 0);
	snprintf(s->ports[1].name, sizeof(s->ports[1].name), "data");
	s->ports[1].console = false;
	s->ports[1].overflow = PORT_HOLD;
	console_add_port(&s->con, 0, &s->ports[0]);
	console_add_port(&s->con, 2, &s->ports[1]);
	port_join(&s->ports[1], &s->client, &ops, &options);
}

static void side_fini(struct side *s)
{
	for (unsigned int i = 0; i < N_PORTS; i++)
		if (console_port(&s->con, i))
			console_remove_port(&s->con, i);
	console_fini(&s->con);
	port_leave(&s->client);
	for (unsigned int i = 0; i < 2; i++)
		port_fini(&s->ports[i]);
}

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	unit_setup(NULL);
	assert_non_null(p);
	side_init(&p->here);
	side_init(&p->there);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	side_fini(&p->here);
	side_fini(&p->there);
	free(p);
	return unit_teardown(NULL);
}

static void tell(struct console_ctrl *ctrl, uint32_t id, uint16_t event, uint16_t value)
{
	const uint16_t msg[4] = { htole16((uint16_t)id), 0, htole16(event), htole16(value) };

	console_ctrl_receive(ctrl, msg, sizeof(msg));
}

/* A driver that knows both ports, has one open, and is still to be told something. */
static void live(struct side *s)
{
	struct console_ctrl *ctrl = &s->con.ctrl;
	uint8_t msg[CONSOLE_MSG_MAX];

	tell(ctrl, 0, CONSOLE_DEVICE_READY, 1);
	while (console_ctrl_peek(ctrl, msg) > 0)
		console_ctrl_sent(ctrl);
	tell(ctrl, 0, CONSOLE_PORT_READY, 1);
	tell(ctrl, 2, CONSOLE_PORT_READY, 1);
	tell(ctrl, 2, CONSOLE_PORT_OPEN, 1);
	port_resize(&s->ports[0], 80, 25);
	port_output(&s->ports[0], "printed", 7);
	port_output(&s->ports[1], "undelivered", 11);
	port_input(&s->ports[1], "typed", 5);
}

static struct state_writer saved(struct side *s)
{
	struct state_writer w;

	s->con.vdev.ops->freeze(&s->con.vdev);
	assert_int_equal(s->con.vdev.ops->save(&s->con.vdev, &w), 0);
	s->con.vdev.ops->thaw(&s->con.vdev, false);
	return w;
}

static int load(struct side *s, const void *buf, size_t len, char *ret_why, size_t cap)
{
	return s->con.vdev.ops->load(&s->con.vdev, buf, len, ret_why, cap);
}

static void refused(struct pair *p, const char *why_part)
{
	struct state_writer w = saved(&p->here);
	char why[STATE_WHY_MAX] = "";

	assert_int_equal(load(&p->there, w.buf, w.len, why, sizeof(why)), -EINVAL);
	if (!strstr(why, why_part))
		fail_msg("\"%s\" does not say \"%s\"", why, why_part);
	assert_null(p->there.con.loaded);
	state_writer_fini(&w);
}

/* VU-195: what the driver knows and has said, and the bytes of both directions. */
static void state_when_loaded_and_applied_is_the_same_state(void **state)
{
	struct pair *p = *state;
	struct state_writer before, after;
	char why[STATE_WHY_MAX] = "";

	live(&p->here);
	before = saved(&p->here);
	assert_int_equal(load(&p->there, before.buf, before.len, why, sizeof(why)), 0);
	assert_false(p->there.ports[1].guest_open); /* not in force yet */
	assert_int_equal(bytering_used(&p->there.ports[1].in), 0);
	console_apply_loaded(&p->there.con);
	assert_true(p->there.ports[1].guest_open);
	assert_int_equal(p->there.ports[0].cols, 80);
	after = saved(&p->there);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.buf, after.buf, before.len);
	state_writer_fini(&before);
	state_writer_fini(&after);
}

/* For a successor in this place: positions and counters as well. */
static void state_when_it_stays_here_has_the_same_positions(void **state)
{
	struct pair *p = *state;
	struct state_writer w;
	struct state_reader r;

	live(&p->here);
	bytering_consume(&p->here.ports[1].in, 2);
	state_writer_init(&w, 1, 1);
	console_save(&p->here.con, &w, PORT_STATE_HERE);
	assert_int_equal(state_finish(&w), 0);
	state_reader_init(&r, w.buf, w.len, 1, 1);
	assert_int_equal(console_load(&p->there.con, &r, PORT_STATE_HERE), 0);
	console_apply_loaded(&p->there.con);
	for (unsigned int i = 0; i < 2; i++) {
		const struct port *a = &p->here.ports[i], *b = &p->there.ports[i];
		char text[16] = "";

		assert_int_equal(a->out.head, b->out.head);
		assert_int_equal(a->out.tail, b->out.tail);
		assert_int_equal(a->in.head, b->in.head);
		assert_int_equal(a->in.tail, b->in.tail);
		assert_int_equal(a->counters.output, b->counters.output);
		bytering_copy_at(&b->in, b->in.tail, text, sizeof(text) - 1);
		assert_string_equal(text, i == 1 ? "ped" : "");
	}
	state_writer_fini(&w);
}

static void state_when_a_port_is_not_here_is_refused(void **state)
{
	struct pair *p = *state;

	live(&p->here);
	console_remove_port(&p->there.con, 2);
	refused(p, "there is no port 2 here");
}

static void state_when_a_port_has_another_name_is_refused(void **state)
{
	struct pair *p = *state;

	live(&p->here);
	snprintf(p->there.ports[1].name, sizeof(p->there.ports[1].name), "date");
	refused(p, "named \"data\" there: expected \"date\"");
}

static void state_when_a_port_is_of_another_kind_is_refused(void **state)
{
	struct pair *p = *state;

	live(&p->here);
	p->there.ports[1].console = true;
	refused(p, "is a console here");
}

static void state_when_output_has_no_room_here_is_refused(void **state)
{
	struct pair *p = *state;

	live(&p->here);
	bytering_fini(&p->there.ports[1].out);
	assert_int_equal(bytering_init(&p->there.ports[1].out, 8), 0);
	refused(p, "11 bytes of output are undelivered: expected 8 at most");
}

static void state_when_sizes_are_told_otherwise_is_refused(void **state)
{
	struct pair *p = *state;

	live(&p->here);
	p->there.con.ctrl.rows_first = true;
	refused(p, "rows first here");
}

/* A port that the driver does not know yet is one that was plugged in. */
static void port_when_only_here_is_told_as_new(void **state)
{
	struct pair *p = *state;
	struct state_writer w;
	char why[STATE_WHY_MAX];

	console_remove_port(&p->here.con, 2);
	live(&p->here);
	w = saved(&p->here);
	assert_int_equal(load(&p->there, w.buf, w.len, why, sizeof(why)), 0);
	console_apply_loaded(&p->there.con);
	assert_true(p->there.con.ctrl.ports[2].todo & BIT(CONSOLE_PORT_ADD));
	assert_false(p->there.con.ctrl.ports[2].known);
	state_writer_fini(&w);
}

/* A port that was taken away between the two steps is told as removed. */
static void port_when_gone_since_the_load_is_told_as_removed(void **state)
{
	struct pair *p = *state;
	struct state_writer w;
	char why[STATE_WHY_MAX];

	live(&p->here);
	w = saved(&p->here);
	assert_int_equal(load(&p->there, w.buf, w.len, why, sizeof(why)), 0);
	console_remove_port(&p->there.con, 2);
	console_apply_loaded(&p->there.con);
	assert_int_equal(p->there.con.ctrl.ports[2].todo, BIT(CONSOLE_PORT_REMOVE));
	assert_true(p->there.con.ctrl.ports[2].draining);
	state_writer_fini(&w);
}

static void forge(uint8_t *buf, size_t len)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len - STATE_CHECK_LEN; i++)
		sum = (sum ^ buf[i]) * UINT64_C(0x100000001b3);
	sum = htole64(sum);
	memcpy(buf + len - STATE_CHECK_LEN, &sum, sizeof(sum));
}

/* VU-200: with a sum that fits, a byte that makes no sense is refused, and any other does no harm.
 */
static void state_when_forged_does_no_harm(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	struct pair *p = *state;
	struct state_writer w;
	unsigned int n_taken = 0;

	live(&p->here);
	w = saved(&p->here);
	for (size_t i = 0; i < w.len - STATE_CHECK_LEN; i++) {
		for (size_t x = 0; x < ARRAY_SIZE(flips); x++) {
			uint8_t *forged = malloc(w.len);
			char why[STATE_WHY_MAX] = "";

			assert_non_null(forged);
			memcpy(forged, w.buf, w.len);
			forged[i] ^= flips[x];
			forge(forged, w.len);
			if (load(&p->there, forged, w.len, why, sizeof(why)) == 0)
				n_taken++;
			else
				assert_true(why[0] != '\0' && !p->there.con.loaded);
			free(forged);
			console_apply_loaded(&p->there.con);
			assert_true(p->there.con.ctrl.limit <= N_PORTS);
		}
	}
	assert_true(n_taken > 0); /* contents are anybody's */
	state_writer_fini(&w);
}

#define STATE_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static const struct CMUnitTest tests[] = {
	STATE_TEST(state_when_loaded_and_applied_is_the_same_state),
	STATE_TEST(state_when_it_stays_here_has_the_same_positions),
	STATE_TEST(state_when_a_port_is_not_here_is_refused),
	STATE_TEST(state_when_a_port_has_another_name_is_refused),
	STATE_TEST(state_when_a_port_is_of_another_kind_is_refused),
	STATE_TEST(state_when_output_has_no_room_here_is_refused),
	STATE_TEST(state_when_sizes_are_told_otherwise_is_refused),
	STATE_TEST(port_when_only_here_is_told_as_new),
	STATE_TEST(port_when_gone_since_the_load_is_told_as_removed),
	STATE_TEST(state_when_forged_does_no_harm),
};

UNIT_MAIN(tests)
