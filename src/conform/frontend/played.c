/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/frontend/played.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "vhu/codec.h"
#include "vhu/format.h"

/* More descriptors than a message may have can come, and are counted. */
enum { FDS_READ = 253, LATE_NS = 1000 * 1000 * 1000 };

#define OFFERED_FEATURES                                                                           \
	(BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_INDIRECT_DESC_BIT) |                           \
	 BIT(VIRTIO_F_EVENT_IDX_BIT) | BIT(VHU_F_PROTOCOL_FEATURES_BIT))
#define OFFERED_PROTOCOL                                                                           \
	(BIT(VHU_PF_MQ_BIT) | BIT(VHU_PF_REPLY_ACK_BIT) | BIT(VHU_PF_BACKEND_REQ_BIT) |            \
	 BIT(VHU_PF_CONFIG_BIT) | BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_RESET_DEVICE_BIT) |  \
	 BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) | BIT(VHU_PF_STATUS_BIT))

static char *next_line(struct played *p)
{
	char *line = p->lines[p->n_lines++ % PLAYED_LINES];
	double ms = (double)(monotonic_ns() - p->began_ns) / 1e6;

	snprintf(line, PLAYED_LINE, "%9.3f ", ms);
	return line + strlen(line);
}

void played_note(struct played *p, const char *fmt, ...)
{
	char *line = next_line(p);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, PLAYED_LINE - 32, fmt, ap);
	va_end(ap);
	if (p->trace)
		fprintf(p->trace, "%s\n", p->lines[(p->n_lines - 1) % PLAYED_LINES]);
}

void played_note_message(struct played *p, const char *arrow, const struct vhu_msg *m)
{
	char text[PLAYED_LINE - 64];

	vhu_format_line(text, sizeof(text), m);
	played_note(p, "%s %s", arrow, text);
}

void played_judge(struct played *p, enum played_duty duty, bool met, const char *fmt, ...)
{
	struct played_point *point = &p->duties[duty];
	va_list ap;

	point->n_applied++;
	if (met || point->n_broken++ > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(point->broken, sizeof(point->broken), fmt, ap);
	va_end(ap);
	played_note(p, "!! %.*s", PLAYED_LINE - 64, point->broken);
}

static void offer(struct played *p)
{
	const struct played_script *s = &p->script;

	p->features = OFFERED_FEATURES | p->device->features | s->with_features;
	p->features &= ~s->without_features;
	p->protocol = (OFFERED_PROTOCOL | s->with_protocol) & ~s->without_protocol;
	if (s->only_version_1)
		p->features = BIT(VIRTIO_F_VERSION_1_BIT);
	if (!(p->features & BIT(VHU_F_PROTOCOL_FEATURES_BIT)))
		p->protocol = 0;
	p->n_rings = s->n_rings ? s->n_rings : p->device->n_rings;
}

int played_init(struct played *p, int fd, const struct played_device *device,
		const struct played_script *script)
{
	memset(p, 0, sizeof(*p));
	p->device = device;
	p->script = *script;
	p->fd = fd;
	p->channel_fd = -1;
	p->began_ns = monotonic_ns();
	p->last_ns = p->began_ns;
	offer(p);
	vhu_nego_init(&p->nego);
	p->nego.offered_features = p->features;
	p->nego.offered_protocol = p->protocol;
	/* How many rings there are is told by GET_QUEUE_NUM. */
	p->nego.max_queue_size = script->max_size;
	device->make_config(p->config);
	return played_rings_init(p);
}

void played_close(struct played *p)
{
	p->fd = fd_close(p->fd);
	p->channel_fd = fd_close(p->channel_fd);
}

void played_fini(struct played *p)
{
	played_close(p);
	played_rings_fini(p);
	gmem_unref(p->mem);
	p->mem = NULL;
	for (unsigned int i = 0; i < p->n_slots; i++)
		gmem_region_unref(p->slots[i].region);
	p->n_slots = 0;
	free(p->disk);
	free(p->answers);
	p->disk = NULL;
	p->answers = NULL;
}

bool played_rings_run(const struct played *p)
{
	for (unsigned int i = 0; i < p->n_rings; i++)
		if (played_ring_runs(p, i))
			return true;
	return false;
}

/* Receiving. */

/* What one read gave: bytes (0: the end), or a negative errno; and the descriptors with them. */
static ssize_t read_part(int fd, void *buf, size_t len, struct fdset *fds, unsigned int *ret_n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_READ * sizeof(int))];
	struct iovec iov = { buf, len };
	struct msghdr hdr = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &hdr, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	*ret_n_fds = fdset_receive(fds, &hdr);
	return n;
}

struct reading {
	struct fdset fds;
	unsigned int n_fds; /* that came */
	unsigned int late;  /* of them, not with the first byte */
	uint64_t deadline;
};

/* Until all of len is there: how much came before the end. */
static size_t read_whole(int fd, uint8_t *buf, size_t len, struct reading *r, bool first)
{
	size_t got = 0;

	while (got < len) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		uint64_t now = monotonic_ns();
		unsigned int n_fds = 0;
		ssize_t n;

		if (now >= r->deadline ||
		    poll(&pfd, 1, (int)((r->deadline - now) / 1000000) + 1) < 0)
			break;
		n = read_part(fd, buf + got, len - got, &r->fds, &n_fds);
		if (n == -EAGAIN || n == -EINTR)
			continue;
		if (n <= 0)
			break;
		r->n_fds += n_fds;
		if (got > 0 || !first)
			r->late += n_fds;
		got += (size_t)n;
	}
	return got;
}

enum received { RECEIVED_MESSAGE, RECEIVED_END, RECEIVED_CUT, RECEIVED_ABSURD };

/* The next message, of which the first byte is there. */
static enum received receive(int fd, struct vhu_msg *m, struct reading *r)
{
	uint8_t hdr[VHU_HDR_LEN];
	size_t got;

	memset(r, 0, sizeof(*r));
	fdset_init(&r->fds);
	r->deadline = monotonic_ns() + (uint64_t)PLAYED_MESSAGE_MS * 1000000;
	memset(hdr, 0, sizeof(hdr));
	got = read_whole(fd, hdr, sizeof(hdr), r, true);
	if (got == 0)
		return RECEIVED_END;
	if (vhu_header_parse(hdr, m) < 0)
		return got < sizeof(hdr) ? RECEIVED_CUT : RECEIVED_ABSURD;
	if (got < sizeof(hdr) || read_whole(fd, m->payload, m->size, r, false) < m->size)
		return RECEIVED_CUT;
	return RECEIVED_MESSAGE;
}

/* The connection ends because of what the front-end did, as any back-end would end it. */
static void give_up(struct played *p, const char *why)
{
	played_note(p, "-- the connection is closed: %s", why);
	p->died = true;
	played_close(p);
}

static void count(struct played *p, const struct vhu_msg *m)
{
	p->n_messages++;
	p->last_ns = monotonic_ns();
	p->last_id = m->id;
	if (m->id >= ARRAY_SIZE(p->seen))
		return;
	p->seen[m->id]++;
	if ((m->flags & VHU_FLAG_NEED_REPLY) &&
	    vhu_nego_has_protocol(&p->nego, VHU_PF_REPLY_ACK_BIT))
		p->asked[m->id]++;
}

static bool readable_now(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLIN) && !(pfd.revents & POLLHUP);
}

/* A request that is in order: acted on and answered. */
static void serve_request(struct played *p, struct vhu_msg *m)
{
	struct vhu_msg reply;
	bool good;

	vhu_msg_init_reply(&reply, m);
	good = played_act(p, m, &reply);
	if (good)
		vhu_observe(&p->nego, m);
	if (vhu_reply_due(&p->nego, m)) {
		const struct vhu_desc *desc = vhu_desc_find(m->dir, m->id);

		played_judge(p, DUTY_REPLY_AWAITED, !readable_now(p->fd),
			     "after %s, which is answered, the next request came before the answer",
			     desc->name);
		if (!vhu_has_own_reply(desc, &p->nego))
			vhu_msg_put_u64(&reply, good ? 0 : 1);
		played_answer(p, m, &reply);
	} else if (!good) {
		give_up(p,
			"a request could not be carried out, and no acknowledgement was asked for");
	}
	fdset_close(&reply.fds);
}

static void refuse(struct played *p, const struct vhu_msg *m, enum vhu_rule rule)
{
	const struct vhu_desc *desc = vhu_desc_find(m->dir, m->id);
	struct vhu_msg reply;

	if (vhu_rule_severity(rule) == VHU_CLOSE || !vhu_reply_due(&p->nego, m) ||
	    (desc && vhu_has_own_reply(desc, &p->nego))) {
		give_up(p, "a rule was broken");
		return;
	}
	vhu_msg_init_reply(&reply, m);
	vhu_msg_put_u64(&reply, 1);
	played_answer(p, m, &reply);
}

static void take_message(struct played *p, struct vhu_msg *m)
{
	enum vhu_rule rule;

	count(p, m);
	played_note_message(p, "->", m);
	rule = played_judge_request(p, m, false);
	if (played_fault_at(p, m))
		return;
	if (rule != VHU_OK && !played_rule_is_lenient(rule))
		refuse(p, m, rule);
	else
		serve_request(p, m);
}

static void ended(struct played *p)
{
	played_note(p, "-- the front-end closed the connection");
	p->left = true;
	played_close(p);
}

static void read_request(struct played *p)
{
	struct vhu_msg m;
	struct reading r;
	enum received got;

	vhu_msg_init(&m, VHU_FE, 0);
	got = receive(p->fd, &m, &r);
	m.fds = r.fds;
	if (got == RECEIVED_END) {
		ended(p);
		return;
	}
	played_judge_rule(p, VHU_RULE_FDS_TOO_MANY, r.n_fds <= FDSET_MAX, &m);
	if (r.n_fds > 0)
		played_judge_rule(p, VHU_RULE_FDS_PLACE, r.late == 0, &m);
	if (got == RECEIVED_MESSAGE) {
		take_message(p, &m);
	} else if (got == RECEIVED_CUT) {
		played_judge_rule(p, VHU_RULE_TRUNCATED, false, &m);
		give_up(p, "a message was cut short");
	} else {
		played_note_message(p, "->", &m);
		played_judge_request(p, &m, true);
		give_up(p, "a message is longer than any can be");
	}
	fdset_close(&m.fds);
}

/* The back-end channel. */

bool played_config_change(struct played *p)
{
	struct vhu_msg m;
	uint8_t bytes[VHU_HDR_LEN];
	bool ack = vhu_nego_has_protocol(&p->nego, VHU_PF_REPLY_ACK_BIT);

	if (p->channel_fd < 0 || p->channel_asked_ns ||
	    !vhu_nego_has_protocol(&p->nego, VHU_PF_CONFIG_BIT))
		return false;
	vhu_msg_init(&m, VHU_BE, VHU_BE_CONFIG_CHANGE_MSG);
	if (ack)
		m.flags |= VHU_FLAG_NEED_REPLY;
	vhu_header_pack(&m, bytes);
	played_note_message(p, "<= (channel)", &m);
	p->channel_request = m;
	if (ack)
		p->channel_asked_ns = monotonic_ns();
	return played_send(p, p->channel_fd, bytes, sizeof(bytes), NULL, 0) == 0;
}

static void judge_channel_reply(struct played *p, const struct vhu_msg *m)
{
	static const enum vhu_rule rules[] = {
		VHU_RULE_REPLY_UNEXPECTED, VHU_RULE_REPLY_ID,  VHU_RULE_REPLY_FLAGS,
		VHU_RULE_REPLY_SIZE,	   VHU_RULE_REPLY_FDS,
	};
	enum vhu_rule broken = VHU_RULE_REPLY_UNEXPECTED;

	p->n_acks++;
	if (vhu_msg_payload_len(m) == 8 && vhu_msg_u64(m) != 0)
		p->n_nacks++;
	/* After a fault on the channel, whatever comes is an answer to that. */
	if (p->fault_done)
		return;
	if (p->channel_asked_ns)
		broken = vhu_check_reply(&p->nego, &p->channel_request, m);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		played_judge_rule(p, rules[i], broken != rules[i], m);
	if (p->channel_asked_ns)
		played_judge(p, DUTY_CHANNEL_ACK, true, "%s", "");
	p->channel_asked_ns = 0;
}

static void read_channel(struct played *p)
{
	struct vhu_msg m;
	struct reading r;
	enum received got;

	vhu_msg_init(&m, VHU_BE, 0);
	got = receive(p->channel_fd, &m, &r);
	m.fds = r.fds;
	if (got == RECEIVED_MESSAGE) {
		played_note_message(p, "=> (channel)", &m);
		judge_channel_reply(p, &m);
	} else {
		played_note(p, "-- the front-end closed the back-end channel");
		p->channel_fd = fd_close(p->channel_fd);
		p->channel_closed = true;
	}
	fdset_close(&m.fds);
}

static void judge_channel_silence(struct played *p)
{
	if (!p->channel_asked_ns || p->fd < 0 ||
	    monotonic_ns() - p->channel_asked_ns < (uint64_t)2 * LATE_NS)
		return;
	p->channel_asked_ns = 0;
	played_judge(
		p, DUTY_CHANNEL_ACK, false,
		"BACKEND_CONFIG_CHANGE_MSG asked for an acknowledgement, and within 2 s none came");
}

/* The poll. */

struct watched {
	struct pollfd fds[PLAYED_MAX_RINGS + 3];
	unsigned int ring[PLAYED_MAX_RINGS + 3];
	unsigned int n;
};

static void watch(struct watched *w, int fd, unsigned int ring)
{
	w->ring[w->n] = ring;
	w->fds[w->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

void played_step(struct played *p, int ms, int other)
{
	struct watched w = { .n = 0 };

	watch(&w, p->fd, 0);
	watch(&w, p->channel_fd, 0);
	watch(&w, other, 0);
	for (unsigned int i = 0; i < p->n_rings; i++)
		if (p->rings[i].started && p->rings[i].kick_fd >= 0)
			watch(&w, p->rings[i].kick_fd, i);
	if (poll(w.fds, w.n, ms) < 0)
		return;
	for (unsigned int i = 3; i < w.n; i++)
		if (w.fds[i].revents && p->rings[w.ring[i]].kick_fd == w.fds[i].fd)
			played_ring_kicked(p, w.ring[i]);
	if (p->channel_fd >= 0 && w.fds[1].revents)
		read_channel(p);
	if (p->fd >= 0 && w.fds[0].revents)
		read_request(p);
	played_rings_serve(p);
	judge_channel_silence(p);
}
