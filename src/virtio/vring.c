/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/vring.h"

static bool aligned(const void *p, uintptr_t align)
{
	return p && ((uintptr_t)p & (align - 1)) == 0;
}

bool vring_map(struct vring *ring, void *desc, void *avail, void *used, unsigned int size)
{
	if (!vring_size_valid(size) || !aligned(desc, VRING_DESC_ALIGN) ||
	    !aligned(avail, VRING_AVAIL_ALIGN) || !aligned(used, VRING_USED_ALIGN))
		return false;
	ring->desc = desc;
	ring->avail = avail;
	ring->used = used;
	ring->used_ring = (uint32_t *)(void *)((unsigned char *)used + 4);
	ring->size = size;
	return true;
}

void vring_bytes_load(unsigned char *dst, const void *shared, size_t n)
{
	const unsigned char *src = shared;

	for (size_t i = 0; i < n; i++)
		dst[i] = __atomic_load_n(src + i, __ATOMIC_RELAXED);
}

struct vring_desc vring_desc_from_bytes(const unsigned char bytes[VRING_DESC_BYTES])
{
	uint64_t words[2];

	__builtin_memcpy(words, bytes, sizeof(words));
	return vring_desc_split(le64toh(words[0]), le64toh(words[1]));
}

struct vring_desc vring_desc_read(const void *shared)
{
	unsigned char bytes[VRING_DESC_BYTES];

	if (aligned(shared, sizeof(uint64_t))) {
		const uint64_t *p = shared;

		return vring_desc_split(shm_load_le64(p), shm_load_le64(p + 1));
	}
	vring_bytes_load(bytes, shared, sizeof(bytes));
	return vring_desc_from_bytes(bytes);
}

bool vring_desc_read_guest(const struct gmem *mem, uint64_t guest_addr, struct vring_desc *ret_desc)
{
	unsigned char bytes[VRING_DESC_BYTES];
	size_t done = 0;
	void *host;

	while (done < sizeof(bytes)) {
		size_t run = gmem_run(mem, guest_addr + done, sizeof(bytes) - done, &host);

		if (run == 0)
			return false;
		if (run == sizeof(bytes)) {
			*ret_desc = vring_desc_read(host);
			return true;
		}
		vring_bytes_load(bytes + done, host, run);
		done += run;
	}
	*ret_desc = vring_desc_from_bytes(bytes);
	return true;
}

void vring_desc_write(uint64_t *shared, struct vring_desc desc)
{
	shm_store_le64(shared, desc.addr);
	shm_store_le64(shared + 1,
		       (uint64_t)desc.len | (uint64_t)desc.flags << 32 | (uint64_t)desc.next << 48);
}
