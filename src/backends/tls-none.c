/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* TLS in a build without GnuTLS: tls_check() has refused the words, so nothing comes here. */
#include <errno.h>

#include "backends/tls-private.h"

int tls_credentials_read(const struct attachment_options *o, struct tls_credentials **ret_creds,
			 char *ret_why, size_t why_cap)
{
	(void)ret_creds;
	return tls_check(o, ret_why, why_cap) < 0 ? -EOPNOTSUPP : -EINVAL;
}

struct tls_credentials *tls_credentials_keep(struct tls_credentials *creds)
{
	return creds;
}

void tls_credentials_drop(struct tls_credentials *creds)
{
	(void)creds;
}

int tls_new(struct tls_credentials *creds, struct tls **ret_tls)
{
	(void)creds;
	(void)ret_tls;
	return -EOPNOTSUPP;
}

void tls_free(struct tls *t)
{
	(void)t;
}

int tls_handshake(struct tls *t)
{
	(void)t;
	return -EPROTO;
}

const char *tls_why(const struct tls *t)
{
	(void)t;
	return "this build is without GnuTLS";
}

size_t tls_space(struct tls *t, void **ret_buf)
{
	(void)t;
	(void)ret_buf;
	return 0;
}

void tls_came(struct tls *t, size_t len)
{
	(void)t;
	(void)len;
}

ssize_t tls_read(struct tls *t, void *buf, size_t cap)
{
	(void)t;
	(void)buf;
	(void)cap;
	return -EPROTO;
}

int tls_write(struct tls *t, const void *data, size_t len)
{
	(void)t;
	(void)data;
	(void)len;
	return -EPROTO;
}

void tls_end(struct tls *t)
{
	(void)t;
}

size_t tls_unsent(const struct tls *t)
{
	(void)t;
	return 0;
}

size_t tls_take(struct tls *t, void *buf, size_t cap)
{
	(void)t;
	(void)buf;
	(void)cap;
	return 0;
}

const struct port_client_tls *tls_facts(const struct tls *t)
{
	(void)t;
	return NULL;
}
