/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the device side of a ring costs per buffer, on this machine: half a
 * ring of buffers is offered, then popped, pushed and published, many times.
 * Only the device's part is on the clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "virtio/driverq.h"
#include "virtio/features.h"
#include "virtio/virtq.h"

#define GUEST_BASE UINT64_C(0x100000000)

enum {
	BUFFERS = 4 * 1024 * 1024, /* chains of each run */
	BUFFER_BYTES = 64,
	TABLE_SIZE = 4,
	MAX_BATCH = 64,
};

struct bench {
	struct gmem *mem;
	unsigned char *host;
	struct virtq device;
	struct driverq driver;
	unsigned int size;
	bool indirect;
	unsigned int n_bufs;
};

static void die(const char *what)
{
	fprintf(stderr, "bench_virtq: %s failed\n", what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Guest memory: the ring, then tables, then 64 bytes per descriptor. */
static void bench_setup(struct bench *b, uint64_t features)
{
	size_t ring_len = (driverq_bytes(b->size) + 4095) & ~(size_t)4095;
	size_t table_len = driverq_table_bytes(b->size, TABLE_SIZE);
	size_t len = ring_len + table_len + (size_t)b->size * BUFFER_BYTES;
	struct gmem_desc desc = { .guest_addr = GUEST_BASE, .size = len };
	struct gmem_region *region;
	struct virtq_ring ring;
	int fd = memfd_create("bench", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)len) < 0)
		die("memfd");
	if (gmem_region_map(&desc, fd, &region) != GMEM_OK ||
	    gmem_new(&region, 1, &b->mem) != GMEM_OK)
		die("mapping");
	gmem_region_unref(region);
	close(fd);
	b->host = gmem_host_from_guest(b->mem, GUEST_BASE, len);
	if (driverq_init(&b->driver, b->host, GUEST_BASE, b->size, features) < 0 ||
	    virtq_init(&b->device, VRING_MAX_SIZE, features) < 0)
		die("ring");
	driverq_set_tables(&b->driver, b->host + ring_len, GUEST_BASE + ring_len, TABLE_SIZE);
	if (!virtq_ring_map(&ring, features, b->host, b->host + (b->driver.avail_addr - GUEST_BASE),
			    b->host + (b->driver.used_addr - GUEST_BASE), b->size))
		die("ring");
	virtq_start(&b->device, &ring, b->mem, 0, features);
}

/* Fills half the ring; returns the chains. */
static unsigned int bench_offer(struct bench *b)
{
	uint64_t data = GUEST_BASE + ((driverq_bytes(b->size) + 4095) & ~(size_t)4095) +
			driverq_table_bytes(b->size, TABLE_SIZE);
	unsigned int n = (b->size / 2) / (b->indirect ? 1 : b->n_bufs);
	struct driverq_buf bufs[TABLE_SIZE];

	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int k = 0; k < b->n_bufs; k++)
			bufs[k] = (struct driverq_buf){ data + (uint64_t)i * BUFFER_BYTES,
							BUFFER_BYTES };
		if (driverq_add(&b->driver, bufs, b->n_bufs, 0, b->indirect, b) < 0)
			die("add");
	}
	driverq_publish(&b->driver);
	return n;
}

static void bench_collect(struct bench *b)
{
	uint32_t len;
	void *token;

	while (driverq_get(&b->driver, &token, &len) == DRIVERQ_USED)
		continue;
}

/* As a device does: some chains, then one publish. Returns a sum that depends on each. */
static uint64_t bench_serve(struct bench *b)
{
	struct chain chain;
	unsigned int batch = 0;
	uint64_t sum = 0;

	while (virtq_pop(&b->device, &chain) == POP_CHAIN) {
		sum += (uintptr_t)chain.iov[0].iov_base + chain.out_len;
		virtq_push(&b->device, chain.head, 0);
		if (++batch == MAX_BATCH) {
			batch = 0;
			virtq_publish(&b->device);
		}
	}
	virtq_publish(&b->device);
	return sum;
}

/* Once through the ring, so that all its pages are there. */
static void bench_warm_up(struct bench *b)
{
	for (unsigned int n = 0; n < b->size;) {
		n += bench_offer(b);
		(void)bench_serve(b);
		bench_collect(b);
	}
}

static void bench_run(unsigned int size, const char *kind, unsigned int n_bufs, bool indirect,
		      uint64_t features)
{
	struct bench b = { .size = size, .indirect = indirect, .n_bufs = n_bufs };
	uint64_t spent = 0;
	uint64_t sum = 0;
	uint64_t n = 0;

	bench_setup(&b, features);
	bench_warm_up(&b);
	while (n < BUFFERS) {
		unsigned int offered = bench_offer(&b);
		uint64_t start = now_ns();

		sum += bench_serve(&b);
		spent += now_ns() - start;
		bench_collect(&b);
		n += offered;
	}
	printf("ring %5u  %-22s %6.1f ns per pop+push  (%#llx)\n", size, kind,
	       (double)spent / (double)n, (unsigned long long)(sum & 0xffff));
	virtq_fini(&b.device);
	driverq_fini(&b.driver);
	gmem_unref(b.mem);
}

int main(void)
{
	uint64_t plain = BIT(VIRTIO_F_VERSION_1_BIT);
	uint64_t event = plain | BIT(VIRTIO_F_EVENT_IDX_BIT);
	uint64_t all = event | BIT(VIRTIO_F_INDIRECT_DESC_BIT);

	for (unsigned int size = 64; size <= VRING_MAX_SIZE; size *= 8)
		bench_run(size, "direct", 1, false, event);
	for (unsigned int size = 64; size <= VRING_MAX_SIZE; size *= 8)
		bench_run(size, "indirect of 4", 4, true, all);
	bench_run(256, "direct", 1, false, event);
	bench_run(256, "indirect of 4", 4, true, all);
	bench_run(256, "direct, no event index", 1, false, plain);
	bench_run(256, "chain of 4", 4, false, event);
	return 0;
}
