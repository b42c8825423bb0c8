#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The list of system calls that the sandbox allows is made of comments beside the code that makes
# them. A file that calls something of the C library has to name what becomes of that, as far as
# object files tell; and the list names nothing that does not exist.

. "$(dirname "$0")/tap.sh"

requires nm awk

list=$top_builddir/src/daemon/sandbox-calls.h
names=$top_builddir/src/daemon/sandbox-names.h

# FUNCTION of the C library, and CALL,... of which the file must name one. Those that every
# program makes (memory, locks, threads' end) are named once, in sandbox-seccomp.c.
wrappers() {
	cat <<-EOF2
		accept4 accept4
		access access,faccessat
		bind bind
		chmod chmod,fchmodat
		close close
		connect connect
		dup2 dup2,dup3
		eventfd eventfd2
		execve execve
		fchownat fchownat
		fcntl fcntl
		flock flock
		fopen openat
		fork clone
		fstat fstat,newfstatat
		fstatfs fstatfs
		ftruncate ftruncate
		getaddrinfo openat
		getpeername getpeername
		getpgrp getpgrp
		getpwnam_r openat
		getgrnam_r openat
		getsockname getsockname
		getsockopt getsockopt
		inotify_add_watch inotify_add_watch
		inotify_init1 inotify_init1
		inotify_rm_watch inotify_rm_watch
		ioctl ioctl
		io_uring_submit io_uring_enter
		io_uring_queue_init_params io_uring_setup
		isatty ioctl
		kill kill
		listen listen
		lseek lseek
		lstat lstat,newfstatat
		madvise madvise
		memfd_create memfd_create
		mincore mincore
		mmap mmap
		open openat
		opendir openat
		pidfd_open pidfd_open
		pipe2 pipe2
		poll poll,ppoll
		ppoll ppoll
		posix_fallocate fallocate
		posix_openpt openat
		prctl prctl
		pread pread64
		preadv2 preadv2
		pthread_create clone
		pwrite pwrite64
		pwritev2 pwritev2
		read read
		readlink readlink,readlinkat
		recv recvfrom
		recvmmsg recvmmsg
		recvmsg recvmsg
		rename rename,renameat
		sched_yield sched_yield
		send sendto
		sendmmsg sendmmsg
		sendmsg sendmsg
		setpgid setpgid
		setrlimit prlimit64
		setsockopt setsockopt
		signalfd signalfd4
		socket socket
		socketpair socketpair
		stat stat,newfstatat
		symlink symlink,symlinkat
		tcflush ioctl
		tcgetattr ioctl
		tcgetpgrp ioctl
		tcsetattr ioctl
		timer_create timer_create
		timerfd_create timerfd_create
		unlink unlink,unlinkat
		usleep clock_nanosleep,nanosleep
		waitpid wait4
		write write
	EOF2
}

# Sources of the daemon, but those which only other programs use, or which run before the walls
# are closed: the walls themselves, and ctl.
sources() {
	(cd "$top_srcdir/src" && ls ./*.c vhu/*.c virtio/*.c backends/*.c daemon/*.c) | sed 's|^\./||' |
		grep -vE '^vhu/frontend|^virtio/driverq|^daemon/(sandbox|ctl)' |
		grep -vE '^vhu-|-dump\.c$|^console-completion|^proc\.c$'
}

# Prints each call that a file makes and does not name.
unnamed() {
	wrappers >"$tmp/wrappers"
	sources | while read -r source; do
		object=$top_builddir/src/${source%.c}.o
		[ -e "$object" ] || continue
		sed -n 's|.*/\* seccomp[^:]*: \([^*]*\)\*/.*|\1|p' "$top_srcdir/src/$source" | tr ' ' '\n' |
			sed 's/:.*//' >"$tmp/named"
		nm -u "$object" | awk '$1 == "U" { print $2 }' >"$tmp/called"
		awk -v source="$source" -v named="$tmp/named" -v called="$tmp/called" '
			BEGIN {
				while ((getline line <named) > 0) is_named[line] = 1
				while ((getline line <called) > 0) is_called[line] = 1
			}
			is_called[$1] {
				n = split($2, calls, ",")
				good = 0
				for (i = 1; i <= n; i++) good += is_named[calls[i]]
				if (!good) print source " calls " $1 "() and does not name " $2
			}' "$tmp/wrappers"
	done
}

nothing_is_left_out() {
	unnamed >"$tmp/unnamed"
	cat "$tmp/unnamed"
	[ ! -s "$tmp/unnamed" ]
}

# One that is left out would be noticed.
would_be_noticed() {
	n=$(sources | wc -l)
	[ "$n" -gt 100 ] && grep -q 'openat' "$list"
}

# Calls of other machines are named, too; of this one, each name has a number, or is theirs.
names_exist() {
	sed -n 's/^CALL(\([a-z_]*\), \([a-z0-9_]*\))$/\2/p; s/^CALL_WITH([a-z_]*, \([a-z0-9_]*\),.*/\1/p' \
		"$list" | sort -u >"$tmp/listed"
	sed -n 's/.*"\(.*\)".*/\1/p' "$names" | sort >"$tmp/numbered"
	comm -23 "$tmp/listed" "$tmp/numbered" >"$tmp/unknown"
	cat "$tmp/unknown"
	[ -s "$tmp/listed" ] && [ ! -s "$tmp/unknown" ]
}

groups_exist() {
	sed -n 's/^CALL[A-Z_]*(\([a-z_]*\),.*/\1/p' "$list" | sort -u >"$tmp/used"
	sed -n 's/^GROUP(\([a-z_]*\),.*/\1/p' "$top_srcdir/src/daemon/sandbox-groups.def" |
		sort >"$tmp/defined"
	comm -3 "$tmp/used" "$tmp/defined" >"$tmp/differ"
	cat "$tmp/differ"
	[ ! -s "$tmp/differ" ]
}

plan 4
check "each file names the system calls that it makes" nothing_is_left_out
check "there are files, and there is a list" would_be_noticed
check "each name is one of a system call" names_exist
check "each group has calls, and each call a group" groups_exist
