/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/words.h"

#include <stdio.h>

const char *vhu_words_fds(const struct vhu_fd_rule *rule, char buf[VHU_WORDS])
{
	switch (rule->kind) {
	case VHU_FD_NONE:
		return "none";
	case VHU_FD_ONE:
		return "one";
	case VHU_FD_OPTIONAL:
		return "at most one";
	case VHU_FD_REGIONS:
		return "one per region";
	case VHU_FD_RING:
		return "one unless the no-fd bit is set";
	case VHU_FD_IF:
		break;
	}
	snprintf(buf, VHU_WORDS, "one with %s", vhu_protocol_feature_name(rule->bit));
	return buf;
}

const char *vhu_words_replied(const struct vhu_reply_rule *rule, char buf[VHU_WORDS])
{
	switch (rule->kind) {
	case VHU_REPLY_ACK:
		return "if asked for";
	case VHU_REPLY_ALWAYS:
		return "always";
	case VHU_REPLY_ASKED:
		return "if asked for, negotiated or not";
	case VHU_REPLY_IF:
		break;
	}
	snprintf(buf, VHU_WORDS, "always with %s, else if asked for",
		 vhu_protocol_feature_name(rule->bit));
	return buf;
}

const char *vhu_words_gate(const struct vhu_gate *gate, char buf[VHU_WORDS])
{
	switch (gate->kind) {
	case VHU_GATE_NONE:
		return "";
	case VHU_GATE_OFFERED:
		return "PROTOCOL_FEATURES offered";
	case VHU_GATE_ACKED:
		return "PROTOCOL_FEATURES accepted";
	case VHU_GATE_PROTOCOL:
		snprintf(buf, VHU_WORDS, "%s", vhu_protocol_feature_name(gate->bit));
		return buf;
	case VHU_GATE_LAX:
		snprintf(buf, VHU_WORDS, "%s, but answered without",
			 vhu_protocol_feature_name(gate->bit));
		return buf;
	case VHU_GATE_VIRTIO:
		break;
	}
	snprintf(buf, VHU_WORDS, "feature %s", vhu_feature_name(gate->bit));
	return buf;
}

const char *vhu_words_quiesce(enum vhu_quiesce quiesce)
{
	switch (quiesce) {
	case VHU_QUIESCE_NONE:
		return "none";
	case VHU_QUIESCE_RING:
		return "that ring";
	case VHU_QUIESCE_ALL:
		break;
	}
	return "all";
}

const char *vhu_words_severity(enum vhu_severity severity)
{
	static const char *const words[] = {
		[VHU_NOTE] = "noted",
		[VHU_REFUSE] = "refused",
		[VHU_CLOSE] = "closed",
	};

	return words[severity];
}
