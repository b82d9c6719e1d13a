/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of "-object" and object-add: things that devices name (a memory backend, an
 * iothread, an entropy source).  A kind is a const ObjectClass in its file and one line
 * in hw/objects.c, indexed by the schema's enum ObjectType.  Main only.
 */
#pragma once

#include "berth/json.h"
#include "berth/list.h"
#include "qapi-types.h"

/* What an object can be used as. */
typedef enum ObjectFamily {
    OBJECT_FAMILY_IOTHREAD,
    OBJECT_FAMILY_MEMORY,
    OBJECT_FAMILY_NET_FILTER,
    OBJECT_FAMILY_NET_LIMIT,
    OBJECT_FAMILY_RNG,
    OBJECT_FAMILY_SECRET,
    OBJECT_FAMILY_SETTINGS,     /* of something else: nobody names it */
} ObjectFamily;

/* When objects of the command line are made: after what they name. */
typedef enum ObjectStage {
    OBJECT_STAGE_FIRST,
    OBJECT_STAGE_NETDEVS,       /* there are backends of the network */
    OBJECT_STAGE_DEVICES,       /* there are devices */
} ObjectStage;

typedef struct ObjectClass {
    const char *name;           /* "rng-random" */
    ObjectFamily family;
    size_t instance_size;
    ObjectStage stage;
    /* @options is lent.  On false everything done is undone. */
    bool (*complete)(Object *object, const ObjectOptions *options, GError **error);
    /*
     * Becomes what @options say, which are lent and differ from the object's own in one
     * property; what that leaves open is filled in.  False with @error and nothing
     * changed.  NULL: no property can change.
     */
    bool (*change)(Object *object, ObjectOptions *options, GError **error);
    /* Whether others than its users need it.  NULL: no. */
    bool (*is_used)(const Object *object);
    void (*done)(Object *object);       /* NULL: nothing to undo */
} ObjectClass;

extern const ObjectClass *const object_classes[OBJECT_TYPE__MAX];

/* What objects have that do not say; zero-initialised is QEMU's default. */
typedef struct ObjectDefaults {
    bool prealloc;              /* memory backends, as the rest */
    bool no_dump;
    bool no_merge;
} ObjectDefaults;

struct Object {
    const ObjectClass *class;
    ObjectSet *set;
    char *id;
    unsigned n_users;           /* devices and others that hold it */
    ListNode node;
    ObjectOptions *options;     /* owned: what it was made from, defaults filled in */
};

ObjectSet *object_set_new(void);
/* Every user is gone before. */
void object_set_free(ObjectSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ObjectSet, object_set_free)

/* Copied; for objects that are added from now on. */
void object_set_defaults(ObjectSet *set, const ObjectDefaults *defaults);
const ObjectDefaults *object_defaults(const Object *object);

/* Where throttle groups are; lent. */
void object_set_lend_blocks(ObjectSet *set, BlockGraph *blocks);
BlockGraph *object_set_blocks(const ObjectSet *set);

/* The devices; lent. */
void object_set_lend_tree(ObjectSet *set, DeviceTree *tree);
DeviceTree *object_set_tree(const ObjectSet *set);

/* Where network backends are, and files named "/dev/fdset/N"; lent, NULL: nowhere. */
void object_set_lend_nets(ObjectSet *set, NetSet *nets);
NetSet *object_set_nets(const ObjectSet *set);
void object_set_lend_fdsets(ObjectSet *set, const FdSets *fdsets);
const FdSets *object_set_fdsets(const ObjectSet *set);

/* What commands work on, for one that asks them; lent, NULL: there is none. */
void object_set_lend_context(ObjectSet *set, const QmpContext *context);
const QmpContext *object_set_context(const ObjectSet *set);

/*
 * The thread of those queues that name none, for the object "main-loop"; NULL before it
 * is made and when it goes.
 */
void object_set_lend_queue_thread(ObjectSet *set, Iothread *iothread);
Iothread *object_set_queue_thread(const ObjectSet *set);
/* Tunes it as the object "main-loop" says, if there is one. */
bool object_iothread_tune_queues(const ObjectSet *set, Iothread *iothread,
                                 GError **error);

bool object_add(ObjectSet *set, const ObjectOptions *options, GError **error);
/* Refused while it has users; the error is DeviceNotFound for an id that is not there. */
bool object_del(ObjectSet *set, const char *id, GError **error);
Object *object_find(ObjectSet *set, const char *id);
/* Changes a property; an error for one that it has not or that cannot change. */
bool object_change(Object *object, const char *property, const JsonValue *value,
                   GError **error);
/* The objects in order of addition. */
const ListNode *object_set_list(const ObjectSet *set);

/*
 * Finds @id and takes it for use as @family; the error names @id and what was expected.
 */
Object *object_hold(ObjectSet *set, const char *id, ObjectFamily family, GError **error);
/* Accepts NULL. */
void object_release(Object *object);

extern const ObjectClass object_filter_dump_class;
extern const ObjectClass object_iothread_class;
extern const ObjectClass object_main_loop_class;
extern const ObjectClass object_net_throttle_class;
extern const ObjectClass object_throttle_class;
/* The limits of a net-throttle-group. */
struct NetLimit *object_net_throttle_limit(const Object *object);
/* What a filter-dump counts; NULL of an object of another type. */
const NetDumpCounters *object_filter_dump_counted(const Object *object);
/* Its thread; NULL of an object of another type. */
Iothread *object_iothread(const Object *object);
