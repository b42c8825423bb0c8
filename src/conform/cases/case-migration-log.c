/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The log of pages that the device has written. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "clock.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-migration.h"
#include "conform/cases/dirty-log.h"
#include "conform/trial/trial-ring.h"
#include "virtio/features.h"

enum {
	PAGE = DIRTY_LOG_PAGE,
	N_SWITCHES = 100,
	N_RACES = 200,
	INPUT_LEN = 5000, /* of a console: more than a page */
	CONSOLE_RX = 0,
	USED_RING = 4 + 8 * TRIAL_RING, /* bytes, without avail_event */
};

/* Offers. */

int case_log_offer(struct trial *t)
{
	bool log = trial_offers(t, VHOST_F_LOG_ALL_BIT);
	bool shared = trial_offers_protocol(t, VHU_PF_LOG_SHMFD_BIT);

	if (!log && !shared)
		return trial_na(t, "neither LOG_ALL nor LOG_SHMFD is offered");
	if (log && shared)
		return 0;
	return trial_warn(t, "expected LOG_ALL and LOG_SHMFD together, but %s alone is offered",
			  log ? "LOG_ALL" : "LOG_SHMFD");
}

static int base_reply(struct trial *t, uint32_t *ret_len)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	int err = trial_handshake_with(t, trial_features(t),
				       trial_protocol(t) | BIT(VHU_PF_LOG_SHMFD_BIT));

	if (err == 0)
		err = dirty_log_make(t, &log, 16 * PAGE, 0);
	if (err == 0)
		err = dirty_log_give(t, &log, ret_len);
	return err < 0 ? err : trial_ping(t);
}

int case_log_base_replied(struct trial *t)
{
	uint32_t len;

	return base_reply(t, &len);
}

int case_log_base_reply_size(struct trial *t)
{
	uint32_t len;
	int err = base_reply(t, &len);

	if (err < 0 || len == sizeof(struct vhu_log))
		return err;
	return trial_warn(t, "the reply to SET_LOG_BASE: expected 16 bytes, but it has %u", len);
}

int case_log_base_private(struct trial *t)
{
	struct vhu_msg msg, reply;
	bool closed;
	int err = trial_handshake_with(t, trial_features(t),
				       trial_protocol(t) & ~BIT(VHU_PF_LOG_SHMFD_BIT));

	if (err < 0)
		return err;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_LOG_BASE);
	vhu_msg_put_u64(&msg, 0x7f0000000000);
	err = vhu_frontend_send_unchecked(&t->fe, &msg);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_FEATURES);
	if (err == 0)
		err = vhu_frontend_send_unchecked(&t->fe, &msg);
	if (err < 0 && err != -ECONNRESET)
		return trial_step(t, err, "SET_LOG_BASE, then GET_FEATURES");
	err = trial_receive(t, &reply, &closed);
	if (err < 0)
		return err;
	if (closed)
		return trial_remark(t, "SET_LOG_BASE without LOG_SHMFD ends the connection");
	fdset_close(&reply.fds);
	if (reply.id == VHU_FE_GET_FEATURES)
		return 0;
	return trial_fail(t,
			  "SET_LOG_BASE without LOG_SHMFD, then GET_FEATURES: expected the reply "
			  "of the second first, but %s came",
			  vhu_msg_name(VHU_FE, reply.id));
}

/* Data. */

struct written {
	uint64_t addr;
	uint32_t len;
};

/* A request whose answer the device writes into guest memory. */
static int answer_written(struct trial *t, struct written *ret_written)
{
	struct trial_request request;
	int err = trial_offer(t, NULL, &request);

	if (err == 0)
		err = trial_publish(t);
	if (err == 0)
		err = trial_answered(t, &request);
	if (err == 0)
		*ret_written = (struct written){ request.in_addr, request.r.used_len };
	return err;
}

static int type_on_console(struct trial *t, size_t len)
{
	uint8_t bytes[INPUT_LEN];
	int err = 0;

	memset(bytes, 'x', sizeof(bytes));
	if (t->peer_fd < 0)
		err = target_connect_peer(t->target, &t->peer_fd);
	if (err < 0)
		return trial_error(t, "the console's other side: %s", t->target->error);
	if (send(t->peer_fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
		return trial_error(t, "input for the console: %s", strerror(errno));
	return 0;
}

/* Input for a console, into a buffer of two pages. */
static int input_written(struct trial *t, struct written *ret_written)
{
	struct driverq_buf buf = { .len = INPUT_LEN };
	void *host, *token;
	uint32_t len;
	int err = trial_alloc(t, INPUT_LEN, PAGE, &host, &buf.addr);

	if (err == 0 && driverq_add(&t->fe.rings[CONSOLE_RX].q, &buf, 0, 1, false, host) < 0)
		err = trial_error(t, "a buffer for input");
	if (err == 0)
		err = trial_step(t, vhu_frontend_publish(&t->fe, CONSOLE_RX), "a kick");
	if (err == 0)
		err = type_on_console(t, INPUT_LEN);
	if (err == 0)
		err = trial_step(t,
				 vhu_frontend_await_used(&t->fe, CONSOLE_RX, &token, &len,
							 trial_ms(t, TRIAL_ANSWER_MS)),
				 "%d bytes of input", INPUT_LEN);
	if (err == 0)
		*ret_written = (struct written){ buf.addr, len };
	return err;
}

static bool is_console(const struct trial *t)
{
	return t->device && strcmp(t->device->name, "console") == 0 && t->target->peer;
}

static int judge_data(struct trial *t, const struct dirty_log *log, const struct written *w)
{
	uint64_t first = w->addr / PAGE * PAGE;
	unsigned int n = 0;

	if (w->len == 0)
		return trial_na(t, "the device writes nothing when it answers");
	for (uint64_t at = first; at < w->addr + w->len; at += PAGE, n++)
		if (!dirty_log_has(log, at))
			return trial_fail(t,
					  "%u bytes written at guest address %#llx: expected the "
					  "bit of page %#llx, but it is clear",
					  w->len, (unsigned long long)w->addr,
					  (unsigned long long)at);
	if (dirty_log_count(log) > n)
		trial_remark(t, "%u bits are set beside the %u of the data",
			     dirty_log_count(log) - n, n);
	return 0;
}

int case_log_data(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	struct written w = { 0 };
	int err = dirty_log_boot(t);

	if (err == 0)
		err = dirty_log_make(t, &log, dirty_log_size(t), 0);
	if (err == 0)
		err = dirty_log_give(t, &log, NULL);
	if (err == 0)
		err = dirty_log_switch(t, true);
	if (err == 0)
		err = is_console(t) ? input_written(t, &w) : answer_written(t, &w);
	return err < 0 ? err : judge_data(t, &log, &w);
}

/* The used ring. */

int case_log_used_flagged(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	int err = dirty_log_start(t, &log, 0);

	if (err == 0)
		err = trial_exchange(t, 1);
	return err < 0 ? err : dirty_log_expect_used(t, &log, "after a request");
}

int case_log_used_elsewhere(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	uint64_t elsewhere;
	int err = dirty_log_start(t, &log, 0);

	if (err < 0)
		return err;
	/* In the log, and in no memory region: the page behind the first one. */
	elsewhere = t->fe.regions[0].wire.guest_addr + t->fe.regions[0].wire.size + PAGE;
	err = dirty_log_used(t, true, elsewhere);
	if (err == 0)
		err = trial_exchange(t, 1);
	if (err < 0 || dirty_log_has(&log, elsewhere))
		return err;
	return trial_warn(t,
			  "used ring logged from guest address %#llx on: expected the bit of that "
			  "page, but it is clear",
			  (unsigned long long)elsewhere);
}

int case_log_used_unflagged(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	int err = dirty_log_start(t, &log, 0);

	if (err == 0)
		err = dirty_log_used(t, false, dirty_log_used_addr(t));
	dirty_log_clear(&log);
	if (err == 0)
		err = trial_exchange(t, 1);
	if (err < 0 || !dirty_log_has(&log, dirty_log_used_addr(t)))
		return err;
	return trial_warn(t, "without the ring's log flag: expected nothing of the used ring in "
			     "the log, but the bit of its page is set");
}

int case_log_toggle(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	unsigned int n_off = 0;
	int err = dirty_log_start(t, &log, 0);

	if (err == 0)
		err = dirty_log_switch(t, false);
	dirty_log_clear(&log);
	if (err == 0)
		err = trial_exchange(t, 2);
	n_off = dirty_log_count(&log);
	dirty_log_clear(&log);
	if (err == 0)
		err = dirty_log_switch(t, true);
	if (err == 0)
		err = trial_exchange(t, 1);
	if (err == 0)
		err = dirty_log_expect_used(t, &log, "after a request with LOG_ALL again");
	if (err < 0 || n_off == 0)
		return err;
	/* Pages that are sent in vain are not lost. */
	return trial_warn(t,
			  "after requests without LOG_ALL: expected an empty log, but %u bits are "
			  "set",
			  n_off);
}

int case_log_offset(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	int err = dirty_log_start(t, &log, 2 * PAGE);

	if (err == 0)
		err = trial_exchange(t, 1);
	if (err == 0)
		err = dirty_log_expect_used(t, &log, "in a log at offset 8192, after a request");
	for (size_t i = 0; i < 2 * PAGE && err == 0; i++)
		if (log.map[i])
			err = trial_fail(t,
					 "a log at offset 8192: expected nothing before it, but "
					 "byte %zu is %#x",
					 i, log.map[i]);
	return err;
}

/* Order and races. */

/* Spins, so that the first moment is seen, until the used index has moved. */
static int spin_until_used(struct trial *t, uint16_t used, void (*meanwhile)(void *arg), void *arg)
{
	int64_t deadline = monotonic_ms() + 1000 + trial_ms(t, TRIAL_ANSWER_MS);

	for (unsigned int i = 0;; i++) {
		if (trial_used_idx(t, trial_ring(t)) != used)
			return 0;
		if (meanwhile)
			meanwhile(arg);
		if (i % 1024)
			continue;
		if (monotonic_ms() > deadline)
			return trial_fail(t, "expected a request to come back in time, but it "
					     "did not");
	}
}

static int one_in_order(struct trial *t, struct dirty_log *log, uint64_t page)
{
	struct trial_request request;
	uint16_t used = trial_used_idx(t, trial_ring(t));
	bool logged;
	int err = trial_offer(t, NULL, &request);

	dirty_log_clear(log);
	if (err == 0)
		err = trial_publish(t);
	if (err == 0)
		err = spin_until_used(t, used, NULL, NULL);
	logged = dirty_log_has(log, page);
	if (err == 0)
		err = trial_answered(t, &request);
	if (err < 0 || logged)
		return err;
	return trial_fail(t, "when the used index moves: expected the bit of its page to be set, "
			     "but it is clear");
}

/*
 * The used ring is logged where no memory is, so that its entries end with a
 * page: avail_event, which the device writes when it likes, has another bit.
 */
int case_log_order(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	int err = dirty_log_start(t, &log, 0);
	uint64_t page = 0;

	if (err == 0) {
		page = t->fe.regions[0].wire.guest_addr + t->fe.regions[0].wire.size + PAGE;
		err = dirty_log_used(t, true, page + PAGE - USED_RING);
	}
	for (unsigned int i = 0; i < N_RACES && err == 0; i++)
		err = one_in_order(t, &log, page);
	return err;
}

/* A neighbour of the device's bit, which nobody but us changes. */
struct neighbour {
	uint8_t *byte;
	uint8_t mask, own; /* ours; the device's */
	bool is_set, lost;
};

static void toggle(void *arg)
{
	struct neighbour *n = arg;
	uint8_t old;

	if (n->is_set)
		old = __atomic_fetch_and(n->byte, (uint8_t) ~(n->mask | n->own), __ATOMIC_SEQ_CST);
	else
		old = __atomic_fetch_or(n->byte, n->mask, __ATOMIC_SEQ_CST);
	if (((old & n->mask) != 0) != n->is_set)
		n->lost = true;
	n->is_set = !n->is_set;
}

int case_log_atomic(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	struct neighbour n = { 0 };
	struct trial_request request;
	int err = dirty_log_start(t, &log, 0);

	if (err < 0)
		return err;
	n.byte = dirty_log_byte(&log, dirty_log_used_addr(t));
	n.own = dirty_log_mask(dirty_log_used_addr(t));
	n.mask = (uint8_t)(n.own == 0x80 ? 1 : n.own << 1);
	n.is_set = (*n.byte & n.mask) != 0;
	for (unsigned int i = 0; i < N_RACES && err == 0 && !n.lost; i++) {
		uint16_t used = trial_used_idx(t, trial_ring(t));

		err = trial_offer(t, NULL, &request);
		if (err == 0)
			err = trial_publish(t);
		if (err == 0)
			err = spin_until_used(t, used, toggle, &n);
		if (err == 0)
			err = trial_answered(t, &request);
	}
	if (err == 0 && n.lost)
		err = trial_fail(t, "a bit beside the device's: expected it to stay as the "
				    "front-end left it, but the back-end put it back");
	return err;
}

int case_log_replaced(struct trial *t)
{
	AUTO_DIRTY_LOG a = DIRTY_LOG_NONE;
	AUTO_DIRTY_LOG b = DIRTY_LOG_NONE;
	int err = dirty_log_start(t, &a, 0);

	if (err == 0)
		err = dirty_log_make(t, &b, dirty_log_size(t), 0);
	for (unsigned int i = 0; i < N_SWITCHES && err == 0; i++) {
		struct dirty_log *now = i % 2 ? &a : &b, *before = i % 2 ? &b : &a;

		dirty_log_clear(now);
		err = dirty_log_give(t, now, NULL);
		dirty_log_clear(before);
		if (err == 0)
			err = trial_exchange(t, 1);
		if (err == 0)
			err = dirty_log_expect_used(t, now, "in the new log after a request");
		if (err == 0)
			err = dirty_log_expect_nothing(t, before,
						       "the replaced log after a request");
	}
	return err;
}

int case_log_signalled(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	AUTO_FD int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct vhu_msg msg;
	int err;

	if (fd < 0)
		return trial_error(t, "an eventfd: %s", strerror(errno));
	err = dirty_log_start(t, &log, 0);
	if (err < 0)
		return err;
	trial_msg(t, &msg, VHU_FE_SET_LOG_FD);
	msg.fds.fd[msg.fds.n_fds++] = fd;
	err = trial_request(t, &msg, NULL);
	if (err == 0)
		err = trial_exchange(t, 1);
	if (err == 0)
		err = trial_ping(t);
	if (err < 0)
		return err;
	if (poll(&p, 1, trial_ms(t, TRIAL_QUIET_MS)) <= 0)
		return trial_remark(t, "SET_LOG_FD is accepted and never written");
	return 0;
}

/* Hostile. */

/*
 * A log that the front-end lies about: the session, or the ring, may end, the
 * process may not.
 */
static int lie(struct trial *t, struct dirty_log *log, const char *what)
{
	uint32_t len;
	bool closed;
	int err = dirty_log_ask(t, log, &len, &closed);

	if (err < 0)
		return err;
	if (closed)
		return trial_remark(t, "%s ends the connection", what);
	err = vhu_frontend_set_u64(&t->fe, VHU_FE_SET_FEATURES,
				   t->fe.nego.features | BIT(VHOST_F_LOG_ALL_BIT), true);
	if (err == 0)
		err = vhu_frontend_vring_addr(&t->fe, trial_ring(t), VHU_VRING_F_LOG,
					      dirty_log_used_addr(t), true);
	if (err == -ECONNRESET || err == -EREMOTEIO)
		return trial_remark(t, "%s is refused", what);
	return trial_step(t, err, "%s, then LOG_ALL", what);
}

/* Work for the device, whatever comes of it; then it still answers, on this connection or a new
 * one. */
static int survive_traffic(struct trial *t, const char *what)
{
	struct trial_request request;
	int err = t->closed ? -ECONNRESET : vhu_frontend_ping(&t->fe);

	if (err == 0) {
		err = trial_offer(t, NULL, &request);
		if (err < 0)
			return err;
		err = vhu_frontend_publish(&t->fe, trial_ring(t));
	}
	if (err == 0)
		vhu_frontend_pass_time(&t->fe, trial_ms(t, TRIAL_QUIET_MS));
	if (err == 0)
		err = vhu_frontend_ping(&t->fe);
	if (err == -ECONNRESET) {
		t->closed = true;
		err = 0;
	}
	err = trial_step(t, err, "%s, then a request", what);
	return err < 0 ? err : trial_refresh(t);
}

/* One byte of log for all of memory: nothing behind it may change, as far as that can be seen. */
static int short_log(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	int err = dirty_log_make(t, &log, 1, 0);

	if (err == 0)
		err = lie(t, &log, "a log of one byte");
	if (err == 0)
		err = survive_traffic(t, "a log of one byte");
	for (size_t i = 1; i < log.map_len && err == 0; i++)
		if (log.map[i])
			err = trial_fail(t,
					 "a log of one byte: expected nothing behind it, but byte "
					 "%zu is %#x",
					 i, log.map[i]);
	return err;
}

int case_log_short(struct trial *t)
{
	int err = dirty_log_boot(t);

	return err < 0 ? err : short_log(t);
}

/* As before, with memory so low that what lies behind the log is in the same page. */
int case_log_short_low(struct trial *t)
{
	static const struct vhu_region low = {
		.guest_addr = 0x10000,
		.size = TRIAL_MEM * 2,
		.user_addr = 0x7f5500000000,
	};
	const struct trial_plan plan = {
		.with_protocol = BIT(VHU_PF_LOG_SHMFD_BIT),
		.regions = &low,
		.n_regions = 1,
	};
	int err = trial_boot(t, &plan);

	return err < 0 ? err : short_log(t);
}

static int bad_log(struct trial *t, uint64_t size, uint64_t offset, const char *what)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	int err = dirty_log_boot(t);

	if (err == 0)
		err = dirty_log_make(t, &log, PAGE, 0);
	log.size = size;
	log.offset = offset;
	if (err == 0)
		err = lie(t, &log, what);
	return err < 0 ? err : survive_traffic(t, what);
}

int case_log_empty(struct trial *t)
{
	return bad_log(t, 0, 0, "a log of no bytes");
}

int case_log_wrapping(struct trial *t)
{
	return bad_log(t, UINT64_MAX - PAGE + 1, 2 * PAGE, "a log whose end wraps around");
}

int case_log_cut_off(struct trial *t)
{
	return bad_log(t, 64 * PAGE, 0, "a log longer than its file");
}

int case_log_unmappable(struct trial *t)
{
	AUTO_DIRTY_LOG log = DIRTY_LOG_NONE;
	int err = dirty_log_boot(t);

	if (err < 0)
		return err;
	log.fd = eventfd(0, EFD_CLOEXEC);
	log.size = dirty_log_size(t);
	if (log.fd < 0)
		return trial_error(t, "an eventfd: %s", strerror(errno));
	err = lie(t, &log, "an eventfd in place of a log");
	return err < 0 ? err : survive_traffic(t, "an eventfd in place of a log");
}
