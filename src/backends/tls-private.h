/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of TLS share; after config.h. */
#ifndef VHU_BACKENDS_TLS_PRIVATE_H
#define VHU_BACKENDS_TLS_PRIVATE_H

#include "backends/tls.h"

/* One sentence; returns err. */
PRINTF_LIKE(4, 5)
int tls_refuse(char *ret_why, size_t why_cap, int err, const char *fmt, ...);

#ifdef HAVE_GNUTLS
#include <gnutls/gnutls.h>

enum { TLS_NAME_MAX = 256 };

/* A line of a file of pre-shared keys. */
struct tls_psk {
	char *identity;
	gnutls_datum_t key;
};

/* Read-only once made, but for the count. */
struct tls_credentials {
	unsigned int n_users;
	bool client;
	bool verifies; /* the peer's certificate, which must be there then */
	gnutls_priority_t priority;
	gnutls_certificate_credentials_t certs; /* NULL: none */
	gnutls_psk_server_credentials_t psk_server;
	gnutls_psk_client_credentials_t psk_client;
	struct tls_psk *psks;
	size_t n_psks;
	char name[TLS_NAME_MAX]; /* of the server that we connect to; "": nobody's */
};

/* Files. */

/* All of a small regular file, followed by a NUL; secret: its owner's alone. */
int tls_file_read(const char *path, bool secret, gnutls_datum_t *ret_data, char *ret_why,
		  size_t why_cap);
/* Wipes it, and is fit for an empty one. */
void tls_file_free(gnutls_datum_t *data);

/* The lines "IDENTITY:HEXKEY" of a file that was read; path is for messages. */
int tls_psk_parse(const char *path, const gnutls_datum_t *data, struct tls_credentials *creds,
		  char *ret_why, size_t why_cap);
void tls_psk_free(struct tls_credentials *creds);

/* NULL: there is none of that identity. */
const struct tls_psk *tls_psk_find(const struct tls_credentials *creds, const char *identity);

/* What a server's session asks: tls.c's. */
int tls_give_key(gnutls_session_t session, const char *identity, gnutls_datum_t *ret_key);
#endif

#endif
