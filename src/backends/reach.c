/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "backends/reach.h"

#include <errno.h>
#include <stdio.h>

#include "backends/tls.h"

/* Of kinds, without what they are made of. */
static const char *const names[ATTACHMENT_N_KINDS] = {
#define ATTACHMENT(ident, word, ...) [ATTACHMENT_##ident] = (word),
#include "backends/attachments.def"
#undef ATTACHMENT
};

/* What is missing of the words, as one would type it. */
static const char *missing(const struct attachment_options *o)
{
	if (tls_wanted(o))
		return "remote";
	if (tls_is_client(o))
		return o->remote ? "tls (or tls-psk=FILE)" : "remote,tls (or remote,tls-psk=FILE)";
	return o->remote ? "tls-cert=FILE,tls-key=FILE (or tls-psk=FILE)"
			 : "remote,tls-cert=FILE,tls-key=FILE (or remote,tls-psk=FILE)";
}

int reach_check(const struct attachment_options *o, const char *where, const struct address *list,
		unsigned int n, char *ret_why, size_t why_cap)
{
	bool local = true;

	for (unsigned int i = 0; i < n; i++)
		local &= address_is_local(&list[i]);
	if (local || (o->remote && tls_wanted(o)))
		return 0;
	snprintf(ret_why, why_cap, "%s:%.120s %s, which needs a word of its own and TLS: add %s",
		 names[o->kind], where,
		 tls_is_client(o) ? "leads to another machine"
				  : "can be reached from other machines",
		 missing(o));
	return -EPERM;
}

int reach_check_words(const struct attachment_options *o, char *ret_why, size_t why_cap)
{
	const bool connects = o->kind == ATTACHMENT_tcp_connect;
	struct addresses found;
	char why[256];

	if (!connects && o->kind != ATTACHMENT_tcp_server && o->kind != ATTACHMENT_telnet_server)
		return 0;
	/* A name waits until it is looked up, and what is no address for those who say so. */
	if (address_parse_tcp(o->address, connects ? NULL : "127.0.0.1", false, &found, why,
			      sizeof(why)) < 0)
		return 0;
	return reach_check(o, o->address, found.item, found.n, ret_why, why_cap);
}
