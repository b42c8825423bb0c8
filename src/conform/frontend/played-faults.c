/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the played back-end does wrong, and how its answers leave. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "conform/frontend/played.h"
#include "vhu/codec.h"

enum { SEND_MS = 1000, UNKNOWN_ID = 200 };

static const char *const texts[N_FAULTS] = {
	[FAULT_NONE] = "nothing wrong",
	[FAULT_NACK] = "a negative acknowledgement",
	[FAULT_REPLY_SHORT] = "a reply with half its payload",
	[FAULT_REPLY_LONG] = "a reply of eight bytes too many",
	[FAULT_REPLY_HUGE] = "a reply whose header promises very much",
	[FAULT_REPLY_CUT] = "a reply that stops before its end",
	[FAULT_REPLY_FLAGS] = "a reply with other flags",
	[FAULT_REPLY_ID] = "a reply with another request's id",
	[FAULT_REPLY_FDS] = "a reply with two descriptors too many",
	[FAULT_REPLY_TWICE] = "the same reply twice",
	[FAULT_REPLY_VALUE] = "a reply with an odd value",
	[FAULT_REPLY_PIECES] = "a reply byte by byte",
	[FAULT_SLOW] = "a slow reply",
	[FAULT_CONFIG_SHORT] = "half the config bytes",
	[FAULT_CONFIG_ERROR] = "an error of GET_CONFIG",
	[FAULT_DIE] = "the end of the connection instead of an answer",
	[FAULT_DIE_HALF] = "the end of the connection inside a reply",
	[FAULT_UNASKED] = "a reply before any request",
	[FAULT_UNASKED_RUNNING] = "a reply that nobody asked for",
	[FAULT_DIE_RUNNING] = "the end of the connection while rings run",
	[FAULT_CHANNEL_GARBAGE] = "garbage on the back-end channel",
	[FAULT_CHANNEL_HUGE] = "a header on the back-end channel that promises 2 GiB",
	[FAULT_CHANNEL_UNKNOWN] = "an unknown request on the back-end channel",
	[FAULT_CHANNEL_REPLY] = "a reply on the back-end channel that nobody asked for",
	[FAULT_CHANNEL_CUT] = "half a header on the back-end channel, then its end",
	[FAULT_CHANNEL_CLOSED] = "the end of the back-end channel",
	[FAULT_CONFIG_FLOOD] = "a flood of config changes",
	[FAULT_CALL_STORM] = "a storm of calls",
	[FAULT_ERR] = "the error descriptors of the rings",
	[FAULT_USED_RANGE] = "a used entry with an id beyond the table",
	[FAULT_USED_FREE] = "a used entry for a descriptor that was not offered",
	[FAULT_USED_LEN] = "a used entry with a length beyond its chain",
	[FAULT_USED_TWICE] = "a used entry twice",
	[FAULT_USED_JUMP] = "a used index that jumps",
	[FAULT_USED_NEVER] = "buffers that never come back",
};

const char *played_fault_text(enum played_fault fault)
{
	return texts[fault];
}

bool played_fault_is_running(enum played_fault fault)
{
	return fault >= FAULT_UNASKED_RUNNING && fault <= FAULT_ERR;
}

bool played_fault_is_right(enum played_fault fault)
{
	return fault == FAULT_SLOW || fault == FAULT_REPLY_PIECES;
}

static void fault_begins(struct played *p)
{
	p->fault_done = true;
	p->fault_ns = monotonic_ns();
	p->messages_at_fault = p->n_messages;
	p->chains_at_fault = p->n_chains;
	played_note(p, "** %s", texts[p->script.fault]);
}

static void die(struct played *p)
{
	p->died = true;
	played_close(p);
}

/* All bytes, or the reason why not; a peer that does not read is given a second. */
int played_send(struct played *p, int fd, const void *bytes, size_t len, const int *fds,
		size_t n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDSET_MAX * sizeof(int))];
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	(void)p;
	memset(control, 0, sizeof(control));
	if (n_fds > 0)
		fd_attach(&hdr, control, fds, n_fds);
	while (iov.iov_len > 0) {
		struct pollfd pfd = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		if (poll(&pfd, 1, SEND_MS) <= 0)
			return -ETIMEDOUT;
		n = sendmsg(fd, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n <= 0)
			continue;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		hdr.msg_control = NULL;
		hdr.msg_controllen = 0;
	}
	return 0;
}

static int send_message(struct played *p, const struct vhu_msg *m, size_t skip)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	size_t len = vhu_msg_pack(m, bytes);

	return played_send(p, p->fd, bytes, len - min_size(skip, len), m->fds.fd, m->fds.n_fds);
}

static void wait_ms(struct played *p, int ms)
{
	struct pollfd pfd = { .fd = p->fd, .events = 0 };

	/* Ends early only when the front-end goes away. */
	poll(&pfd, 1, ms);
}

static void send_pieces(struct played *p, const struct vhu_msg *m)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	size_t len = vhu_msg_pack(m, bytes);

	for (size_t i = 0; i < len; i++) {
		bool first = i == 0;

		if (played_send(p, p->fd, bytes + i, 1, m->fds.fd, first ? m->fds.n_fds : 0) < 0)
			return;
		wait_ms(p, 1);
	}
}

static void add_fds(struct vhu_msg *m)
{
	for (int i = 0; i < 2; i++) {
		int fd = memfd_create("extra", MFD_CLOEXEC);

		if (fd >= 0)
			m->fds.fd[m->fds.n_fds++] = fd;
	}
}

/* Fewer bytes of config, and header and payload agree about how many. */
static void cut_config(struct vhu_msg *m)
{
	struct vhu_config c;
	size_t head = offsetof(struct vhu_config, bytes);

	memset(&c, 0, sizeof(c));
	vhu_msg_get(m, &c, min_size(vhu_msg_payload_len(m), sizeof(c)));
	c.size /= 2;
	vhu_msg_put(m, &c, head + c.size);
}

static void send_wrong(struct played *p, struct vhu_msg *m)
{
	uint32_t size = m->size;

	switch (p->script.fault) {
	case FAULT_NACK:
		vhu_msg_put_u64(m, 1);
		break;
	case FAULT_REPLY_SHORT:
		m->size = size / 2;
		break;
	case FAULT_REPLY_LONG:
		memset(m->payload + size, 0, 8);
		m->size = size + 8;
		break;
	case FAULT_REPLY_FLAGS:
		m->flags = (uint32_t)p->script.arg;
		break;
	case FAULT_REPLY_ID:
		m->id = m->id == VHU_FE_GET_STATUS ? VHU_FE_GET_FEATURES : VHU_FE_GET_STATUS;
		break;
	case FAULT_REPLY_FDS:
		add_fds(m);
		break;
	case FAULT_REPLY_VALUE:
		vhu_msg_put_u64(m, p->script.arg);
		break;
	case FAULT_SLOW:
		wait_ms(p, (int)p->script.arg);
		break;
	case FAULT_CONFIG_SHORT:
		cut_config(m);
		break;
	case FAULT_CONFIG_ERROR:
		m->size = 0;
		break;
	default:
		break;
	}
	played_note_message(p, "<-", m);
	send_message(p, m, 0);
	if (p->script.fault == FAULT_REPLY_TWICE)
		send_message(p, m, 0);
}

/* A header that promises more than follows. */
static void send_promise(struct played *p, const struct vhu_msg *m, uint32_t size, size_t payload)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg header = *m;

	vhu_msg_pack(m, bytes);
	header.size = size;
	vhu_header_pack(&header, bytes);
	played_note_message(p, "<-", m);
	played_send(p, p->fd, bytes, VHU_HDR_LEN + payload, m->fds.fd, m->fds.n_fds);
}

static bool is_here(const struct played *p, const struct vhu_msg *m)
{
	return !p->fault_done && p->script.fault != FAULT_NONE &&
	       (p->script.message == 0 || p->script.message == m->id);
}

void played_answer(struct played *p, const struct vhu_msg *m, struct vhu_msg *reply)
{
	bool wrong = is_here(p, m) && p->script.fault < FAULT_DIE;

	if (!wrong) {
		played_note_message(p, "<-", reply);
		if (send_message(p, reply, 0) < 0)
			played_note(p, "-- the reply could not be sent");
		return;
	}
	fault_begins(p);
	if (p->script.fault == FAULT_REPLY_HUGE)
		send_promise(p, reply, (uint32_t)p->script.arg, reply->size);
	else if (p->script.fault == FAULT_REPLY_CUT)
		send_promise(p, reply, reply->size, reply->size / 2);
	else if (p->script.fault == FAULT_REPLY_PIECES)
		send_pieces(p, reply);
	else
		send_wrong(p, reply);
	p->fault_ns = monotonic_ns();
}

bool played_fault_at(struct played *p, const struct vhu_msg *m)
{
	struct vhu_msg reply;

	if (!is_here(p, m) || (p->script.fault != FAULT_DIE && p->script.fault != FAULT_DIE_HALF))
		return false;
	fault_begins(p);
	if (p->script.fault == FAULT_DIE_HALF) {
		vhu_msg_init_reply(&reply, m);
		vhu_msg_put_u64(&reply, 0);
		send_message(p, &reply, VHU_HDR_LEN / 2 + 8);
	}
	die(p);
	return true;
}

static void send_unasked(struct played *p, int fd, enum vhu_dir dir, uint32_t id)
{
	struct vhu_msg request, reply;
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];

	vhu_msg_init(&request, dir, id);
	vhu_msg_init_reply(&reply, &request);
	vhu_msg_put_u64(&reply, 0);
	played_note_message(p, dir == VHU_FE ? "<-" : "<= (channel)", &reply);
	played_send(p, fd, bytes, vhu_msg_pack(&reply, bytes), NULL, 0);
}

void played_fault_asked(struct played *p)
{
	if (p->script.fault != FAULT_UNASKED)
		return;
	fault_begins(p);
	send_unasked(p, p->fd, VHU_FE, VHU_FE_SET_OWNER);
}

/* Faults on the channel. */

static int send_channel(struct played *p, const void *bytes, size_t len)
{
	return played_send(p, p->channel_fd, bytes, len, NULL, 0);
}

static int send_header(struct played *p, uint32_t id, uint32_t flags, uint32_t size, size_t len)
{
	const struct vhu_msg m = { .dir = VHU_BE, .id = id, .flags = flags, .size = size };
	uint8_t bytes[VHU_HDR_LEN];

	vhu_header_pack(&m, bytes);
	return send_channel(p, bytes, len);
}

static void flood(struct played *p)
{
	int err = 0;

	/* A front-end that does not read them all in time has the rest spared. */
	for (uint64_t i = 0; i < p->script.arg && err == 0; i++)
		err = send_header(p, VHU_BE_CONFIG_CHANGE_MSG, VHU_VERSION, 0, VHU_HDR_LEN);
	if (err < 0)
		played_note(p, "-- the front-end does not take them any more");
}

static void storm(struct played *p)
{
	for (uint64_t n = 0; n < p->script.arg; n++)
		for (unsigned int i = 0; i < p->n_rings; i++)
			if (played_ring_runs(p, i))
				played_ring_call(p, i);
}

static void signal_errors(struct played *p)
{
	const uint64_t one = 1;

	for (unsigned int i = 0; i < p->n_rings; i++) {
		ssize_t n =
			p->rings[i].err_fd < 0 ? 0 : write(p->rings[i].err_fd, &one, sizeof(one));

		if (n < 0)
			played_note(p, "-- ring %u: writing the error descriptor failed", i);
	}
}

static bool has_errors(const struct played *p)
{
	for (unsigned int i = 0; i < p->n_rings; i++)
		if (p->rings[i].err_fd >= 0)
			return true;
	return false;
}

static bool is_possible(const struct played *p)
{
	switch (p->script.fault) {
	case FAULT_CHANNEL_GARBAGE:
	case FAULT_CHANNEL_HUGE:
	case FAULT_CHANNEL_UNKNOWN:
	case FAULT_CHANNEL_REPLY:
	case FAULT_CHANNEL_CUT:
	case FAULT_CHANNEL_CLOSED:
		return p->channel_fd >= 0;
	case FAULT_CONFIG_FLOOD:
		return p->channel_fd >= 0 && vhu_nego_has_protocol(&p->nego, VHU_PF_CONFIG_BIT);
	case FAULT_ERR:
		return has_errors(p);
	default:
		return played_fault_is_running(p->script.fault);
	}
}

void played_fault_running(struct played *p)
{
	uint8_t garbage[64];

	if (p->fault_done || p->fd < 0 || !is_possible(p))
		return;
	fault_begins(p);
	switch (p->script.fault) {
	case FAULT_UNASKED_RUNNING:
		send_unasked(p, p->fd, VHU_FE, VHU_FE_SET_OWNER);
		break;
	case FAULT_DIE_RUNNING:
		die(p);
		break;
	case FAULT_CHANNEL_GARBAGE:
		memset(garbage, 0xa5, sizeof(garbage));
		send_channel(p, garbage, sizeof(garbage));
		break;
	case FAULT_CHANNEL_HUGE:
		send_header(p, VHU_BE_CONFIG_CHANGE_MSG, VHU_VERSION, 0x7fffffff, VHU_HDR_LEN);
		break;
	case FAULT_CHANNEL_UNKNOWN:
		send_header(p, UNKNOWN_ID, VHU_VERSION | VHU_FLAG_NEED_REPLY, 0, VHU_HDR_LEN);
		break;
	case FAULT_CHANNEL_REPLY:
		send_unasked(p, p->channel_fd, VHU_BE, VHU_BE_CONFIG_CHANGE_MSG);
		break;
	case FAULT_CHANNEL_CUT:
		send_header(p, VHU_BE_CONFIG_CHANGE_MSG, VHU_VERSION, 0, VHU_HDR_LEN / 2);
		p->channel_fd = fd_close(p->channel_fd);
		break;
	case FAULT_CHANNEL_CLOSED:
		p->channel_fd = fd_close(p->channel_fd);
		break;
	case FAULT_CONFIG_FLOOD:
		flood(p);
		break;
	case FAULT_CALL_STORM:
		storm(p);
		break;
	case FAULT_ERR:
		signal_errors(p);
		break;
	default:
		break;
	}
}

/* Faults in the used ring. */

/* A head that is not on its way, or any when all are. */
static uint16_t free_head(const struct virtq *q, uint16_t head)
{
	for (uint16_t i = 0; i < q->ring.size; i++)
		if (i != head && !q->held[i])
			return i;
	return head;
}

static void use(struct played_ring *r, uint32_t id, uint32_t len, uint16_t idx_step)
{
	vring_set_used_entry(&r->q.ring.split, r->q.used_idx, id, len);
	r->q.used_idx = (uint16_t)(r->q.used_idx + idx_step);
	vring_set_used_idx(&r->q.ring.split, r->q.used_idx);
	r->q.published_idx = r->q.used_idx;
}

/* The driver has the chain back and may offer it again. */
static void give_back(struct played_ring *r, uint16_t head)
{
	r->q.held[head] = 0;
	r->q.n_held--;
}

bool played_fault_used(struct played *p, unsigned int idx, uint16_t head, uint32_t len)
{
	struct played_ring *r = &p->rings[idx];

	if (p->script.fault == FAULT_USED_NEVER && !p->fault_done)
		fault_begins(p);
	if (p->script.fault == FAULT_USED_NEVER)
		return true;
	if (p->script.fault < FAULT_USED_RANGE || p->fault_done)
		return false;
	fault_begins(p);
	switch (p->script.fault) {
	case FAULT_USED_RANGE:
		use(r, r->q.ring.size + 7, len, 1);
		break;
	case FAULT_USED_FREE:
		use(r, free_head(&r->q, head), len, 1);
		break;
	case FAULT_USED_LEN:
		give_back(r, head);
		use(r, head, UINT32_MAX - 3, 1);
		break;
	case FAULT_USED_TWICE:
		give_back(r, head);
		use(r, head, len, 1);
		use(r, head, len, 1);
		break;
	default:
		give_back(r, head);
		use(r, head, len, (uint16_t)(2 * r->q.ring.size));
		break;
	}
	played_ring_call(p, idx);
	return true;
}
