/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A console's state as somebody else may have written it. The input is what
 * stands between header and checksum, which are put around it: without them
 * nothing gets far. Whatever is taken is put in force, saved, and loaded again.
 */
#include <stdio.h>

#include "fuzz.h"

#include "virtio/console-state.h"

enum { N_PORTS = 3, HISTORY = 256, STATE_MAX = 1 << 16 };

struct side {
	struct console con;
	struct port ports[2];
};

/* As the corpus has them: a console, and "data" as number 2, which holds. */
static void side_init(struct side *s)
{
	must(console_init(&s->con, N_PORTS, false) == 0);
	for (unsigned int i = 0; i < 2; i++)
		must(port_init(&s->ports[i], HISTORY) == 0);
	snprintf(s->ports[1].name, sizeof(s->ports[1].name), "data");
	s->ports[1].console = false;
	s->ports[1].overflow = PORT_HOLD;
	console_add_port(&s->con, 0, &s->ports[0]);
	console_add_port(&s->con, 2, &s->ports[1]);
}

static void side_fini(struct side *s)
{
	console_remove_port(&s->con, 0);
	console_remove_port(&s->con, 2);
	console_fini(&s->con);
	port_fini(&s->ports[0]);
	port_fini(&s->ports[1]);
}

/* A header of the console's, these fields, their checksum. Returns the length. */
static size_t seal(struct side *s, const uint8_t *data, size_t size, uint8_t *buf)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	size_t len = STATE_HEADER_LEN + size;
	struct state_writer w;

	must(s->con.vdev.ops->save(&s->con.vdev, &w) == 0);
	memcpy(buf, w.buf, STATE_HEADER_LEN);
	state_writer_fini(&w);
	memcpy(buf + STATE_HEADER_LEN, data, size);
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ buf[i]) * UINT64_C(0x100000001b3);
	sum = htole64(sum);
	memcpy(buf + len, &sum, sizeof(sum));
	return len + sizeof(sum);
}

/* What goes out to the driver must come to an end, and be whole. */
static void tell_all(struct console_ctrl *ctrl)
{
	uint8_t msg[CONSOLE_MSG_MAX];
	unsigned int n = 0;

	while (console_ctrl_peek(ctrl, msg) > 0) {
		must(n++ < 8 * N_PORTS);
		console_ctrl_sent(ctrl);
	}
}

static void load_and_run(struct side *s, const uint8_t *buf, size_t len)
{
	char why[STATE_WHY_MAX] = "";
	struct state_writer w;

	if (s->con.vdev.ops->load(&s->con.vdev, buf, len, why, sizeof(why)) < 0) {
		must(why[0] != '\0' && !s->con.loaded);
		return;
	}
	console_apply_loaded(&s->con);
	must(s->con.vdev.ops->save(&s->con.vdev, &w) == 0);
	must(s->con.vdev.ops->load(&s->con.vdev, w.buf, w.len, why, sizeof(why)) == 0);
	console_apply_loaded(&s->con);
	state_writer_fini(&w);
	tell_all(&s->con.ctrl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[STATE_MAX + STATE_HEADER_LEN + STATE_CHECK_LEN];
	struct side s = { .con = { .queues = NULL } };

	if (size > STATE_MAX)
		return 0;
	side_init(&s);
	load_and_run(&s, buf, seal(&s, data, size, buf));
	side_fini(&s);
	return 0;
}
