/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Output and input past the buffers of a port, with a client that takes and gives at once. */
#include "port_rig.h"

enum {
	BIG = 2048, /* bytes from which on output goes straight */
	SINK = 64 * 1024,
};

/* What it takes at once goes where what it reads goes: the order shows. */
struct direct {
	struct port_client client;
	uint8_t sink[SINK];
	size_t len;
	size_t room;   /* that it takes at once */
	bool gives_up; /* when there is no room, instead of waiting for it */
	size_t source; /* bytes of input that it can give */
	size_t n_given;
	unsigned int n_now, n_room;
};

static struct direct d;
static uint64_t n_offered, n_taken; /* of output, of input */

static uint8_t byte_at(uint64_t pos)
{
	return (uint8_t)(pos * 7 + pos / 251);
}

static void sink(struct direct *x, const void *data, size_t len)
{
	assert_true(len <= SINK - x->len);
	memcpy(x->sink + x->len, data, len);
	x->len += len;
}

static size_t output_now(struct port_client *c, const struct iovec *iov, unsigned int n)
{
	struct direct *x = container_of(c, struct direct, client);
	size_t done = 0;

	assert_true(c->takes_now && !c->full && c->pos == c->port->out.head);
	x->n_now++;
	for (unsigned int i = 0; i < n; i++) {
		size_t len = min_size(iov[i].iov_len, x->room);

		sink(x, iov[i].iov_base, len);
		x->room -= len;
		done += len;
		if (len == iov[i].iov_len)
			continue;
		c->full = !x->gives_up;
		c->takes_now &= c->full || done > 0;
		break;
	}
	return done;
}

static size_t input_now(struct port_client *c, const struct iovec *iov, unsigned int n)
{
	struct direct *x = container_of(c, struct direct, client);
	size_t done = 0;

	assert_true(c->gives_now && port_is_writer(c));
	for (unsigned int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len && x->source > 0; k++, x->source--, done++)
			((uint8_t *)iov[i].iov_base)[k] = byte_at(x->n_given++);
	c->gives_now = x->source > 0;
	return done;
}

static void direct_room(struct port_client *c)
{
	struct direct *x = container_of(c, struct direct, client);

	x->n_room++;
	if (!port_is_writer(c))
		c->gives_now = false;
}

static const struct port_client_ops direct_ops = {
	.output_now = output_now,
	.input_now = input_now,
	.input_room = direct_room,
};

static void join_direct(const struct port_client_options *options)
{
	d = (struct direct){ .room = SIZE_MAX };
	n_offered = n_taken = 0;
	port_join(&rig.port, &d.client, &direct_ops, options);
	d.client.takes_now = true;
}

/* A port that holds, with a client that takes output at once. */
static void begin(void)
{
	rig.port.overflow = PORT_HOLD;
	join_direct(&worker);
}

static void end(void)
{
	port_leave(&d.client);
}

static void read_up(void)
{
	uint8_t buf[HISTORY];
	size_t n;

	while ((n = port_read(&d.client, buf, sizeof(buf))) > 0)
		sink(&d, buf, n);
}

/* The next len bytes of output, in pieces of three sizes; returns how many went. */
static size_t offer(size_t len)
{
	static uint8_t bytes[SINK];
	struct iovec iov[3] = { { bytes, len / 7 },
				{ bytes + len / 7, len / 2 },
				{ bytes + len / 7 + len / 2, len - len / 7 - len / 2 } };
	size_t n;

	for (size_t i = 0; i < len; i++)
		bytes[i] = byte_at(n_offered + i);
	n = (size_t)port_output_v(&rig.port, iov, 3, len);
	port_output_done(&rig.port);
	n_offered += n;
	if (n < len && port_output_room(&rig.port) == 0)
		port_output_stalled(&rig.port);
	return n;
}

/* The client has all that was taken, once and in order. */
static void expect_all(void)
{
	read_up();
	assert_int_equal(d.len, n_offered);
	for (size_t i = 0; i < d.len; i++)
		assert_int_equal(d.sink[i], byte_at(i));
	assert_true(rig.port.counters.output == n_offered);
	assert_true(rig.port.counters.output_lost == 0);
}

/* The next n bytes of input, in two vectors. */
static void take(size_t n)
{
	uint8_t buf[HISTORY];
	struct iovec iov[2] = { { buf, n / 3 }, { buf + n / 3, n - n / 3 } };

	assert_int_equal(port_take_input_v(&rig.port, iov, 2), n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf[i], byte_at(n_taken + i));
	n_taken += n;
}

static void take_nothing(void)
{
	uint8_t buf[16];

	assert_int_equal(port_take_input(&rig.port, buf, sizeof(buf)), 0);
}

static void queue_input(size_t n)
{
	uint8_t buf[HISTORY];

	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(d.n_given++);
	assert_int_equal(port_input(&rig.port, buf, n), n);
}

static void give(size_t n)
{
	d.source = n;
	port_input_offer(&d.client);
}

static void large_output_goes_straight_to_the_only_client(void **state)
{
	(void)state;
	begin();
	assert_int_equal(offer(3 * HISTORY), 3 * HISTORY);
	assert_int_equal(d.len, 3 * HISTORY);
	assert_false(port_readable(&d.client));
	assert_true(d.client.n_read == 3 * HISTORY);
	assert_true(rig.port.out.head == 3 * HISTORY && rig.port.out.tail == 3 * HISTORY);
	expect_all();
	end();
}

static void small_output_goes_through_the_ring(void **state)
{
	(void)state;
	begin();
	assert_int_equal(offer(BIG - 1), BIG - 1);
	assert_int_equal(d.n_now, 0);
	expect_all();
	assert_int_equal(offer(BIG), BIG);
	assert_int_equal(d.n_now, 1);
	expect_all();
	end();
}

/* What was not read yet comes first. */
static void output_behind_the_ring_waits_its_turn(void **state)
{
	(void)state;
	begin();
	assert_int_equal(offer(100), 100);
	assert_int_equal(offer(BIG), BIG);
	assert_int_equal(d.n_now, 0);
	read_up();
	assert_int_equal(offer(BIG), BIG);
	assert_int_equal(d.n_now, 1);
	assert_int_equal(offer(50), 50);
	assert_int_equal(offer(BIG + 1), BIG + 1);
	assert_int_equal(d.n_now, 1);
	expect_all();
	end();
}

static void output_of_any_size_and_way_keeps_its_order(void **state)
{
	uint64_t seed = 88172645463325252;

	(void)state;
	begin();
	while (n_offered < SINK - 3 * HISTORY) {
		size_t before = d.len;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		d.room = (seed >> 8) % (2 * HISTORY);
		offer(1 + (seed >> 24) % (3 * HISTORY));
		if (d.client.full && seed % 3)
			port_output_again(&d.client);
		if (seed % 5 == 0 || d.len == before)
			read_up();
		if (d.client.full && d.len == before)
			port_output_again(&d.client);
		d.client.takes_now = true;
	}
	expect_all();
	assert_true(d.n_now > 0);
	end();
}

/* VC-062: the guest waits while the client does, and goes on where it was. */
static void output_that_goes_in_part_waits_for_room(void **state)
{
	(void)state;
	begin();
	d.room = 1000;
	assert_int_equal(offer(5000), 1000);
	assert_true(port_output_room(&rig.port) == 0);
	assert_true(rig.port.stalled);
	assert_int_equal(offer(5000), 0); /* large or small */
	assert_int_equal(offer(10), 0);
	assert_int_equal(d.n_now, 1);
	assert_int_equal(rig.device.n_room, 0);
	d.room = SIZE_MAX;
	port_output_again(&d.client);
	assert_int_equal(rig.device.n_room, 1);
	assert_false(rig.port.stalled);
	assert_int_equal(offer(4000), 4000);
	expect_all();
	assert_true(rig.port.counters.n_stalls == 1);
	end();
}

static void client_that_takes_no_more_at_once_gets_the_rest_from_the_ring(void **state)
{
	(void)state;
	for (unsigned int how = 0; how < 2; how++) {
		begin();
		d.room = 1000;
		d.gives_up = how == 0;
		assert_int_equal(offer(4000), 1000);
		d.room = 0;
		if (how == 0) {
			assert_int_equal(offer(4000), 0);
		} else {
			d.client.takes_now = false; /* it was full for too long */
			port_output_again(&d.client);
			assert_int_equal(rig.device.n_room, 1);
		}
		assert_true(port_output_room(&rig.port) == HISTORY);
		assert_int_equal(offer(HISTORY + 1), HISTORY);
		assert_true(port_output_room(&rig.port) == 0);
		expect_all();
		end();
		memset(&rig.port.counters, 0, sizeof(rig.port.counters));
		rig.device.n_room = 0;
	}
}

/* Then there are two to wait for, and a ring to keep it in. */
static void client_that_joins_while_one_is_full_wakes_the_device(void **state)
{
	(void)state;
	begin();
	d.room = 1000;
	assert_int_equal(offer(5000), 1000);
	join(&rig.a, &worker);
	assert_int_equal(rig.device.n_room, 1);
	assert_true(port_output_room(&rig.port) == HISTORY);
	n_offered = 1000;
	assert_int_equal(offer(3000), 3000);
	assert_int_equal(d.n_now, 1);
	assert_true(port_output_room(&rig.port) == HISTORY - 3000);
	port_output_again(&d.client);
	read_up();
	assert_true(rig.a.client.pos == 1000);
	assert_true(rig.a.client.n_lost == 0);
	leave(&rig.a);
	assert_int_equal(offer(3000), 0); /* alone again, up to date, and there was no room */
	d.room = SIZE_MAX;
	port_output_again(&d.client);
	assert_int_equal(offer(3000), 3000);
	expect_all();
	end();
}

static void second_client_gets_all_from_when_it_came(void **state)
{
	static char buf[2 * HISTORY];

	(void)state;
	begin();
	assert_int_equal(offer(3000), 3000);
	join(&rig.a, &worker);
	assert_int_equal(offer(3000), 3000);
	assert_int_equal(d.n_now, 1);
	assert_int_equal(port_read(&rig.a.client, buf, sizeof(buf)), 3000);
	for (size_t i = 0; i < 3000; i++)
		assert_int_equal((uint8_t)buf[i], byte_at(3000 + i));
	assert_true(rig.a.client.n_lost == 0);
	leave(&rig.a);
	expect_all();
	end();
}

static void client_that_leaves_while_it_is_full_lets_the_guest_go_on(void **state)
{
	(void)state;
	begin();
	d.room = 1000;
	assert_int_equal(offer(5000), 1000);
	end();
	assert_int_equal(rig.device.n_room, 1);
	assert_true(port_output_room(&rig.port) == UINT64_MAX);
	assert_int_equal(offer(9000), 9000);
}

static void port_that_drops_or_discards_ends_the_wait(void **state)
{
	(void)state;
	for (unsigned int how = 0; how < 2; how++) {
		begin();
		d.room = 1000;
		assert_int_equal(offer(5000), 1000);
		rig.device.n_room = 0;
		if (how == 0)
			port_set_overflow(&rig.port, PORT_DROP);
		else
			port_enable_output(&rig.port, false);
		assert_int_equal(rig.device.n_room, 1);
		assert_int_equal(offer(3000), 3000);
		assert_int_equal(d.n_now, 1);
		assert_int_equal(d.len, 1000);
		port_enable_output(&rig.port, true);
		end();
	}
	assert_true(rig.port.counters.output_discarded == 3000);
}

/* Where somebody may ask for it later, or a console must not wait, it is kept. */
static void output_is_kept_unless_it_goes_to_one_who_holds(void **state)
{
	static const struct port_client_options watcher = { .writes = true };

	(void)state;
	for (unsigned int how = 0; how < 5; how++) {
		rig.port.overflow = how == 0 ? PORT_DROP : PORT_HOLD;
		rig.port.n_replayers = how == 1;
		join_direct(how == 2 ? &watcher : &worker);
		if (how == 3)
			d.client.notice = "a line to be told first";
		if (how == 4)
			d.client.takes_now = false;
		offer(BIG);
		assert_int_equal(d.n_now, 0);
		assert_true(rig.port.out.head - rig.port.out.tail >= BIG);
		read_up();
		assert_int_equal(d.len, BIG);
		port_leave(&d.client);
	}
	rig.port.n_replayers = 0;
}

/* A notice is for people only; it goes with the next read. */
static void output_goes_straight_again_after_a_notice(void **state)
{
	(void)state;
	begin();
	d.client.notice = "never shown to a program";
	assert_int_equal(offer(BIG), BIG);
	expect_all();
	assert_int_equal(offer(BIG), BIG);
	assert_int_equal(d.n_now, 1);
	expect_all();
	end();
}

static void disabled_output_goes_nowhere(void **state)
{
	(void)state;
	begin();
	port_enable_output(&rig.port, false);
	offer(5000);
	assert_int_equal(d.n_now, 0);
	assert_int_equal(d.len, 0);
	assert_true(rig.port.counters.output_discarded == 5000);
	end();
}

static void input_comes_straight_from_the_writer(void **state)
{
	(void)state;
	begin();
	assert_false(port_input_flows(&rig.port));
	give(5000);
	assert_int_equal(rig.device.n_input, 1);
	assert_int_equal(port_input_pending(&rig.port), 0);
	assert_true(port_input_flows(&rig.port));
	take(2000);
	assert_true(port_input_flows(&rig.port));
	take(3000);
	assert_false(port_input_flows(&rig.port));
	take_nothing();
	assert_true(rig.port.counters.input == 5000 && d.client.n_written == 5000);
	assert_int_equal(d.n_room, 0);
	end();
}

static void queued_input_comes_before_what_the_writer_gives(void **state)
{
	(void)state;
	begin();
	queue_input(1000);
	give(1000);
	take(600);
	take(400);
	assert_int_equal(d.source, 1000);
	assert_int_equal(d.n_room, 2);
	take(1000);
	queue_input(10);
	take(10);
	end();
}

static void input_taken_at_once_is_shown_to_who_looks_on(void **state)
{
	(void)state;
	begin();
	join(&rig.a, &file);
	give(3000);
	take(1000);
	assert_int_equal(rig.a.n_seen, 1000);
	take(2000);
	assert_int_equal(rig.a.n_seen, 3000);
	leave(&rig.a);
	end();
}

static void leave_a(struct counter *c)
{
	leave(c);
}

static void onlooker_may_leave_while_it_is_shown_input(void **state)
{
	(void)state;
	begin();
	join(&rig.a, &file);
	join(&rig.b, &file);
	rig.a.reaction = leave_a;
	give(1000);
	take(1000);
	assert_int_equal(rig.b.n_seen, 1000);
	leave(&rig.b);
	end();
}

static void disabled_input_stays_with_the_writer(void **state)
{
	(void)state;
	begin();
	give(3000);
	take(1000);
	port_enable_input(&rig.port, false);
	assert_false(port_input_flows(&rig.port));
	take_nothing();
	assert_int_equal(d.source, 2000);
	rig.device.n_input = 0;
	port_input_offer(&d.client);
	assert_int_equal(rig.device.n_input, 0);
	port_enable_input(&rig.port, true);
	assert_int_equal(rig.device.n_input, 1);
	take(2000);
	end();
}

static void writer_that_lost_its_role_gives_no_more(void **state)
{
	(void)state;
	begin();
	join(&rig.a, &worker);
	give(3000);
	take(1000);
	port_steal(&rig.a.client);
	assert_false(port_input_flows(&rig.port));
	take_nothing();
	assert_int_equal(d.source, 2000);
	rig.device.n_input = 0;
	port_input_offer(&d.client); /* a watcher may say so; nobody is told */
	assert_int_equal(rig.device.n_input, 0);
	assert_false(port_input_flows(&rig.port));
	take_nothing();
	leave(&rig.a);
	end();
}

/* A peer that keeps up with whatever it is given, and gives as much. */
static size_t keep_up(struct port_client *c, const struct iovec *iov, unsigned int n)
{
	size_t len = 0;

	(void)c;
	d.n_now++;
	for (unsigned int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

static const struct port_client_ops tireless_ops = {
	.output_now = keep_up,
	.input_now = keep_up,
	.input_room = direct_room,
};

/* A driver chooses how much a chain has; others wait for the end of the call. */
static void call_of_a_peer_that_keeps_up_is_bounded(void **state)
{
	enum { MOST = 384 * 1024, PIECES = 16, PIECE = 100 * 1024 };

	static uint8_t bytes[1]; /* nobody looks at them */
	const struct iovec wide = { bytes, 1 << 30 };
	struct iovec pieces[PIECES];

	(void)state;
	for (unsigned int i = 0; i < PIECES; i++)
		pieces[i] = (struct iovec){ bytes, PIECE };
	begin();
	d.client.ops = &tireless_ops;
	assert_true(port_output_v(&rig.port, &wide, 1, wide.iov_len) == MOST);
	assert_true(port_output_room(&rig.port) > 0);
	assert_true(port_output_v(&rig.port, pieces, PIECES, PIECES * PIECE) == 3 * PIECE);
	assert_true(port_output_v(&rig.port, pieces, 3, 3 * PIECE) == 3 * PIECE);
	assert_true(rig.port.counters.output == MOST + 6 * PIECE);
	assert_int_equal(d.n_now, 3);

	port_input_offer(&d.client);
	assert_int_equal(port_take_input_v(&rig.port, &wide, 1), MOST);
	assert_int_equal(port_take_input_v(&rig.port, pieces, PIECES), 3 * PIECE);
	assert_true(port_input_flows(&rig.port));
	end();
}

static const struct CMUnitTest tests[] = {
	PORT_TEST(large_output_goes_straight_to_the_only_client),
	PORT_TEST(small_output_goes_through_the_ring),
	PORT_TEST(output_behind_the_ring_waits_its_turn),
	PORT_TEST(output_of_any_size_and_way_keeps_its_order),
	PORT_TEST(output_that_goes_in_part_waits_for_room),
	PORT_TEST(client_that_takes_no_more_at_once_gets_the_rest_from_the_ring),
	PORT_TEST(client_that_joins_while_one_is_full_wakes_the_device),
	PORT_TEST(second_client_gets_all_from_when_it_came),
	PORT_TEST(client_that_leaves_while_it_is_full_lets_the_guest_go_on),
	PORT_TEST(port_that_drops_or_discards_ends_the_wait),
	PORT_TEST(output_is_kept_unless_it_goes_to_one_who_holds),
	PORT_TEST(output_goes_straight_again_after_a_notice),
	PORT_TEST(disabled_output_goes_nowhere),
	PORT_TEST(input_comes_straight_from_the_writer),
	PORT_TEST(queued_input_comes_before_what_the_writer_gives),
	PORT_TEST(input_taken_at_once_is_shown_to_who_looks_on),
	PORT_TEST(onlooker_may_leave_while_it_is_shown_input),
	PORT_TEST(disabled_input_stays_with_the_writer),
	PORT_TEST(writer_that_lost_its_role_gives_no_more),
	PORT_TEST(call_of_a_peer_that_keeps_up_is_bounded),
};
UNIT_MAIN(tests)
