/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A command line and a configuration file. Input:
 *
 *	byte 0		how many words the command line has, modulo 8
 *	the rest	lines: these words, then the file
 *
 * The file is named after the words, unless they have it themselves (CONFIG
 * stands for its name).
 */
#include "fuzz.h"

#include "daemon/setup.h"

enum { WORDS_MAX = 8, WHY = 1024, FILE_FD = 200 };

/* The same descriptor each time, so that sentences with its name are the same, too. */
static const char path[] = "/proc/self/fd/200";

static void write_file(const struct input *in)
{
	if (fcntl(FILE_FD, F_GETFD) < 0) {
		int fd = fuzz_file(0);

		must(dup3(fd, FILE_FD, O_CLOEXEC) == FILE_FD);
		close(fd);
	}
	must(ftruncate(FILE_FD, 0) == 0);
	must(pwrite(FILE_FD, in->at, in->left, 0) == (ssize_t)in->left);
}

/* A line as a word, for the caller to free. */
static char *take_word(struct input *in)
{
	const uint8_t *end = in->left > 0 ? memchr(in->at, '\n', in->left) : NULL;
	size_t len = end ? (size_t)(end - in->at) : in->left;
	char *word = malloc(len + 1);

	must(word != NULL);
	input_copy(in, word, len);
	word[len] = '\0';
	if (end)
		input_u8(in);
	if (strcmp(word, "CONFIG") != 0)
		return word;
	free(word);
	word = strdup(path);
	must(word != NULL);
	return word;
}

static void check_setup(const struct setup *s)
{
	unsigned int n = 0;

	if (s->options.help || s->options.version || s->options.print_capabilities) {
		must(list_empty(&s->devices));
		return;
	}
	for (const struct list_node *d = s->devices.next; d != &s->devices; d = d->next) {
		const struct device_spec *spec = list_entry(d, const struct device_spec, link);
		int last = -1;

		n++;
		must(spec->options.socket || spec->options.fd);
		must(!list_empty(&spec->ports));
		for (const struct list_node *p = spec->ports.next; p != &spec->ports; p = p->next) {
			int number = list_entry(p, const struct port_spec, link)->number;

			must(number > last && (uint64_t)number < spec->options.max_ports);
			last = number;
		}
	}
	must(n == s->n_devices && n > 0 && n <= CONSOLE_GUESTS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int n_words = input_u8(&in) % WORDS_MAX, argc = 1;
	char *argv[WORDS_MAX + 4] = { strdup("vhost-device-console") };
	struct setup *setup = NULL;
	char why[WHY] = "";

	while (argc <= n_words)
		argv[argc++] = take_word(&in);
	write_file(&in);
	argv[argc++] = strdup("--config");
	argv[argc++] = strdup(path);
	if (setup_load(argc, argv, &setup, why, sizeof(why)) == 0) {
		check_setup(setup);
		setup_free(setup);
	} else {
		must(fuzz_is_sentence(why) && !setup);
	}
	while (argc > 0)
		free(argv[--argc]);
	return 0;
}
