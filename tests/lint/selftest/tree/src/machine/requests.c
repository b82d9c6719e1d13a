/* SPDX-License-Identifier: Apache-2.0 */
static int count(int fd, long *n)
{
    return ioctl(fd, KVM_RUN, n);
}

static int size(int fd, long *n)
{
    return vm_ioctl(fd, BLKGETSIZE64, n);
}
