/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which of the words about TLS go together; in every build. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backends/tls-private.h"

bool tls_available(void)
{
#ifdef HAVE_GNUTLS
	return true;
#else
	return false;
#endif
}

bool tls_wanted(const struct attachment_options *o)
{
	return o->tls || o->tls_cert || o->tls_key || o->tls_ca || o->tls_psk || o->tls_name;
}

bool tls_is_client(const struct attachment_options *o)
{
	return o->kind == ATTACHMENT_tcp_connect || o->kind == ATTACHMENT_unix_connect;
}

bool tls_knows_peers(const struct attachment_options *o)
{
	return o->tls_ca || (o->tls_psk && !o->tls_cert);
}

int tls_refuse(char *ret_why, size_t why_cap, int err, const char *fmt, ...)
{
	va_list args;
	size_t len;

	va_start(args, fmt);
	vsnprintf(ret_why, why_cap, fmt, args);
	va_end(args);
	len = strlen(ret_why);
	if (len > 0 && ret_why[len - 1] == '.')
		ret_why[len - 1] = '\0'; /* GnuTLS ends its sentences */
	return err;
}

static int check_server(const struct attachment_options *o, char *ret_why, size_t why_cap)
{
	if (!o->tls_cert && !o->tls_psk)
		return tls_refuse(ret_why, why_cap, -EINVAL,
				  "TLS has nothing to prove who we are: add "
				  "tls-cert=FILE,tls-key=FILE or tls-psk=FILE");
	if (o->tls_ca && !o->tls_cert)
		return tls_refuse(ret_why, why_cap, -EINVAL,
				  "tls-ca asks for certificates, and there is none of ours: add "
				  "tls-cert=FILE,tls-key=FILE or leave tls-ca out");
	return 0;
}

static int check_client(const struct attachment_options *o, char *ret_why, size_t why_cap)
{
	if (o->tls_psk && (o->tls_cert || o->tls_ca || o->tls_name))
		return tls_refuse(
			ret_why, why_cap, -EINVAL,
			"one who connects proves itself by tls-psk or by certificates: leave "
			"tls-psk out, or tls-cert, tls-key, tls-ca and tls-name");
	if (o->kind == ATTACHMENT_unix_connect && !o->tls_psk && !o->tls_name)
		return tls_refuse(
			ret_why, why_cap, -EINVAL,
			"a Unix socket has no host whose certificate could be expected: add "
			"tls-name=NAME or tls-psk=FILE");
	return 0;
}

int tls_check(const struct attachment_options *o, char *ret_why, size_t why_cap)
{
	if (!tls_wanted(o))
		return 0;
	if (!tls_available())
		return tls_refuse(ret_why, why_cap, -EINVAL,
				  "TLS needs GnuTLS, which this build is without (--with-gnutls)");
	if (!o->tls_cert != !o->tls_key)
		return tls_refuse(ret_why, why_cap, -EINVAL,
				  "tls-cert and tls-key go together: add %s",
				  o->tls_cert ? "tls-key=FILE" : "tls-cert=FILE");
	return tls_is_client(o) ? check_client(o, ret_why, why_cap)
				: check_server(o, ret_why, why_cap);
}
