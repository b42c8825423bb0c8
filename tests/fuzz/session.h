/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Both ends of a session for fuzz_session: a console behind a real back-end on a
 * real loop, and a front-end that sends what the input says. Nothing here waits:
 * the loop runs while there is something to do at once.
 */
#ifndef VHU_TESTS_FUZZ_SESSION_H
#define VHU_TESTS_FUZZ_SESSION_H

#include "fuzz.h"

#include "backends/port.h"
#include "fd.h"
#include "loop-share.h"
#include "loop.h"
#include "vhu/backend.h"
#include "vhu/codec.h"
#include "virtio/console.h"

enum {
	SESSION_PORTS = 2,
	SESSION_RINGS = CONSOLE_N_QUEUES(SESSION_PORTS),
	SESSION_REGIONS = 4,
	SESSION_REGION_BYTES = 0x8000,
	SESSION_MEMORY = SESSION_REGIONS * SESSION_REGION_BYTES,
	SESSION_RING_BYTES = 0x1000, /* of each ring's place, from 0 on; see session_ring_at() */
	SESSION_RING_MAX = 64,
	SESSION_LOG_BYTES = 0x2000,
	SESSION_PENDING_MAX = 1 << 15, /* requests of an input, all of them unanswered */
};

/* Where regions lie for the guest, for the front-end, and behind the IOMMU. */
#define SESSION_GUEST_BASE UINT64_C(0x10000)
#define SESSION_USER_BASE UINT64_C(0x7f0000000000)
#define SESSION_IOVA_BASE UINT64_C(0x5500000000)

/* The files that come along with messages. */
enum session_fd {
	SESSION_FD_MEMORY,
	SESSION_FD_LOG,
	SESSION_FD_RECORD, /* of requests in flight: the back-end's, or an empty file */
	SESSION_FD_EVENT,
	SESSION_FD_FULL_EVENT, /* an eventfd that takes no more */
	SESSION_FD_PIPE,       /* its reading end; the other stays here */
	SESSION_FD_PIPE_IN,    /* its writing end */
	SESSION_FD_CHANNEL,    /* a socket; the other end stays here */
	SESSION_FD_HUNG_UP,    /* a socket without another end */
	SESSION_FD_FOLDER,
	SESSION_FD_READ_ONLY,
	SESSION_FD_OURS, /* the very socket of the session */
	SESSION_N_FDS,
};

struct session {
	struct loop *loop; /* made once */
	int memory_fd, log_fd, empty_fd, listener;
	struct sockaddr_un addr;
	socklen_t addr_len;

	struct console con;
	struct port ports[SESSION_PORTS];
	struct port_client clients[SESSION_PORTS];
	bool joined[SESSION_PORTS], iommu, is_heard, has_share;
	struct vhu_backend *b;
	struct vhu_ear ear;
	struct share share;

	int fd;		     /* the front-end's end; -1: closed */
	int channel;	     /* the other end of the back-end's; -1: none */
	bool channel_is_odd; /* it was given for something else, so no messages need come of it */
	int pipe_in, pipe_out;
	int record_fd;
	int kicks[SESSION_RINGS];
	uint64_t features, protocol; /* that the front-end has accepted */
	uint64_t record_bytes;
	uint32_t ring_num[SESSION_RINGS];
	bool raw; /* bytes were sent that need not be messages */
	uint32_t pending[SESSION_PENDING_MAX];
	unsigned int n_pending, first_pending;
	struct vhu_assembler replies, calls;
	struct fdset came; /* with what is being read */
};

/* One message about to be sent. */
struct session_message {
	struct vhu_msg msg; /* without descriptors */
	unsigned int n_fds;
	enum session_fd fds[FDSET_MAX + 1];
};

/* A device and a front-end that is connected to it. Everything is as new. */
void session_begin(struct session *s, uint8_t how);

/* Hangs up; the session must end, and leave nothing. */
void session_end(struct session *s);

/* Another front-end in the place of this one. */
void session_reconnect(struct session *s);

/* Runs the loop while there is something to do, and looks at what the back-end has sent. */
void session_settle(struct session *s);

void session_send(struct session *s, const struct session_message *m);
void session_send_raw(struct session *s, const uint8_t *bytes, size_t len,
		      const enum session_fd *fds, unsigned int n_fds);

/*
 * The driver's view of memory, in bytes from its beginning; by calls, as the file
 * may be shorter than it was. What is not there reads as zeroes.
 */
void session_store(struct session *s, size_t at, const void *bytes, size_t len);
void session_load(struct session *s, size_t at, void *buf, size_t len);

/* Where a ring's descriptors are in memory; its other areas follow, 0x400 and 0x800 on. */
static inline size_t session_ring_at(unsigned int ring)
{
	return (size_t)(ring % SESSION_RINGS) * SESSION_RING_BYTES;
}

/* The back-end's side alone. It goes, whatever the front-end does; another one is made of in. */
void session_close_backend(struct session *s);
int session_load_backend(struct session *s, struct handover_in *in, unsigned int tag);

/*
 * session-upgrade.c. in: 1 byte: how many bytes of the state are others, in its low three
 * bits, and 128: not all that has come is done before; 3 bytes each.
 */
void session_upgrade(struct session *s, struct input *in);

/* session-messages.c: the idx-th request of the front-end as an honest one, by two numbers. */
void session_compose(const struct session *s, unsigned int idx, uint8_t a, uint8_t b,
		     struct session_message *m);

/* Negotiates and sets all rings up, as front-ends do. */
void session_handshake(struct session *s, uint8_t how, uint8_t features);

#endif
