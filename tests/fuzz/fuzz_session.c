/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Whole sessions: a front-end, a driver, clients of the ports, and what happens
 * to the files between them. Input:
 *
 *	byte 0		the device: 1 an IOMMU is offered; 2 rows first; 4 ports hold;
 *			8, 16 a client on port 0, 1; 32 begins with a handshake of
 *			2 bytes, as STEP_HANDSHAKE; 64 somebody listens, as for --trace;
 *			128 it has cost too much: a rest follows each request
 *	then steps, each
 *		1 byte	an enum step in the low five bits; bit 7: the next step
 *			comes before anybody has looked at this one
 *		n bytes	what the step needs; see there
 *
 * Most of what is sent is what an honest front-end sends, as session-messages.c
 * has it, with some of it changed.
 */
#include <sys/socket.h>

#include "session.h"

#include "fd.h"
#include "virtio/console-private.h"

enum step {
	STEP_SEND,	/* 3 bytes: which message, and its two numbers */
	STEP_SEND_ODD,	/* the same; 1 byte: enum oddity, as bits; what these need */
	STEP_HANDSHAKE, /* 2 bytes: see session_handshake(), and features */
	STEP_KICK,	/* 1 byte: ring */
	STEP_OFFER,	/* 1 byte: ring, and how many descriptors; 3 bytes for each */
	STEP_POKE,	/* 3 bytes: where in memory, how many; then they */
	STEP_SAY,	/* 3 bytes: id, event, value: a control message of the driver */
	STEP_TYPE,	/* 2 bytes: port, how many; then they */
	STEP_JOIN,	/* 1 byte: port */
	STEP_RESIZE,	/* 3 bytes: port, columns, rows */
	STEP_PLUG,	/* 1 byte: port */
	STEP_RAW,	/* 2 bytes: how many, descriptors; then they */
	STEP_TRUNCATE,	/* 2 bytes: which file, how many pages are left */
	STEP_RECONNECT,
	STEP_ANSWER,  /* 1 byte: how many bytes into the channel; then they */
	STEP_STATE,   /* 1 byte: how many bytes into the pipe, 0 to close it; then they */
	STEP_RECORD,  /* 3 bytes: where in the record, how many; then they */
	STEP_ECHO,    /* the channel's requests are acknowledged: 2 bytes: id, value */
	STEP_UPGRADE, /* see session_upgrade() */
	N_STEPS,
};

enum oddity {
	ODD_REPLY = 1,	 /* a reply is wanted */
	ODD_FDS = 2,	 /* 2 bytes: how many descriptors, of which kind */
	ODD_PATCHES = 4, /* 1 byte: how many; for each 5 bytes: where, what */
	ODD_SIZE = 8,	 /* 2 bytes: the size */
	ODD_FLAGS = 16,	 /* 1 byte: added to the flags */
};

enum { STEPS_MAX = 400, CLIENT_ROOM = 256 };

static struct session session;

static void patch(struct vhu_msg *m, struct input *in)
{
	unsigned int n = input_u8(in) % 5;

	for (unsigned int i = 0; i < n; i++) {
		size_t at = input_u8(in);
		uint32_t word = input_u32(in);

		memcpy(m->payload + at, &word, sizeof(word));
	}
	/* Postcopy has threads; it is not for this target. */
	if (m->id == VHU_FE_SET_PROTOCOL_FEATURES)
		m->payload[1] &= (uint8_t) ~(BIT(VHU_PF_PAGEFAULT_BIT) >> 8);
}

static void make_odd(struct session_message *m, struct input *in)
{
	uint8_t how = input_u8(in);

	if (how & ODD_REPLY)
		m->msg.flags |= VHU_FLAG_NEED_REPLY;
	if (how & ODD_FDS) {
		m->n_fds = input_u8(in) % (FDSET_MAX + 2);
		for (unsigned int i = 0; i < ARRAY_SIZE(m->fds); i++)
			m->fds[i] = (enum session_fd)((input_u8(in) + i / 4) % SESSION_N_FDS);
	}
	if (how & ODD_PATCHES)
		patch(&m->msg, in);
	if (how & ODD_SIZE)
		m->msg.size = input_u16(in) % (VHU_MAX_PAYLOAD + 1);
	if (how & ODD_FLAGS)
		m->msg.flags |= input_u8(in);
}

static void do_send(struct session *s, struct input *in, bool odd)
{
	uint8_t row = input_u8(in), a = input_u8(in), b = input_u8(in);
	struct session_message m;

	session_compose(s, row, a, b, &m);
	if (odd)
		make_odd(&m, in);
	session_send(s, &m);
}

static void do_kick(struct session *s, unsigned int ring)
{
	uint64_t one = 1;

	if (s->kicks[ring % SESSION_RINGS] >= 0)
		(void)!write(s->kicks[ring % SESSION_RINGS], &one, sizeof(one));
}

/* One descriptor: flags, and an address and a length that mostly make sense. */
struct offer {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
};

static struct offer take_offer(const struct session *s, struct input *in)
{
	uint8_t flags = input_u8(in), where = input_u8(in), len = input_u8(in);
	uint64_t base = s->features & BIT(VIRTIO_F_ACCESS_PLATFORM_BIT) ? SESSION_IOVA_BASE
									: SESSION_GUEST_BASE;

	return (struct offer){
		.addr = base + (uint64_t)where * (SESSION_MEMORY / 256) + (flags >> 4),
		.len = flags & 8 ? (uint32_t)len << 9 : len,
		.flags = flags & 7,
	};
}

static uint64_t rest_of(const struct offer *o, uint16_t low, uint16_t high)
{
	return o->len | (uint64_t)low << 32 | (uint64_t)high << 48;
}

static void store_desc(struct session *s, size_t ring, uint32_t idx, uint64_t addr, uint64_t rest)
{
	uint64_t words[2] = { addr, rest };

	session_store(s, ring + (size_t)idx * 16, words, sizeof(words));
}

/* A split ring's next chain, over whatever was in its place. */
static void offer_split(struct session *s, size_t ring, uint32_t num, const struct offer *offers,
			unsigned int n)
{
	uint16_t avail, head;

	session_load(s, ring + 0x402, &avail, sizeof(avail));
	head = (uint16_t)(avail % num);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t idx = (head + i) % num;

		store_desc(s, ring, idx, offers[i].addr,
			   rest_of(&offers[i], offers[i].flags, (uint16_t)((idx + 1) % num)));
	}
	session_store(s, ring + 0x404 + 2 * (size_t)(avail % num), &head, sizeof(head));
	avail++;
	session_store(s, ring + 0x402, &avail, sizeof(avail));
}

/* The same of a packed one; what was offered is counted behind it. */
static void offer_packed(struct session *s, size_t ring, uint32_t num, const struct offer *offers,
			 unsigned int n)
{
	uint16_t count;

	session_load(s, ring + 0xc00, &count, sizeof(count));
	for (unsigned int i = 0; i < n; i++) {
		uint16_t idx = (uint16_t)(count % num);
		uint16_t flags = (uint16_t)(offers[i].flags | (count / num % 2 ? 0x8000 : 0x80));

		store_desc(s, ring, idx, offers[i].addr, rest_of(&offers[i], idx, flags));
		count = (uint16_t)((count + 1u) % (2 * num));
	}
	session_store(s, ring + 0xc00, &count, sizeof(count));
}

static void offer(struct session *s, unsigned int ring, const struct offer *offers, unsigned int n)
{
	uint32_t num = s->ring_num[ring % SESSION_RINGS];

	if (num == 0 || num > SESSION_RING_MAX)
		return;
	if (s->features & BIT(VIRTIO_F_RING_PACKED_BIT))
		offer_packed(s, session_ring_at(ring), num, offers, n);
	else
		offer_split(s, session_ring_at(ring), num, offers, n);
	do_kick(s, ring);
}

static void do_offer(struct session *s, struct input *in)
{
	uint8_t head = input_u8(in);
	struct offer offers[4];
	unsigned int n = 1 + (head >> 6);

	for (unsigned int i = 0; i < n; i++)
		offers[i] = take_offer(s, in);
	offer(s, head & 0x3f, offers, n);
}

/* The driver's control messages go into the last bytes of memory. */
static void do_say(struct session *s, struct input *in)
{
	uint8_t msg[8] = { input_u8(in), 0, 0, 0, input_u8(in), 0, input_u8(in), 0 };
	size_t at = SESSION_MEMORY - 16;
	struct offer o = {
		.addr = (s->features & BIT(VIRTIO_F_ACCESS_PLATFORM_BIT) ? SESSION_IOVA_BASE
									 : SESSION_GUEST_BASE) +
			at,
		.len = sizeof(msg),
	};

	session_store(s, at, msg, sizeof(msg));
	offer(s, CONSOLE_CTRL_TX, &o, 1);
}

static void do_poke(struct session *s, struct input *in)
{
	size_t at = (size_t)input_u16(in) * 2 % SESSION_MEMORY, len;
	const uint8_t *bytes = input_take(in, input_u8(in), &len);

	session_store(s, at, bytes, len);
}

static void do_type(struct session *s, struct input *in)
{
	unsigned int i = input_u8(in) % SESSION_PORTS;
	size_t len;
	const uint8_t *bytes = input_take(in, input_u8(in), &len);

	if (s->joined[i] && len > 0)
		must(port_input(&s->ports[i], bytes, len) <= len);
}

static void read_some(struct port_client *client)
{
	char buf[PORT_READ_MIN + CLIENT_ROOM];

	must(port_read(client, buf, sizeof(buf)) <= sizeof(buf));
}

static const struct port_client_ops slow_ops = { .output_ready = read_some };

/* Who joins here reads slowly. */
static void do_join(struct session *s, uint8_t which)
{
	static const struct port_client_options options = {
		.writes = true, .holds = true, .shows = true, .replay = 100, .what = "slow"
	};
	unsigned int i = which % SESSION_PORTS;

	if (s->joined[i])
		port_leave(&s->clients[i]);
	else
		port_join(&s->ports[i], &s->clients[i], &slow_ops, &options);
	s->joined[i] = !s->joined[i];
}

static void do_plug(struct session *s, uint8_t which)
{
	unsigned int i = which % SESSION_PORTS;

	if (console_port(&s->con, i))
		console_remove_port(&s->con, i);
	else
		console_add_port(&s->con, i, &s->ports[i]);
}

static void do_raw(struct session *s, struct input *in)
{
	enum session_fd fds[FDSET_MAX + 1];
	size_t len = input_u8(in);
	uint8_t how = input_u8(in);
	const uint8_t *bytes = input_take(in, len, &len);

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = (enum session_fd)((how / 16u + i) % SESSION_N_FDS);
	session_send_raw(s, bytes, len, fds, how % 16 < 10 ? how % 16 : 0);
}

/* The files get shorter under whoever has mapped them. */
static void do_truncate(struct session *s, struct input *in)
{
	const int fds[] = { s->memory_fd, s->log_fd, s->empty_fd };
	int fd = fds[input_u8(in) % ARRAY_SIZE(fds)];

	must(ftruncate(fd, (off_t)(input_u8(in) % 32) * 4096) == 0);
}

static void do_answer(struct session *s, struct input *in)
{
	size_t len;
	const uint8_t *bytes = input_take(in, input_u8(in), &len);

	if (s->channel >= 0 && len > 0)
		(void)!send(s->channel, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void do_echo(struct session *s, struct input *in)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct vhu_msg m;

	vhu_msg_init(&m, VHU_BE, input_u8(in));
	m.flags = VHU_REPLY_FLAGS;
	vhu_msg_put_u64(&m, input_u8(in));
	if (s->channel >= 0)
		(void)!send(s->channel, bytes, vhu_msg_pack(&m, bytes),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void do_state(struct session *s, struct input *in)
{
	size_t len;
	const uint8_t *bytes = input_take(in, input_u8(in), &len);

	if (len == 0)
		s->pipe_in = fd_close(s->pipe_in);
	else if (s->pipe_in >= 0)
		(void)!write(s->pipe_in, bytes, len);
}

static void do_record(struct session *s, struct input *in)
{
	off_t at = input_u16(in);
	size_t len;
	const uint8_t *bytes = input_take(in, input_u8(in), &len);

	if (len > 0)
		(void)!pwrite(s->record_fd >= 0 ? s->record_fd : s->empty_fd, bytes, len, at);
}

static void do_host_step(struct session *s, enum step step, struct input *in)
{
	unsigned int i;

	switch (step) {
	case STEP_TYPE:
		do_type(s, in);
		break;
	case STEP_JOIN:
		do_join(s, input_u8(in));
		break;
	case STEP_RESIZE:
		i = input_u8(in) % SESSION_PORTS;
		port_resize(&s->ports[i], input_u8(in), input_u8(in));
		break;
	case STEP_PLUG:
		do_plug(s, input_u8(in));
		break;
	case STEP_TRUNCATE:
		do_truncate(s, in);
		break;
	default:
		break;
	}
}

static void do_driver_step(struct session *s, enum step step, struct input *in)
{
	switch (step) {
	case STEP_KICK:
		do_kick(s, input_u8(in));
		break;
	case STEP_OFFER:
		do_offer(s, in);
		break;
	case STEP_POKE:
		do_poke(s, in);
		break;
	case STEP_SAY:
		do_say(s, in);
		break;
	case STEP_RECORD:
		do_record(s, in);
		break;
	default:
		do_host_step(s, step, in);
	}
}

static void do_step(struct session *s, enum step step, struct input *in)
{
	uint8_t how;

	switch (step) {
	case STEP_SEND:
	case STEP_SEND_ODD:
		do_send(s, in, step == STEP_SEND_ODD);
		break;
	case STEP_HANDSHAKE:
		how = input_u8(in);
		session_handshake(s, how, input_u8(in));
		break;
	case STEP_RAW:
		do_raw(s, in);
		break;
	case STEP_RECONNECT:
		session_reconnect(s);
		break;
	case STEP_ANSWER:
		do_answer(s, in);
		break;
	case STEP_ECHO:
		do_echo(s, in);
		break;
	case STEP_STATE:
		do_state(s, in);
		break;
	case STEP_UPGRADE:
		session_upgrade(s, in);
		break;
	default:
		do_driver_step(s, step, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_fds fds;
	struct input in = { data, size };
	uint8_t how = input_u8(&in), head;
	struct session *s = &session;

	fuzz_fds_begin(&fds);
	session_begin(s, how);
	if (how & 32)
		do_step(s, STEP_HANDSHAKE, &in);
	for (unsigned int n = 0; in.left > 0 && n < STEPS_MAX; n++) {
		head = input_u8(&in);
		do_step(s, (head & 0x1f) % N_STEPS, &in);
		if (!(head & 0x80))
			session_settle(s);
	}
	session_end(s);
	fuzz_fds_end(&fds);
	return 0;
}
