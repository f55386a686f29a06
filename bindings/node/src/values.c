/* Values of JavaScript as the library takes them, and its results as values of JavaScript. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon.h"

struct environment *environment_of(napi_env env) {
    void *data = NULL;
    napi_get_instance_data(env, &data);
    return data;
}

napi_value undefined(napi_env env) {
    napi_value value = NULL;
    napi_get_undefined(env, &value);
    return value;
}

napi_value null(napi_env env) {
    napi_value value = NULL;
    napi_get_null(env, &value);
    return value;
}

napi_value number(napi_env env, double number) {
    napi_value value = NULL;
    napi_create_double(env, number, &value);
    return value;
}

void set(napi_env env, napi_value object, const char *name, napi_value value) {
    napi_set_named_property(env, object, name, value);
}

/* An instance of StrongroomError for an error, which is freed. */
napi_value error_value(napi_env env, strongroom_error *error) {
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

bool bad_argument(napi_env env, const char *what) {
    char message[128];
    snprintf(message, sizeof message, "%s", what);
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
    return false;
}

void *take(napi_env env, napi_value value, enum kind kind) {
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
bool take_bytes(napi_env env, napi_value value, bool copy, struct bytes *bytes) {
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

double get_number(napi_env env, napi_value object, const char *name) {
    napi_value value = NULL;
    double result = 0;
    if (napi_get_named_property(env, object, name, &value) == napi_ok) {
        napi_get_value_double(env, value, &result);
    }
    /* No greater one is exact, and none that is out of an integer's bounds may be converted. */
    return result > 0 ? (result < 9007199254740991.0 ? result : 9007199254740991.0) : 0;
}

bool get_flag(napi_env env, napi_value object, const char *name) {
    napi_value value = NULL;
    bool result = false;
    if (napi_get_named_property(env, object, name, &value) == napi_ok) {
        napi_coerce_to_bool(env, value, &value);
        napi_get_value_bool(env, value, &result);
    }
    return result;
}

bool is_object(napi_env env, napi_value value) {
    napi_valuetype type;
    return napi_typeof(env, value, &type) == napi_ok && type == napi_object;
}

bool get_version(napi_env env, napi_value value, strongroom_version *version) {
    memset(version, 0, sizeof *version);
    if (!is_object(env, value)) {
        return false;
    }
    version->timeline = (uint32_t)get_number(env, value, "timeline");
    version->sequence = (uint64_t)get_number(env, value, "sequence");
    return true;
}

/* Results. */

void release(struct handle *handle) {
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
    case SESSION: strongroom_session_free(handle->pointer); break;
    }
}

static void free_handle(napi_env env, void *data, void *hint) {
    struct handle *handle = data;
    (void)env;
    (void)hint;
    release(handle);
    free(handle);
}

napi_value give(napi_env env, enum kind kind, void *pointer) {
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

napi_value version_value(napi_env env, const strongroom_version *version) {
    napi_value object = NULL;
    napi_create_object(env, &object);
    set(env, object, "timeline", number(env, version->timeline));
    set(env, object, "sequence", number(env, (double)version->sequence));
    return object;
}

napi_value time_value(napi_env env, uint64_t milliseconds) {
    return milliseconds == STRONGROOM_NEVER ? null(env) : number(env, (double)milliseconds);
}

napi_value buffer_value(napi_env env, strongroom_buffer *buffer) {
    napi_value value = NULL;
    if (buffer == NULL) {
        return null(env);
    }
    napi_create_buffer_copy(env, strongroom_buffer_size(buffer), strongroom_buffer_data(buffer), NULL, &value);
    strongroom_buffer_free(buffer);
    return value;
}

napi_value text_value(napi_env env, const char *text, size_t size) {
    napi_value value = NULL;
    napi_create_string_utf8(env, text, size, &value);
    return value;
}

napi_value finish_nothing(napi_env env, struct operation *operation) {
    (void)operation;
    return undefined(env);
}

napi_value finish_flag(napi_env env, struct operation *operation) {
    napi_value value = NULL;
    napi_get_boolean(env, operation->flag, &value);
    return value;
}

napi_value finish_count(napi_env env, struct operation *operation) {
    return number(env, (double)operation->count);
}

napi_value finish_buffer(napi_env env, struct operation *operation) {
    return buffer_value(env, operation->result);
}

napi_value finish_version(napi_env env, struct operation *operation) {
    return version_value(env, &operation->version);
}

napi_value finish_store(napi_env env, struct operation *operation) {
    return give(env, STORE, operation->result);
}

napi_value finish_tenant(napi_env env, struct operation *operation) {
    return give(env, TENANT, operation->result);
}

napi_value finish_info(napi_env env, struct operation *operation) {
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

napi_value record_value(napi_env env, const strongroom_entry *entry) {
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
napi_value finish_page(napi_env env, struct operation *operation) {
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

napi_value finish_report(napi_env env, struct operation *operation) {
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
    set(env, object, "recordsUnopened", number(env, (double)summary.records_unopened));
    set(env, object, "blocks", number(env, (double)summary.blocks));
    set(env, object, "blocksBad", number(env, (double)summary.blocks_bad));
    set(env, object, "unknownFiles", number(env, (double)summary.unknown_files));
    set(env, object, "problems", problems);
    strongroom_report_free(report);
    return object;
}

bool is_later(napi_env env, napi_value value) {
    bool later = false;
    napi_get_value_bool(env, value, &later);
    return later;
}
