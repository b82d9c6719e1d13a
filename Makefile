# SPDX-License-Identifier: Apache-2.0
#
# One makefile.  What is in the build is what is in the folders; what berth offers are the
# explicit lists (hw/devices.c and its kin).
#
#   make            berth and berthctl     make check        every test
#   make demo       the main job           make check-quick  unit tests and lint
#   make bench      numbers beside QEMU    make fuzz         FUZZ_SECONDS each target
#   make lint       structure of the code  make install      PREFIX= DESTDIR= QEMU_NAME=1
#   make deps       what a bare Debian lacks
#
# Variants build beside each other: make VARIANT=asan, tsan, clang.

VARIANT ?= release
PREFIX ?= /usr/local
DESTDIR ?=
QEMU_NAME ?=
V ?= 0
Q := $(if $(filter 0,$(V)),@,)

ifeq ($(VARIANT),release)
BUILD := build
else
BUILD := build/$(VARIANT)
endif
GEN := build/gen

PACKAGES := glib-2.0 json-c zlib libzstd nettle libnl-3.0
TEST_PACKAGES := libseccomp
VERSION := 1.0.0

CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wvla -Wshadow -Wmissing-prototypes -Wimplicit-fallthrough \
        -Wformat=2 -Wno-unused-parameter -Werror
# KVM's structures that end in an array are put before their entries: a GNU extension.
VARIANT_CFLAGS_clang := -Wno-gnu-variable-sized-type-not-at-end
VARIANT_CFLAGS_asan = -O1 -g1 -fsanitize=address,undefined -fno-omit-frame-pointer \
        -fno-sanitize-recover=undefined $(FUZZER_CFLAGS)
# ThreadSanitizer does not model fences; gcc warns of each.
VARIANT_CFLAGS_tsan = -O1 -g1 -fsanitize=thread $(if $(filter gcc,$(CC)),-Wno-tsan)
# The variant asan is clang's where it has libFuzzer: tests and fuzz targets share it.
ifeq ($(VARIANT),asan)
A_TARGET := int LLVMFuzzerTestOneInput(void *d, long n) { return !d && n; }
HAS_FUZZER := $(shell echo '$(A_TARGET)' | \
        clang -fsanitize=fuzzer -x c -o /dev/null - 2> /dev/null && echo yes)
FUZZER_CFLAGS := $(if $(HAS_FUZZER),-fsanitize=fuzzer-no-link $(VARIANT_CFLAGS_clang))
endif
ifneq ($(filter clang,$(VARIANT))$(HAS_FUZZER),)
CC := clang
else ifeq ($(origin CC),default)
CC := gcc
endif

# Some two hundred test programs have berth within.  In the variants they share it, else
# they are 30 MB each; in the release they are linked as berth is, and what a debugger
# reads stays in the objects unless CFLAGS are one's own.
ifneq ($(VARIANT),release)
PIC := -fPIC
TEST_LDFLAGS := -Wl,-rpath,'$$ORIGIN/../..'
else ifeq ($(origin CFLAGS),file)
TEST_LDFLAGS := -Wl,-S
endif

# Everything but the simplest goals needs the packages; "make deps" brings them.  The demo
# and the tests need more than the build does.
NO_PACKAGES := deps clean
ifneq ($(filter check demo bench,$(MAKECMDGOALS)),)
$(shell tests/install-deps.sh >&2)
else ifneq ($(filter-out $(NO_PACKAGES),$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell pkg-config --exists $(PACKAGES) $(TEST_PACKAGES) 2>/dev/null && \
        command -v $(CC) python3 >/dev/null && echo ok),ok)
$(shell tests/install-deps.sh >&2)
endif
endif

# Optional: what needs it is refused where it is not there.  It is not linked, but loaded
# by the machines that use it.
SLIRP := slirp >= 4.7
HAS_SLIRP := $(shell pkg-config --exists '$(SLIRP)' 2>/dev/null && echo yes)
SLIRP_CFLAGS := $(if $(HAS_SLIRP),$(shell pkg-config --cflags slirp))

PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null) $(SLIRP_CFLAGS)
# A few objects of nettle, zstd, libnl, zlib and libaio are used: from their archives,
# where there are some, they cost a process that does not need them nothing; a shared
# library costs 16 KiB and more, and time at start.
archive = $(firstword $(filter /%,$(shell $(CC) -print-file-name=lib$(1).a)) -l$(1))
ARCHIVED := $(if $(PIC),,nettle zstd nl-3 z aio)
PKG_LIBS := $(filter-out $(ARCHIVED:%=-l%),$(shell pkg-config --libs $(PACKAGES) \
        2>/dev/null) -laio) $(foreach name,$(ARCHIVED),$(call archive,$(name))) -lm
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DBERTH_VERSION='"$(VERSION)"' -Iinclude -I$(GEN) \
        -pthread $(WARN) $(PKG_CFLAGS) $(CFLAGS) $(VARIANT_CFLAGS_$(VARIANT)) $(PIC)
TEST_LIBS := $(shell pkg-config --libs $(TEST_PACKAGES) 2>/dev/null)
ALL_LIBS = -pthread -Wl,--as-needed $(PKG_LIBS)

SRCS := $(wildcard src/*/*.c hw/*.c hw/*/*.c block/*.c net/*.c qmp/*.c)
SRCS := $(filter-out $(if $(HAS_SLIRP),net/net-user-absent.c,net/net-user.c \
        net/user-stack.c net/user-library.c),$(SRCS))
MAIN := $(wildcard src/main.c)
CTL_SRCS := $(wildcard ctl/*.c)
SCHEMA := $(wildcard qmp/schema/*.json)
GENERATOR := $(wildcard qmp/gen/*.py)
GEN_STAMP := $(GEN)/stamp
GEN_SRCS := $(GEN)/qapi-tables.c $(GEN)/qmp-commands.c $(GEN)/hmp-commands.c
GEN_HEADERS := $(GEN)/qapi-types.h $(GEN)/qmp-commands.h $(GEN)/qapi-events.h \
        $(GEN)/hmp-commands.h

objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out $(GEN)/%,$(1))) \
       $(patsubst $(GEN)/%.c,$(BUILD)/obj/gen/%.o,$(filter $(GEN)/%,$(1)))
LIB_OBJS := $(call objs,$(SRCS) $(GEN_SRCS))
LIB := $(BUILD)/libberth.a
SHARED_LIB := $(BUILD)/libberth.so
TEST_LIB := $(if $(PIC),$(SHARED_LIB),$(LIB))
BERTH := $(BUILD)/berth
BERTHCTL := $(BUILD)/berthctl

TEST_SRCS := $(wildcard tests/unit/test-*.c tests/device/test-*.c tests/qmp/test-*.c)
TESTS := $(patsubst %.c,$(BUILD)/%,$(TEST_SRCS))
FUZZ_SRCS := $(wildcard tests/fuzz/fuzz-*.c)
FUZZ_TARGETS := $(patsubst %.c,$(BUILD)/%,$(FUZZ_SRCS))
FUZZ_SECONDS ?= 60
KIT_SRCS := $(wildcard tests/kit/*.c)
KIT_OBJS := $(call objs,$(KIT_SRCS))

GUEST_SRCS := $(wildcard tests/e2e/guests/*.S tests/e2e/guests/*.c)
GUESTS := $(patsubst %,build/guests/%.elf,$(notdir $(basename $(GUEST_SRCS))))

.PHONY: all check check-quick lint demo bench fuzz fuzz-targets install deps clean
.PHONY: reference tests guests FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(if $(MAIN),$(BERTH) $(BERTHCTL),$(LIB))

$(GEN_STAMP): $(SCHEMA) $(GENERATOR)
	@mkdir -p $(GEN)
	$(Q)python3 -B qmp/gen/generate.py --schema qmp/schema/schema.json --out $(GEN)
	@touch $@

# Files whose text did not change keep their time, and what is made from them stays.
$(GEN_SRCS) $(GEN_HEADERS): $(GEN_STAMP)
	@:

# The names of the system calls that the kernel's headers know, by number.
SYSCALL_NAMES := $(GEN)/syscall-names.h
$(SYSCALL_NAMES):
	@mkdir -p $(GEN)
	$(Q){ echo 'static const char syscall_names[][28] = {'; \
	    echo '#include <asm/unistd.h>' | $(CC) -E -dM - | \
	    sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/    [\2] = "\1",/p'; \
	    echo '};'; } > $@

# The flags are part of what an object depends on.
$(BUILD)/obj/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' > $@

$(BUILD)/obj/%.o: %.c $(BUILD)/obj/flags | $(GEN_HEADERS) $(SYSCALL_NAMES)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC $<")
	$(Q)$(CC) $(ALL_CFLAGS) -I$(<D) $(if $(filter tests/%,$<),-Itests/kit) -MMD -MP \
	    -c -o $@ $<

$(BUILD)/obj/gen/%.o: $(GEN)/%.c $(BUILD)/obj/flags | $(GEN_HEADERS)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC $<")
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJS)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(SHARED_LIB): $(LIB_OBJS)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(ALL_CFLAGS) -shared -Wl,-soname,$(@F) -o $@ $^ $(ALL_LIBS)

$(BERTH): $(BUILD)/obj/src/main.o $(LIB)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(LIB) $(ALL_LIBS)

# A client: of berth it has JSON and the tables of the schema.
$(BERTHCTL): $(call objs,$(CTL_SRCS)) $(LIB)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $(call objs,$(CTL_SRCS)) $(LIB) $(ALL_LIBS)

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(KIT_OBJS) $(TEST_LIB)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_LDFLAGS) -o $@ $< $(KIT_OBJS) $(TEST_LIB) $(ALL_LIBS) \
	    $(TEST_LIBS)

# Trace points are listed for each file that is linked: these have some of their own.
OWN_TRACE := $(addprefix $(BUILD)/tests/unit/test-,log log-options)
$(OWN_TRACE): TEST_LIB := $(LIB)
$(OWN_TRACE): $(LIB)

# In the variant asan: libFuzzer where clang has it, else a loop over the seeds.
FUZZ_MAIN := $(if $(HAS_FUZZER),,$(BUILD)/obj/tests/fuzz/seed-loop.o)
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(FUZZ_MAIN) $(KIT_OBJS) \
        $(TEST_LIB)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(ALL_CFLAGS) $(if $(FUZZ_MAIN),,-fsanitize=fuzzer) $(TEST_LDFLAGS) -o $@ \
	    $< $(FUZZ_MAIN) $(KIT_OBJS) $(TEST_LIB) $(ALL_LIBS)

tests: $(TESTS)
fuzz-targets: $(FUZZ_TARGETS)

# Tiny guests for the real KVM: freestanding ELF files with a PVH note.
build/guests/%.elf: tests/e2e/guests/%.S tests/e2e/guests/pvh.inc
	@mkdir -p $(@D)
	$(if $(Q),@echo "  AS $<")
	$(Q)gcc -nostdlib -static -no-pie -Wl,--build-id=none,-N,-Ttext=0x100000,-e,start \
	        -Wl,--no-warn-rwx-segments -I$(<D) -o $@ $<

# Guests in C run in 32-bit mode, but for those that go to 64 bits by themselves.
GUEST_MODE := -m32 -march=i686 -Wl,-m,elf_i386
$(patsubst %,build/guests/%.elf,disk giver nic storm): \
        GUEST_MODE := -mno-red-zone
build/guests/%.elf: tests/e2e/guests/%.c $(wildcard tests/e2e/guests/*.h)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC $<")
	$(Q)gcc $(GUEST_MODE) -mno-sse -O2 $(WARN) -ffreestanding -fno-pic \
	        -fno-stack-protector -fno-asynchronous-unwind-tables -nostdlib -static -no-pie \
	        -Wl,--build-id=none,-N,-Ttext=0x100000,--section-start=.note.pvh=0x80000 \
	        -Wl,-e,start,--no-warn-rwx-segments -o $@ $<

guests: $(GUESTS)

check: all tests guests
	$(Q)python3 -B tests/run.py --build $(BUILD) check

check-quick: all tests
	$(if $(filter release,$(VARIANT)),$(Q)$(MAKE) --no-print-directory lint)
	$(Q)python3 -B tests/run.py --build $(BUILD) quick

fuzz:
	$(Q)$(MAKE) --no-print-directory VARIANT=asan fuzz-targets
	$(Q)tests/fuzz/run.sh build/asan $(FUZZ_SECONDS) $(notdir $(FUZZ_TARGETS))

# What a change of the interface is read from: the manual and the golden introspection.
reference: $(GEN_STAMP) $(BERTH) $(BUILD)/tests/unit/test-qmp-introspect \
        $(BUILD)/tests/unit/test-cpu-models $(BUILD)/tests/unit/test-sandbox-table
	cp $(GEN)/qmp-reference.md docs/qmp-reference.md
	BERTH_UPDATE_GOLDEN=1 $(BUILD)/tests/unit/test-qmp-introspect > /dev/null
	BERTH_UPDATE_GOLDEN=1 $(BUILD)/tests/unit/test-cpu-models > /dev/null
	BERTH_UPDATE_GOLDEN=1 $(BUILD)/tests/unit/test-sandbox-table > /dev/null
	python3 -B tests/qmp/test_check_args.py --vmm $(BERTH) --update > /dev/null

lint: all
	$(Q)tests/lint/selftest/run-selftest.sh
	$(Q)tests/lint/run.sh

# INTERACTIVE=1 leaves you on the guest's console; LIBVIRT=1 has libvirt run the guest.
demo: all
	$(Q)python3 -B tests/demo/demo.py --vmm $(BERTH) \
	    $(if $(LIBVIRT),--guest libvirt,$(if $(GUEST),--guest $(GUEST))) \
	    $(if $(INTERACTIVE),--interactive)

bench: all guests $(BUILD)/tests/perf/tap-calls $(BUILD)/tests/perf/fill
	$(Q)python3 -B tests/perf/bench.py --vmm $(BERTH)
	$(Q)python3 -B tests/perf/bench_disks.py --vmm $(BERTH)
	$(Q)python3 -B tests/perf/bench_net.py --vmm $(BERTH) \
	    --calls $(BUILD)/tests/perf/tap-calls
	$(Q)python3 -B tests/perf/bench_balloon.py --vmm $(BERTH)
	$(Q)python3 -B tests/perf/bench_libvirt.py --vmm $(BERTH)

# A link that is no symbolic one: AppArmor looks at what a symbolic link leads to.
install: all
	install -D -m 755 $(BERTH) $(DESTDIR)$(PREFIX)/bin/berth
	install -m 755 $(BERTHCTL) $(DESTDIR)$(PREFIX)/bin/berthctl
	install -D -m 644 $(GEN)/berth.1 $(DESTDIR)$(PREFIX)/share/man/man1/berth.1
	install -m 644 docs/man/berthctl.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -D -m 644 $(GEN)/berth.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/berth
	ln -sf berth $(DESTDIR)$(PREFIX)/share/bash-completion/completions/berthctl
	install -D -m 644 $(GEN)/_berth $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_berth
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|' systemd/berth@.service.in \
	    > $(DESTDIR)$(PREFIX)/lib/systemd/system/berth@.service
	$(if $(filter 1,$(QEMU_NAME)),ln -f $(DESTDIR)$(PREFIX)/bin/berth \
	    $(DESTDIR)$(PREFIX)/bin/qemu-system-x86_64)
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/berth/LICENSE
	install -m 644 README.md $(wildcard docs/*.md) $(DESTDIR)$(PREFIX)/share/doc/berth

deps:
	tests/install-deps.sh

clean:
	rm -rf build

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d $(BUILD)/obj/*/*/*/*.d)
