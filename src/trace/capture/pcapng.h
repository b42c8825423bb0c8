/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Numbers of the pcapng file format, for those who write and read captures. */
#ifndef VHU_TRACE_PCAPNG_H
#define VHU_TRACE_PCAPNG_H

#include <stdint.h>

enum pcapng_block {
	PCAPNG_INTERFACE = 1,
	PCAPNG_OLD_PACKET = 2,
	PCAPNG_SIMPLE_PACKET = 3,
	PCAPNG_PACKET = 6, /* the "enhanced" one */
	/* Reads the same in both byte orders. */
	PCAPNG_SECTION = 0x0a0d0d0a,
};

enum pcapng_option {
	PCAPNG_END = 0,
	PCAPNG_COMMENT = 1,
	PCAPNG_SECTION_APPLICATION = 4,
	PCAPNG_INTERFACE_NAME = 2,
	PCAPNG_INTERFACE_DESCRIPTION = 3,
	PCAPNG_INTERFACE_RESOLUTION = 9,
	PCAPNG_INTERFACE_OFFSET = 14,
	PCAPNG_PACKET_FLAGS = 2,
};

/* Of PCAPNG_INTERFACE_DESCRIPTION: what stands before the name of the device. */
#define PCAPNG_DEVICE "device "

/* Of PCAPNG_PACKET_FLAGS: as the back-end sees it. */
enum { PCAPNG_INBOUND = 1, PCAPNG_OUTBOUND = 2 };

#define PCAPNG_BYTE_ORDER UINT32_C(0x1a2b3c4d)

enum {
	PCAPNG_LINK_UPPER_PDU = 252,
	PCAPNG_FRAME =
		12, /* bytes of a block besides its body: type and length, the length again */
};

#endif
