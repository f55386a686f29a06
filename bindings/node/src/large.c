/* Values of any length: readers and uploads. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

void run_get_range(struct operation *o) {
    strongroom_buffer *buffer = NULL;
    o->status = strongroom_collection_get_range(o->handle, o->key.data, o->key.size, o->number, o->second, &buffer,
                                                &o->error);
    o->result = buffer;
}

void run_reader(struct operation *o) {
    strongroom_reader *reader = NULL;
    if (o->other != NULL) {
        o->status =
            strongroom_snapshot_get_reader(o->other, o->handle, o->key.data, o->key.size, &reader, &o->error);
    } else {
        o->status = strongroom_collection_get_reader(o->handle, o->key.data, o->key.size, &reader, &o->error);
    }
    o->result = reader;
}

napi_value finish_reader(napi_env env, struct operation *o) {
    return o->result == NULL ? null(env) : give(env, READER, o->result);
}

void run_reader_info(struct operation *o) {
    strongroom_record_info_init(&o->info, sizeof o->info);
    o->status = strongroom_reader_get_info(o->handle, &o->info, &o->error);
}

/* Reads a piece into memory of its own, which is wiped when it is given to JavaScript. */
void run_read_at(struct operation *o) {
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

napi_value finish_piece(napi_env env, struct operation *o) {
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

void run_resume_upload(struct operation *o) {
    strongroom_upload *upload = NULL;
    o->status = strongroom_collection_resume_upload(o->handle, o->key.size == 16 ? o->key.data : NULL, &upload,
                                                    &o->error);
    o->result = upload;
}

napi_value finish_upload(napi_env env, struct operation *o) { return give(env, UPLOAD, o->result); }

static void run_begin_upload(struct operation *o) {
    strongroom_upload *upload = NULL;
    o->status = strongroom_collection_begin_upload(o->handle, o->key.data, o->key.size, o->result, &upload, &o->error);
    o->result = upload;
}

/* beginUpload(collection, key, options) */
napi_value js_begin_upload(napi_env env, napi_callback_info info) {
    struct operation o = {0};
    strongroom_put_options options;
    struct put_room *room = NULL;
    bool is_good;
    ARGUMENTS(3)
    o.run = run_begin_upload;
    o.result = &options;
    o.handle = take(env, arguments[0], COLLECTION);
    is_good = o.handle != NULL && take_bytes(env, arguments[1], false, &o.key) &&
              put_options(env, arguments[2], &options, &room);
    if (is_good) {
        run_here(env, &o);
    }
    free_room(room);
    free(o.key.owned);
    if (is_good && o.status != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, o.error));
    }
    return is_good && o.status == STRONGROOM_STATUS_OK ? give(env, UPLOAD, o.result) : NULL;
}

void run_upload_id(struct operation *o) {
    o->status = strongroom_upload_id(o->handle, o->key.room, &o->error);
}

napi_value finish_id(napi_env env, struct operation *o) {
    napi_value value = NULL;
    napi_create_buffer_copy(env, 16, o->key.room, NULL, &value);
    return value;
}

void run_durable_bytes(struct operation *o) {
    o->status = strongroom_upload_durable_bytes(o->handle, &o->count, &o->error);
}

void run_upload_write(struct operation *o) {
    o->status = strongroom_upload_write(o->handle, o->key.data, o->key.size, &o->error);
}

void run_upload_flush(struct operation *o) { o->status = strongroom_upload_flush(o->handle, &o->error); }

void run_publish(struct operation *o) {
    o->status = strongroom_upload_publish(o->handle, &o->version, &o->error);
}

void run_discard(struct operation *o) { o->status = strongroom_upload_discard(o->handle, &o->error); }
