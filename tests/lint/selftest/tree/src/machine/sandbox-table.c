/* SPDX-License-Identifier: Apache-2.0 */
const SandboxValue requests[] = {
    VALUE(KVM_RUN, VCPU),
};
