/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "console-options.h"

static const struct option_row rows[] = {
#define HEADING(title) OPTION_ROW_HEADING(title),
#define OPT(field, s, l, type, meta, def, limits, text)                                            \
	OPTION_ROW(struct console_options, field, s, l, type, meta, def, text, limits),
#include "options.def"
#undef HEADING
#undef OPT
};

/* Number of digits that the last guest's number adds to the path. */
static size_t suffix_len(uint64_t n_guests)
{
	size_t len = 1;

	for (uint64_t last = n_guests - 1; last >= 10; last /= 10)
		len++;
	return len;
}

int console_options_check_sockets(const struct console_options *o, unsigned int n_others,
				  char *ret_error, size_t error_cap)
{
	const size_t path_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	size_t len;

	if (o->fds.n_fds > 0 && (o->socket_path || o->socket_count != 1)) {
		snprintf(ret_error, error_cap, "--fd does not go together with --socket-%s",
			 o->socket_path ? "path" : "count: each --fd is a guest");
		return -EINVAL;
	}
	if (!o->socket_path && o->fds.n_fds == 0 && n_others == 0) {
		snprintf(ret_error, error_cap,
			 "no socket to serve: give --socket-path PATH, --device SPEC or --fd N");
		return -EINVAL;
	}
	if (!o->socket_path)
		return 0;
	len = strlen(o->socket_path) + suffix_len(o->socket_count);
	if (len > path_max) {
		snprintf(ret_error, error_cap,
			 "--socket-path: %zu bytes with the number, allowed are %zu", len,
			 path_max);
		return -EINVAL;
	}
	return 0;
}

int console_options_check_fds(const struct console_options *o, bool terminal, char *ret_error,
			      size_t error_cap)
{
	for (unsigned int i = 0; i < o->fds.n_fds; i++) {
		int fd = o->fds.fd[i];

		if (fd > 2 || (fd < 2 && !terminal))
			continue;
		snprintf(ret_error, error_cap,
			 "--fd %d is %s; pass the socket as another descriptor", fd,
			 fd == 2 ? "for messages" : "the console's own");
		return -EINVAL;
	}
	return 0;
}

int console_options_check_backend(const struct console_options *o, unsigned int n_guests,
				  char *ret_error, size_t error_cap)
{
	if (o->backend == CONSOLE_BACKEND_NESTED && n_guests > 1) {
		snprintf(ret_error, error_cap,
			 "--backend nested serves one guest, not %u: use --backend network",
			 n_guests);
		return -EINVAL;
	}
	if (o->backend == CONSOLE_BACKEND_NETWORK && n_guests > UINT16_MAX - o->tcp_port + 1) {
		snprintf(ret_error, error_cap,
			 "--tcp-port: %u guests need ports up to %u, the highest is 65535",
			 n_guests, (unsigned int)o->tcp_port + n_guests - 1);
		return -EINVAL;
	}
	return 0;
}

int console_options_parse(struct console_options *ret_options, int argc, char **argv,
			  const char *const *origins, bool *ret_given, char *ret_error,
			  size_t error_cap)
{
	const struct option_line line = {
		.argc = argc, .argv = argv, .origins = origins, .given = ret_given
	};
	struct console_options o;
	int r;

	r = options_parse(rows, ARRAY_SIZE(rows), &o, &line, ret_error, error_cap);
	if (r == 0)
		*ret_options = o;
	return r;
}

void console_options_free(struct console_options *o)
{
	options_free(rows, ARRAY_SIZE(rows), o);
}

unsigned int console_options_n_guests(const struct console_options *o)
{
	if (o->fds.n_fds > 0)
		return o->fds.n_fds;
	return o->socket_path ? (unsigned int)o->socket_count : 0;
}

const struct option_row *console_option_rows(void)
{
	return rows;
}

void console_options_help(FILE *out)
{
	fputs("Usage: vhost-device-console -s PATH [OPTION]...\n"
	      "       vhost-device-console ctl [OPTION]... COMMAND [ARGUMENT]...\n",
	      out);
	options_help(out, rows, ARRAY_SIZE(rows));
	fputs("Ports, attachments, FILE and ctl: vhost-device-console.conf(5), -ctl(1).\n"
	      "  vhost-device-console -s /tmp/con -b network --port name=ga.0,unix:/tmp/ga%i\n"
	      "A guest after -s /tmp/con, with QEMU 10.2 or newer and with User-Mode Linux:\n"
	      "  qemu-system-x86_64 -m 512M -machine q35,memory-backend=m \\\n"
	      "  -object memory-backend-memfd,id=m,size=512M,share=on \\\n"
	      "  -chardev socket,id=c,path=/tmp/con0 -device \\\n"
	      "  vhost-user-test-device-pci,chardev=c,virtio-id=3,num_vqs=4,config_size=12\n"
	      "  linux mem=256M virtio_uml.device=/tmp/con0:3 console=hvc0 root=...\n",
	      out);
}

void console_options_man(FILE *out)
{
	options_man(out, rows, ARRAY_SIZE(rows));
}
