/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/console.h"

#include <errno.h>
#include <string.h>

/* Queue numbers (virtio 1.x, "Console Device", "Virtqueues"). */
enum {
	QUEUE_CTRL_RX = 2, /* device to driver */
	QUEUE_CTRL_TX = 3,
	EMERG_WR_OFFSET = 8,
};

static struct console *to_console(struct vdev *dev)
{
	return container_of(dev, struct console, vdev);
}

static const struct console *to_const_console(const struct vdev *dev)
{
	return container_of(dev, const struct console, vdev);
}

static bool multiport(const struct console *con)
{
	return con->features & BIT(CONSOLE_F_MULTIPORT_BIT);
}

/* The port that a data queue serves: 0 and 1 are port 0's, 2p+2 and 2p+3 port p's. */
static unsigned int queue_port(unsigned int queue_idx)
{
	return queue_idx < QUEUE_CTRL_RX ? 0 : (queue_idx - 2) / 2;
}

static unsigned int port_rx_queue(unsigned int port_idx)
{
	return port_idx == 0 ? 0 : 2 * port_idx + 2;
}

/*
 * A driver that accepted F_MULTIPORT takes input once it has opened the port;
 * what arrives before waits. It speaks only while its control queue runs.
 */
static bool input_flows(const struct console *con, unsigned int port_idx)
{
	if (!multiport(con))
		return port_idx == 0;
	return con->queues[QUEUE_CTRL_TX] && con->ports[port_idx].guest_open;
}

static enum vq_service serve_input(struct console *con, struct vqueue *q, unsigned int budget)
{
	unsigned int port_idx = queue_port(q->idx);
	struct port *port = con->ports[port_idx].port;
	struct chain chain;

	for (unsigned int spent = 0; spent < budget; spent += chain_cost(&chain)) {
		uint32_t len = 0;

		if (!input_flows(con, port_idx) || port_input_pending(port) == 0)
			return VQ_WAITING;
		if (virtq_pop(&q->vq, &chain) != POP_CHAIN)
			return VQ_DRAINED;
		for (unsigned int i = chain.n_out; i < chain.n_out + chain.n_in; i++)
			len += (uint32_t)port_take_input(port, chain.iov[i].iov_base,
							 chain.iov[i].iov_len);
		virtq_push(&q->vq, chain.head, len);
	}
	return VQ_MORE;
}

/* Output is taken at once, always: a guest's console spins until its buffer is used. */
static enum vq_service serve_output(struct console *con, struct vqueue *q, unsigned int budget)
{
	struct port *port = con->ports[queue_port(q->idx)].port;
	struct chain chain;
	enum vq_service ret = VQ_MORE;

	for (unsigned int spent = 0; spent < budget; spent += chain_cost(&chain)) {
		if (virtq_pop(&q->vq, &chain) != POP_CHAIN) {
			ret = VQ_DRAINED;
			break;
		}
		port_output_v(port, chain.iov, chain.n_out, chain.out_len);
		virtq_push(&q->vq, chain.head, 0);
	}
	port_output_done(port);
	return ret;
}

static enum vq_service serve_ctrl_to_driver(struct console *con, struct vqueue *q,
					    unsigned int budget)
{
	uint8_t msg[CONSOLE_MSG_MAX];
	struct chain chain;

	for (unsigned int spent = 0; spent < budget; spent += chain_cost(&chain)) {
		size_t len = con->queues[QUEUE_CTRL_TX] ? console_ctrl_peek(&con->ctrl, msg) : 0;

		if (len == 0)
			return VQ_WAITING;
		if (virtq_pop(&q->vq, &chain) != POP_CHAIN)
			return VQ_DRAINED;
		if (chain.in_len < len) {
			/* Never half a message: the buffer goes back empty, the message waits. */
			virtq_push(&q->vq, chain.head, 0);
			continue;
		}
		chain_write(&chain, 0, msg, len);
		virtq_push(&q->vq, chain.head, (uint32_t)len);
		console_ctrl_sent(&con->ctrl);
	}
	return VQ_MORE;
}

static void wake_all_inputs(struct console *con)
{
	for (unsigned int i = 0; i < con->ctrl.n_ports; i++)
		vqueue_wake(con->queues[port_rx_queue(i)]);
}

static enum vq_service serve_ctrl_from_driver(struct console *con, struct vqueue *q,
					      unsigned int budget)
{
	uint8_t msg[CONSOLE_MSG_LEN];
	struct chain chain;
	enum vq_service ret = VQ_MORE;

	for (unsigned int spent = 0; spent < budget; spent += chain_cost(&chain)) {
		if (virtq_pop(&q->vq, &chain) != POP_CHAIN) {
			ret = VQ_DRAINED;
			break;
		}
		console_ctrl_receive(&con->ctrl, msg, chain_read(&chain, 0, msg, sizeof(msg)));
		virtq_push(&q->vq, chain.head, 0);
	}
	vqueue_wake(con->queues[QUEUE_CTRL_RX]);
	wake_all_inputs(con);
	return ret;
}

static enum vq_service console_queue_service(struct vdev *dev, struct vqueue *q,
					     unsigned int budget)
{
	struct console *con = to_console(dev);

	if (q->idx == QUEUE_CTRL_RX)
		return serve_ctrl_to_driver(con, q, budget);
	if (q->idx == QUEUE_CTRL_TX)
		return serve_ctrl_from_driver(con, q, budget);
	if (q->idx % 2 == 0)
		return serve_input(con, q, budget);
	return serve_output(con, q, budget);
}

static uint64_t console_features(const struct vdev *dev)
{
	const struct console *con = to_const_console(dev);
	uint64_t features = BIT(CONSOLE_F_MULTIPORT_BIT) | BIT(CONSOLE_F_EMERG_WRITE_BIT);

	if (con->ports[0].port->has_size)
		features |= BIT(CONSOLE_F_SIZE_BIT);
	return features;
}

static void console_set_features(struct vdev *dev, uint64_t accepted)
{
	struct console *con = to_console(dev);

	con->features = accepted;
	con->ctrl.size = accepted & BIT(CONSOLE_F_SIZE_BIT);
}

static void console_config_read(const struct vdev *dev, uint32_t off, void *buf, uint32_t len)
{
	const struct port *port = to_const_console(dev)->ports[0].port;
	uint8_t config[CONSOLE_CONFIG_LEN] = { 0 };
	uint16_t cols = htole16(port->cols), rows = htole16(port->rows);
	uint32_t max_nr_ports = htole32(CONSOLE_N_PORTS);

	if (port->has_size) {
		memcpy(config, &cols, sizeof(cols));
		memcpy(config + 2, &rows, sizeof(rows));
	}
	memcpy(config + 4, &max_nr_ports, sizeof(max_nr_ports));
	memset(buf, 0, len);
	if (off < sizeof(config))
		memcpy(buf, config + off, min_size(len, sizeof(config) - off));
}

/*
 * Only emerg_wr can be written; its low byte is the character. Front-ends write
 * the whole space when the guest touches any of it, so a zero there is not a
 * character (virtio 1.x, "Console Device", "Emergency Write").
 */
static int console_config_write(struct vdev *dev, uint32_t off, const void *buf, uint32_t len)
{
	struct port *port = to_console(dev)->ports[0].port;
	const uint8_t *bytes = buf;

	if (!range_within(EMERG_WR_OFFSET, 1, off, len)) {
		/* The upper bytes of emerg_wr are writable too, and mean nothing. */
		return off > EMERG_WR_OFFSET && off < CONSOLE_CONFIG_LEN ? 0 : -EINVAL;
	}
	if (bytes[EMERG_WR_OFFSET - off] != 0) {
		port_output(port, &bytes[EMERG_WR_OFFSET - off], 1);
		port_output_done(port);
	}
	return 0;
}

static void console_queue_start(struct vdev *dev, struct vqueue *q, bool fresh)
{
	struct console *con = to_console(dev);

	con->queues[q->idx] = q;
	if (q->idx != QUEUE_CTRL_TX)
		return;
	/*
	 * A stop and a start where it left off is a pause or a reconnect: the
	 * guest has noticed nothing. From index 0 it is a driver that starts.
	 */
	if (fresh)
		console_ctrl_reset(&con->ctrl);
	vqueue_wake(con->queues[QUEUE_CTRL_RX]);
	wake_all_inputs(con);
}

static void console_queue_stop(struct vdev *dev, struct vqueue *q)
{
	to_console(dev)->queues[q->idx] = NULL;
}

static void console_reset(struct vdev *dev)
{
	struct console *con = to_console(dev);

	console_ctrl_reset(&con->ctrl);
	console_set_features(dev, 0);
}

static void console_set_present(struct vdev *dev, bool present)
{
	struct console *con = to_console(dev);

	for (unsigned int i = 0; i < con->ctrl.n_ports; i++)
		port_set_present(con->ports[i].port, present);
}

static const struct vdev_ops console_ops = {
	.features = console_features,
	.set_features = console_set_features,
	.config_read = console_config_read,
	.config_write = console_config_write,
	.queue_start = console_queue_start,
	.queue_stop = console_queue_stop,
	.queue_service = console_queue_service,
	.reset = console_reset,
	.set_present = console_set_present,
};

static void port_input_ready(void *dev)
{
	struct console *con = dev;

	vqueue_wake(con->queues[port_rx_queue(0)]);
}

static void port_host_open_changed(void *dev)
{
	struct console *con = dev;

	console_ctrl_host_open_changed(&con->ctrl, 0);
	vqueue_wake(con->queues[QUEUE_CTRL_RX]);
}

static void port_size_changed(void *dev)
{
	struct console *con = dev;

	if (!con->ctrl.size)
		return;
	if (multiport(con)) {
		console_ctrl_size_changed(&con->ctrl, 0);
		vqueue_wake(con->queues[QUEUE_CTRL_RX]);
	} else {
		vdev_config_changed(&con->vdev);
	}
}

static const struct port_device_ops console_port_ops = {
	.input_ready = port_input_ready,
	.host_open_changed = port_host_open_changed,
	.size_changed = port_size_changed,
};

void console_init(struct console *con, struct port *port)
{
	*con = (struct console){
		.vdev = { .ops = &console_ops, .n_queues = CONSOLE_N_QUEUES },
		.ctrl = { .n_ports = CONSOLE_N_PORTS },
		.ports = { { .port = port } },
	};
	con->ctrl.ports = con->ports;
	port->dev_ops = &console_port_ops;
	port->dev = con;
}
