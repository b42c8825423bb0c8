/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/frontend-iotlb.h"

#include <errno.h>
#include <string.h>

#include "vhu/codec.h"

void vhu_frontend_iotlb_init(struct vhu_frontend *fe, struct vhu_frontend_iotlb *tlb)
{
	*tlb = (struct vhu_frontend_iotlb){ .granule = 4096 };
	fe->iotlb = tlb;
}

void vhu_frontend_iotlb_fini(struct vhu_frontend *fe)
{
	fe->iotlb = NULL;
}

/* The table. */

static bool overlaps(const struct vhu_frontend_translation *a, uint64_t iova, uint64_t size)
{
	return a->iova < iova ? iova - a->iova < a->size : a->iova - iova < size;
}

static int add_entry(struct vhu_frontend *fe, const struct vhu_frontend_translation *entry)
{
	struct vhu_frontend_iotlb *tlb = fe->iotlb;

	if (tlb->n_entries == VHU_IOTLB_MAX)
		return vhu_frontend_fail(fe, -ENOSPC, "at most %d translations", VHU_IOTLB_MAX);
	tlb->entries[tlb->n_entries++] = *entry;
	return 0;
}

int vhu_frontend_iotlb_map(struct vhu_frontend *fe, const struct vhu_frontend_translation *entry)
{
	uint64_t end;

	if (entry->size == 0 || !add_u64(entry->iova, entry->size - 1, &end) ||
	    !add_u64(entry->uaddr, entry->size - 1, &end))
		return vhu_frontend_fail(fe, -EINVAL, "a translation of something");
	for (unsigned int i = 0; i < fe->iotlb->n_entries; i++)
		if (overlaps(&fe->iotlb->entries[i], entry->iova, entry->size))
			return vhu_frontend_fail(fe, -EEXIST,
						 "no two translations of %#llx to %#llx",
						 (unsigned long long)entry->iova,
						 (unsigned long long)entry->iova + entry->size);
	return add_entry(fe, entry);
}

int vhu_frontend_iotlb_map_memory(struct vhu_frontend *fe, uint8_t perm)
{
	int err = 0;

	for (unsigned int i = 0; i < fe->n_regions && err == 0; i++) {
		const struct vhu_region *r = &fe->regions[i].wire;
		const struct vhu_frontend_translation entry = {
			.iova = r->guest_addr + fe->iova_shift,
			.size = r->size,
			.uaddr = r->user_addr,
			.perm = perm,
		};

		err = vhu_frontend_iotlb_map(fe, &entry);
	}
	return err;
}

/* What is left of an entry beside [iova, iova + size), on both sides. */
static int keep_rest(struct vhu_frontend *fe, const struct vhu_frontend_translation *entry,
		     uint64_t iova, uint64_t size)
{
	uint64_t entry_last = entry->iova + (entry->size - 1);
	uint64_t last = iova + (size - 1);
	struct vhu_frontend_translation rest = *entry;
	int err = 0;

	if (entry->iova < iova) {
		rest.size = iova - entry->iova;
		err = add_entry(fe, &rest);
	}
	if (err < 0 || entry_last <= last)
		return err;
	rest.iova = last + 1;
	rest.size = entry_last - last;
	rest.uaddr = entry->uaddr + (rest.iova - entry->iova);
	return add_entry(fe, &rest);
}

static int remove_range(struct vhu_frontend *fe, uint64_t iova, uint64_t size)
{
	struct vhu_frontend_iotlb *tlb = fe->iotlb;
	int err = 0;

	/* Rests are put at the end, and overlap no more. */
	for (unsigned int i = 0; i < tlb->n_entries && err == 0;) {
		const struct vhu_frontend_translation entry = tlb->entries[i];

		if (!overlaps(&entry, iova, size)) {
			i++;
			continue;
		}
		tlb->entries[i] = tlb->entries[--tlb->n_entries];
		err = keep_rest(fe, &entry, iova, size);
	}
	return err;
}

/* Messages. */

static int tell(struct vhu_frontend *fe, const struct vhu_iotlb *iotlb)
{
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_IOTLB_MSG);
	vhu_msg_put(&msg, iotlb, sizeof(*iotlb));
	if (vhu_frontend_has_protocol(fe, VHU_PF_REPLY_ACK_BIT))
		msg.flags |= VHU_FLAG_NEED_REPLY; /* as QEMU */
	err = vhu_frontend_request(fe, &msg, &reply, fe->timeout_ms);
	if (err < 0)
		return err;
	fdset_close(&reply.fds);
	if (vhu_msg_u64(&reply) == 0)
		return 0;
	return vhu_frontend_fail(fe, -EREMOTEIO, "IOTLB_MSG of type %u at %#llx to be accepted",
				 iotlb->type, (unsigned long long)iotlb->iova);
}

int vhu_frontend_iotlb_update(struct vhu_frontend *fe, const struct vhu_frontend_translation *entry)
{
	const struct vhu_iotlb update = {
		.iova = entry->iova,
		.size = entry->size,
		.uaddr = entry->uaddr,
		.perm = entry->perm,
		.type = VHU_IOTLB_UPDATE,
	};

	if (fe->iotlb)
		fe->iotlb->n_updates++;
	return tell(fe, &update);
}

int vhu_frontend_iotlb_invalidate(struct vhu_frontend *fe, uint64_t iova, uint64_t size)
{
	const struct vhu_iotlb invalidate = {
		.iova = iova,
		.size = size,
		.type = VHU_IOTLB_INVALIDATE,
	};
	uint64_t last;
	int err;

	if (size == 0 || !add_u64(iova, size - 1, &last))
		return vhu_frontend_fail(fe, -EINVAL, "a range of addresses");
	err = remove_range(fe, iova, size);
	return err == 0 ? tell(fe, &invalidate) : err;
}

/* Misses. */

static const struct vhu_frontend_translation *find_entry(const struct vhu_frontend_iotlb *tlb,
							 const struct vhu_iotlb *miss)
{
	for (unsigned int i = 0; i < tlb->n_entries; i++) {
		const struct vhu_frontend_translation *e = &tlb->entries[i];

		if (overlaps(e, miss->iova, 1))
			return (miss->perm & ~e->perm) == 0 ? e : NULL;
	}
	return NULL;
}

/* The part of an entry that an update covers: what lies in the granule of the address. */
static struct vhu_frontend_translation part_of(const struct vhu_frontend_translation *e,
					       uint64_t iova, uint64_t granule)
{
	struct vhu_frontend_translation part = *e;
	uint64_t from, skipped;

	if (granule == 0)
		return part;
	from = iova & ~(granule - 1);
	skipped = from > e->iova ? from - e->iova : 0;
	part.iova += skipped;
	part.uaddr += skipped;
	/* To the end of the granule, or of the entry. */
	part.size = min_u64(e->size - skipped, granule - (part.iova - from));
	return part;
}

static int answer(struct vhu_frontend *fe, const struct vhu_frontend_miss *miss, uint64_t value)
{
	struct vhu_msg msg;

	if (!miss->due || fe->channel_fd < 0)
		return 0;
	vhu_msg_init(&msg, VHU_BE, VHU_BE_IOTLB_MSG);
	return vhu_frontend_answer(fe, &msg, value);
}

static int serve_miss(struct vhu_frontend *fe, const struct vhu_frontend_miss *miss)
{
	struct vhu_frontend_iotlb *tlb = fe->iotlb;
	const struct vhu_frontend_translation *e = find_entry(tlb, &miss->iotlb);
	struct vhu_frontend_translation part;
	int err;

	if (!e) {
		tlb->n_unknown++;
		return answer(fe, miss, 1);
	}
	part = part_of(e, miss->iotlb.iova, tlb->granule);
	err = vhu_frontend_iotlb_update(fe, &part);
	return err == 0 ? answer(fe, miss, 0) : err;
}

int vhu_frontend_iotlb_serve(struct vhu_frontend *fe)
{
	struct vhu_frontend_iotlb *tlb = fe->iotlb;
	int err = 0;

	if (!tlb || tlb->serving || fe->n_busy > 0)
		return 0;
	tlb->serving = true;
	while (tlb->n_waiting > 0 && err == 0) {
		const struct vhu_frontend_miss miss = tlb->waiting[0];

		tlb->n_waiting--;
		memmove(tlb->waiting, tlb->waiting + 1, tlb->n_waiting * sizeof(tlb->waiting[0]));
		err = serve_miss(fe, &miss);
	}
	tlb->serving = false;
	return err;
}

int vhu_frontend_iotlb_hear(struct vhu_frontend *fe, const struct vhu_msg *msg)
{
	struct vhu_frontend_iotlb *tlb = fe->iotlb;
	struct vhu_frontend_miss miss = { .due = vhu_reply_due(&fe->nego, msg) };

	vhu_msg_get(msg, &miss.iotlb, sizeof(miss.iotlb));
	if (miss.iotlb.type == VHU_IOTLB_ACCESS_FAIL) {
		tlb->n_fails++;
		return answer(fe, &miss, 0);
	}
	if (miss.iotlb.type != VHU_IOTLB_MISS)
		return vhu_frontend_fail(fe, -EPROTO, "a miss or a failed access, not type %u",
					 miss.iotlb.type);
	if (tlb->n_waiting == VHU_IOTLB_WAITING)
		return vhu_frontend_fail(fe, -EPROTO, "at most %d misses at a time",
					 VHU_IOTLB_WAITING);
	tlb->n_misses++;
	tlb->last_miss = miss.iotlb;
	tlb->waiting[tlb->n_waiting++] = miss;
	return vhu_frontend_iotlb_serve(fe);
}
