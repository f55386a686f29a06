/* What the files of the native half share: handles, operations, and what turns them into values of JavaScript and back. */
#ifndef ADDON_H
#define ADDON_H

#include <node_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strongroom.h"

/* Threads for calls that return a promise: they wait for disks, so more than there are cores. */
#define THREADS 16
/* Keys and names that fit need no allocation. */
#define INLINE_BYTES 256

/* Handles, as JavaScript holds them. */
enum kind { STORE = 1, TENANT, COLLECTION, SNAPSHOT, BATCH, SCAN, READER, UPLOAD, SESSION };

struct handle {
    enum kind kind;
    bool is_freed;
    void *pointer;
};

struct bytes {
    const uint8_t *data;
    size_t size;
    uint8_t *owned;
    uint8_t room[INLINE_BYTES];
};

struct operation;
typedef void (*runner)(struct operation *);
typedef napi_value (*finisher)(napi_env, struct operation *);

/* Handles of one call, at most. */
#define HELD_MAX 2

/* One call of the library: what goes in, what came out, and who waits for it. */
struct operation {
    runner run;
    finisher finish;
    napi_deferred deferred;
    struct operation *next;

    strongroom_status status;
    strongroom_error *error;
    /* What a function of JavaScript's threw, in an array. */
    napi_ref thrown;
    bool is_building;
    /* Of a promise: what must not be collected before it is settled. */
    napi_ref held[HELD_MAX];

    void *handle, *other;
    struct bytes key, extra, third, after;
    strongroom_scan_options scan;
    uint64_t number, second, last;
    bool is_of_collection;

    void *result;
    uint64_t count;
    bool flag;
    strongroom_version version;
    strongroom_record_info info;
    strongroom_rekey rekey;
    strongroom_policy policy;
    strongroom_tenant_stats stats;
    strongroom_receipt_info receipt;
    strongroom_horizon horizon;
    strongroom_buffer *cursor;
};

/* The threads, what waits for them, and what is done. One for the process: an addon may be loaded by several workers, and
 * each environment has a function of its own that is called when something of it is done. */
struct environment {
    napi_env env;
    napi_threadsafe_function wake;
    napi_ref error_class;
    pthread_mutex_t lock;
    struct operation *done, *last_done;
    size_t under_way;
    /* Indexes that are being built on other threads. */
    size_t building;
    napi_threadsafe_function log;
    bool has_ended;
    /* Key providers of JavaScript's that are in use, and those no longer. */
    size_t providers;
    struct provider *unused;
    /* What they are asked, in order; who asks or has asked waits. */
    pthread_cond_t asked;
    struct ask *asks;
    uint64_t last_ask;
};

/* Most keys of one put in indexes. */
#define INDEX_KEYS_MAX 64

/* What a put's options point at. */
struct put_room {
    struct bytes subject;
    size_t count;
    struct bytes names[INDEX_KEYS_MAX], keys[INDEX_KEYS_MAX];
    strongroom_index_key index[INDEX_KEYS_MAX];
};

/* The calls. Each takes its arguments, and at the end whether it gives a promise. */

#define ARGUMENTS(wanted)                                                \
    napi_value arguments[wanted];                                        \
    size_t given = wanted;                                               \
    if (napi_get_cb_info(env, info, &given, arguments, NULL, NULL) != napi_ok || given < wanted) { \
        bad_argument(env, "arguments are missing");                      \
        return NULL;                                                     \
    }

/* values.c: values of JavaScript as the library takes them, and its results as values of JavaScript. */
struct environment *environment_of(napi_env env);
napi_value undefined(napi_env env);
napi_value null(napi_env env);
napi_value number(napi_env env, double number);
void set(napi_env env, napi_value object, const char *name, napi_value value);
napi_value error_value(napi_env env, strongroom_error *error);
bool bad_argument(napi_env env, const char *what);
void *take(napi_env env, napi_value value, enum kind kind);
bool take_bytes(napi_env env, napi_value value, bool copy, struct bytes *bytes);
double get_number(napi_env env, napi_value object, const char *name);
bool get_flag(napi_env env, napi_value object, const char *name);
bool is_object(napi_env env, napi_value value);
bool get_version(napi_env env, napi_value value, strongroom_version *version);
void release(struct handle *handle);
napi_value give(napi_env env, enum kind kind, void *pointer);
napi_value version_value(napi_env env, const strongroom_version *version);
napi_value time_value(napi_env env, uint64_t milliseconds);
napi_value buffer_value(napi_env env, strongroom_buffer *buffer);
napi_value text_value(napi_env env, const char *text, size_t size);
napi_value finish_nothing(napi_env env, struct operation *operation);
napi_value finish_flag(napi_env env, struct operation *operation);
napi_value finish_count(napi_env env, struct operation *operation);
napi_value finish_buffer(napi_env env, struct operation *operation);
napi_value finish_version(napi_env env, struct operation *operation);
napi_value finish_store(napi_env env, struct operation *operation);
napi_value finish_tenant(napi_env env, struct operation *operation);
napi_value finish_info(napi_env env, struct operation *operation);
napi_value record_value(napi_env env, const strongroom_entry *entry);
napi_value finish_page(napi_env env, struct operation *operation);
napi_value finish_report(napi_env env, struct operation *operation);
bool is_later(napi_env env, napi_value value);

/* operations.c: calls under way: at once, or on threads of their own for who waits for a promise. */
void hold(napi_env env, struct operation *operation, const napi_value *arguments, size_t count);
void free_operation(struct operation *operation);
struct operation *operation_of(runner run, finisher finish);
void settle(napi_env env, napi_value callback, void *context, void *data);
void is_done(struct environment *environment, struct operation *operation);
napi_value promise_of(napi_env env, struct operation *operation);
napi_value now(napi_env env, struct operation *operation);
napi_value start(napi_env env, struct operation *operation, bool later);

/* records.c: records: read, put, erased, scanned, removed and restored; batches and snapshots; keys in indexes. */
napi_value js_get(napi_env env, napi_callback_info info);
napi_value js_get_into(napi_env env, napi_callback_info info);
void free_room(struct put_room *room);
bool put_options(napi_env env, napi_value value, strongroom_put_options *options, struct put_room **room);
napi_value js_put(napi_env env, napi_callback_info info);
void run_erase(struct operation *o);
void run_erase_prefix(struct operation *o);
void run_erase_range(struct operation *o);
void run_info(struct operation *o);
bool scan_options(napi_env env, napi_value value, struct operation *o);
void run_count(struct operation *o);
napi_value js_scan(napi_env env, napi_callback_info info);
napi_value js_find(napi_env env, napi_callback_info info);
void run_change_index(struct operation *o);
void run_next(struct operation *o);
void run_cursor(struct operation *o);
napi_value js_batch(napi_env env, napi_callback_info info);
napi_value js_snapshot(napi_env env, napi_callback_info info);
napi_value js_batch_put(napi_env env, napi_callback_info info);
void run_batch_erase(struct operation *o);
void run_batch_require(struct operation *o);
void run_count_batch(struct operation *o);
napi_value js_write(napi_env env, napi_callback_info info);
void run_remove(struct operation *o);
void run_restore(struct operation *o);
void run_remove_prefix(struct operation *o);
void run_remove_range(struct operation *o);
void run_restore_range(struct operation *o);
void run_restore_prefix(struct operation *o);
void run_removed(struct operation *o);

/* tenants.c: tenants and collections: made, looked after, bounded; policies, data keys; upkeep of the store. */
napi_value finish_numbers(napi_env env, struct operation *o);
void run_set_quota(struct operation *o);
void run_get_quota(struct operation *o);
void run_usage(struct operation *o);
void run_rotate(struct operation *o);
void run_retire(struct operation *o);
void rekey_options(const struct operation *o, strongroom_rekey_options *options);
void run_set_deadline(struct operation *o);
void run_clear_deadline(struct operation *o);
void run_deadline(struct operation *o);
void run_rekey(struct operation *o);
napi_value finish_rekey(napi_env env, struct operation *o);
void run_erase_subject(struct operation *o);
void run_sweep(struct operation *o);
void run_health(struct operation *o);
napi_value js_tenant(napi_env env, napi_callback_info info);
void run_collection(struct operation *o);
napi_value finish_collection(napi_env env, struct operation *o);
void run_change_collection(struct operation *o);
void run_open_tenants(struct operation *o);
void run_published_health(struct operation *o);
napi_value finish_published_health(napi_env env, struct operation *o);
void run_close(struct operation *o);
void run_flush(struct operation *o);
void run_confirm_clock(struct operation *o);
void run_tick(struct operation *o);
void run_checkpoint(struct operation *o);
void run_rewrite(struct operation *o);
void run_verify(struct operation *o);

/* large.c: values of any length: readers and uploads. */
void run_get_range(struct operation *o);
void run_reader(struct operation *o);
napi_value finish_reader(napi_env env, struct operation *o);
void run_reader_info(struct operation *o);
void run_read_at(struct operation *o);
napi_value finish_piece(napi_env env, struct operation *o);
void run_resume_upload(struct operation *o);
napi_value finish_upload(napi_env env, struct operation *o);
napi_value js_begin_upload(napi_env env, napi_callback_info info);
void run_upload_id(struct operation *o);
napi_value finish_id(napi_env env, struct operation *o);
void run_durable_bytes(struct operation *o);
void run_upload_write(struct operation *o);
void run_upload_flush(struct operation *o);
void run_publish(struct operation *o);
void run_discard(struct operation *o);

/* Kinds of rows, in the order of lists.c. */
enum row { TENANT_ROW, COLLECTION_ROW, INDEX_ROW, REGION_ROW, LANE_ROW, DATA_KEY_ROW, REMOVED_ROW, HOLD_ROW, LEDGER_ROW, RECEIPT_ROW,
           SUBJECT_ROW, SUBJECT_RECORD_ROW };

/* lists.c: lists: how the rows of each kind become objects. */
napi_value finish_list(napi_env env, struct operation *o);
napi_value row_value(napi_env env, size_t kind, const void *row);
napi_value finish_removed(napi_env env, struct operation *o);
void run_tenants(struct operation *o);
void run_collections(struct operation *o);
void run_snapshot_collections(struct operation *o);
void run_indexes(struct operation *o);
void run_regions(struct operation *o);
void run_lanes(struct operation *o);
void run_data_keys(struct operation *o);
void run_holds(struct operation *o);
void run_ledger(struct operation *o);
void run_receipts(struct operation *o);
void run_subjects(struct operation *o);

/* building.c: indexes that are built over records that are there. */
napi_value js_build_index(napi_env env, napi_callback_info info);

/* providers.c: key providers written in JavaScript, and calls that wait beside them. */
struct provider;
struct ask;
napi_value js_answer(napi_env env, napi_callback_info info);
void tend_providers(napi_env env, struct environment *environment);
void run_here(napi_env env, struct operation *operation);
strongroom_status add_provider(napi_env env, strongroom_config *config, const struct bytes *name, napi_value ask,
                               strongroom_error **error);

/* log.c: the log of all stores of the process. */
napi_value js_set_log(napi_env env, napi_callback_info info);

/* known.c: what is known of stores, tenants and snapshots. */
void run_store_id(struct operation *o);
void run_tenant_id(struct operation *o);
napi_value finish_hex(napi_env env, struct operation *o);
void run_tenant_name(struct operation *o);
napi_value finish_text(napi_env env, struct operation *o);
void run_stats(struct operation *o);
void run_tenant_stats(struct operation *o);
napi_value finish_stats(napi_env env, struct operation *o);
void run_tenant_info(struct operation *o);
void run_snapshot_version(struct operation *o);
void run_tenant_flush(struct operation *o);
void run_tenant_checkpoint(struct operation *o);
void run_accept_rollback(struct operation *o);
void run_salvage(struct operation *o);
napi_value finish_salvage(napi_env env, struct operation *o);
void run_batch_remove(struct operation *o);
void run_batch_restore(struct operation *o);

/* erasure.c: what may be erased, when, and the proof of it; a tenant's life; wrapping keys anew; sessions. */
void run_set_policy(struct operation *o);
void run_get_policy(struct operation *o);
napi_value finish_policy(napi_env env, struct operation *o);
void policy_of(napi_env env, napi_value value, strongroom_policy *policy);
napi_value finish_erased(napi_env env, struct operation *o);
void run_apply_policies(struct operation *o);
void run_policies_pending(struct operation *o);
void run_renew_section_keys(struct operation *o);
void run_hold(struct operation *o);
void run_release_hold(struct operation *o);
void run_subject_records(struct operation *o);
void run_receipt(struct operation *o);
napi_value finish_receipt(napi_env env, struct operation *o);
void run_scrub(struct operation *o);
void run_horizon(struct operation *o);
napi_value finish_horizon(napi_env env, struct operation *o);
void run_change_tenant(struct operation *o);
void run_remove_tenant(struct operation *o);
void run_move_tenant(struct operation *o);
void run_key_provider(struct operation *o);
void run_rewrap(struct operation *o);
void run_rewrap_all(struct operation *o);
void run_session(struct operation *o);
napi_value finish_session(napi_env env, struct operation *o);
void run_session_put(struct operation *o);
void run_session_get(struct operation *o);
void run_session_erase(struct operation *o);
void run_session_scan(struct operation *o);
void run_session_count(struct operation *o);

#endif
