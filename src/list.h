/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Intrusive doubly linked list; an empty list's head points at itself. */
#ifndef VHU_LIST_H
#define VHU_LIST_H

#include "base.h"

struct list_node {
	struct list_node *prev;
	struct list_node *next;
};

static inline void list_init(struct list_node *head)
{
	head->prev = head;
	head->next = head;
}

static inline bool list_empty(const struct list_node *head)
{
	return head->next == head;
}

static inline void list_append(struct list_node *head, struct list_node *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Removing a node that list_init() left alone is allowed and does nothing. */
static inline void list_remove(struct list_node *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Moves every node of from, in order, to the end of to. */
static inline void list_splice(struct list_node *to, struct list_node *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)

/* The loop body may remove the node it stands on, and no other. */
#define list_for_each(node, tmp, head)                                                             \
	for ((node) = (head)->next, (tmp) = (node)->next; (node) != (head);                        \
	     (node) = (tmp), (tmp) = (node)->next)

#endif
