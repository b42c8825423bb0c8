#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""In the place of a new program: changes the state that it is given, as another version
would write it, and passes it on to the real one, $VHU_REAL. $VHU_CHANGE says how: version,
checksum, cut."""

import os
import struct
import sys


def checksum(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return struct.pack("<Q", value)


def main():
    number, _, check = os.environ["VHU_UPGRADE"].partition(",")
    with open(f"/proc/self/fd/{number}", "rb") as f:
        state = f.read()
    change = os.environ["VHU_CHANGE"]
    if change == "version":
        body = state[:12] + struct.pack("<I", 9) + state[16:-8]
        state = body + checksum(body)
    elif change == "checksum":
        state = state[:-1] + bytes([state[-1] ^ 1])
    elif change == "cut":
        state = state[: len(state) // 2]
    fd = os.memfd_create("changed", 0)
    os.write(fd, state)
    os.environ["VHU_UPGRADE"] = f"{fd},{check}" if check else f"{fd}"
    os.execv(os.environ["VHU_REAL"], sys.argv)


main()
