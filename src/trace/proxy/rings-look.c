/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Guest memory, only to be read, and pictures of the rings in it. */
#include <inttypes.h>
#include <stdlib.h>

#include "clock.h"
#include "trace/proxy/rings-private.h"
#include "vhu/codec.h"

/* Memory. */

static struct gmem_desc to_desc(const struct vhu_region *r)
{
	return (struct gmem_desc){
		.guest_addr = r->guest_addr,
		.size = r->size,
		.user_addr = r->user_addr,
		.mmap_offset = r->mmap_offset,
	};
}

static void note_region(const struct trace_rings *r, const struct vhu_region *region,
			enum gmem_result why)
{
	rings_note(r,
		   "rings in the region at guest address 0x%" PRIx64 ", size 0x%" PRIx64
		   ", cannot be shown: %s",
		   region->guest_addr, region->size,
		   why == GMEM_MAP_FAILED ? "it cannot be mapped" : gmem_result_text(why));
}

/* NULL, and a note, when the region cannot be mapped. */
static struct gmem_region *map_region(const struct trace_rings *r, const struct vhu_region *region,
				      int fd)
{
	const struct gmem_desc desc = to_desc(region);
	struct gmem_region *mapped = NULL;
	enum gmem_result result = gmem_region_map_to_read(&desc, fd, &mapped);

	if (result != GMEM_OK)
		note_region(r, region, result);
	return result == GMEM_OK ? mapped : NULL;
}

/* Takes mem; what was mapped in the table before is looked up anew. */
static void replace_memory(struct trace_rings *r, struct gmem *mem)
{
	for (size_t i = 0; i < VHU_MAX_RINGS; i++)
		if (r->ring[i])
			ring_unmap(r->ring[i]);
	gmem_unref(r->mem);
	r->mem = mem;
}

void rings_drop_memory(struct trace_rings *r)
{
	replace_memory(r, NULL);
}

void rings_set_memory(struct trace_rings *r, const struct vhu_msg *msg, const int *fds,
		      size_t n_fds)
{
	struct gmem_region *regions[VHU_MAX_REGIONS];
	enum gmem_result result;
	struct vhu_mem_table table;
	struct gmem *mem = NULL;
	size_t n = 0;

	vhu_msg_get(msg, &table, sizeof(table));
	for (size_t i = 0; i < min_size(table.n_regions, VHU_MAX_REGIONS) && i < n_fds; i++) {
		regions[n] = map_region(r, &table.regions[i], fds[i]);
		n += regions[n] != NULL;
	}
	result = gmem_new(regions, n, &mem);
	if (result != GMEM_OK)
		rings_note(r, "no ring can be shown: %s", gmem_result_text(result));
	replace_memory(r, result == GMEM_OK ? mem : NULL);
	while (n > 0)
		gmem_region_unref(regions[--n]);
}

void rings_add_memory(struct trace_rings *r, const struct vhu_msg *msg, const int *fds,
		      size_t n_fds)
{
	struct vhu_single_region single;
	struct gmem_region *region;
	enum gmem_result result;
	struct gmem *mem = NULL;

	vhu_msg_get(msg, &single, sizeof(single));
	region = n_fds > 0 ? map_region(r, &single.region, fds[0]) : NULL;
	if (!region)
		return;
	result = gmem_with(r->mem, region, &mem);
	if (result == GMEM_OK)
		replace_memory(r, mem);
	else
		note_region(r, &single.region, result);
	gmem_region_unref(region);
}

/* That there is no such region is told by whoever explains messages. */
void rings_remove_memory(struct trace_rings *r, const struct vhu_msg *msg)
{
	struct vhu_single_region single;
	struct gmem_desc desc;
	struct gmem *mem = NULL;

	vhu_msg_get(msg, &single, sizeof(single));
	desc = to_desc(&single.region);
	if (gmem_without(r->mem, &desc, &mem) == GMEM_OK)
		replace_memory(r, mem);
}

/* Where rings lie. */

static bool has(const struct trace_rings *r, unsigned int bit)
{
	return (r->features & BIT(bit)) != 0;
}

static void *area(const struct trace_rings *r, struct trace_ring *ring, const char *what,
		  uint64_t addr, uint64_t len)
{
	void *host = gmem_host_from_user(r->mem, addr, len);

	if (!host && !ring->noted) {
		rings_note(r,
			   "ring %" PRIu32 " cannot be shown: its %s, front-end address 0x%" PRIx64
			   ", is in no region that is mapped",
			   ring->idx, what, addr);
		ring->noted = true;
	}
	return host;
}

static bool map_split(const struct trace_rings *r, struct trace_ring *ring)
{
	void *desc =
		area(r, ring, "descriptor table", ring->addr.desc, vring_desc_bytes(ring->num));
	void *avail =
		area(r, ring, "available ring", ring->addr.avail, vring_avail_bytes(ring->num));
	void *used = area(r, ring, "used ring", ring->addr.used, vring_used_bytes(ring->num));

	return desc && avail && used && vring_map(&ring->split, desc, avail, used, ring->num);
}

static bool map_packed(const struct trace_rings *r, struct trace_ring *ring)
{
	void *desc =
		area(r, ring, "descriptor ring", ring->addr.desc, packed_desc_bytes(ring->num));
	void *driver = area(r, ring, "driver area", ring->addr.avail, PACKED_EVENT_BYTES);
	void *device = area(r, ring, "device area", ring->addr.used, PACKED_EVENT_BYTES);

	if (!ring->lists)
		ring->lists = calloc(ring->num, sizeof(*ring->lists));
	return desc && driver && device && ring->lists &&
	       packed_map(&ring->packed, desc, driver, device, ring->num);
}

bool ring_map(struct trace_rings *r, struct trace_ring *ring)
{
	if (ring->mapped || !r->mem || r->postcopy || !ring->has_addr || ring->num == 0)
		return ring->mapped && !r->postcopy;
	ring->mapped = has(r, VIRTIO_F_RING_PACKED_BIT) ? map_packed(r, ring) : map_split(r, ring);
	if (!ring->mapped && !ring->noted) {
		rings_note(r,
			   "ring %" PRIu32 " cannot be shown: %" PRIu32 " entries at 0x%" PRIx64
			   ", 0x%" PRIx64 ", 0x%" PRIx64 " are no ring",
			   ring->idx, ring->num, ring->addr.desc, ring->addr.avail,
			   ring->addr.used);
		ring->noted = true;
	}
	return ring->mapped;
}

void ring_unmap(struct trace_ring *ring)
{
	ring->mapped = false;
	ring->noted = false;
}

/* Pictures. */

static const void *guest_host(void *arg, uint64_t guest_addr, uint64_t len)
{
	const struct trace_rings *r = arg;

	return gmem_host_from_guest(r->mem, guest_addr, len);
}

static struct picture_source source_of(struct trace_rings *r, struct trace_ring *ring)
{
	bool packed = has(r, VIRTIO_F_RING_PACKED_BIT);

	return (struct picture_source){
		.split = packed ? NULL : &ring->split,
		.packed = packed ? &ring->packed : NULL,
		.event_idx = has(r, VIRTIO_F_EVENT_IDX_BIT),
		.in_order = has(r, VIRTIO_F_IN_ORDER_BIT),
		.from_zero = ring->from_zero,
		/* Else descriptors have addresses of an IOMMU's. */
		.host = has(r, VIRTIO_F_ACCESS_PLATFORM_BIT) ? NULL : guest_host,
		.arg = r,
		.avail = &ring->avail,
		.used = &ring->used,
		.lists = ring->lists,
	};
}

static void note_platform(struct trace_rings *r)
{
	if (!has(r, VIRTIO_F_ACCESS_PLATFORM_BIT) || r->noted_platform)
		return;
	rings_note(r, "ACCESS_PLATFORM was accepted: buffers have addresses of an IOMMU's, so "
		      "their contents cannot be shown");
	r->noted_platform = true;
}

bool ring_was_offered(struct trace_rings *r, struct trace_ring *ring)
{
	const struct picture_source source = source_of(r, ring);

	return picture_offered_since(&source, ring->seen_avail);
}

bool ring_was_used(struct trace_rings *r, struct trace_ring *ring)
{
	const struct picture_source source = source_of(r, ring);

	return picture_used_since(&source, ring->seen_used);
}

static bool is_news(const struct trace_ring *ring, const struct ring_picture *p,
		    enum trace_cause cause)
{
	if (cause == TRACE_ASKED || cause == TRACE_BEGIN || cause == TRACE_FINISH)
		return true;
	return !ring->seen || p->avail_idx != ring->seen_avail || p->used_idx != ring->seen_used;
}

static void tell(struct trace_rings *r, struct trace_ring *ring, const struct ring_picture *p,
		 enum trace_cause cause, uint64_t ns)
{
	const struct trace_record record = {
		.kind = TRACE_RING,
		.ns = ns,
		.session = r->session,
		.ring = ring->idx,
		.cause = cause,
		.picture = p,
	};

	if (ring->seen && p->avail_idx < ring->seen_avail)
		ring->from_zero = false;
	ring->seen = true;
	ring->seen_avail = p->avail_idx;
	ring->seen_used = p->used_idx;
	r->sink->take(r->sink, &record);
}

/* A file that was cut off reads as zeroes: nothing that was found can be told. */
static bool memory_is_lost(struct trace_rings *r)
{
	if (!gmem_faulted(r->mem))
		return false;
	rings_note(r, "no ring can be shown any more: a file of guest memory was cut off");
	rings_drop_memory(r);
	return true;
}

void ring_look(struct trace_rings *r, struct trace_ring *ring, enum trace_cause cause)
{
	const struct picture_want want = {
		.data = r->options.data,
		.since = ring->seen,
		.since_avail = ring->seen_avail,
		.since_used = ring->seen_used,
	};
	struct picture_source source;
	struct ring_picture *p;
	uint64_t ns;

	if (!ring_map(r, ring))
		return;
	note_platform(r);
	source = source_of(r, ring);
	ns = realtime_ns();
	p = picture_take(&source, &want);
	if (p && !memory_is_lost(r) && is_news(ring, p, cause))
		tell(r, ring, p, cause, ns);
	picture_free(p);
}

bool ring_begin(struct trace_rings *r, struct trace_ring *ring)
{
	if (!ring->started || !ring_map(r, ring))
		return false;
	if (!ring->seen)
		ring_look(r, ring, TRACE_BEGIN);
	return ring->seen && ring->mapped;
}
