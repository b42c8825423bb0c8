/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend-iommu.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "vhu/backend.h"
#include "vhu/codec.h"
#include "virtio/features.h"
#include "virtio/iotlb.h"

enum {
	MSG_MISS = 1,
	MSG_UPDATE = 2,
	MSG_INVALIDATE = 3,
	MSG_ACCESS_FAIL = 4,
};

/* Telling the front-end. */

void vhu_iommu_flush(struct vhu_backend *b)
{
	while (!list_empty(&b->lacks)) {
		struct vqio *v = list_first(&b->lacks, struct vqio, lack.due);
		const struct vhu_iotlb msg = {
			.iova = v->lack.iova,
			.perm = v->lack.perm,
			.type = v->lack.type,
		};

		if (!vhu_channel_iotlb(b, v->q.idx, &msg, &v->lack.unacked))
			return;
		list_remove(&v->lack.due);
		v->lack.said = true;
	}
}

/* One thing at a time: what comes while another is unacknowledged is told after it. */
static void make_due(struct vqio *v, uint8_t type)
{
	v->lack.type = type;
	v->lack.said = false;
	if (!v->lack.unacked && list_empty(&v->lack.due))
		list_append(&v->b->lacks, &v->lack.due);
}

static void tell(struct vqio *v, uint8_t type)
{
	struct vhu_backend *b = v->b;

	if (!b->channel)
		vhu_backend_warn(b, v->who,
				 "waits for a translation of 0x%" PRIx64
				 ", and there is no back-end channel to ask on",
				 v->lack.iova);
	make_due(v, type);
	vhu_iommu_flush(b);
}

static void forget(struct vqio *v)
{
	v->lack.waits = false;
	list_remove(&v->lack.due);
}

static void lack(struct vqio *v, uint64_t iova, uint8_t perm)
{
	struct vqio_lack *l = &v->lack;

	if (l->waits && l->iova == iova && l->perm == perm && (l->said || !list_empty(&l->due)))
		return;
	l->waits = true;
	l->iova = iova;
	l->perm = perm;
	log_debug(v->who, "waits for a translation of 0x%" PRIx64, iova);
	tell(v, MSG_MISS);
}

void vhu_iommu_acknowledged(struct vhu_backend *b, uint32_t idx, bool refused)
{
	struct vqio *v = &b->vqs[idx];
	struct vqio_lack *l = &v->lack;

	l->unacked = false;
	if (l->waits && !l->said) {
		tell(v, l->type);
	} else if (l->waits && refused && l->type == MSG_MISS) {
		vhu_backend_warn(b, v->who,
				 "the front-end has no translation of 0x%" PRIx64
				 ": the ring waits",
				 l->iova);
		l->said = false; /* the driver's next kick is another attempt */
	}
}

void vhu_iommu_channel_opened(struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++) {
		struct vqio *v = &b->vqs[i];

		v->lack.unacked = false;
		if (v->lack.waits)
			make_due(v, v->lack.type);
	}
	vhu_iommu_flush(b);
}

/* Using what is known. */

void *vhu_iommu_area(struct vqio *v, uint64_t addr, uint64_t len, uint8_t perm)
{
	const struct vhu_backend *b = v->b;
	uint64_t missing;
	void *host;

	if (!b->iotlb) {
		/*
		 * A front-end that takes this bit for another feature, as some releases
		 * do, gives its own addresses.
		 */
		host = vhu_backend_has_protocol(b, VHU_PF_GPA_ADDRESSES_BIT)
			       ? gmem_host_from_guest(b->mem, addr, len)
			       : NULL;
		return host ? host : gmem_host_from_user(b->mem, addr, len);
	}
	host = iotlb_host(b->iotlb, b->mem, addr, len, perm, &missing);
	if (!host)
		lack(v, missing, perm);
	return host;
}

uint64_t vhu_iommu_log_addr(const struct vqio *v)
{
	const struct vhu_backend *b = v->b;
	uint64_t addr = v->addr.log;
	uint64_t missing;
	void *used;

	if (!b->iotlb)
		return addr;
	used = iotlb_host(b->iotlb, b->mem, v->addr.used, 1, IOTLB_WRITE, &missing);
	if (used)
		(void)gmem_guest_from_host(b->mem, used, &addr);
	return addr;
}

bool vhu_iommu_lacks(struct vqio *v)
{
	uint64_t iova;
	uint8_t perm;

	if (!v->b->iotlb)
		return false;
	if (virtq_missing(&v->q.vq, &iova, &perm)) {
		lack(v, iova, perm);
		return true;
	}
	forget(v);
	return false;
}

/* Lifetime. */

static bool any_started(const struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++)
		if (b->vqs[i].started)
			return true;
	return false;
}

static void use_translations(struct vhu_backend *b, struct iotlb *tlb)
{
	b->iotlb = tlb;
	for (unsigned int i = 0; i < b->n_vqs; i++) {
		forget(&b->vqs[i]);
		virtq_set_iotlb(&b->vqs[i].q.vq, tlb);
		if (b->vqs[i].live)
			vqio_remap(&b->vqs[i]);
	}
}

bool vhu_iommu_set_features(struct vhu_backend *b, uint64_t features)
{
	bool wanted = features & BIT(VIRTIO_F_ACCESS_PLATFORM_BIT);
	struct iotlb *old = b->iotlb;

	if (wanted && old) {
		if (!any_started(b))
			iotlb_clear(old);
	} else if (wanted) {
		struct iotlb *tlb = iotlb_new();

		if (!tlb)
			return false;
		use_translations(b, tlb);
	} else if (old) {
		use_translations(b, NULL);
		iotlb_free(old);
	}
	return true;
}

void vhu_iommu_ring_stopped(struct vqio *v)
{
	forget(v);
	if (v->b->iotlb && !any_started(v->b))
		iotlb_clear(v->b->iotlb);
}

void vhu_iommu_fini(struct vhu_backend *b)
{
	iotlb_free(b->iotlb);
	b->iotlb = NULL;
}

/* What the front-end tells. */

/*
 * Known translations have changed: rings are looked up anew, and what a queue
 * keeps of the last buffer's place goes with that. A ring that has lost an area
 * is parked and asks.
 */
static void look_up_again(struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++)
		if (b->vqs[i].live)
			vqio_remap(&b->vqs[i]);
}

/* The front-end has told of the addresses that t names: whoever waits for one tries again. */
static void wake_waiting(struct vhu_backend *b, const struct vhu_iotlb *t)
{
	for (unsigned int i = 0; i < b->n_vqs; i++) {
		struct vqio *v = &b->vqs[i];

		if (!v->lack.waits || v->lack.iova - t->iova >= t->size)
			continue;
		if ((t->perm & v->lack.perm) != v->lack.perm) {
			vhu_backend_warn(b, v->who,
					 "the driver did not permit access to 0x%" PRIx64,
					 v->lack.iova);
			tell(v, MSG_ACCESS_FAIL);
			continue;
		}
		forget(v);
		if (v->live && v->mapped)
			vqueue_wake(&v->q);
		else
			vqio_remap(v);
	}
}

/* An update without any permission takes away what there was. */
static int update(struct vhu_backend *b, const struct vhu_iotlb *t)
{
	const struct iotlb_entry entry = {
		.iova = t->iova,
		.size = t->size,
		.user_addr = t->uaddr,
		.perm = t->perm,
	};
	bool changed;
	int err = 0;

	if (t->size == 0 || (t->perm && !gmem_host_from_user(b->mem, t->uaddr, t->size)))
		return -EINVAL;
	changed = iotlb_knows(b->iotlb, t->iova, t->size);
	if (t->perm)
		err = iotlb_update(b->iotlb, &entry);
	else
		iotlb_invalidate(b->iotlb, t->iova, t->size);
	if (changed)
		look_up_again(b);
	if (err == 0)
		wake_waiting(b, t);
	return err;
}

/*
 * All addresses have a size that 64 bits do not hold, so size 0 at 0 means them.
 * Rings are looked up even if nothing was known of the range: what they use may
 * have been forgotten since, for want of room.
 */
static int invalidate(struct vhu_backend *b, const struct vhu_iotlb *t)
{
	if (t->size == 0 && t->iova != 0)
		return -EINVAL;
	if (t->size == 0)
		iotlb_clear(b->iotlb);
	else
		iotlb_invalidate(b->iotlb, t->iova, t->size);
	look_up_again(b);
	return 0;
}

enum vhu_outcome vhu_on_IOTLB_MSG(struct vhu_backend *b, struct vhu_msg *msg, struct vhu_msg *reply)
{
	struct vhu_iotlb t;
	int err = -EINVAL;

	vhu_msg_get(msg, &t, sizeof(t));
	if (t.type == MSG_UPDATE)
		err = update(b, &t);
	else if (t.type == MSG_INVALIDATE)
		err = invalidate(b, &t);
	if (err < 0)
		vhu_backend_warn(b, b->who,
				 "IOTLB_MSG type %u address 0x%" PRIx64 " size 0x%" PRIx64
				 " user address 0x%" PRIx64 ": %s",
				 t.type, t.iova, t.size, t.uaddr,
				 err == -ENOMEM
					 ? "no memory for it"
					 : "expected an update within one memory region, or an "
					   "invalidation of some addresses");
	vhu_msg_put_u64(reply, err < 0);
	return VHU_DONE;
}

/* Another process. */

void vhu_iommu_save(const struct vhu_backend *b, struct state_writer *w, unsigned int tag)
{
	if (b->iotlb)
		iotlb_save(b->iotlb, w, tag);
}

void vhu_iommu_load(struct vhu_backend *b, struct state_reader *r, unsigned int tag)
{
	struct iotlb *tlb;

	if (!state_has(r, tag))
		return;
	tlb = iotlb_new();
	if (!tlb) {
		state_fail(r, "no memory");
		return;
	}
	iotlb_load(tlb, r, tag);
	use_translations(b, tlb);
}

enum lack_tag { LACK_FLAGS = 1, LACK_PERM, LACK_TYPE, LACK_IOVA };
enum lack_flag { LACK_WAITS, LACK_SAID, LACK_UNACKED, LACK_DUE, N_LACK_FLAGS };

void vhu_iommu_save_lack(const struct vqio *v, struct state_writer *w, unsigned int tag)
{
	const struct vqio_lack *l = &v->lack;

	state_begin_group(w, tag);
	state_put_number(w, LACK_FLAGS,
			 (uint64_t)l->waits << LACK_WAITS | (uint64_t)l->said << LACK_SAID |
				 (uint64_t)l->unacked << LACK_UNACKED |
				 (uint64_t)!list_empty(&l->due) << LACK_DUE);
	state_put_number(w, LACK_PERM, l->perm);
	state_put_number(w, LACK_TYPE, l->type);
	state_put_number(w, LACK_IOVA, l->iova);
	state_end(w);
}

void vhu_iommu_load_lack(struct vqio *v, struct state_reader *r, unsigned int tag)
{
	struct vqio_lack *l = &v->lack;
	uint64_t flags;

	if (!state_enter(r, tag, "what it waits for"))
		return;
	flags = state_take_number(r, LACK_FLAGS, "flags", BIT(N_LACK_FLAGS) - 1);
	l->waits = flags & BIT(LACK_WAITS);
	l->said = flags & BIT(LACK_SAID);
	l->unacked = flags & BIT(LACK_UNACKED);
	l->perm = (uint8_t)state_take_number(r, LACK_PERM, "permission", UINT8_MAX);
	l->type = (uint8_t)state_take_number(r, LACK_TYPE, "type", UINT8_MAX);
	l->iova = state_take_number(r, LACK_IOVA, "address", UINT64_MAX);
	if (flags & BIT(LACK_DUE))
		list_append(&v->b->lacks, &l->due);
	state_leave(r);
}
