/*
 * Strongroom: an embedded, encrypted, multi-tenant storage engine. The C API.
 *
 * Made by `cargo xtask header` from ffi/src; not to be edited.
 *
 * STATUS. Nearly every function returns a strongroom_status. Results come by out-parameters, which are written only when
 * the status is STRONGROOM_STATUS_OK. The last parameter, `error`, may be NULL; otherwise, when the call fails, it takes a
 * strongroom_error that the caller frees. It is left alone when the call succeeds, so set it to NULL before. There is no
 * last error of a thread.
 *
 * OWNERSHIP. Each parameter says it. What is `borrowed` stays the caller's and is not needed any more when the call
 * returns, unless it says for how long. What is `owned` changes hands: an out-parameter is the caller's to free, with the
 * one function for its type; an in-parameter is the library's from then on. Freeing NULL is fine.
 *
 * BYTES. All bytes and texts are a pointer and a length; nothing ends at a NUL, and texts are UTF-8. NULL with length 0 is
 * "none"; an empty text is any other pointer with length 0. Whatever holds a decrypted value is wiped when it is freed.
 *
 * STRUCTS. A struct that begins with its `size` can grow. Set it up with its _init function and `sizeof`, then change what
 * is wanted. A library that is older than the caller's header refuses what it does not know, instead of ignoring it.
 *
 * THREADS. Each type says how far it may be shared. Every call may be made from any thread, and none needs a loop, a signal
 * or thread-local state. The library never changes signal handlers, the locale or the working directory.
 *
 * HANDLES. strongroom_config, _engine, _tenant, _collection, _snapshot, _batch, _scan, _reader, _upload
 * and _session are handles. They may be freed in any order.
 * A call on a handle that was freed gives InvalidArgument, even while it is freed by another thread, until 4,096 others of
 * its type were freed after it; rely on it for finding mistakes only. Freeing one twice does nothing. Buffers, pages, lists,
 * reports and errors are plain memory: using them after they were freed is undefined, as ever in C.
 *
 * FORK. After fork(), handles of the parent give Forked in the child, which can open stores of its own; freeing them there
 * does nothing. fork() while another thread is in a call leaves the child what it leaves of any library: use exec.
 *
 * DEFECTS. A panic of the library ends at its boundary: the call gives Internal, and the handle, and those made from it,
 * give Poisoned from then on. Callbacks must not throw, unwind or longjmp through the library.
 */

#ifndef STRONGROOM_H
#define STRONGROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The length of a value that is not there.
 */
#define STRONGROOM_ABSENT SIZE_MAX

/**
 * The version of the ABI that this header describes. Its upper 16 bits are the number in the shared library's name: with
 * another one, nothing is promised. The lower 16 bits grow when something is added.
 */
#define STRONGROOM_ABI_VERSION 1

/**
 * What the configuration or the store says; where neither does, durable.
 */
#define STRONGROOM_DURABILITY_DEFAULT 0

/**
 * A write returns when it is on the disk.
 */
#define STRONGROOM_DURABILITY_DURABLE 1

/**
 * A write returns when it is with the operating system: the end of the process loses nothing, a power loss may lose what
 * came in the configured time before it.
 */
#define STRONGROOM_DURABILITY_BUFFERED 2

/**
 * Verify finds an older version of a block that was put back; a file that is older as a whole is refused at open.
 */
#define STRONGROOM_FRESHNESS_STANDARD 0

/**
 * Each tenant's file is verified when it is opened, and an older version of a block is refused when it is read.
 */
#define STRONGROOM_FRESHNESS_FULL 1

/**
 * The store is opened with all its keys.
 */
#define STRONGROOM_MAINTENANCE_NONE 0

/**
 * The store is opened for maintenance: no key provider is asked for a key that values need. Names of tenants, collections,
 * indexes and holds stand as digests, "~" and 32 hexadecimal digits, which calls take in place of a tenant's name.
 */
#define STRONGROOM_MAINTENANCE_DIGESTS 1

/**
 * The same, with names.
 */
#define STRONGROOM_MAINTENANCE_NAMES 2

/**
 * Accepts a key file that its group may read (mode 0640).
 */
#define STRONGROOM_KEY_FILE_GROUP_READ 1

/**
 * A provider's function did what it was asked.
 */
#define STRONGROOM_PROVIDER_OK 0

/**
 * The provider will not: wrong key, no permission, key disabled or destroyed. So counts any number not listed here.
 */
#define STRONGROOM_PROVIDER_DENIED 1

/**
 * The provider could not be asked: unreachable, timed out, throttled. The call that needed it fails with KeyUnavailable,
 * retryable.
 */
#define STRONGROOM_PROVIDER_RETRYABLE 2

/**
 * What create should make is there already.
 */
#define STRONGROOM_PROVIDER_ALREADY_EXISTS 3

/**
 * Room for a wrapped key, in bytes.
 */
#define STRONGROOM_WRAPPED_KEY_BYTES_MAX 1024

/**
 * Room for a provider's message, in bytes, its final NUL included.
 */
#define STRONGROOM_PROVIDER_MESSAGE_BYTES 256

/**
 * The tenant is used.
 */
#define STRONGROOM_TENANT_ACTIVE 0

/**
 * The tenant refuses reads and writes until it is resumed.
 */
#define STRONGROOM_TENANT_SUSPENDED 1

/**
 * The tenant was removed, and is erased when its window is over, unless it is restored.
 */
#define STRONGROOM_TENANT_REMOVED 2

/**
 * The tenant's data may leave the region that it was put into.
 */
#define STRONGROOM_MOVE_OVERRIDE_RESIDENCY 1

/**
 * The put depends on nothing.
 */
#define STRONGROOM_CONDITION_NONE 0

/**
 * The put is made only where there is no record of this key; else Conflict.
 */
#define STRONGROOM_CONDITION_ABSENT 1

/**
 * The put is made only where the record has the version given; else Conflict.
 */
#define STRONGROOM_CONDITION_VERSION 2

/**
 * A time that does not come.
 */
#define STRONGROOM_NEVER UINT64_MAX

/**
 * Any number of records have a key.
 */
#define STRONGROOM_INDEX_ORDERED 0

/**
 * At most one record has a key; a second one is refused with Conflict.
 */
#define STRONGROOM_INDEX_UNIQUE 1

/**
 * As the tenant's policy says, and where that says nothing, it is erased.
 */
#define STRONGROOM_OVERWRITE_DEFAULT 0

/**
 * A record that another is put over is erased.
 */
#define STRONGROOM_OVERWRITE_ERASE 1

/**
 * A record that another is put over is removed, and can be restored until its removal window is over, once the key is free.
 */
#define STRONGROOM_OVERWRITE_KEEP 2

/**
 * As the policy says, and where that says nothing, records share their keys.
 */
#define STRONGROOM_ERASURE_DEFAULT 0

/**
 * A record shares its keys with others: when it is erased, its bytes go out of the store's files.
 */
#define STRONGROOM_ERASURE_SHARED 1

/**
 * A record has a key of its own besides, which is destroyed when it is erased, put over, swept or dropped: no copy of the data has
 * its value any more, for all who hold no older copy of the key store. It takes 256 bytes in the key store.
 */
#define STRONGROOM_ERASURE_RECORD 2

/**
 * As the tenant's policy says, and where that says nothing, the records are not secret.
 */
#define STRONGROOM_SECRET_DEFAULT 0

/**
 * The records are not secret.
 */
#define STRONGROOM_SECRET_NO 1

/**
 * The records are secret: nothing exports them.
 */
#define STRONGROOM_SECRET_YES 2

/**
 * As the tenant's policy says, and where that says nothing, records are stored.
 */
#define STRONGROOM_ZERO_RETENTION_DEFAULT 0

/**
 * Records are stored.
 */
#define STRONGROOM_ZERO_RETENTION_NO 1

/**
 * Nothing is retained: whatever is put is refused (InvalidArgument), before anything of it comes to a file, and lives in a session
 * or nowhere; what is there has expired.
 */
#define STRONGROOM_ZERO_RETENTION_YES 2

/**
 * All of the tenant is held.
 */
#define STRONGROOM_HOLD_TENANT 0

/**
 * All records of the collection `name` are held.
 */
#define STRONGROOM_HOLD_COLLECTION 1

/**
 * The records of the collection `name` are held whose keys begin with `key`.
 */
#define STRONGROOM_HOLD_PREFIX 2

/**
 * The record `key` of the collection `name` is held, whether it is there or not.
 */
#define STRONGROOM_HOLD_RECORD 3

/**
 * All records that are put with the subject `name` are held, in any collection.
 */
#define STRONGROOM_HOLD_SUBJECT 4

/**
 * A structure key was destroyed: the tenant's file was rewritten.
 */
#define STRONGROOM_LEDGER_STRUCTURE_KEY 1

/**
 * A data key was destroyed: it was retired.
 */
#define STRONGROOM_LEDGER_DATA_KEY 2

/**
 * The key of a period was destroyed, and with it what expired in that period.
 */
#define STRONGROOM_LEDGER_PERIOD_KEY 3

/**
 * A subject's key was destroyed, and with it every value put about it; or the key of one record.
 */
#define STRONGROOM_LEDGER_SUBJECT_KEY 4

/**
 * All of the tenant's keys were destroyed.
 */
#define STRONGROOM_LEDGER_TENANT 5

/**
 * A receipt was given.
 */
#define STRONGROOM_LEDGER_RECEIPT 6

/**
 * The sealed bytes of what was erased were removed.
 */
#define STRONGROOM_LEDGER_SCRUBBED 7

/**
 * No bound.
 */
#define STRONGROOM_UNLIMITED UINT64_MAX

/**
 * New records are sealed under the key.
 */
#define STRONGROOM_DATA_KEY_CURRENT 0

/**
 * Older records are sealed under the key.
 */
#define STRONGROOM_DATA_KEY_OLDER 1

/**
 * The key was destroyed.
 */
#define STRONGROOM_DATA_KEY_DESTROYED 2

/**
 * How long strongroom_engine_close waits for a callback to return, in milliseconds.
 */
#define STRONGROOM_CALLBACK_WAIT_MS 5000

/**
 * Something failed that a person should look at.
 */
#define STRONGROOM_LOG_ERROR 1

/**
 * Something failed that is tried again.
 */
#define STRONGROOM_LOG_WARN 2

/**
 * Something noteworthy.
 */
#define STRONGROOM_LOG_INFO 3

/**
 * What the store does: checkpoints and the like.
 */
#define STRONGROOM_LOG_DEBUG 4

/**
 * Everything.
 */
#define STRONGROOM_LOG_TRACE 5

/**
 * What a call comes to. The numbers from 1 on are those of the command line's exit status, less 10, and of every
 * binding. They are never given another meaning; a later version may add some.
 */
enum strongroom_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It was done, and the out-parameters are written.
     */
    STRONGROOM_STATUS_OK = 0,
    /**
     * The call's arguments are wrong: mend the call.
     */
    STRONGROOM_STATUS_INVALID_ARGUMENT = 1,
    /**
     * What was named is not there.
     */
    STRONGROOM_STATUS_NOT_FOUND = 2,
    /**
     * What should be made is there already.
     */
    STRONGROOM_STATUS_ALREADY_EXISTS = 3,
    /**
     * A condition does not hold any more: read again and decide anew.
     */
    STRONGROOM_STATUS_CONFLICT = 4,
    /**
     * Another process or handle has it: wait, or close the other one.
     */
    STRONGROOM_STATUS_BUSY = 5,
    /**
     * A hold or a minimum retention forbids it.
     */
    STRONGROOM_STATUS_HELD = 6,
    /**
     * A documented bound is exceeded.
     */
    STRONGROOM_STATUS_LIMIT_EXCEEDED = 7,
    /**
     * The key provider does not give the key.
     */
    STRONGROOM_STATUS_KEY_UNAVAILABLE = 8,
    /**
     * The key store holds neither the key nor a tombstone of it: restore the key store.
     */
    STRONGROOM_STATUS_KEY_MISSING = 9,
    /**
     * A volume, directory or file is not there: mount it.
     */
    STRONGROOM_STATUS_UNAVAILABLE = 10,
    /**
     * The tenant is suspended.
     */
    STRONGROOM_STATUS_SUSPENDED = 11,
    /**
     * Bytes do not authenticate: altered, swapped, or sealed under another key.
     */
    STRONGROOM_STATUS_UNAUTHENTIC = 12,
    /**
     * Authentic, or not sealed at all, but not well formed.
     */
    STRONGROOM_STATUS_CORRUPTED = 13,
    /**
     * Older than the key store's anchor: put the newest copy back, or accept the rollback.
     */
    STRONGROOM_STATUS_ROLLED_BACK = 14,
    /**
     * Written by a newer version, or by something else.
     */
    STRONGROOM_STATUS_UNSUPPORTED_FORMAT = 15,
    /**
     * The snapshot or scan is too old, or its file was reopened: start it again.
     */
    STRONGROOM_STATUS_SNAPSHOT_EXPIRED = 16,
    /**
     * The clock jumped: confirm it.
     */
    STRONGROOM_STATUS_CLOCK_JUMP = 17,
    /**
     * The caller cancelled.
     */
    STRONGROOM_STATUS_CANCELLED = 18,
    /**
     * The handle was made before a fork: open the store in the process that uses it.
     */
    STRONGROOM_STATUS_FORKED = 19,
    /**
     * The operating system failed: see strongroom_error_os_code.
     */
    STRONGROOM_STATUS_IO = 20,
    /**
     * An earlier failure left the handle unusable: free it and open the store again.
     */
    STRONGROOM_STATUS_POISONED = 21,
    /**
     * A defect of this library: report it.
     */
    STRONGROOM_STATUS_INTERNAL = 22,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum strongroom_status strongroom_status;
#else
typedef int32_t strongroom_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A batch of changes of one tenant, over any of its collections. May be used from any thread; calls on one wait for each
 * other. Freed with strongroom_batch_free; the tenant it came from may be freed before.
 */
typedef struct strongroom_batch strongroom_batch;

/**
 * A value, decrypted, or a cursor or text: owned by whoever gets it, freed with strongroom_buffer_free, which wipes it. Immutable; may be read
 * from any thread.
 */
typedef struct strongroom_buffer strongroom_buffer;

/**
 * A collection of a tenant. May be used from any thread, by several at a time. Freed with strongroom_collection_free; the
 * tenant it came from may be freed before.
 */
typedef struct strongroom_collection strongroom_collection;

/**
 * What a store is opened with. Building one touches nothing on the disk. May be used from any thread; calls on one wait
 * for each other. Freed with strongroom_config_free, at any time after the store was opened.
 */
typedef struct strongroom_config strongroom_config;

/**
 * An open store. May be used from any thread, by several at a time. One process has a store open at a time. Closed with
 * strongroom_engine_close; freed with strongroom_engine_free, and if it was not closed, the store stays open until its
 * last tenant, collection, batch and scan is freed too.
 */
typedef struct strongroom_engine strongroom_engine;

/**
 * Why a call failed: owned by whoever gets it, and freed with strongroom_error_free. Immutable; may be read from any
 * thread.
 */
typedef struct strongroom_error strongroom_error;

/**
 * Takes the keys of one record, while an index is built: borrowed by strongroom_index_keys for the time of its call.
 */
typedef struct strongroom_key_sink strongroom_key_sink;

/**
 * A list of tenants, collections, regions, journals, indexes, data keys, holds, receipts, ledger entries, subjects or records of a
 * subject: owned by whoever gets it, freed with
 * strongroom_list_free. Immutable; may be read from any thread.
 */
typedef struct strongroom_list strongroom_list;

/**
 * Some records of a scan: owned by whoever gets it, freed with strongroom_page_free, which wipes the values. Immutable; may
 * be read from any thread.
 */
typedef struct strongroom_page strongroom_page;

/**
 * A value that is read as a stream, as it was when the reader was made, whatever is put over it later. May be used from any
 * thread; calls on one wait for each other. Freed with strongroom_reader_free, soon: while it lives the tenant's file does
 * not use freed space again.
 */
typedef struct strongroom_reader strongroom_reader;

/**
 * What a verification found: owned by whoever gets it, freed with strongroom_report_free. Immutable; may be read from any
 * thread.
 */
typedef struct strongroom_report strongroom_report;

/**
 * A scan under way. May be used from any thread; calls on one wait for each other. Freed with strongroom_scan_free; the
 * collection it came from may be freed before. While it lives the file keeps what was overwritten since it began.
 */
typedef struct strongroom_scan strongroom_scan;

/**
 * Records that nothing retains: they can be read through this session alone, are never written to any file, and are gone,
 * wiped from memory, when it is freed. The memory is the process's: the operating system may swap it, and a crash dump may
 * hold it. May be used from any thread, by several at a time. Freed with strongroom_session_free; the tenant it came from may
 * be freed before.
 */
typedef struct strongroom_session strongroom_session;

/**
 * The records of a tenant at one moment, over all of its collections: of a batch it shows all or nothing, and nothing of
 * what was written since, but what was erased since is gone. May be used from any thread, by several at a time. Freed with
 * strongroom_snapshot_free, soon: while it lives the tenant keeps what it shows.
 */
typedef struct strongroom_snapshot strongroom_snapshot;

/**
 * A tenant. May be used from any thread, by several at a time. Freed with strongroom_tenant_free; the store's handle may be
 * freed before.
 */
typedef struct strongroom_tenant strongroom_tenant;

/**
 * A large value on its way into the store, in any number of writes, sessions and processes. The record is as it was until
 * strongroom_upload_publish; what was made durable stays for 24 hours after it was last written. May be used from any
 * thread; calls on one wait for each other. Freed with strongroom_upload_free, after which it can be resumed.
 */
typedef struct strongroom_upload strongroom_upload;

/**
 * Figures of a configuration. Zero is the default everywhere. Set up with strongroom_config_options_init.
 */
typedef struct strongroom_config_options {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Memory for the pages of each open tenant, in bytes; at least 262,144. Default 32 MiB.
     */
    uint64_t cache_bytes;
    /**
     * How much a tenant holds in memory before it goes into its file, in bytes; at least 65,536. Default 128 MiB.
     */
    uint64_t memtable_bytes;
    /**
     * How much all tenants together hold so, in bytes; at least 65,536. Default 512 MiB.
     */
    uint64_t memory_bytes;
    /**
     * Length of a journal's segment in bytes; 65,536 to 1 GiB. Default 64 MiB.
     */
    uint64_t segment_bytes;
    /**
     * Length of a journal in bytes beyond which its oldest segments are emptied; at least two segments. Default 512 MiB.
     */
    uint64_t journal_bytes;
    /**
     * Within which time buffered writes are synced, in milliseconds; at most 60,000. Default 10.
     */
    uint64_t buffered_within_ms;
    /**
     * How long changes wait for a checkpoint at most, in milliseconds. Default 300,000.
     */
    uint64_t checkpoint_age_ms;
    /**
     * How long strongroom_engine_close goes on making checkpoints, in milliseconds. Default 5,000.
     */
    uint64_t close_budget_ms;
    /**
     * A STRONGROOM_DURABILITY: what a write waits for unless it says otherwise.
     */
    uint32_t durability;
    /**
     * A STRONGROOM_FRESHNESS: what is done against older versions of blocks.
     */
    uint32_t freshness;
    /**
     * 1: the store has no thread of its own, and the application calls strongroom_engine_tick now and then.
     */
    uint32_t without_background;
    /**
     * 1: accepts that the catalog and every tenant opened are older than their anchors: what was acknowledged later is gone.
     */
    uint32_t accept_rollback;
    /**
     * Memory for the pages of all open tenants, in bytes. Default 1 GiB.
     */
    uint64_t total_cache_bytes;
    /**
     * How many tenants stay open of which nobody has a handle. Default 1,024.
     */
    uint64_t open_tenants;
    /**
     * How often records that have expired are removed from the files, in milliseconds; at least 1,000. Default 1 hour.
     */
    uint64_t sweep_interval_ms;
    /**
     * How far the clock may jump before nothing is destroyed any more, in milliseconds; at least 1,000. Default 7 days.
     */
    uint64_t clock_step_ms;
    /**
     * How long the periods are of which each has a key, in milliseconds; at least 1,000. Default 1 day.
     */
    uint64_t erasure_period_ms;
    /**
     * Age of a data key at which a tenant that puts records gets a new one, in milliseconds; an hour to 3,650 days. Default 90
     * days.
     */
    uint64_t rotate_after_ms;
    /**
     * Records sealed under a data key after which a tenant gets a new one; 1,000 to 2^40. Default 2^32.
     */
    uint64_t rotate_after_records;
    /**
     * Within which time the sealed bytes of what was erased leave every file and journal, in milliseconds; at least four sweep
     * intervals. Default 30 days.
     */
    uint64_t scrub_within_ms;
    /**
     * How long copies of the key store are kept, for the horizon of what was erased, in milliseconds. Default 0: none are made.
     */
    uint64_t key_copies_kept_ms;
    /**
     * How long a call of a key provider is waited for, in milliseconds; 10 to 600,000. Then it counts as one that could not be
     * reached, whatever it answers later. Default 30,000.
     */
    uint64_t key_timeout_ms;
    /**
     * How long the keys are good that a provider gave before it is asked again, in milliseconds; 1,000 to 30 days. Default
     * 300,000.
     */
    uint64_t keys_good_for_ms;
    /**
     * How much longer they are good while the provider can't be reached, in milliseconds; at most 3,650 days. Default 24 hours.
     */
    uint64_t keys_grace_ms;
    /**
     * A STRONGROOM_MAINTENANCE. A store that is open for maintenance is verified (but for values), checkpointed, rewritten, moved
     * and swept, and tells its sizes, all with the structure keys alone; reads and writes of records, and the creation of tenants,
     * give KeyUnavailable. None is created so: InvalidArgument.
     */
    uint32_t maintenance;
    /**
     * Zero.
     */
    uint32_t reserved;
} strongroom_config_options;

/**
 * The cost of guessing a passphrase (Argon2id, RFC 9106). Zero is the default everywhere. Set up with
 * strongroom_passphrase_options_init.
 */
typedef struct strongroom_passphrase_options {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Memory in KiB, 8 to 4,194,304. Default 65,536.
     */
    uint32_t memory_kib;
    /**
     * Passes over the memory, 1 to 64. Default 3.
     */
    uint32_t passes;
    /**
     * Lanes, 1 to 16. Default 4.
     */
    uint32_t lanes;
} strongroom_passphrase_options;

/**
 * Makes what the provider keeps, when a store is created; fails with STRONGROOM_PROVIDER_ALREADY_EXISTS if it is there.
 * message takes a NUL-terminated text for people, without secrets, where it fails. It must return, and must not throw.
 */
typedef uint32_t (*strongroom_provider_create)(void *context, char *message, size_t message_capacity);

/**
 * What a wrapped key belongs to. A provider binds it to the wrapped key (as additional data, or as the encryption context
 * of a KMS), so that a key moved to another tenant or section does not unwrap. Borrowed for the time of the callback.
 */
typedef struct strongroom_wrap_context {
    /**
     * The store of origin.
     */
    uint8_t store_id[16];
    /**
     * The tenant.
     */
    uint8_t tenant_id[16];
    /**
     * 1: the structure section, which maintenance needs. 2: the content section, which values need.
     */
    uint32_t section;
    /**
     * All of it as bytes.
     */
    const uint8_t *bytes;
    /**
     * Their length.
     */
    size_t bytes_size;
} strongroom_wrap_context;

/**
 * Wraps a key of 32 bytes. wrapped takes 1 to capacity bytes and wrapped_size their number; message as for create.
 */
typedef uint32_t (*strongroom_provider_wrap)(void *context,
                                             const struct strongroom_wrap_context *belongs_to,
                                             const uint8_t *key,
                                             uint8_t *wrapped,
                                             size_t capacity,
                                             size_t *wrapped_size,
                                             char *message,
                                             size_t message_capacity);

/**
 * Unwraps what wrap gave for the same context. key takes 32 bytes; message as for create. It must authenticate: anything
 * but what wrap gave is STRONGROOM_PROVIDER_DENIED.
 */
typedef uint32_t (*strongroom_provider_unwrap)(void *context,
                                               const struct strongroom_wrap_context *belongs_to,
                                               const uint8_t *wrapped,
                                               size_t wrapped_size,
                                               uint8_t *key,
                                               char *message,
                                               size_t message_capacity);

/**
 * Frees a context.
 */
typedef void (*strongroom_provider_destroy)(void *context);

/**
 * A key provider of the application's. Set up with strongroom_key_provider_init.
 */
typedef struct strongroom_key_provider {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Given to each of the functions.
     */
    void *context;
    /**
     * May be NULL: there is nothing to make.
     */
    strongroom_provider_create create;
    /**
     * Not NULL.
     */
    strongroom_provider_wrap wrap;
    /**
     * Not NULL.
     */
    strongroom_provider_unwrap unwrap;
    /**
     * May be NULL: the context needs no freeing.
     */
    strongroom_provider_destroy destroy;
} strongroom_key_provider;

/**
 * How long records are kept: of a tenant, or of one of its collections, which overrides the tenant's member by member. Zero
 * is not limited. Set up with strongroom_policy_init.
 */
typedef struct strongroom_policy {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * How long a record is kept that is put without a time of its own, in milliseconds.
     */
    uint64_t retention_ms;
    /**
     * The longest that any record is kept, whatever its put says, in milliseconds.
     */
    uint64_t maximum_ms;
    /**
     * How long a record that was removed can be restored, in milliseconds; 0: 30 days, or as the tenant's says.
     */
    uint64_t removal_window_ms;
    /**
     * The least that a record is kept after it was written, in milliseconds: before, it can be neither erased, removed nor put
     * over (Held), by the policy as it is then.
     */
    uint64_t minimum_ms;
    /**
     * Within how long a removed record is erased, its bytes swept, and the key of its period destroyed, as it was promised, in
     * milliseconds: a policy is refused whose removal window does not leave the time for that.
     */
    uint64_t erased_within_ms;
    /**
     * What becomes of a record that another is put over: a STRONGROOM_OVERWRITE.
     */
    uint32_t overwrite;
    /**
     * Whether nothing exports the records: a STRONGROOM_SECRET.
     */
    uint32_t secret;
    /**
     * Whether each record that is put gets a key of its own: a STRONGROOM_ERASURE.
     */
    uint32_t erasure;
    /**
     * Whether nothing is retained: a STRONGROOM_ZERO_RETENTION.
     */
    uint32_t zero_retention;
} strongroom_policy;

/**
 * What a new tenant is created with. Zero is the default everywhere. Set up with strongroom_tenant_options_init.
 */
typedef struct strongroom_tenant_options {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Borrowed; the name of the region its data and keys are in. NULL: "default".
     */
    const char *region;
    /**
     * Its length in bytes.
     */
    size_t region_size;
    /**
     * 1: with a journal of its own, so that what other tenants write does not delay it.
     */
    uint32_t dedicated;
    /**
     * Borrowed; how long its records are kept. NULL limits nothing.
     */
    const struct strongroom_policy *policy;
} strongroom_tenant_options;

/**
 * When a record was written, in the order of its tenant's batches: first by timeline, then by sequence; greater is later.
 */
typedef struct strongroom_version {
    /**
     * Grows by one with each batch of the tenant.
     */
    uint64_t sequence;
    /**
     * Grows at each unclean open and accepted rollback.
     */
    uint32_t timeline;
    /**
     * Zero.
     */
    uint32_t reserved;
} strongroom_version;

/**
 * Sizes and counts of a tenant. Set up with strongroom_tenant_stats_init.
 */
typedef struct strongroom_tenant_stats {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Records of all collections.
     */
    uint64_t records;
    /**
     * Collections.
     */
    uint64_t collections;
    /**
     * Bytes of the tenant's file that are allocated on the disk.
     */
    uint64_t file_bytes;
    /**
     * Bytes of the journal's frames that its file does not have yet.
     */
    uint64_t journal_bytes;
    /**
     * Bytes of its keyring.
     */
    uint64_t key_store_bytes;
    /**
     * The last batch.
     */
    struct strongroom_version version;
    /**
     * The slot of the structure key its file is sealed under.
     */
    uint32_t structure_slot;
    /**
     * The slot of the data key for new records.
     */
    uint32_t data_slot;
} strongroom_tenant_stats;

/**
 * Is told how much more was done: blocks, frames and records. Called on the thread of the call; it must return, and must
 * not throw.
 */
typedef void (*strongroom_progress)(void *context, uint64_t more);

/**
 * What was found of a tenant that was salvaged. Set up with strongroom_salvage_init.
 */
typedef struct strongroom_salvage {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Changes of the journal that count.
     */
    uint64_t changes;
    /**
     * Changes that are lost, as far as there is a trace of them.
     */
    uint64_t changes_lost;
} strongroom_salvage;

/**
 * Is told how much is done and how much there is, of rows or records. Called on the thread of the call; it must return, and must not throw.
 */
typedef void (*strongroom_total_progress)(void *context, uint64_t done, uint64_t total);

/**
 * What a rewrite did. Set up with strongroom_rewrite_init.
 */
typedef struct strongroom_rewrite {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Rows copied, of all tables.
     */
    uint64_t rows;
    /**
     * Length of the file before, in bytes.
     */
    uint64_t bytes_before;
    /**
     * Length of the file afterwards, in bytes.
     */
    uint64_t bytes_after;
    /**
     * The slot of the structure key the new file is sealed under.
     */
    uint32_t structure_slot;
    /**
     * 1: the file was rewritten. 0: the tenant has no file yet, and nothing was to be done.
     */
    uint32_t has_file;
} strongroom_rewrite;

/**
 * A record's key in an index.
 */
typedef struct strongroom_index_key {
    /**
     * Borrowed; the index's name, UTF-8.
     */
    const char *index;
    /**
     * Its length in bytes.
     */
    size_t index_size;
    /**
     * Borrowed; 1 to 1,024 bytes.
     */
    const uint8_t *key;
    /**
     * Its length in bytes.
     */
    size_t key_size;
} strongroom_index_key;

/**
 * What a put says besides key and value. Zero is the default everywhere. Set up with strongroom_put_options_init.
 */
typedef struct strongroom_put_options {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * A STRONGROOM_DURABILITY. A batch is as durable as its most durable put.
     */
    uint32_t durability;
    /**
     * A STRONGROOM_CONDITION; in a batch it is one of the whole batch.
     */
    uint32_t condition;
    /**
     * For STRONGROOM_CONDITION_VERSION.
     */
    struct strongroom_version version;
    /**
     * Another time of writing than now, in milliseconds since the epoch: for imports. 0 is now.
     */
    uint64_t written_ms;
    /**
     * How long the record is kept after it is written, in milliseconds. 0: as the policy says.
     */
    uint64_t ttl_ms;
    /**
     * The same as a time, in milliseconds since the epoch; not both. 0: as the policy says.
     */
    uint64_t expires_ms;
    /**
     * Borrowed; whom the record is about, UTF-8 of 1 to 255 bytes. NULL: nobody.
     */
    const char *subject;
    /**
     * Its length in bytes.
     */
    size_t subject_size;
    /**
     * Borrowed; all of the record's keys in indexes of its collection. NULL: none.
     */
    const struct strongroom_index_key *index_keys;
    /**
     * How many there are.
     */
    size_t index_key_count;
    /**
     * Whether the record gets a key of its own, whatever the policy says: a STRONGROOM_ERASURE.
     */
    uint32_t erasure;
} strongroom_put_options;

/**
 * What is known of a record without its value. Set up with strongroom_record_info_init.
 */
typedef struct strongroom_record_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * When it was written, in the order of its tenant's batches.
     */
    struct strongroom_version version;
    /**
     * When it was written, in milliseconds since the epoch.
     */
    uint64_t written_ms;
    /**
     * When it expires, in milliseconds since the epoch, or STRONGROOM_NEVER.
     */
    uint64_t expires_ms;
    /**
     * Length of its value in bytes.
     */
    uint64_t value_size;
    /**
     * 1: there is such a record. 0: there is none, and the rest is zero.
     */
    uint32_t exists;
} strongroom_record_info;

/**
 * What a scan covers, in which order, and how much of it. Zero is the default everywhere. Set up with
 * strongroom_scan_options_init.
 */
typedef struct strongroom_scan_options {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Borrowed; only keys from this one on. NULL: from the first one.
     */
    const uint8_t *from;
    /**
     * Its length in bytes.
     */
    size_t from_size;
    /**
     * Borrowed; only keys before this one. NULL: to the last one.
     */
    const uint8_t *to;
    /**
     * Its length in bytes.
     */
    size_t to_size;
    /**
     * Borrowed; only keys that begin so. NULL: any.
     */
    const uint8_t *prefix;
    /**
     * Its length in bytes.
     */
    size_t prefix_size;
    /**
     * At most so many records. 0: all.
     */
    uint64_t limit;
    /**
     * 1: `from` itself is left out.
     */
    uint32_t from_excluded;
    /**
     * 1: `to` itself is included.
     */
    uint32_t to_included;
    /**
     * 1: in descending order.
     */
    uint32_t reverse;
    /**
     * 1: without values; none is opened.
     */
    uint32_t keys_only;
    /**
     * Borrowed; a cursor of this collection and direction, behind which the scan goes on. NULL: from the beginning.
     */
    const uint8_t *after;
    /**
     * Its length in bytes.
     */
    size_t after_size;
    /**
     * Opens values before they are asked for, of so many records at the most (1,024 whatever is given), in a thread of the scan's
     * own. 0: when they are asked for.
     */
    uint64_t open_ahead;
} strongroom_scan_options;

/**
 * What is known of an index. Its name is borrowed from the list, UTF-8, not NUL-terminated. Set up with
 * strongroom_index_info_init.
 */
typedef struct strongroom_index_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Its name.
     */
    const char *name;
    /**
     * Length of its name in bytes.
     */
    size_t name_size;
    /**
     * When it was declared, in milliseconds since the epoch.
     */
    uint64_t created_ms;
    /**
     * A STRONGROOM_INDEX.
     */
    uint32_t kind;
    /**
     * 1: it can be searched. 0: records were there before it, and it has to be built.
     */
    uint32_t is_ready;
} strongroom_index_info;

/**
 * One record of a page. Its pointers are borrowed from the page.
 */
typedef struct strongroom_entry {
    /**
     * The record's key.
     */
    const uint8_t *key;
    /**
     * Its length in bytes.
     */
    size_t key_size;
    /**
     * Its value; NULL where the scan is for keys only, or the value is longer than 1 MiB; not NULL where it is empty.
     */
    const uint8_t *value;
    /**
     * Its length in bytes, known for keys only too.
     */
    size_t value_size;
    /**
     * When it was written, in the order of its tenant's batches.
     */
    struct strongroom_version version;
    /**
     * When it was written, in milliseconds since the epoch.
     */
    uint64_t written_ms;
    /**
     * When it expires, in milliseconds since the epoch, or STRONGROOM_NEVER.
     */
    uint64_t expires_ms;
} strongroom_entry;

/**
 * Gives the keys of a record in an index by strongroom_key_sink_add, none or several. The entry is borrowed for the time of
 * the call. Gives false to end the building. Called on the thread of the call; it must return, and must not throw.
 */
typedef bool (*strongroom_index_keys)(void *context,
                                      const struct strongroom_entry *entry,
                                      struct strongroom_key_sink *sink);

/**
 * What the application of policies did. Set up with strongroom_policy_report_init.
 */
typedef struct strongroom_policy_report {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Records looked at, removed ones with the others.
     */
    uint64_t records;
    /**
     * Records that got other times.
     */
    uint64_t changed;
    /**
     * Records that should stay longer and can't, because their values lie in chunks under the key of a period.
     */
    uint64_t large;
    /**
     * Records that do not open, and were left as they are.
     */
    uint64_t unreadable;
    /**
     * 1: it came to the end.
     */
    uint32_t is_complete;
    /**
     * Zero.
     */
    uint32_t reserved;
} strongroom_policy_report;

/**
 * How a rekey, or the application of policies, goes about it. Zero is the default everywhere. Set up with strongroom_rekey_options_init.
 */
typedef struct strongroom_rekey_options {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Ends after so many records were sealed anew; called again it goes on. 0: all.
     */
    uint64_t records;
    /**
     * At most so many records a second are sealed anew. 0: as fast as it goes.
     */
    uint32_t records_per_second;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * Ends once so many bytes of values were sealed anew; called again it goes on. 0: all.
     */
    uint64_t bytes;
    /**
     * At most so many bytes of values a second are sealed anew. 0: as fast as it goes.
     */
    uint64_t bytes_per_second;
} strongroom_rekey_options;

/**
 * A subject's name, borrowed from the list, UTF-8, not NUL-terminated. Set up with strongroom_subject_info_init.
 */
typedef struct strongroom_subject_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Its name.
     */
    const char *name;
    /**
     * Length of its name in bytes.
     */
    size_t name_size;
} strongroom_subject_info;

/**
 * What is known of a record of a subject. What it points at is borrowed from the list, not NUL-terminated. Set up with
 * strongroom_subject_record_info_init.
 */
typedef struct strongroom_subject_record_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * The name of its collection, UTF-8.
     */
    const char *collection;
    /**
     * Length of that name in bytes.
     */
    size_t collection_size;
    /**
     * Its key.
     */
    const uint8_t *key;
    /**
     * Length of its key in bytes.
     */
    size_t key_size;
    /**
     * Its version.
     */
    struct strongroom_version version;
    /**
     * When it was written, in milliseconds since the epoch.
     */
    uint64_t written_ms;
    /**
     * When it expires, in milliseconds since the epoch, or STRONGROOM_NEVER.
     */
    uint64_t expires_ms;
    /**
     * Length of its value in bytes.
     */
    uint64_t value_size;
} strongroom_subject_record_info;

/**
 * What a hold covers: what is there when it is placed, and what is put later. Set up with strongroom_selector_init, which
 * makes it all of the tenant.
 */
typedef struct strongroom_selector {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Borrowed; the collection's name, or the subject, UTF-8. NULL for all of the tenant.
     */
    const char *name;
    /**
     * Its length in bytes.
     */
    size_t name_size;
    /**
     * Borrowed; the record's key, or how keys begin, at most 4,096 bytes. NULL for what has none.
     */
    const uint8_t *key;
    /**
     * Its length in bytes.
     */
    size_t key_size;
    /**
     * A STRONGROOM_HOLD.
     */
    uint32_t kind;
} strongroom_selector;

/**
 * What is known of a hold. Its texts are borrowed from the list, not NUL-terminated. Set up with strongroom_hold_info_init.
 */
typedef struct strongroom_hold_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * The hold's name, UTF-8.
     */
    const char *name;
    /**
     * Length of its name in bytes.
     */
    size_t name_size;
    /**
     * The name that the collection has now, or the subject, UTF-8; NULL for all of the tenant.
     */
    const char *of;
    /**
     * Its length in bytes.
     */
    size_t of_size;
    /**
     * The record's key, or how keys begin; NULL for what has none.
     */
    const uint8_t *key;
    /**
     * Its length in bytes.
     */
    size_t key_size;
    /**
     * When it was placed, in milliseconds since the epoch.
     */
    uint64_t placed_ms;
    /**
     * A STRONGROOM_HOLD, as the selector had it.
     */
    uint32_t kind;
} strongroom_hold_info;

/**
 * An entry of a tenant's erasure ledger. Set up with strongroom_ledger_info_init.
 */
typedef struct strongroom_ledger_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Its number, from 1, without a gap.
     */
    uint64_t number;
    /**
     * When it was written, in milliseconds since the epoch.
     */
    uint64_t at_ms;
    /**
     * The number of the key that was destroyed; else 0.
     */
    uint64_t slot;
    /**
     * Of a receipt and a scrub: the last change that is covered.
     */
    struct strongroom_version through;
    /**
     * Of a receipt: by when the sealed bytes are to be gone, in milliseconds since the epoch; else 0.
     */
    uint64_t deadline_ms;
    /**
     * What chains it to all entries before: an exported ledger shows later whether any of them was changed.
     */
    uint8_t mac[24];
    /**
     * A STRONGROOM_LEDGER; 0 for one that this library does not know.
     */
    uint32_t event;
} strongroom_ledger_info;

/**
 * A receipt for what was erased. Set up with strongroom_receipt_info_init.
 */
typedef struct strongroom_receipt_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Its number in the ledger.
     */
    uint64_t number;
    /**
     * When it was given: what it covers had been erased by then. In milliseconds since the epoch, as all times.
     */
    uint64_t erased_ms;
    /**
     * The last change that it covers.
     */
    struct strongroom_version through;
    /**
     * By when the sealed bytes are to be in no file and no journal.
     */
    uint64_t deadline_ms;
    /**
     * When they were; STRONGROOM_NEVER where they are not yet.
     */
    uint64_t scrubbed_ms;
} strongroom_receipt_info;

/**
 * By when what is erased now can't be read any more in any copy that was made before, in milliseconds since the epoch. Set
 * up with strongroom_horizon_init.
 */
typedef struct strongroom_horizon {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * In copies of the data, with the key store as it is then.
     */
    uint64_t data_copies_ms;
    /**
     * In copies of the data together with copies of the key store, if those are destroyed at the age that the setting
     * key_copies_kept names.
     */
    uint64_t key_copies_ms;
} strongroom_horizon;

/**
 * How much a tenant or a collection may hold at the most. Zero is nothing at all. Set up with strongroom_quota_init.
 */
typedef struct strongroom_quota {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Records, or STRONGROOM_UNLIMITED.
     */
    uint64_t records;
    /**
     * Bytes of their keys and values, or STRONGROOM_UNLIMITED.
     */
    uint64_t bytes;
} strongroom_quota;

/**
 * What a tenant or a collection holds. Set up with strongroom_usage_init.
 */
typedef struct strongroom_usage {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Records; what has expired counts until it is swept.
     */
    uint64_t records;
    /**
     * Bytes of their keys and values.
     */
    uint64_t bytes;
} strongroom_usage;

/**
 * What is known of a data key. Set up with strongroom_data_key_info_init.
 */
typedef struct strongroom_data_key_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * When it was made, in milliseconds since the epoch.
     */
    uint64_t created_ms;
    /**
     * How old it is by the store's clock, in milliseconds.
     */
    uint64_t age_ms;
    /**
     * Records sealed under it, at least: a count may miss up to 1,000 for each time that the tenant was opened.
     */
    uint64_t records_sealed;
    /**
     * Its generation; a later one is greater, not always by one.
     */
    uint32_t generation;
    /**
     * A STRONGROOM_DATA_KEY.
     */
    uint32_t state;
} strongroom_data_key_info;

/**
 * What a rekey did. Set up with strongroom_rekey_init.
 */
typedef struct strongroom_rekey {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Records looked at.
     */
    uint64_t records;
    /**
     * Records sealed anew.
     */
    uint64_t resealed;
    /**
     * Records that were written or erased while they were looked at: they need nothing.
     */
    uint64_t overtaken;
    /**
     * Of those sealed anew, records whose values lie in chunks.
     */
    uint64_t large;
    /**
     * Records that do not open, and were left as they are.
     */
    uint64_t unreadable;
    /**
     * The generation that is current.
     */
    uint32_t generation;
    /**
     * 1: no readable record is under an older generation that was put before it began.
     */
    uint32_t is_complete;
} strongroom_rekey;

/**
 * What is known of a removed record: as before it was removed, and as it is once it is restored. Its key is borrowed from the
 * list. Set up with strongroom_removed_info_init.
 */
typedef struct strongroom_removed_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Its key.
     */
    const uint8_t *key;
    /**
     * Length of its key in bytes.
     */
    size_t key_size;
    /**
     * Its version.
     */
    struct strongroom_version version;
    /**
     * When it was written, in milliseconds since the epoch.
     */
    uint64_t written_ms;
    /**
     * When it expires, in milliseconds since the epoch, or STRONGROOM_NEVER.
     */
    uint64_t expires_ms;
    /**
     * Length of its value in bytes.
     */
    uint64_t value_size;
    /**
     * When it was removed, in milliseconds since the epoch.
     */
    uint64_t removed_ms;
    /**
     * When it is erased for good, in milliseconds since the epoch: from then on it can't be restored.
     */
    uint64_t erased_from_ms;
} strongroom_removed_info;

/**
 * Gives the next bytes of a value: fills buffer from its beginning with 1 to capacity bytes and sets read to their number,
 * which is 0 at the value's end. Gives false where it can't; then nothing is put. Called on the thread of the call; it must
 * return, and must not throw.
 */
typedef bool (*strongroom_read)(void *context, uint8_t *buffer, size_t capacity, size_t *read);

/**
 * Tells what became of a submitted batch: called once, on a thread of the store's that does nothing else, so that the
 * callbacks of a store wait for each other. It may call this library, but not strongroom_engine_close; it must return, and
 * must not throw. version is borrowed, and NULL unless status is Ok; error is owned by the callback, which frees it, and
 * NULL if status is Ok.
 */
typedef void (*strongroom_completion)(void *context,
                                      strongroom_status status,
                                      const struct strongroom_version *version,
                                      struct strongroom_error *error);

/**
 * What is known of a tenant. Its texts are borrowed from the list, UTF-8, not NUL-terminated. Set up with
 * strongroom_tenant_info_init.
 */
typedef struct strongroom_tenant_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Its name.
     */
    const char *name;
    /**
     * Length of its name in bytes.
     */
    size_t name_size;
    /**
     * The region its data and keys are in.
     */
    const char *region;
    /**
     * Length of the region's name in bytes.
     */
    size_t region_size;
    /**
     * Its id: what files, logs and errors call it.
     */
    uint8_t id[16];
    /**
     * When it was created, in milliseconds since the epoch.
     */
    uint64_t created_ms;
    /**
     * When it was removed, in milliseconds since the epoch; 0 where it was not.
     */
    uint64_t removed_ms;
    /**
     * From when on a sweep erases it, in milliseconds since the epoch; 0 where it was not removed.
     */
    uint64_t purge_ms;
    /**
     * 1: it has a journal of its own.
     */
    uint32_t dedicated;
    /**
     * A STRONGROOM_TENANT; UINT32_MAX for a state that this library does not know.
     */
    uint32_t state;
    /**
     * 1: it was removed while it was suspended, and will be suspended again when it is restored.
     */
    uint32_t was_suspended;
} strongroom_tenant_info;

/**
 * What is known of a collection. Its name is borrowed from the list, UTF-8, not NUL-terminated. Set up with
 * strongroom_collection_info_init.
 */
typedef struct strongroom_collection_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Its name.
     */
    const char *name;
    /**
     * Length of its name in bytes.
     */
    size_t name_size;
    /**
     * Its id, random within its tenant.
     */
    uint64_t id;
    /**
     * When it was created, in milliseconds since the epoch.
     */
    uint64_t created_ms;
} strongroom_collection_info;

/**
 * What is known of a region. Its texts are borrowed from the list, not NUL-terminated; paths are as the operating system
 * has them. Set up with strongroom_region_info_init.
 */
typedef struct strongroom_region_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Its name.
     */
    const char *name;
    /**
     * Length of its name in bytes.
     */
    size_t name_size;
    /**
     * The directory its data is in.
     */
    const char *root;
    /**
     * Length of that path in bytes.
     */
    size_t root_size;
    /**
     * The directory its keys are in.
     */
    const char *keys;
    /**
     * Length of that path in bytes.
     */
    size_t keys_size;
    /**
     * Why its tenants can't be reached now; NULL if they can.
     */
    const char *problem;
    /**
     * Length of that text in bytes.
     */
    size_t problem_size;
} strongroom_region_info;

/**
 * What a journal holds, and counts since it was opened. Its texts are borrowed from the list, UTF-8, not NUL-terminated. Set
 * up with strongroom_lane_info_init.
 */
typedef struct strongroom_lane_info {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Its region's name.
     */
    const char *region;
    /**
     * Length of the region's name in bytes.
     */
    size_t region_size;
    /**
     * Its id: the store's for the journal that tenants share, else the tenant's.
     */
    uint8_t id[16];
    /**
     * Segments, cold ones included.
     */
    uint64_t segments;
    /**
     * Bytes of their batches.
     */
    uint64_t segment_bytes;
    /**
     * Bytes of frames that no tenant's file has yet.
     */
    uint64_t pending_bytes;
    /**
     * Tenants with such frames.
     */
    uint64_t pending_tenants;
    /**
     * Batches written.
     */
    uint64_t batches;
    /**
     * Changes in them.
     */
    uint64_t changes;
    /**
     * Bytes written.
     */
    uint64_t written_bytes;
    /**
     * Syncs.
     */
    uint64_t syncs;
    /**
     * Microseconds that syncs took.
     */
    uint64_t sync_micros;
    /**
     * Places at which the journal is damaged.
     */
    uint64_t damaged;
} strongroom_lane_info;

/**
 * Figures of a verification. Set up with strongroom_report_summary_init.
 */
typedef struct strongroom_report_summary {
    /**
     * Size of this struct in bytes.
     */
    size_t size;
    /**
     * Tenants looked at, the catalog included.
     */
    uint64_t tenants;
    /**
     * Tenants with something wrong.
     */
    uint64_t tenants_bad;
    /**
     * Blocks that opened.
     */
    uint64_t blocks;
    /**
     * Blocks that do not open.
     */
    uint64_t blocks_bad;
    /**
     * Records whose value opened; one that a file holds in an older version counts twice.
     */
    uint64_t records;
    /**
     * Records that do not open.
     */
    uint64_t records_bad;
    /**
     * Frames of the journals that opened.
     */
    uint64_t frames;
    /**
     * Frames that do not open.
     */
    uint64_t frames_bad;
    /**
     * Files that belong to nothing the store knows. They are no harm.
     */
    uint64_t unknown_files;
    /**
     * 1: nothing is wrong that was not mended.
     */
    uint32_t is_good;
    /**
     * Records whose value was not opened, because the store is open for maintenance.
     */
    uint64_t records_unopened;
} strongroom_report_summary;

/**
 * Takes one line of the log: a STRONGROOM_LOG level, where it comes from, and a text; both UTF-8, borrowed for the time of
 * the callback, not NUL-terminated. It shows no key, value, record key or name of a tenant. Called from any thread, several
 * at a time, with locks of the store held: it must return soon, must not throw, and must not call this library.
 */
typedef void (*strongroom_log)(void *context,
                               uint32_t level,
                               const char *target,
                               size_t target_size,
                               const char *text,
                               size_t text_size);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the ABI that the library has, to be compared with STRONGROOM_ABI_VERSION. Never fails; may be called at
 * any time, from any thread.
 *
 * @return the version.
 */
uint32_t strongroom_abi_version(void);

/**
 * The library's release, as "0.1.0".
 *
 * @return borrowed, static, NUL-terminated.
 */
const char *strongroom_release(void);

/**
 * Whether the library has a feature: one of batch, buffered, collections, condition, cursor, data-key, erase, expiry,
 * health, hold, index, key-provider, ledger, log, policy, quota, removal, rewrap, rewrite, salvage, session,
 * settings-file, snapshot, stream, subject, submit, tenant-life, upload. A newer library has more.
 *
 * @param[in] name      borrowed; NULL gives false.
 * @param[in] name_size its length in bytes.
 * @return whether it has the feature.
 */
bool strongroom_has_feature(const char *name,
                            size_t name_size);

/**
 * The name of a status, as the documents write it: "KeyMissing". Never fails.
 *
 * @param[in] status a status.
 * @return borrowed, static, NUL-terminated; "Unknown" for a number that no status has.
 */
const char *strongroom_status_name(int32_t status);

/**
 * The status that the failed call returned.
 *
 * @param[in] error borrowed; NULL gives STRONGROOM_STATUS_OK.
 * @return the status.
 */
strongroom_status strongroom_error_status(const struct strongroom_error *error);

/**
 * A sentence that says what happened and what to do, in English. It shows no key, value, record key or name of a tenant.
 *
 * @param[in] error borrowed; NULL gives an empty text.
 * @return borrowed from the error until it is freed; UTF-8, NUL-terminated.
 */
const char *strongroom_error_message(const struct strongroom_error *error);

/**
 * Whether the same call may succeed later without a person mending anything: a store that is open elsewhere, a key
 * provider that could not be reached.
 *
 * @param[in] error borrowed; NULL gives false.
 * @return whether it is worth another try.
 */
bool strongroom_error_is_retryable(const struct strongroom_error *error);

/**
 * The operating system's code (errno) behind the error.
 *
 * @param[in] error borrowed; NULL gives 0.
 * @return the code, or 0 where the error does not come from the operating system.
 */
int32_t strongroom_error_os_code(const struct strongroom_error *error);

/**
 * Frees an error.
 *
 * @param[in] error owned: not to be used afterwards; NULL is fine.
 */
void strongroom_error_free(struct strongroom_error *error);

/**
 * Begins a configuration: the store in a directory, its keys in "<store>.keys" beside it. Touches nothing.
 *
 * @param[in]  store      borrowed; the directory's path.
 * @param[in]  store_size its length in bytes.
 * @param[out] config     owned: freed with strongroom_config_free.
 * @param[out] error      owned, or NULL: why it failed.
 * @return InvalidArgument for a path that is NULL, empty, or has a zero byte.
 */
strongroom_status strongroom_config_new(const char *store,
                                        size_t store_size,
                                        struct strongroom_config **config,
                                        struct strongroom_error **error);

/**
 * Frees a configuration; stores that were opened with it are not affected.
 *
 * @param[in] config owned: not to be used afterwards; NULL is fine.
 */
void strongroom_config_free(struct strongroom_config *config);

/**
 * Sets up options: the defaults.
 *
 * @param[out] options borrowed; not initialised yet.
 * @param[in]  size    sizeof *options.
 * @return InvalidArgument where options is NULL or the size is none it ever had.
 */
strongroom_status strongroom_config_options_init(struct strongroom_config_options *options, size_t size);

/**
 * Sets the figures of a configuration. A size or time of zero stays as it was.
 *
 * @param[in] config  borrowed.
 * @param[in] options borrowed; NULL changes nothing.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument for a value that is none. Bounds are checked when the store is opened.
 */
strongroom_status strongroom_config_set(struct strongroom_config *config,
                                        const struct strongroom_config_options *options,
                                        struct strongroom_error **error);

/**
 * Takes settings from a file (TOML), as strongroom_config_to_toml shows them; what it does not name stays as it was.
 *
 * @param[in]  config    borrowed.
 * @param[in]  path      borrowed; the file's path.
 * @param[in]  path_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed, and nothing was taken.
 * @return Unavailable where there is no such file, Io where it can't be read; InvalidArgument where it is no TOML, longer than
 *         1 MiB, or has a setting that does not exist or a value that is none. Bounds are checked when the store is opened.
 */
strongroom_status strongroom_config_read(struct strongroom_config *config,
                                         const char *path,
                                         size_t path_size,
                                         struct strongroom_error **error);

/**
 * The settings that are in force, as a file that strongroom_config_read takes, each with what it is, its bounds and its
 * default. It holds no key and no secret.
 *
 * @param[in]  config borrowed.
 * @param[out] toml   owned: freed with strongroom_buffer_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument.
 */
strongroom_status strongroom_config_to_toml(const struct strongroom_config *config,
                                            struct strongroom_buffer **toml,
                                            struct strongroom_error **error);

/**
 * What the process that has the store open published of its health, beside the store's lock. Needs no key. Nothing vouches
 * for it: whoever can write the store's directory can write this.
 *
 * @param[in]  config  borrowed.
 * @param[out] is_good whether nothing needed a person; NULL if it is not wanted.
 * @param[out] age_ms  how old it is in milliseconds: beyond a few seconds the holder hangs, or is gone. NULL if it is not
 *                     wanted.
 * @param[out] json    owned: as strongroom_engine_health gives it, freed with strongroom_buffer_free; NULL if it is not
 *                     wanted.
 * @param[out] error   owned, or NULL: why it failed.
 * @return NotFound where nothing is published: nobody has the store, or without a thread of its own; Corrupted where it is
 *         nothing that a holder wrote; InvalidArgument, Io.
 */
strongroom_status strongroom_config_published_health(const struct strongroom_config *config,
                                                     bool *is_good,
                                                     uint64_t *age_ms,
                                                     struct strongroom_buffer **json,
                                                     struct strongroom_error **error);

/**
 * Puts the key store of the default region into another directory than "<store>.keys".
 *
 * @param[in]  config    borrowed.
 * @param[in]  keys      borrowed; the directory's path, not below the store's.
 * @param[in]  keys_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return InvalidArgument for a path that is NULL, empty, or has a zero byte.
 */
strongroom_status strongroom_config_key_store(struct strongroom_config *config,
                                              const char *keys,
                                              size_t keys_size,
                                              struct strongroom_error **error);

/**
 * Adds a region besides "default": created with the store, and afterwards only needed where its directories have moved.
 *
 * @param[in]  config    borrowed.
 * @param[in]  name      borrowed; 1 to 63 of a-z, 0-9 and '-', not '-' first.
 * @param[in]  name_size its length in bytes.
 * @param[in]  root      borrowed; the path of the directory for its data.
 * @param[in]  root_size its length in bytes.
 * @param[in]  keys      borrowed; the path of the directory for its keys, or NULL: "<root>.keys".
 * @param[in]  keys_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return InvalidArgument for what is NULL, not UTF-8, or no path. Names are checked when the store is opened.
 */
strongroom_status strongroom_config_region(struct strongroom_config *config,
                                           const char *name,
                                           size_t name_size,
                                           const char *root,
                                           size_t root_size,
                                           const char *keys,
                                           size_t keys_size,
                                           struct strongroom_error **error);

/**
 * Registers a key file as a key provider. It is made when the store is created.
 *
 * @param[in]  config    borrowed.
 * @param[in]  name      borrowed; the provider's name, "default" for the one that new tenants use.
 * @param[in]  name_size its length in bytes.
 * @param[in]  path      borrowed; the file's path, not below the store's or the key store's directory.
 * @param[in]  path_size its length in bytes.
 * @param[in]  flags     0 or STRONGROOM_KEY_FILE_GROUP_READ.
 * @param[out] error     owned, or NULL: why it failed.
 * @return InvalidArgument for what is NULL, not UTF-8, no path, or no flag. Names are checked when the store is opened.
 */
strongroom_status strongroom_config_key_file(struct strongroom_config *config,
                                             const char *name,
                                             size_t name_size,
                                             const char *path,
                                             size_t path_size,
                                             uint32_t flags,
                                             struct strongroom_error **error);

/**
 * Sets up options: the defaults.
 *
 * @param[out] options borrowed; not initialised yet.
 * @param[in]  size    sizeof *options.
 * @return InvalidArgument where options is NULL or the size is none it ever had.
 */
strongroom_status strongroom_passphrase_options_init(struct strongroom_passphrase_options *options,
                                                     size_t size);

/**
 * Registers a passphrase as a key provider. The library's copy of it is wiped when no configuration and no store uses it.
 *
 * @param[in]  config          borrowed.
 * @param[in]  name            borrowed; the provider's name, "default" for the one that new tenants use.
 * @param[in]  name_size       its length in bytes.
 * @param[in]  passphrase      borrowed; any bytes, at most 65,536.
 * @param[in]  passphrase_size its length in bytes.
 * @param[in]  options         borrowed; NULL is the defaults.
 * @param[out] error           owned, or NULL: why it failed.
 * @return InvalidArgument for what is NULL or not UTF-8; LimitExceeded. Costs are checked when a key is wrapped.
 */
strongroom_status strongroom_config_passphrase(struct strongroom_config *config,
                                               const char *name,
                                               size_t name_size,
                                               const uint8_t *passphrase,
                                               size_t passphrase_size,
                                               const struct strongroom_passphrase_options *options,
                                               struct strongroom_error **error);

/**
 * Registers functions of the application as a key provider: a KMS, an HSM. They are called from any thread, several at a
 * time, until neither a configuration nor a store uses the provider; then destroy is called, once.
 *
 * @param[in]  config    borrowed.
 * @param[in]  name      borrowed; the provider's name, "default" for the one that new tenants use.
 * @param[in]  name_size its length in bytes.
 * @param[in]  provider  borrowed; its context is owned from success on, and given to destroy at the end.
 * @param[out] error     owned, or NULL: why it failed; then destroy is not called.
 * @return InvalidArgument for what is NULL or not UTF-8, or a provider without wrap or unwrap.
 */
strongroom_status strongroom_config_key_provider(struct strongroom_config *config,
                                                 const char *name,
                                                 size_t name_size,
                                                 const struct strongroom_key_provider *provider,
                                                 struct strongroom_error **error);

/**
 * Sets up a provider: no functions yet.
 *
 * @param[out] provider borrowed; not initialised yet.
 * @param[in]  size     sizeof *provider.
 * @return InvalidArgument where provider is NULL or the size is none it ever had.
 */
strongroom_status strongroom_key_provider_init(struct strongroom_key_provider *provider, size_t size);

/**
 * Creates a store with the regions of the configuration, its key store, and what its key provider keeps. Durable when this
 * returns.
 *
 * @param[in]  config borrowed.
 * @param[out] engine owned: freed with strongroom_engine_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return AlreadyExists where any of it is there already, even in part; InvalidArgument for a configuration that
 *         contradicts itself or bounds; KeyUnavailable from the key provider; Unavailable on a processor that lacks what
 *         the library was compiled for; Io. After an error the remains of the attempt have to be removed by hand.
 */
strongroom_status strongroom_engine_create(const struct strongroom_config *config,
                                           struct strongroom_engine **engine,
                                           struct strongroom_error **error);

/**
 * Opens a store. Creates nothing.
 *
 * @param[in]  config borrowed.
 * @param[out] engine owned: freed with strongroom_engine_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return Unavailable where the store or its key store is not there (a volume that is not mounted), or on a processor that
 *         lacks what the library was compiled for; Busy where it is open already; KeyUnavailable for a wrong key or
 *         passphrase, with no file changed; NotFound for a region; Unauthentic, Corrupted, RolledBack, UnsupportedFormat
 *         for the catalog's files; InvalidArgument, Io.
 */
strongroom_status strongroom_engine_open(const struct strongroom_config *config,
                                         struct strongroom_engine **engine,
                                         struct strongroom_error **error);

/**
 * Closes a store: waits for what was submitted and its callbacks, checkpoints within a budget, and gives up its locks. What
 * was acknowledged is durable, buffered writes included. Tenants, collections, batches and scans of it stay valid handles,
 * to be freed as ever; calls on them give Poisoned. Whoever closes it while another does waits for that; closing it again
 * does nothing. Where no callback returns for STRONGROOM_CALLBACK_WAIT_MS, the store is closed all the same and this gives
 * Busy: what was submitted may be made or not, and its callbacks are called once the one before them returns.
 *
 * @param[in]  engine borrowed; still to be freed.
 * @param[out] error  owned, or NULL: why it failed.
 * @return the first error met; everything else is closed all the same, and nothing acknowledged as durable is lost. Io,
 *         Forked; Busy where a callback has not returned; InvalidArgument from within a callback of the store.
 */
strongroom_status strongroom_engine_close(struct strongroom_engine *engine,
                                          struct strongroom_error **error);

/**
 * Frees a store's handle. A store that was not closed closes when its last handle is freed, without a checkpoint: nothing
 * durable is lost.
 *
 * @param[in] engine owned: not to be used afterwards; NULL is fine.
 */
void strongroom_engine_free(struct strongroom_engine *engine);

/**
 * The store's id.
 *
 * @param[in]  engine borrowed.
 * @param[out] id     borrowed; takes 16 bytes.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned.
 */
strongroom_status strongroom_engine_store_id(const struct strongroom_engine *engine,
                                             uint8_t *id,
                                             struct strongroom_error **error);

/**
 * Sets up options: the defaults.
 *
 * @param[out] options borrowed; not initialised yet.
 * @param[in]  size    sizeof *options.
 * @return InvalidArgument where options is NULL or the size is none it ever had.
 */
strongroom_status strongroom_tenant_options_init(struct strongroom_tenant_options *options, size_t size);

/**
 * Creates a tenant with keys of its own. Durable when this returns.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; 1 to 255 bytes of UTF-8 without control characters and without white space at the ends.
 * @param[in]  name_size its length in bytes.
 * @param[in]  options   borrowed; NULL is the defaults.
 * @param[out] tenant    owned: freed with strongroom_tenant_free.
 * @param[out] error     owned, or NULL: why it failed.
 * @return InvalidArgument for a name against these rules; AlreadyExists; NotFound for the region; Unavailable where the
 *         region's volume is not mounted; KeyUnavailable from the key provider; Io, Poisoned, Forked.
 */
strongroom_status strongroom_engine_create_tenant(const struct strongroom_engine *engine,
                                                  const char *name,
                                                  size_t name_size,
                                                  const struct strongroom_tenant_options *options,
                                                  struct strongroom_tenant **tenant,
                                                  struct strongroom_error **error);

/**
 * Opens a tenant. Two handles of one tenant are fine.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size its length in bytes.
 * @param[out] tenant    owned: freed with strongroom_tenant_free.
 * @param[out] error     owned, or NULL: why it failed.
 * @return NotFound; Unavailable where its region's volume is not mounted; KeyMissing, KeyUnavailable for its keyring;
 *         Unauthentic, Corrupted, RolledBack, UnsupportedFormat for its files; InvalidArgument, Io, Poisoned, Forked. Other
 *         tenants are not affected.
 */
strongroom_status strongroom_engine_tenant(const struct strongroom_engine *engine,
                                           const char *name,
                                           size_t name_size,
                                           struct strongroom_tenant **tenant,
                                           struct strongroom_error **error);

/**
 * The tenants there are, ordered by name. None is opened.
 *
 * @param[in]  engine borrowed.
 * @param[out] list   owned: freed with strongroom_list_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return those of reading the catalog: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_engine_tenants(const struct strongroom_engine *engine,
                                            struct strongroom_list **list,
                                            struct strongroom_error **error);

/**
 * What is known of one tenant. It is not opened.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size its length in bytes.
 * @param[out] list      owned: of one tenant, freed with strongroom_list_free.
 * @param[out] error     owned, or NULL: why it failed.
 * @return NotFound, and as strongroom_engine_tenants.
 */
strongroom_status strongroom_engine_tenant_info(const struct strongroom_engine *engine,
                                                const char *name,
                                                size_t name_size,
                                                struct strongroom_list **list,
                                                struct strongroom_error **error);

/**
 * Sizes and counts of a tenant, by its name; a handle of it is not needed.
 *
 * @param[in]     engine    borrowed.
 * @param[in]     name      borrowed; the tenant's name, UTF-8.
 * @param[in]     name_size its length in bytes.
 * @param[in,out] stats     borrowed; set up before.
 * @param[out]    error     owned, or NULL: why it failed.
 * @return as strongroom_engine_tenant.
 */
strongroom_status strongroom_engine_get_tenant_stats(const struct strongroom_engine *engine,
                                                     const char *name,
                                                     size_t name_size,
                                                     struct strongroom_tenant_stats *stats,
                                                     struct strongroom_error **error);

/**
 * How many tenants are open, with or without a handle.
 *
 * @param[in]  engine borrowed.
 * @param[out] count  the number.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_engine_open_tenants(const struct strongroom_engine *engine,
                                                 size_t *count,
                                                 struct strongroom_error **error);

/**
 * The regions of the store, and whether they can be reached now.
 *
 * @param[in]  engine borrowed.
 * @param[out] list   owned: freed with strongroom_list_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_engine_regions(const struct strongroom_engine *engine,
                                            struct strongroom_list **list,
                                            struct strongroom_error **error);

/**
 * The journals that are open, with what they hold and did.
 *
 * @param[in]  engine borrowed.
 * @param[out] list   owned: freed with strongroom_list_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_engine_lanes(const struct strongroom_engine *engine,
                                          struct strongroom_list **list,
                                          struct strongroom_error **error);

/**
 * Makes everything durable that was written as buffered until now.
 *
 * @param[in]  engine borrowed.
 * @param[out] error  owned, or NULL: why it failed.
 * @return Io when a sync fails; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_engine_flush(const struct strongroom_engine *engine,
                                          struct strongroom_error **error);

/**
 * Does what is due: checkpoints, syncs of what is buffered, retirement of journal segments. For a store without a thread
 * of its own (without_background), now and then.
 *
 * @param[in]  engine borrowed.
 * @param[out] error  owned, or NULL: why it failed.
 * @return Io when the disk fails: nothing is lost, and it is tried again the next time; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_engine_tick(const struct strongroom_engine *engine,
                                         struct strongroom_error **error);

/**
 * Puts everything that only the journals have into the tenants' files. Nothing needs it: it shortens the next open. Of a
 * damaged journal it deletes what is damaged, once all of its tenants open.
 *
 * @param[in]  engine borrowed.
 * @param[out] error  owned, or NULL: why it failed.
 * @return Io when the disk fails or is full: nothing is lost; the first error of a region, a journal or a tenant that can't
 *         be opened, and the others are checkpointed all the same; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_engine_checkpoint(const struct strongroom_engine *engine,
                                               struct strongroom_error **error);

/**
 * How the store does. Told from memory but for the regions' markers and the room on their disks: it may be asked each
 * second.
 *
 * @param[in]  engine  borrowed.
 * @param[out] is_good whether nothing needs a person; NULL if it is not wanted.
 * @param[out] json    owned: all of it as JSON, freed with strongroom_buffer_free; NULL if it is not wanted. It names tenants
 *                     by their ids.
 * @param[out] error   owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_engine_health(const struct strongroom_engine *engine,
                                           bool *is_good,
                                           struct strongroom_buffer **json,
                                           struct strongroom_error **error);

/**
 * Verifies everything: markers, keyrings, journals, every block and table, the value of every record, and lists files that
 * belong to nothing. Tenants can be used meanwhile. Reads everything: minutes for hundreds of gigabytes.
 *
 * @param[in]  engine   borrowed.
 * @param[in]  progress called now and then; NULL is fine.
 * @param[in]  context  borrowed for the time of the call; given to progress.
 * @param[out] report   owned: freed with strongroom_report_free.
 * @param[out] error    owned, or NULL: why it failed.
 * @return Ok where it could be verified at all: damage stands in the report. Those of reading the catalog: Unauthentic,
 *         Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_engine_verify(const struct strongroom_engine *engine,
                                           strongroom_progress progress,
                                           void *context,
                                           struct strongroom_report **report,
                                           struct strongroom_error **error);

/**
 * Verifies one tenant.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size its length in bytes.
 * @param[in]  progress  called now and then; NULL is fine.
 * @param[in]  context   borrowed for the time of the call; given to progress.
 * @param[out] report    owned: freed with strongroom_report_free.
 * @param[out] error     owned, or NULL: why it failed.
 * @return NotFound, and as strongroom_engine_verify.
 */
strongroom_status strongroom_engine_verify_tenant(const struct strongroom_engine *engine,
                                                  const char *name,
                                                  size_t name_size,
                                                  strongroom_progress progress,
                                                  void *context,
                                                  struct strongroom_report **report,
                                                  struct strongroom_error **error);

/**
 * Accepts that a tenant's data is older than the key store says: what was acknowledged later is gone, and the tenant goes
 * on from what there is. Handles of the tenant that are open give Poisoned from then on: free them and open it again.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return as strongroom_engine_tenant, but not RolledBack.
 */
strongroom_status strongroom_engine_accept_rollback(const struct strongroom_engine *engine,
                                                    const char *name,
                                                    size_t name_size,
                                                    struct strongroom_error **error);

/**
 * Opens a tenant whose journal is damaged with all of it that can be read. What is lost is lost: restore the journal's
 * files from a copy first if there is one. Handles of the tenant that are open give Poisoned from then on.
 *
 * @param[in]     engine    borrowed.
 * @param[in]     name      borrowed; the tenant's name, UTF-8.
 * @param[in]     name_size its length in bytes.
 * @param[in,out] salvage   borrowed, set up before: what was found. NULL if it is not wanted.
 * @param[out]    error     owned, or NULL: why it failed.
 * @return as strongroom_engine_tenant, but not those of the journal.
 */
strongroom_status strongroom_engine_salvage(const struct strongroom_engine *engine,
                                            const char *name,
                                            size_t name_size,
                                            struct strongroom_salvage *salvage,
                                            struct strongroom_error **error);

/**
 * Frees a tenant's handle.
 *
 * @param[in] tenant owned: not to be used afterwards; NULL is fine.
 */
void strongroom_tenant_free(struct strongroom_tenant *tenant);

/**
 * The tenant's id: what files, logs and errors call it.
 *
 * @param[in]  tenant borrowed.
 * @param[out] id     borrowed; takes 16 bytes.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned.
 */
strongroom_status strongroom_tenant_id(const struct strongroom_tenant *tenant,
                                       uint8_t *id,
                                       struct strongroom_error **error);

/**
 * The tenant's name.
 *
 * @param[in]  tenant    borrowed.
 * @param[out] name      borrowed from the tenant's handle until it is freed; UTF-8, not NUL-terminated.
 * @param[out] name_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned.
 */
strongroom_status strongroom_tenant_name(const struct strongroom_tenant *tenant,
                                         const char **name,
                                         size_t *name_size,
                                         struct strongroom_error **error);

/**
 * A collection by name. It is created by the first put into it, not by this.
 *
 * @param[in]  tenant     borrowed.
 * @param[in]  name       borrowed; 1 to 255 bytes of UTF-8 without control characters and without white space at the ends.
 * @param[in]  name_size  its length in bytes.
 * @param[out] collection owned: freed with strongroom_collection_free.
 * @param[out] error      owned, or NULL: why it failed.
 * @return InvalidArgument for a name against these rules; Poisoned.
 */
strongroom_status strongroom_tenant_collection(const struct strongroom_tenant *tenant,
                                               const char *name,
                                               size_t name_size,
                                               struct strongroom_collection **collection,
                                               struct strongroom_error **error);

/**
 * The collections there are, ordered by name.
 *
 * @param[in]  tenant borrowed.
 * @param[out] list   owned: freed with strongroom_list_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_collections(const struct strongroom_tenant *tenant,
                                                struct strongroom_list **list,
                                                struct strongroom_error **error);

/**
 * Makes an empty collection; a put makes one too where there is none of the name. Durable when this returns.
 *
 * @param[in]  tenant     borrowed.
 * @param[in]  name       borrowed; as for strongroom_tenant_collection.
 * @param[in]  name_size  its length in bytes.
 * @param[out] error      owned, or NULL: why it failed.
 * @return AlreadyExists; InvalidArgument for a name against the rules; Io, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_create_collection(const struct strongroom_tenant *tenant,
                                                      const char *name,
                                                      size_t name_size,
                                                      struct strongroom_error **error);

/**
 * Gives a collection another name: its records stay where they are. Durable when this returns. A handle means the
 * collection that has its name when it is used.
 *
 * @param[in]  tenant    borrowed.
 * @param[in]  from      borrowed; its name.
 * @param[in]  from_size its length in bytes.
 * @param[in]  to        borrowed; its new name.
 * @param[in]  to_size   its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return NotFound; AlreadyExists where there is one of the new name; InvalidArgument for a name against the rules; Io,
 *         Poisoned, Forked.
 */
strongroom_status strongroom_tenant_rename_collection(const struct strongroom_tenant *tenant,
                                                      const char *from,
                                                      size_t from_size,
                                                      const char *to,
                                                      size_t to_size,
                                                      struct strongroom_error **error);

/**
 * Drops a collection: all of its records are gone at once, for snapshots and scans under way too. Durable when this
 * returns, and made whole or not at all. The bytes go out of the tenant's file with its next checkpoint, what is left of
 * them with the next rewrite.
 *
 * @param[in]  tenant    borrowed.
 * @param[in]  name      borrowed; the collection's name.
 * @param[in]  name_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return NotFound; InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_drop_collection(const struct strongroom_tenant *tenant,
                                                    const char *name,
                                                    size_t name_size,
                                                    struct strongroom_error **error);

/**
 * The tenant as it is now, for reads over several collections at one moment.
 *
 * @param[in]  tenant   borrowed.
 * @param[out] snapshot owned: freed with strongroom_snapshot_free.
 * @param[out] error    owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_snapshot(const struct strongroom_tenant *tenant,
                                             struct strongroom_snapshot **snapshot,
                                             struct strongroom_error **error);

/**
 * An empty batch.
 *
 * @param[in]  tenant borrowed.
 * @param[out] batch  owned: freed with strongroom_batch_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned.
 */
strongroom_status strongroom_tenant_batch(const struct strongroom_tenant *tenant,
                                          struct strongroom_batch **batch,
                                          struct strongroom_error **error);

/**
 * Makes everything durable that was written as buffered until now.
 *
 * @param[in]  tenant borrowed.
 * @param[out] error  owned, or NULL: why it failed.
 * @return Io when the sync fails: what was not durable may be lost, and the store has to be opened again; InvalidArgument,
 *         Poisoned, Forked.
 */
strongroom_status strongroom_tenant_flush(const struct strongroom_tenant *tenant,
                                          struct strongroom_error **error);

/**
 * Puts everything that only the journal has into the tenant's file. Readers and writers go on. Nothing needs it: it
 * shortens the next open.
 *
 * @param[in]  tenant borrowed.
 * @param[out] error  owned, or NULL: why it failed.
 * @return Io when the disk fails or is full: nothing is lost; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_checkpoint(const struct strongroom_tenant *tenant,
                                               struct strongroom_error **error);

/**
 * Rewrites the tenant's file: compacts it, leaves the remnants of overwritten records behind, and puts it under a new
 * structure key, destroying the old one. Readers and writers go on. Durable when this returns.
 *
 * @param[in]     tenant   borrowed.
 * @param[in]     progress called now and then; NULL is fine.
 * @param[in]     context  borrowed for the time of the call; given to progress.
 * @param[in,out] rewrite  borrowed, set up before: what was done. NULL if it is not wanted.
 * @param[out]    error    owned, or NULL: why it failed.
 * @return Io when the disk fails or is full, and the tenant goes on with its old file; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_rewrite(const struct strongroom_tenant *tenant,
                                            strongroom_total_progress progress,
                                            void *context,
                                            struct strongroom_rewrite *rewrite,
                                            struct strongroom_error **error);

/**
 * Sets up a tenant's stats.
 *
 * @param[out] stats borrowed; not initialised yet.
 * @param[in]  size  sizeof *stats.
 * @return InvalidArgument where stats is NULL or the size is none it ever had.
 */
strongroom_status strongroom_tenant_stats_init(struct strongroom_tenant_stats *stats, size_t size);

/**
 * Sizes and counts.
 *
 * @param[in]     tenant borrowed.
 * @param[in,out] stats  borrowed; set up before.
 * @param[out]    error  owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_get_stats(const struct strongroom_tenant *tenant,
                                              struct strongroom_tenant_stats *stats,
                                              struct strongroom_error **error);

/**
 * Suspends a tenant: from when this returns, every read and write of its records gives Suspended, through handles, scans and
 * readers that are held too. Expiry and what looks after it go on. No effect on one that is suspended. Durable when this
 * returns.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return NotFound, of one that was removed too; InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_engine_suspend_tenant(const struct strongroom_engine *engine,
                                                   const char *name,
                                                   size_t name_size,
                                                   struct strongroom_error **error);

/**
 * Ends a tenant's suspension: handles that were held work again. Durable when this returns.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return as strongroom_engine_suspend_tenant.
 */
strongroom_status strongroom_engine_resume_tenant(const struct strongroom_engine *engine,
                                                  const char *name,
                                                  size_t name_size,
                                                  struct strongroom_error **error);

/**
 * Gives a tenant another name: its id, data and keys stay as they are, and the old name is free. Handles go on, under the
 * name they were given with. Durable when this returns.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  from      borrowed; its name, UTF-8.
 * @param[in]  from_size its length in bytes.
 * @param[in]  to        borrowed; its new name, as for strongroom_engine_create_tenant.
 * @param[in]  to_size   its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return AlreadyExists where there is one of the new name; else as strongroom_engine_suspend_tenant.
 */
strongroom_status strongroom_engine_rename_tenant(const struct strongroom_engine *engine,
                                                  const char *from,
                                                  size_t from_size,
                                                  const char *to,
                                                  size_t to_size,
                                                  struct strongroom_error **error);

/**
 * Removes a tenant: it is gone at once, for handles that are held too (NotFound), and can be restored until its window is
 * over. Then a sweep erases it. Its name stays taken until then. Durable when this returns.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size its length in bytes.
 * @param[in]  window_ms how long it can be restored, in milliseconds.
 * @param[out] purge_ms  from when on a sweep erases it, in milliseconds since the epoch; NULL if it is not wanted.
 * @param[out] error     owned, or NULL: why it failed.
 * @return as strongroom_engine_suspend_tenant.
 */
strongroom_status strongroom_engine_remove_tenant(const struct strongroom_engine *engine,
                                                  const char *name,
                                                  size_t name_size,
                                                  uint64_t window_ms,
                                                  uint64_t *purge_ms,
                                                  struct strongroom_error **error);

/**
 * Brings a removed tenant back as it was, suspended if it was; without what expired meanwhile. Durable when this returns.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return NotFound where there is no such tenant, or its window is over and nothing of it is held; Conflict for one that was
 *         not removed; InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_engine_restore_tenant(const struct strongroom_engine *engine,
                                                   const char *name,
                                                   size_t name_size,
                                                   struct strongroom_error **error);

/**
 * Erases a tenant for good, removed before or not: all of its keys are destroyed, so that no copy of its data can be read by
 * who has no older copy of the key store; then its files are deleted. Its name is free. Handles that are held give NotFound.
 * Durable when this returns, and finished after a crash.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed. One that says that the tenant is being erased comes after the decision:
 *                       it is gone, and the rest is tried again by each sweep.
 * @return NotFound; Held where anything of it is held; Unavailable where its region's volume is not mounted; Busy while its
 *         last move is not finished; InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_engine_erase_tenant(const struct strongroom_engine *engine,
                                                 const char *name,
                                                 size_t name_size,
                                                 struct strongroom_error **error);

/**
 * Moves a tenant, with its keys, to another region of the store: copied and verified there, then switched, then erased where
 * it was, keys first. Readers and writers go on meanwhile; handles from before then give Poisoned: open the tenant again.
 * Durable when this returns. After a crash the tenant is whole in one of the two regions.
 *
 * @param[in]  engine      borrowed.
 * @param[in]  name        borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size   its length in bytes.
 * @param[in]  region      borrowed; the name of the region it goes to, UTF-8.
 * @param[in]  region_size its length in bytes.
 * @param[in]  flags       STRONGROOM_MOVE_OVERRIDE_RESIDENCY, or 0, and nothing is moved.
 * @param[in]  progress    called now and then with bytes copied; NULL is fine.
 * @param[in]  context     borrowed for the time of the call; given to progress.
 * @param[out] error       owned, or NULL: why it failed.
 * @return InvalidArgument without the flag, and where it is in that region; NotFound of the tenant or the region; Unavailable
 *         where a region's volume is not mounted; Busy while another move of the tenant is under way or unfinished; Conflict
 *         where it was opened anew meanwhile; Io, and the tenant stays where it is, unless the message says that it has moved;
 *         Poisoned, Forked.
 */
strongroom_status strongroom_engine_move_tenant(const struct strongroom_engine *engine,
                                                const char *name,
                                                size_t name_size,
                                                const char *region,
                                                size_t region_size,
                                                uint32_t flags,
                                                strongroom_progress progress,
                                                void *context,
                                                struct strongroom_error **error);

/**
 * Frees a collection's handle.
 *
 * @param[in] collection owned: not to be used afterwards; NULL is fine.
 */
void strongroom_collection_free(struct strongroom_collection *collection);

/**
 * The collection's name.
 *
 * @param[in]  collection borrowed.
 * @param[out] name       borrowed from the collection until it is freed; UTF-8, not NUL-terminated.
 * @param[out] name_size  its length in bytes.
 * @param[out] error      owned, or NULL: why it failed.
 * @return InvalidArgument.
 */
strongroom_status strongroom_collection_name(const struct strongroom_collection *collection,
                                             const char **name,
                                             size_t *name_size,
                                             struct strongroom_error **error);

/**
 * Sets up options: the defaults.
 *
 * @param[out] options borrowed; not initialised yet.
 * @param[in]  size    sizeof *options.
 * @return InvalidArgument where options is NULL or the size is none it ever had.
 */
strongroom_status strongroom_put_options_init(struct strongroom_put_options *options, size_t size);

/**
 * Puts a record, over what is there. Durable when this returns, unless the store or the options say otherwise.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes of anything.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  value      borrowed; 0 to 1,048,576 bytes of anything. An empty value is any pointer but NULL.
 * @param[in]  value_size its length in bytes.
 * @param[in]  options    borrowed; NULL is the defaults.
 * @param[out] version    the record's version; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return InvalidArgument and LimitExceeded against these bounds; Conflict where the condition does not hold; Io when the
 *         disk fails or is full, and then the record may still be there after the next open; Poisoned after a failed sync or
 *         when the store was closed; Forked.
 */
strongroom_status strongroom_collection_put(const struct strongroom_collection *collection,
                                            const uint8_t *key,
                                            size_t key_size,
                                            const uint8_t *value,
                                            size_t value_size,
                                            const struct strongroom_put_options *options,
                                            struct strongroom_version *version,
                                            struct strongroom_error **error);

/**
 * Gets a record's value.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[out] value      owned: freed with strongroom_buffer_free; NULL where there is no such record.
 * @param[out] error      owned, or NULL: why it failed.
 * @return Unauthentic or Corrupted for a damaged record, never a wrong value; KeyMissing where the key store has lost its
 *         key; KeyUnavailable from the key provider; InvalidArgument, LimitExceeded, Poisoned, Forked.
 */
strongroom_status strongroom_collection_get(const struct strongroom_collection *collection,
                                            const uint8_t *key,
                                            size_t key_size,
                                            struct strongroom_buffer **value,
                                            struct strongroom_error **error);

/**
 * Gets a record's value into memory of the caller's, who wipes it.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[out] buffer     borrowed; where the value is copied to. NULL where the capacity is 0.
 * @param[in]  capacity   how much fits there, in bytes.
 * @param[out] value_size the value's length in bytes. Where it is over the capacity nothing was copied: call again with
 *                        more. STRONGROOM_ABSENT where there is no such record.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_collection_get.
 */
strongroom_status strongroom_collection_get_into(const struct strongroom_collection *collection,
                                                 const uint8_t *key,
                                                 size_t key_size,
                                                 uint8_t *buffer,
                                                 size_t capacity,
                                                 size_t *value_size,
                                                 struct strongroom_error **error);

/**
 * Sets up a record's info.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_record_info_init(struct strongroom_record_info *info, size_t size);

/**
 * What is known of a record. Its value is not opened.
 *
 * @param[in]     collection borrowed.
 * @param[in]     key        borrowed; 1 to 4,096 bytes.
 * @param[in]     key_size   its length in bytes.
 * @param[in,out] info       borrowed; set up before.
 * @param[out]    error      owned, or NULL: why it failed.
 * @return Unauthentic or Corrupted where the file is damaged there; InvalidArgument, LimitExceeded, Poisoned, Forked.
 */
strongroom_status strongroom_collection_get_info(const struct strongroom_collection *collection,
                                                 const uint8_t *key,
                                                 size_t key_size,
                                                 struct strongroom_record_info *info,
                                                 struct strongroom_error **error);

/**
 * Begins a scan: the records as they are now, which later writes do not change.
 *
 * @param[in]  collection borrowed.
 * @param[in]  options    borrowed; NULL is the whole collection, ascending.
 * @param[out] scan       owned: freed with strongroom_scan_free.
 * @param[out] error      owned, or NULL: why it failed.
 * @return InvalidArgument, LimitExceeded for the options; Unauthentic or Corrupted where the file is damaged; Poisoned,
 *         Forked.
 */
strongroom_status strongroom_collection_scan(const struct strongroom_collection *collection,
                                             const struct strongroom_scan_options *options,
                                             struct strongroom_scan **scan,
                                             struct strongroom_error **error);

/**
 * Erases a record: gone at once, for scans under way too, durable when this returns. What is left of it in the bytes of
 * files goes with the next rewrite.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[out] existed    whether there was such a record; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return InvalidArgument, LimitExceeded for a key; Io, Poisoned, Forked as strongroom_collection_put.
 */
strongroom_status strongroom_collection_erase(const struct strongroom_collection *collection,
                                              const uint8_t *key,
                                              size_t key_size,
                                              bool *existed,
                                              struct strongroom_error **error);

/**
 * Erases a record, if it still has this version.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  version    borrowed; the version it must have.
 * @param[out] error      owned, or NULL: why it failed.
 * @return Conflict where it has another one, or is not there; else as strongroom_collection_erase.
 */
strongroom_status strongroom_collection_erase_if_version(const struct strongroom_collection *collection,
                                                         const uint8_t *key,
                                                         size_t key_size,
                                                         const struct strongroom_version *version,
                                                         struct strongroom_error **error);

/**
 * Erases the records of a range. In batches, each durable, so that it may hold any number: an error leaves what was erased
 * before it erased, and the same call goes on. A record that is put meanwhile may stay.
 *
 * @param[in]  collection borrowed.
 * @param[in]  from       borrowed; keys from this one on. NULL: from the first one.
 * @param[in]  from_size  its length in bytes.
 * @param[in]  to         borrowed; keys before this one. NULL: to the last one.
 * @param[in]  to_size    its length in bytes.
 * @param[out] erased     how many there were; NULL if it is not wanted.
 * @param[out] held       how many stay, because a hold covers them or the policy's minimum keeps them; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_collection_erase, and those of reading: Unauthentic, Corrupted.
 */
strongroom_status strongroom_collection_erase_range(const struct strongroom_collection *collection,
                                                    const uint8_t *from,
                                                    size_t from_size,
                                                    const uint8_t *to,
                                                    size_t to_size,
                                                    uint64_t *erased,
                                                    uint64_t *held,
                                                    struct strongroom_error **error);

/**
 * Erases the records whose keys begin with a prefix, as strongroom_collection_erase_range does.
 *
 * @param[in]  collection  borrowed.
 * @param[in]  prefix      borrowed; an empty one is any pointer but NULL, and erases all.
 * @param[in]  prefix_size its length in bytes.
 * @param[out] erased      how many there were; NULL if it is not wanted.
 * @param[out] held        how many stay, as strongroom_collection_erase_range says; NULL if it is not wanted.
 * @param[out] error       owned, or NULL: why it failed.
 * @return as strongroom_collection_erase_range.
 */
strongroom_status strongroom_collection_erase_prefix(const struct strongroom_collection *collection,
                                                     const uint8_t *prefix,
                                                     size_t prefix_size,
                                                     uint64_t *erased,
                                                     uint64_t *held,
                                                     struct strongroom_error **error);

/**
 * How many records a scan would give. No value is opened; it reads every one of them.
 *
 * @param[in]  collection borrowed.
 * @param[in]  options    borrowed; NULL is the whole collection.
 * @param[out] count      the number.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_collection_scan.
 */
strongroom_status strongroom_collection_count(const struct strongroom_collection *collection,
                                              const struct strongroom_scan_options *options,
                                              uint64_t *count,
                                              struct strongroom_error **error);

/**
 * Sets up what a list of indexes fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_index_info_init(struct strongroom_index_info *info, size_t size);

/**
 * One of a list of indexes.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_index(const struct strongroom_list *list,
                                            size_t index,
                                            struct strongroom_index_info *info,
                                            struct strongroom_error **error);

/**
 * Declares an index: from then on puts may give records keys in it. In a collection that has no records it can be searched
 * at once. Where the same is declared already, nothing is done. The collection is created if need be. Durable when this
 * returns.
 *
 * @param[in]  collection borrowed.
 * @param[in]  name       borrowed; 1 to 255 bytes of UTF-8 without control characters and without white space at the ends.
 * @param[in]  name_size  its length in bytes.
 * @param[in]  kind       a STRONGROOM_INDEX.
 * @param[out] error      owned, or NULL: why it failed.
 * @return InvalidArgument; AlreadyExists where one of another kind has the name; LimitExceeded beyond 32 indexes; Io,
 *         Poisoned, Forked.
 */
strongroom_status strongroom_collection_declare_index(const struct strongroom_collection *collection,
                                                      const char *name,
                                                      size_t name_size,
                                                      uint32_t kind,
                                                      struct strongroom_error **error);

/**
 * Adds a key of the record that strongroom_index_keys is called with.
 *
 * @param[in]  sink     borrowed; what strongroom_index_keys was given.
 * @param[in]  key      borrowed; 1 to 1,024 bytes.
 * @param[in]  key_size its length in bytes.
 * @param[out] error    owned, or NULL: why it failed.
 * @return InvalidArgument, LimitExceeded for a key.
 */
strongroom_status strongroom_key_sink_add(struct strongroom_key_sink *sink,
                                          const uint8_t *key,
                                          size_t key_size,
                                          struct strongroom_error **error);

/**
 * Builds an index that was declared where records were already: gives each of them its keys, and then the index can be
 * searched. Readers and writers go on. Interrupted, it can be begun again.
 *
 * @param[in]  collection borrowed.
 * @param[in]  name       borrowed; the index's name.
 * @param[in]  name_size  its length in bytes.
 * @param[in]  keys       called for each record.
 * @param[in]  progress   called now and then with the number of records looked at since; NULL is fine.
 * @param[in]  context    borrowed for the time of the call; given to keys and progress.
 * @param[out] built      how many records got keys; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return NotFound where no such index is declared; Conflict where two records have one key in a unique index; Cancelled
 *         where keys gives false; those of reading and writing: Unauthentic, Corrupted, KeyUnavailable, Io;
 *         InvalidArgument, LimitExceeded, Poisoned, Forked.
 */
strongroom_status strongroom_collection_build_index(const struct strongroom_collection *collection,
                                                    const char *name,
                                                    size_t name_size,
                                                    strongroom_index_keys keys,
                                                    strongroom_progress progress,
                                                    void *context,
                                                    uint64_t *built,
                                                    struct strongroom_error **error);

/**
 * Drops an index: it is gone at once, its bytes with the next checkpoint. Records stay as they are.
 *
 * @param[in]  collection borrowed.
 * @param[in]  name       borrowed; the index's name.
 * @param[in]  name_size  its length in bytes.
 * @param[out] error      owned, or NULL: why it failed.
 * @return NotFound; InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_collection_drop_index(const struct strongroom_collection *collection,
                                                   const char *name,
                                                   size_t name_size,
                                                   struct strongroom_error **error);

/**
 * The indexes that are declared, ordered by name.
 *
 * @param[in]  collection borrowed.
 * @param[out] list       owned: freed with strongroom_list_free.
 * @param[out] error      owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_collection_indexes(const struct strongroom_collection *collection,
                                                struct strongroom_list **list,
                                                struct strongroom_error **error);

/**
 * Finds the records that have a key in an index, in the order of their own keys: at most one where the index is unique.
 *
 * @param[in]  collection borrowed.
 * @param[in]  index      borrowed; the index's name.
 * @param[in]  index_size its length in bytes.
 * @param[in]  key        borrowed; the key in the index.
 * @param[in]  key_size   its length in bytes.
 * @param[out] scan       owned: freed with strongroom_scan_free.
 * @param[out] error      owned, or NULL: why it failed.
 * @return NotFound where no such index is declared; Unavailable where it is not built yet; else as
 *         strongroom_collection_scan.
 */
strongroom_status strongroom_collection_find(const struct strongroom_collection *collection,
                                             const char *index,
                                             size_t index_size,
                                             const uint8_t *key,
                                             size_t key_size,
                                             struct strongroom_scan **scan,
                                             struct strongroom_error **error);

/**
 * The records whose keys in an index lie in a range, in the order of these keys, and then of their own. A record with
 * several such keys comes several times.
 *
 * @param[in]  collection borrowed.
 * @param[in]  index      borrowed; the index's name.
 * @param[in]  index_size its length in bytes.
 * @param[in]  options    borrowed; range and prefix of keys in the index. NULL is the whole index, ascending.
 * @param[out] scan       owned: freed with strongroom_scan_free.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_collection_find.
 */
strongroom_status strongroom_collection_find_range(const struct strongroom_collection *collection,
                                                   const char *index,
                                                   size_t index_size,
                                                   const struct strongroom_scan_options *options,
                                                   struct strongroom_scan **scan,
                                                   struct strongroom_error **error);

/**
 * Sets up a policy: nothing is limited.
 *
 * @param[out] policy borrowed; not initialised yet.
 * @param[in]  size   sizeof *policy.
 * @return InvalidArgument where policy is NULL or the size is none it ever had.
 */
strongroom_status strongroom_policy_init(struct strongroom_policy *policy, size_t size);

/**
 * The tenant's policy.
 *
 * @param[in]     tenant borrowed.
 * @param[in,out] policy borrowed; set up before.
 * @param[out]    error  owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_get_policy(const struct strongroom_tenant *tenant,
                                               struct strongroom_policy *policy,
                                               struct strongroom_error **error);

/**
 * Sets the tenant's policy, as a whole, for all collections that do not override it: for records that are put from now on, and,
 * with the next sweeps, for those that are there.
 * Durable when this returns.
 *
 * @param[in]  tenant borrowed.
 * @param[in]  policy borrowed; NULL limits nothing.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument for a member that is none, a retention or maximum below the minimum, and what can't be erased within
 *         the time promised, of the tenant or of a collection with what it overrides; Io, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_set_policy(const struct strongroom_tenant *tenant,
                                               const struct strongroom_policy *policy,
                                               struct strongroom_error **error);

/**
 * The collection's own policy, without what it has of its tenant.
 *
 * @param[in]     collection borrowed.
 * @param[in,out] policy     borrowed; set up before.
 * @param[out]    error      owned, or NULL: why it failed.
 * @return as strongroom_tenant_get_policy.
 */
strongroom_status strongroom_collection_get_policy(const struct strongroom_collection *collection,
                                                   struct strongroom_policy *policy,
                                                   struct strongroom_error **error);

/**
 * Sets the collection's policy, as a whole: what it sets overrides the tenant's, as strongroom_tenant_set_policy says.
 * Durable when this returns.
 *
 * @param[in]  collection borrowed.
 * @param[in]  policy     borrowed; NULL overrides nothing.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_tenant_set_policy.
 */
strongroom_status strongroom_collection_set_policy(const struct strongroom_collection *collection,
                                                   const struct strongroom_policy *policy,
                                                   struct strongroom_error **error);

/**
 * Removes every record that has expired from the tenants' files. The store's own thread does it by itself now and then.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; one tenant's name, UTF-8. NULL: all tenants.
 * @param[in]  name_size its length in bytes.
 * @param[out] swept     how many records there were; NULL if it is not wanted.
 * @param[out] held      how many have expired and stay, because a hold covers them; NULL if it is not wanted.
 * @param[out] error     owned, or NULL: why it failed.
 * @return ClockJump where the clock has jumped, and nothing is swept; NotFound; the first error of a tenant, and the others
 *         are swept all the same; InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_engine_sweep(const struct strongroom_engine *engine,
                                          const char *name,
                                          size_t name_size,
                                          uint64_t *swept,
                                          uint64_t *held,
                                          struct strongroom_error **error);

/**
 * Trusts what the clock says now, after it jumped: what is due by it is destroyed from now on. Durable when this returns.
 *
 * @param[in]  engine borrowed.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_engine_confirm_clock(const struct strongroom_engine *engine,
                                                  struct strongroom_error **error);

/**
 * Sets up what the application of policies fills.
 *
 * @param[out] report borrowed; not initialised yet.
 * @param[in]  size   sizeof *report.
 * @return InvalidArgument where report is NULL or the size is none it ever had.
 */
strongroom_status strongroom_policy_report_init(struct strongroom_policy_report *report, size_t size);

/**
 * Applies policies that were changed to the records that are there, removed ones too, beside readers and writers; the sweep does
 * the same by and by. Values and versions stay. It goes on where an earlier one was interrupted. Durable when this returns.
 *
 * @param[in]     tenant   borrowed.
 * @param[in]     options  borrowed; NULL is the defaults.
 * @param[in]     progress called now and then with records; NULL is fine.
 * @param[in]     context  borrowed for the time of the call; given to progress.
 * @param[in,out] report   borrowed, set up before: what was done. NULL if it is not wanted.
 * @param[out]    error    owned, or NULL: why it failed; what was done until then stays done.
 * @return those of reading and writing: Unauthentic, Corrupted, KeyUnavailable, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_apply_policies(const struct strongroom_tenant *tenant,
                                                   const struct strongroom_rekey_options *options,
                                                   strongroom_total_progress progress,
                                                   void *context,
                                                   struct strongroom_policy_report *report,
                                                   struct strongroom_error **error);

/**
 * Since when there is a policy that is not applied yet to all records that are there.
 *
 * @param[in]  tenant   borrowed.
 * @param[out] since_ms in milliseconds since the epoch; 0: there is none.
 * @param[out] error    owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_policies_pending_since(const struct strongroom_tenant *tenant,
                                                           uint64_t *since_ms,
                                                           struct strongroom_error **error);

/**
 * Sets up what a list of subjects fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_subject_info_init(struct strongroom_subject_info *info, size_t size);

/**
 * Sets up what a list of a subject's records fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_subject_record_info_init(struct strongroom_subject_record_info *info,
                                                      size_t size);

/**
 * One of a list of subjects.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_subject(const struct strongroom_list *list,
                                              size_t index,
                                              struct strongroom_subject_info *info,
                                              struct strongroom_error **error);

/**
 * One of a list of a subject's records.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_subject_record(const struct strongroom_list *list,
                                                     size_t index,
                                                     struct strongroom_subject_record_info *info,
                                                     struct strongroom_error **error);

/**
 * The subjects that records were put with and that were not erased, ordered by name; all of them are in the list.
 *
 * @param[in]  tenant borrowed.
 * @param[out] list   owned: freed with strongroom_list_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Suspended, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_subjects(const struct strongroom_tenant *tenant,
                                             struct strongroom_list **list,
                                             struct strongroom_error **error);

/**
 * The records that were put with a subject, over all collections, by collection and key, without their values: all of them are
 * in the list.
 *
 * @param[in]  tenant       borrowed.
 * @param[in]  subject      borrowed; UTF-8 of 1 to 255 bytes.
 * @param[in]  subject_size its length in bytes.
 * @param[out] list         owned: freed with strongroom_list_free.
 * @param[out] error        owned, or NULL: why it failed.
 * @return as strongroom_tenant_subjects.
 */
strongroom_status strongroom_tenant_subject_records(const struct strongroom_tenant *tenant,
                                                    const char *subject,
                                                    size_t subject_size,
                                                    struct strongroom_list **list,
                                                    struct strongroom_error **error);

/**
 * Erases a subject: destroys its key, and with it the values of all records that were put with it, here and in every copy of the
 * data, for all who hold no older copy of the key store; then removes these records from all collections. Durable when this
 * returns. The key is gone first, in a time that does not depend on how many records there are; what a crash leaves of them is
 * removed when the tenant is opened again.
 *
 * @param[in]  tenant       borrowed.
 * @param[in]  subject      borrowed; UTF-8 of 1 to 255 bytes.
 * @param[in]  subject_size its length in bytes.
 * @param[out] existed      whether there was such a key; NULL if it is not wanted.
 * @param[out] error        owned, or NULL: why it failed.
 * @return Held where a hold covers the subject, or any record of it, or a policy still keeps one, and nothing is erased; InvalidArgument; Io of the journal, and nothing is destroyed, or of the key store, and the key is destroyed later;
 *         Poisoned, Forked.
 */
strongroom_status strongroom_tenant_erase_subject(const struct strongroom_tenant *tenant,
                                                  const char *subject,
                                                  size_t subject_size,
                                                  bool *existed,
                                                  struct strongroom_error **error);

/**
 * Sets up a selector: all of the tenant.
 *
 * @param[out] selector borrowed; not initialised yet.
 * @param[in]  size     sizeof *selector.
 * @return InvalidArgument where selector is NULL or the size is none it ever had.
 */
strongroom_status strongroom_selector_init(struct strongroom_selector *selector, size_t size);

/**
 * Sets up what a list of holds fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_hold_info_init(struct strongroom_hold_info *info, size_t size);

/**
 * One of a list of holds.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_hold(const struct strongroom_list *list,
                                           size_t index,
                                           struct strongroom_hold_info *info,
                                           struct strongroom_error **error);

/**
 * Places a legal hold: from when this returns on nothing is erased that it covers, whatever asks for it; that gives Held.
 * What expires is gone from every answer all the same, and stays in the store. Durable when this returns. Copies that were
 * made of the store before are not its business.
 *
 * @param[in]  tenant    borrowed.
 * @param[in]  name      borrowed; the hold's, 1 to 255 bytes of UTF-8 as a collection's name.
 * @param[in]  name_size its length in bytes.
 * @param[in]  selector  borrowed; what it covers. NULL: all of the tenant.
 * @param[out] error     owned, or NULL: why it failed.
 * @return AlreadyExists; NotFound for the collection; LimitExceeded beyond 10,000 holds, or for a key; InvalidArgument, Io,
 *         Poisoned, Forked.
 */
strongroom_status strongroom_tenant_hold(const struct strongroom_tenant *tenant,
                                         const char *name,
                                         size_t name_size,
                                         const struct strongroom_selector *selector,
                                         struct strongroom_error **error);

/**
 * Releases a hold: what is overdue and no other one covers goes with the next sweep. Durable when this returns.
 *
 * @param[in]  tenant    borrowed.
 * @param[in]  name      borrowed; the hold's.
 * @param[in]  name_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return NotFound; InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_release_hold(const struct strongroom_tenant *tenant,
                                                 const char *name,
                                                 size_t name_size,
                                                 struct strongroom_error **error);

/**
 * The holds there are, ordered by name.
 *
 * @param[in]  tenant borrowed.
 * @param[out] list   owned: freed with strongroom_list_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; UnsupportedFormat for a hold of a newer version, which holds
 *         everything here; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_holds(const struct strongroom_tenant *tenant,
                                          struct strongroom_list **list,
                                          struct strongroom_error **error);

/**
 * Sets up what a list of a ledger's entries fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_ledger_info_init(struct strongroom_ledger_info *info, size_t size);

/**
 * Sets up what a receipt, or a list of them, fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_receipt_info_init(struct strongroom_receipt_info *info, size_t size);

/**
 * Sets up what a horizon fills.
 *
 * @param[out] horizon borrowed; not initialised yet.
 * @param[in]  size    sizeof *horizon.
 * @return InvalidArgument where horizon is NULL or the size is none it ever had.
 */
strongroom_status strongroom_horizon_init(struct strongroom_horizon *horizon, size_t size);

/**
 * One of a list of a ledger's entries.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed; set up before.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_ledger(const struct strongroom_list *list,
                                             size_t index,
                                             struct strongroom_ledger_info *info,
                                             struct strongroom_error **error);

/**
 * One of a list of receipts.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed; set up before.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_receipt(const struct strongroom_list *list,
                                              size_t index,
                                              struct strongroom_receipt_info *info,
                                              struct strongroom_error **error);

/**
 * The entries of the tenant's erasure ledger, the oldest first, each authenticated. It grows with every key that is
 * destroyed, every receipt and every scrub.
 *
 * @param[in]  tenant borrowed.
 * @param[out] list   owned: freed with strongroom_list_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return RolledBack where entries are missing at its end, Unauthentic where one was changed; InvalidArgument, Io, Poisoned,
 *         Forked.
 */
strongroom_status strongroom_tenant_ledger(const struct strongroom_tenant *tenant,
                                           struct strongroom_list **list,
                                           struct strongroom_error **error);

/**
 * Writes a receipt into the ledger, for everything that was erased until now. It names the time by which the sealed bytes are
 * in no file of the tenant and no journal either. Durable when this returns.
 *
 * @param[in]     tenant  borrowed.
 * @param[in,out] receipt borrowed, set up before. NULL if it is not wanted.
 * @param[out]    error   owned, or NULL: why it failed.
 * @return InvalidArgument, Io of the journal or the key store, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_receipt(const struct strongroom_tenant *tenant,
                                            struct strongroom_receipt_info *receipt,
                                            struct strongroom_error **error);

/**
 * The receipts that were given, the oldest first, each with whether what it covers was scrubbed.
 *
 * @param[in]  tenant borrowed.
 * @param[out] list   owned: freed with strongroom_list_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return as strongroom_tenant_ledger.
 */
strongroom_status strongroom_tenant_receipts(const struct strongroom_tenant *tenant,
                                             struct strongroom_list **list,
                                             struct strongroom_error **error);

/**
 * Removes the sealed bytes of everything that was erased until now from the tenant's file and its journal, and says so in the
 * ledger. The sweep does it by itself before the deadline. Readers and writers go on. Durable when this returns.
 *
 * @param[in]  tenant   borrowed.
 * @param[in]  progress called now and then with rows; NULL is fine.
 * @param[in]  context  borrowed for the time of the call; given to progress.
 * @param[out] through  the last change that was covered; NULL if it is not wanted.
 * @param[out] error    owned, or NULL: why it failed.
 * @return Io, and nothing is lost; Corrupted where the journal is damaged: nothing of it is deleted then; InvalidArgument,
 *         Poisoned, Forked.
 */
strongroom_status strongroom_tenant_scrub(const struct strongroom_tenant *tenant,
                                          strongroom_total_progress progress,
                                          void *context,
                                          struct strongroom_version *through,
                                          struct strongroom_error **error);

/**
 * By when what is erased now can't be read any more in older copies. Records that expire, and records of a subject whose key
 * is destroyed, can't be read in copies of the data as soon as that key is gone.
 *
 * @param[in]     tenant  borrowed.
 * @param[in,out] horizon borrowed; set up before.
 * @param[out]    error   owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_get_horizon(const struct strongroom_tenant *tenant,
                                                struct strongroom_horizon *horizon,
                                                struct strongroom_error **error);

/**
 * Sets up a quota: no bounds.
 *
 * @param[out] quota borrowed; not initialised yet.
 * @param[in]  size  sizeof *quota.
 * @return InvalidArgument where quota is NULL or the size is none it ever had.
 */
strongroom_status strongroom_quota_init(struct strongroom_quota *quota, size_t size);

/**
 * Sets up what a usage fills.
 *
 * @param[out] usage borrowed; not initialised yet.
 * @param[in]  size  sizeof *usage.
 * @return InvalidArgument where usage is NULL or the size is none it ever had.
 */
strongroom_status strongroom_usage_init(struct strongroom_usage *usage, size_t size);

/**
 * Sets how much the tenant may hold, all collections together. What is over it already stays, but puts that add to it are
 * refused with LimitExceeded. Durable when this returns.
 *
 * @param[in]  tenant borrowed.
 * @param[in]  quota  borrowed; NULL takes the bounds away.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_set_quota(const struct strongroom_tenant *tenant,
                                              const struct strongroom_quota *quota,
                                              struct strongroom_error **error);

/**
 * How much the tenant may hold.
 *
 * @param[in]     tenant borrowed.
 * @param[in,out] quota  borrowed; set up before.
 * @param[out]    error  owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_get_quota(const struct strongroom_tenant *tenant,
                                              struct strongroom_quota *quota,
                                              struct strongroom_error **error);

/**
 * What the tenant holds, exactly. Costs a lookup for each record that only the journal has.
 *
 * @param[in]     tenant borrowed.
 * @param[in,out] usage  borrowed; set up before.
 * @param[out]    error  owned, or NULL: why it failed.
 * @return as strongroom_tenant_get_quota.
 */
strongroom_status strongroom_tenant_get_usage(const struct strongroom_tenant *tenant,
                                              struct strongroom_usage *usage,
                                              struct strongroom_error **error);

/**
 * Sets how much the collection may hold, as strongroom_tenant_set_quota does; it is created if need be.
 *
 * @param[in]  collection borrowed.
 * @param[in]  quota      borrowed; NULL takes the bounds away.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_tenant_set_quota; NotFound where the collection was dropped meanwhile.
 */
strongroom_status strongroom_collection_set_quota(const struct strongroom_collection *collection,
                                                  const struct strongroom_quota *quota,
                                                  struct strongroom_error **error);

/**
 * How much the collection may hold, whatever its tenant may.
 *
 * @param[in]     collection borrowed.
 * @param[in,out] quota      borrowed; set up before.
 * @param[out]    error      owned, or NULL: why it failed.
 * @return as strongroom_tenant_get_quota.
 */
strongroom_status strongroom_collection_get_quota(const struct strongroom_collection *collection,
                                                  struct strongroom_quota *quota,
                                                  struct strongroom_error **error);

/**
 * What the collection holds, as strongroom_tenant_get_usage.
 *
 * @param[in]     collection borrowed.
 * @param[in,out] usage      borrowed; set up before.
 * @param[out]    error      owned, or NULL: why it failed.
 * @return as strongroom_tenant_get_usage.
 */
strongroom_status strongroom_collection_get_usage(const struct strongroom_collection *collection,
                                                  struct strongroom_usage *usage,
                                                  struct strongroom_error **error);

/**
 * Sets up what a list of data keys fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_data_key_info_init(struct strongroom_data_key_info *info, size_t size);

/**
 * Sets up options: the defaults.
 *
 * @param[out] options borrowed; not initialised yet.
 * @param[in]  size    sizeof *options.
 * @return InvalidArgument where options is NULL or the size is none it ever had.
 */
strongroom_status strongroom_rekey_options_init(struct strongroom_rekey_options *options, size_t size);

/**
 * Sets up what a rekey fills.
 *
 * @param[out] rekey borrowed; not initialised yet.
 * @param[in]  size  sizeof *rekey.
 * @return InvalidArgument where rekey is NULL or the size is none it ever had.
 */
strongroom_status strongroom_rekey_init(struct strongroom_rekey *rekey, size_t size);

/**
 * One of a list of data keys.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed; set up before.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_data_key(const struct strongroom_list *list,
                                               size_t index,
                                               struct strongroom_data_key_info *info,
                                               struct strongroom_error **error);

/**
 * The data keys there are and were, the oldest first.
 *
 * @param[in]  tenant borrowed.
 * @param[out] list   owned: freed with strongroom_list_free.
 * @param[out] error  owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_data_keys(const struct strongroom_tenant *tenant,
                                              struct strongroom_list **list,
                                              struct strongroom_error **error);

/**
 * Makes a new data key, which new records are sealed under; older ones stay under theirs until strongroom_tenant_rekey.
 * Durable when this returns. The store does it by itself by age and count.
 *
 * @param[in]  tenant     borrowed.
 * @param[out] generation the new key's; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return KeyUnavailable from the key provider; LimitExceeded where the keyring is full; InvalidArgument, Io, Poisoned,
 *         Forked.
 */
strongroom_status strongroom_tenant_rotate_data_key(const struct strongroom_tenant *tenant,
                                                    uint32_t *generation,
                                                    struct strongroom_error **error);

/**
 * Seals all records anew that are under an older data key; value, times and version stay. Readers and writers go on. It
 * goes on where an earlier one was interrupted. Durable when this returns.
 *
 * @param[in]     tenant   borrowed.
 * @param[in]     options  borrowed; NULL is the defaults.
 * @param[in]     progress called now and then with records; NULL is fine.
 * @param[in]     context  borrowed for the time of the call; given to progress.
 * @param[in,out] rekey    borrowed, set up before: what was done. NULL if it is not wanted.
 * @param[out]    error    owned, or NULL: why it failed; what was done until then stays done.
 * @return those of reading and writing: Unauthentic, Corrupted, KeyUnavailable, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_rekey(const struct strongroom_tenant *tenant,
                                          const struct strongroom_rekey_options *options,
                                          strongroom_total_progress progress,
                                          void *context,
                                          struct strongroom_rekey *rekey,
                                          struct strongroom_error **error);

/**
 * Destroys a data key that no record is sealed under any more; durable when this returns. What was sealed under it and is
 * not written yet is refused with Conflict; a snapshot from before a rekey gives SnapshotExpired where it would need it.
 *
 * @param[in]  tenant     borrowed.
 * @param[in]  generation the key's.
 * @param[out] error      owned, or NULL: why it failed.
 * @return NotFound where there is none such, or it was destroyed; Conflict where it is the current one, or records are under
 *         it; InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_retire_data_key(const struct strongroom_tenant *tenant,
                                                    uint32_t generation,
                                                    struct strongroom_error **error);

/**
 * Says by when no record is to be sealed under a data key any more, nor under an older one; durable when this returns. Rounds of
 * maintenance and sweeps seal a bounded number of records anew each; health tells where the time is over and it is not done. It
 * takes the place of an earlier deadline, and destroys no key.
 *
 * @param[in]  tenant     borrowed.
 * @param[in]  generation the key's.
 * @param[in]  by_ms      by when, in milliseconds since the epoch.
 * @param[out] error      owned, or NULL: why it failed.
 * @return NotFound where there is none such, or it was destroyed; Conflict where it is the current one: rotate first;
 *         InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_set_rekey_deadline(const struct strongroom_tenant *tenant,
                                                       uint32_t generation,
                                                       uint64_t by_ms,
                                                       struct strongroom_error **error);

/**
 * Takes the deadline back, where there is one; durable when this returns. What was sealed anew stays so.
 *
 * @param[in]  tenant borrowed.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_clear_rekey_deadline(const struct strongroom_tenant *tenant,
                                                         struct strongroom_error **error);

/**
 * The deadline that was set last, a met one too.
 *
 * @param[in]  tenant     borrowed.
 * @param[out] is_set     whether there is one; else nothing else is written.
 * @param[out] generation nothing is to be under this one, or an older one; NULL if it is not wanted.
 * @param[out] by_ms      by when, in milliseconds since the epoch; NULL if it is not wanted.
 * @param[out] met_ms     since when nothing is, in milliseconds since the epoch; 0: that is not so yet. NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_rekey_deadline(const struct strongroom_tenant *tenant,
                                                   bool *is_set,
                                                   uint32_t *generation,
                                                   uint64_t *by_ms,
                                                   uint64_t *met_ms,
                                                   struct strongroom_error **error);

/**
 * The name of the key provider that wraps the tenant's keys.
 *
 * @param[in]  tenant   borrowed.
 * @param[out] provider owned: its name, UTF-8, freed with strongroom_buffer_free.
 * @param[out] error    owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned.
 */
strongroom_status strongroom_tenant_key_provider(const struct strongroom_tenant *tenant,
                                                 struct strongroom_buffer **provider,
                                                 struct strongroom_error **error);

/**
 * Has the tenant's section keys wrapped anew, by the provider that wraps them, whose key was rotated, or by another one, as a
 * customer's own. Records stay as they are. What the provider gives is unwrapped again before anything is written. Copies of
 * the key store keep the older wrapping. Durable when this returns.
 *
 * @param[in]  tenant        borrowed.
 * @param[in]  provider      borrowed; the name of a provider of the configuration, UTF-8. NULL: the one that wraps them.
 * @param[in]  provider_size its length in bytes.
 * @param[out] error         owned, or NULL: why it failed.
 * @return KeyUnavailable from either provider, or where none has this name: nothing is changed then; InvalidArgument, Io,
 *         Poisoned, Forked.
 */
strongroom_status strongroom_tenant_rewrap(const struct strongroom_tenant *tenant,
                                           const char *provider,
                                           size_t provider_size,
                                           struct strongroom_error **error);

/**
 * Has the section keys of the catalog and of every tenant wrapped anew that one provider wraps, by another or the same: after
 * its key was rotated, or to move a store to another provider. Interrupted, it is called again. Both have to be configured
 * until it is done; new tenants use the one named default.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  from      borrowed; the name of the provider that wraps them, UTF-8.
 * @param[in]  from_size its length in bytes.
 * @param[in]  to        borrowed; the name of the one that wraps them from then on.
 * @param[in]  to_size   its length in bytes.
 * @param[out] count     how many it was; NULL if it is not wanted.
 * @param[out] error     owned, or NULL: why it failed: the first reason, the others are rewrapped all the same.
 * @return as strongroom_tenant_rewrap, and as strongroom_engine_tenant.
 */
strongroom_status strongroom_engine_rewrap(const struct strongroom_engine *engine,
                                           const char *from,
                                           size_t from_size,
                                           const char *to,
                                           size_t to_size,
                                           uint64_t *count,
                                           struct strongroom_error **error);

/**
 * Gives a tenant new section keys and seals its whole keyring anew under them: who has the old ones, because a provider gave
 * them or a process leaked them, opens nothing of the key store from then on. Data, records and their keys stay as they are; copies
 * of the key store from before can be opened as before. Handles of the tenant end: they give Poisoned, and
 * strongroom_engine_tenant gives new ones; cursors from before are good no more. Durable when this returns.
 *
 * @param[in]  engine    borrowed.
 * @param[in]  name      borrowed; the tenant's name, UTF-8.
 * @param[in]  name_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return KeyUnavailable from the key provider: nothing is changed then; NotFound; Conflict where the tenant was opened anew
 *         meanwhile; Corrupted where a key is lost; InvalidArgument, Io, Poisoned, Forked.
 */
strongroom_status strongroom_engine_renew_section_keys(const struct strongroom_engine *engine,
                                                       const char *name,
                                                       size_t name_size,
                                                       struct strongroom_error **error);

/**
 * Sets up what a list of removed records fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_removed_info_init(struct strongroom_removed_info *info, size_t size);

/**
 * One of a list of removed records.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_removed(const struct strongroom_list *list,
                                              size_t index,
                                              struct strongroom_removed_info *info,
                                              struct strongroom_error **error);

/**
 * Removes a record: readers do not find it any more, and it can be restored until its removal window is over (30 days unless
 * the policy says otherwise), or it expires; then the sweep erases it. Its keys in indexes are free meanwhile; for quotas it
 * counts. Durable when this returns.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  version    borrowed; the version it must have, else Conflict. NULL: any, or no such record.
 * @param[out] existed    whether there was such a record; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return Conflict where it has another version, or is not there; InvalidArgument, LimitExceeded for a key; those of
 *         reading: Unauthentic, Corrupted; Io, Poisoned, Forked as strongroom_collection_put.
 */
strongroom_status strongroom_collection_remove(const struct strongroom_collection *collection,
                                               const uint8_t *key,
                                               size_t key_size,
                                               const struct strongroom_version *version,
                                               bool *existed,
                                               struct strongroom_error **error);

/**
 * Removes the records of a range, in batches, as strongroom_collection_erase_range erases them.
 *
 * @param[in]  collection borrowed.
 * @param[in]  from       borrowed; keys from this one on. NULL: from the first one.
 * @param[in]  from_size  its length in bytes.
 * @param[in]  to         borrowed; keys before this one. NULL: to the last one.
 * @param[in]  to_size    its length in bytes.
 * @param[out] removed    how many there were; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_collection_remove.
 */
strongroom_status strongroom_collection_remove_range(const struct strongroom_collection *collection,
                                                     const uint8_t *from,
                                                     size_t from_size,
                                                     const uint8_t *to,
                                                     size_t to_size,
                                                     uint64_t *removed,
                                                     struct strongroom_error **error);

/**
 * Removes the records whose keys begin with a prefix, as strongroom_collection_remove_range does.
 *
 * @param[in]  collection  borrowed.
 * @param[in]  prefix      borrowed; an empty one is any pointer but NULL, and removes all.
 * @param[in]  prefix_size its length in bytes.
 * @param[out] removed     how many there were; NULL if it is not wanted.
 * @param[out] error       owned, or NULL: why it failed.
 * @return as strongroom_collection_remove.
 */
strongroom_status strongroom_collection_remove_prefix(const struct strongroom_collection *collection,
                                                      const uint8_t *prefix,
                                                      size_t prefix_size,
                                                      uint64_t *removed,
                                                      struct strongroom_error **error);

/**
 * Restores a removed record: it is back as it was, with its value, times, version and keys in indexes. Durable when this
 * returns.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  version    borrowed; of which version, where several of one key were removed. NULL: the one removed last.
 * @param[out] existed    whether there was such a removed record; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return Conflict where there is a record of the key by now, or another one has one of its unique keys; else as
 *         strongroom_collection_remove.
 */
strongroom_status strongroom_collection_restore(const struct strongroom_collection *collection,
                                                const uint8_t *key,
                                                size_t key_size,
                                                const struct strongroom_version *version,
                                                bool *existed,
                                                struct strongroom_error **error);

/**
 * Restores of each key in a range the record that was removed last, in batches, as strongroom_collection_erase_range erases
 * them. Where the key is taken, or a unique key, it stays removed.
 *
 * @param[in]  collection borrowed.
 * @param[in]  from       borrowed; keys from this one on. NULL: from the first one.
 * @param[in]  from_size  its length in bytes.
 * @param[in]  to         borrowed; keys before this one. NULL: to the last one.
 * @param[in]  to_size    its length in bytes.
 * @param[out] restored   how many; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_collection_remove.
 */
strongroom_status strongroom_collection_restore_range(const struct strongroom_collection *collection,
                                                      const uint8_t *from,
                                                      size_t from_size,
                                                      const uint8_t *to,
                                                      size_t to_size,
                                                      uint64_t *restored,
                                                      struct strongroom_error **error);

/**
 * Restores of each key that begins with a prefix the record that was removed last. Where the key is taken, or a unique key, it
 * stays removed.
 *
 * @param[in]  collection  borrowed.
 * @param[in]  prefix      borrowed; an empty one is any pointer but NULL, and restores all.
 * @param[in]  prefix_size its length in bytes.
 * @param[out] restored    how many; NULL if it is not wanted.
 * @param[out] error       owned, or NULL: why it failed.
 * @return as strongroom_collection_remove.
 */
strongroom_status strongroom_collection_restore_prefix(const struct strongroom_collection *collection,
                                                       const uint8_t *prefix,
                                                       size_t prefix_size,
                                                       uint64_t *restored,
                                                       struct strongroom_error **error);

/**
 * The removed records that can be restored, in the order of their keys and, of one key, of their versions: a page of them. No
 * value is opened.
 *
 * @param[in]  collection borrowed.
 * @param[in]  options    borrowed; give a limit, or all of them are in the list. NULL is all, ascending.
 * @param[out] list       owned: freed with strongroom_list_free.
 * @param[out] cursor     owned: where the next page begins, for `after`, freed with strongroom_buffer_free; NULL where nothing
 *                        comes behind this one. NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_collection_scan.
 */
strongroom_status strongroom_collection_removed(const struct strongroom_collection *collection,
                                                const struct strongroom_scan_options *options,
                                                struct strongroom_list **list,
                                                struct strongroom_buffer **cursor,
                                                struct strongroom_error **error);

/**
 * Adds the removal of a record to a batch, as strongroom_collection_remove. What is removed is what is there now: where it is
 * changed until the batch is made, that gives Conflict.
 *
 * @param[in]  batch      borrowed.
 * @param[in]  collection borrowed; of the batch's tenant.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  version    borrowed; the version it must have. NULL: any, or no such record.
 * @param[out] existed    whether there is such a record; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed, and the batch is as before.
 * @return as strongroom_collection_remove; InvalidArgument for a record that this batch puts.
 */
strongroom_status strongroom_batch_remove(const struct strongroom_batch *batch,
                                          const struct strongroom_collection *collection,
                                          const uint8_t *key,
                                          size_t key_size,
                                          const struct strongroom_version *version,
                                          bool *existed,
                                          struct strongroom_error **error);

/**
 * Adds the restoration of a removed record to a batch, as strongroom_collection_restore.
 *
 * @param[in]  batch      borrowed.
 * @param[in]  collection borrowed; of the batch's tenant.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  version    borrowed; of which version. NULL: the one removed last.
 * @param[out] existed    whether there is such a removed record; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed, and the batch is as before.
 * @return as strongroom_batch_remove.
 */
strongroom_status strongroom_batch_restore(const struct strongroom_batch *batch,
                                           const struct strongroom_collection *collection,
                                           const uint8_t *key,
                                           size_t key_size,
                                           const struct strongroom_version *version,
                                           bool *existed,
                                           struct strongroom_error **error);

/**
 * Begins a session.
 *
 * @param[in]  tenant  borrowed.
 * @param[out] session owned: freed with strongroom_session_free.
 * @param[out] error   owned, or NULL: why it failed.
 * @return Suspended, NotFound of a tenant that is suspended or removed; Io where the operating system gives no randomness;
 *         InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_tenant_session(const struct strongroom_tenant *tenant,
                                            struct strongroom_session **session,
                                            struct strongroom_error **error);

/**
 * Ends a session: its key, its records and their keys are wiped from memory when this returns, or when a call that another
 * thread is in returns.
 *
 * @param[in] session owned: not to be used afterwards; NULL is fine.
 */
void strongroom_session_free(struct strongroom_session *session);

/**
 * Puts a record into a session, over what it has under the key. What is stored under the same key stays as it is. The
 * collection need not be there. Nothing of it is durable.
 *
 * @param[in]  session    borrowed.
 * @param[in]  collection borrowed; of the session's tenant.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  value      borrowed; at most 1 MiB.
 * @param[in]  value_size its length in bytes.
 * @param[out] error      owned, or NULL: why it failed.
 * @return InvalidArgument, for a collection of another tenant too; LimitExceeded for a value or a key over its bound, and where
 *         the session would hold more than 64 MiB; Suspended, NotFound of a tenant that is suspended, removed or erased;
 *         Poisoned, Forked.
 */
strongroom_status strongroom_session_put(const struct strongroom_session *session,
                                         const struct strongroom_collection *collection,
                                         const uint8_t *key,
                                         size_t key_size,
                                         const uint8_t *value,
                                         size_t value_size,
                                         struct strongroom_error **error);

/**
 * A record's value in a session. What is stored is not looked at.
 *
 * @param[in]  session    borrowed.
 * @param[in]  collection borrowed; of the session's tenant.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[out] value      owned: freed with strongroom_buffer_free; NULL where the session has no such record.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_session_put.
 */
strongroom_status strongroom_session_get(const struct strongroom_session *session,
                                         const struct strongroom_collection *collection,
                                         const uint8_t *key,
                                         size_t key_size,
                                         struct strongroom_buffer **value,
                                         struct strongroom_error **error);

/**
 * Erases a record of a session: it is wiped from memory when this returns.
 *
 * @param[in]  session    borrowed.
 * @param[in]  collection borrowed; of the session's tenant.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[out] existed    whether there was such a record; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_session_put.
 */
strongroom_status strongroom_session_erase(const struct strongroom_session *session,
                                           const struct strongroom_collection *collection,
                                           const uint8_t *key,
                                           size_t key_size,
                                           bool *existed,
                                           struct strongroom_error **error);

/**
 * A session's records of a collection whose keys lie in a range, in ascending order: all in one page. They have no version and
 * no times.
 *
 * @param[in]  session    borrowed.
 * @param[in]  collection borrowed; of the session's tenant.
 * @param[in]  from       borrowed; keys from this one on. NULL: from the first one.
 * @param[in]  from_size  its length in bytes.
 * @param[in]  to         borrowed; keys before this one. NULL: to the last one.
 * @param[in]  to_size    its length in bytes.
 * @param[out] page       owned: freed with strongroom_page_free.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_session_put.
 */
strongroom_status strongroom_session_scan(const struct strongroom_session *session,
                                          const struct strongroom_collection *collection,
                                          const uint8_t *from,
                                          size_t from_size,
                                          const uint8_t *to,
                                          size_t to_size,
                                          struct strongroom_page **page,
                                          struct strongroom_error **error);

/**
 * How many records a session has, of all collections.
 *
 * @param[in]  session borrowed.
 * @param[out] count   the number.
 * @param[out] error   owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned.
 */
strongroom_status strongroom_session_count(const struct strongroom_session *session,
                                           uint64_t *count,
                                           struct strongroom_error **error);

/**
 * Frees a snapshot.
 *
 * @param[in] snapshot owned: not to be used afterwards; NULL is fine.
 */
void strongroom_snapshot_free(struct strongroom_snapshot *snapshot);

/**
 * The version of the last batch that a snapshot shows; all zero before the first.
 *
 * @param[in]  snapshot borrowed.
 * @param[out] version  the version.
 * @param[out] error    owned, or NULL: why it failed.
 * @return SnapshotExpired where the tenant's file failed and was opened anew since; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_snapshot_version(const struct strongroom_snapshot *snapshot,
                                              struct strongroom_version *version,
                                              struct strongroom_error **error);

/**
 * The collections there were, ordered by name.
 *
 * @param[in]  snapshot borrowed.
 * @param[out] list     owned: freed with strongroom_list_free.
 * @param[out] error    owned, or NULL: why it failed.
 * @return as strongroom_snapshot_get.
 */
strongroom_status strongroom_snapshot_collections(const struct strongroom_snapshot *snapshot,
                                                  struct strongroom_list **list,
                                                  struct strongroom_error **error);

/**
 * Gets a record's value as it was.
 *
 * @param[in]  snapshot   borrowed.
 * @param[in]  collection borrowed; of the snapshot's tenant.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[out] value      owned: freed with strongroom_buffer_free; NULL where there was no such record.
 * @param[out] error      owned, or NULL: why it failed.
 * @return SnapshotExpired where the tenant's file failed and was opened anew since, or too much was erased; else as
 *         strongroom_collection_get.
 */
strongroom_status strongroom_snapshot_get(const struct strongroom_snapshot *snapshot,
                                          const struct strongroom_collection *collection,
                                          const uint8_t *key,
                                          size_t key_size,
                                          struct strongroom_buffer **value,
                                          struct strongroom_error **error);

/**
 * Begins to read a record's value as it was as a stream.
 *
 * @param[in]  snapshot   borrowed.
 * @param[in]  collection borrowed; of the snapshot's tenant.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[out] reader     owned: freed with strongroom_reader_free; NULL where there was no such record.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_snapshot_get.
 */
strongroom_status strongroom_snapshot_get_reader(const struct strongroom_snapshot *snapshot,
                                                 const struct strongroom_collection *collection,
                                                 const uint8_t *key,
                                                 size_t key_size,
                                                 struct strongroom_reader **reader,
                                                 struct strongroom_error **error);

/**
 * What is known of a record as it was. Its value is not opened.
 *
 * @param[in]     snapshot   borrowed.
 * @param[in]     collection borrowed; of the snapshot's tenant.
 * @param[in]     key        borrowed; 1 to 4,096 bytes.
 * @param[in]     key_size   its length in bytes.
 * @param[in,out] info       borrowed; set up before.
 * @param[out]    error      owned, or NULL: why it failed.
 * @return as strongroom_snapshot_get.
 */
strongroom_status strongroom_snapshot_get_info(const struct strongroom_snapshot *snapshot,
                                               const struct strongroom_collection *collection,
                                               const uint8_t *key,
                                               size_t key_size,
                                               struct strongroom_record_info *info,
                                               struct strongroom_error **error);

/**
 * Begins a scan of what a snapshot shows. The snapshot may be freed before the scan.
 *
 * @param[in]  snapshot   borrowed.
 * @param[in]  collection borrowed; of the snapshot's tenant.
 * @param[in]  options    borrowed; NULL is the whole collection, ascending.
 * @param[out] scan       owned: freed with strongroom_scan_free.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_snapshot_get and strongroom_collection_scan.
 */
strongroom_status strongroom_snapshot_scan(const struct strongroom_snapshot *snapshot,
                                           const struct strongroom_collection *collection,
                                           const struct strongroom_scan_options *options,
                                           struct strongroom_scan **scan,
                                           struct strongroom_error **error);

/**
 * How many records a scan of what a snapshot shows would give.
 *
 * @param[in]  snapshot   borrowed.
 * @param[in]  collection borrowed; of the snapshot's tenant.
 * @param[in]  options    borrowed; NULL is the whole collection.
 * @param[out] count      the number.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_snapshot_scan.
 */
strongroom_status strongroom_snapshot_count(const struct strongroom_snapshot *snapshot,
                                            const struct strongroom_collection *collection,
                                            const struct strongroom_scan_options *options,
                                            uint64_t *count,
                                            struct strongroom_error **error);

/**
 * Gets the bytes of a record's value from `offset` on, at most `size` of them, as far as the value goes.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  offset     where to begin, in bytes from the beginning of the value.
 * @param[in]  size       how many, at most 67,108,864.
 * @param[out] value      owned: freed with strongroom_buffer_free; NULL where there is no such record.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_collection_get; LimitExceeded for more.
 */
strongroom_status strongroom_collection_get_range(const struct strongroom_collection *collection,
                                                  const uint8_t *key,
                                                  size_t key_size,
                                                  uint64_t offset,
                                                  uint64_t size,
                                                  struct strongroom_buffer **value,
                                                  struct strongroom_error **error);

/**
 * Begins to read a record's value as a stream, of any length, in constant memory.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[out] reader     owned: freed with strongroom_reader_free; NULL where there is no such record.
 * @param[out] error      owned, or NULL: why it failed.
 * @return as strongroom_collection_get; a damaged part of the value is an error when it is read.
 */
strongroom_status strongroom_collection_get_reader(const struct strongroom_collection *collection,
                                                   const uint8_t *key,
                                                   size_t key_size,
                                                   struct strongroom_reader **reader,
                                                   struct strongroom_error **error);

/**
 * What is known of the record that a reader reads.
 *
 * @param[in]     reader borrowed.
 * @param[in,out] info   borrowed; set up before.
 * @param[out]    error  owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned.
 */
strongroom_status strongroom_reader_get_info(const struct strongroom_reader *reader,
                                             struct strongroom_record_info *info,
                                             struct strongroom_error **error);

/**
 * Reads a part of the value into memory of the caller's, who wipes it. Each part is authenticated before any of it is given.
 *
 * @param[in]  reader   borrowed.
 * @param[in]  offset   where to begin, in bytes from the beginning of the value.
 * @param[out] buffer   borrowed; where the bytes are copied to; after an error it may hold a part of them. NULL where the
 *                      capacity is 0.
 * @param[in]  capacity how much fits there, in bytes.
 * @param[out] read     how many bytes there were; fewer than the capacity only at the value's end.
 * @param[out] error    owned, or NULL: why it failed.
 * @return as strongroom_collection_get.
 */
strongroom_status strongroom_reader_read_at(const struct strongroom_reader *reader,
                                            uint64_t offset,
                                            uint8_t *buffer,
                                            size_t capacity,
                                            size_t *read,
                                            struct strongroom_error **error);

/**
 * Ends a reader.
 *
 * @param[in] reader owned: not to be used afterwards; NULL is fine.
 */
void strongroom_reader_free(struct strongroom_reader *reader);

/**
 * Puts a record whose value is what a function gives until it ends: from 0 bytes to 1 TiB, in constant memory. Durable when
 * this returns, as strongroom_collection_put; the record appears when all of the value is there, and conditions are those
 * of that moment. After an error the record is as it was.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes of anything.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  read       called until the value ends.
 * @param[in]  context    borrowed for the time of the call; given to read.
 * @param[in]  options    borrowed; NULL is the defaults.
 * @param[out] version    the record's version; NULL if it is not wanted.
 * @param[out] error      owned, or NULL: why it failed.
 * @return Cancelled where read gives false, or more than there was room for; LimitExceeded for a longer value; else as
 *         strongroom_collection_put.
 */
strongroom_status strongroom_collection_put_reader(const struct strongroom_collection *collection,
                                                   const uint8_t *key,
                                                   size_t key_size,
                                                   strongroom_read read,
                                                   void *context,
                                                   const struct strongroom_put_options *options,
                                                   struct strongroom_version *version,
                                                   struct strongroom_error **error);

/**
 * Begins to put a record's value in parts, from 0 bytes to 1 TiB.
 *
 * @param[in]  collection borrowed.
 * @param[in]  key        borrowed; 1 to 4,096 bytes of anything.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  options    borrowed; those of its publication, but a time to live begins now. NULL is the defaults.
 * @param[out] upload     owned: freed with strongroom_upload_free.
 * @param[out] error      owned, or NULL: why it failed.
 * @return InvalidArgument, LimitExceeded for a key; NotFound for an index; Io, Poisoned, Forked.
 */
strongroom_status strongroom_collection_begin_upload(const struct strongroom_collection *collection,
                                                     const uint8_t *key,
                                                     size_t key_size,
                                                     const struct strongroom_put_options *options,
                                                     struct strongroom_upload **upload,
                                                     struct strongroom_error **error);

/**
 * Goes on with an upload of this collection, in another process too: strongroom_upload_durable_bytes says from where in the
 * value.
 *
 * @param[in]  collection borrowed.
 * @param[in]  id         borrowed; the 16 bytes that strongroom_upload_id gave.
 * @param[out] upload     owned: freed with strongroom_upload_free.
 * @param[out] error      owned, or NULL: why it failed.
 * @return NotFound where it was published, discarded, or not written for 24 hours; Busy while another handle of it lives;
 *         those of reading: Unauthentic, Corrupted, Io; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_collection_resume_upload(const struct strongroom_collection *collection,
                                                      const uint8_t *id,
                                                      struct strongroom_upload **upload,
                                                      struct strongroom_error **error);

/**
 * What strongroom_collection_resume_upload finds an upload by.
 *
 * @param[in]  upload borrowed.
 * @param[out] id     borrowed; takes 16 bytes.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument where it is over; Poisoned.
 */
strongroom_status strongroom_upload_id(const struct strongroom_upload *upload,
                                       uint8_t *id,
                                       struct strongroom_error **error);

/**
 * How many bytes from the beginning of the value are on the disk.
 *
 * @param[in]  upload borrowed.
 * @param[out] bytes  the number.
 * @param[out] error  owned, or NULL: why it failed.
 * @return InvalidArgument where it is over; Poisoned.
 */
strongroom_status strongroom_upload_durable_bytes(const struct strongroom_upload *upload,
                                                  uint64_t *bytes,
                                                  struct strongroom_error **error);

/**
 * Adds bytes to the value. They are durable 4 MiB at a time, and all of them after strongroom_upload_flush.
 *
 * @param[in]  upload borrowed.
 * @param[in]  bytes  borrowed; 0 to 67,108,864 bytes.
 * @param[in]  size   their number.
 * @param[out] error  owned, or NULL: why it failed; after Io the upload has to be freed and resumed.
 * @return LimitExceeded beyond 1 TiB, or for more in one call; Io when the disk fails or is full; InvalidArgument where it is
 *         over; Poisoned after an error, Forked.
 */
strongroom_status strongroom_upload_write(const struct strongroom_upload *upload,
                                          const uint8_t *bytes,
                                          size_t size,
                                          struct strongroom_error **error);

/**
 * Makes all bytes durable that were written.
 *
 * @param[in]  upload borrowed.
 * @param[out] error  owned, or NULL: why it failed.
 * @return as strongroom_upload_write.
 */
strongroom_status strongroom_upload_flush(const struct strongroom_upload *upload,
                                          struct strongroom_error **error);

/**
 * Makes the value the record's, in one change: all of it, or nothing. Durable when this returns, as
 * strongroom_collection_put, and under the conditions that the upload was begun with. The upload is over, whatever this
 * returns; after an error it can be resumed.
 *
 * @param[in]  upload  borrowed; still to be freed.
 * @param[out] version the record's version; NULL if it is not wanted.
 * @param[out] error   owned, or NULL: why it failed.
 * @return as strongroom_collection_put; NotFound where the collection was dropped since; InvalidArgument where it is over.
 */
strongroom_status strongroom_upload_publish(const struct strongroom_upload *upload,
                                            struct strongroom_version *version,
                                            struct strongroom_error **error);

/**
 * Gives an upload up: what there is of it is removed in the background.
 *
 * @param[in]  upload borrowed; still to be freed.
 * @param[out] error  owned, or NULL: why it failed, and it is removed when its time is over.
 * @return InvalidArgument where it is over; Io, Poisoned, Forked.
 */
strongroom_status strongroom_upload_discard(const struct strongroom_upload *upload,
                                            struct strongroom_error **error);

/**
 * Frees an upload's handle. One that was neither published nor discarded can be resumed.
 *
 * @param[in] upload owned: not to be used afterwards; NULL is fine.
 */
void strongroom_upload_free(struct strongroom_upload *upload);

/**
 * A buffer's bytes.
 *
 * @param[in] buffer borrowed; NULL gives NULL.
 * @return borrowed from the buffer until it is freed; not NULL where it is empty.
 */
const uint8_t *strongroom_buffer_data(const struct strongroom_buffer *buffer);

/**
 * A buffer's length in bytes.
 *
 * @param[in] buffer borrowed; NULL gives 0.
 * @return the length.
 */
size_t strongroom_buffer_size(const struct strongroom_buffer *buffer);

/**
 * Wipes a buffer and frees it.
 *
 * @param[in] buffer owned: not to be used afterwards; NULL is fine.
 */
void strongroom_buffer_free(struct strongroom_buffer *buffer);

/**
 * Frees a batch; what it holds is not made.
 *
 * @param[in] batch owned: not to be used afterwards; NULL is fine.
 */
void strongroom_batch_free(struct strongroom_batch *batch);

/**
 * How many operations a batch holds.
 *
 * @param[in]  batch borrowed.
 * @param[out] count the number.
 * @param[out] error owned, or NULL: why it failed.
 * @return InvalidArgument, Poisoned.
 */
strongroom_status strongroom_batch_count(const struct strongroom_batch *batch,
                                         size_t *count,
                                         struct strongroom_error **error);

/**
 * Adds a put of a record, over what is there. Of two puts of one key the later one counts. Key and value are sealed at
 * once, and not needed afterwards. Nothing is made before the batch is written or submitted; but a collection that is not
 * there yet is created, durable when this returns.
 *
 * @param[in]  batch      borrowed.
 * @param[in]  collection borrowed; of the batch's tenant.
 * @param[in]  key        borrowed; 1 to 4,096 bytes of anything.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  value      borrowed; 0 to 1,048,576 bytes of anything. An empty value is any pointer but NULL.
 * @param[in]  value_size its length in bytes.
 * @param[in]  options    borrowed; NULL is the defaults.
 * @param[out] error      owned, or NULL: why it failed, and the batch is as before.
 * @return InvalidArgument and LimitExceeded against these bounds, and beyond 100,000 operations or 64 MiB; Io, Poisoned,
 *         Forked.
 */
strongroom_status strongroom_batch_put(const struct strongroom_batch *batch,
                                       const struct strongroom_collection *collection,
                                       const uint8_t *key,
                                       size_t key_size,
                                       const uint8_t *value,
                                       size_t value_size,
                                       const struct strongroom_put_options *options,
                                       struct strongroom_error **error);

/**
 * Adds the erasing of a record.
 *
 * @param[in]  batch      borrowed.
 * @param[in]  collection borrowed; of the batch's tenant.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  version    borrowed; the version that the record must have, else the batch is not made (Conflict). NULL:
 *                        whether there is one or not.
 * @param[out] error      owned, or NULL: why it failed, and the batch is as before.
 * @return as strongroom_batch_put.
 */
strongroom_status strongroom_batch_erase(const struct strongroom_batch *batch,
                                         const struct strongroom_collection *collection,
                                         const uint8_t *key,
                                         size_t key_size,
                                         const struct strongroom_version *version,
                                         struct strongroom_error **error);

/**
 * Makes a batch depend on a record that it need not change. Where that does not hold, the batch is not made (Conflict).
 *
 * @param[in]  batch      borrowed.
 * @param[in]  collection borrowed; of the batch's tenant.
 * @param[in]  key        borrowed; 1 to 4,096 bytes.
 * @param[in]  key_size   its length in bytes.
 * @param[in]  version    borrowed; the version that the record must have, or NULL: there must be none.
 * @param[out] error      owned, or NULL: why it failed, and the batch is as before.
 * @return as strongroom_batch_put.
 */
strongroom_status strongroom_batch_require(const struct strongroom_batch *batch,
                                           const struct strongroom_collection *collection,
                                           const uint8_t *key,
                                           size_t key_size,
                                           const struct strongroom_version *version,
                                           struct strongroom_error **error);

/**
 * Makes the changes of a batch, all or none of them. Durable when this returns, unless the store or its puts say
 * otherwise. The batch is empty afterwards, whatever this returns, and can be filled again.
 *
 * @param[in]  batch   borrowed.
 * @param[out] version the version of its records; NULL if it is not wanted. That of the tenant where the batch is empty.
 * @param[out] error   owned, or NULL: why it failed.
 * @return Conflict where a condition does not hold; Io when the disk fails or is full, and then the batch may still be
 *         there after the next open, whole; Poisoned after a failed sync or when the store was closed; InvalidArgument,
 *         Forked.
 */
strongroom_status strongroom_batch_write(const struct strongroom_batch *batch,
                                         struct strongroom_version *version,
                                         struct strongroom_error **error);

/**
 * Hands in a batch and does not wait: many can be under way from one thread, and share one write and one sync. The order
 * in which batches are handed in is the order in which they are made. The batch is empty afterwards, and can be filled
 * again.
 *
 * @param[in]  batch     borrowed.
 * @param[in]  completed what is called once the batch is made and as durable as it asked for, or was not made; exactly once
 *                       where this call succeeds, before strongroom_engine_close returns, and never where it fails.
 * @param[in]  context   borrowed until it is called; given to completed.
 * @param[out] error     owned, or NULL: why it failed.
 * @return InvalidArgument, Io, Poisoned, Forked. What strongroom_batch_write returns, completed gets.
 */
strongroom_status strongroom_batch_submit(const struct strongroom_batch *batch,
                                          strongroom_completion completed,
                                          void *context,
                                          struct strongroom_error **error);

/**
 * Sets up options: the defaults.
 *
 * @param[out] options borrowed; not initialised yet.
 * @param[in]  size    sizeof *options.
 * @return InvalidArgument where options is NULL or the size is none it ever had.
 */
strongroom_status strongroom_scan_options_init(struct strongroom_scan_options *options, size_t size);

/**
 * The next page of a scan. After the error of one record the scan goes on with the next record.
 *
 * @param[in]  scan        borrowed.
 * @param[in]  records_max at most so many records; 0: 256.
 * @param[in]  bytes_max   no further record after so many bytes of keys and values; 0: 1 MiB.
 * @param[out] page        owned: freed with strongroom_page_free; NULL at the end, else at least one record.
 * @param[out] error       owned, or NULL: why it failed.
 * @return Unauthentic or Corrupted for a damaged record or file; KeyMissing, KeyUnavailable; SnapshotExpired where the file
 *         was reopened meanwhile; InvalidArgument, Poisoned, Forked.
 */
strongroom_status strongroom_scan_next(const struct strongroom_scan *scan,
                                       size_t records_max,
                                       size_t bytes_max,
                                       struct strongroom_page **page,
                                       struct strongroom_error **error);

/**
 * Where another scan of the same collection and direction goes on behind the last record that this one gave: for its
 * option `after`. Sealed: it can be handed to a client and taken back, and lasts through restarts and rewrites.
 *
 * @param[in]  scan   borrowed.
 * @param[out] cursor owned: freed with strongroom_buffer_free; NULL where nothing comes behind it.
 * @param[out] error  owned, or NULL: why it failed.
 * @return Io where the operating system gives no randomness; as strongroom_scan_next.
 */
strongroom_status strongroom_scan_cursor(const struct strongroom_scan *scan,
                                         struct strongroom_buffer **cursor,
                                         struct strongroom_error **error);

/**
 * Ends a scan; its pages stay.
 *
 * @param[in] scan owned: not to be used afterwards; NULL is fine.
 */
void strongroom_scan_free(struct strongroom_scan *scan);

/**
 * How many records a page has.
 *
 * @param[in] page borrowed; NULL gives 0.
 * @return the number.
 */
size_t strongroom_page_count(const struct strongroom_page *page);

/**
 * The records of a page, in the order of the scan.
 *
 * @param[in] page borrowed; NULL gives NULL.
 * @return borrowed from the page until it is freed: an array of strongroom_page_count entries.
 */
const struct strongroom_entry *strongroom_page_entries(const struct strongroom_page *page);

/**
 * Wipes the values of a page and frees it.
 *
 * @param[in] page owned: not to be used afterwards; NULL is fine.
 */
void strongroom_page_free(struct strongroom_page *page);

/**
 * How many rows a list has.
 *
 * @param[in] list borrowed; NULL gives 0.
 * @return the number.
 */
size_t strongroom_list_count(const struct strongroom_list *list);

/**
 * Frees a list.
 *
 * @param[in] list owned: not to be used afterwards; NULL is fine.
 */
void strongroom_list_free(struct strongroom_list *list);

/**
 * Sets up what a list of tenants fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_tenant_info_init(struct strongroom_tenant_info *info, size_t size);

/**
 * One of a list of tenants.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_tenant(const struct strongroom_list *list,
                                             size_t index,
                                             struct strongroom_tenant_info *info,
                                             struct strongroom_error **error);

/**
 * Sets up what a list of collections fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_collection_info_init(struct strongroom_collection_info *info, size_t size);

/**
 * One of a list of collections.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_collection(const struct strongroom_list *list,
                                                 size_t index,
                                                 struct strongroom_collection_info *info,
                                                 struct strongroom_error **error);

/**
 * Sets up what a list of regions fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_region_info_init(struct strongroom_region_info *info, size_t size);

/**
 * One of a list of regions.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_region(const struct strongroom_list *list,
                                             size_t index,
                                             struct strongroom_region_info *info,
                                             struct strongroom_error **error);

/**
 * Sets up what a list of journals fills.
 *
 * @param[out] info borrowed; not initialised yet.
 * @param[in]  size sizeof *info.
 * @return InvalidArgument where info is NULL or the size is none it ever had.
 */
strongroom_status strongroom_lane_info_init(struct strongroom_lane_info *info, size_t size);

/**
 * One of a list of journals.
 *
 * @param[in]     list  borrowed.
 * @param[in]     index 0 to strongroom_list_count - 1.
 * @param[in,out] info  borrowed, set up before; its pointers are borrowed from the list until it is freed.
 * @param[out]    error owned, or NULL: why it failed.
 * @return InvalidArgument, for a list of something else too.
 */
strongroom_status strongroom_list_get_lane(const struct strongroom_list *list,
                                           size_t index,
                                           struct strongroom_lane_info *info,
                                           struct strongroom_error **error);

/**
 * Sets up what a salvage fills.
 *
 * @param[out] salvage borrowed; not initialised yet.
 * @param[in]  size    sizeof *salvage.
 * @return InvalidArgument where salvage is NULL or the size is none it ever had.
 */
strongroom_status strongroom_salvage_init(struct strongroom_salvage *salvage, size_t size);

/**
 * Sets up what a rewrite fills.
 *
 * @param[out] rewrite borrowed; not initialised yet.
 * @param[in]  size    sizeof *rewrite.
 * @return InvalidArgument where rewrite is NULL or the size is none it ever had.
 */
strongroom_status strongroom_rewrite_init(struct strongroom_rewrite *rewrite, size_t size);

/**
 * Sets up what a report's summary fills.
 *
 * @param[out] summary borrowed; not initialised yet.
 * @param[in]  size    sizeof *summary.
 * @return InvalidArgument where summary is NULL or the size is none it ever had.
 */
strongroom_status strongroom_report_summary_init(struct strongroom_report_summary *summary, size_t size);

/**
 * The figures of a report.
 *
 * @param[in]     report  borrowed.
 * @param[in,out] summary borrowed; set up before.
 * @param[out]    error   owned, or NULL: why it failed.
 * @return InvalidArgument.
 */
strongroom_status strongroom_report_get_summary(const struct strongroom_report *report,
                                                struct strongroom_report_summary *summary,
                                                struct strongroom_error **error);

/**
 * How many things are wrong.
 *
 * @param[in] report borrowed; NULL gives 0.
 * @return the number; 0 where nothing is wrong that was not mended.
 */
size_t strongroom_report_problem_count(const struct strongroom_report *report);

/**
 * One thing that is wrong, as a sentence in English. It shows no key, value, record key or name of a tenant.
 *
 * @param[in]  report    borrowed.
 * @param[in]  index     0 to strongroom_report_problem_count - 1.
 * @param[out] text      borrowed from the report until it is freed; UTF-8, not NUL-terminated.
 * @param[out] text_size its length in bytes.
 * @param[out] error     owned, or NULL: why it failed.
 * @return InvalidArgument.
 */
strongroom_status strongroom_report_problem(const struct strongroom_report *report,
                                            size_t index,
                                            const char **text,
                                            size_t *text_size,
                                            struct strongroom_error **error);

/**
 * Frees a report.
 *
 * @param[in] report owned: not to be used afterwards; NULL is fine.
 */
void strongroom_report_free(struct strongroom_report *report);

/**
 * Has the log of all stores of the process given to a function, instead of the one set before.
 *
 * @param[in]  level   the most talkative STRONGROOM_LOG level that is wanted.
 * @param[in]  log     called for each line; NULL: no log from now on.
 * @param[in]  context borrowed until another function is set and no call of the old one is under way; given to log.
 * @param[out] error   owned, or NULL: why it failed.
 * @return InvalidArgument for no level; AlreadyExists where the application is Rust and logs through tracing itself.
 */
strongroom_status strongroom_log_set(uint32_t level,
                                     strongroom_log log,
                                     void *context,
                                     struct strongroom_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STRONGROOM_H */
