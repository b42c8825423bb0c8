/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * File descriptors with one owner each: close, take, and sets of descriptors
 * that arrive together with a message.
 */
#ifndef VHU_FD_H
#define VHU_FD_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base.h"

/* Younger than the headers of many systems. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

struct msghdr;

/* As many descriptors as one vhost-user message may carry. */
enum { FDSET_MAX = 8 };

/*
 * Owned descriptors. A slot that was taken holds -1; n_fds counts slots, taken
 * ones included, so that an index keeps its meaning.
 */
struct fdset {
	int fd[FDSET_MAX];
	unsigned int n_fds;
};

/*
 * Closes fd unless it is negative, and never waits for what is unsent; errno stays as it
 * was. Always returns -1.
 */
int fd_close(int fd);

/*
 * Nobody can send descriptors to the Unix socket any more, nor to those that it accepts:
 * what is sent and not wanted is closed on our time. Since Linux 6.16; nothing before.
 * errno stays as it was.
 */
void fd_refuse_rights(int fd);

/* Hands over *fd: returns it and leaves -1 behind. */
int fd_take(int *fd);

/* Behind AUTO_FD: closes *fd at the end of its scope. */
static inline void fd_cleanup(int *fd)
{
	*fd = fd_close(*fd);
}

/* A local of this kind owns its descriptor: AUTO_FD int fd = -1; */
#define AUTO_FD AUTO(fd_cleanup)

/* Makes set empty; what it held before is not looked at. */
void fdset_init(struct fdset *set);

/* Hands over descriptor idx, leaving -1; -1 when there is none or it was taken before. */
int fdset_take(struct fdset *set, unsigned int idx);

/* Closes what is still owned and makes the set empty. */
void fdset_close(struct fdset *set);

/*
 * Takes over the descriptors that recvmsg() has put into hdr's control buffer:
 * the first FDSET_MAX stay, more are closed. Returns how many there were.
 */
unsigned int fdset_receive(struct fdset *set, struct msghdr *hdr);

/*
 * Has sendmsg() send descriptors (lent) with hdr, or an empty list of them. space:
 * zeroed, aligned as a struct cmsghdr, CMSG_SPACE(n_fds * sizeof(int)) bytes.
 */
void fd_attach(struct msghdr *hdr, void *space, const int *fds, size_t n_fds);

/* Moves everything from src, which becomes empty, to dst, whose own descriptors are closed. */
void fdset_move(struct fdset *dst, struct fdset *src);

/*
 * Opens the terminal behind fd anew: a non-blocking, close-on-exec, read-write
 * description of our own, so that its flags are not those of the shell's.
 * Returns the descriptor, which the caller owns, or a negative errno (-ENOTTY
 * when fd is no terminal).
 */
int fd_reopen_tty(int fd);

/*
 * The address of a socket's path, or of "@NAME" in the abstract namespace. False:
 * empty or too long.
 */
bool fd_unix_address(const char *name, struct sockaddr_un *ret_addr, socklen_t *ret_len);

/* Whether it is a Unix socket, of which sending and reading its names wait for nobody. */
bool fd_is_unix_socket(int fd);

/*
 * Whether fd is the other side of a connection to the listening Unix socket that
 * conn_fd was accepted from. Of sockets without a name this cannot be told: false.
 */
bool fd_leads_to(int fd, int conn_fd);

/* Marks an inherited descriptor close-on-exec. Zero or a negative errno. */
int fd_set_cloexec(int fd);

/* How many descriptors this process has open; 0 when /proc cannot tell. */
unsigned int fd_count_open(void);

#endif
