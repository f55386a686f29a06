/* The native half of the Node binding: the C API, called at once or on threads of its own, as values of JavaScript. */
#include <node_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strongroom.h"

/* Threads for calls that return a promise: they wait for disks, so more than there are cores. */
#define THREADS 16
/* Keys and names that fit need no allocation. */
#define INLINE_BYTES 256

/* Handles, as JavaScript holds them. */
enum kind { STORE = 1, TENANT, COLLECTION, SNAPSHOT, BATCH, SCAN, READER, UPLOAD };

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

/* One call of the library: what goes in, what came out, and who waits for it. */
struct operation {
    runner run;
    finisher finish;
    napi_deferred deferred;
    struct operation *next;

    strongroom_status status;
    strongroom_error *error;

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
    bool has_ended;
};

struct job {
    struct operation *operation;
    struct environment *environment;
    struct job *next;
};

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static struct job *first_job, *last_job;
static int threads;

static struct environment *environment_of(napi_env env) {
    void *data = NULL;
    napi_get_instance_data(env, &data);
    return data;
}

static napi_value undefined(napi_env env) {
    napi_value value = NULL;
    napi_get_undefined(env, &value);
    return value;
}

static napi_value null(napi_env env) {
    napi_value value = NULL;
    napi_get_null(env, &value);
    return value;
}

static napi_value number(napi_env env, double number) {
    napi_value value = NULL;
    napi_create_double(env, number, &value);
    return value;
}

static void set(napi_env env, napi_value object, const char *name, napi_value value) {
    napi_set_named_property(env, object, name, value);
}

/* An instance of StrongroomError for an error, which is freed. */
static napi_value error_value(napi_env env, strongroom_error *error) {
    napi_value class = NULL, arguments[5], made = NULL;
    napi_get_reference_value(env, environment_of(env)->error_class, &class);
    napi_create_string_utf8(env, strongroom_error_message(error), NAPI_AUTO_LENGTH, &arguments[0]);
    napi_create_string_utf8(env, strongroom_status_name(strongroom_error_status(error)), NAPI_AUTO_LENGTH,
                            &arguments[1]);
    arguments[2] = number(env, strongroom_error_status(error));
    napi_get_boolean(env, strongroom_error_is_retryable(error), &arguments[3]);
    arguments[4] = number(env, strongroom_error_os_code(error));
    napi_new_instance(env, class, 5, arguments, &made);
    strongroom_error_free(error);
    return made;
}

/* Arguments. */

static bool bad_argument(napi_env env, const char *what) {
    char message[128];
    snprintf(message, sizeof message, "%s", what);
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
    return false;
}

static void *take(napi_env env, napi_value value, enum kind kind) {
    void *data = NULL;
    napi_valuetype type;
    if (napi_typeof(env, value, &type) != napi_ok || type != napi_external ||
        napi_get_value_external(env, value, &data) != napi_ok || ((struct handle *)data)->kind != kind) {
        bad_argument(env, "an object of this package is expected, of another kind");
        return NULL;
    }
    if (((struct handle *)data)->is_freed) {
        bad_argument(env, "it was closed");
        return NULL;
    }
    return ((struct handle *)data)->pointer;
}

/* Bytes of a string or a Uint8Array; copied where the call outlives this one. */
static bool take_bytes(napi_env env, napi_value value, bool copy, struct bytes *bytes) {
    napi_valuetype type;
    bool is_typed = false, is_detached = false;
    bytes->owned = NULL;
    bytes->data = NULL;
    bytes->size = 0;
    if (napi_typeof(env, value, &type) != napi_ok) {
        return false;
    }
    if (type == napi_undefined || type == napi_null) {
        return true;
    }
    if (type == napi_string) {
        size_t size = 0;
        uint8_t *room = bytes->room;
        napi_get_value_string_utf8(env, value, NULL, 0, &size);
        if (size + 1 > sizeof bytes->room) {
            room = bytes->owned = malloc(size + 1);
            if (room == NULL) {
                return bad_argument(env, "there is no memory for a string of this length");
            }
        }
        napi_get_value_string_utf8(env, value, (char *)room, size + 1, &size);
        bytes->data = room;
        bytes->size = size;
        return true;
    }
    napi_is_typedarray(env, value, &is_typed);
    if (is_typed) {
        napi_typedarray_type element;
        void *data = NULL;
        napi_value buffer;
        size_t size = 0, offset = 0;
        napi_get_typedarray_info(env, value, &element, &size, &data, &buffer, &offset);
        napi_is_detached_arraybuffer(env, buffer, &is_detached);
        if (element != napi_uint8_array || is_detached) {
            return bad_argument(env, "bytes are a string, a Buffer or a Uint8Array");
        }
        bytes->data = size == 0 ? bytes->room : data;
        bytes->size = size;
        if (copy && size > 0) {
            uint8_t *room = bytes->room;
            if (size > sizeof bytes->room) {
                room = bytes->owned = malloc(size);
                if (room == NULL) {
                    return bad_argument(env, "there is no memory for bytes of this length");
                }
            }
            memcpy(room, data, size);
            bytes->data = room;
        }
        return true;
    }
    return bad_argument(env, "bytes are a string, a Buffer or a Uint8Array");
}

static double get_number(napi_env env, napi_value object, const char *name) {
    napi_value value = NULL;
    double result = 0;
    if (napi_get_named_property(env, object, name, &value) == napi_ok) {
        napi_get_value_double(env, value, &result);
    }
    return result > 0 ? result : 0;
}

static bool get_flag(napi_env env, napi_value object, const char *name) {
    napi_value value = NULL;
    bool result = false;
    if (napi_get_named_property(env, object, name, &value) == napi_ok) {
        napi_coerce_to_bool(env, value, &value);
        napi_get_value_bool(env, value, &result);
    }
    return result;
}

static bool is_object(napi_env env, napi_value value) {
    napi_valuetype type;
    return napi_typeof(env, value, &type) == napi_ok && type == napi_object;
}

static bool get_version(napi_env env, napi_value value, strongroom_version *version) {
    memset(version, 0, sizeof *version);
    if (!is_object(env, value)) {
        return false;
    }
    version->timeline = (uint32_t)get_number(env, value, "timeline");
    version->sequence = (uint64_t)get_number(env, value, "sequence");
    return true;
}

/* Results. */

static void release(struct handle *handle) {
    if (handle->is_freed) {
        return;
    }
    handle->is_freed = true;
    switch (handle->kind) {
    case STORE: strongroom_engine_free(handle->pointer); break;
    case TENANT: strongroom_tenant_free(handle->pointer); break;
    case COLLECTION: strongroom_collection_free(handle->pointer); break;
    case SNAPSHOT: strongroom_snapshot_free(handle->pointer); break;
    case BATCH: strongroom_batch_free(handle->pointer); break;
    case SCAN: strongroom_scan_free(handle->pointer); break;
    case READER: strongroom_reader_free(handle->pointer); break;
    case UPLOAD: strongroom_upload_free(handle->pointer); break;
    }
}

static void free_handle(napi_env env, void *data, void *hint) {
    struct handle *handle = data;
    (void)env;
    (void)hint;
    release(handle);
    free(handle);
}

static napi_value give(napi_env env, enum kind kind, void *pointer) {
    napi_value value = NULL;
    struct handle *handle = malloc(sizeof *handle);
    if (handle == NULL) {
        abort();
    }
    handle->kind = kind;
    handle->is_freed = false;
    handle->pointer = pointer;
    napi_create_external(env, handle, free_handle, NULL, &value);
    return value;
}

static napi_value version_value(napi_env env, const strongroom_version *version) {
    napi_value object = NULL;
    napi_create_object(env, &object);
    set(env, object, "timeline", number(env, version->timeline));
    set(env, object, "sequence", number(env, (double)version->sequence));
    return object;
}

static napi_value time_value(napi_env env, uint64_t milliseconds) {
    return milliseconds == STRONGROOM_NEVER ? null(env) : number(env, (double)milliseconds);
}

static napi_value buffer_value(napi_env env, strongroom_buffer *buffer) {
    napi_value value = NULL;
    if (buffer == NULL) {
        return null(env);
    }
    napi_create_buffer_copy(env, strongroom_buffer_size(buffer), strongroom_buffer_data(buffer), NULL, &value);
    strongroom_buffer_free(buffer);
    return value;
}

static napi_value text_value(napi_env env, const char *text, size_t size) {
    napi_value value = NULL;
    napi_create_string_utf8(env, text, size, &value);
    return value;
}

static napi_value finish_nothing(napi_env env, struct operation *operation) {
    (void)operation;
    return undefined(env);
}

static napi_value finish_flag(napi_env env, struct operation *operation) {
    napi_value value = NULL;
    napi_get_boolean(env, operation->flag, &value);
    return value;
}

static napi_value finish_count(napi_env env, struct operation *operation) {
    return number(env, (double)operation->count);
}

static napi_value finish_buffer(napi_env env, struct operation *operation) {
    return buffer_value(env, operation->result);
}

static napi_value finish_version(napi_env env, struct operation *operation) {
    return version_value(env, &operation->version);
}

static napi_value finish_store(napi_env env, struct operation *operation) {
    return give(env, STORE, operation->result);
}

static napi_value finish_tenant(napi_env env, struct operation *operation) {
    return give(env, TENANT, operation->result);
}

static napi_value finish_info(napi_env env, struct operation *operation) {
    napi_value object = NULL;
    const strongroom_record_info *info = &operation->info;
    if (!info->exists) {
        return null(env);
    }
    napi_create_object(env, &object);
    set(env, object, "version", version_value(env, &info->version));
    set(env, object, "writtenMs", number(env, (double)info->written_ms));
    set(env, object, "expiresMs", time_value(env, info->expires_ms));
    set(env, object, "valueSize", number(env, (double)info->value_size));
    return object;
}

static napi_value record_value(napi_env env, const strongroom_entry *entry) {
    napi_value record = NULL, key = NULL, value = null(env);
    napi_create_object(env, &record);
    napi_create_buffer_copy(env, entry->key_size, entry->key, NULL, &key);
    if (entry->value != NULL) {
        napi_create_buffer_copy(env, entry->value_size, entry->value, NULL, &value);
    }
    set(env, record, "key", key);
    set(env, record, "value", value);
    set(env, record, "version", version_value(env, &entry->version));
    set(env, record, "writtenMs", number(env, (double)entry->written_ms));
    set(env, record, "expiresMs", time_value(env, entry->expires_ms));
    set(env, record, "valueSize", number(env, (double)entry->value_size));
    return record;
}

/* The records of a page; null at the end. */
static napi_value finish_page(napi_env env, struct operation *operation) {
    strongroom_page *page = operation->result;
    const strongroom_entry *entries = strongroom_page_entries(page);
    size_t index, count = strongroom_page_count(page);
    napi_value array = NULL;
    if (page == NULL) {
        return null(env);
    }
    napi_create_array_with_length(env, count, &array);
    for (index = 0; index < count; index++) {
        napi_set_element(env, array, (uint32_t)index, record_value(env, &entries[index]));
    }
    strongroom_page_free(page);
    return array;
}

static napi_value finish_report(napi_env env, struct operation *operation) {
    strongroom_report *report = operation->result;
    strongroom_report_summary summary;
    size_t index;
    napi_value object = NULL, problems = NULL, good = NULL;
    strongroom_report_summary_init(&summary, sizeof summary);
    strongroom_report_get_summary(report, &summary, NULL);
    napi_create_object(env, &object);
    napi_create_array(env, &problems);
    for (index = 0; index < strongroom_report_problem_count(report); index++) {
        const char *text = NULL;
        size_t size = 0;
        if (strongroom_report_problem(report, index, &text, &size, NULL) == STRONGROOM_STATUS_OK) {
            napi_set_element(env, problems, (uint32_t)index, text_value(env, text, size));
        }
    }
    napi_get_boolean(env, summary.is_good, &good);
    set(env, object, "isGood", good);
    set(env, object, "tenants", number(env, (double)summary.tenants));
    set(env, object, "records", number(env, (double)summary.records));
    set(env, object, "recordsBad", number(env, (double)summary.records_bad));
    set(env, object, "blocks", number(env, (double)summary.blocks));
    set(env, object, "blocksBad", number(env, (double)summary.blocks_bad));
    set(env, object, "unknownFiles", number(env, (double)summary.unknown_files));
    set(env, object, "problems", problems);
    strongroom_report_free(report);
    return object;
}

/* Running. */

static void free_operation(struct operation *operation) {
    free(operation->key.owned);
    free(operation->extra.owned);
    free(operation->third.owned);
    free(operation->after.owned);
    free(operation);
}

static struct operation *operation_of(runner run, finisher finish) {
    struct operation *operation = calloc(1, sizeof *operation);
    if (operation == NULL) {
        abort();
    }
    operation->run = run;
    operation->finish = finish;
    return operation;
}

/* On JavaScript's thread: settles the promises of what is done. */
static void settle(napi_env env, napi_value callback, void *context, void *data) {
    struct environment *environment = context;
    struct operation *operation;
    (void)callback;
    (void)data;
    pthread_mutex_lock(&environment->lock);
    operation = environment->done;
    environment->done = NULL;
    pthread_mutex_unlock(&environment->lock);
    while (operation != NULL) {
        struct operation *next = operation->next;
        if (env != NULL) {
            napi_handle_scope scope;
            napi_open_handle_scope(env, &scope);
            if (operation->status == STRONGROOM_STATUS_OK) {
                napi_resolve_deferred(env, operation->deferred, operation->finish(env, operation));
            } else {
                napi_reject_deferred(env, operation->deferred, error_value(env, operation->error));
            }
            napi_close_handle_scope(env, scope);
            if (--environment->under_way == 0) {
                /* Nothing keeps the process alive any more. */
                napi_unref_threadsafe_function(env, environment->wake);
            }
        }
        free_operation(operation);
        operation = next;
    }
}

/* Where the environment has ended nobody waits any more. */
static void is_done(struct environment *environment, struct operation *operation) {
    operation->next = NULL;
    pthread_mutex_lock(&environment->lock);
    if (environment->has_ended) {
        pthread_mutex_unlock(&environment->lock);
        strongroom_error_free(operation->error);
        free_operation(operation);
        return;
    }
    if (environment->done == NULL) {
        environment->done = operation;
        napi_call_threadsafe_function(environment->wake, NULL, napi_tsfn_nonblocking);
    } else {
        environment->last_done->next = operation;
    }
    environment->last_done = operation;
    pthread_mutex_unlock(&environment->lock);
}

static void *work(void *argument) {
    (void)argument;
    for (;;) {
        struct job *job;
        pthread_mutex_lock(&queue_lock);
        while (first_job == NULL) {
            pthread_cond_wait(&queue_filled, &queue_lock);
        }
        job = first_job;
        first_job = job->next;
        pthread_mutex_unlock(&queue_lock);
        job->operation->run(job->operation);
        is_done(job->environment, job->operation);
        free(job);
    }
    return NULL;
}

static void enqueue(struct environment *environment, struct operation *operation) {
    struct job *job = malloc(sizeof *job);
    if (job == NULL) {
        abort();
    }
    job->operation = operation;
    job->environment = environment;
    job->next = NULL;
    pthread_mutex_lock(&queue_lock);
    if (threads < THREADS) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL) == 0) {
            pthread_detach(thread);
            threads++;
        }
    }
    if (first_job == NULL) {
        first_job = job;
    } else {
        last_job->next = job;
    }
    last_job = job;
    pthread_cond_signal(&queue_filled);
    pthread_mutex_unlock(&queue_lock);
}

/* A promise for an operation. */
static napi_value promise_of(napi_env env, struct operation *operation) {
    struct environment *environment = environment_of(env);
    napi_value promise = NULL;
    napi_create_promise(env, &operation->deferred, &promise);
    if (environment->under_way++ == 0) {
        napi_ref_threadsafe_function(env, environment->wake);
    }
    return promise;
}

static napi_value now(napi_env env, struct operation *operation) {
    napi_value value = NULL;
    operation->run(operation);
    if (operation->status == STRONGROOM_STATUS_OK) {
        value = operation->finish(env, operation);
    } else {
        napi_throw(env, error_value(env, operation->error));
    }
    free_operation(operation);
    return value;
}

static napi_value start(napi_env env, struct operation *operation, bool later) {
    napi_value promise;
    if (!later) {
        return now(env, operation);
    }
    promise = promise_of(env, operation);
    enqueue(environment_of(env), operation);
    return promise;
}

/* The calls. Each takes its arguments, and at the end whether it gives a promise. */

#define ARGUMENTS(wanted)                                                \
    napi_value arguments[wanted];                                        \
    size_t given = wanted;                                               \
    if (napi_get_cb_info(env, info, &given, arguments, NULL, NULL) != napi_ok || given < wanted) { \
        bad_argument(env, "arguments are missing");                      \
        return NULL;                                                     \
    }

static bool is_later(napi_env env, napi_value value) {
    bool later = false;
    napi_get_value_bool(env, value, &later);
    return later;
}

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
static napi_value js_get(napi_env env, napi_callback_info info) {
    struct operation local = {0}, *operation = &local;
    napi_value value = NULL;
    ARGUMENTS(4)
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
        return start(env, operation, true);
    }
    run_get(operation);
    if (operation->status == STRONGROOM_STATUS_OK) {
        value = buffer_value(env, operation->result);
    } else {
        napi_throw(env, error_value(env, operation->error));
    }
    free(operation->key.owned);
    return value;
}

/* getInto(collection, key, buffer): the value's length, or -1 */
static napi_value js_get_into(napi_env env, napi_callback_info info) {
    struct bytes key, space;
    strongroom_error *error = NULL;
    strongroom_status status;
    size_t size = 0;
    void *collection;
    ARGUMENTS(3)
    collection = take(env, arguments[0], COLLECTION);
    if (collection == NULL || !take_bytes(env, arguments[1], false, &key)) {
        return NULL;
    }
    napi_valuetype type;
    napi_typeof(env, arguments[2], &type);
    if (type == napi_string || !take_bytes(env, arguments[2], false, &space)) {
        free(key.owned);
        bad_argument(env, "a value goes into a Buffer or a Uint8Array");
        return NULL;
    }
    status = strongroom_collection_get_into(collection, key.data, key.size, (uint8_t *)space.data, space.size, &size,
                                            &error);
    free(key.owned);
    if (status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    return number(env, size == STRONGROOM_ABSENT ? -1 : (double)size);
}

/* Most keys of one put in indexes. */
#define INDEX_KEYS_MAX 64

/* What a put's options point at. */
struct put_room {
    struct bytes subject;
    size_t count;
    struct bytes names[INDEX_KEYS_MAX], keys[INDEX_KEYS_MAX];
    strongroom_index_key index[INDEX_KEYS_MAX];
};

static void free_room(struct put_room *room) {
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
static bool put_options(napi_env env, napi_value value, strongroom_put_options *options, struct put_room **room) {
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

/* put(collection, key, value, options): its version */
static napi_value js_put(napi_env env, napi_callback_info info) {
    struct bytes key, value;
    strongroom_put_options options;
    struct put_room *room;
    strongroom_version version = {0};
    strongroom_error *error = NULL;
    strongroom_status status;
    void *collection;
    ARGUMENTS(4)
    collection = take(env, arguments[0], COLLECTION);
    if (collection == NULL || !take_bytes(env, arguments[1], false, &key)) {
        return NULL;
    }
    if (!take_bytes(env, arguments[2], false, &value)) {
        free(key.owned);
        return NULL;
    }
    if (!put_options(env, arguments[3], &options, &room)) {
        free_room(room);
        free(key.owned);
        free(value.owned);
        return NULL;
    }
    status = strongroom_collection_put(collection, key.data, key.size, value.data, value.size, &options, &version,
                                       &error);
    free_room(room);
    free(key.owned);
    free(value.owned);
    if (status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    return version_value(env, &version);
}

static void run_erase(struct operation *o) {
    if (o->number) {
        o->flag = true;
        o->status = strongroom_collection_erase_if_version(o->handle, o->key.data, o->key.size, &o->version, &o->error);
    } else {
        o->status = strongroom_collection_erase(o->handle, o->key.data, o->key.size, &o->flag, &o->error);
    }
}

static void run_erase_prefix(struct operation *o) {
    o->status = strongroom_collection_erase_prefix(o->handle, o->key.data, o->key.size, &o->count, &o->error);
}

static void run_erase_range(struct operation *o) {
    o->status = strongroom_collection_erase_range(o->handle, o->key.data, o->key.size, o->extra.data, o->extra.size,
                                                  &o->count, &o->error);
}

static void run_info(struct operation *o) {
    strongroom_record_info_init(&o->info, sizeof o->info);
    o->status = o->other != NULL ? strongroom_snapshot_get_info(o->other, o->handle, o->key.data, o->key.size,
                                                                &o->info, &o->error)
                                 : strongroom_collection_get_info(o->handle, o->key.data, o->key.size, &o->info,
                                                                  &o->error);
}

/* Options of a scan; what they point at is in the operation. */
static bool scan_options(napi_env env, napi_value value, struct operation *o) {
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
    return true;
}

static void run_count(struct operation *o) {
    o->status = o->other != NULL ? strongroom_snapshot_count(o->other, o->handle, &o->scan, &o->count, &o->error)
                                 : strongroom_collection_count(o->handle, &o->scan, &o->count, &o->error);
}

/* scan(collection, snapshot | null, options) */
static napi_value js_scan(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(NULL, NULL);
    strongroom_scan *scan = NULL;
    strongroom_error *error = NULL;
    strongroom_status status;
    struct bytes after;
    void *snapshot = NULL;
    napi_valuetype type;
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], COLLECTION);
    napi_typeof(env, arguments[1], &type);
    if (o->handle == NULL || !scan_options(env, arguments[2], o)) {
        free_operation(o);
        return NULL;
    }
    memset(&after, 0, sizeof after);
    if (is_object(env, arguments[2])) {
        napi_value cursor = NULL;
        napi_get_named_property(env, arguments[2], "after", &cursor);
        if (!take_bytes(env, cursor, false, &after)) {
            free_operation(o);
            return NULL;
        }
        o->scan.after = after.data;
        o->scan.after_size = after.size;
    }
    if (type == napi_external) {
        snapshot = take(env, arguments[1], SNAPSHOT);
        if (snapshot == NULL) {
            free(after.owned);
            free_operation(o);
            return NULL;
        }
        status = strongroom_snapshot_scan(snapshot, o->handle, &o->scan, &scan, &error);
    } else {
        status = strongroom_collection_scan(o->handle, &o->scan, &scan, &error);
    }
    free(after.owned);
    free_operation(o);
    if (status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    return give(env, SCAN, scan);
}

/* find(collection, index, options): a scan of an index */
static napi_value js_find(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(NULL, NULL);
    strongroom_scan *scan = NULL;
    strongroom_error *error = NULL;
    strongroom_status status;
    struct bytes index;
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], COLLECTION);
    if (o->handle == NULL || !scan_options(env, arguments[2], o)) {
        free_operation(o);
        return NULL;
    }
    if (!take_bytes(env, arguments[1], false, &index)) {
        free_operation(o);
        return NULL;
    }
    o->scan.to_included = get_flag(env, arguments[2], "toIncluded");
    status = strongroom_collection_find_range(o->handle, (const char *)index.data, index.size, &o->scan, &scan, &error);
    free(index.owned);
    free_operation(o);
    if (status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    return give(env, SCAN, scan);
}

static void run_change_index(struct operation *o) {
    const char *name = (const char *)o->key.data;
    if (o->number == 2) {
        o->status = strongroom_collection_drop_index(o->handle, name, o->key.size, &o->error);
    } else {
        o->status = strongroom_collection_declare_index(o->handle, name, o->key.size, (uint32_t)o->number, &o->error);
    }
}

static void run_set_policy(struct operation *o) {
    strongroom_policy policy;
    strongroom_policy_init(&policy, sizeof policy);
    policy.retention_ms = o->number;
    policy.maximum_ms = o->second;
    policy.removal_window_ms = o->last;
    if (o->other != NULL) {
        o->status = strongroom_collection_set_policy(o->other, &policy, &o->error);
    } else {
        o->status = strongroom_tenant_set_policy(o->handle, &policy, &o->error);
    }
}

/* Numbers of a result; below zero is no bound. */
static napi_value finish_numbers(napi_env env, struct operation *o) {
    const uint64_t numbers[] = {o->number, o->second, o->last};
    napi_value array = NULL;
    uint32_t index;
    napi_create_array_with_length(env, 3, &array);
    for (index = 0; index < 3; index++) {
        napi_set_element(env, array, index, number(env, numbers[index] == UINT64_MAX ? -1 : (double)numbers[index]));
    }
    return array;
}

static void run_get_policy(struct operation *o) {
    strongroom_policy policy;
    strongroom_policy_init(&policy, sizeof policy);
    o->status = o->other != NULL ? strongroom_collection_get_policy(o->other, &policy, &o->error)
                                 : strongroom_tenant_get_policy(o->handle, &policy, &o->error);
    o->number = policy.retention_ms;
    o->second = policy.maximum_ms;
    o->last = policy.removal_window_ms;
}

/* Of numbers that are given, those below zero are no bound. */
static void run_set_quota(struct operation *o) {
    strongroom_quota quota;
    strongroom_quota_init(&quota, sizeof quota);
    quota.records = o->number;
    quota.bytes = o->second;
    o->status = o->other != NULL ? strongroom_collection_set_quota(o->other, &quota, &o->error)
                                 : strongroom_tenant_set_quota(o->handle, &quota, &o->error);
}

static void run_get_quota(struct operation *o) {
    strongroom_quota quota;
    strongroom_quota_init(&quota, sizeof quota);
    o->status = o->other != NULL ? strongroom_collection_get_quota(o->other, &quota, &o->error)
                                 : strongroom_tenant_get_quota(o->handle, &quota, &o->error);
    o->number = quota.records;
    o->second = quota.bytes;
}

static void run_usage(struct operation *o) {
    strongroom_usage usage;
    strongroom_usage_init(&usage, sizeof usage);
    o->status = o->other != NULL ? strongroom_collection_get_usage(o->other, &usage, &o->error)
                                 : strongroom_tenant_get_usage(o->handle, &usage, &o->error);
    o->number = usage.records;
    o->second = usage.bytes;
}

static void run_rotate(struct operation *o) {
    uint32_t generation = 0;
    o->status = strongroom_tenant_rotate_data_key(o->handle, &generation, &o->error);
    o->count = generation;
}

static void run_retire(struct operation *o) {
    o->status = strongroom_tenant_retire_data_key(o->handle, (uint32_t)o->number, &o->error);
}

static void run_rekey(struct operation *o) {
    strongroom_rekey_options options;
    strongroom_rekey_options_init(&options, sizeof options);
    options.records = o->number;
    options.records_per_second = (uint32_t)o->second;
    strongroom_rekey_init(&o->rekey, sizeof o->rekey);
    o->status = strongroom_tenant_rekey(o->handle, &options, NULL, NULL, &o->rekey, &o->error);
}

static napi_value finish_rekey(napi_env env, struct operation *o) {
    napi_value object = NULL, complete = NULL;
    napi_create_object(env, &object);
    napi_get_boolean(env, o->rekey.is_complete, &complete);
    set(env, object, "generation", number(env, o->rekey.generation));
    set(env, object, "records", number(env, (double)o->rekey.records));
    set(env, object, "resealed", number(env, (double)o->rekey.resealed));
    set(env, object, "overtaken", number(env, (double)o->rekey.overtaken));
    set(env, object, "large", number(env, (double)o->rekey.large));
    set(env, object, "unreadable", number(env, (double)o->rekey.unreadable));
    set(env, object, "complete", complete);
    return object;
}

static void run_erase_subject(struct operation *o) {
    o->status =
        strongroom_tenant_erase_subject(o->handle, (const char *)o->key.data, o->key.size, &o->flag, &o->error);
}

static void run_sweep(struct operation *o) {
    o->status = strongroom_engine_sweep(o->handle, (const char *)o->key.data, o->key.size, &o->count, &o->error);
}

static void run_health(struct operation *o) {
    strongroom_buffer *json = NULL;
    o->status = strongroom_engine_health(o->handle, NULL, &json, &o->error);
    o->result = json;
}

static void run_next(struct operation *o) {
    strongroom_page *page = NULL;
    o->status = strongroom_scan_next(o->handle, (size_t)o->number, 0, &page, &o->error);
    o->result = page;
}

static void run_cursor(struct operation *o) {
    strongroom_buffer *cursor = NULL;
    o->status = strongroom_scan_cursor(o->handle, &cursor, &o->error);
    o->result = cursor;
}

/* batch(tenant) and snapshot(tenant) */
static napi_value js_batch(napi_env env, napi_callback_info info) {
    strongroom_batch *batch = NULL;
    strongroom_error *error = NULL;
    void *tenant;
    ARGUMENTS(1)
    tenant = take(env, arguments[0], TENANT);
    if (tenant == NULL) {
        return NULL;
    }
    if (strongroom_tenant_batch(tenant, &batch, &error) != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    return give(env, BATCH, batch);
}

static napi_value js_snapshot(napi_env env, napi_callback_info info) {
    strongroom_snapshot *snapshot = NULL;
    strongroom_error *error = NULL;
    void *tenant;
    ARGUMENTS(1)
    tenant = take(env, arguments[0], TENANT);
    if (tenant == NULL) {
        return NULL;
    }
    if (strongroom_tenant_snapshot(tenant, &snapshot, &error) != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    return give(env, SNAPSHOT, snapshot);
}

/* batchPut(batch, collection, key, value, options) */
static napi_value js_batch_put(napi_env env, napi_callback_info info) {
    struct bytes key, value;
    strongroom_put_options options;
    struct put_room *room;
    strongroom_error *error = NULL;
    strongroom_status status;
    void *batch, *collection;
    ARGUMENTS(5)
    batch = take(env, arguments[0], BATCH);
    if (batch == NULL || (collection = take(env, arguments[1], COLLECTION)) == NULL ||
        !take_bytes(env, arguments[2], false, &key)) {
        return NULL;
    }
    if (!take_bytes(env, arguments[3], false, &value)) {
        free(key.owned);
        return NULL;
    }
    if (!put_options(env, arguments[4], &options, &room)) {
        free_room(room);
        free(key.owned);
        free(value.owned);
        return NULL;
    }
    status =
        strongroom_batch_put(batch, collection, key.data, key.size, value.data, value.size, &options, &error);
    free_room(room);
    free(key.owned);
    free(value.owned);
    if (status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
    }
    return undefined(env);
}

/* batchErase(batch, collection, key, version | null) and batchRequire(...): null is any record, and none */
static napi_value batch_key(napi_env env, napi_callback_info info,
                            strongroom_status (*call)(const strongroom_batch *, const strongroom_collection *,
                                                      const uint8_t *, size_t, const strongroom_version *,
                                                      strongroom_error **)) {
    struct bytes key;
    strongroom_version version;
    strongroom_error *error = NULL;
    strongroom_status status;
    void *batch, *collection;
    bool has_version;
    ARGUMENTS(4)
    batch = take(env, arguments[0], BATCH);
    if (batch == NULL || (collection = take(env, arguments[1], COLLECTION)) == NULL ||
        !take_bytes(env, arguments[2], false, &key)) {
        return NULL;
    }
    has_version = get_version(env, arguments[3], &version);
    status = call(batch, collection, key.data, key.size, has_version ? &version : NULL, &error);
    free(key.owned);
    if (status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
    }
    return undefined(env);
}

static napi_value js_batch_erase(napi_env env, napi_callback_info info) {
    return batch_key(env, info, strongroom_batch_erase);
}

static napi_value js_batch_require(napi_env env, napi_callback_info info) {
    return batch_key(env, info, strongroom_batch_require);
}

static void run_count_batch(struct operation *o) {
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
static napi_value js_write(napi_env env, napi_callback_info info) {
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

/* Tenants and their collections. */

static void run_tenant(struct operation *o) {
    strongroom_tenant *tenant = NULL;
    if (o->number) {
        strongroom_tenant_options options;
        strongroom_policy policy;
        strongroom_tenant_options_init(&options, sizeof options);
        options.region = (const char *)o->extra.data;
        options.region_size = o->extra.size;
        options.dedicated = o->flag;
        strongroom_policy_init(&policy, sizeof policy);
        policy.retention_ms = o->count;
        policy.maximum_ms = o->second;
        policy.removal_window_ms = o->last;
        options.policy = &policy;
        o->status = strongroom_engine_create_tenant(o->handle, (const char *)o->key.data, o->key.size, &options,
                                                    &tenant, &o->error);
    } else {
        o->status =
            strongroom_engine_tenant(o->handle, (const char *)o->key.data, o->key.size, &tenant, &o->error);
    }
    o->result = tenant;
}

/* tenant(store, name, options | null, later): null opens, options create */
static napi_value js_tenant(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_tenant, finish_tenant);
    ARGUMENTS(4)
    o->handle = take(env, arguments[0], STORE);
    if (o->handle == NULL || !take_bytes(env, arguments[1], true, &o->key)) {
        free_operation(o);
        return NULL;
    }
    if (is_object(env, arguments[2])) {
        napi_value region = NULL, policy = NULL;
        o->number = 1;
        o->flag = get_flag(env, arguments[2], "dedicated");
        napi_get_named_property(env, arguments[2], "policy", &policy);
        if (is_object(env, policy)) {
            o->count = (uint64_t)get_number(env, policy, "retentionMs");
            o->second = (uint64_t)get_number(env, policy, "maximumMs");
            o->last = (uint64_t)get_number(env, policy, "removalWindowMs");
        }
        napi_get_named_property(env, arguments[2], "region", &region);
        if (!take_bytes(env, region, true, &o->extra)) {
            free_operation(o);
            return NULL;
        }
    }
    return start(env, o, is_later(env, arguments[3]));
}

/* collection(tenant, name) */
static napi_value js_collection(napi_env env, napi_callback_info info) {
    strongroom_collection *collection = NULL;
    strongroom_error *error = NULL;
    strongroom_status status;
    struct bytes name;
    void *tenant;
    ARGUMENTS(2)
    tenant = take(env, arguments[0], TENANT);
    if (tenant == NULL || !take_bytes(env, arguments[1], false, &name)) {
        return NULL;
    }
    status = strongroom_tenant_collection(tenant, (const char *)name.data, name.size, &collection, &error);
    free(name.owned);
    if (status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    return give(env, COLLECTION, collection);
}

static void run_change_collection(struct operation *o) {
    const char *name = (const char *)o->key.data;
    switch (o->number) {
    case 0: o->status = strongroom_tenant_create_collection(o->handle, name, o->key.size, &o->error); break;
    case 1: o->status = strongroom_tenant_drop_collection(o->handle, name, o->key.size, &o->error); break;
    default:
        o->status = strongroom_tenant_rename_collection(o->handle, name, o->key.size, (const char *)o->extra.data,
                                                        o->extra.size, &o->error);
    }
}

/* Large values. */

static void run_get_range(struct operation *o) {
    strongroom_buffer *buffer = NULL;
    o->status = strongroom_collection_get_range(o->handle, o->key.data, o->key.size, o->number, o->second, &buffer,
                                                &o->error);
    o->result = buffer;
}

static void run_reader(struct operation *o) {
    strongroom_reader *reader = NULL;
    if (o->other != NULL) {
        o->status =
            strongroom_snapshot_get_reader(o->other, o->handle, o->key.data, o->key.size, &reader, &o->error);
    } else {
        o->status = strongroom_collection_get_reader(o->handle, o->key.data, o->key.size, &reader, &o->error);
    }
    o->result = reader;
}

static napi_value finish_reader(napi_env env, struct operation *o) {
    return o->result == NULL ? null(env) : give(env, READER, o->result);
}

static void run_reader_info(struct operation *o) {
    strongroom_record_info_init(&o->info, sizeof o->info);
    o->status = strongroom_reader_get_info(o->handle, &o->info, &o->error);
}

/* Reads a piece into memory of its own, which is wiped when it is given to JavaScript. */
static void run_read_at(struct operation *o) {
    size_t size = (size_t)o->second, read = 0;
    o->result = malloc(size + 1);
    if (o->result == NULL) {
        abort();
    }
    o->status = strongroom_reader_read_at(o->handle, o->number, o->result, size, &read, &o->error);
    if (o->status != STRONGROOM_STATUS_OK) {
        memset(o->result, 0, size);
        free(o->result);
    }
    o->count = read;
}

static napi_value finish_piece(napi_env env, struct operation *o) {
    napi_value value = NULL;
    volatile uint8_t *wiped = o->result;
    size_t index;
    napi_create_buffer_copy(env, (size_t)o->count, o->result, NULL, &value);
    for (index = 0; index < o->count; index++) {
        wiped[index] = 0;
    }
    free(o->result);
    return value;
}

static void run_resume_upload(struct operation *o) {
    strongroom_upload *upload = NULL;
    o->status = strongroom_collection_resume_upload(o->handle, o->key.size == 16 ? o->key.data : NULL, &upload,
                                                    &o->error);
    o->result = upload;
}

static napi_value finish_upload(napi_env env, struct operation *o) { return give(env, UPLOAD, o->result); }

/* beginUpload(collection, key, options): at once, since its options are JavaScript's */
static napi_value js_begin_upload(napi_env env, napi_callback_info info) {
    struct bytes key;
    strongroom_put_options options;
    struct put_room *room;
    strongroom_upload *upload = NULL;
    strongroom_error *error = NULL;
    strongroom_status status;
    void *collection;
    ARGUMENTS(3)
    collection = take(env, arguments[0], COLLECTION);
    if (collection == NULL || !take_bytes(env, arguments[1], false, &key)) {
        return NULL;
    }
    if (!put_options(env, arguments[2], &options, &room)) {
        free_room(room);
        free(key.owned);
        return NULL;
    }
    status = strongroom_collection_begin_upload(collection, key.data, key.size, &options, &upload, &error);
    free_room(room);
    free(key.owned);
    if (status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    return give(env, UPLOAD, upload);
}

static void run_upload_id(struct operation *o) {
    o->status = strongroom_upload_id(o->handle, o->key.room, &o->error);
}

static napi_value finish_id(napi_env env, struct operation *o) {
    napi_value value = NULL;
    napi_create_buffer_copy(env, 16, o->key.room, NULL, &value);
    return value;
}

static void run_durable_bytes(struct operation *o) {
    o->status = strongroom_upload_durable_bytes(o->handle, &o->count, &o->error);
}

static void run_upload_write(struct operation *o) {
    o->status = strongroom_upload_write(o->handle, o->key.data, o->key.size, &o->error);
}

static void run_upload_flush(struct operation *o) { o->status = strongroom_upload_flush(o->handle, &o->error); }

static void run_publish(struct operation *o) {
    o->status = strongroom_upload_publish(o->handle, &o->version, &o->error);
}

static void run_discard(struct operation *o) { o->status = strongroom_upload_discard(o->handle, &o->error); }

/* A function of JavaScript's that gives the keys of a record. */
struct building {
    napi_env env;
    napi_value function;
};

static bool keys_of(void *context, const strongroom_entry *entry, strongroom_key_sink *sink) {
    struct building *building = context;
    napi_env env = building->env;
    napi_value keys = NULL, record = record_value(env, entry);
    uint32_t index, length = 0;
    if (napi_call_function(env, undefined(env), building->function, 1, &record, &keys) != napi_ok) {
        return false;
    }
    if (napi_get_array_length(env, keys, &length) != napi_ok) {
        return bad_argument(env, "the keys of a record are an array");
    }
    for (index = 0; index < length; index++) {
        napi_value element = undefined(env);
        struct bytes key;
        strongroom_error *error = NULL;
        strongroom_status status;
        napi_get_element(env, keys, index, &element);
        if (!take_bytes(env, element, false, &key)) {
            return false;
        }
        status = strongroom_key_sink_add(sink, key.data, key.size, &error);
        free(key.owned);
        if (status != STRONGROOM_STATUS_OK) {
            napi_throw(env, error_value(env, error));
            return false;
        }
    }
    return true;
}

/* buildIndex(collection, name, function): how many records got keys; at once, since the function is JavaScript's */
static napi_value js_build_index(napi_env env, napi_callback_info info) {
    struct building building;
    struct bytes name;
    strongroom_error *error = NULL;
    strongroom_status status;
    uint64_t built = 0;
    bool has_thrown = false;
    void *collection;
    ARGUMENTS(3)
    collection = take(env, arguments[0], COLLECTION);
    if (collection == NULL || !take_bytes(env, arguments[1], false, &name)) {
        return NULL;
    }
    building.env = env;
    building.function = arguments[2];
    status = strongroom_collection_build_index(collection, (const char *)name.data, name.size, keys_of, NULL,
                                               &building, &built, &error);
    free(name.owned);
    napi_is_exception_pending(env, &has_thrown);
    if (has_thrown) {
        strongroom_error_free(error);
        return NULL;
    }
    if (status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    return number(env, (double)built);
}

/* Removed records. */

static void run_remove(struct operation *o) {
    o->status = strongroom_collection_remove(o->handle, o->key.data, o->key.size, o->number ? &o->version : NULL,
                                             &o->flag, &o->error);
}

static void run_restore(struct operation *o) {
    o->status = strongroom_collection_restore(o->handle, o->key.data, o->key.size, o->number ? &o->version : NULL,
                                              &o->flag, &o->error);
}

static void run_remove_prefix(struct operation *o) {
    o->status = strongroom_collection_remove_prefix(o->handle, o->key.data, o->key.size, &o->count, &o->error);
}

static void run_restore_prefix(struct operation *o) {
    o->status = strongroom_collection_restore_prefix(o->handle, o->key.data, o->key.size, &o->count, &o->error);
}

/* removed(collection, options, after | null) */
static void run_removed(struct operation *o) {
    strongroom_list *list = NULL;
    o->scan.after = o->after.data;
    o->scan.after_size = o->after.size;
    o->status = strongroom_collection_removed(o->handle, &o->scan, &list, &o->cursor, &o->error);
    o->result = list;
}

/* Lists: how the rows of each kind become objects. */

enum member_kind { TEXT, BYTES, ID, NUMBER, NUMBER32, FLAG, TIME, VERSION };

struct member {
    const char *name;
    enum member_kind kind;
    size_t offset, size_offset;
};

struct row_kind {
    size_t size;
    strongroom_status (*init)(void *row, size_t size);
    strongroom_status (*read)(const strongroom_list *list, size_t index, void *row);
    struct member members[14];
};

#define ROW(kind)                                                                                              \
    static strongroom_status init_##kind(void *row, size_t size) { return strongroom_##kind##_info_init(row, size); } \
    static strongroom_status read_##kind(const strongroom_list *list, size_t index, void *row) {               \
        return strongroom_list_get_##kind(list, index, row, NULL);                                             \
    }
#define MEMBER(row, name, kind, member) {name, kind, offsetof(strongroom_##row##_info, member), 0}
#define TEXT_MEMBER(row, name, member) \
    {name, TEXT, offsetof(strongroom_##row##_info, member), offsetof(strongroom_##row##_info, member##_size)}

ROW(tenant)
ROW(collection)
ROW(index)
ROW(region)
ROW(lane)
ROW(data_key)
ROW(removed)

static const struct row_kind row_kinds[] = {
    {sizeof(strongroom_tenant_info), init_tenant, read_tenant,
     {TEXT_MEMBER(tenant, "name", name), MEMBER(tenant, "id", ID, id), TEXT_MEMBER(tenant, "region", region),
      MEMBER(tenant, "dedicated", FLAG, dedicated), MEMBER(tenant, "createdMs", NUMBER, created_ms)}},
    {sizeof(strongroom_collection_info), init_collection, read_collection,
     {TEXT_MEMBER(collection, "name", name), MEMBER(collection, "createdMs", NUMBER, created_ms)}},
    {sizeof(strongroom_index_info), init_index, read_index,
     {TEXT_MEMBER(index, "name", name), MEMBER(index, "unique", FLAG, kind), MEMBER(index, "ready", FLAG, is_ready),
      MEMBER(index, "createdMs", NUMBER, created_ms)}},
    {sizeof(strongroom_region_info), init_region, read_region,
     {TEXT_MEMBER(region, "name", name), TEXT_MEMBER(region, "root", root), TEXT_MEMBER(region, "keys", keys),
      TEXT_MEMBER(region, "problem", problem)}},
    {sizeof(strongroom_lane_info), init_lane, read_lane,
     {TEXT_MEMBER(lane, "region", region), MEMBER(lane, "id", ID, id), MEMBER(lane, "segments", NUMBER, segments),
      MEMBER(lane, "segmentBytes", NUMBER, segment_bytes), MEMBER(lane, "pendingBytes", NUMBER, pending_bytes),
      MEMBER(lane, "pendingTenants", NUMBER, pending_tenants), MEMBER(lane, "batches", NUMBER, batches),
      MEMBER(lane, "changes", NUMBER, changes), MEMBER(lane, "writtenBytes", NUMBER, written_bytes),
      MEMBER(lane, "syncs", NUMBER, syncs), MEMBER(lane, "syncMicros", NUMBER, sync_micros),
      MEMBER(lane, "damaged", NUMBER, damaged)}},
    {sizeof(strongroom_data_key_info), init_data_key, read_data_key,
     {MEMBER(data_key, "generation", NUMBER32, generation), MEMBER(data_key, "state", NUMBER32, state),
      MEMBER(data_key, "createdMs", NUMBER, created_ms), MEMBER(data_key, "recordsSealed", NUMBER, records_sealed)}},
    {sizeof(strongroom_removed_info), init_removed, read_removed,
     {{"key", BYTES, offsetof(strongroom_removed_info, key), offsetof(strongroom_removed_info, key_size)},
      MEMBER(removed, "version", VERSION, version), MEMBER(removed, "writtenMs", NUMBER, written_ms),
      MEMBER(removed, "expiresMs", TIME, expires_ms), MEMBER(removed, "valueSize", NUMBER, value_size),
      MEMBER(removed, "removedMs", NUMBER, removed_ms), MEMBER(removed, "erasedFromMs", NUMBER, erased_from_ms)}},
};

static napi_value member_value(napi_env env, const char *row, const struct member *member) {
    const char *place = row + member->offset;
    const char *text;
    size_t size;
    uint64_t wide;
    uint32_t narrow;
    strongroom_version version;
    char id[33];
    int byte;
    napi_value value = NULL;
    switch (member->kind) {
    case TEXT:
        memcpy(&text, place, sizeof text);
        memcpy(&size, row + member->size_offset, sizeof size);
        return text == NULL ? null(env) : text_value(env, text, size);
    case BYTES:
        memcpy(&text, place, sizeof text);
        memcpy(&size, row + member->size_offset, sizeof size);
        napi_create_buffer_copy(env, size, text, NULL, &value);
        return value;
    case TIME: memcpy(&wide, place, sizeof wide); return time_value(env, wide);
    case VERSION: memcpy(&version, place, sizeof version); return version_value(env, &version);
    case ID:
        for (byte = 0; byte < 16; byte++) {
            snprintf(id + 2 * byte, 3, "%02x", (uint8_t)place[byte]);
        }
        return text_value(env, id, 32);
    case NUMBER: memcpy(&wide, place, sizeof wide); return number(env, (double)wide);
    case NUMBER32: memcpy(&narrow, place, sizeof narrow); return number(env, narrow);
    case FLAG:
        memcpy(&narrow, place, sizeof narrow);
        napi_get_boolean(env, narrow != 0, &value);
        return value;
    }
    return null(env);
}

static napi_value finish_list(napi_env env, struct operation *o) {
    const struct row_kind *kind = &row_kinds[o->count];
    strongroom_list *list = o->result;
    napi_value array = NULL;
    size_t index;
    union {
        strongroom_lane_info largest;
        char bytes[sizeof(strongroom_lane_info)];
    } row;
    napi_create_array(env, &array);
    for (index = 0; index < strongroom_list_count(list); index++) {
        const struct member *member;
        napi_value object = NULL;
        if (kind->init(&row, kind->size) != STRONGROOM_STATUS_OK ||
            kind->read(list, index, &row) != STRONGROOM_STATUS_OK) {
            continue;
        }
        napi_create_object(env, &object);
        for (member = kind->members; member->name != NULL; member++) {
            set(env, object, member->name, member_value(env, row.bytes, member));
        }
        napi_set_element(env, array, (uint32_t)index, object);
    }
    strongroom_list_free(list);
    return array;
}

static napi_value finish_removed(napi_env env, struct operation *o) {
    napi_value object = NULL;
    napi_create_object(env, &object);
    o->count = 6;
    set(env, object, "records", finish_list(env, o));
    set(env, object, "cursor", buffer_value(env, o->cursor));
    return object;
}

/* A list of a handle: which kind its rows are. */
#define LIST(name, call, kind)                                \
    static void run_##name(struct operation *o) {             \
        strongroom_list *list = NULL;                         \
        o->status = call(o->handle, &list, &o->error);        \
        o->result = list;                                     \
        o->count = kind;                                      \
    }
LIST(tenants, strongroom_engine_tenants, 0)
LIST(collections, strongroom_tenant_collections, 1)
LIST(snapshot_collections, strongroom_snapshot_collections, 1)
LIST(indexes, strongroom_collection_indexes, 2)
LIST(regions, strongroom_engine_regions, 3)
LIST(lanes, strongroom_engine_lanes, 4)
LIST(data_keys, strongroom_tenant_data_keys, 5)

static void run_open_tenants(struct operation *o) {
    size_t count = 0;
    o->status = strongroom_engine_open_tenants(o->handle, &count, &o->error);
    o->count = count;
}

/* publishedHealth(path): JSON, and its age in number */
static void run_published_health(struct operation *o) {
    strongroom_config *config = NULL;
    strongroom_buffer *json = NULL;
    o->status = strongroom_config_new((const char *)o->key.data, o->key.size, &config, &o->error);
    if (o->status == STRONGROOM_STATUS_OK) {
        o->status = strongroom_config_published_health(config, NULL, &o->count, &json, &o->error);
    }
    strongroom_config_free(config);
    o->result = json;
}

static napi_value finish_published_health(napi_env env, struct operation *o) {
    napi_value array = NULL;
    napi_create_array_with_length(env, 2, &array);
    napi_set_element(env, array, 0, buffer_value(env, o->result));
    napi_set_element(env, array, 1, number(env, (double)o->count));
    return array;
}

/* Upkeep. */

static void run_close(struct operation *o) { o->status = strongroom_engine_close(o->handle, &o->error); }
static void run_flush(struct operation *o) { o->status = strongroom_engine_flush(o->handle, &o->error); }
static void run_confirm_clock(struct operation *o) { o->status = strongroom_engine_confirm_clock(o->handle, &o->error); }
static void run_tick(struct operation *o) { o->status = strongroom_engine_tick(o->handle, &o->error); }
static void run_checkpoint(struct operation *o) { o->status = strongroom_engine_checkpoint(o->handle, &o->error); }


static void run_rewrite(struct operation *o) {
    strongroom_rewrite done;
    strongroom_rewrite_init(&done, sizeof done);
    o->status = strongroom_tenant_rewrite(o->handle, NULL, NULL, &done, &o->error);
    o->flag = done.has_file;
}

static void run_verify(struct operation *o) {
    strongroom_report *report = NULL;
    if (o->key.data != NULL) {
        o->status = strongroom_engine_verify_tenant(o->handle, (const char *)o->key.data, o->key.size, NULL, NULL,
                                                    &report, &o->error);
    } else {
        o->status = strongroom_engine_verify(o->handle, NULL, NULL, &report, &o->error);
    }
    o->result = report;
}

/* Calls that are nothing but their arguments. */

struct call {
    const char *name;
    /* One letter for each argument, and then 'l' for whether it gives a promise: S T C P B N R U the handle, of a store, tenant,
     * collection, snapshot, batch, scan, reader or upload; X another one beside it (a collection, or where it comes after one
     * a snapshot), or null; b bytes; a a cursor; n a number, of which one below zero is none; s a scan's options; v a version or null. */
    const char *takes;
    runner run;
    finisher finish;
};

static const struct call calls[] = {
    {"batchCount", "B", run_count_batch, finish_count},
    {"changeCollection", "Tnbbl", run_change_collection, finish_nothing},
    {"changeIndex", "Cnbl", run_change_index, finish_nothing},
    {"checkpoint", "Sl", run_checkpoint, finish_nothing},
    {"close", "Sl", run_close, finish_nothing},
    {"collections", "T", run_collections, finish_list},
    {"confirmClock", "Sl", run_confirm_clock, finish_nothing},
    {"count", "CXsl", run_count, finish_count},
    {"cursor", "N", run_cursor, finish_buffer},
    {"dataKeys", "T", run_data_keys, finish_list},
    {"discard", "Ul", run_discard, finish_nothing},
    {"durableBytes", "U", run_durable_bytes, finish_count},
    {"erase", "Cbvl", run_erase, finish_flag},
    {"erasePrefix", "Cbl", run_erase_prefix, finish_count},
    {"eraseRange", "Cbbl", run_erase_range, finish_count},
    {"eraseSubject", "Tbl", run_erase_subject, finish_flag},
    {"flush", "Sl", run_flush, finish_nothing},
    {"getPolicy", "TX", run_get_policy, finish_numbers},
    {"getQuota", "TX", run_get_quota, finish_numbers},
    {"getRange", "Cbnnl", run_get_range, finish_buffer},
    {"health", "S", run_health, finish_buffer},
    {"indexes", "C", run_indexes, finish_list},
    {"info", "CXbl", run_info, finish_info},
    {"lanes", "S", run_lanes, finish_list},
    {"next", "Nnl", run_next, finish_page},
    {"openTenants", "S", run_open_tenants, finish_count},
    {"publish", "Ul", run_publish, finish_version},
    {"publishedHealth", "b", run_published_health, finish_published_health},
    {"readAt", "Rnnl", run_read_at, finish_piece},
    {"reader", "CXbl", run_reader, finish_reader},
    {"readerInfo", "R", run_reader_info, finish_info},
    {"regions", "S", run_regions, finish_list},
    {"remove", "Cbvl", run_remove, finish_flag},
    {"removePrefix", "Cbl", run_remove_prefix, finish_count},
    {"removed", "Csa", run_removed, finish_removed},
    {"restore", "Cbvl", run_restore, finish_flag},
    {"restorePrefix", "Cbl", run_restore_prefix, finish_count},
    {"rekey", "Tnnl", run_rekey, finish_rekey},
    {"resumeUpload", "Cbl", run_resume_upload, finish_upload},
    {"retireDataKey", "Tnl", run_retire, finish_nothing},
    {"rewrite", "Tl", run_rewrite, finish_flag},
    {"rotateDataKey", "Tl", run_rotate, finish_count},
    {"setPolicy", "TXnnnl", run_set_policy, finish_nothing},
    {"setQuota", "TXnnl", run_set_quota, finish_nothing},
    {"snapshotCollections", "P", run_snapshot_collections, finish_list},
    {"sweep", "Sbl", run_sweep, finish_count},
    {"tenants", "S", run_tenants, finish_list},
    {"tick", "Sl", run_tick, finish_nothing},
    {"uploadFlush", "Ul", run_upload_flush, finish_nothing},
    {"uploadId", "U", run_upload_id, finish_id},
    {"uploadWrite", "Ubl", run_upload_write, finish_nothing},
    {"usage", "TXl", run_usage, finish_numbers},
    {"verify", "Sbl", run_verify, finish_report},
};

#define ARGUMENTS_MAX 6

/* Takes the next argument; false where it is none such, and then it has thrown. */
static bool take_argument(napi_env env, struct operation *o, char letter, napi_value value, int *bytes, int *numbers) {
    static const char letters[] = "STCPBNRU";
    struct bytes *places[] = {&o->key, &o->extra, &o->third};
    const char *known = strchr(letters, letter);
    napi_valuetype type;
    double given = 0;
    if (known != NULL) {
        o->handle = take(env, value, (enum kind)(STORE + (known - letters)));
        return o->handle != NULL;
    }
    switch (letter) {
    case 'b': return take_bytes(env, value, true, places[(*bytes)++]);
    case 'a': return take_bytes(env, value, true, &o->after);
    case 's': return scan_options(env, value, o);
    case 'v': o->number = get_version(env, value, &o->version); return true;
    case 'X':
        if (napi_typeof(env, value, &type) == napi_ok && type == napi_external) {
            o->other = take(env, value, o->is_of_collection ? SNAPSHOT : COLLECTION);
            return o->other != NULL;
        }
        return true;
    default:
        napi_get_value_double(env, value, &given);
        *(*numbers == 0 ? &o->number : *numbers == 1 ? &o->second : &o->last) = given < 0 ? UINT64_MAX : (uint64_t)given;
        ++*numbers;
        return true;
    }
}

static napi_value js_call(napi_env env, napi_callback_info info) {
    napi_value arguments[ARGUMENTS_MAX];
    size_t given = ARGUMENTS_MAX, index;
    int bytes = 0, numbers = 0;
    bool later = false;
    void *data = NULL;
    const struct call *call;
    struct operation *o;
    if (napi_get_cb_info(env, info, &given, arguments, NULL, &data) != napi_ok) {
        return NULL;
    }
    call = data;
    o = operation_of(call->run, call->finish);
    o->is_of_collection = call->takes[0] == 'C';
    for (index = 0; call->takes[index] != '\0'; index++) {
        char letter = call->takes[index];
        if (index >= given) {
            bad_argument(env, "arguments are missing");
            free_operation(o);
            return NULL;
        }
        if (letter == 'l') {
            later = is_later(env, arguments[index]);
        } else if (!take_argument(env, o, letter, arguments[index], &bytes, &numbers)) {
            free_operation(o);
            return NULL;
        }
    }
    return start(env, o, later);
}

/* Opening. */

static void run_open(struct operation *o) {
    strongroom_engine *engine = NULL;
    if (o->flag) {
        o->status = strongroom_engine_create(o->handle, &engine, &o->error);
    } else {
        o->status = strongroom_engine_open(o->handle, &engine, &o->error);
    }
    strongroom_config_free(o->handle);
    o->result = engine;
}

static napi_value property(napi_env env, napi_value object, const char *name) {
    napi_value value = undefined(env);
    napi_get_named_property(env, object, name, &value);
    return value;
}

/* One call of the configuration's with up to three texts of an array. */
static bool with_texts(napi_env env, napi_value array, struct bytes texts[3]) {
    uint32_t index;
    for (index = 0; index < 3; index++) {
        napi_value text = undefined(env);
        napi_get_element(env, array, index, &text);
        if (!take_bytes(env, text, false, &texts[index])) {
            return false;
        }
    }
    return true;
}

static strongroom_status configure(napi_env env, napi_value options, strongroom_config *config,
                                   strongroom_error **error) {
    const char *kinds[] = {"keyFiles", "passphrases", "regions"};
    strongroom_config_options figures;
    strongroom_status status;
    struct bytes keys;
    int kind;
    strongroom_config_options_init(&figures, sizeof figures);
    figures.cache_bytes = (uint64_t)get_number(env, options, "cacheBytes");
    figures.memtable_bytes = (uint64_t)get_number(env, options, "memtableBytes");
    figures.memory_bytes = (uint64_t)get_number(env, options, "memoryBytes");
    figures.segment_bytes = (uint64_t)get_number(env, options, "segmentBytes");
    figures.journal_bytes = (uint64_t)get_number(env, options, "journalBytes");
    figures.total_cache_bytes = (uint64_t)get_number(env, options, "totalCacheBytes");
    figures.open_tenants = (uint64_t)get_number(env, options, "openTenants");
    figures.buffered_within_ms = (uint64_t)get_number(env, options, "bufferedWithinMs");
    figures.checkpoint_age_ms = (uint64_t)get_number(env, options, "checkpointAgeMs");
    figures.close_budget_ms = (uint64_t)get_number(env, options, "closeBudgetMs");
    figures.sweep_interval_ms = (uint64_t)get_number(env, options, "sweepIntervalMs");
    figures.clock_step_ms = (uint64_t)get_number(env, options, "clockStepMs");
    figures.erasure_period_ms = (uint64_t)get_number(env, options, "erasurePeriodMs");
    figures.rotate_after_ms = (uint64_t)get_number(env, options, "rotateAfterMs");
    figures.rotate_after_records = (uint64_t)get_number(env, options, "rotateAfterRecords");
    figures.durability = (uint32_t)get_number(env, options, "durability");
    figures.freshness = get_flag(env, options, "fullFreshness");
    figures.without_background = get_flag(env, options, "withoutBackground");
    figures.accept_rollback = get_flag(env, options, "acceptRollback");
    status = STRONGROOM_STATUS_OK;
    if (take_bytes(env, property(env, options, "settings"), false, &keys) && keys.data != NULL) {
        status = strongroom_config_read(config, (const char *)keys.data, keys.size, error);
        free(keys.owned);
    }
    if (status == STRONGROOM_STATUS_OK) {
        status = strongroom_config_set(config, &figures, error);
    }
    if (status == STRONGROOM_STATUS_OK && take_bytes(env, property(env, options, "keyStore"), false, &keys) &&
        keys.data != NULL) {
        status = strongroom_config_key_store(config, (const char *)keys.data, keys.size, error);
        free(keys.owned);
    }
    for (kind = 0; kind < 3 && status == STRONGROOM_STATUS_OK; kind++) {
        napi_value array = property(env, options, kinds[kind]);
        uint32_t index, length = 0;
        napi_get_array_length(env, array, &length);
        for (index = 0; index < length && status == STRONGROOM_STATUS_OK; index++) {
            struct bytes texts[3];
            napi_value element = undefined(env);
            const char *first, *second;
            memset(texts, 0, sizeof texts);
            napi_get_element(env, array, index, &element);
            if (!with_texts(env, element, texts)) {
                status = STRONGROOM_STATUS_INVALID_ARGUMENT;
            } else {
                first = (const char *)texts[0].data;
                second = (const char *)texts[1].data;
                if (kind == 0) {
                    status = strongroom_config_key_file(config, first, texts[0].size, second, texts[1].size,
                                                        texts[2].data != NULL ? STRONGROOM_KEY_FILE_GROUP_READ : 0,
                                                        error);
                } else if (kind == 1) {
                    strongroom_passphrase_options cost;
                    strongroom_passphrase_options_init(&cost, sizeof cost);
                    cost.memory_kib = (uint32_t)get_number(env, options, "passphraseMemoryKib");
                    cost.passes = (uint32_t)get_number(env, options, "passphrasePasses");
                    cost.lanes = (uint32_t)get_number(env, options, "passphraseLanes");
                    status = strongroom_config_passphrase(config, first, texts[0].size, texts[1].data, texts[1].size,
                                                          &cost, error);
                } else {
                    status = strongroom_config_region(config, first, texts[0].size, second, texts[1].size,
                                                      (const char *)texts[2].data, texts[2].size, error);
                }
            }
            free(texts[0].owned);
            free(texts[1].owned);
            free(texts[2].owned);
        }
    }
    return status;
}

/* open(create, path, options, later) */
static napi_value js_open(napi_env env, napi_callback_info info) {
    strongroom_config *config = NULL;
    strongroom_error *error = NULL;
    strongroom_status status;
    struct operation *o;
    struct bytes path;
    bool pending = false;
    ARGUMENTS(4)
    if (!take_bytes(env, arguments[1], false, &path)) {
        return NULL;
    }
    status = strongroom_config_new((const char *)path.data, path.size, &config, &error);
    free(path.owned);
    if (status == STRONGROOM_STATUS_OK) {
        status = configure(env, arguments[2], config, &error);
    }
    napi_is_exception_pending(env, &pending);
    if (status != STRONGROOM_STATUS_OK || pending) {
        strongroom_config_free(config);
        if (!pending) {
            napi_throw(env, error_value(env, error));
        }
        return NULL;
    }
    o = operation_of(run_open, finish_store);
    o->handle = config;
    o->flag = is_later(env, arguments[0]);
    return start(env, o, is_later(env, arguments[3]));
}

/* free(handle): at once, and not when it is collected */
static napi_value js_free(napi_env env, napi_callback_info info) {
    void *data = NULL;
    ARGUMENTS(1)
    if (napi_get_value_external(env, arguments[0], &data) == napi_ok) {
        release(data);
    }
    return undefined(env);
}

static void end_environment(void *data) {
    struct environment *environment = data;
    pthread_mutex_lock(&environment->lock);
    environment->has_ended = true;
    pthread_mutex_unlock(&environment->lock);
    napi_release_threadsafe_function(environment->wake, napi_tsfn_abort);
}

/* setErrorClass(class) */
static napi_value js_set_error_class(napi_env env, napi_callback_info info) {
    ARGUMENTS(1)
    napi_create_reference(env, arguments[0], 1, &environment_of(env)->error_class);
    return undefined(env);
}

NAPI_MODULE_INIT() {
    static const struct {
        const char *name;
        napi_callback function;
    } functions[] = {
        {"batch", js_batch},
        {"batchErase", js_batch_erase},
        {"beginUpload", js_begin_upload},
        {"buildIndex", js_build_index},
        {"batchPut", js_batch_put},
        {"batchRequire", js_batch_require},
        {"collection", js_collection},
        {"find", js_find},
        {"free", js_free},
        {"get", js_get},
        {"getInto", js_get_into},
        {"open", js_open},
        {"put", js_put},
        {"scan", js_scan},
        {"setErrorClass", js_set_error_class},
        {"snapshot", js_snapshot},
        {"tenant", js_tenant},
        {"write", js_write},
    };
    size_t index;
    napi_value name = NULL;
    /* Lives as long as the process: threads may still tell it of what is done. */
    struct environment *environment = calloc(1, sizeof *environment);
    if (environment == NULL) {
        return NULL;
    }
    environment->env = env;
    pthread_mutex_init(&environment->lock, NULL);
    napi_create_string_utf8(env, "strongroom", NAPI_AUTO_LENGTH, &name);
    if (napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, environment, settle,
                                        &environment->wake) != napi_ok) {
        free(environment);
        return NULL;
    }
    napi_unref_threadsafe_function(env, environment->wake);
    napi_set_instance_data(env, environment, NULL, NULL);
    napi_add_env_cleanup_hook(env, end_environment, environment);
    for (index = 0; index < sizeof functions / sizeof functions[0]; index++) {
        napi_value function = NULL;
        napi_create_function(env, functions[index].name, NAPI_AUTO_LENGTH, functions[index].function, NULL,
                             &function);
        set(env, exports, functions[index].name, function);
    }
    for (index = 0; index < sizeof calls / sizeof calls[0]; index++) {
        napi_value function = NULL;
        napi_create_function(env, calls[index].name, NAPI_AUTO_LENGTH, js_call, (void *)&calls[index], &function);
        set(env, exports, calls[index].name, function);
    }
    return exports;
}
