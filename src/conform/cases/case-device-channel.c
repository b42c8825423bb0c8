/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The back-end's own requests and the channel for them (vhost-user "Back-end communication"). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "conform/cases/case-life.h"
#include "conform/cases/case-list.h"
#include "conform/trial/trial-ring.h"

enum {
	N_REPLACED = 50,
	MULTIPORT = 2, /* feature bit of a console, as a mask: without it a new size is config */
};

/* A channel of the case's own, whose messages nobody has looked at. */
struct channel {
	int ours;
};

static void channel_fini(struct channel *c)
{
	c->ours = fd_close(c->ours);
}

#define AUTO_CHANNEL AUTO(channel_fini) struct channel
#define CHANNEL_NONE                                                                               \
	{                                                                                          \
		.ours = -1                                                                         \
	}

static int channel_open(struct trial *t, struct channel *c)
{
	struct vhu_msg msg;
	int fds[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return trial_error(t, "a channel: %s", strerror(errno));
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	c->ours = fds[0];
	trial_msg(t, &msg, VHU_FE_SET_BACKEND_REQ_FD);
	msg.fds.fd[msg.fds.n_fds++] = fds[1];
	err = trial_request(t, &msg, NULL);
	fd_close(fds[1]);
	return err < 0 ? err : trial_ping(t);
}

/* A console without MULTIPORT tells of its size by its config space. */
static uint64_t without_features(const struct trial *t)
{
	return t->device && strcmp(t->device->name, "console") == 0 ? MULTIPORT : 0;
}

/* Something that the back-end has to tell of: another size each time. */
static int resize(struct trial *t)
{
	static unsigned int n;
	char cols[32], rows[32];
	const char *words[] = { "port=0", cols, rows, NULL };

	n++;
	snprintf(cols, sizeof(cols), "cols=%u", 60 + n % 100);
	snprintf(rows, sizeof(rows), "rows=%u", 20 + n % 50);
	if (target_act(t->target, "resize", words) < 0)
		return trial_error(t, "--do resize: %s", t->target->error);
	return 0;
}

static int traffic(struct trial *t)
{
	return t->device ? trial_exchange(t, 2) : trial_ping(t);
}

/* The descriptor itself. */

static int await_hangup(struct trial *t, int fd, const char *what)
{
	int64_t deadline = monotonic_ms() + trial_ms(t, TRIAL_ANSWER_MS), left;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char junk[256];
	ssize_t n;

	while ((left = deadline - monotonic_ms()) > 0) {
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = recv(fd, junk, sizeof(junk), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return 0;
	}
	return trial_fail(t, "%s: expected it to be closed, but it is open", what);
}

int case_bchannel_replaced(struct trial *t)
{
	AUTO_CHANNEL first = CHANNEL_NONE;
	AUTO_CHANNEL second = CHANNEL_NONE;
	int err = trial_handshake(t);

	if (err == 0)
		err = channel_open(t, &first);
	if (err == 0)
		err = channel_open(t, &second);
	return err < 0 ? err : await_hangup(t, first.ours, "the channel that was replaced");
}

int case_bchannel_not_kept(struct trial *t)
{
	int before = 0;
	int err = trial_handshake(t);

	for (unsigned int i = 0; i <= N_REPLACED && err == 0; i++) {
		AUTO_CHANNEL c = CHANNEL_NONE;

		err = channel_open(t, &c);
		if (i == 0 && err == 0)
			err = trial_n_fds(t, &before);
	}
	return err < 0 ? err : life_expect_fds(t, before, "more SET_BACKEND_REQ_FD");
}

int case_bchannel_late(struct trial *t)
{
	AUTO_CHANNEL c = CHANNEL_NONE;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = channel_open(t, &c);
	return err < 0 ? err : traffic(t);
}

int case_bchannel_closed(struct trial *t)
{
	int err = trial_boot(t, NULL);

	t->fe.channel_fd = fd_close(t->fe.channel_fd);
	if (err == 0 && target_has_action(t->target, "resize"))
		err = resize(t);
	if (err == 0)
		err = traffic(t);
	return err < 0 ? err : trial_ping(t);
}

/* What comes. */

/* One message with whatever descriptors it has. 0: there was none. */
static int take_message(struct trial *t, int fd, struct vhu_msg *ret_msg, unsigned int *ret_n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(32 * sizeof(int))];
	uint8_t hdr[VHU_HDR_LEN];
	struct iovec iov = { hdr, sizeof(hdr) };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_n_fds = 0;
	if (n <= 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			fd_close(got);
			++*ret_n_fds;
		}
	vhu_msg_init(ret_msg, VHU_BE, 0);
	if (n != VHU_HDR_LEN || vhu_header_parse(hdr, ret_msg) < 0)
		return trial_fail(t,
				  "the back-end channel: expected a whole header, but %zd bytes "
				  "came",
				  n);
	if (ret_msg->size > 0 &&
	    recv(fd, ret_msg->payload, ret_msg->size, MSG_DONTWAIT) != (ssize_t)ret_msg->size)
		return trial_fail(t, "%s: expected %u bytes of payload",
				  vhu_msg_name(VHU_BE, ret_msg->id), ret_msg->size);
	return 1;
}

static int judge_message(struct trial *t, const struct vhu_msg *msg, unsigned int n_fds)
{
	const char *name = vhu_msg_name(VHU_BE, msg->id);

	if ((msg->flags & ~VHU_FLAG_NEED_REPLY) != VHU_VERSION)
		return trial_fail(t, "%s: expected version 1 and no other flag, but flags are %#x",
				  name, msg->flags);
	if (msg->flags & VHU_FLAG_NEED_REPLY)
		return trial_fail(t,
				  "%s: expected no need_reply without REPLY_ACK, but flags are "
				  "%#x",
				  name, msg->flags);
	if (n_fds > 0)
		return trial_fail(t,
				  "%s: expected no descriptor without BACKEND_SEND_FD, but %u "
				  "came",
				  name, n_fds);
	return 0;
}

/* All that has come on the channel, judged. */
static int judge_channel(struct trial *t, int fd, unsigned int *ret_n)
{
	struct vhu_msg msg;
	unsigned int n_fds;
	int err;

	for (*ret_n = 0;; ++*ret_n) {
		err = take_message(t, fd, &msg, &n_fds);
		if (err <= 0)
			return err;
		err = judge_message(t, &msg, n_fds);
		if (err < 0)
			return err;
	}
}

/* Neither acknowledgements nor descriptors are agreed on. */
static int boot_plainly(struct trial *t)
{
	const struct trial_plan plan = {
		.without_protocol = BIT(VHU_PF_REPLY_ACK_BIT) | BIT(VHU_PF_BACKEND_SEND_FD_BIT) |
				    BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT),
		.without_features = without_features(t),
	};

	return trial_boot(t, &plan);
}

int case_bchannel_request(struct trial *t)
{
	AUTO_CHANNEL c = CHANNEL_NONE;
	unsigned int n = 0;
	int err = boot_plainly(t);

	if (err == 0)
		err = channel_open(t, &c);
	if (err == 0 && target_has_action(t->target, "resize"))
		err = resize(t);
	if (err == 0)
		err = traffic(t);
	if (err == 0)
		err = trial_pass(t, trial_ms(t, TRIAL_QUIET_MS));
	if (err == 0)
		err = judge_channel(t, c.ours, &n);
	if (err == 0 && n == 0)
		err = trial_na(t, "it had nothing to ask for%s",
			       target_has_action(t->target, "resize") ? ""
								      : "; --do resize= may help");
	return err;
}

int case_bchannel_suspended(struct trial *t)
{
	const struct trial_plan plan = { .without_features = without_features(t) };
	unsigned int before = 0;
	uint16_t base;
	int err = trial_boot(t, &plan);

	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		err = trial_stop_ring(t, i, &base);
	before = t->fe.heard.n_messages;
	if (err == 0)
		err = resize(t);
	if (err == 0)
		err = trial_pass(t, trial_ms(t, TRIAL_QUIET_MS));
	if (err < 0 || t->fe.heard.n_messages == before)
		return err;
	return trial_fail(t,
			  "all rings stopped: expected no message on the back-end channel, but "
			  "%u came",
			  t->fe.heard.n_messages - before);
}

int case_bchannel_unanswered(struct trial *t)
{
	const struct trial_plan plan = { .without_features = without_features(t) };
	int err = trial_boot(t, &plan);

	t->fe.channel_silent = true;
	for (unsigned int i = 0; i < 3 && err == 0; i++)
		err = resize(t);
	if (err == 0)
		err = traffic(t);
	if (err == 0)
		err = trial_ping(t);
	if (err == 0 && t->fe.heard.n_unanswered == 0)
		trial_remark(t, "it asked for no answer");
	return err;
}

/* What should not come. */

/* After junk on the channel only the channel may be lost. */
static int send_junk(struct trial *t, int fd, const void *bytes, size_t len)
{
	if (send(fd, bytes, len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return trial_error(t, "junk on the channel: %s", strerror(errno));
	return 0;
}

static int junk(struct trial *t, const struct vhu_msg *msg)
{
	const struct trial_plan plan = { .without_features = without_features(t) };
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	AUTO_CHANNEL c = CHANNEL_NONE;
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = channel_open(t, &c);
	if (err == 0 && target_has_action(t->target, "resize"))
		err = resize(t);
	if (err == 0)
		err = send_junk(t, c.ours, bytes, vhu_msg_pack(msg, bytes));
	if (err == 0)
		err = traffic(t);
	return err < 0 ? err : trial_ping(t);
}

int case_bchannel_junk_id(struct trial *t)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_BE, 1000);
	msg.flags = VHU_REPLY_FLAGS;
	vhu_msg_put_u64(&msg, 0);
	return junk(t, &msg);
}

int case_bchannel_junk_size(struct trial *t)
{
	static const uint8_t zeroes[VHU_MAX_PAYLOAD];
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_BE, VHU_BE_CONFIG_CHANGE_MSG);
	msg.flags = VHU_REPLY_FLAGS;
	vhu_msg_put(&msg, zeroes, sizeof(zeroes));
	return junk(t, &msg);
}

/* A header that promises more than may come. */
int case_bchannel_junk_header(struct trial *t)
{
	static const uint32_t header[] = { VHU_BE_CONFIG_CHANGE_MSG, VHU_REPLY_FLAGS, UINT32_MAX };
	AUTO_CHANNEL c = CHANNEL_NONE;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = channel_open(t, &c);
	if (err == 0)
		err = send_junk(t, c.ours, header, sizeof(header));
	if (err == 0)
		err = traffic(t);
	return err < 0 ? err : trial_ping(t);
}
