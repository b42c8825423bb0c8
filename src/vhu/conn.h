/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One endpoint of a vhost-user socket on the loop. It knows messages, not
 * roles: it reads exactly one message at a time (twelve bytes with room for
 * file descriptors, then exactly the payload, so that no descriptor is taken
 * for another message's), and sends messages whole, each with its own fds.
 */
#ifndef VHU_VHU_CONN_H
#define VHU_VHU_CONN_H

#include "handover.h"
#include "loop.h"
#include "vhu/proto.h"
#include "vhu/rules.h"

struct vhu_conn;

enum {
	VHU_CONN_MAX_QUEUED = 64, /* messages waiting to be sent */
};

/*
 * Hears what passes on the connections of a session, main socket and channel,
 * without a say in it. A message of the channel has direction VHU_BE.
 */
struct vhu_ear {
	/* A session begins. */
	void (*opened)(struct vhu_ear *ear);

	/* A whole message has come, or is about to be sent; its fds are lent. */
	void (*message)(struct vhu_ear *ear, const struct vhu_msg *msg, bool received);

	/* These bytes have come, and will not become a message. */
	void (*cut)(struct vhu_ear *ear, enum vhu_dir dir, const uint8_t *bytes, size_t len);

	/* The session ends. */
	void (*closed)(struct vhu_ear *ear, const char *why);
};

struct vhu_conn_ops {
	/* The header alone is there: VHU_OK to read on, else the connection ends with that rule. */
	enum vhu_rule (*header)(struct vhu_conn *conn, const struct vhu_msg *msg);

	/*
	 * A whole message. Its fds that are left in msg->fds when the next read
	 * begins are closed. Nothing more is read until vhu_conn_read().
	 */
	void (*message)(struct vhu_conn *conn, struct vhu_msg *msg);

	/* Everything queued has been sent. May be NULL. */
	void (*sent)(struct vhu_conn *conn);

	/*
	 * The other end is gone (err 0), the socket failed (err < 0) or was sent over
	 * itself (-ELOOP), descriptors found no room in this process (-EMFILE), or
	 * framing broke a rule (rule != VHU_OK). Nothing more comes; close it.
	 */
	void (*ended)(struct vhu_conn *conn, int err, enum vhu_rule rule);
};

struct vhu_conn {
	const struct vhu_conn_ops *ops;
	struct vhu_ear *ear; /* lent; NULL, as at first: nobody listens */
	struct scope scope;
	int fd;
	bool has_ended;
	void (*closed)(struct vhu_conn *conn);

	struct op rx;
	struct msghdr rx_hdr;
	struct iovec rx_iov;
	_Alignas(struct cmsghdr) char rx_control[CMSG_SPACE(FDSET_MAX * sizeof(int))];
	uint8_t rx_head[VHU_HDR_LEN];
	size_t rx_got; /* bytes of header, then of payload */
	bool rx_in_payload;
	struct vhu_msg msg;

	struct op tx;
	struct msghdr tx_hdr;
	struct iovec tx_iov;
	_Alignas(struct cmsghdr) char tx_control[CMSG_SPACE(FDSET_MAX * sizeof(int))];
	struct list_node tx_queue; /* of struct vhu_conn_out */
	unsigned int tx_n_queued;
};

/* Takes fd. Messages that arrive are requests or replies of direction dir. */
void vhu_conn_init(struct vhu_conn *conn, struct loop *loop, int fd, enum vhu_dir dir,
		   const struct vhu_conn_ops *ops);

/*
 * Others may read from this end of a Unix socket as well, and hold it up meanwhile: we do
 * not wait for them. Sending to one waits for nobody.
 */
void vhu_conn_read_apart(struct vhu_conn *conn);

/* Asks for the next message; does nothing while one is being read. */
void vhu_conn_read(struct vhu_conn *conn);

/*
 * Queues a copy of the message; the fds in it are taken. -ENOBUFS when the
 * other end has let VHU_CONN_MAX_QUEUED messages pile up, -ENOMEM, -EPIPE
 * after the end; the fds are closed then.
 */
int vhu_conn_send(struct vhu_conn *conn, struct vhu_msg *msg);

static inline bool vhu_conn_sending(const struct vhu_conn *conn)
{
	return conn->tx_n_queued > 0;
}

/*
 * For a hand-over, as a group: the socket, the message that has come in part,
 * and those that have not gone out. In place of vhu_conn_init(); what was being
 * read and sent is at once.
 */
void vhu_conn_save(const struct vhu_conn *conn, struct handover_out *out, unsigned int tag);
void vhu_conn_load(struct vhu_conn *conn, struct loop *loop, enum vhu_dir dir,
		   const struct vhu_conn_ops *ops, struct handover_in *in, unsigned int tag);

/* Cancels, waits, closes the fd, then calls closed: always later than this call. */
void vhu_conn_close(struct vhu_conn *conn, void (*closed)(struct vhu_conn *conn));

#endif
