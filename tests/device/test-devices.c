/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of devices: every driver of the schema has a whole row.
 */
#include "berth/device.h"
#include "berth/virtio.h"

static void test_every_driver_has_a_class(void)
{
    for (int driver = 0; driver < DEVICE_DRIVER__MAX; driver++) {
        const DeviceKind *kind = &device_kinds[driver];

        g_test_message("%s", DeviceDriver_str(driver));
        g_assert_nonnull(kind->class);
        g_assert_nonnull(kind->class->realize);
        g_assert_cmpuint(kind->class->instance_size, >=, sizeof(Device));
        g_assert_true((kind->class == &virtio_pci_class) == (kind->virtio != NULL));
        if (!kind->virtio)
            g_assert_cmpstr(kind->class->name, ==, DeviceDriver_str(driver));
    }
}

static void test_every_virtio_class_is_whole(void)
{
    for (int driver = 0; driver < DEVICE_DRIVER__MAX; driver++) {
        const VirtioClass *class = device_kinds[driver].virtio;
        g_autofree char *name = NULL;

        if (!class)
            continue;
        name = g_strdup_printf("%s-pci", class->name);
        g_assert_cmpstr(name, ==, DeviceDriver_str(driver));
        g_assert_nonnull(class->realize);
        g_assert_nonnull(class->handle_queue);
        g_assert_cmpuint(class->n_queues, >, 0);
        g_assert_cmpuint(class->queue_size & (class->queue_size - 1), ==, 0);
        g_assert_cmpuint(class->instance_size, >=, sizeof(VirtioDevice));
        g_assert_true((class->config_size != 0) == (class->read_config != NULL));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/devices/every-driver-has-a-class", test_every_driver_has_a_class);
    g_test_add_func("/devices/every-virtio-class-is-whole",
                    test_every_virtio_class_is_whole);
    return g_test_run();
}
