/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/needs.h"

#include <stdio.h>
#include <string.h>

/* A question about one word. arg: what comes after its colon, or "". */
struct need {
	const struct target *target;
	const struct device *device;
	const char *arg;
	char *reason;
	size_t size;
};

#define MISSING(n, verdict, ...) (snprintf((n)->reason, (n)->size, __VA_ARGS__), (verdict))

static bool find_bit(const char *name, const char *(*name_of)(unsigned int bit),
		     unsigned int *ret_bit)
{
	uint64_t number;

	if (option_parse_number(name, &number) && number < 64) {
		*ret_bit = (unsigned int)number;
		return true;
	}
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *known = name_of(bit);

		if (known && strcmp(known, name) == 0) {
			*ret_bit = bit;
			return true;
		}
	}
	return false;
}

bool needs_find_protocol(const char *name, unsigned int *ret_bit)
{
	return find_bit(name, vhu_protocol_feature_name, ret_bit);
}

bool needs_find_feature(const char *name, unsigned int *ret_bit)
{
	return find_bit(name, vhu_feature_name, ret_bit);
}

/* What the back-end offers. */

static enum verdict need_offer(struct need *n, bool protocol, bool wanted)
{
	const struct target_info *info = &n->target->info;
	const char *kind = protocol ? "VHOST_USER_PROTOCOL_F_" : "feature ";
	unsigned int bit = 0;
	bool offered;

	if (!(protocol ? needs_find_protocol : needs_find_feature)(n->arg, &bit))
		return MISSING(n, VERDICT_ERROR, "the case needs %s%s, which has no number", kind,
			       n->arg);
	offered = (protocol ? info->protocol : info->features) & BIT(bit);
	if (offered == wanted)
		return VERDICT_PASS;
	return MISSING(n, VERDICT_NA, "%s%s is %soffered", kind, n->arg, wanted ? "not " : "");
}

static enum verdict need_pf(struct need *n)
{
	return need_offer(n, true, true);
}

static enum verdict need_no_pf(struct need *n)
{
	return need_offer(n, true, false);
}

static enum verdict need_f(struct need *n)
{
	return need_offer(n, false, true);
}

static enum verdict need_no_f(struct need *n)
{
	return need_offer(n, false, false);
}

static enum verdict need_rings(struct need *n)
{
	uint64_t wanted = 0;

	if (!option_parse_number(n->arg, &wanted))
		return MISSING(n, VERDICT_ERROR, "the case needs '%s' rings", n->arg);
	if (n->target->info.n_rings >= wanted)
		return VERDICT_PASS;
	return MISSING(n, VERDICT_NA, "it has %u rings, and the case needs %s",
		       n->target->info.n_rings, n->arg);
}

static enum verdict need_persistent(struct need *n)
{
	if (n->target->info.persistent)
		return VERDICT_PASS;
	if (!n->target->path)
		return MISSING(n, VERDICT_SKIP, "--connect-fd gives one connection only");
	return MISSING(n, VERDICT_NA, "it serves one front-end and ends");
}

static enum verdict need_connect(struct need *n)
{
	if (!n->target->path)
		return MISSING(n, VERDICT_SKIP, "--connect-fd gives one connection only");
	if (n->target->info.persistent || n->target->info.parallel || n->target->exec)
		return VERDICT_PASS;
	return MISSING(n, VERDICT_NA, "it serves one connection only");
}

/* What the tester was given. */

static enum verdict need_device(struct need *n)
{
	if (!n->device)
		return MISSING(n, VERDICT_SKIP, "--device was not given: the case is for %s",
			       n->arg);
	if (strcmp(n->device->name, n->arg) == 0)
		return VERDICT_PASS;
	return MISSING(n, VERDICT_NA, "it is %s, and the case is for %s", n->device->name, n->arg);
}

static enum verdict need_traffic(struct need *n)
{
	if (n->device)
		return VERDICT_PASS;
	return MISSING(n, VERDICT_SKIP, "--device was not given: no data can flow");
}

static enum verdict need_peer(struct need *n)
{
	if (n->target->peer)
		return VERDICT_PASS;
	return MISSING(n, VERDICT_SKIP, "--peer was not given");
}

static enum verdict need_do(struct need *n)
{
	if (target_has_action(n->target, n->arg))
		return VERDICT_PASS;
	return MISSING(n, VERDICT_SKIP, "--do %s= was not given", n->arg);
}

static enum verdict need_process(struct need *n)
{
	if (n->target->visible)
		return VERDICT_PASS;
	return MISSING(n, VERDICT_SKIP, "its process cannot be looked at");
}

static enum verdict need_exec(struct need *n)
{
	if (n->target->exec)
		return VERDICT_PASS;
	return MISSING(n, VERDICT_SKIP, "--exec was not given: it is not ours to start");
}

static const struct {
	const char *word; /* with its colon, if something comes after it */
	enum verdict (*check)(struct need *n);
} words[] = {
	{ "pf:", need_pf },
	{ "no-pf:", need_no_pf },
	{ "f:", need_f },
	{ "no-f:", need_no_f },
	{ "rings:", need_rings },
	{ "device:", need_device },
	{ "traffic", need_traffic },
	{ "peer", need_peer },
	{ "do:", need_do },
	{ "process", need_process },
	{ "exec", need_exec },
	{ "connect", need_connect },
	{ "persistent", need_persistent },
};

bool needs_next(const char **pos, char word[64])
{
	const char *at = *pos + strspn(*pos, " ");
	size_t len = strcspn(at, " ");

	if (len == 0)
		return false;
	snprintf(word, 64, "%.*s", (int)len, at);
	*pos = at + len;
	return true;
}

static enum verdict check_word(struct need *n, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i].word);
		bool open = words[i].word[len - 1] == ':';

		if (open ? strncmp(words[i].word, word, len) != 0
			 : strcmp(words[i].word, word) != 0)
			continue;
		n->arg = word + len;
		return words[i].check(n);
	}
	return MISSING(n, VERDICT_ERROR, "the case needs '%s', which means nothing", word);
}

enum verdict needs_check(const struct case_row *row, const struct target *target,
			 const struct device *device, char *ret_reason, size_t size)
{
	struct need n = { .target = target, .device = device, .reason = ret_reason, .size = size };
	enum verdict verdict, worst = VERDICT_PASS;
	const char *pos = row->needs;
	char word[64], first[512];

	/* What the back-end lacks says more than what the tester was not given. */
	while (needs_next(&pos, word)) {
		verdict = check_word(&n, word);
		if (verdict == VERDICT_NA || verdict == VERDICT_ERROR)
			return verdict;
		if (verdict != VERDICT_PASS && worst == VERDICT_PASS) {
			worst = verdict;
			snprintf(first, sizeof(first), "%s", ret_reason);
		}
	}
	if (worst != VERDICT_PASS)
		snprintf(ret_reason, size, "%s", first);
	return worst;
}
