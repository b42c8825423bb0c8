/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"
#include "vhu/codec.h"

/* A message on its way out: header and payload leave in one piece (VU-005). */
struct vhu_conn_out {
	struct list_node link;
	struct fdset fds;
	size_t len, sent;
	uint8_t bytes[];
};

/* What has come of a message that there will not be. */
static void tell_cut(struct vhu_conn *conn)
{
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	size_t head = conn->rx_in_payload ? VHU_HDR_LEN : conn->rx_got;
	size_t payload = conn->rx_in_payload ? conn->rx_got : 0;

	if (!conn->ear || head == 0)
		return;
	memcpy(bytes, conn->rx_head, head);
	memcpy(bytes + head, conn->msg.payload, payload);
	conn->ear->cut(conn->ear, conn->msg.dir, bytes, head + payload);
}

static void end(struct vhu_conn *conn, int err, enum vhu_rule rule)
{
	if (conn->has_ended)
		return;
	conn->has_ended = true;
	tell_cut(conn);
	conn->ops->ended(conn, err, rule);
}

/* Reads on where the message stands. Only its first byte may bring fds. */
static void arm_rx(struct vhu_conn *conn)
{
	bool first = !conn->rx_in_payload && conn->rx_got == 0;

	if (conn->rx_in_payload) {
		conn->rx_iov.iov_base = conn->msg.payload + conn->rx_got;
		conn->rx_iov.iov_len = conn->msg.size - conn->rx_got;
	} else {
		conn->rx_iov.iov_base = conn->rx_head + conn->rx_got;
		conn->rx_iov.iov_len = VHU_HDR_LEN - conn->rx_got;
	}
	conn->rx_hdr = (struct msghdr){
		.msg_iov = &conn->rx_iov,
		.msg_iovlen = 1,
		.msg_control = first ? conn->rx_control : NULL,
		.msg_controllen = first ? sizeof(conn->rx_control) : 0,
	};
	op_recvmsg(&conn->rx, conn->fd, &conn->rx_hdr, MSG_CMSG_CLOEXEC);
}

static void message_complete(struct vhu_conn *conn)
{
	conn->rx_in_payload = false;
	conn->rx_got = 0;
	if (conn->ear)
		conn->ear->message(conn->ear, &conn->msg, true);
	conn->ops->message(conn, &conn->msg);
}

static void header_complete(struct vhu_conn *conn)
{
	enum vhu_rule rule;

	vhu_header_parse(conn->rx_head, &conn->msg);
	rule = conn->ops->header(conn, &conn->msg);
	if (rule == VHU_OK && conn->msg.size > VHU_MAX_PAYLOAD)
		rule = VHU_RULE_PAYLOAD_LIMIT;
	if (rule != VHU_OK) {
		end(conn, 0, rule);
		return;
	}
	conn->rx_got = 0;
	conn->rx_in_payload = true;
	if (conn->msg.size == 0)
		message_complete(conn);
	else
		arm_rx(conn);
}

/* Held here it would keep the connection open when the other end is gone. */
static bool brings_our_socket(const struct vhu_conn *conn)
{
	for (unsigned int i = 0; i < conn->msg.fds.n_fds; i++)
		if (fd_leads_to(conn->msg.fds.fd[i], conn->fd))
			return true;
	return false;
}

/* There was room for more in the message: then it is this process that has none left. */
static void fds_cut(struct vhu_conn *conn, bool first)
{
	if (!first)
		end(conn, 0, VHU_RULE_FDS_PLACE);
	else if (conn->msg.fds.n_fds < FDSET_MAX)
		end(conn, -EMFILE, VHU_OK);
	else
		end(conn, 0, VHU_RULE_FDS_TOO_MANY);
}

static void rx_done(struct op *op, int res)
{
	struct vhu_conn *conn = container_of(op, struct vhu_conn, rx);
	bool first = !conn->rx_in_payload && conn->rx_got == 0;

	if (res >= 0 && first)
		fdset_receive(&conn->msg.fds, &conn->rx_hdr); /* ours now, whatever comes of the
								 message; even of an empty one */
	if (conn->has_ended || scope_cancelling(&conn->scope))
		return;
	if (res == -EINTR || res == -EAGAIN) {
		arm_rx(conn);
		return;
	}
	if (res <= 0) {
		bool inside = conn->rx_in_payload || conn->rx_got > 0;

		end(conn, res, res == 0 && inside ? VHU_RULE_TRUNCATED : VHU_OK);
		return;
	}
	/* At once, as the rest of the message may never come. */
	if (first && brings_our_socket(conn)) {
		end(conn, -ELOOP, VHU_OK);
		return;
	}
	if (conn->rx_hdr.msg_flags & MSG_CTRUNC) {
		fds_cut(conn, first);
		return;
	}
	conn->rx_got += (size_t)res;
	if (conn->rx_in_payload ? conn->rx_got < conn->msg.size : conn->rx_got < VHU_HDR_LEN)
		arm_rx(conn);
	else if (conn->rx_in_payload)
		message_complete(conn);
	else
		header_complete(conn);
}

void vhu_conn_read_apart(struct vhu_conn *conn)
{
	conn->rx.apart = true;
}

void vhu_conn_read(struct vhu_conn *conn)
{
	if (conn->has_ended || op_armed(&conn->rx) || scope_cancelling(&conn->scope))
		return;
	fdset_close(&conn->msg.fds);
	arm_rx(conn);
}

static struct vhu_conn_out *first_out(struct vhu_conn *conn)
{
	return list_first(&conn->tx_queue, struct vhu_conn_out, link);
}

static void free_out(struct vhu_conn *conn, struct vhu_conn_out *out)
{
	list_remove(&out->link);
	conn->tx_n_queued--;
	fdset_close(&out->fds);
	free(out);
}

static void arm_tx(struct vhu_conn *conn)
{
	struct vhu_conn_out *out = first_out(conn);

	conn->tx_iov.iov_base = out->bytes + out->sent;
	conn->tx_iov.iov_len = out->len - out->sent;
	conn->tx_hdr = (struct msghdr){ .msg_iov = &conn->tx_iov, .msg_iovlen = 1 };
	if (out->sent == 0 && out->fds.n_fds > 0)
		fd_attach(&conn->tx_hdr, conn->tx_control, out->fds.fd, out->fds.n_fds);
	op_sendmsg(&conn->tx, conn->fd, &conn->tx_hdr, MSG_NOSIGNAL);
}

static void tx_done(struct op *op, int res)
{
	struct vhu_conn *conn = container_of(op, struct vhu_conn, tx);
	struct vhu_conn_out *out = first_out(conn);

	if (conn->has_ended || scope_cancelling(&conn->scope))
		return;
	if (res < 0 && res != -EINTR && res != -EAGAIN) {
		end(conn, res == -EPIPE || res == -ECONNRESET ? 0 : res, VHU_OK);
		return;
	}
	if (res > 0)
		out->sent += (size_t)res;
	if (out->sent == out->len)
		free_out(conn, out);
	if (conn->tx_n_queued > 0)
		arm_tx(conn);
	else if (conn->ops->sent)
		conn->ops->sent(conn);
}

int vhu_conn_send(struct vhu_conn *conn, struct vhu_msg *msg)
{
	struct vhu_conn_out *out = NULL;
	int err = -EPIPE;

	if (conn->has_ended || scope_cancelling(&conn->scope))
		goto fail;
	err = -ENOBUFS;
	if (conn->tx_n_queued >= VHU_CONN_MAX_QUEUED)
		goto fail;
	err = -ENOMEM;
	out = calloc(1, sizeof(*out) + VHU_HDR_LEN + msg->size);
	if (!out)
		goto fail;
	vhu_header_pack(msg, out->bytes);
	memcpy(out->bytes + VHU_HDR_LEN, msg->payload, msg->size);
	out->len = VHU_HDR_LEN + (size_t)msg->size;
	if (conn->ear)
		conn->ear->message(conn->ear, msg, false);
	fdset_move(&out->fds, &msg->fds);
	list_append(&conn->tx_queue, &out->link);
	conn->tx_n_queued++;
	if (!op_armed(&conn->tx))
		arm_tx(conn);
	return 0;

fail:
	fdset_close(&msg->fds);
	return err;
}

/* Another process. */

enum { TAG_FD = 1, TAG_READING, TAG_IN_PAYLOAD, TAG_CAME, TAG_CAME_FD, TAG_OUT };
enum { OUT_BYTES = 1, OUT_FD };

static void put_fds(struct handover_out *out, unsigned int tag, const struct fdset *fds)
{
	for (unsigned int i = 0; i < fds->n_fds; i++)
		handover_put_fd(out, tag, fds->fd[i]);
}

static void take_fds(struct handover_in *in, unsigned int tag, struct fdset *fds)
{
	for (fds->n_fds = 0; fds->n_fds < FDSET_MAX && state_has(&in->state, tag); fds->n_fds++)
		fds->fd[fds->n_fds] = handover_take_fd(in, tag, "descriptor", false);
}

/* What is left of it; fds have gone with the first byte. */
static void save_out(const struct vhu_conn_out *o, struct handover_out *out)
{
	state_begin_group(&out->state, TAG_OUT);
	state_put_bytes(&out->state, OUT_BYTES, o->bytes + o->sent, o->len - o->sent);
	if (o->sent == 0)
		put_fds(out, OUT_FD, &o->fds);
	state_end(&out->state);
}

void vhu_conn_save(const struct vhu_conn *conn, struct handover_out *out, unsigned int tag)
{
	struct state_writer *w = &out->state;
	bool payload = conn->rx_in_payload;

	state_begin_group(w, tag);
	handover_put_fd(out, TAG_FD, conn->fd);
	state_put_number(w, TAG_READING, op_armed(&conn->rx));
	state_put_number(w, TAG_IN_PAYLOAD, payload);
	state_begin_bytes(w, TAG_CAME);
	state_add_bytes(w, conn->rx_head, payload ? VHU_HDR_LEN : conn->rx_got);
	state_add_bytes(w, conn->msg.payload, payload ? conn->rx_got : 0);
	state_end(w);
	if (payload || conn->rx_got > 0)
		put_fds(out, TAG_CAME_FD, &conn->msg.fds);
	for (const struct list_node *node = conn->tx_queue.next; node != &conn->tx_queue;
	     node = node->next)
		save_out(list_entry(node, const struct vhu_conn_out, link), out);
	state_end(w);
}

static void load_out(struct vhu_conn *conn, struct handover_in *in)
{
	struct vhu_conn_out *o;
	const uint8_t *bytes;
	size_t len;

	if (!state_enter(&in->state, TAG_OUT, "message to be sent"))
		return;
	len = state_take_bytes(&in->state, OUT_BYTES, "bytes", VHU_HDR_LEN + VHU_MAX_PAYLOAD,
			       &bytes);
	o = calloc(1, sizeof(*o) + len);
	if (o) {
		if (len > 0)
			memcpy(o->bytes, bytes, len);
		o->len = len;
		take_fds(in, OUT_FD, &o->fds);
		list_append(&conn->tx_queue, &o->link);
		conn->tx_n_queued++;
	} else {
		state_fail(&in->state, "no memory");
	}
	state_leave(&in->state);
}

/* A header that was accepted before is not looked at again. */
static void load_came(struct vhu_conn *conn, struct handover_in *in)
{
	bool payload = state_take_flag(&in->state, TAG_IN_PAYLOAD, "in its payload");
	const uint8_t *bytes;
	size_t len = state_take_bytes(&in->state, TAG_CAME, "message",
				      VHU_HDR_LEN + VHU_MAX_PAYLOAD, &bytes);
	size_t head = payload ? VHU_HDR_LEN : len;

	if (len < head || head > VHU_HDR_LEN) {
		state_fail(&in->state, "%zu bytes of a message are no part of one", len);
		return;
	}
	if (head > 0)
		memcpy(conn->rx_head, bytes, head);
	conn->rx_in_payload = payload;
	conn->rx_got = len - (payload ? head : 0);
	if (payload) {
		vhu_header_parse(conn->rx_head, &conn->msg);
		if (conn->msg.size > VHU_MAX_PAYLOAD || conn->rx_got >= conn->msg.size)
			state_fail(&in->state, "more has come of a message than it has");
		else if (conn->rx_got > 0)
			memcpy(conn->msg.payload, bytes + head, conn->rx_got);
	}
	take_fds(in, TAG_CAME_FD, &conn->msg.fds);
}

void vhu_conn_load(struct vhu_conn *conn, struct loop *loop, enum vhu_dir dir,
		   const struct vhu_conn_ops *ops, struct handover_in *in, unsigned int tag)
{
	bool reading;

	vhu_conn_init(conn, loop, -1, dir, ops);
	if (!state_enter(&in->state, tag, "connection"))
		return;
	conn->fd = handover_take_fd(in, TAG_FD, "socket", true);
	reading = state_take_flag(&in->state, TAG_READING, "reading");
	load_came(conn, in);
	while (state_has(&in->state, TAG_OUT))
		load_out(conn, in);
	state_leave(&in->state);
	if (in->state.failed)
		return;
	if (reading)
		arm_rx(conn);
	if (conn->tx_n_queued > 0)
		arm_tx(conn);
}

static void scope_is_idle(struct scope *scope)
{
	struct vhu_conn *conn = container_of(scope, struct vhu_conn, scope);

	while (conn->tx_n_queued > 0)
		free_out(conn, first_out(conn));
	fdset_close(&conn->msg.fds);
	conn->fd = fd_close(conn->fd);
	conn->closed(conn);
}

void vhu_conn_close(struct vhu_conn *conn, void (*closed)(struct vhu_conn *conn))
{
	conn->has_ended = true;
	conn->closed = closed;
	scope_cancel(&conn->scope, scope_is_idle);
}

void vhu_conn_init(struct vhu_conn *conn, struct loop *loop, int fd, enum vhu_dir dir,
		   const struct vhu_conn_ops *ops)
{
	conn->ops = ops;
	conn->fd = fd;
	conn->ear = NULL;
	conn->has_ended = false;
	conn->closed = NULL;
	conn->rx_got = 0;
	conn->rx_in_payload = false;
	conn->tx_n_queued = 0;
	scope_init(&conn->scope, loop);
	op_init(&conn->rx, &conn->scope, rx_done);
	op_init(&conn->tx, &conn->scope, tx_done);
	list_init(&conn->tx_queue);
	vhu_msg_init(&conn->msg, dir, 0);
	fdset_init(&conn->msg.fds);
}
