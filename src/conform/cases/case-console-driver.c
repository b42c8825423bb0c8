/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "conform/cases/case-console.h"

enum { POLL_MS = 5 }; /* a call may be missing: that is for other cases */

const char *con_event_name(unsigned int event)
{
	static const char *const names[] = {
		"DEVICE_READY", "PORT_ADD", "PORT_REMOVE", "PORT_READY",
		"CONSOLE_PORT", "RESIZE",   "PORT_OPEN",   "PORT_NAME",
	};

	return event < ARRAY_SIZE(names) ? names[event] : "an unknown event";
}

/* Beginning. */

static int take_page(struct trial *t, struct con_page *page)
{
	void *host;
	int err = trial_alloc(t, CON_PAGE, 16, &host, &page->addr);

	if (err < 0)
		return err;
	page->host = host;
	page->len = CON_PAGE;
	return 0;
}

static int take_pages(struct trial *t, struct con *con)
{
	int err = take_page(t, &con->ctrl_out);

	if (err == 0)
		err = take_page(t, &con->out);
	for (unsigned int i = 0; i < ARRAY_SIZE(con->ctrl) && err == 0; i++)
		err = take_page(t, &con->ctrl[i]);
	if (err == 0)
		con->map = t->fe.mem_map;
	return err;
}

/* Guest memory is never given back, so a driver that begins again has the pages of the last one. */
static int renew(struct trial *t)
{
	struct con *con = con_of(t), old;

	if (!con) {
		con = calloc(1, sizeof(*con));
		if (!con)
			return trial_error(t, "memory for a driver");
		t->device_state = con;
	}
	if (con->map != t->fe.mem_map) {
		*con = (struct con){ .map = NULL };
		return take_pages(t, con);
	}
	old = *con;
	*con = (struct con){ .map = old.map, .ctrl_out = old.ctrl_out, .out = old.out };
	memcpy(con->ctrl, old.ctrl, sizeof(con->ctrl));
	memcpy(con->in, old.in, sizeof(con->in));
	return 0;
}

int con_post(struct trial *t, unsigned int ring, struct con_page *page)
{
	struct driverq_buf buf = { .addr = page->addr, .len = page->len };
	int err = driverq_add(&t->fe.rings[ring].q, &buf, 0, 1, false, page);

	if (err < 0)
		return trial_error(t, "a buffer for ring %u: %s", ring, strerror(-err));
	return trial_step(t, vhu_frontend_publish(&t->fe, ring), "a kick of ring %u", ring);
}

static unsigned int n_running(const struct vhu_frontend *fe)
{
	unsigned int n = 0;

	while (n < fe->n_rings && fe->rings[n].size > 0)
		n++;
	return n;
}

int con_begin(struct trial *t)
{
	unsigned int n_rings = n_running(&t->fe);
	struct con *con;
	int err = renew(t);

	if (err < 0)
		return err;
	con = con_of(t);
	con->multiport = (t->fe.nego.features & CON_MULTIPORT) && n_rings > CON_CTRL_TX;
	con->n_ports = 1;
	if (con->multiport)
		con->n_ports = (unsigned int)min_size(n_rings / 2 - 1, CON_PORTS);
	return 0;
}

int con_post_control(struct trial *t, unsigned int n, uint32_t len)
{
	struct con *con = con_of(t);
	int err = 0;

	if (!con->multiport)
		return 0;
	n = (unsigned int)min_size(n, t->fe.rings[CON_CTRL_RX].size);
	for (unsigned int i = 0; i < n && err == 0; i++) {
		con->ctrl[i].len = len;
		err = con_post(t, CON_CTRL_RX, &con->ctrl[i]);
	}
	return err;
}

int con_boot_bare(struct trial *t, const struct trial_plan *plan)
{
	struct trial_plan own = plan ? *plan : (struct trial_plan){ .ring_size = 0 };
	int err;

	own.no_prepare = true;
	err = trial_boot(t, &own);
	if (err == 0)
		err = con_begin(t);
	if (err == 0 && !con_of(t)->multiport)
		err = trial_na(t, "without VIRTIO_CONSOLE_F_MULTIPORT there is no control queue");
	return err;
}

int con_boot(struct trial *t, const struct trial_plan *plan)
{
	int err = con_boot_bare(t, plan);

	return err < 0 ? err : con_post_control(t, ARRAY_SIZE(con_of(t)->ctrl), CON_PAGE);
}

/* Rings. */

int con_take(struct trial *t, unsigned int ring, void **ret_token, uint32_t *ret_len, int ms)
{
	struct vhu_frontend_ring *r = &t->fe.rings[ring];
	int64_t deadline = monotonic_ms() + trial_ms(t, ms);

	for (;;) {
		enum driverq_result result = driverq_get(&r->q, ret_token, ret_len);
		int64_t left = deadline - monotonic_ms();
		int err = 0;

		if (result == DRIVERQ_USED)
			return 0;
		*ret_token = NULL;
		if (result == DRIVERQ_BAD_LEN && ring % 2 == 1) {
			*ret_token = con_of(t); /* it is back; see con_check_length() */
			*ret_len = r->q.last_len;
			return 0;
		}
		if (result != DRIVERQ_EMPTY)
			return trial_fail(t, "ring %u: expected it to be kept, but %s", ring,
					  driverq_result_text(result));
		if (left <= 0)
			return 0;
		if (!driverq_calls_on(&r->q))
			err = vhu_frontend_await_readable(&t->fe, &r->call_fd, 1,
							  left < POLL_MS ? (int)left : POLL_MS);
		vhu_frontend_take_calls(&t->fe, ring);
		if (err < 0 && err != -ETIMEDOUT)
			return trial_step(t, err, "waiting for ring %u", ring);
	}
}

int con_check_length(struct trial *t, unsigned int ring, uint32_t used_len)
{
	struct con *con = con_of(t);

	if (used_len == 0)
		return 0;
	if (con->strict)
		return trial_fail(t,
				  "a buffer on ring %u that the device only reads: expected used "
				  "length 0, but it is %u",
				  ring, used_len);
	if (!con->remarked)
		trial_remark(t, "used lengths of what the device only reads are not 0");
	con->remarked = true;
	return 0;
}

int con_tell_bytes(struct trial *t, const void *bytes, size_t len)
{
	const struct con_page *page = &con_of(t)->ctrl_out;
	const struct driverq_buf buf = { .addr = page->addr, .len = (uint32_t)len };

	memcpy(page->host, bytes, len);
	return con_tell_pieces(t, &buf, 1);
}

int con_tell_pieces(struct trial *t, const struct driverq_buf *bufs, unsigned int n)
{
	uint32_t used_len = 0;
	void *token;
	int err = driverq_add(&t->fe.rings[CON_CTRL_TX].q, bufs, n, 0, false, con_of(t));

	if (err < 0)
		return trial_error(t, "a control message: %s", strerror(-err));
	err = trial_step(t, vhu_frontend_publish(&t->fe, CON_CTRL_TX), "a control message");
	if (err == 0)
		err = con_take(t, CON_CTRL_TX, &token, &used_len, TRIAL_ANSWER_MS);
	if (err == 0 && !token)
		err = trial_fail(t,
				 "a control message in %u pieces: expected its buffers back, but "
				 "the device kept them",
				 n);
	return err < 0 ? err : con_check_length(t, CON_CTRL_TX, used_len);
}

int con_tell(struct trial *t, uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t msg[CONSOLE_MSG_LEN] = { (uint8_t)id,	      (uint8_t)(id >> 8),
					 (uint8_t)(id >> 16), (uint8_t)(id >> 24),
					 (uint8_t)event,      (uint8_t)(event >> 8),
					 (uint8_t)value,      (uint8_t)(value >> 8) };

	return con_tell_bytes(t, msg, sizeof(msg));
}

/* Messages. */

static void follow(struct con *con, const struct con_msg *msg)
{
	struct con_port *p;

	if (msg->id >= CON_PORTS || msg->len < CONSOLE_MSG_LEN)
		return;
	p = &con->ports[msg->id];
	switch (msg->event) {
	case CONSOLE_PORT_ADD:
		p->added = true;
		p->n_added++;
		break;
	case CONSOLE_PORT_REMOVE:
		*p = (struct con_port){ .n_added = p->n_added,
					.n_removed = p->n_removed + 1,
					.n_opens = p->n_opens };
		break;
	case CONSOLE_CONSOLE_PORT:
		p->console |= msg->value != 0;
		break;
	case CONSOLE_PORT_OPEN:
		p->host_open = msg->value != 0;
		p->n_opens++;
		break;
	default:
		break;
	}
}

static struct con_msg *note(struct con *con, const uint8_t *bytes, uint32_t len)
{
	struct con_msg *msg = &con->msgs[con->n_msgs];
	size_t data = len > CONSOLE_MSG_LEN ? min_size(len - CONSOLE_MSG_LEN, CON_DATA) : 0;

	*msg = (struct con_msg){ .id = UINT32_MAX, .event = UINT16_MAX, .len = len };
	if (len >= CONSOLE_MSG_LEN) {
		msg->id = get_le32(bytes);
		msg->event = get_le16(bytes + 4);
		msg->value = get_le16(bytes + 6);
		memcpy(msg->data, bytes + CONSOLE_MSG_LEN, data);
	}
	con->n_msgs++;
	follow(con, msg);
	return msg;
}

int con_hear(struct trial *t, struct con_msg **ret_msg, int ms)
{
	struct con *con = con_of(t);
	struct con_page *page;
	uint32_t len;
	void *token;
	int err;

	*ret_msg = NULL;
	if (con->n_msgs == CON_MSGS)
		return trial_fail(t, "expected fewer than %d control messages", CON_MSGS);
	err = con_take(t, CON_CTRL_RX, &token, &len, ms);
	if (err < 0 || !token)
		return err;
	page = token;
	*ret_msg = note(con, page->host, len);
	if (con->hold) {
		con->held[con->n_held++] = page;
		return 0;
	}
	return con_post(t, CON_CTRL_RX, page);
}

int con_release(struct trial *t)
{
	struct con *con = con_of(t);
	int err = 0;

	con->hold = false;
	while (con->n_held > 0 && err == 0)
		err = con_post(t, CON_CTRL_RX, con->held[--con->n_held]);
	return err;
}

int con_settle(struct trial *t, int ms)
{
	struct con_msg *msg;
	int err;

	do {
		err = con_hear(t, &msg, ms);
	} while (err == 0 && msg);
	return err;
}

static bool matches(const struct con_msg *msg, uint32_t id, unsigned int event, int value)
{
	return msg->len >= CONSOLE_MSG_LEN && msg->id == id && msg->event == event &&
	       (value == CON_ANY || msg->value == value);
}

int con_expect(struct trial *t, uint32_t id, unsigned int event, int value,
	       struct con_msg **ret_msg)
{
	struct con *con = con_of(t);
	struct con_msg *msg;
	int err = 0;

	for (;;) {
		while (con->n_seen < con->n_msgs) {
			msg = &con->msgs[con->n_seen++];
			if (matches(msg, id, event, value)) {
				if (ret_msg)
					*ret_msg = msg;
				return 0;
			}
		}
		err = con_hear(t, &msg, TRIAL_ANSWER_MS);
		if (err < 0)
			return err;
		if (!msg)
			break;
	}
	if (value == CON_ANY)
		return trial_fail(t, "expected %s for port %u, but it did not come",
				  con_event_name(event), id);
	return trial_fail(t, "expected %s %d for port %u, but it did not come",
			  con_event_name(event), value, id);
}

int con_expect_none(struct trial *t, unsigned int first, int64_t id, int event, const char *after)
{
	struct con *con = con_of(t);
	int err = con_settle(t, TRIAL_QUIET_MS);

	for (unsigned int i = first; i < con->n_msgs && err == 0; i++) {
		const struct con_msg *msg = &con->msgs[i];

		if ((id == CON_ANY || msg->id == id) && (event == CON_ANY || msg->event == event))
			err = trial_fail(t,
					 "%s: expected no such message, but %s %u came for port %u",
					 after, con_event_name(msg->event), msg->value, msg->id);
	}
	return err;
}

struct con_msg *con_find(struct trial *t, unsigned int first, uint32_t id, unsigned int event)
{
	struct con *con = con_of(t);

	for (unsigned int i = first; i < con->n_msgs; i++)
		if (matches(&con->msgs[i], id, event, CON_ANY))
			return &con->msgs[i];
	return NULL;
}

/* The handshake. */

/* As Linux: a port that is there is ready, a console is opened at once. */
static int respond(struct trial *t, const struct con_msg *msg)
{
	struct con *con = con_of(t);
	int err = 0;

	if (msg->event == CONSOLE_PORT_ADD && msg->id < con->n_ports) {
		err = con_tell(t, msg->id, CONSOLE_PORT_READY, 1);
		con->ports[msg->id].ready = err == 0;
	} else if (msg->event == CONSOLE_CONSOLE_PORT && msg->id < con->n_ports && msg->value) {
		err = con_tell(t, msg->id, CONSOLE_PORT_OPEN, 1);
	}
	return err;
}

int con_shake_hands(struct trial *t)
{
	struct con *con = con_of(t);
	int ms = TRIAL_ANSWER_MS;
	struct con_msg *msg;
	int err = con_tell(t, UINT32_MAX, CONSOLE_DEVICE_READY, 1);

	do {
		if (err == 0)
			err = con_hear(t, &msg, ms);
		if (err == 0 && msg)
			err = respond(t, msg);
		ms = CON_SETTLE_MS;
	} while (err == 0 && msg);
	for (unsigned int i = 0; i < con->n_ports && err == 0; i++)
		if (con->ports[i].ready && !con->ports[i].console)
			err = con_tell(t, i, CONSOLE_PORT_OPEN, 1);
	con->n_seen = con->n_msgs;
	return err;
}

int con_start(struct trial *t, const struct trial_plan *plan)
{
	int err = con_boot(t, plan);

	if (err == 0)
		err = con_shake_hands(t);
	if (err == 0 && con_of(t)->n_msgs == 0)
		err = trial_fail(t, "after DEVICE_READY: expected PORT_ADD, but no message came");
	return err;
}

int con_start_with(struct trial *t, unsigned int n)
{
	int err = con_boot_bare(t, NULL);

	if (err == 0)
		err = con_post_control(t, n, CON_PAGE);
	return err < 0 ? err : con_shake_hands(t);
}

int con_start_holding(struct trial *t, unsigned int *ret_id)
{
	int err = con_start_with(t, 1);

	if (err == 0)
		err = con_join_any(t, ret_id);
	if (err == 0)
		con_of(t)->hold = true;
	return err;
}

int con_start_join(struct trial *t, const struct trial_plan *plan, bool console,
		   unsigned int *ret_id)
{
	int err = con_start(t, plan);

	return err < 0 ? err : con_join(t, console, ret_id);
}

int con_start_join_any(struct trial *t, const struct trial_plan *plan, unsigned int *ret_id)
{
	int err = con_start(t, plan);

	return err < 0 ? err : con_join_any(t, ret_id);
}

int con_pick(struct trial *t, bool console, unsigned int *ret_id)
{
	struct con *con = con_of(t);

	for (unsigned int i = 0; i < con->n_ports; i++) {
		if (con->ports[i].ready && con->ports[i].console == console) {
			*ret_id = i;
			return 0;
		}
	}
	return trial_na(t, "there is no port that is %sa console", console ? "" : "not ");
}
