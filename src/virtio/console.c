/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/console.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/port-journal.h"
#include "virtio/batch.h"
#include "virtio/console-config.h"
#include "virtio/console-journal.h"
#include "virtio/console-keep.h"
#include "virtio/console-private.h"
#include "virtio/console-state.h"
#include "virtio/features.h"

enum {
	INPUT_MAX = 256 * 1024,	 /* bytes asked of a port at once when it cannot tell */
	OUTPUT_MAX = 256 * 1024, /* the same for what is given to it */
};

static struct console *to_console(struct vdev *dev)
{
	return container_of(dev, struct console, vdev);
}

/* Queues 0 and 1 are port 0's, 2p+2 and 2p+3 port p's; receive queues are even. */

bool console_is_ctrl_queue(unsigned int idx)
{
	return idx == CONSOLE_CTRL_RX || idx == CONSOLE_CTRL_TX;
}

static struct console_port *queue_port(const struct console *con, const struct vqueue *q)
{
	return &con->ctrl.ports[q->idx < CONSOLE_CTRL_RX ? 0 : (q->idx - 2) / 2];
}

/* Whether a driver with F_MULTIPORT and we can talk; until then it may be a new one. */
static bool speaks(const struct console *con)
{
	return con->queues[CONSOLE_CTRL_RX] && con->queues[CONSOLE_CTRL_TX];
}

/*
 * A driver that accepted F_MULTIPORT takes input once it has opened the port;
 * what arrives before waits. It speaks only while its control queues run.
 */
static bool input_flows(const struct console_port *p)
{
	if (!p->port || !port_input_flows(p->port))
		return false;
	return !console_is_multiport(p->con) || (speaks(p->con) && p->guest_open);
}

static enum vq_service fill_input(struct console_port *p, struct vqueue *q, unsigned int budget)
{
	struct batch b;

	batch_init(&b, &q->vq, budget);
	while (b.budget > 0) {
		size_t pending, len;
		bool drained;

		if (!input_flows(p))
			return VQ_WAITING;
		pending = port_input_pending(p->port);
		drained = !batch_fill_in(&b, pending > 0 ? pending : INPUT_MAX);
		len = b.n_chains > 0 ? port_take_input_v(p->port, b.iov, b.n_iov) : 0;
		if (batch_return_in(&b, len) && drained)
			return VQ_DRAINED;
	}
	return VQ_MORE;
}

static enum vq_service serve_input(struct console_port *p, struct vqueue *q, unsigned int budget)
{
	enum vq_service found = fill_input(p, q, budget);

	if (p->port && p->port->journal) {
		struct ring_mark mark = virtq_mark(&q->vq);

		port_input_taken(p->port, &mark);
	}
	return found;
}

/*
 * Gives the port what it takes. False: something is left, and the chain with it
 * is the queue's oldest again. What it holds may be another thing by then, so
 * nothing is kept but how many bytes went.
 */
static bool output_batch(struct console_port *p, struct batch *b)
{
	uint64_t done, len;
	unsigned int n_left;

	if (b->n_chains == 0)
		return true; /* of the oldest, whose memory may come yet, out_done are gone */
	done = batch_skip(b, p->out_done);
	len = port_output_v(p->port, b->iov, b->n_iov, b->len);
	n_left = batch_return_out(b, &len);
	p->out_done = 0;
	if (n_left == 0)
		return true;
	p->out_done = n_left == b->n_chains ? done + len : len;
	p->out_base = virtq_position(b->vq);
	p->out_pauses = p->con->n_pauses;
	return false;
}

/* Before anything is published, whatever the chains were returned for. */
static void note_output(const struct console_port *p, struct vqueue *q)
{
	struct ring_mark mark;

	if (!p->port || !p->port->journal)
		return;
	mark = virtq_mark(&q->vq);
	port_journal_guest_gave(p->port->journal, p->port, &mark, p->out_base, p->out_done);
}

/*
 * A port that drops takes output at once, always: a guest's console spins until
 * its buffer is used (VC-061). One that holds lets the guest wait (VC-062).
 */
static enum vq_service serve_output(struct console_port *p, struct vqueue *q, unsigned int budget)
{
	struct port *port = p->port;
	bool drained = false, all = true;
	struct batch b;

	batch_init(&b, &q->vq, budget);
	while (b.budget > 0 && !drained && all) {
		drained = !batch_fill_out(&b, OUTPUT_MAX);
		all = output_batch(p, &b);
	}
	note_output(p, q);
	port_output_done(port);
	if (all)
		return drained ? VQ_DRAINED : VQ_MORE;
	if (port_output_room(port) > 0)
		return VQ_MORE; /* it was much, or somebody has read at once */
	port_output_stalled(port);
	return VQ_WAITING;
}

/*
 * What was queued for a port that is gone goes back unread before the driver
 * hears of it (VC-082). So does what races with that message: a guest that
 * writes to a console spins with interrupts off until its buffer is used.
 */
static enum vq_service drain(struct console_port *p, struct vqueue *q, unsigned int budget)
{
	struct chain chain;

	for (unsigned int spent = 0; spent < budget; spent += chain_cost(&chain)) {
		enum pop_result result = virtq_pop(&q->vq, &chain);

		if (result == POP_MISSING)
			return VQ_DRAINED;
		if (result != POP_CHAIN) {
			console_ctrl_drained(&p->con->ctrl, console_port_number(p));
			console_wake_ctrl(p->con);
			return VQ_DRAINED;
		}
		virtq_push(&q->vq, chain.head, 0);
	}
	return VQ_MORE;
}

static enum vq_service serve_data(struct console *con, struct vqueue *q, unsigned int budget)
{
	struct console_port *p = queue_port(con, q);
	enum vq_service found;

	if (q->idx % 2 == 0)
		return serve_input(p, q, budget);
	if (p->draining) {
		found = drain(p, q, budget);
		note_output(p, q);
		return found;
	}
	return p->port ? serve_output(p, q, budget) : VQ_WAITING; /* VC-087 */
}

static enum vq_service serve_ctrl_to_driver(struct console *con, struct vqueue *q,
					    unsigned int budget)
{
	uint8_t msg[CONSOLE_MSG_MAX];
	struct chain chain;

	for (unsigned int spent = 0; spent < budget; spent += chain_cost(&chain)) {
		size_t len = speaks(con) ? console_ctrl_peek(&con->ctrl, msg) : 0;

		if (len == 0)
			return VQ_WAITING;
		if (virtq_pop(&q->vq, &chain) != POP_CHAIN)
			return VQ_DRAINED;
		len = console_ctrl_fit(msg, len, chain.in_len);
		chain_write(&chain, 0, msg, len);
		virtq_written(&q->vq, chain.iov + chain.n_out, chain.n_in, len);
		virtq_push(&q->vq, chain.head, (uint32_t)len);
		if (len > 0)
			console_ctrl_sent(&con->ctrl);
		else
			console_ctrl_postpone(&con->ctrl); /* VC-046 */
	}
	return VQ_MORE;
}

static enum vq_service serve_ctrl_from_driver(struct console *con, struct vqueue *q,
					      unsigned int budget)
{
	uint8_t msg[CONSOLE_MSG_LEN];
	struct chain chain;
	enum vq_service ret = VQ_MORE;

	if (!speaks(con))
		return VQ_WAITING;
	if (!con->ctrl.driver_ready)
		con->ctrl.limit = console_max_nr_ports(con);
	for (unsigned int spent = 0; spent < budget; spent += chain_cost(&chain)) {
		struct console_port *p;

		if (virtq_pop(&q->vq, &chain) != POP_CHAIN) {
			ret = VQ_DRAINED;
			break;
		}
		p = console_ctrl_receive(&con->ctrl, msg, chain_read(&chain, 0, msg, sizeof(msg)));
		if (p)
			vqueue_wake(console_port_rx(p));
		virtq_push(&q->vq, chain.head, 0);
	}
	console_wake_ctrl(con);
	return ret;
}

static enum vq_service serve_ctrl(struct console *con, struct vqueue *q, unsigned int budget)
{
	enum vq_service found = q->idx == CONSOLE_CTRL_RX ? serve_ctrl_to_driver(con, q, budget)
							  : serve_ctrl_from_driver(con, q, budget);
	struct ring_mark mark = virtq_mark(&q->vq);

	console_keep(con);
	console_journal_note(con, q->idx, &mark);
	return found;
}

static enum vq_service console_queue_service(struct vdev *dev, struct vqueue *q,
					     unsigned int budget)
{
	struct console *con = to_console(dev);

	if (!console_is_multiport(con) && q->idx >= CONSOLE_CTRL_RX)
		return VQ_WAITING; /* not a queue then (VC-002) */
	if (console_is_ctrl_queue(q->idx))
		return serve_ctrl(con, q, budget);
	return serve_data(con, q, budget);
}

static uint64_t console_features(const struct vdev *dev)
{
	(void)dev;
	return BIT(CONSOLE_F_SIZE_BIT) | BIT(CONSOLE_F_MULTIPORT_BIT) |
	       BIT(CONSOLE_F_EMERG_WRITE_BIT);
}

/* A driver without control queues has port 0 open as soon as it uses it (VC-004). */
void console_open_single(struct console *con)
{
	struct console_port *p = &con->ctrl.ports[0];

	if (!con->single)
		return;
	if (p->port)
		console_ctrl_set_guest_open(p, true);
	else
		p->draining = true; /* a guest that prints to nowhere must not spin */
}

/* What it was told and told us, and how much of its chains is in the ports already. */
static void forget_driver(struct console *con)
{
	console_ctrl_reset(&con->ctrl);
	for (unsigned int i = 0; i < con->ctrl.n_ports; i++)
		con->ctrl.ports[i].out_done = 0;
}

/*
 * Looked at when queues run, as the features of a session begin at 0 even where
 * it goes on with the driver of the one before.
 */
static void find_mode(struct console *con)
{
	if (con->single == !console_is_multiport(con))
		return;
	con->single = !console_is_multiport(con);
	con->ctrl_resumes = false;
	forget_driver(con); /* it is another one */
	console_open_single(con);
}

static void wake_all(struct console *con)
{
	for (unsigned int i = 0; i < con->vdev.n_queues; i++)
		vqueue_wake(con->queues[i]);
}

static bool any_started(const struct console *con)
{
	for (unsigned int i = 0; i < con->vdev.n_queues; i++)
		if (con->queues[i])
			return true;
	return false;
}

static void console_set_features(struct vdev *dev, uint64_t accepted)
{
	struct console *con = to_console(dev);
	bool before = console_is_multiport(con);

	con->features = accepted;
	console_ctrl_set_size(&con->ctrl, accepted & BIT(CONSOLE_F_SIZE_BIT));
	console_wake_ctrl(con); /* sizes may be told now */
	if (console_is_multiport(con) == before || !any_started(con))
		return;
	find_mode(con);
	wake_all(con);
}

/*
 * A stop and a start where it left off is a pause or a reconnect: the guest has
 * noticed nothing; if the device is another process now, it recalls what it can.
 * From index 0 it is a driver that starts, if both queues do: a packed ring comes
 * by there again and again. So nothing is served before both are there.
 */
static void start_ctrl(struct console *con)
{
	if (!speaks(con))
		return;
	if (!con->ctrl_resumes) {
		if (virtq_is_fresh(&con->queues[CONSOLE_CTRL_RX]->vq) &&
		    virtq_is_fresh(&con->queues[CONSOLE_CTRL_TX]->vq))
			forget_driver(con);
		else
			console_recall(con);
	}
	con->ctrl_resumes = false;
	console_keep(con);
	wake_all(con);
}

/*
 * The chain that was taken in part may be another one now, or another driver's.
 * A queue that starts anew while the device goes on was reset (VR-108); after a
 * pause, when all had stopped, it is the same chain if there is one already.
 */
static void start_output(struct console_port *p, struct vqueue *q, bool fresh)
{
	bool alone = (p->con->features & BIT(VIRTIO_F_RING_RESET_BIT)) &&
		     console_is_multiport(p->con) && p->out_pauses == p->con->n_pauses;
	bool anew = fresh && !p->resumes && (alone || !virtq_has_avail(&q->vq));

	q->latency = p->port ? &p->port->latency : NULL;
	if (anew || virtq_position(&q->vq) != p->out_base)
		p->out_done = 0;
	p->resumes = false;
	if (p->port && p->port->journal && p->out_done == 0) {
		p->out_base = virtq_position(&q->vq);
		p->out_done = port_journal_out_done(p->port->journal, p->con->guest, p->out_base);
	}
}

static void console_queue_start(struct vdev *dev, struct vqueue *q, bool fresh)
{
	struct console *con = to_console(dev);

	console_thaw(dev, false);
	console_apply_loaded(con);
	con->queues[q->idx] = q;
	q->latency = NULL;
	if (console_is_multiport(con) || q->idx < CONSOLE_CTRL_RX)
		find_mode(con);
	if (console_is_ctrl_queue(q->idx) && console_is_multiport(con))
		start_ctrl(con);
	if (!console_is_ctrl_queue(q->idx) && q->idx % 2 == 1)
		start_output(queue_port(con, q), q, fresh);
	console_open_single(con);
}

/* Whose rings these are, and how far the daemon before this one had come with them. */
static bool console_queue_resume(struct vdev *dev, unsigned int idx, uint64_t guest,
				 struct ring_mark *ret_mark)
{
	struct console *con = to_console(dev);
	const struct vqueue q = { .idx = idx };
	bool found = console_journal_resume(con, idx, guest, ret_mark);
	struct port *port;

	if (console_is_ctrl_queue(idx))
		return found;
	port = queue_port(con, &q)->port;
	return port && port->journal &&
	       port_journal_resume(port->journal, guest, idx % 2, ret_mark);
}

static void console_queue_stop(struct vdev *dev, struct vqueue *q)
{
	struct console *con = to_console(dev);

	con->queues[q->idx] = NULL;
	q->latency = NULL;
	if (q->idx == CONSOLE_CTRL_TX)
		con->n_pauses++;
	if (console_is_ctrl_queue(q->idx) || q->idx % 2 == 0)
		return;
	console_ctrl_drained(&con->ctrl, console_port_number(queue_port(con, q)));
	console_wake_ctrl(con);
}

static void console_reset(struct vdev *dev)
{
	struct console *con = to_console(dev);

	console_thaw(dev, false);
	console_drop_loaded(con);
	con->ctrl_resumes = false;
	forget_driver(con);
	console_set_features(dev, 0);
}

static void console_set_present(struct vdev *dev, bool present)
{
	struct console *con = to_console(dev);

	con->present = present;
	con->ctrl_resumes = false;
	console_drop_loaded(con);
	for (unsigned int i = 0; i < con->ctrl.n_ports; i++)
		if (con->ctrl.ports[i].port)
			port_set_present(con->ctrl.ports[i].port, present);
}

static const struct vdev_ops console_ops = {
	.features = console_features,
	.set_features = console_set_features,
	.config_read = console_config_read,
	.config_write = console_config_write,
	.queue_start = console_queue_start,
	.queue_stop = console_queue_stop,
	.queue_resume = console_queue_resume,
	.queue_service = console_queue_service,
	.reset = console_reset,
	.set_present = console_set_present,
	.freeze = console_freeze,
	.thaw = console_thaw,
	.save = console_write_state,
	.load = console_read_state,
};

int console_init(struct console *con, unsigned int max_ports, bool rows_first)
{
	unsigned int n_queues = CONSOLE_N_QUEUES(max_ports);

	assert(max_ports >= 1 && max_ports <= CONSOLE_MAX_PORTS);
	*con = (struct console){
		.vdev = { .ops = &console_ops, .n_queues = n_queues },
		.ctrl = { .n_ports = max_ports, .limit = max_ports, .rows_first = rows_first },
	};
	con->queues = calloc(n_queues, sizeof(struct vqueue *));
	con->ctrl.ports = calloc(max_ports, sizeof(*con->ctrl.ports));
	if (!con->queues || !con->ctrl.ports) {
		console_fini(con);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < max_ports; i++)
		con->ctrl.ports[i].con = con;
	return 0;
}

void console_fini(struct console *con)
{
	console_drop_loaded(con);
	free(con->queues);
	free(con->ctrl.ports);
	con->queues = NULL;
	con->ctrl.ports = NULL;
	con->ctrl.n_ports = 0;
}
