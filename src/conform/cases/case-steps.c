/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/case-steps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "conform/target/process.h"

enum { RETRY_MS = 20, KEPT_MS = 500 };

int step_send_raw(struct trial *t, const void *bytes, size_t len, const int *fds, size_t n_fds)
{
	int err = vhu_frontend_send_raw(&t->fe, bytes, len, fds, n_fds);

	if (err == -ECONNRESET) {
		t->closed = true;
		return 0;
	}
	return trial_step(t, err, "sending %zu bytes", len);
}

/* The forms in which answers of their own report that a request failed. */
static bool reports_error(const struct vhu_msg *reply)
{
	struct vhu_inflight inflight;

	switch (reply->id) {
	case VHU_FE_IOTLB_MSG:
	case VHU_FE_CHECK_DEVICE_STATE:
	case VHU_FE_POSTCOPY_END:
		return vhu_msg_u64(reply) != 0;
	case VHU_FE_SET_DEVICE_STATE_FD:
		return (vhu_msg_u64(reply) & 0xff) != 0;
	case VHU_FE_GET_INFLIGHT_FD:
		vhu_msg_get(reply, &inflight, sizeof(inflight));
		return reply->fds.n_fds == 0 && inflight.mmap_size == 0;
	case VHU_FE_POSTCOPY_ADVISE:
	case VHU_FE_GET_SHARED_OBJECT:
		return reply->fds.n_fds == 0;
	default:
		return reply->size == 0;
	}
}

static enum step_outcome judge(const struct vhu_msg *reply, bool own)
{
	bool refused = own ? reports_error(reply) : vhu_msg_u64(reply) != 0;

	return refused ? STEP_REFUSED : STEP_TAKEN;
}

int step_outcome(struct trial *t, const struct vhu_msg *msg, enum step_outcome *ret_outcome,
		 const char *what)
{
	const struct vhu_desc *desc = vhu_desc_find(msg->dir, msg->id);
	bool own = desc && vhu_has_own_reply(desc, &t->fe.nego);
	bool asked = (msg->flags & VHU_FLAG_NEED_REPLY) &&
		     vhu_frontend_has_protocol(&t->fe, VHU_PF_REPLY_ACK_BIT);
	struct vhu_msg reply;
	bool closed = t->closed;
	int err = 0;

	*ret_outcome = STEP_SILENT;
	if (!closed && (own || asked)) {
		err = trial_receive(t, &reply, &closed);
		if (err == 0 && !closed) {
			*ret_outcome = judge(&reply, own);
			fdset_close(&reply.fds);
			if (reply.id != msg->id)
				err = trial_fail(t, "%s: expected its answer, but that of %s came",
						 what, vhu_msg_name(VHU_FE, reply.id));
		}
	}
	if (err == 0 && !closed)
		err = trial_goes_on(t, what);
	if (err == 0 && t->closed && *ret_outcome == STEP_SILENT)
		*ret_outcome = STEP_CLOSED;
	return err;
}

static int own_refused(struct trial *t, const struct vhu_msg *msg, const char *what)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	enum step_outcome outcome;
	int err = step_send_raw(t, bytes, vhu_msg_pack(msg, bytes), msg->fds.fd, msg->fds.n_fds);

	if (err == 0)
		err = step_outcome(t, msg, &outcome, what);
	if (err < 0 || outcome != STEP_TAKEN)
		return err;
	if (t->closed)
		return trial_warn(t,
				  "%s: expected an answer that reports an error, but it was "
				  "answered as if in order before the connection was closed",
				  what);
	return trial_fail(t,
			  "%s: expected the end of the connection or an answer that reports an "
			  "error, but it was answered as if in order",
			  what);
}

int step_own_refused(struct trial *t, const struct vhu_msg *msg, const char *fmt, ...)
{
	char what[256];

	FORMAT_SENTENCE(what, fmt);
	return own_refused(t, msg, what);
}

int step_refused(struct trial *t, const struct vhu_msg *msg, const char *fmt, ...)
{
	const struct vhu_desc *desc = vhu_desc_find(msg->dir, msg->id);
	char what[256];

	FORMAT_SENTENCE(what, fmt);
	if (desc && vhu_has_own_reply(desc, &t->fe.nego))
		return own_refused(t, msg, what);
	return trial_refused(t, msg, "%s", what);
}

int step_reconnect(struct trial *t)
{
	int64_t deadline = monotonic_ms() + trial_ms(t, TRIAL_ANSWER_MS);
	int err;

	for (;;) {
		err = trial_reconnect(t);
		if (err < 0)
			return err;
		err = vhu_frontend_ping(&t->fe);
		if (err != -ECONNRESET || monotonic_ms() > deadline)
			return trial_step(t, err, "GET_FEATURES on a new connection");
		vhu_frontend_pass_time(&t->fe, RETRY_MS);
	}
}

static bool is_kept(struct trial *t, int fd, int ms)
{
	int64_t deadline = monotonic_ms() + trial_ms(t, ms);
	int n;

	while ((n = process_n_fds_of(t->target->pid, fd)) > 0 && monotonic_ms() < deadline)
		vhu_frontend_pass_time(&t->fe, 1);
	return n > 0;
}

/* What was closed is gone at once for an answered request, soon after the end of a connection. */
int step_not_kept(struct trial *t, int fd, const char *what)
{
	bool over = t->closed;

	if (!process_visible(t->target->pid) || !is_kept(t, fd, over ? TRIAL_ANSWER_MS : KEPT_MS))
		return 0;
	if (!over) {
		vhu_frontend_disconnect(&t->fe);
		over = is_kept(t, fd, KEPT_MS);
	}
	return trial_fail(t, "%s: expected the descriptor to be closed, but the process keeps it%s",
			  what,
			  over ? ", even when the session is over" : " until the session ends");
}

int step_memfd(struct trial *t, size_t len, int *ret_fd)
{
	int fd = memfd_create("case", MFD_CLOEXEC);

	if (fd < 0)
		return trial_error(t, "a file in memory: %s", strerror(errno));
	if (ftruncate(fd, (off_t)len) < 0) {
		fd_close(fd);
		return trial_error(t, "a file of %zu bytes: %s", len, strerror(errno));
	}
	*ret_fd = fd;
	return 0;
}

int step_traffic(struct trial *t, unsigned int n)
{
	return t->device && !t->closed ? trial_exchange(t, n) : 0;
}

uint32_t step_first_no_ring(const struct trial *t)
{
	unsigned int n = t->target->info.n_rings;
	bool pairs = !t->device || strcmp(t->device->name, "net") == 0;

	return pairs ? 2 * n + 1 : n;
}

int step_get_config(struct trial *t, uint32_t off, uint32_t len, uint32_t flags, void *ret_bytes,
		    int *ret_len)
{
	struct vhu_config config = { .offset = off, .size = len, .flags = flags };
	struct vhu_msg msg, reply;
	bool closed;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_CONFIG);
	vhu_msg_put(&msg, &config, offsetof(struct vhu_config, bytes) + len);
	err = trial_step(t, vhu_frontend_send_unchecked(&t->fe, &msg), "GET_CONFIG");
	if (err == 0)
		err = trial_receive(t, &reply, &closed);
	if (err < 0)
		return err;
	*ret_len = -1;
	if (closed)
		return 0;
	fdset_close(&reply.fds);
	if (reply.id != VHU_FE_GET_CONFIG || reply.flags != VHU_REPLY_FLAGS)
		return trial_fail(
			t,
			"GET_CONFIG: expected its reply with flags 0x5, but %s with flags "
			"%#x came",
			vhu_msg_name(VHU_FE, reply.id), reply.flags);
	vhu_msg_get(&reply, &config, sizeof(config));
	*ret_len = reply.size == 0 ? 0 : (int)reply.size - (int)offsetof(struct vhu_config, bytes);
	if (*ret_len == 0)
		return 0;
	if (*ret_len != (int)len || config.size != len || config.offset != off)
		return trial_fail(t,
				  "GET_CONFIG of %u bytes at %u: expected a reply of %u bytes that "
				  "repeats both, but %u came, for %u bytes at %u",
				  len, off, len + 12, reply.size, config.size, config.offset);
	memcpy(ret_bytes, config.bytes, len);
	return 0;
}
