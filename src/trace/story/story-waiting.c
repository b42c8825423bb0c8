/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Requests whose replies are due, oldest first. */
#include <stdlib.h>

#include "trace/story/story-private.h"

enum { MAX_WAITING = 256 }; /* of one direction; then the oldest are forgotten */

void story_waiting_free(struct story_waiting *w)
{
	if (w)
		free(w->before);
	free(w);
}

struct story_waiting *story_waiting_take(struct session *session, struct story_waiting **at)
{
	struct story_waiting *w = *at;

	*at = w->next;
	w->next = NULL;
	session->n_waiting[w->msg.dir]--;
	return w;
}

struct story_waiting *story_waiting_add(struct session *session, const struct vhu_msg *m,
					uint64_t ns)
{
	struct story_waiting **at = &session->shown.waiting[m->dir];
	struct story_waiting *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	if (session->n_waiting[m->dir] == MAX_WAITING)
		story_waiting_free(story_waiting_take(session, at));
	while (*at)
		at = &(*at)->next;
	w->msg = *m;
	w->ns = ns;
	*at = w;
	session->n_waiting[m->dir]++;
	return w;
}

const struct vhu_msg *story_unanswered(const struct story_session *session, enum vhu_dir dir,
				       unsigned int i)
{
	const struct story_waiting *w = session->waiting[dir];

	while (w && i-- > 0)
		w = w->next;
	return w ? &w->msg : NULL;
}

struct story_waiting **story_waiting_find(struct story_session *s, const struct vhu_msg *reply)
{
	struct story_waiting **late = NULL;

	for (struct story_waiting **at = &s->waiting[reply->dir]; *at; at = &(*at)->next) {
		if ((*at)->msg.id != reply->id)
			continue;
		if (!(*at)->passed)
			return at;
		if (!late)
			late = at;
	}
	return late;
}

bool story_waiting_pass_over(struct story_session *s, const struct story_waiting *until)
{
	bool any = false;

	for (struct story_waiting *w = s->waiting[until->msg.dir]; w != until; w = w->next) {
		any |= !w->passed;
		w->passed = true;
	}
	return any;
}
