/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/console-config.h"

#include <errno.h>
#include <string.h>

enum { EMERG_WR_OFFSET = 8 };

unsigned int console_max_nr_ports(const struct console *con)
{
	unsigned int n_pairs = con->vdev.n_queues_seen / 2;

	if (con->vdev.n_queues_seen == 0 || n_pairs > con->ctrl.n_ports)
		return con->ctrl.n_ports;
	return n_pairs > 2 ? n_pairs - 1 : 1; /* one pair is for control */
}

void console_config_read(const struct vdev *dev, uint32_t off, void *buf, uint32_t len)
{
	const struct console *con = container_of(dev, const struct console, vdev);
	const struct port *port = con->ctrl.ports[0].port; /* its size alone (VC-016) */
	uint16_t cols = htole16(port ? port->cols : 0), rows = htole16(port ? port->rows : 0);
	uint32_t max = htole32(console_max_nr_ports(con));
	uint8_t config[CONSOLE_CONFIG_LEN] = { 0 };

	memcpy(config, &cols, sizeof(cols));
	memcpy(config + 2, &rows, sizeof(rows));
	memcpy(config + 4, &max, sizeof(max));
	memset(buf, 0, len);
	if (off < sizeof(config))
		memcpy(buf, config + off, min_size(len, sizeof(config) - off));
}

/* Where emergency output goes: the first console, or else the first port (VC-018). */
static struct port *emergency_port(const struct console *con)
{
	struct port *first = NULL;

	for (unsigned int i = 0; i < con->ctrl.n_ports; i++) {
		struct port *port = con->ctrl.ports[i].port;

		if (port && port->console)
			return port;
		if (!first)
			first = port;
	}
	return first;
}

/*
 * Only emerg_wr can be written; its low byte is the character. Front-ends write
 * the whole space when the guest touches any of it, so a zero there is not a
 * character (virtio 1.x, "Console Device", "Emergency Write").
 */
int console_config_write(struct vdev *dev, uint32_t off, const void *buf, uint32_t len)
{
	struct port *port = emergency_port(container_of(dev, struct console, vdev));
	const uint8_t *bytes = buf;

	if (!range_within(EMERG_WR_OFFSET, 1, off, len)) {
		/* The upper bytes of emerg_wr are writable too, and mean nothing. */
		return off > EMERG_WR_OFFSET && off < CONSOLE_CONFIG_LEN ? 0 : -EINVAL;
	}
	/* It cannot wait, and must not cost a port that holds what nobody has read yet. */
	if (bytes[EMERG_WR_OFFSET - off] != 0 && port && port_output_room(port) > 0) {
		port_output(port, &bytes[EMERG_WR_OFFSET - off], 1);
		port_output_done(port);
	}
	return 0;
}
