/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Files that TLS needs: read whole, at the start and when the setup is read again. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/tls-private.h"
#include "fd.h"

enum {
	KEY_BYTES_MIN = 16, /* of a pre-shared key: fewer could be guessed */
	KEY_BYTES_MAX = 512,
	IDENTITY_MAX = 128,
	/* Who may do what with a secret; the group of one of root's may read it. */
	MODE_OTHERS = 077,
	MODE_OTHERS_OF_ROOT = 037,
};

static int check_file(const char *path, const struct stat *st, bool secret, char *ret_why,
		      size_t why_cap)
{
	const unsigned int others = st->st_uid == 0 ? MODE_OTHERS_OF_ROOT : MODE_OTHERS;

	if (!S_ISREG(st->st_mode))
		return tls_refuse(ret_why, why_cap, -EINVAL, "%s is not a regular file", path);
	if (st->st_size > TLS_FILE_MAX)
		return tls_refuse(ret_why, why_cap, -EFBIG, "%s has more than %d bytes", path,
				  TLS_FILE_MAX);
	if (secret && (st->st_mode & others))
		return tls_refuse(
			ret_why, why_cap, -EACCES,
			"%s holds a secret, and its mode %03o lets others use it: chmod 600 "
			"is expected",
			path, st->st_mode & 0777U);
	return 0;
}

/* Up to len bytes; a file that has become shorter meanwhile has fewer. */
static int read_bytes(int fd, gnutls_datum_t *data, size_t len)
{
	while (data->size < len) {
		ssize_t n = read(fd, data->data + data->size, len - data->size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		data->size += n > 0 ? (unsigned int)n : 0;
	}
	return 0;
}

/* seccomp(open): openat fstat newfstatat read */
int tls_file_read(const char *path, bool secret, gnutls_datum_t *ret_data, char *ret_why,
		  size_t why_cap)
{
	/* Something else than a file, such as a pipe, must not make us wait. */
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	gnutls_datum_t data = { .size = 0 };
	struct stat st;
	int err;

	if (fd < 0 || fstat(fd, &st) < 0)
		return tls_refuse(ret_why, why_cap, -errno, "cannot read %s: %s", path,
				  strerror(errno));
	err = check_file(path, &st, secret, ret_why, why_cap);
	if (err < 0)
		return err;
	data.data = calloc(1, (size_t)st.st_size + 1);
	if (!data.data)
		return tls_refuse(ret_why, why_cap, -ENOMEM, "no memory for %s", path);
	err = read_bytes(fd, &data, (size_t)st.st_size);
	if (err < 0) {
		tls_file_free(&data);
		return tls_refuse(ret_why, why_cap, err, "cannot read %s: %s", path,
				  strerror(-err));
	}
	*ret_data = data;
	return 0;
}

void tls_file_free(gnutls_datum_t *data)
{
	if (data->data)
		explicit_bzero(data->data, data->size);
	free(data->data);
	*data = (gnutls_datum_t){ .size = 0 };
}

/* Pre-shared keys, as psktool(1) writes them. */

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* len digits into bytes; false if they are none. */
static bool parse_hex(const char *text, size_t len, uint8_t *bytes)
{
	for (size_t i = 0; i < len; i += 2) {
		int high = nibble(text[i]), low = i + 1 < len ? nibble(text[i + 1]) : -1;

		if (high < 0 || low < 0)
			return false;
		bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static int add_psk(struct tls_credentials *creds, const char *line, size_t identity_len,
		   const char *hex, size_t hex_len)
{
	struct tls_psk *psks = realloc(creds->psks, (creds->n_psks + 1) * sizeof(*psks));
	struct tls_psk *psk;

	if (!psks)
		return -ENOMEM;
	creds->psks = psks;
	psk = &psks[creds->n_psks++];
	*psk = (struct tls_psk){ .identity = strndup(line, identity_len) };
	psk->key.data = malloc(hex_len / 2);
	if (!psk->identity || !psk->key.data)
		return -ENOMEM;
	psk->key.size = (unsigned int)(hex_len / 2);
	return parse_hex(hex, hex_len, psk->key.data) ? 0 : -EINVAL;
}

/* A line without its end: "IDENTITY:HEXKEY", or nothing. */
static int parse_line(struct tls_credentials *creds, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	const size_t identity_len = colon ? (size_t)(colon - line) : 0;
	const size_t hex_len = colon ? len - identity_len - 1 : 0;

	if (len == 0 || line[0] == '#')
		return 0;
	if (identity_len == 0 || identity_len > IDENTITY_MAX || hex_len < 2 * KEY_BYTES_MIN ||
	    hex_len > 2 * KEY_BYTES_MAX)
		return -EINVAL;
	return add_psk(creds, line, identity_len, colon + 1, hex_len);
}

int tls_psk_parse(const char *path, const gnutls_datum_t *data, struct tls_credentials *creds,
		  char *ret_why, size_t why_cap)
{
	const char *text = (const char *)data->data;
	const char *const end = text + strnlen(text, data->size);
	unsigned int line = 1;

	if (end < text + data->size)
		return tls_refuse(ret_why, why_cap, -EINVAL, "%s has a zero byte", path);
	for (; text < end; line++) {
		size_t len = strcspn(text, "\r\n");
		int err = parse_line(creds, text, len);

		if (err == -ENOMEM)
			return tls_refuse(ret_why, why_cap, err, "no memory for %s", path);
		if (err < 0) /* without the line: it is a secret */
			return tls_refuse(
				ret_why, why_cap, err,
				"%s, line %u: expected is IDENTITY:KEY, with a key of %d to "
				"%d hexadecimal digits, as psktool writes it",
				path, line, 2 * KEY_BYTES_MIN, 2 * KEY_BYTES_MAX);
		text += len;
		text += *text == '\r';
		text += *text == '\n';
	}
	if (creds->n_psks == 0)
		return tls_refuse(ret_why, why_cap, -EINVAL, "%s has no line IDENTITY:KEY", path);
	return 0;
}

void tls_psk_free(struct tls_credentials *creds)
{
	for (size_t i = 0; i < creds->n_psks; i++) {
		tls_file_free(&creds->psks[i].key);
		free(creds->psks[i].identity);
	}
	free(creds->psks);
	creds->psks = NULL;
	creds->n_psks = 0;
}

const struct tls_psk *tls_psk_find(const struct tls_credentials *creds, const char *identity)
{
	for (size_t i = 0; i < creds->n_psks; i++)
		if (strcmp(creds->psks[i].identity, identity) == 0)
			return &creds->psks[i];
	return NULL;
}
