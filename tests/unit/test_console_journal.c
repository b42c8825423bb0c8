/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a daemon that was killed had told a console's driver, and the daemon after it. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fail_rig.h"
#include "virtio/console-ctrl.h"
#include "virtio/console-journal.h"
#include "virtio/console-private.h"

enum { PORTS = 4, GUEST = 77, RX = 2, WHY = 200 };

static char path[] = "/tmp/test_console_journal.XXXXXX";

struct device {
	struct console con;
	struct port ports[PORTS];
};

/* A device with the ports of which bits are set, whose journal is that of all others. */
static void make(struct device *d, unsigned int ports)
{
	char why[WHY] = "";

	assert_int_equal(console_init(&d->con, PORTS, false), 0);
	for (unsigned int i = 0; i < PORTS; i++) {
		assert_int_equal(port_init(&d->ports[i], 64), 0);
		if (ports & BIT(i))
			console_add_port(&d->con, i, &d->ports[i]);
	}
	if (console_journal_new(&d->con, path, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	assert_true(console_journal_fd(&d->con) >= 0);
}

static void unmake(struct device *d)
{
	console_journal_free(&d->con);
	assert_int_equal(console_journal_fd(&d->con), -1);
	console_journal_free(&d->con);
	for (unsigned int i = 0; i < PORTS; i++) {
		if (console_port(&d->con, i))
			console_remove_port(&d->con, i);
		port_fini(&d->ports[i]);
	}
	console_fini(&d->con);
}

static int setup(void **state)
{
	int fd;

	unit_setup(state);
	memset(path + sizeof(path) - 7, 'X', 6);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	return unit_teardown(state);
}

/* The guest has met ports 0 and 1, and has them open; then the daemon is killed. */
static void live_and_die(void)
{
	struct device d;
	struct ring_mark mark = { .n = 3, .used = 9 }, found;

	make(&d, BIT(0) | BIT(1));
	assert_false(console_journal_resume(&d.con, RX, GUEST, &found));
	for (unsigned int i = 0; i < 2; i++) {
		d.con.ctrl.ports[i].known = true;
		d.con.ctrl.ports[i].ready = true;
		d.con.ctrl.ports[i].guest_open = true;
	}
	d.con.ctrl.driver_ready = true;
	console_journal_note(&d.con, RX, &mark);
	unmake(&d);
}

/* The next daemon has port 1 no more, and a new port 2. */
static void ports_when_others_than_before_are_told_of(void **state)
{
	struct ring_mark found = { 0 };
	struct device d;

	(void)state;
	live_and_die();
	make(&d, BIT(0) | BIT(2));
	assert_true(console_journal_resume(&d.con, RX, GUEST, &found));
	assert_int_equal(found.n, 3);
	assert_int_equal(found.used, 9);
	assert_true(d.con.ctrl.driver_ready);
	assert_true(d.con.ctrl.ports[0].known && d.con.ctrl.ports[0].ready);
	assert_true(d.con.ctrl.ports[0].guest_open);
	assert_false(d.con.ctrl.ports[0].todo & BIT(CONSOLE_PORT_REMOVE));
	assert_true(d.con.ctrl.ports[1].draining);
	assert_true(d.con.ctrl.ports[1].todo & BIT(CONSOLE_PORT_REMOVE));
	assert_true(d.con.ctrl.ports[2].todo & BIT(CONSOLE_PORT_ADD));
	/* Asked for once. */
	assert_false(console_journal_resume(&d.con, RX, GUEST, &found));
	unmake(&d);
}

static void guest_when_another_one_is_not_taken_for_it(void **state)
{
	struct ring_mark found;
	struct device d;

	(void)state;
	live_and_die();
	make(&d, BIT(0) | BIT(1));
	assert_false(console_journal_resume(&d.con, RX, GUEST + 1, &found));
	assert_false(d.con.ctrl.driver_ready);
	assert_false(d.con.ctrl.ports[0].known);
	unmake(&d);
}

static void journal_when_it_cannot_be_had_says_so(void **state)
{
	char why[WHY] = "";
	struct device d, other;

	(void)state;
	make(&d, 0);
	memset(&other, 0, sizeof(other));
	assert_int_equal(console_init(&other.con, PORTS, false), 0);
	assert_true(console_journal_new(&other.con, path, why, sizeof(why)) < 0); /* d has it */
	assert_non_null(strstr(why, path));
	fail_begin(1);
	assert_int_equal(console_journal_new(&other.con, path, why, sizeof(why)), -ENOMEM);
	fail_end();
	assert_non_null(strstr(why, "no memory"));
	assert_int_equal(console_journal_fd(&other.con), -1);
	console_fini(&other.con);
	unmake(&d);
}

static void device_when_there_is_no_memory_is_not_made(void **state)
{
	struct console con;
	int err = -ENOMEM;

	(void)state;
	for (unsigned int nth = 1; err < 0; nth++) {
		fail_begin(nth);
		err = console_init(&con, PORTS, false);
		fail_end();
		assert_int_equal(err, n_failed ? -ENOMEM : 0);
	}
	console_fini(&con);
}

#define JOURNAL_TEST(f) UNIT_TEST_WITH(f, setup, teardown)

static const struct CMUnitTest tests[] = {
	JOURNAL_TEST(ports_when_others_than_before_are_told_of),
	JOURNAL_TEST(guest_when_another_one_is_not_taken_for_it),
	JOURNAL_TEST(journal_when_it_cannot_be_had_says_so),
	JOURNAL_TEST(device_when_there_is_no_memory_is_not_made),
};
UNIT_MAIN(tests)
