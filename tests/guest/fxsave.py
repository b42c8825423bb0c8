#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""fxsave.py PROGRAM ARGUMENT...: runs PROGRAM without the XSTATE of ptrace.

User-mode Linux 6.1 keeps at most 2696 bytes of extended registers per process.
Processors with AMX have more; the host then refuses the truncated set and the
guest's first process dies ("ptrace set fp regs failed"). Where the host does
not know that register set at all, user-mode Linux uses the 512 bytes of FXSAVE
instead: a seccomp filter makes it look so. The programs of the guest must then
leave AVX alone, see GLIBC_TUNABLES in guests.sh.
"""
import ctypes
import errno
import os
import struct
import sys

LD_W_ABS, JEQ_K, RET_K = 0x20, 0x15, 0x06
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
DATA_NR, DATA_ARCH, DATA_ARG2 = 0, 4, 32  # offsets in struct seccomp_data
ARCH_X86_64, NR_PTRACE, NT_X86_XSTATE = 0xC000003E, 101, 0x202
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2

# code, distance if equal, distance if not, operand
FILTER = [
    (LD_W_ABS, 0, 0, DATA_ARCH),
    (JEQ_K, 0, 5, ARCH_X86_64),
    (LD_W_ABS, 0, 0, DATA_NR),
    (JEQ_K, 0, 3, NR_PTRACE),
    (LD_W_ABS, 0, 0, DATA_ARG2),
    (JEQ_K, 0, 1, NT_X86_XSTATE),
    (RET_K, 0, 0, RET_ERRNO | errno.ENODEV),
    (RET_K, 0, 0, RET_ALLOW),
]


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: fxsave.py PROGRAM ARGUMENT...")
    code = b"".join(struct.pack("HBBI", *ins) for ins in FILTER)
    code = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("H6xQ", len(FILTER), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, MODE_FILTER, program, 0, 0
    ):
        sys.exit("fxsave.py: seccomp: " + os.strerror(ctypes.get_errno()))
    os.execvp(sys.argv[1], sys.argv[1:])


main()
