/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The ring engine's device side alone, for counting what it does per chain.
 *
 *	budget_ring RING direct|indirect[-packed] CHAINS
 *
 * All of that is in ring_serve(), and nothing else is. CHAINS is rounded up to
 * whole rings.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fd.h"
#include "options.h"
#include "virtio/driverq.h"
#include "virtio/features.h"
#include "virtio/virtq.h"

#define GUEST_BASE UINT64_C(0x100000000)

enum { PAGE = 4096, BUFFER_BYTES = 64, TABLE_SIZE = 4, BATCH = 64 };

struct rig {
	struct gmem *mem;
	struct virtq device;
	struct driverq driver;
	unsigned int size;
	bool indirect, packed;
	uint64_t data; /* guest address of a buffer for each descriptor */
};

uint64_t ring_serve(struct virtq *q);

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "budget_ring: %s\n", what);
	exit(EXIT_FAILURE);
}

/* As a device does: some chains, then one publish. Returns a sum that depends on each. */
__attribute__((noinline)) uint64_t ring_serve(struct virtq *q)
{
	struct chain chain;
	unsigned int batch = 0;
	uint64_t sum = 0;

	while (virtq_pop(q, &chain) == POP_CHAIN) {
		sum += (uintptr_t)chain.iov[0].iov_base + chain.out_len;
		virtq_push(q, chain.head, 0);
		if (++batch % BATCH == 0)
			virtq_publish(q);
	}
	virtq_publish(q);
	return sum;
}

static size_t round_up(size_t len)
{
	return (len + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static unsigned char *map_memory(struct rig *r, size_t len)
{
	const struct gmem_desc desc = { .guest_addr = GUEST_BASE, .size = len };
	struct gmem_region *region;
	int fd = memfd_create("ring", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)len) < 0 ||
	    gmem_region_map(&desc, fd, &region) != GMEM_OK)
		die("no guest memory");
	fd_close(fd);
	if (gmem_new(&region, 1, &r->mem) != GMEM_OK)
		die("no guest memory");
	gmem_region_unref(region);
	return gmem_host_from_guest(r->mem, GUEST_BASE, len);
}

/* Guest memory: the ring, then tables, then buffers. */
static void set_up(struct rig *r)
{
	uint64_t features = BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_F_EVENT_IDX_BIT) |
			    BIT(VIRTIO_F_INDIRECT_DESC_BIT) |
			    (r->packed ? BIT(VIRTIO_F_RING_PACKED_BIT) : 0);
	size_t ring_len = round_up(driverq_bytes(r->size));
	size_t tables_len = round_up(driverq_table_bytes(r->size, TABLE_SIZE));
	unsigned char *host =
		map_memory(r, ring_len + tables_len + round_up((size_t)r->size * BUFFER_BYTES));

	struct virtq_ring ring;

	if (driverq_init(&r->driver, host, GUEST_BASE, r->size, features) < 0 ||
	    virtq_init(&r->device, VRING_MAX_SIZE, features) < 0)
		die("no ring");
	driverq_set_tables(&r->driver, host + ring_len, GUEST_BASE + ring_len, TABLE_SIZE);
	if (!virtq_ring_map(&ring, features, host, host + (r->driver.avail_addr - GUEST_BASE),
			    host + (r->driver.used_addr - GUEST_BASE), r->size))
		die("no ring");
	virtq_start(&r->device, &ring, r->mem, r->packed ? 0x80008000 : 0, features);
	r->data = GUEST_BASE + ring_len + tables_len;
}

/* A full ring; an indirect chain has TABLE_SIZE buffers in one descriptor. */
static void offer(struct rig *r)
{
	unsigned int n_bufs = r->indirect ? TABLE_SIZE : 1;

	for (unsigned int i = 0; i < r->size; i++) {
		struct driverq_buf bufs[TABLE_SIZE];

		for (unsigned int k = 0; k < n_bufs; k++)
			bufs[k] = (struct driverq_buf){ r->data + (uint64_t)i * BUFFER_BYTES,
							BUFFER_BYTES };
		if (driverq_add(&r->driver, bufs, n_bufs, 0, r->indirect, r) < 0)
			die("a chain did not fit");
	}
	driverq_publish(&r->driver);
}

static void collect(struct rig *r)
{
	unsigned int n = 0;
	uint32_t len;
	void *token;

	while (driverq_get(&r->driver, &token, &len) == DRIVERQ_USED)
		n++;
	if (n != r->size)
		die("not every chain came back");
}

int main(int argc, char **argv)
{
	struct rig r = { .mem = NULL };
	uint64_t size, n_chains, sum = 0;

	if (argc != 4 || !option_parse_number(argv[1], &size) ||
	    !option_parse_number(argv[3], &n_chains))
		die("expected RING direct|indirect[-packed] CHAINS");
	r.size = (unsigned int)min_u64(size, VRING_MAX_SIZE);
	r.indirect = strncmp(argv[2], "indirect", strlen("indirect")) == 0;
	r.packed = strstr(argv[2], "-packed") != NULL;
	set_up(&r);
	for (uint64_t n = 0; n < n_chains; n += r.size) {
		offer(&r);
		sum += ring_serve(&r.device);
		collect(&r);
	}
	virtq_fini(&r.device);
	driverq_fini(&r.driver);
	gmem_unref(r.mem);
	return sum != 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
