/* What is known of stores, tenants and snapshots: ids, names, sizes; and what is accepted of what is damaged. */
#include <stdio.h>

#include "addon.h"

void run_store_id(struct operation *o) { o->status = strongroom_engine_store_id(o->handle, o->key.room, &o->error); }

void run_tenant_id(struct operation *o) { o->status = strongroom_tenant_id(o->handle, o->key.room, &o->error); }

napi_value finish_hex(napi_env env, struct operation *o) {
    char text[33];
    int byte;
    for (byte = 0; byte < 16; byte++) {
        snprintf(text + 2 * byte, 3, "%02x", o->key.room[byte]);
    }
    return text_value(env, text, 32);
}

/* The name is the handle's, which lives. */
void run_tenant_name(struct operation *o) {
    const char *name = NULL;
    size_t size = 0;
    o->status = strongroom_tenant_name(o->handle, &name, &size, &o->error);
    o->extra.data = (const uint8_t *)name;
    o->extra.size = size;
}

napi_value finish_text(napi_env env, struct operation *o) {
    return text_value(env, (const char *)o->extra.data, o->extra.size);
}

void run_stats(struct operation *o) {
    strongroom_tenant_stats_init(&o->stats, sizeof o->stats);
    o->status = strongroom_tenant_get_stats(o->handle, &o->stats, &o->error);
}

/* tenantStats(store, name) */
void run_tenant_stats(struct operation *o) {
    strongroom_tenant_stats_init(&o->stats, sizeof o->stats);
    o->status = strongroom_engine_get_tenant_stats(o->handle, (const char *)o->key.data, o->key.size, &o->stats,
                                                   &o->error);
}

napi_value finish_stats(napi_env env, struct operation *o) {
    napi_value object = NULL;
    napi_create_object(env, &object);
    set(env, object, "records", number(env, (double)o->stats.records));
    set(env, object, "collections", number(env, (double)o->stats.collections));
    set(env, object, "fileBytes", number(env, (double)o->stats.file_bytes));
    set(env, object, "journalBytes", number(env, (double)o->stats.journal_bytes));
    set(env, object, "keyStoreBytes", number(env, (double)o->stats.key_store_bytes));
    set(env, object, "version", version_value(env, &o->stats.version));
    return object;
}

/* tenantInfo(store, name): a list of one */
void run_tenant_info(struct operation *o) {
    strongroom_list *list = NULL;
    o->status =
        strongroom_engine_tenant_info(o->handle, (const char *)o->key.data, o->key.size, &list, &o->error);
    o->result = list;
    o->count = TENANT_ROW;
}

void run_snapshot_version(struct operation *o) {
    o->status = strongroom_snapshot_version(o->handle, &o->version, &o->error);
}

void run_tenant_flush(struct operation *o) { o->status = strongroom_tenant_flush(o->handle, &o->error); }

void run_tenant_checkpoint(struct operation *o) { o->status = strongroom_tenant_checkpoint(o->handle, &o->error); }

/* acceptRollback(store, name) */
void run_accept_rollback(struct operation *o) {
    o->status =
        strongroom_engine_accept_rollback(o->handle, (const char *)o->key.data, o->key.size, &o->error);
}

/* salvage(store, name): how many changes count, and how many are lost */
void run_salvage(struct operation *o) {
    strongroom_salvage found;
    strongroom_salvage_init(&found, sizeof found);
    o->status = strongroom_engine_salvage(o->handle, (const char *)o->key.data, o->key.size, &found, &o->error);
    o->count = found.changes;
    o->second = found.changes_lost;
}

napi_value finish_salvage(napi_env env, struct operation *o) {
    napi_value object = NULL;
    napi_create_object(env, &object);
    set(env, object, "changes", number(env, (double)o->count));
    set(env, object, "changesLost", number(env, (double)o->second));
    return object;
}

/* batchRemove(batch, collection, key, version | null) */
void run_batch_remove(struct operation *o) {
    o->status = strongroom_batch_remove(o->handle, o->other, o->key.data, o->key.size, o->number ? &o->version : NULL,
                                        &o->flag, &o->error);
}

/* batchRestore(batch, collection, key, version | null) */
void run_batch_restore(struct operation *o) {
    o->status = strongroom_batch_restore(o->handle, o->other, o->key.data, o->key.size, o->number ? &o->version : NULL,
                                         &o->flag, &o->error);
}
