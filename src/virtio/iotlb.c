/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "list.h"
#include "virtio/iotlb.h"

/* One translation: of the addresses from iova to last, both included. */
struct node {
	uint64_t iova;
	uint64_t last;
	uint64_t user_addr; /* of iova */
	uint8_t perm;
	struct list_node age; /* in tlb->by_age */
};

/* Sorted by address, without overlaps: a flood of updates moves pointers, not nodes. */
struct iotlb {
	struct node **nodes;
	size_t n_nodes, n_slots;
	struct list_node by_age; /* the oldest first */
	size_t *last_hit;	 /* a hint only; written by look-ups */
};

struct iotlb *iotlb_new(void)
{
	struct iotlb *tlb = calloc(1, sizeof(*tlb));

	if (!tlb)
		return NULL;
	list_init(&tlb->by_age);
	tlb->last_hit = calloc(1, sizeof(*tlb->last_hit));
	if (tlb->last_hit)
		return tlb;
	free(tlb);
	return NULL;
}

void iotlb_free(struct iotlb *tlb)
{
	if (!tlb)
		return;
	iotlb_clear(tlb);
	free(tlb->nodes);
	free(tlb->last_hit);
	free(tlb);
}

size_t iotlb_n_entries(const struct iotlb *tlb)
{
	return tlb->n_nodes;
}

/* The index of the first node that ends at iova or above. */
static size_t lower_bound(const struct iotlb *tlb, uint64_t iova)
{
	size_t low = 0;
	size_t high = tlb->n_nodes;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (tlb->nodes[mid]->last < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool node_holds(const struct node *node, uint64_t iova)
{
	return node->iova <= iova && iova <= node->last;
}

static const struct node *find_node(const struct iotlb *tlb, uint64_t iova)
{
	size_t i = *tlb->last_hit;

	if (i < tlb->n_nodes && node_holds(tlb->nodes[i], iova))
		return tlb->nodes[i];
	i = lower_bound(tlb, iova);
	if (i == tlb->n_nodes || !node_holds(tlb->nodes[i], iova))
		return NULL;
	*tlb->last_hit = i;
	return tlb->nodes[i];
}

/* Frees the nodes from index first to below end. */
static void remove_nodes(struct iotlb *tlb, size_t first, size_t end)
{
	if (first == end)
		return;
	for (size_t i = first; i < end; i++) {
		list_remove(&tlb->nodes[i]->age);
		free(tlb->nodes[i]);
	}
	memmove(&tlb->nodes[first], &tlb->nodes[end], (tlb->n_nodes - end) * sizeof(tlb->nodes[0]));
	tlb->n_nodes -= end - first;
}

void iotlb_clear(struct iotlb *tlb)
{
	remove_nodes(tlb, 0, tlb->n_nodes);
}

static bool make_room(struct iotlb *tlb)
{
	size_t n = tlb->n_slots ? 2 * tlb->n_slots : 64;
	struct node **nodes;

	if (tlb->n_nodes < tlb->n_slots)
		return true;
	nodes = reallocarray(tlb->nodes, n, sizeof(*nodes));
	if (!nodes)
		return false;
	tlb->nodes = nodes;
	tlb->n_slots = n;
	return true;
}

/* A copy of like at index at, as old as before (NULL: the newest). False: no memory. */
static bool insert_node(struct iotlb *tlb, size_t at, const struct node *like,
			struct list_node *before)
{
	struct node *node;

	if (!make_room(tlb))
		return false;
	node = malloc(sizeof(*node));
	if (!node)
		return false;
	*node = *like;
	list_append(before ? before : &tlb->by_age, &node->age);
	memmove(&tlb->nodes[at + 1], &tlb->nodes[at], (tlb->n_nodes - at) * sizeof(tlb->nodes[0]));
	tlb->nodes[at] = node;
	tlb->n_nodes++;
	return true;
}

static void drop_oldest(struct iotlb *tlb)
{
	size_t at = lower_bound(tlb, list_first(&tlb->by_age, struct node, age)->iova);

	remove_nodes(tlb, at, at + 1);
}

static void cut_front(struct node *node, uint64_t iova)
{
	node->user_addr += iova - node->iova;
	node->iova = iova;
}

/* Takes [iova, last] out of the middle of a node: what is above is a node of its own. */
static void split(struct iotlb *tlb, size_t at, uint64_t iova, uint64_t last)
{
	struct node *node = tlb->nodes[at];
	struct node above = *node;

	cut_front(&above, last + 1);
	node->last = iova - 1;
	/* What cannot be kept, for want of memory or room, can be asked for again. */
	if (tlb->n_nodes < IOTLB_MAX_ENTRIES)
		(void)insert_node(tlb, at + 1, &above, &node->age);
}

/* Forgets [iova, last]. Returns the index where a node of that range belongs. */
static size_t cut(struct iotlb *tlb, uint64_t iova, uint64_t last)
{
	size_t first = lower_bound(tlb, iova);
	size_t end;

	if (first < tlb->n_nodes && tlb->nodes[first]->iova < iova) {
		if (tlb->nodes[first]->last > last) {
			split(tlb, first, iova, last);
			return first + 1;
		}
		tlb->nodes[first++]->last = iova - 1;
	}
	end = lower_bound(tlb, last);
	/* The node at end reaches last at least; it may begin above it. */
	if (end < tlb->n_nodes && tlb->nodes[end]->iova <= last) {
		if (tlb->nodes[end]->last == last)
			end++;
		else
			cut_front(tlb->nodes[end], last + 1);
	}
	remove_nodes(tlb, first, end);
	return first;
}

/* The last address of size bytes at addr; false: none, or past 2^64. */
static bool last_of(uint64_t addr, uint64_t size, uint64_t *ret_last)
{
	if (size == 0 || addr > UINT64_MAX - (size - 1))
		return false;
	*ret_last = addr + (size - 1);
	return true;
}

int iotlb_update(struct iotlb *tlb, const struct iotlb_entry *entry)
{
	struct node node = {
		.iova = entry->iova,
		.user_addr = entry->user_addr,
		.perm = entry->perm & (IOTLB_READ | IOTLB_WRITE),
	};
	uint64_t user_last;
	size_t at;

	if (node.perm == 0 || !last_of(entry->iova, entry->size, &node.last) ||
	    !last_of(entry->user_addr, entry->size, &user_last))
		return -EINVAL;
	(void)cut(tlb, node.iova, node.last);
	if (tlb->n_nodes >= IOTLB_MAX_ENTRIES)
		drop_oldest(tlb);
	at = lower_bound(tlb, node.iova);
	return insert_node(tlb, at, &node, NULL) ? 0 : -ENOMEM;
}

void iotlb_invalidate(struct iotlb *tlb, uint64_t iova, uint64_t size)
{
	uint64_t last;

	if (size == 0)
		return;
	if (!last_of(iova, size, &last))
		last = UINT64_MAX;
	(void)cut(tlb, iova, last);
}

bool iotlb_knows(const struct iotlb *tlb, uint64_t iova, uint64_t size)
{
	size_t at = lower_bound(tlb, iova);
	uint64_t last;

	if (size == 0 || at == tlb->n_nodes)
		return false;
	if (!last_of(iova, size, &last))
		last = UINT64_MAX;
	return tlb->nodes[at]->iova <= last;
}

static struct iotlb_entry entry_of(const struct node *node)
{
	return (struct iotlb_entry){
		.iova = node->iova,
		/* No region is as large as all addresses, so no translation in use is. */
		.size = node->last - node->iova + 1,
		.user_addr = node->user_addr,
		.perm = node->perm,
	};
}

bool iotlb_find(const struct iotlb *tlb, uint64_t iova, struct iotlb_entry *ret_entry)
{
	const struct node *node = find_node(tlb, iova);

	if (!node)
		return false;
	*ret_entry = entry_of(node);
	return true;
}

bool iotlb_window_at(const struct iotlb *tlb, const struct gmem *mem, uint64_t iova, uint8_t perm,
		     struct gmem_window *ret_window)
{
	const struct node *node = find_node(tlb, iova);
	struct gmem_window user; /* the region, by the front-end's addresses */
	uint64_t into, off, below, above;

	if (!node || (node->perm & perm) != perm)
		return false;
	into = iova - node->iova;
	if (!gmem_user_window_at(mem, node->user_addr + into, &user))
		return false;
	off = node->user_addr + into - user.guest_addr;
	below = min_u64(into, off);
	above = min_u64(node->last - iova, user.size - off - 1);
	ret_window->guest_addr = iova - below;
	ret_window->size = below + above + 1;
	ret_window->host = user.host + (off - below);
	return true;
}

void *iotlb_host(const struct iotlb *tlb, const struct gmem *mem, uint64_t iova, uint64_t len,
		 uint8_t perm, uint64_t *ret_missing)
{
	unsigned char *host = NULL;
	uint64_t done = 0;

	while (done < len) {
		struct gmem_window w;
		uint64_t off;

		if (iova > UINT64_MAX - done || !iotlb_window_at(tlb, mem, iova + done, perm, &w)) {
			*ret_missing = iova + done;
			return NULL;
		}
		off = iova + done - w.guest_addr;
		if (done == 0) {
			host = w.host + off;
		} else if (w.host + off != host + done) {
			*ret_missing = iova;
			return NULL;
		}
		done += min_u64(len - done, w.size - off);
	}
	return host;
}

/* Another process. */

void iotlb_save(const struct iotlb *tlb, struct state_writer *w, unsigned int tag)
{
	const struct list_node *at = tlb->by_age.next;

	state_begin_bytes(w, tag);
	for (; at != &tlb->by_age; at = at->next) {
		const struct iotlb_entry entry = entry_of(list_entry(at, const struct node, age));
		const uint64_t words[] = { entry.iova, entry.size, entry.user_addr, entry.perm };

		state_add_bytes(w, words, sizeof(words));
	}
	state_end(w);
}

void iotlb_load(struct iotlb *tlb, struct state_reader *r, unsigned int tag)
{
	enum { N_WORDS = 4, ENTRY_LEN = N_WORDS * sizeof(uint64_t) };
	const uint8_t *bytes;
	size_t len =
		state_take_bytes(r, tag, "translations", IOTLB_MAX_ENTRIES * ENTRY_LEN, &bytes);

	for (size_t at = 0; len - at >= ENTRY_LEN; at += ENTRY_LEN) {
		struct iotlb_entry entry;
		uint64_t words[N_WORDS];

		memcpy(words, bytes + at, sizeof(words));
		entry = (struct iotlb_entry){ words[0], words[1], words[2], (uint8_t)words[3] };
		if (iotlb_update(tlb, &entry) < 0) {
			state_fail(r, "a translation makes no sense, or there is no memory");
			return;
		}
	}
}
