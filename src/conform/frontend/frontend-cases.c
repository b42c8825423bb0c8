/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/frontend/frontend-cases.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAIL = false, WARN = true };

struct duty_row {
	const char *id, *clauses;
	bool warns;
	const char *title, *why;
};

static const struct duty_row duties[N_DUTIES] = {
#define DUTY(IDENT, id, clauses, worst, title, why)                                                \
	[DUTY_##IDENT] = { id, clauses, worst, title, why },
#include "conform/frontend/frontend-duties.def"
};

struct written_row {
	const char *id, *clauses;
	unsigned int flags;
	const char *title, *why, *bug;
	struct played_script script;
};

/* clang-format off */
static const struct written_row offers[] = {
#define OFFER(id, clauses, title, why, ...)                                                        \
	{ id, clauses, CASE_PLAIN, title, why, NULL, { __VA_ARGS__ } },
#include "conform/frontend/cases-frontend.def"
};

static const struct written_row faults[] = {
#define FAULT(id, clauses, flags, title, why, bug, ...)                                            \
	{ id, clauses, flags, title, why, bug, { __VA_ARGS__ } },
#include "conform/frontend/cases-frontend.def"
};
/* clang-format on */

/* Wrong replies that are tried on every request with a reply of its own, and on one
 * acknowledgement. */
static const struct {
	enum played_fault fault;
	uint64_t arg;
	const char *name, *what, *why;
} wrong_replies[] = {
	{ FAULT_REPLY_SHORT, 0, "short", "half its bytes", "the rest would be stale" },
	{ FAULT_REPLY_LONG, 0, "long", "eight bytes too many", "they would be written somewhere" },
	{ FAULT_REPLY_HUGE, 0x7fffffff, "huge", "a size of 2 GiB", "it may be used to allocate" },
	{ FAULT_REPLY_CUT, 0, "cut", "bytes missing", "a loop would wait for the rest" },
	{ FAULT_REPLY_FLAGS, 0x1, "flags-request", "the reply bit clear", "it is no reply" },
	{ FAULT_REPLY_FLAGS, 0x6, "flags-version", "version 2", "it is another protocol" },
	{ FAULT_REPLY_ID, 0, "id", "another request's id", "it answers something else" },
	{ FAULT_REPLY_FDS, 0, "fds", "two descriptors too many", "they would leak" },
	{ FAULT_REPLY_TWICE, 0, "twice", "a second copy after it", "the next request takes it" },
	{ FAULT_REPLY_PIECES, 0, "pieces", "its bytes one by one", "the socket is a stream" },
};

static const uint32_t replied[] = {
	VHU_FE_GET_FEATURES,	VHU_FE_GET_PROTOCOL_FEATURES,
	VHU_FE_GET_QUEUE_NUM,	VHU_FE_GET_MAX_MEM_SLOTS,
	VHU_FE_GET_CONFIG,	VHU_FE_GET_STATUS,
	VHU_FE_GET_INFLIGHT_FD, VHU_FE_GET_VRING_BASE,
	VHU_FE_SET_MEM_TABLE,
};

struct list {
	struct frontend_case *cases;
	size_t n, n_room;
	bool no_memory;
};

static struct frontend_case *append(struct list *l, const struct frontend_case *c)
{
	if (l->n == l->n_room) {
		size_t n = l->n_room ? 2 * l->n_room : 64;
		struct frontend_case *more = realloc(l->cases, n * sizeof(*more));

		if (!more) {
			l->no_memory = true;
			return NULL;
		}
		l->cases = more;
		l->n_room = n;
	}
	l->cases[l->n] = *c;
	if (!c->row.id || !c->row.title || !c->row.clauses)
		l->no_memory = true;
	return &l->cases[l->n++];
}

/* A new string, or NULL. */
PRINTF_LIKE(1, 2) static char *text(const char *fmt, ...)
{
	char *s;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

/* "GET_CONFIG" to "get-config", in place. */
static char *lower(char *name)
{
	for (char *c = name; c && *c; c++)
		*c = (char)(*c == '_' ? '-' : tolower((unsigned char)*c));
	return name;
}

/* "VU-009, VU-010" to "VU-009 VU-010". */
static char *without_commas(const char *ref)
{
	char *s = strdup(ref), *to = s;

	for (char *c = s; c && *c; c++)
		if (*c != ',')
			*to++ = *c;
	if (s)
		*to = '\0';
	return s;
}

static void add_good(struct list *l)
{
	static const struct frontend_case good = {
		.row = { "fe/session/good", "VF-006", "", CASE_PLAIN,
			 "a session with a good back-end is lived through",
			 "nothing else can be relied on", NULL, NULL, 0 },
		.kind = FRONTEND_GOOD,
	};

	append(l, &good);
}

/* A rule of both sides is a duty of front-ends in its own words. */
static char *rule_clauses(enum vhu_rule rule)
{
	return rule == VHU_RULE_FDS_PLACE ? strdup("VF-001 VU-022")
					  : without_commas(vhu_rule_ref(rule));
}

static void add_rules(struct list *l)
{
	for (unsigned int i = 1; i < VHU_N_RULES; i++) {
		char *name = lower(text("%s", vhu_rule_name(i)));
		const struct frontend_case c = {
			.row = { .id = name ? text("fe/rule/%s", name) : NULL,
				 .clauses = rule_clauses(i),
				 .needs = "",
				 .title = vhu_rule_text(i),
				 .why = "a back-end refuses the message, or closes the "
					"connection" },
			.kind = FRONTEND_RULE,
			.number = i,
			.warns = played_rule_is_lenient(i),
		};

		free(name);
		if (played_rule_concerns(i))
			append(l, &c);
		else
			free((char *)(uintptr_t)c.row.id), free((char *)(uintptr_t)c.row.clauses);
	}
}

static void add_duties(struct list *l)
{
	for (unsigned int i = 0; i < N_DUTIES; i++) {
		const struct duty_row *d = &duties[i];
		const struct frontend_case c = {
			.row = { d->id, d->clauses, "", CASE_PLAIN, d->title, d->why, NULL, NULL,
				 0 },
			.kind = FRONTEND_DUTY,
			.number = i,
			.warns = d->warns,
		};

		append(l, &c);
	}
}

static void add_written(struct list *l, enum frontend_case_kind kind,
			const struct written_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct written_row *r = &rows[i];
		const struct frontend_case c = {
			.row = { r->id, r->clauses, "", r->flags, r->title, r->why, r->bug, NULL,
				 0 },
			.kind = kind,
			.script = r->script,
		};

		append(l, &c);
	}
}

/* Each protocol feature that is offered, withheld alone. */
static void add_withheld(struct list *l)
{
	static const struct {
		const char *name;
		unsigned int bit;
	} offered[] = {
#define WITHHELD(NAME) { #NAME, VHU_PF_##NAME##_BIT }
		WITHHELD(MQ),
		WITHHELD(REPLY_ACK),
		WITHHELD(BACKEND_REQ),
		WITHHELD(CONFIG),
		WITHHELD(INFLIGHT_SHMFD),
		WITHHELD(RESET_DEVICE),
		WITHHELD(CONFIGURE_MEM_SLOTS),
		WITHHELD(STATUS),
	};

	for (size_t i = 0; i < ARRAY_SIZE(offered); i++) {
		char *name = lower(strdup(offered[i].name));
		const struct frontend_case c = {
			.row = { .id = name ? text("fe/offer/no-%s", name) : NULL,
				 .clauses = "VF-015 VU-018",
				 .needs = "",
				 .title = text("a back-end without %s is served or declined",
					       offered[i].name),
				 .why = "every protocol feature is optional" },
			.kind = FRONTEND_OFFER,
			.script = { .without_protocol = BIT(offered[i].bit) },
		};

		free(name);
		append(l, &c);
	}
}

static void add_message(struct list *l, const struct vhu_desc *desc, enum played_fault fault)
{
	bool nack = fault == FAULT_NACK;
	char *name = lower(strdup(desc->name));
	const struct frontend_case c = {
		.row = { .id = name ? text("fe/fault/%s/%s", nack ? "nack" : "die", name) : NULL,
			 .clauses = nack ? "VF-005 VU-052" : "VF-004",
			 .needs = "",
			 .title = text(nack ? "%s may be refused" : "the back-end may die at %s",
				       desc->name),
			 .why = nack ? "a back-end says no, and means it"
				     : "back-ends crash, and are upgraded" },
		.kind = FRONTEND_FAULT,
		.script = { .fault = fault, .message = desc->id },
	};

	free(name);
	append(l, &c);
}

static void add_messages(struct list *l)
{
	for (size_t i = 0; i < vhu_desc_count(); i++)
		if (vhu_desc_at(i)->dir == VHU_FE && vhu_desc_at(i)->replied.kind == VHU_REPLY_ACK)
			add_message(l, vhu_desc_at(i), FAULT_NACK);
	for (size_t i = 0; i < vhu_desc_count(); i++)
		if (vhu_desc_at(i)->dir == VHU_FE)
			add_message(l, vhu_desc_at(i), FAULT_DIE);
}

static void add_reply(struct list *l, const struct vhu_desc *desc, size_t kind)
{
	char *name = lower(strdup(desc->name));
	const struct frontend_case c = {
		.row = { .id = name ? text("fe/fault/reply-%s/%s", wrong_replies[kind].name, name)
				    : NULL,
			 .clauses = "VF-003 VU-003 VU-004",
			 .needs = "",
			 .title = text("an answer to %s with %s is put up with", desc->name,
				       wrong_replies[kind].what),
			 .why = wrong_replies[kind].why },
		.kind = FRONTEND_FAULT,
		.script = { .fault = wrong_replies[kind].fault,
			    .message = desc->id,
			    .arg = wrong_replies[kind].arg },
	};

	free(name);
	append(l, &c);
}

static void add_replies(struct list *l)
{
	for (size_t k = 0; k < ARRAY_SIZE(wrong_replies); k++)
		for (size_t i = 0; i < ARRAY_SIZE(replied); i++)
			add_reply(l, vhu_desc_find(VHU_FE, replied[i]), k);
}

const struct frontend_case *frontend_cases(size_t *ret_n)
{
	static struct list l;

	if (!l.cases) {
		add_good(&l);
		add_rules(&l);
		add_duties(&l);
		add_withheld(&l);
		add_written(&l, FRONTEND_OFFER, offers, ARRAY_SIZE(offers));
		add_messages(&l);
		add_replies(&l);
		add_written(&l, FRONTEND_FAULT, faults, ARRAY_SIZE(faults));
	}
	*ret_n = l.n;
	return l.no_memory ? NULL : l.cases;
}
