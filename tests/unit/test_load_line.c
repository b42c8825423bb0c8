/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A line against a device and a peer that the tests play, honestly or not. */
#include "said_rig.h"

#include <errno.h>
#include <sys/socket.h>

#include "load/load-line.h"
#include "virtio/driverq-packed.h"
#include "virtio/features.h"

enum { RX = 0, TX = 1, RING = 8, CHUNK = 64, N_RX = 4 };

struct rig {
	struct said said;
	struct vhu_frontend fe;
	struct load_pattern pattern;
	struct load_line line;
	int far; /* the back-end's end of the peer's connection */
};

static struct load_shape rig_shape(void)
{
	return (struct load_shape){ .chunk = CHUNK, .rx_chunk = CHUNK, .chain = 1, .n_rx = N_RX };
}

static int rig_memory(struct rig *rig, uint64_t features)
{
	const struct load_shape shape = rig_shape();
	uint64_t len = load_line_memory(&shape, RING, rig->pattern.period) + 65536;
	int err = vhu_frontend_make_plain_memory(&rig->fe, len, false);

	if (err == 0)
		err = vhu_frontend_make_rings(&rig->fe, 2, VHU_CALL_EVENTFD);
	for (unsigned int i = 0; i < 2 && err == 0; i++)
		err = vhu_frontend_make_ring(&rig->fe, i, RING, features);
	return err;
}

static int setup_with(void **state, uint64_t features)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	const struct load_shape shape = rig_shape();
	int pair[2];

	*state = rig;
	if (!rig || unit_setup(state) != 0 || said_begin(&rig->said) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	rig->far = pair[1];
	rig->line.name = "line";
	vhu_frontend_init(&rig->fe, -1);
	if (load_pattern_init(&rig->pattern, CHUNK) < 0 || rig_memory(rig, features) < 0 ||
	    load_line_init(&rig->line, &rig->fe, TX, pair[0], &shape, &rig->pattern) < 0)
		return -1;
	return load_line_post(&rig->line);
}

static int setup(void **state)
{
	return setup_with(state, BIT(VIRTIO_F_VERSION_1_BIT));
}

static int setup_packed(void **state)
{
	return setup_with(state, BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_RING_PACKED_BIT));
}

static int setup_in_order(void **state)
{
	return setup_with(state, BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_IN_ORDER_BIT));
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	load_line_fini(&rig->line);
	load_pattern_fini(&rig->pattern);
	vhu_frontend_fini(&rig->fe);
	fd_close(rig->far);
	said_end(&rig->said);
	free(rig);
	return unit_teardown(state);
}

/* The device's side. */

static const struct vring *ring(const struct rig *rig, unsigned int idx)
{
	return &rig->fe.rings[idx].q.ring;
}

/* Returns a chain, whatever the device has been given. */
static void give_back(const struct rig *rig, unsigned int idx, uint32_t id, uint32_t len)
{
	const struct vring *r = ring(rig, idx);
	uint16_t used = vring_used_idx(r);

	vring_set_used_entry(r, used, id, len);
	vring_set_used_idx(r, (uint16_t)(used + 1));
}

/* The n-th chain that the driver has shown. */
static uint32_t shown(const struct rig *rig, unsigned int idx, uint16_t n)
{
	return vring_avail_entry(ring(rig, idx), n);
}

/* The driver offers n chunks, and shows them. */
static void offer(struct rig *rig, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(load_line_offer(&rig->line, 1000 + i), 0);
	assert_int_equal(load_line_show(&rig->line), 0);
}

static int reap(struct rig *rig)
{
	uint64_t at_ns;

	return load_line_reap(&rig->line, &at_ns);
}

/* The back-end's end of the connection says the stream from position pos on. */
static void far_says(struct rig *rig, uint64_t pos, size_t len)
{
	assert_int_equal(send(rig->far, load_pattern_at(&rig->pattern, pos), len, 0), len);
}

/* The device fills the n-th chain for input with the stream from position pos on. */
static void fill(const struct rig *rig, uint16_t n, uint64_t pos, uint32_t len)
{
	uint32_t id = shown(rig, RX, n);
	struct vring_desc desc = vring_desc_load(ring(rig, RX), id);

	memcpy(vhu_frontend_host(&rig->fe, desc.addr), load_pattern_at(&rig->pattern, pos), len);
	give_back(rig, RX, id, len);
}

/* Output. */

static void reap_when_chains_came_back_tells_when_each_was_offered(void **state)
{
	struct rig *rig = *state;
	uint64_t at_ns;

	offer(rig, 2);
	assert_int_equal(reap(rig), 0);
	give_back(rig, TX, shown(rig, TX, 1), 0);
	give_back(rig, TX, shown(rig, TX, 0), 0);
	assert_int_equal(load_line_reap(&rig->line, &at_ns), 1);
	assert_int_equal(at_ns, 1001);
	assert_int_equal(load_line_reap(&rig->line, &at_ns), 1);
	assert_int_equal(at_ns, 1000);
	assert_int_equal(reap(rig), 0);
	assert_int_equal(rig->line.n_violations, 0);
}

static void reap_when_the_used_index_is_too_far_fails(void **state)
{
	struct rig *rig = *state;

	offer(rig, 1);
	vring_set_used_idx(ring(rig, TX), 2);
	assert_int_equal(reap(rig), -EPROTO);
	assert_int_equal(rig->line.n_violations, 1);
	assert_true(said(&rig->said, "line: ring 1: more chains returned than offered"));
}

static void reap_when_the_id_was_not_offered_counts_a_violation(void **state)
{
	struct rig *rig = *state;

	offer(rig, 1);
	give_back(rig, TX, shown(rig, TX, 0) + 1, 0);
	assert_int_equal(reap(rig), 0);
	assert_int_equal(rig->line.n_violations, 1);
	assert_true(
		said(&rig->said, "line: ring 1: a chain returned that the device did not have"));
}

static void reap_when_the_id_is_beyond_the_ring_counts_a_violation(void **state)
{
	struct rig *rig = *state;

	offer(rig, 1);
	give_back(rig, TX, UINT32_MAX, 0);
	assert_int_equal(reap(rig), 0);
	assert_int_equal(rig->line.n_violations, 1);
}

static void reap_when_a_chain_comes_back_twice_counts_a_violation(void **state)
{
	struct rig *rig = *state;

	offer(rig, 2);
	give_back(rig, TX, shown(rig, TX, 0), 0);
	give_back(rig, TX, shown(rig, TX, 0), 0);
	assert_int_equal(reap(rig), 1);
	assert_int_equal(reap(rig), 0);
	assert_int_equal(rig->line.n_violations, 1);
}

static void reap_when_output_has_a_length_counts_a_violation(void **state)
{
	struct rig *rig = *state;

	offer(rig, 1);
	give_back(rig, TX, shown(rig, TX, 0), 1);
	assert_int_equal(reap(rig), 1);
	assert_int_equal(rig->line.n_violations, 1);
	assert_true(said(&rig->said, "more bytes reported than the chain has room for"));
}

static void violations_when_there_are_many_are_told_once(void **state)
{
	struct rig *rig = *state;

	offer(rig, 2);
	give_back(rig, TX, shown(rig, TX, 0), 7);
	give_back(rig, TX, shown(rig, TX, 1), 9);
	assert_int_equal(reap(rig), 1);
	assert_int_equal(reap(rig), 1);
	assert_int_equal(rig->line.n_violations, 2);
	assert_true(said(&rig->said, "{id 0, len 7}"));
	assert_false(said(&rig->said, "len 9"));
}

/* The chunks of a full ring, again and again, are the stream without a gap. */
static void offer_when_the_ring_goes_round_offers_the_stream(void **state)
{
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 3000; i++) {
		uint32_t id;
		struct vring_desc desc;

		offer(rig, 1);
		id = shown(rig, TX, (uint16_t)i);
		desc = vring_desc_load(ring(rig, TX), id);
		assert_int_equal(desc.len, CHUNK);
		assert_memory_equal(vhu_frontend_host(&rig->fe, desc.addr),
				    load_pattern_at(&rig->pattern, (uint64_t)i * CHUNK), CHUNK);
		give_back(rig, TX, id, 0);
		assert_int_equal(reap(rig), 1);
	}
}

static void read_when_the_output_is_right_takes_it(void **state)
{
	struct rig *rig = *state;

	offer(rig, 2);
	assert_int_equal(load_line_read(&rig->line), 0);
	far_says(rig, 0, 100);
	assert_int_equal(load_line_read(&rig->line), 100);
	far_says(rig, 100, 28);
	assert_int_equal(load_line_read(&rig->line), 28);
	assert_int_equal(rig->line.out_seen, rig->line.out_offered);
}

static void read_when_a_byte_is_wrong_fails_with_its_position(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[CHUNK];

	offer(rig, 2);
	far_says(rig, 0, CHUNK);
	assert_int_equal(load_line_read(&rig->line), CHUNK);
	memcpy(bytes, load_pattern_at(&rig->pattern, CHUNK), CHUNK);
	bytes[7] ^= 0x20;
	assert_int_equal(send(rig->far, bytes, CHUNK, 0), CHUNK);
	assert_int_equal(load_line_read(&rig->line), -EBADMSG);
	assert_true(said(&rig->said, "line: byte 71 of the output is 0x"));
}

static void read_when_a_byte_was_lost_fails(void **state)
{
	struct rig *rig = *state;

	offer(rig, 2);
	far_says(rig, 0, 10);
	far_says(rig, 11, CHUNK);
	assert_int_equal(load_line_read(&rig->line), -EBADMSG);
}

static void read_when_a_byte_comes_twice_fails(void **state)
{
	struct rig *rig = *state;

	offer(rig, 2);
	far_says(rig, 0, 10);
	far_says(rig, 9, CHUNK);
	assert_int_equal(load_line_read(&rig->line), -EBADMSG);
}

static void read_when_more_comes_than_was_written_fails(void **state)
{
	struct rig *rig = *state;

	offer(rig, 1);
	far_says(rig, 0, CHUNK + 1);
	assert_int_equal(load_line_read(&rig->line), -EBADMSG);
	assert_true(said(&rig->said, "65 bytes of output, 64 were written"));
}

static void read_when_the_back_end_hangs_up_fails(void **state)
{
	struct rig *rig = *state;

	rig->far = fd_close(rig->far);
	assert_int_equal(load_line_read(&rig->line), -ECONNRESET);
	assert_true(said(&rig->said, "at byte 0: closed by the back-end"));
}

/* What is lost at the very end shows by waiting: the line is not idle. */
static void idle_when_the_last_byte_is_missing_is_false(void **state)
{
	struct rig *rig = *state;

	offer(rig, 1);
	give_back(rig, TX, shown(rig, TX, 0), 0);
	assert_int_equal(reap(rig), 1);
	far_says(rig, 0, CHUNK - 1);
	assert_int_equal(load_line_read(&rig->line), CHUNK - 1);
	assert_false(load_line_idle(&rig->line));
	far_says(rig, CHUNK - 1, 1);
	assert_int_equal(load_line_read(&rig->line), 1);
	assert_true(load_line_idle(&rig->line));
}

/* Input. */

static void send_when_the_peer_sends_counts_what_the_socket_took(void **state)
{
	struct rig *rig = *state;
	uint8_t bytes[CHUNK];

	assert_int_equal(load_line_send(&rig->line, CHUNK), CHUNK);
	assert_int_equal(recv(rig->far, bytes, sizeof(bytes), 0), CHUNK);
	assert_memory_equal(bytes, load_pattern_at(&rig->pattern, 0), CHUNK);
	assert_int_equal(rig->line.in_sent, CHUNK);
}

static void take_when_the_input_is_right_posts_its_chains_again(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(load_line_send(&rig->line, 100), 100);
	fill(rig, 0, 0, 30);
	fill(rig, 1, 30, 64);
	fill(rig, 2, 94, 6);
	assert_int_equal(load_line_take(&rig->line), 3);
	assert_true(load_line_idle(&rig->line));
	assert_int_equal(vring_avail_idx(ring(rig, RX)), N_RX + 3);
	assert_int_equal(rig->line.n_violations, 0);
}

static void take_when_a_byte_is_wrong_fails_with_its_position(void **state)
{
	struct rig *rig = *state;
	struct vring_desc desc = vring_desc_load(ring(rig, RX), shown(rig, RX, 0));

	assert_int_equal(load_line_send(&rig->line, CHUNK), CHUNK);
	fill(rig, 0, 0, CHUNK);
	((uint8_t *)vhu_frontend_host(&rig->fe, desc.addr))[5] ^= 1;
	assert_int_equal(load_line_take(&rig->line), -EBADMSG);
	assert_true(said(&rig->said, "line: byte 5 of the input is 0x"));
}

static void take_when_a_byte_was_lost_fails(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(load_line_send(&rig->line, CHUNK), CHUNK);
	fill(rig, 0, 0, 10);
	fill(rig, 1, 11, 50);
	assert_int_equal(load_line_take(&rig->line), -EBADMSG);
}

static void take_when_a_byte_comes_twice_fails(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(load_line_send(&rig->line, CHUNK), CHUNK);
	fill(rig, 0, 0, 10);
	fill(rig, 1, 9, 50);
	assert_int_equal(load_line_take(&rig->line), -EBADMSG);
}

static void take_when_more_comes_than_was_sent_fails(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(load_line_send(&rig->line, 10), 10);
	fill(rig, 0, 0, 11);
	assert_int_equal(load_line_take(&rig->line), -EBADMSG);
	assert_true(said(&rig->said, "11 bytes of input, 10 were sent"));
}

static void take_when_a_chain_comes_back_without_input_counts_a_violation(void **state)
{
	struct rig *rig = *state;

	fill(rig, 0, 0, 0);
	assert_int_equal(load_line_take(&rig->line), 1);
	assert_int_equal(rig->line.n_violations, 1);
	assert_true(said(&rig->said, "line: ring 0: a chain for input returned without any"));
}

/* The bytes that fit are looked at all the same, and no others. */
static void take_when_the_length_is_too_large_counts_a_violation(void **state)
{
	struct rig *rig = *state;
	uint32_t id = shown(rig, RX, 0);
	struct vring_desc desc = vring_desc_load(ring(rig, RX), id);

	assert_int_equal(load_line_send(&rig->line, CHUNK), CHUNK);
	memcpy(vhu_frontend_host(&rig->fe, desc.addr), load_pattern_at(&rig->pattern, 0), CHUNK);
	give_back(rig, RX, id, UINT32_MAX);
	assert_int_equal(load_line_take(&rig->line), 1);
	assert_int_equal(rig->line.n_violations, 1);
	assert_int_equal(rig->line.in_seen, CHUNK);
}

static void take_when_the_used_index_is_too_far_fails(void **state)
{
	struct rig *rig = *state;

	vring_set_used_idx(ring(rig, RX), N_RX + 1);
	assert_int_equal(load_line_take(&rig->line), -EPROTO);
	assert_int_equal(rig->line.n_violations, 1);
	assert_true(said(&rig->said, "line: ring 0: more chains returned than offered"));
}

#define RIG_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

/* Other rings. */

/* As the device of a packed ring: takes the next chain, of one descriptor, writes and returns it.
 */
static void serve_packed(struct rig *rig, unsigned int idx, struct packed_position *at,
			 const void *bytes, uint32_t len)
{
	const struct packed_ring *r = &rig->fe.rings[idx].q.packed->ring;
	struct packed_desc desc = packed_desc_load(r, at->offset);
	uint16_t flags = packed_used_flags(at->wrap);

	assert_true(packed_is_avail(desc.flags, at->wrap));
	if (len > 0) {
		memcpy(vhu_frontend_host(&rig->fe, desc.addr), bytes, len);
		flags |= PACKED_DESC_F_WRITE;
	}
	desc.len = len;
	packed_desc_store_body(r, at->offset, desc);
	packed_desc_store_flags(r, at->offset, flags);
	*at = packed_advance(r, *at, 1);
}

static void streams_when_packed_go_on_round_after_round(void **state)
{
	struct packed_position rx = PACKED_START, tx = PACKED_START;
	struct rig *rig = *state;

	for (uint64_t round = 0; round < 100; round++) {
		uint64_t pos = round * CHUNK;

		far_says(rig, pos, CHUNK);
		assert_int_equal(load_line_send(&rig->line, CHUNK), CHUNK);
		serve_packed(rig, RX, &rx, load_pattern_at(&rig->pattern, pos), CHUNK);
		assert_int_equal(load_line_take(&rig->line), 1);
		offer(rig, 1);
		assert_int_equal(reap(rig), 0);
		serve_packed(rig, TX, &tx, NULL, 0);
		assert_int_equal(reap(rig), 1);
		assert_int_equal(load_line_read(&rig->line), CHUNK);
	}
	assert_true(load_line_idle(&rig->line));
	assert_int_equal(rig->line.n_violations, 0);
}

/* A descriptor that names nothing leaves no place from which to go on. */
static void reap_when_packed_names_nothing_ends(void **state)
{
	struct packed_position at = PACKED_START;
	struct rig *rig = *state;
	const struct packed_ring *r = &rig->fe.rings[TX].q.packed->ring;

	offer(rig, 1);
	packed_desc_store_body(r, 0, (struct packed_desc){ .id = 5 });
	packed_desc_store_flags(r, 0, packed_used_flags(at.wrap));
	assert_int_equal(reap(rig), -EPROTO);
	assert_int_equal(rig->line.n_violations, 1);
}

/* VR-079: places of input are those of the chains, whatever descriptors they get. */
static void streams_when_in_order_take_batches(void **state)
{
	struct rig *rig = *state;

	for (uint64_t round = 0; round < 100; round++) {
		uint64_t pos = round * N_RX * CHUNK;
		uint16_t n = (uint16_t)(round * N_RX);
		uint32_t id = 0;

		rig->line.in_sent = pos + N_RX * CHUNK;
		for (uint16_t i = 0; i < N_RX; i++) {
			struct vring_desc desc;

			id = shown(rig, RX, (uint16_t)(n + i));
			desc = vring_desc_load(ring(rig, RX), id);
			memcpy(vhu_frontend_host(&rig->fe, desc.addr),
			       load_pattern_at(&rig->pattern, pos + i * CHUNK), CHUNK);
		}
		vring_set_used_entry(ring(rig, RX), n, id, CHUNK);
		vring_set_used_idx(ring(rig, RX), (uint16_t)(n + N_RX));
		assert_int_equal(load_line_take(&rig->line), N_RX);
	}
	assert_int_equal(rig->line.n_violations, 0);
	assert_int_equal(rig->line.in_seen, 100 * N_RX * CHUNK);
}

static const struct CMUnitTest tests[] = {
	RIG_TEST(reap_when_chains_came_back_tells_when_each_was_offered),
	RIG_TEST(reap_when_the_used_index_is_too_far_fails),
	RIG_TEST(reap_when_the_id_was_not_offered_counts_a_violation),
	RIG_TEST(reap_when_the_id_is_beyond_the_ring_counts_a_violation),
	RIG_TEST(reap_when_a_chain_comes_back_twice_counts_a_violation),
	RIG_TEST(reap_when_output_has_a_length_counts_a_violation),
	RIG_TEST(violations_when_there_are_many_are_told_once),
	RIG_TEST(offer_when_the_ring_goes_round_offers_the_stream),
	RIG_TEST(read_when_the_output_is_right_takes_it),
	RIG_TEST(read_when_a_byte_is_wrong_fails_with_its_position),
	RIG_TEST(read_when_a_byte_was_lost_fails),
	RIG_TEST(read_when_a_byte_comes_twice_fails),
	RIG_TEST(read_when_more_comes_than_was_written_fails),
	RIG_TEST(read_when_the_back_end_hangs_up_fails),
	RIG_TEST(idle_when_the_last_byte_is_missing_is_false),
	RIG_TEST(send_when_the_peer_sends_counts_what_the_socket_took),
	RIG_TEST(take_when_the_input_is_right_posts_its_chains_again),
	RIG_TEST(take_when_a_byte_is_wrong_fails_with_its_position),
	RIG_TEST(take_when_a_byte_was_lost_fails),
	RIG_TEST(take_when_a_byte_comes_twice_fails),
	RIG_TEST(take_when_more_comes_than_was_sent_fails),
	RIG_TEST(take_when_a_chain_comes_back_without_input_counts_a_violation),
	RIG_TEST(take_when_the_length_is_too_large_counts_a_violation),
	RIG_TEST(take_when_the_used_index_is_too_far_fails),
	UNIT_TEST_WITH(streams_when_packed_go_on_round_after_round, setup_packed, teardown),
	UNIT_TEST_WITH(reap_when_packed_names_nothing_ends, setup_packed, teardown),
	UNIT_TEST_WITH(streams_when_in_order_take_batches, setup_in_order, teardown),
};
UNIT_MAIN(tests)
