/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Who we are and whom we believe: made of files, shared by sessions. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/address.h"
#include "backends/tls-private.h"

/*
 * 1.2 and 1.3 with what GnuTLS thinks normal. Renegotiation is refused by
 * tls_read(). Pre-shared keys go with a fresh exchange only, so that a key that
 * becomes known later opens nothing that was recorded.
 */
#define VERSIONS "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA"
#define WITH_PSK ":+ECDHE-PSK:+DHE-PSK"
#define ONLY_PSK ":-KX-ALL" WITH_PSK

enum {
	CHAIN_MAX = 8,		/* certificates of a peer's chain */
	CHAIN_BITS_MAX = 16384, /* of a key in it */
};

/* Reading, and where to complain. */
struct reader {
	const struct attachment_options *o;
	struct tls_credentials *creds;
	char *why;
	size_t why_cap;
};

static int fail_gnutls(const struct reader *r, const char *what, const char *path, int err)
{
	return tls_refuse(r->why, r->why_cap, err == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL,
			  "%s%s%s: %s", what, path ? " " : "", path ? path : "",
			  gnutls_strerror(err));
}

static int read_identity(const struct reader *r)
{
	const struct attachment_options *o = r->o;
	gnutls_datum_t cert = { .size = 0 }, key = { .size = 0 };
	int err;

	if (!o->tls_cert)
		return 0;
	err = tls_file_read(o->tls_cert, false, &cert, r->why, r->why_cap);
	if (err == 0)
		err = tls_file_read(o->tls_key, true, &key, r->why, r->why_cap);
	if (err == 0) {
		err = gnutls_certificate_set_x509_key_mem2(r->creds->certs, &cert, &key,
							   GNUTLS_X509_FMT_PEM, NULL, 0);
		if (err < 0)
			err = tls_refuse(r->why, r->why_cap, -EINVAL,
					 "certificate %s and key %s cannot be used: %s",
					 o->tls_cert, o->tls_key, gnutls_strerror(err));
	}
	tls_file_free(&cert);
	tls_file_free(&key);
	return err < 0 ? err : 0;
}

/* Whom the peer's certificate must come from. One who connects always asks for one. */
static int read_trust(const struct reader *r)
{
	const char *path = r->o->tls_ca;
	gnutls_datum_t ca;
	int n, err;

	r->creds->verifies = path || r->creds->client;
	if (!r->creds->verifies)
		return 0;
	if (!path) {
		n = gnutls_certificate_set_x509_system_trust(r->creds->certs);
		return n > 0 ? 0
			     : tls_refuse(r->why, r->why_cap, -ENOENT,
					  "this system trusts no certificates by itself: add "
					  "tls-ca=FILE");
	}
	err = tls_file_read(path, false, &ca, r->why, r->why_cap);
	if (err < 0)
		return err;
	n = gnutls_certificate_set_x509_trust_mem(r->creds->certs, &ca, GNUTLS_X509_FMT_PEM);
	tls_file_free(&ca);
	if (n < 0)
		return fail_gnutls(r, "cannot use tls-ca", path, n);
	return n > 0 ? 0
		     : tls_refuse(r->why, r->why_cap, -EINVAL, "tls-ca %s has no certificate",
				  path);
}

static int read_certificates(const struct reader *r)
{
	struct tls_credentials *c = r->creds;
	int err;

	if (c->client ? r->o->tls_psk != NULL : !r->o->tls_cert)
		return 0;
	err = gnutls_certificate_allocate_credentials(&c->certs);
	if (err < 0)
		return fail_gnutls(r, "certificates", NULL, err);
	gnutls_certificate_set_verify_limits(c->certs, CHAIN_BITS_MAX, CHAIN_MAX);
	err = read_identity(r);
	return err < 0 ? err : read_trust(r);
}

static int make_psk_credentials(struct tls_credentials *c)
{
	int err;

	if (c->client) {
		err = gnutls_psk_allocate_client_credentials(&c->psk_client);
		return err < 0 ? err
			       : gnutls_psk_set_client_credentials(
					 c->psk_client, c->psks[0].identity, &c->psks[0].key,
					 GNUTLS_PSK_KEY_RAW);
	}
	err = gnutls_psk_allocate_server_credentials(&c->psk_server);
	if (err == 0)
		gnutls_psk_set_server_credentials_function(c->psk_server, tls_give_key);
	return err;
}

static int read_psks(const struct reader *r)
{
	const char *path = r->o->tls_psk;
	gnutls_datum_t data;
	int err;

	if (!path)
		return 0;
	err = tls_file_read(path, true, &data, r->why, r->why_cap);
	if (err < 0)
		return err;
	err = tls_psk_parse(path, &data, r->creds, r->why, r->why_cap);
	tls_file_free(&data);
	if (err < 0)
		return err;
	err = make_psk_credentials(r->creds);
	return err < 0 ? fail_gnutls(r, "cannot use tls-psk", path, err) : 0;
}

static int set_priority(const struct reader *r)
{
	const struct tls_credentials *c = r->creds;
	const char *text = c->n_psks == 0 ? VERSIONS
			   : c->certs	  ? VERSIONS WITH_PSK
					  : VERSIONS ONLY_PSK;
	int err = gnutls_priority_init(&r->creds->priority, text, NULL);

	return err < 0 ? fail_gnutls(r, "no TLS with", text, err) : 0;
}

/* The name in the certificate of the server that we connect to. */
static int set_name(const struct reader *r)
{
	const struct attachment_options *o = r->o;

	if (!r->creds->client || r->creds->n_psks > 0)
		return 0;
	if (o->tls_name)
		snprintf(r->creds->name, sizeof(r->creds->name), "%s", o->tls_name);
	else if (!address_host(o->address, r->creds->name, sizeof(r->creds->name)))
		return tls_refuse(r->why, r->why_cap, -EINVAL, "%s has no host; add tls-name=NAME",
				  o->address);
	return 0;
}

static int read_all(const struct reader *r)
{
	int err = read_certificates(r);

	if (err == 0)
		err = read_psks(r);
	if (err == 0)
		err = set_priority(r);
	return err < 0 ? err : set_name(r);
}

int tls_credentials_read(const struct attachment_options *o, struct tls_credentials **ret_creds,
			 char *ret_why, size_t why_cap)
{
	struct tls_credentials *creds = calloc(1, sizeof(*creds));
	const struct reader r = { .o = o, .creds = creds, .why = ret_why, .why_cap = why_cap };
	int err;

	if (!creds)
		return tls_refuse(ret_why, why_cap, -ENOMEM, "no memory for TLS");
	creds->n_users = 1;
	creds->client = tls_is_client(o);
	err = read_all(&r);
	if (err < 0) {
		tls_credentials_drop(creds);
		return err;
	}
	*ret_creds = creds;
	return 0;
}

struct tls_credentials *tls_credentials_keep(struct tls_credentials *creds)
{
	creds->n_users++;
	return creds;
}

void tls_credentials_drop(struct tls_credentials *creds)
{
	if (!creds || --creds->n_users > 0)
		return;
	if (creds->certs)
		gnutls_certificate_free_credentials(creds->certs);
	if (creds->psk_server)
		gnutls_psk_free_server_credentials(creds->psk_server);
	if (creds->psk_client)
		gnutls_psk_free_client_credentials(creds->psk_client);
	if (creds->priority)
		gnutls_priority_deinit(creds->priority);
	tls_psk_free(creds);
	free(creds);
}
