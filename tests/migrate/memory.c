/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "migrate.h"
#include "virtio/vring.h"

enum { SLICE = 256 }; /* pages between two steps */

static struct vhu_frontend_log dirty = VHU_FRONTEND_LOG_NONE;

void memory_begin(void)
{
	const struct vhu_region *r = &m.fe.regions[0].wire;

	must(&m.fe, vhu_frontend_memory_make(&m.fe, &m.memory), "memory of the destination");
	must(&m.fe, vhu_frontend_log_make(&m.fe, &dirty, 0), "a log");
	must(&m.fe, vhu_frontend_log_give(&m.fe, &dirty), "giving the log");
	must(&m.fe, vhu_frontend_log_switch(&m.fe, m.plan.n_set_up, true), "beginning the log");
	for (uint64_t at = 0; at < r->size; at += VHU_LOG_PAGE) {
		vhu_frontend_memory_copy_page(&m.fe, &m.memory, r->guest_addr + at);
		if (at / VHU_LOG_PAGE % SLICE == SLICE - 1)
			step(true);
	}
}

/* What the device has written. */
static unsigned int copy_logged(void)
{
	const struct vhu_region *r = &m.fe.regions[0].wire;
	unsigned int n = 0;

	for (uint64_t at = 0; at < r->size; at += VHU_LOG_PAGE) {
		if (!vhu_frontend_log_take(&dirty, r->guest_addr + at))
			continue;
		vhu_frontend_memory_copy_page(&m.fe, &m.memory, r->guest_addr + at);
		n++;
	}
	return n;
}

/*
 * What a hypervisor would know from its page tables. Not whole pages, as what
 * the device has written in the same page would come along unlogged.
 */
static void copy_bytes(uint64_t guest_addr, size_t len)
{
	const uint8_t *from = vhu_frontend_host(&m.fe, guest_addr);

	memcpy(m.memory.map + (from - m.fe.mem_map), from, len);
}

/* Descriptors and available ring; in a packed ring, the descriptors are also the device's. */
static void copy_ring(unsigned int idx)
{
	const struct driverq *q = &m.fe.rings[idx].q;

	copy_bytes(q->desc_addr, q->size * VRING_DESC_BYTES);
	copy_bytes(q->avail_addr, q->packed ? 4 : 6 + 2 * q->size);
}

static unsigned int copy_written_pages(struct side_page *pages)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SIDE_PAGES; i++) {
		if (!pages[i].written)
			continue;
		pages[i].written = false;
		copy_bytes(pages[i].buf.addr, GUEST_PAGE);
		n++;
	}
	return n;
}

static unsigned int copy_port(struct side *s)
{
	unsigned int n = copy_written_pages(s->tx) + s->tx_written + s->rx_written;

	if (s->tx_written)
		copy_ring(GUEST_PORT_TX(s->id));
	if (s->rx_written)
		copy_ring(GUEST_PORT_RX(s->id));
	s->tx_written = s->rx_written = false;
	return n;
}

static unsigned int copy_drivers(void)
{
	unsigned int n = 3;

	copy_ring(GUEST_CTRL_RX);
	copy_ring(GUEST_CTRL_TX);
	copy_bytes(m.guest.ctrl_out.addr, GUEST_PAGE);
	for (unsigned int i = 0; i < m.n_ports; i++)
		n += copy_port(&m.ports[i].side);
	return n;
}

unsigned int memory_pass(bool driver)
{
	return copy_logged() + (driver ? copy_drivers() : 0);
}

/* Which ring or buffer a byte belongs to is what one wants to know first. */
static void say_where(size_t at)
{
	uint64_t addr = m.fe.regions[0].wire.guest_addr + (at - m.fe.regions[0].wire.mmap_offset);

	for (unsigned int i = 0; i < m.plan.n_set_up; i++) {
		const struct vhu_frontend_ring *r = &m.fe.rings[i];

		if (addr >= r->guest_addr && addr - r->guest_addr < driverq_bytes(r->size))
			die("memory differs %zu bytes into ring %u (size %u)",
			    (size_t)(addr - r->guest_addr), i, r->size);
	}
	die("memory differs at guest address %#llx, which is of no ring", (unsigned long long)addr);
}

void memory_compare(void)
{
	if (memcmp(m.fe.mem_map, m.memory.map, m.memory.len) != 0) {
		size_t at = 0;

		while (m.fe.mem_map[at] == m.memory.map[at])
			at++;
		say_where(at);
	}
	vhu_frontend_log_fini(&dirty);
}
