/* No licence line here. */
#include "berth/base.h"

/* TODO: write it */
static const char *const path = "/mymachine/tree/file";	/* a tab */
static const char *const host = "https://registry.invalid/simple"; 
static const char *const fine[] = { "/dev/kvm", "/proc/self/fd/3", "https://www.kernel.org/doc" };

