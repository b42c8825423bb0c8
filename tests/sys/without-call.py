# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""without-call.py NUMBER PROGRAM [ARGUMENT...]: runs a program for which the kernel does not have
that system call (ENOSYS), as an older one."""
import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06

program = b"".join(struct.pack("HBBI", *row) for row in (
    (LOAD, 0, 0, 0),
    (EQUAL, 0, 1, int(sys.argv[1])),
    (RETURN, 0, 0, ERRNO | errno.ENOSYS),
    (RETURN, 0, 0, ALLOW),
))
buf = ctypes.create_string_buffer(program, len(program))
fprog = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buf))
libc = ctypes.CDLL(None, use_errno=True)
for args in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, MODE_FILTER, fprog, 0, 0)):
    if libc.prctl(*args) != 0:
        sys.exit(f"without-call: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[2], sys.argv[2:])
