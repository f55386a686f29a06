/* Lists: how the rows of each kind become objects. */
#include <stdio.h>
#include <string.h>

#include "addon.h"

enum member_kind { TEXT, BYTES, ID, MAC, NUMBER, NUMBER32, FLAG, TIME, VERSION };

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
ROW(hold)
ROW(ledger)
ROW(receipt)
ROW(subject)
ROW(subject_record)

static const struct row_kind row_kinds[] = {
    {sizeof(strongroom_tenant_info), init_tenant, read_tenant,
     {TEXT_MEMBER(tenant, "name", name), MEMBER(tenant, "id", ID, id), TEXT_MEMBER(tenant, "region", region),
      MEMBER(tenant, "dedicated", FLAG, dedicated), MEMBER(tenant, "createdMs", NUMBER, created_ms),
      MEMBER(tenant, "state", NUMBER32, state), MEMBER(tenant, "purgeMs", NUMBER, purge_ms)}},
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
    {sizeof(strongroom_hold_info), init_hold, read_hold,
     {TEXT_MEMBER(hold, "name", name), TEXT_MEMBER(hold, "of", of),
      {"key", BYTES, offsetof(strongroom_hold_info, key), offsetof(strongroom_hold_info, key_size)},
      MEMBER(hold, "placedMs", NUMBER, placed_ms), MEMBER(hold, "kind", NUMBER32, kind)}},
    {sizeof(strongroom_ledger_info), init_ledger, read_ledger,
     {MEMBER(ledger, "number", NUMBER, number), MEMBER(ledger, "atMs", NUMBER, at_ms),
      MEMBER(ledger, "event", NUMBER32, event), MEMBER(ledger, "slot", NUMBER, slot),
      MEMBER(ledger, "through", VERSION, through), MEMBER(ledger, "mac", MAC, mac)}},
    {sizeof(strongroom_receipt_info), init_receipt, read_receipt,
     {MEMBER(receipt, "number", NUMBER, number), MEMBER(receipt, "erasedMs", NUMBER, erased_ms),
      MEMBER(receipt, "through", VERSION, through), MEMBER(receipt, "deadlineMs", NUMBER, deadline_ms),
      MEMBER(receipt, "scrubbedMs", TIME, scrubbed_ms)}},
    {sizeof(strongroom_subject_info), init_subject, read_subject, {TEXT_MEMBER(subject, "name", name)}},
    {sizeof(strongroom_subject_record_info), init_subject_record, read_subject_record,
     {TEXT_MEMBER(subject_record, "collection", collection),
      {"key", BYTES, offsetof(strongroom_subject_record_info, key), offsetof(strongroom_subject_record_info, key_size)},
      MEMBER(subject_record, "version", VERSION, version), MEMBER(subject_record, "writtenMs", NUMBER, written_ms),
      MEMBER(subject_record, "expiresMs", TIME, expires_ms), MEMBER(subject_record, "valueSize", NUMBER, value_size)}},
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
        if (text == NULL) {
            return null(env);
        }
        napi_create_buffer_copy(env, size, text, NULL, &value);
        return value;
    case MAC: napi_create_buffer_copy(env, 24, place, NULL, &value); return value;
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

napi_value row_value(napi_env env, size_t kind, const void *row) {
    const struct member *member;
    napi_value object = NULL;
    napi_create_object(env, &object);
    for (member = row_kinds[kind].members; member->name != NULL; member++) {
        set(env, object, member->name, member_value(env, row, member));
    }
    return object;
}

napi_value finish_list(napi_env env, struct operation *o) {
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
        if (kind->init(&row, kind->size) != STRONGROOM_STATUS_OK ||
            kind->read(list, index, &row) != STRONGROOM_STATUS_OK) {
            continue;
        }
        napi_set_element(env, array, (uint32_t)index, row_value(env, o->count, row.bytes));
    }
    strongroom_list_free(list);
    return array;
}

napi_value finish_removed(napi_env env, struct operation *o) {
    napi_value object = NULL;
    napi_create_object(env, &object);
    o->count = REMOVED_ROW;
    set(env, object, "records", finish_list(env, o));
    set(env, object, "cursor", buffer_value(env, o->cursor));
    return object;
}

/* A list of a handle: which kind its rows are. */
#define LIST(name, call, kind)                                \
    void run_##name(struct operation *o) {                    \
        strongroom_list *list = NULL;                         \
        o->status = call(o->handle, &list, &o->error);        \
        o->result = list;                                     \
        o->count = kind;                                      \
    }
LIST(tenants, strongroom_engine_tenants, TENANT_ROW)
LIST(collections, strongroom_tenant_collections, COLLECTION_ROW)
LIST(snapshot_collections, strongroom_snapshot_collections, COLLECTION_ROW)
LIST(indexes, strongroom_collection_indexes, INDEX_ROW)
LIST(regions, strongroom_engine_regions, REGION_ROW)
LIST(lanes, strongroom_engine_lanes, LANE_ROW)
LIST(data_keys, strongroom_tenant_data_keys, DATA_KEY_ROW)
LIST(holds, strongroom_tenant_holds, HOLD_ROW)
LIST(ledger, strongroom_tenant_ledger, LEDGER_ROW)
LIST(receipts, strongroom_tenant_receipts, RECEIPT_ROW)
LIST(subjects, strongroom_tenant_subjects, SUBJECT_ROW)
