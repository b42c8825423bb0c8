/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The guest's memory as the front-end describes it: whole tables and single regions. */
#include <inttypes.h>
#include <string.h>

#include "vhu/backend.h"
#include "vhu/codec.h"

static struct gmem_desc to_desc(const struct vhu_region *r)
{
	return (struct gmem_desc){
		.guest_addr = r->guest_addr,
		.size = r->size,
		.user_addr = r->user_addr,
		.mmap_offset = r->mmap_offset,
	};
}

static struct gmem_desc single_desc(const struct vhu_msg *msg, struct vhu_single_region *ret_single)
{
	vhu_msg_get(msg, ret_single, sizeof(*ret_single));
	return to_desc(&ret_single->region);
}

static enum vhu_outcome refuse_region(struct vhu_backend *b, const struct vhu_region *r,
				      enum gmem_result result)
{
	return vhu_backend_refuse(
		b, "memory region guest 0x%" PRIx64 " size 0x%" PRIx64 " offset 0x%" PRIx64 ": %s",
		r->guest_addr, r->size, r->mmap_offset, gmem_result_text(result));
}

/* Puts mem (a reference, now the session's) in force; rings are looked up anew. */
static void set_memory(struct vhu_backend *b, struct gmem *mem)
{
	struct gmem *old = b->mem;

	b->mem = mem;
	for (unsigned int i = 0; i < b->n_vqs; i++)
		vqio_remap(&b->vqs[i]);
	gmem_unref(old);
}

/*
 * Pages of the new table may be missing: the front-end has to know where it is
 * mapped here, before anything looks into it (VU-179).
 */
static enum vhu_outcome tell_addresses(struct vhu_backend *b, const struct vhu_msg *msg,
				       struct vhu_mem_table *table, struct gmem *mem,
				       struct gmem_region *const *regions, struct vhu_msg *reply)
{
	int err;

	set_memory(b, NULL);
	err = vhu_postcopy_hold_table(b, mem, regions, table->n_regions);
	if (err < 0)
		return vhu_backend_refuse(b, "memory that comes late cannot be registered: %s",
					  strerror(-err));
	for (uint32_t i = 0; i < table->n_regions; i++)
		table->regions[i].user_addr = (uintptr_t)gmem_region_host(regions[i]);
	vhu_msg_put(reply, table, msg->size);
	return VHU_ANSWERED;
}

/* On failure the old table stays in force, whole (VU-068). */
enum vhu_outcome vhu_on_SET_MEM_TABLE(struct vhu_backend *b, struct vhu_msg *msg,
				      struct vhu_msg *reply)
{
	struct gmem_region *regions[VHU_MAX_REGIONS] = { NULL };
	enum vhu_outcome outcome = VHU_DONE;
	enum gmem_result result = GMEM_OK;
	struct vhu_mem_table table = { 0 };
	struct gmem *mem = NULL;
	uint32_t n = 0;

	if (vhu_postcopy_is_leave(b, msg)) {
		set_memory(b, vhu_postcopy_take_table(b));
		return VHU_DONE;
	}
	vhu_msg_get(msg, &table, sizeof(table));
	while (n < table.n_regions && result == GMEM_OK) {
		struct gmem_desc desc = to_desc(&table.regions[n]);

		result = gmem_region_map(&desc, msg->fds.fd[n], &regions[n]);
		if (result == GMEM_OK)
			n++;
	}
	if (result == GMEM_OK)
		result = gmem_new(regions, n, &mem);
	if (result != GMEM_OK) {
		outcome = refuse_region(b, &table.regions[n < table.n_regions ? n : 0], result);
	} else if (vhu_postcopy_listens(b)) {
		outcome = tell_addresses(b, msg, &table, mem, regions, reply);
		gmem_unref(mem);
	} else {
		set_memory(b, mem);
	}
	for (uint32_t i = 0; i < n; i++)
		gmem_region_unref(regions[i]);
	return outcome;
}

enum vhu_outcome vhu_on_ADD_MEM_REG(struct vhu_backend *b, struct vhu_msg *msg,
				    struct vhu_msg *reply)
{
	struct gmem_region *region = NULL;
	struct vhu_single_region single;
	struct gmem_desc desc = single_desc(msg, &single);
	enum gmem_result result;
	struct gmem *mem;

	(void)reply;
	result = gmem_region_map(&desc, msg->fds.fd[0], &region);
	if (result == GMEM_OK)
		result = gmem_with(b->mem, region, &mem);
	if (result == GMEM_OK)
		set_memory(b, mem);
	gmem_region_unref(region);
	return result == GMEM_OK ? VHU_DONE : refuse_region(b, &single.region, result);
}

/* A descriptor may come along and is not needed (VU-076). */
enum vhu_outcome vhu_on_REM_MEM_REG(struct vhu_backend *b, struct vhu_msg *msg,
				    struct vhu_msg *reply)
{
	struct vhu_single_region single;
	struct gmem_desc desc = single_desc(msg, &single);
	enum gmem_result result;
	struct gmem *mem;

	(void)reply;
	result = gmem_without(b->mem, &desc, &mem);
	if (result != GMEM_OK)
		return refuse_region(b, &single.region, result);
	set_memory(b, mem);
	return VHU_DONE;
}

enum vhu_outcome vhu_on_GET_MAX_MEM_SLOTS(struct vhu_backend *b, struct vhu_msg *msg,
					  struct vhu_msg *reply)
{
	(void)b;
	(void)msg;
	vhu_msg_put_u64(reply, GMEM_MAX_REGIONS);
	return VHU_DONE;
}
