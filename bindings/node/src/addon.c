/* The native half of the Node binding: the C API, called at once or on threads of its own, as values of JavaScript. */
#include <node_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strongroom.h"

/* Threads for calls that return a promise: they wait for disks, so more than there are cores. */
#define THREADS 16
/* Keys and names that fit need no allocation. */
#define INLINE_BYTES 256

/* Handles, as JavaScript holds them. */
enum kind { STORE = 1, TENANT, COLLECTION, SNAPSHOT, BATCH, SCAN };

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
    struct bytes key, extra, third;
    strongroom_scan_options scan;
    uint64_t number;

    void *result;
    uint64_t count;
    bool flag;
    strongroom_version version;
    strongroom_record_info info;
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
        const strongroom_entry *entry = &entries[index];
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
        napi_set_element(env, array, (uint32_t)index, record);
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

/* erase(collection, key, version | null, later): whether there was one */
static napi_value js_erase(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_erase, finish_flag);
    ARGUMENTS(4)
    o->handle = take(env, arguments[0], COLLECTION);
    if (o->handle == NULL || !take_bytes(env, arguments[1], true, &o->key)) {
        free_operation(o);
        return NULL;
    }
    o->number = get_version(env, arguments[2], &o->version);
    return start(env, o, is_later(env, arguments[3]));
}

static void run_erase_range(struct operation *o) {
    if (o->number) {
        o->status = strongroom_collection_erase_prefix(o->handle, o->key.data, o->key.size, &o->count, &o->error);
    } else {
        o->status = strongroom_collection_erase_range(o->handle, o->key.data, o->key.size, o->extra.data,
                                                      o->extra.size, &o->count, &o->error);
    }
}

/* eraseRange(collection, from | null, to | null, later) and erasePrefix(collection, prefix, later): how many */
static napi_value js_erase_range(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_erase_range, finish_count);
    ARGUMENTS(4)
    o->handle = take(env, arguments[0], COLLECTION);
    if (o->handle == NULL || !take_bytes(env, arguments[1], true, &o->key) ||
        !take_bytes(env, arguments[2], true, &o->extra)) {
        free_operation(o);
        return NULL;
    }
    return start(env, o, is_later(env, arguments[3]));
}

static napi_value js_erase_prefix(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_erase_range, finish_count);
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], COLLECTION);
    o->number = 1;
    if (o->handle == NULL || !take_bytes(env, arguments[1], true, &o->key)) {
        free_operation(o);
        return NULL;
    }
    return start(env, o, is_later(env, arguments[2]));
}

static void run_info(struct operation *o) {
    strongroom_record_info_init(&o->info, sizeof o->info);
    o->status = strongroom_collection_get_info(o->handle, o->key.data, o->key.size, &o->info, &o->error);
}

/* info(collection, key, later) */
static napi_value js_info(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_info, finish_info);
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], COLLECTION);
    if (o->handle == NULL || !take_bytes(env, arguments[1], true, &o->key)) {
        free_operation(o);
        return NULL;
    }
    return start(env, o, is_later(env, arguments[2]));
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
    o->status = strongroom_collection_count(o->handle, &o->scan, &o->count, &o->error);
}

/* count(collection, options, later) */
static napi_value js_count(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_count, finish_count);
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], COLLECTION);
    if (o->handle == NULL || !scan_options(env, arguments[1], o)) {
        free_operation(o);
        return NULL;
    }
    return start(env, o, is_later(env, arguments[2]));
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

/* changeIndex(collection, 0 ordered | 1 unique | 2 drop, name, later) */
static napi_value js_change_index(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_change_index, finish_nothing);
    double what = 0;
    ARGUMENTS(4)
    o->handle = take(env, arguments[0], COLLECTION);
    if (o->handle == NULL || !take_bytes(env, arguments[2], true, &o->key)) {
        free_operation(o);
        return NULL;
    }
    napi_get_value_double(env, arguments[1], &what);
    o->number = (uint64_t)what;
    return start(env, o, is_later(env, arguments[3]));
}

static void run_policy(struct operation *o) {
    strongroom_policy policy;
    strongroom_policy_init(&policy, sizeof policy);
    policy.retention_ms = o->number;
    policy.maximum_ms = o->count;
    if (o->other != NULL) {
        o->status = strongroom_collection_set_policy(o->other, &policy, &o->error);
    } else {
        o->status = strongroom_tenant_set_policy(o->handle, &policy, &o->error);
    }
}

/* setPolicy(tenant | null, collection | null, {retentionMs, maximumMs}, later) */
static napi_value js_set_policy(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_policy, finish_nothing);
    napi_valuetype type;
    ARGUMENTS(4)
    napi_typeof(env, arguments[1], &type);
    if (type == napi_external) {
        o->other = take(env, arguments[1], COLLECTION);
    } else {
        o->handle = take(env, arguments[0], TENANT);
    }
    if (o->handle == NULL && o->other == NULL) {
        free_operation(o);
        return NULL;
    }
    o->number = (uint64_t)get_number(env, arguments[2], "retentionMs");
    o->count = (uint64_t)get_number(env, arguments[2], "maximumMs");
    return start(env, o, is_later(env, arguments[3]));
}

static void run_erase_subject(struct operation *o) {
    o->status =
        strongroom_tenant_erase_subject(o->handle, (const char *)o->key.data, o->key.size, &o->flag, &o->error);
}

/* eraseSubject(tenant, subject, later): whether it had a key */
static napi_value js_erase_subject(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_erase_subject, finish_flag);
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], TENANT);
    if (o->handle == NULL || !take_bytes(env, arguments[1], true, &o->key)) {
        free_operation(o);
        return NULL;
    }
    return start(env, o, is_later(env, arguments[2]));
}

static void run_sweep(struct operation *o) {
    o->status = strongroom_engine_sweep(o->handle, (const char *)o->key.data, o->key.size, &o->count, &o->error);
}

/* sweep(store, name | null, later): how many records */
static napi_value js_sweep(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_sweep, finish_count);
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], STORE);
    if (o->handle == NULL || !take_bytes(env, arguments[1], true, &o->key)) {
        free_operation(o);
        return NULL;
    }
    return start(env, o, is_later(env, arguments[2]));
}

static void run_health(struct operation *o) {
    strongroom_buffer *json = NULL;
    o->status = strongroom_engine_health(o->handle, NULL, &json, &o->error);
    o->result = json;
}

/* health(store): JSON */
static napi_value js_health(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_health, finish_buffer);
    ARGUMENTS(1)
    o->handle = take(env, arguments[0], STORE);
    if (o->handle == NULL) {
        free_operation(o);
        return NULL;
    }
    return now(env, o);
}

static void run_next(struct operation *o) {
    strongroom_page *page = NULL;
    o->status = strongroom_scan_next(o->handle, (size_t)o->number, 0, &page, &o->error);
    o->result = page;
}

/* next(scan, records, later): a page, or null */
static napi_value js_next(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_next, finish_page);
    double records = 0;
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], SCAN);
    if (o->handle == NULL) {
        free_operation(o);
        return NULL;
    }
    napi_get_value_double(env, arguments[1], &records);
    o->number = (uint64_t)records;
    return start(env, o, is_later(env, arguments[2]));
}

static void run_cursor(struct operation *o) {
    strongroom_buffer *cursor = NULL;
    o->status = strongroom_scan_cursor(o->handle, &cursor, &o->error);
    o->result = cursor;
}

/* cursor(scan): bytes, or null */
static napi_value js_cursor(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_cursor, finish_buffer);
    ARGUMENTS(1)
    o->handle = take(env, arguments[0], SCAN);
    if (o->handle == NULL) {
        free_operation(o);
        return NULL;
    }
    return now(env, o);
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

static napi_value js_batch_count(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_count_batch, finish_count);
    ARGUMENTS(1)
    o->handle = take(env, arguments[0], BATCH);
    if (o->handle == NULL) {
        free_operation(o);
        return NULL;
    }
    return now(env, o);
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
        strongroom_tenant_options_init(&options, sizeof options);
        options.region = (const char *)o->extra.data;
        options.region_size = o->extra.size;
        options.dedicated = o->flag;
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
        napi_value region = NULL;
        o->number = 1;
        o->flag = get_flag(env, arguments[2], "dedicated");
        napi_get_named_property(env, arguments[2], "region", &region);
        if (!take_bytes(env, region, true, &o->extra)) {
            free_operation(o);
            return NULL;
        }
    }
    return start(env, o, is_later(env, arguments[3]));
}

/* tenants(store) */
static napi_value js_tenants(napi_env env, napi_callback_info info) {
    strongroom_tenant_list *list = NULL;
    strongroom_tenant_info row;
    strongroom_error *error = NULL;
    napi_value array = NULL;
    size_t index;
    void *store;
    ARGUMENTS(1)
    store = take(env, arguments[0], STORE);
    if (store == NULL) {
        return NULL;
    }
    if (strongroom_engine_tenants(store, &list, &error) != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    strongroom_tenant_info_init(&row, sizeof row);
    napi_create_array(env, &array);
    for (index = 0; index < strongroom_tenant_list_count(list); index++) {
        napi_value object = NULL, dedicated = NULL;
        char id[33];
        int byte;
        if (strongroom_tenant_list_at(list, index, &row, NULL) != STRONGROOM_STATUS_OK) {
            continue;
        }
        for (byte = 0; byte < 16; byte++) {
            snprintf(id + 2 * byte, 3, "%02x", row.id[byte]);
        }
        napi_create_object(env, &object);
        napi_get_boolean(env, row.dedicated, &dedicated);
        set(env, object, "name", text_value(env, row.name, row.name_size));
        set(env, object, "id", text_value(env, id, 32));
        set(env, object, "region", text_value(env, row.region, row.region_size));
        set(env, object, "dedicated", dedicated);
        set(env, object, "createdMs", number(env, (double)row.created_ms));
        napi_set_element(env, array, (uint32_t)index, object);
    }
    strongroom_tenant_list_free(list);
    return array;
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

/* collections(tenant) */
static napi_value js_collections(napi_env env, napi_callback_info info) {
    strongroom_collection_list *list = NULL;
    strongroom_collection_info row;
    strongroom_error *error = NULL;
    napi_value array = NULL;
    size_t index;
    void *tenant;
    ARGUMENTS(1)
    tenant = take(env, arguments[0], TENANT);
    if (tenant == NULL) {
        return NULL;
    }
    if (strongroom_tenant_collections(tenant, &list, &error) != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
        return NULL;
    }
    strongroom_collection_info_init(&row, sizeof row);
    napi_create_array(env, &array);
    for (index = 0; index < strongroom_collection_list_count(list); index++) {
        napi_value object = NULL;
        if (strongroom_collection_list_at(list, index, &row, NULL) != STRONGROOM_STATUS_OK) {
            continue;
        }
        napi_create_object(env, &object);
        set(env, object, "name", text_value(env, row.name, row.name_size));
        set(env, object, "createdMs", number(env, (double)row.created_ms));
        napi_set_element(env, array, (uint32_t)index, object);
    }
    strongroom_collection_list_free(list);
    return array;
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

/* changeCollection(tenant, 0 create | 1 drop | 2 rename, name, new name | null, later) */
static napi_value js_change_collection(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_change_collection, finish_nothing);
    double what = 0;
    ARGUMENTS(5)
    o->handle = take(env, arguments[0], TENANT);
    if (o->handle == NULL || !take_bytes(env, arguments[2], true, &o->key) ||
        !take_bytes(env, arguments[3], true, &o->extra)) {
        free_operation(o);
        return NULL;
    }
    napi_get_value_double(env, arguments[1], &what);
    o->number = (uint64_t)what;
    return start(env, o, is_later(env, arguments[4]));
}

/* Upkeep. */

static void run_close(struct operation *o) { o->status = strongroom_engine_close(o->handle, &o->error); }
static void run_flush(struct operation *o) { o->status = strongroom_engine_flush(o->handle, &o->error); }
static void run_tick(struct operation *o) { o->status = strongroom_engine_tick(o->handle, &o->error); }
static void run_checkpoint(struct operation *o) { o->status = strongroom_engine_checkpoint(o->handle, &o->error); }

static napi_value upkeep(napi_env env, napi_callback_info info, runner run) {
    struct operation *o = operation_of(run, finish_nothing);
    ARGUMENTS(2)
    o->handle = take(env, arguments[0], STORE);
    if (o->handle == NULL) {
        free_operation(o);
        return NULL;
    }
    return start(env, o, is_later(env, arguments[1]));
}

static napi_value js_close(napi_env env, napi_callback_info info) { return upkeep(env, info, run_close); }
static napi_value js_flush(napi_env env, napi_callback_info info) { return upkeep(env, info, run_flush); }
static napi_value js_tick(napi_env env, napi_callback_info info) { return upkeep(env, info, run_tick); }
static napi_value js_checkpoint(napi_env env, napi_callback_info info) { return upkeep(env, info, run_checkpoint); }

static void run_rewrite(struct operation *o) {
    strongroom_rewrite done;
    strongroom_rewrite_init(&done, sizeof done);
    o->status = strongroom_tenant_rewrite(o->handle, NULL, NULL, &done, &o->error);
    o->flag = done.has_file;
}

/* rewrite(tenant, later): whether it had a file */
static napi_value js_rewrite(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_rewrite, finish_flag);
    ARGUMENTS(2)
    o->handle = take(env, arguments[0], TENANT);
    if (o->handle == NULL) {
        free_operation(o);
        return NULL;
    }
    return start(env, o, is_later(env, arguments[1]));
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

/* verify(store, name | null, later) */
static napi_value js_verify(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_verify, finish_report);
    ARGUMENTS(3)
    o->handle = take(env, arguments[0], STORE);
    if (o->handle == NULL || !take_bytes(env, arguments[1], true, &o->key)) {
        free_operation(o);
        return NULL;
    }
    return start(env, o, is_later(env, arguments[2]));
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
    figures.durability = (uint32_t)get_number(env, options, "durability");
    figures.freshness = get_flag(env, options, "fullFreshness");
    figures.without_background = get_flag(env, options, "withoutBackground");
    figures.accept_rollback = get_flag(env, options, "acceptRollback");
    status = strongroom_config_set(config, &figures, error);
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
        {"batchCount", js_batch_count},
        {"batchErase", js_batch_erase},
        {"batchPut", js_batch_put},
        {"batchRequire", js_batch_require},
        {"changeCollection", js_change_collection},
        {"changeIndex", js_change_index},
        {"checkpoint", js_checkpoint},
        {"close", js_close},
        {"collection", js_collection},
        {"collections", js_collections},
        {"count", js_count},
        {"cursor", js_cursor},
        {"erase", js_erase},
        {"erasePrefix", js_erase_prefix},
        {"eraseRange", js_erase_range},
        {"eraseSubject", js_erase_subject},
        {"find", js_find},
        {"flush", js_flush},
        {"free", js_free},
        {"get", js_get},
        {"getInto", js_get_into},
        {"health", js_health},
        {"info", js_info},
        {"next", js_next},
        {"open", js_open},
        {"put", js_put},
        {"rewrite", js_rewrite},
        {"scan", js_scan},
        {"setErrorClass", js_set_error_class},
        {"setPolicy", js_set_policy},
        {"snapshot", js_snapshot},
        {"sweep", js_sweep},
        {"tenant", js_tenant},
        {"tenants", js_tenants},
        {"tick", js_tick},
        {"verify", js_verify},
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
    return exports;
}
