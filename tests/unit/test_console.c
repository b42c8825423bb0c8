/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the console does with bytes: VC-004, VC-047 to VC-069, VC-093 to VC-096. */
#include "console_rig.h"

/* VC-004, VC-053 */
static void driver_without_multiport_has_a_console_at_once(void **state)
{
	uint8_t *page;

	(void)state;
	begin(0, 8);
	join(0, &rig.client);
	page = post_page(RX);
	expect_unused(RX);
	assert_int_equal(port_input(&rig.ports[0], "key", 3), 3);
	run();
	expect_used(RX, page, 3);
	assert_memory_equal(page, "key\xee", 4);
	send_line("line");
	expect_output("line");
	leave(&rig.client);
	end();
}

/* VC-051, VC-053, VC-094: what is typed before the port is open waits. */
static void input_waits_until_the_guest_has_opened(void **state)
{
	uint8_t *page;

	(void)state;
	begin(BIT(CONSOLE_F_MULTIPORT_BIT), 8);
	assert_int_equal(port_input(&rig.ports[0], "early", 5), 5);
	page = post_page(RX);
	post_page(CTRL_RX);
	post_page(CTRL_RX);
	tell(0, CONSOLE_DEVICE_READY, 1);
	tell(0, CONSOLE_PORT_READY, 1);
	expect_unused(RX);
	tell(0, CONSOLE_PORT_OPEN, 1);
	expect_used(RX, page, 5);
	assert_memory_equal(page, "early", 5);
	/* Closed again: it waits again. */
	tell(0, CONSOLE_PORT_OPEN, 0);
	page = post_page(RX);
	assert_int_equal(port_input(&rig.ports[0], "more", 4), 4);
	run();
	expect_unused(RX);
	tell(0, CONSOLE_PORT_OPEN, 1);
	expect_used(RX, page, 4);
	end();
}

/* VC-055 to VC-057, VC-096 */
static void input_fills_buffers_exactly(void **state)
{
	static uint8_t bytes[10000];
	uint8_t *pages[4];

	(void)state;
	begin_open(8);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 13 + i / 256);
	for (unsigned int i = 0; i < 4; i++)
		pages[i] = post_page(RX);
	expect_unused(RX);
	assert_int_equal(port_input(&rig.ports[0], bytes, sizeof(bytes)), sizeof(bytes));
	run();
	expect_used(RX, pages[0], 4096);
	expect_used(RX, pages[1], 4096);
	expect_used(RX, pages[2], 1808);
	expect_unused(RX);
	assert_memory_equal(pages[0], bytes, 4096);
	assert_memory_equal(pages[1], bytes + 4096, 4096);
	assert_memory_equal(pages[2], bytes + 8192, 1808);
	assert_int_equal(pages[2][1808], 0xee);
	/* One burst is one entry; one byte is one entry too. */
	assert_int_equal(port_input(&rig.ports[0], "paste here", 10), 10);
	run();
	expect_used(RX, pages[3], 10);
	pages[0] = post_page(RX);
	expect_unused(RX);
	assert_int_equal(port_input(&rig.ports[0], "k", 1), 1);
	run();
	expect_used(RX, pages[0], 1);
	end();
}

/* VC-054, VC-056: more input than buffers, then more buffers. */
static void input_beyond_the_buffers_follows_as_they_come(void **state)
{
	static uint8_t bytes[9000];
	uint8_t *page;

	(void)state;
	begin_open(8);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i % 251);
	assert_int_equal(port_input(&rig.ports[0], bytes, sizeof(bytes)), sizeof(bytes));
	run();
	page = post_page(RX);
	expect_used(RX, page, 4096);
	page = post_page(RX);
	expect_used(RX, page, 4096);
	page = post_page(RX);
	expect_used(RX, page, 808);
	assert_memory_equal(page, bytes + 8192, 808);
	assert_int_equal(port_input_pending(&rig.ports[0]), 0);
	end();
}

/* VC-047, VC-059, VR-013 */
static void scattered_buffers_are_filled_and_read_in_order(void **state)
{
	static const uint32_t in[] = { 1, 3, 7, 100 };
	struct driverq_buf out[3];
	uint8_t *row;
	void *host;
	uint64_t at;

	(void)state;
	begin_open(8);
	join(0, &rig.client);
	row = post(CTRL_RX, (const uint32_t[]){ 3, 5, 100 }, 3);
	expect_event(row, CONSOLE_PORT_OPEN, 1);
	row = post(RX, in, 4);
	assert_int_equal(port_input(&rig.ports[0], "scattered", 9), 9);
	run();
	expect_used(RX, row, 9);
	assert_memory_equal(row, "scattered\xee", 10);
	at = take(6, &host);
	memcpy(host, "abcdef", 6);
	out[0] = (struct driverq_buf){ at, 1 };
	out[1] = (struct driverq_buf){ at + 1, 0 };
	out[2] = (struct driverq_buf){ at + 1, 5 };
	assert_int_equal(driverq_add(&rig.d[TX], out, 3, 0, false, &rig), 0);
	kick(TX);
	expect_used(TX, &rig, 0);
	expect_output("abcdef");
	leave(&rig.client);
	end();
}

/* VC-060, VR-023: a chain of the wrong direction has no effect and comes back. */
static void chains_of_the_wrong_direction_come_back_empty(void **state)
{
	uint8_t *page;
	struct driverq_buf mixed[2];
	void *host;

	(void)state;
	begin_open(8);
	join(0, &rig.client);
	run();
	page = post_page(TX);
	expect_used(TX, page, 0);
	assert_int_equal(page[0], 0xee);
	mixed[0] = (struct driverq_buf){ take(3, &host), 3 };
	memcpy(host, "out", 3);
	mixed[1] = (struct driverq_buf){ take(3, &host), 3 };
	memset(host, 0xee, 3);
	assert_int_equal(driverq_add(&rig.d[TX], mixed, 1, 1, false, &rig), 0);
	kick(TX);
	expect_used(TX, &rig, 0);
	expect_output("out");
	assert_memory_equal(host, "\xee\xee\xee", 3);
	/* Input is not lost to a buffer that has no room for any. */
	assert_int_equal(port_input(&rig.ports[0], "key", 3), 3);
	run();
	offer(RX, "readable", 8);
	expect_used(RX, &rig, 0);
	page = post_page(RX);
	expect_used(RX, page, 3);
	assert_memory_equal(page, "key", 3);
	leave(&rig.client);
	end();
}

/* VC-005, VC-048 */
static void rings_of_any_size_serve(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 64, 256, 1024 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		begin_open(sizes[i]);
		join(0, &rig.client);
		expect_event(post_page(CTRL_RX), CONSOLE_PORT_OPEN, 1);
		for (unsigned int n = 0; n < 5; n++) {
			uint8_t *page = post_page(RX);

			assert_int_equal(port_input(&rig.ports[0], "in", 2), 2);
			run();
			expect_used(RX, page, 2);
			send_line("out");
			expect_output("out");
		}
		leave(&rig.client);
		end();
	}
}

/* VC-061, VC-093: never held, nobody there, oldest bytes go. */
static void output_is_taken_at_once_whoever_reads(void **state)
{
	static char page[4096];
	char buf[HISTORY + PORT_READ_MIN];
	size_t n;

	(void)state;
	begin_open(8);
	send_line("boot ");
	send_line("log");
	join(0, &rig.client);
	expect_output("boot log");
	leave(&rig.client);
	for (unsigned int i = 0; i < 1000; i++) {
		struct driverq_buf buf_desc = { .addr = take(0, NULL), .len = sizeof(page) };

		memset(rig.host + (buf_desc.addr - GUEST), 'a' + (int)(i % 26), sizeof(page));
		assert_int_equal(driverq_add(&rig.d[TX], &buf_desc, 1, 0, false, &rig), 0);
		kick(TX);
		expect_used(TX, &rig, 0);
	}
	join(0, &rig.client);
	n = port_read(&rig.client, buf, sizeof(buf));
	assert_int_equal(n, HISTORY);
	assert_int_equal(rig.client.n_lost, 1000 * 4096 + 8 - HISTORY);
	assert_int_equal(buf[n - 1], 'a' + 999 % 26);
	leave(&rig.client);
	end();
}

/* VC-069 */
static void every_byte_passes_as_it_is(void **state)
{
	uint8_t all[256], *page, got[512];

	(void)state;
	begin_open(8);
	for (unsigned int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	join(0, &rig.client);
	offer(TX, all, 256);
	assert_int_equal(port_read(&rig.client, got, sizeof(got)), 256);
	assert_memory_equal(got, all, 256);
	page = post_page(RX);
	assert_int_equal(port_input(&rig.ports[0], all, 256), 256);
	run();
	expect_used(RX, page, 256);
	assert_memory_equal(page, all, 256);
	leave(&rig.client);
	end();
}

/* VC-068 */
static void large_chain_is_taken_whole(void **state)
{
	struct driverq_buf bufs[8];
	char got[40000];

	(void)state;
	begin_open(64);
	join(0, &rig.client);
	for (unsigned int i = 0; i < 8; i++) {
		void *host;

		bufs[i] = (struct driverq_buf){ take(4096, &host), 4096 };
		memset(host, 'A' + (int)i, 4096);
	}
	assert_int_equal(driverq_add(&rig.d[TX], bufs, 8, 0, false, &rig), 0);
	kick(TX);
	assert_int_equal(port_read(&rig.client, got, sizeof(got)), 32768);
	for (unsigned int i = 0; i < 32768; i++)
		assert_int_equal(got[i], 'A' + i / 4096);
	leave(&rig.client);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(driver_without_multiport_has_a_console_at_once),
	UNIT_TEST(input_waits_until_the_guest_has_opened),
	UNIT_TEST(input_fills_buffers_exactly),
	UNIT_TEST(input_beyond_the_buffers_follows_as_they_come),
	UNIT_TEST(scattered_buffers_are_filled_and_read_in_order),
	UNIT_TEST(chains_of_the_wrong_direction_come_back_empty),
	UNIT_TEST(rings_of_any_size_serve),
	UNIT_TEST(output_is_taken_at_once_whoever_reads),
	UNIT_TEST(every_byte_passes_as_it_is),
	UNIT_TEST(large_chain_is_taken_whole),
};
UNIT_MAIN(tests)
