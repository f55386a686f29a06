/* Records: read, put, erased, scanned, removed and restored; batches and snapshots; keys in indexes. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

static void run_get(struct operation *o) {
    strongroom_buffer *buffer = NULL;
    if (o->other != NULL) {
        o->status = strongroom_snapshot_get(o->other, o->handle, o->key.data, o->key.size, &buffer, &o->error);
    } else {
        o->status = strongroom_collection_get(o->handle, o->key.data, o->key.size, &buffer, &o->error);
    }
    o->result = buffer;
}

/* get(collection, snapshot | null, key, later) */
napi_value js_get(napi_env env, napi_callback_info info) {
    struct operation local = {0}, *operation = &local;
    napi_value value = NULL;
    ARGUMENTS(4)
    local.run = run_get;
    if (is_later(env, arguments[3])) {
        operation = operation_of(run_get, finish_buffer);
    }
    operation->handle = take(env, arguments[0], COLLECTION);
    napi_valuetype type;
    napi_typeof(env, arguments[1], &type);
    if (type == napi_external) {
        operation->other = take(env, arguments[1], SNAPSHOT);
    }
    if (operation->handle == NULL || (type == napi_external && operation->other == NULL) || !take_bytes(env, arguments[2], operation != &local, &operation->key)) {
        if (operation != &local) {
            free_operation(operation);
        }
        return NULL;
    }
    if (operation != &local) {
        hold(env, operation, arguments, 2);
        return start(env, operation, true);
    }
    run_here(env, operation);
    if (operation->status == STRONGROOM_STATUS_OK) {
        value = buffer_value(env, operation->result);
    } else {
        napi_throw(env, error_value(env, operation->error));
    }
    free(operation->key.owned);
    return value;
}

static void run_get_into(struct operation *o) {
    size_t size = 0;
    o->status = strongroom_collection_get_into(o->handle, o->key.data, o->key.size, (uint8_t *)o->extra.data, o->extra.size,
                                               &size, &o->error);
    o->count = size;
}

/* getInto(collection, key, buffer): the value's length, or -1 */
napi_value js_get_into(napi_env env, napi_callback_info info) {
    struct operation o = {0};
    napi_valuetype type;
    ARGUMENTS(3)
    o.run = run_get_into;
    o.handle = take(env, arguments[0], COLLECTION);
    if (o.handle == NULL || !take_bytes(env, arguments[1], false, &o.key)) {
        return NULL;
    }
    napi_typeof(env, arguments[2], &type);
    if (type == napi_string || !take_bytes(env, arguments[2], false, &o.extra)) {
        free(o.key.owned);
        bad_argument(env, "a value goes into a Buffer or a Uint8Array");
        return NULL;
    }
    run_here(env, &o);
    free(o.key.owned);
    if (o.status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, o.error));
        return NULL;
    }
    return number(env, o.count == STRONGROOM_ABSENT ? -1 : (double)o.count);
}

void free_room(struct put_room *room) {
    size_t number;
    if (room == NULL) {
        return;
    }
    free(room->subject.owned);
    for (number = 0; number < room->count; number++) {
        free(room->names[number].owned);
        free(room->keys[number].owned);
    }
    free(room);
}

/* Subject and keys in indexes: an array of names and keys by turns. */
static bool put_more(napi_env env, napi_value value, strongroom_put_options *options, struct put_room *room) {
    napi_value subject = undefined(env), index = undefined(env);
    uint32_t number, length = 0;
    napi_get_named_property(env, value, "subject", &subject);
    napi_get_named_property(env, value, "indexKeys", &index);
    if (!take_bytes(env, subject, false, &room->subject)) {
        return false;
    }
    options->subject = (const char *)room->subject.data;
    options->subject_size = room->subject.size;
    if (napi_get_array_length(env, index, &length) != napi_ok) {
        return true;
    }
    if (length > 2 * INDEX_KEYS_MAX) {
        return bad_argument(env, "a record has at most 64 keys in indexes");
    }
    for (number = 0; number + 1 < length; number += 2) {
        struct bytes *name = &room->names[room->count], *key = &room->keys[room->count];
        napi_value element = undefined(env);
        napi_get_element(env, index, number, &element);
        if (!take_bytes(env, element, false, name)) {
            return false;
        }
        napi_get_element(env, index, number + 1, &element);
        if (!take_bytes(env, element, false, key)) {
            free(name->owned);
            return false;
        }
        room->index[room->count].index = (const char *)name->data;
        room->index[room->count].index_size = name->size;
        room->index[room->count].key = key->data;
        room->index[room->count].key_size = key->size;
        room->count++;
    }
    options->index_keys = room->index;
    options->index_key_count = room->count;
    return true;
}

/* Options of a put; room is to be freed, whatever this returns. */
bool put_options(napi_env env, napi_value value, strongroom_put_options *options, struct put_room **room) {
    napi_value version = NULL;
    *room = NULL;
    strongroom_put_options_init(options, sizeof *options);
    if (!is_object(env, value)) {
        double number = 0;
        /* Where it is a number, it is the durability. */
        napi_get_value_double(env, value, &number);
        options->durability = (uint32_t)number;
        return true;
    }
    options->durability = (uint32_t)get_number(env, value, "durability");
    options->erasure = (uint32_t)get_number(env, value, "erasureKind");
    options->written_ms = (uint64_t)get_number(env, value, "writtenMs");
    options->ttl_ms = (uint64_t)get_number(env, value, "ttlMs");
    options->expires_ms = (uint64_t)get_number(env, value, "expiresMs");
    napi_get_named_property(env, value, "ifVersion", &version);
    if (get_version(env, version, &options->version)) {
        options->condition = STRONGROOM_CONDITION_VERSION;
    }
    if (get_flag(env, value, "ifAbsent")) {
        options->condition = STRONGROOM_CONDITION_ABSENT;
    }
    if (get_flag(env, value, "hasMore")) {
        *room = calloc(1, sizeof **room);
        return *room != NULL && put_more(env, value, options, *room);
    }
    return true;
}

static void run_put(struct operation *o) {
    o->status = strongroom_collection_put(o->handle, o->key.data, o->key.size, o->extra.data, o->extra.size, o->result,
                                          &o->version, &o->error);
}

/* put(collection, key, value, options): its version */
napi_value js_put(napi_env env, napi_callback_info info) {
    struct operation o = {0};
    strongroom_put_options options;
    struct put_room *room = NULL;
    bool is_good;
    ARGUMENTS(4)
    o.run = run_put;
    o.result = &options;
    o.handle = take(env, arguments[0], COLLECTION);
    is_good = o.handle != NULL && take_bytes(env, arguments[1], false, &o.key) &&
              take_bytes(env, arguments[2], false, &o.extra) && put_options(env, arguments[3], &options, &room);
    if (is_good) {
        run_here(env, &o);
    }
    free_room(room);
    free(o.key.owned);
    free(o.extra.owned);
    if (is_good && o.status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, o.error));
    }
    return is_good && o.status == STRONGROOM_STATUS_OK ? version_value(env, &o.version) : NULL;
}

void run_erase(struct operation *o) {
    if (o->number) {
        o->flag = true;
        o->status = strongroom_collection_erase_if_version(o->handle, o->key.data, o->key.size, &o->version, &o->error);
    } else {
        o->status = strongroom_collection_erase(o->handle, o->key.data, o->key.size, &o->flag, &o->error);
    }
}

void run_erase_prefix(struct operation *o) {
    o->status = strongroom_collection_erase_prefix(o->handle, o->key.data, o->key.size, &o->count, &o->second,
                                                   &o->error);
}

void run_erase_range(struct operation *o) {
    o->status = strongroom_collection_erase_range(o->handle, o->key.data, o->key.size, o->extra.data, o->extra.size,
                                                  &o->count, &o->second, &o->error);
}

void run_info(struct operation *o) {
    strongroom_record_info_init(&o->info, sizeof o->info);
    o->status = o->other != NULL ? strongroom_snapshot_get_info(o->other, o->handle, o->key.data, o->key.size,
                                                                &o->info, &o->error)
                                 : strongroom_collection_get_info(o->handle, o->key.data, o->key.size, &o->info,
                                                                  &o->error);
}

/* Options of a scan; what they point at is in the operation. */
bool scan_options(napi_env env, napi_value value, struct operation *o) {
    const char *names[] = {"from", "to", "prefix"};
    struct bytes *places[] = {&o->key, &o->extra, &o->third};
    size_t index;
    strongroom_scan_options_init(&o->scan, sizeof o->scan);
    if (!is_object(env, value)) {
        return true;
    }
    for (index = 0; index < 3; index++) {
        napi_value bytes = NULL;
        if (napi_get_named_property(env, value, names[index], &bytes) != napi_ok ||
            !take_bytes(env, bytes, true, places[index])) {
            return false;
        }
    }
    o->scan.from = o->key.data;
    o->scan.from_size = o->key.size;
    o->scan.to = o->extra.data;
    o->scan.to_size = o->extra.size;
    o->scan.prefix = o->third.data;
    o->scan.prefix_size = o->third.size;
    o->scan.limit = (uint64_t)get_number(env, value, "limit");
    o->scan.reverse = get_flag(env, value, "reverse");
    o->scan.keys_only = get_flag(env, value, "keysOnly");
    o->scan.open_ahead = (uint64_t)get_number(env, value, "openAhead");
    return true;
}

void run_count(struct operation *o) {
    o->status = o->other != NULL ? strongroom_snapshot_count(o->other, o->handle, &o->scan, &o->count, &o->error)
                                 : strongroom_collection_count(o->handle, &o->scan, &o->count, &o->error);
}

static void run_scan(struct operation *o) {
    strongroom_scan *scan = NULL;
    o->status = o->other != NULL ? strongroom_snapshot_scan(o->other, o->handle, &o->scan, &scan, &o->error)
                                 : strongroom_collection_scan(o->handle, &o->scan, &scan, &o->error);
    o->result = scan;
}

static napi_value finish_scan(napi_env env, struct operation *o) { return give(env, SCAN, o->result); }

/* scan(collection, snapshot | null, options) */
napi_value js_scan(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_scan, finish_scan);
    napi_valuetype type;
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], COLLECTION);
    napi_typeof(env, arguments[1], &type);
    if (o->handle == NULL || (type == napi_external && (o->other = take(env, arguments[1], SNAPSHOT)) == NULL) ||
        !scan_options(env, arguments[2], o)) {
        free_operation(o);
        return NULL;
    }
    if (is_object(env, arguments[2])) {
        napi_value cursor = NULL;
        napi_get_named_property(env, arguments[2], "after", &cursor);
        if (!take_bytes(env, cursor, false, &o->after)) {
            free_operation(o);
            return NULL;
        }
        o->scan.after = o->after.data;
        o->scan.after_size = o->after.size;
    }
    return now(env, o);
}

/* The index's name is where a cursor would be: this takes none. */
static void run_find(struct operation *o) {
    strongroom_scan *scan = NULL;
    o->status = strongroom_collection_find_range(o->handle, (const char *)o->after.data, o->after.size, &o->scan, &scan,
                                                 &o->error);
    o->result = scan;
}

/* find(collection, index, options): a scan of an index */
napi_value js_find(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_find, finish_scan);
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], COLLECTION);
    if (o->handle == NULL || !scan_options(env, arguments[2], o) || !take_bytes(env, arguments[1], false, &o->after)) {
        free_operation(o);
        return NULL;
    }
    o->scan.to_included = get_flag(env, arguments[2], "toIncluded");
    return now(env, o);
}

void run_change_index(struct operation *o) {
    const char *name = (const char *)o->key.data;
    if (o->number == 2) {
        o->status = strongroom_collection_drop_index(o->handle, name, o->key.size, &o->error);
    } else {
        o->status = strongroom_collection_declare_index(o->handle, name, o->key.size, (uint32_t)o->number, &o->error);
    }
}

void run_next(struct operation *o) {
    strongroom_page *page = NULL;
    o->status = strongroom_scan_next(o->handle, (size_t)o->number, 0, &page, &o->error);
    o->result = page;
}

void run_cursor(struct operation *o) {
    strongroom_buffer *cursor = NULL;
    o->status = strongroom_scan_cursor(o->handle, &cursor, &o->error);
    o->result = cursor;
}

static void run_batch(struct operation *o) {
    strongroom_batch *batch = NULL;
    o->status = strongroom_tenant_batch(o->handle, &batch, &o->error);
    o->result = batch;
}

static napi_value finish_batch(napi_env env, struct operation *o) { return give(env, BATCH, o->result); }

static void run_snapshot(struct operation *o) {
    strongroom_snapshot *snapshot = NULL;
    o->status = strongroom_tenant_snapshot(o->handle, &snapshot, &o->error);
    o->result = snapshot;
}

static napi_value finish_snapshot(napi_env env, struct operation *o) { return give(env, SNAPSHOT, o->result); }

/* batch(tenant) and snapshot(tenant) */
static napi_value of_tenant(napi_env env, napi_callback_info info, runner run, finisher finish) {
    struct operation *o = operation_of(run, finish);
    ARGUMENTS(1)
    o->handle = take(env, arguments[0], TENANT);
    if (o->handle == NULL) {
        free_operation(o);
        return NULL;
    }
    return now(env, o);
}

napi_value js_batch(napi_env env, napi_callback_info info) { return of_tenant(env, info, run_batch, finish_batch); }

napi_value js_snapshot(napi_env env, napi_callback_info info) { return of_tenant(env, info, run_snapshot, finish_snapshot); }

static void run_batch_put(struct operation *o) {
    o->status = strongroom_batch_put(o->handle, o->other, o->key.data, o->key.size, o->extra.data, o->extra.size,
                                     o->result, &o->error);
}

/* batchPut(batch, collection, key, value, options) */
napi_value js_batch_put(napi_env env, napi_callback_info info) {
    struct operation o = {0};
    strongroom_put_options options;
    struct put_room *room = NULL;
    bool is_good;
    ARGUMENTS(5)
    o.run = run_batch_put;
    o.result = &options;
    o.handle = take(env, arguments[0], BATCH);
    is_good = o.handle != NULL && (o.other = take(env, arguments[1], COLLECTION)) != NULL &&
              take_bytes(env, arguments[2], false, &o.key) && take_bytes(env, arguments[3], false, &o.extra) &&
              put_options(env, arguments[4], &options, &room);
    if (is_good) {
        run_here(env, &o);
    }
    free_room(room);
    free(o.key.owned);
    free(o.extra.owned);
    if (is_good && o.status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, o.error));
    }
    return undefined(env);
}

/* Null is any record, and none. */
void run_batch_erase(struct operation *o) {
    o->status = strongroom_batch_erase(o->handle, o->other, o->key.data, o->key.size, o->number ? &o->version : NULL,
                                       &o->error);
}

void run_batch_require(struct operation *o) {
    o->status = strongroom_batch_require(o->handle, o->other, o->key.data, o->key.size, o->number ? &o->version : NULL,
                                         &o->error);
}

void run_count_batch(struct operation *o) {
    size_t count = 0;
    o->status = strongroom_batch_count(o->handle, &count, &o->error);
    o->count = count;
}

static void run_write(struct operation *o) {
    o->status = strongroom_batch_write(o->handle, &o->version, &o->error);
}

/* A submitted batch and the environment that waits for it. */
struct submitted {
    struct environment *environment;
    struct operation *operation;
};

static void completed(void *context, strongroom_status status, const strongroom_version *version,
                      strongroom_error *error) {
    struct submitted *submitted = context;
    struct operation *operation = submitted->operation;
    operation->status = status;
    operation->error = error;
    if (version != NULL) {
        operation->version = *version;
    }
    is_done(submitted->environment, operation);
    free(submitted);
}

/* write(batch, later): its version; later it takes no thread */
napi_value js_write(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_write, finish_version);
    struct submitted *submitted;
    strongroom_error *error = NULL;
    strongroom_status status;
    napi_value promise;
    ARGUMENTS(2)
    o->handle = take(env, arguments[0], BATCH);
    if (o->handle == NULL) {
        free_operation(o);
        return NULL;
    }
    if (!is_later(env, arguments[1])) {
        return now(env, o);
    }
    submitted = malloc(sizeof *submitted);
    if (submitted == NULL) {
        abort();
    }
    submitted->environment = environment_of(env);
    submitted->operation = o;
    promise = promise_of(env, o);
    /* From its success on, the operation is the completion's, which may be under way already. */
    status = strongroom_batch_submit(o->handle, completed, submitted, &error);
    if (status != STRONGROOM_STATUS_OK) {
        o->status = status;
        o->error = error;
        is_done(submitted->environment, o);
        free(submitted);
    }
    return promise;
}

/* Removed records. */

void run_remove(struct operation *o) {
    o->status = strongroom_collection_remove(o->handle, o->key.data, o->key.size, o->number ? &o->version : NULL,
                                             &o->flag, &o->error);
}

void run_restore(struct operation *o) {
    o->status = strongroom_collection_restore(o->handle, o->key.data, o->key.size, o->number ? &o->version : NULL,
                                              &o->flag, &o->error);
}

void run_remove_prefix(struct operation *o) {
    o->status = strongroom_collection_remove_prefix(o->handle, o->key.data, o->key.size, &o->count, &o->error);
}

void run_remove_range(struct operation *o) {
    o->status = strongroom_collection_remove_range(o->handle, o->key.data, o->key.size, o->extra.data, o->extra.size,
                                                   &o->count, &o->error);
}

void run_restore_range(struct operation *o) {
    o->status = strongroom_collection_restore_range(o->handle, o->key.data, o->key.size, o->extra.data, o->extra.size,
                                                    &o->count, &o->error);
}

void run_restore_prefix(struct operation *o) {
    o->status = strongroom_collection_restore_prefix(o->handle, o->key.data, o->key.size, &o->count, &o->error);
}

/* removed(collection, options, after | null) */
void run_removed(struct operation *o) {
    strongroom_list *list = NULL;
    o->scan.after = o->after.data;
    o->scan.after_size = o->after.size;
    o->status = strongroom_collection_removed(o->handle, &o->scan, &list, &o->cursor, &o->error);
    o->result = list;
}
