/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Runs inside a test guest: one attempt to reach the host through a virtio socket. */
#include <stdio.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

int main(void)
{
	const struct sockaddr_vm host = { .svm_family = AF_VSOCK,
					  .svm_cid = VMADDR_CID_HOST,
					  .svm_port = 1234 };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&host, sizeof(host)) == 0)
		return 0;
	perror("connect");
	return 1;
}
