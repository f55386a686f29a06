/* What may be erased, when, and the proof of it: policies, holds, the ledger, receipts; a tenant's life; wrapping keys anew;
 * records that nothing retains. The argument is an empty directory. */
#include <stdbool.h>
#include <time.h>

#include "check.h"

#define DAY_MS ((uint64_t)86400000)

static void put(const strongroom_collection *collection, const char *key, const char *value) {
    MUST(strongroom_collection_put(collection, BYTES(key), BYTES(value), NULL, NULL, &error));
}

static bool has(const strongroom_collection *collection, const char *key) {
    strongroom_buffer *value = NULL;
    bool is_there;
    MUST(strongroom_collection_get(collection, BYTES(key), &value, &error));
    is_there = value != NULL;
    strongroom_buffer_free(value);
    return is_there;
}

static void test_policies(strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_policy policy, read;
    strongroom_list *list = NULL;
    uint64_t erased = 7, held = 7;
    bool existed = false;
    MUST(strongroom_tenant_collection(tenant, TEXT("books"), &collection, &error));
    CHECK(strongroom_policy_init(&policy, sizeof policy) == STRONGROOM_STATUS_OK);
    policy.retention_ms = 90 * DAY_MS;
    policy.maximum_ms = 365 * DAY_MS;
    policy.removal_window_ms = 10 * DAY_MS;
    policy.minimum_ms = 30 * DAY_MS;
    policy.erased_within_ms = 20 * DAY_MS;
    policy.overwrite = STRONGROOM_OVERWRITE_KEEP;
    policy.secret = STRONGROOM_SECRET_YES;
    policy.erasure = STRONGROOM_ERASURE_RECORD;
    MUST(strongroom_collection_set_policy(collection, &policy, &error));
    CHECK(strongroom_policy_init(&read, sizeof read) == STRONGROOM_STATUS_OK);
    MUST(strongroom_collection_get_policy(collection, &read, &error));
    CHECK(read.retention_ms == policy.retention_ms && read.maximum_ms == policy.maximum_ms);
    CHECK(read.removal_window_ms == policy.removal_window_ms && read.minimum_ms == policy.minimum_ms);
    CHECK(read.erased_within_ms == policy.erased_within_ms && read.overwrite == STRONGROOM_OVERWRITE_KEEP);
    CHECK(read.secret == STRONGROOM_SECRET_YES && read.erasure == STRONGROOM_ERASURE_RECORD);

    /* The minimum keeps. */
    put(collection, "k", "one");
    EXPECT(HELD, strongroom_collection_erase(collection, BYTES("k"), &existed, &error));
    EXPECT(HELD, strongroom_collection_put(collection, BYTES("k"), BYTES("two"), NULL, NULL, &error));
    MUST(strongroom_collection_erase_prefix(collection, BYTES(""), &erased, &held, &error));
    CHECK(erased == 0 && held == 1);
    MUST(strongroom_collection_erase_range(collection, NULL, 0, NULL, 0, NULL, &held, &error));
    CHECK(held == 1);

    /* A whole policy takes the place of another: what it does not say is not limited. */
    CHECK(strongroom_policy_init(&policy, sizeof policy) == STRONGROOM_STATUS_OK);
    policy.overwrite = STRONGROOM_OVERWRITE_KEEP;
    policy.secret = STRONGROOM_SECRET_NO;
    MUST(strongroom_collection_set_policy(collection, &policy, &error));
    MUST(strongroom_collection_get_policy(collection, &read, &error));
    CHECK(read.minimum_ms == 0 && read.retention_ms == 0 && read.secret == STRONGROOM_SECRET_NO);
    put(collection, "k", "two");
    MUST(strongroom_collection_removed(collection, NULL, &list, NULL, &error));
    CHECK(strongroom_list_count(list) == 1);
    strongroom_list_free(list);
    MUST(strongroom_collection_erase(collection, BYTES("k"), &existed, &error));
    CHECK(existed);

    policy.overwrite = 3;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_set_policy(collection, &policy, &error));
    policy.overwrite = 0;
    policy.secret = 3;
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_set_policy(tenant, &policy, &error));
    policy.secret = 0;
    policy.erasure = 3;
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_set_policy(tenant, &policy, &error));
    policy.erasure = 0;
    policy.minimum_ms = 5;
    policy.retention_ms = 4;
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_set_policy(tenant, &policy, &error));
    policy.minimum_ms = policy.retention_ms = 0;
    policy.removal_window_ms = 2;
    policy.erased_within_ms = 1;
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_set_policy(tenant, &policy, &error));
    strongroom_collection_free(collection);
}

static void test_holds(strongroom_engine *engine, strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_selector selector;
    strongroom_hold_info info;
    strongroom_put_options options;
    strongroom_list *list = NULL;
    uint64_t erased = 0, held = 0, swept = 7;
    bool existed = false;
    MUST(strongroom_tenant_collection(tenant, TEXT("cases"), &collection, &error));
    put(collection, "a1", "v");
    put(collection, "a2", "v");
    put(collection, "b1", "v");
    CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.subject = "Ada";
    options.subject_size = 3;
    options.written_ms = 1000;
    options.ttl_ms = 1000;
    MUST(strongroom_collection_put(collection, BYTES("gone"), BYTES("v"), &options, NULL, &error));

    CHECK(strongroom_selector_init(&selector, sizeof selector) == STRONGROOM_STATUS_OK);
    selector.kind = STRONGROOM_HOLD_PREFIX;
    selector.name = "cases";
    selector.name_size = 5;
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_hold(tenant, TEXT("case-17"), &selector, &error));
    selector.key = (const uint8_t *)"a";
    selector.key_size = 1;
    MUST(strongroom_tenant_hold(tenant, TEXT("case-17"), &selector, &error));
    EXPECT(ALREADY_EXISTS, strongroom_tenant_hold(tenant, TEXT("case-17"), &selector, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_hold(tenant, TEXT(""), &selector, &error));
    selector.kind = STRONGROOM_HOLD_COLLECTION;
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_hold(tenant, TEXT("x"), &selector, &error));
    selector.kind = STRONGROOM_HOLD_TENANT;
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_hold(tenant, TEXT("x"), &selector, &error));
    selector.kind = 9;
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_hold(tenant, TEXT("x"), &selector, &error));
    selector.kind = STRONGROOM_HOLD_RECORD;
    selector.name = "none";
    selector.name_size = 4;
    EXPECT(NOT_FOUND, strongroom_tenant_hold(tenant, TEXT("x"), &selector, &error));
    selector.kind = STRONGROOM_HOLD_SUBJECT;
    selector.name = "Ada";
    selector.name_size = 3;
    selector.key = NULL;
    selector.key_size = 0;
    MUST(strongroom_tenant_hold(tenant, TEXT("ada"), &selector, &error));
    MUST(strongroom_tenant_hold(tenant, TEXT("zzz"), NULL, &error));

    MUST(strongroom_tenant_holds(tenant, &list, &error));
    CHECK(strongroom_list_count(list) == 3);
    CHECK(strongroom_hold_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_list_get_hold(list, 0, &info, &error));
    CHECK(info.kind == STRONGROOM_HOLD_SUBJECT && info.of_size == 3 && memcmp(info.of, "Ada", 3) == 0);
    CHECK(info.key == NULL && info.placed_ms > 0);
    MUST(strongroom_list_get_hold(list, 1, &info, &error));
    CHECK(info.kind == STRONGROOM_HOLD_PREFIX && info.of_size == 5 && memcmp(info.of, "cases", 5) == 0);
    CHECK(info.key_size == 1 && info.key[0] == 'a' && info.name_size == 7);
    MUST(strongroom_list_get_hold(list, 2, &info, &error));
    CHECK(info.kind == STRONGROOM_HOLD_TENANT && info.of == NULL && info.key == NULL);
    EXPECT(INVALID_ARGUMENT, strongroom_list_get_hold(list, 3, &info, &error));
    strongroom_list_free(list);

    EXPECT(HELD, strongroom_collection_erase(collection, BYTES("b1"), &existed, &error));
    EXPECT(HELD, strongroom_engine_erase_tenant(engine, TEXT("acme"), &error));
    MUST(strongroom_tenant_release_hold(tenant, TEXT("zzz"), &error));
    EXPECT(NOT_FOUND, strongroom_tenant_release_hold(tenant, TEXT("zzz"), &error));
    EXPECT(HELD, strongroom_tenant_erase_subject(tenant, TEXT("Ada"), &existed, &error));
    MUST(strongroom_collection_erase_prefix(collection, BYTES(""), &erased, &held, &error));
    CHECK(erased == 1 && held >= 2 && !has(collection, "b1") && has(collection, "a1"));
    MUST(strongroom_engine_sweep(engine, TEXT("acme"), &swept, &held, &error));
    CHECK(swept == 0 && held == 1);
    MUST(strongroom_tenant_release_hold(tenant, TEXT("ada"), &error));
    MUST(strongroom_tenant_release_hold(tenant, TEXT("case-17"), &error));
    MUST(strongroom_engine_sweep(engine, NULL, 0, &swept, &held, &error));
    CHECK(swept == 1 && held == 0);
    strongroom_collection_free(collection);
}

static void test_subjects(strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_put_options options;
    strongroom_subject_info info;
    strongroom_subject_record_info record;
    strongroom_list *list = NULL;
    bool existed = false;
    MUST(strongroom_tenant_collection(tenant, TEXT("about"), &collection, &error));
    CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.subject = "Zoe";
    options.subject_size = 3;
    MUST(strongroom_collection_put(collection, BYTES("k1"), BYTES("one"), &options, NULL, &error));
    MUST(strongroom_collection_put(collection, BYTES("k2"), BYTES("three"), &options, NULL, &error));
    MUST(strongroom_tenant_subjects(tenant, &list, &error));
    CHECK(strongroom_list_count(list) >= 1);
    CHECK(strongroom_subject_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_list_get_subject(list, strongroom_list_count(list) - 1, &info, &error));
    CHECK(info.name_size == 3 && memcmp(info.name, "Zoe", 3) == 0);
    strongroom_list_free(list);
    MUST(strongroom_tenant_subject_records(tenant, TEXT("Zoe"), &list, &error));
    CHECK(strongroom_list_count(list) == 2);
    CHECK(strongroom_subject_record_info_init(&record, sizeof record) == STRONGROOM_STATUS_OK);
    MUST(strongroom_list_get_subject_record(list, 1, &record, &error));
    CHECK(record.collection_size == 5 && memcmp(record.collection, "about", 5) == 0 && record.value_size == 5);
    CHECK(record.key_size == 2 && memcmp(record.key, "k2", 2) == 0 && record.expires_ms == STRONGROOM_NEVER);
    EXPECT(INVALID_ARGUMENT, strongroom_list_get_subject(list, 0, &info, &error));
    strongroom_list_free(list);
    MUST(strongroom_tenant_erase_subject(tenant, TEXT("Zoe"), &existed, &error));
    CHECK(existed && !has(collection, "k1"));
    MUST(strongroom_tenant_subject_records(tenant, TEXT("Zoe"), &list, &error));
    CHECK(strongroom_list_count(list) == 0);
    strongroom_list_free(list);
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_subject_records(tenant, NULL, 0, &list, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_subjects(NULL, &list, &error));
    strongroom_collection_free(collection);
}

static void count_rows(void *context, uint64_t done, uint64_t total) {
    CHECK(done <= total);
    ++*(int *)context;
}

/* How many keys of subjects and single records the ledger says were destroyed. */
static size_t destroyed_keys(strongroom_tenant *tenant) {
    strongroom_list *list = NULL;
    strongroom_ledger_info entry;
    size_t index, keys = 0;
    CHECK(strongroom_ledger_info_init(&entry, sizeof entry) == STRONGROOM_STATUS_OK);
    MUST(strongroom_tenant_ledger(tenant, &list, &error));
    for (index = 0; index < strongroom_list_count(list); index++) {
        MUST(strongroom_list_get_ledger(list, index, &entry, &error));
        keys += entry.event == STRONGROOM_LEDGER_SUBJECT_KEY;
    }
    strongroom_list_free(list);
    return keys;
}

static void test_ledger(strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_receipt_info receipt, listed;
    strongroom_ledger_info entry;
    strongroom_horizon horizon;
    strongroom_version through = {0, 0, 0};
    strongroom_list *list = NULL;
    size_t index, count, keys, receipts = 0, subjects = 0, scrubs = 0;
    int calls = 0;
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    bool existed = false;
    strongroom_put_options options;
    MUST(strongroom_tenant_collection(tenant, TEXT("proof"), &collection, &error));
    CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.subject = "Eve";
    options.subject_size = 3;
    MUST(strongroom_collection_put(collection, BYTES("k"), BYTES("v"), &options, NULL, &error));
    MUST(strongroom_tenant_erase_subject(tenant, TEXT("Eve"), &existed, &error));
    CHECK(existed && !has(collection, "k"));

    /* A record with a key of its own: the ledger has its destruction. */
    keys = destroyed_keys(tenant);
    options.subject = NULL;
    options.subject_size = 0;
    options.erasure = STRONGROOM_ERASURE_RECORD;
    MUST(strongroom_collection_put(collection, BYTES("own"), BYTES("v"), &options, NULL, &error));
    MUST(strongroom_collection_erase(collection, BYTES("own"), &existed, &error));
    CHECK(existed && destroyed_keys(tenant) == keys + 1);
    options.erasure = STRONGROOM_ERASURE_SHARED;
    MUST(strongroom_collection_put(collection, BYTES("own"), BYTES("v"), &options, NULL, &error));
    MUST(strongroom_collection_erase(collection, BYTES("own"), &existed, &error));
    CHECK(existed && destroyed_keys(tenant) == keys + 1);
    options.erasure = 3;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES("own"), BYTES("v"), &options, NULL, &error));
    CHECK(strongroom_receipt_info_init(&receipt, sizeof receipt) == STRONGROOM_STATUS_OK);
    MUST(strongroom_tenant_receipt(tenant, &receipt, &error));
    CHECK(receipt.number > 0 && receipt.deadline_ms > now_ms && receipt.scrubbed_ms == STRONGROOM_NEVER);
    CHECK(receipt.through.sequence > 0);
    CHECK(strongroom_horizon_init(&horizon, sizeof horizon) == STRONGROOM_STATUS_OK);
    MUST(strongroom_tenant_get_horizon(tenant, &horizon, &error));
    CHECK(horizon.data_copies_ms >= now_ms - 2000 && horizon.key_copies_ms >= horizon.data_copies_ms);
    MUST(strongroom_tenant_scrub(tenant, count_rows, &calls, &through, &error));
    CHECK(through.sequence >= receipt.through.sequence && calls > 0);
    MUST(strongroom_tenant_receipt(tenant, NULL, &error));

    CHECK(strongroom_receipt_info_init(&listed, sizeof listed) == STRONGROOM_STATUS_OK);
    MUST(strongroom_tenant_receipts(tenant, &list, &error));
    CHECK(strongroom_list_count(list) == 2);
    MUST(strongroom_list_get_receipt(list, 0, &listed, &error));
    CHECK(listed.number == receipt.number && listed.through.sequence == receipt.through.sequence);
    CHECK(listed.scrubbed_ms != STRONGROOM_NEVER && listed.deadline_ms == receipt.deadline_ms);
    MUST(strongroom_list_get_receipt(list, 1, &listed, &error));
    CHECK(listed.scrubbed_ms == STRONGROOM_NEVER);
    strongroom_list_free(list);

    CHECK(strongroom_ledger_info_init(&entry, sizeof entry) == STRONGROOM_STATUS_OK);
    MUST(strongroom_tenant_ledger(tenant, &list, &error));
    count = strongroom_list_count(list);
    for (index = 0; index < count; index++) {
        MUST(strongroom_list_get_ledger(list, index, &entry, &error));
        CHECK(entry.number == index + 1 && entry.event != 0 && entry.at_ms > 0);
        receipts += entry.event == STRONGROOM_LEDGER_RECEIPT && entry.deadline_ms > 0;
        subjects += entry.event == STRONGROOM_LEDGER_SUBJECT_KEY && entry.slot > 0;
        scrubs += entry.event == STRONGROOM_LEDGER_SCRUBBED && entry.through.sequence == through.sequence;
    }
    CHECK(receipts == 2 && subjects >= 1 && scrubs == 1);
    EXPECT(INVALID_ARGUMENT, strongroom_list_get_ledger(list, count, &entry, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_list_get_receipt(list, 0, &listed, &error));
    strongroom_list_free(list);
    strongroom_collection_free(collection);
}

static void check_tenant(strongroom_engine *engine, const char *name, uint32_t state, uint64_t purge_ms) {
    strongroom_list *list = NULL;
    strongroom_tenant_info info;
    CHECK(strongroom_tenant_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_engine_tenant_info(engine, TEXT(name), &list, &error));
    MUST(strongroom_list_get_tenant(list, 0, &info, &error));
    CHECK(info.state == state && info.purge_ms == purge_ms && (info.removed_ms == 0) == (purge_ms == 0));
    CHECK(info.was_suspended == (state == STRONGROOM_TENANT_REMOVED));
    strongroom_list_free(list);
}

static void count_bytes(void *context, uint64_t more) { *(uint64_t *)context += more; }

static void test_life(strongroom_engine *engine) {
    strongroom_tenant *tenant = NULL, *again = NULL;
    strongroom_collection *collection = NULL;
    strongroom_buffer *value = NULL;
    uint64_t purge_ms = 0, copied = 0;
    MUST(strongroom_engine_create_tenant(engine, TEXT("life"), NULL, &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("c"), &collection, &error));
    put(collection, "k", "v");
    MUST(strongroom_engine_rename_tenant(engine, TEXT("life"), TEXT("death"), &error));
    EXPECT(NOT_FOUND, strongroom_engine_rename_tenant(engine, TEXT("life"), TEXT("x"), &error));
    EXPECT(ALREADY_EXISTS, strongroom_engine_rename_tenant(engine, TEXT("death"), TEXT("acme"), &error));
    MUST(strongroom_engine_rename_tenant(engine, TEXT("death"), TEXT("life"), &error));

    MUST(strongroom_engine_suspend_tenant(engine, TEXT("life"), &error));
    EXPECT(SUSPENDED, strongroom_collection_get(collection, BYTES("k"), &value, &error));
    check_tenant(engine, "life", STRONGROOM_TENANT_SUSPENDED, 0);
    MUST(strongroom_engine_resume_tenant(engine, TEXT("life"), &error));
    CHECK(has(collection, "k"));
    MUST(strongroom_engine_suspend_tenant(engine, TEXT("life"), &error));
    MUST(strongroom_engine_remove_tenant(engine, TEXT("life"), DAY_MS, &purge_ms, &error));
    CHECK(purge_ms > DAY_MS);
    check_tenant(engine, "life", STRONGROOM_TENANT_REMOVED, purge_ms);
    EXPECT(NOT_FOUND, strongroom_collection_get(collection, BYTES("k"), &value, &error));
    EXPECT(NOT_FOUND, strongroom_engine_remove_tenant(engine, TEXT("life"), DAY_MS, NULL, &error));
    MUST(strongroom_engine_restore_tenant(engine, TEXT("life"), &error));
    check_tenant(engine, "life", STRONGROOM_TENANT_SUSPENDED, 0);
    EXPECT(CONFLICT, strongroom_engine_restore_tenant(engine, TEXT("life"), &error));
    MUST(strongroom_engine_resume_tenant(engine, TEXT("life"), &error));

    EXPECT(INVALID_ARGUMENT, strongroom_engine_move_tenant(engine, TEXT("life"), TEXT("eu"), 0, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_move_tenant(engine, TEXT("life"), TEXT("eu"), 2, NULL, NULL, &error));
    EXPECT(NOT_FOUND, strongroom_engine_move_tenant(engine, TEXT("life"), TEXT("moon"),
                                                    STRONGROOM_MOVE_OVERRIDE_RESIDENCY, NULL, NULL, &error));
    MUST(strongroom_engine_move_tenant(engine, TEXT("life"), TEXT("eu"), STRONGROOM_MOVE_OVERRIDE_RESIDENCY,
                                       count_bytes, &copied, &error));
    CHECK(copied > 0);
    EXPECT(POISONED, strongroom_collection_get(collection, BYTES("k"), &value, &error));
    strongroom_collection_free(collection);
    MUST(strongroom_engine_tenant(engine, TEXT("life"), &again, &error));
    MUST(strongroom_tenant_collection(again, TEXT("c"), &collection, &error));
    CHECK(has(collection, "k"));

    MUST(strongroom_engine_erase_tenant(engine, TEXT("life"), &error));
    EXPECT(NOT_FOUND, strongroom_collection_get(collection, BYTES("k"), &value, &error));
    EXPECT(NOT_FOUND, strongroom_engine_erase_tenant(engine, TEXT("life"), &error));
    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    strongroom_tenant_free(again);
    EXPECT(INVALID_ARGUMENT, strongroom_engine_suspend_tenant(engine, NULL, 0, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_erase_tenant(NULL, TEXT("acme"), &error));
}

static void check_provider(const strongroom_tenant *tenant, const char *name) {
    strongroom_buffer *provider = NULL;
    MUST(strongroom_tenant_key_provider(tenant, &provider, &error));
    CHECK(strongroom_buffer_size(provider) == strlen(name));
    CHECK(memcmp(strongroom_buffer_data(provider), name, strlen(name)) == 0);
    strongroom_buffer_free(provider);
}

static void test_wrapping(strongroom_engine *engine, strongroom_tenant *tenant) {
    uint64_t count = 0;
    check_provider(tenant, "default");
    MUST(strongroom_tenant_rewrap(tenant, NULL, 0, &error));
    MUST(strongroom_tenant_rewrap(tenant, TEXT("second"), &error));
    check_provider(tenant, "second");
    EXPECT(KEY_UNAVAILABLE, strongroom_tenant_rewrap(tenant, TEXT("third"), &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_rewrap(tenant, NULL, 3, &error));
    MUST(strongroom_engine_rewrap(engine, TEXT("second"), TEXT("default"), &count, &error));
    CHECK(count == 1);
    check_provider(tenant, "default");
    EXPECT(INVALID_ARGUMENT, strongroom_engine_rewrap(engine, NULL, 0, TEXT("default"), &count, &error));
}

static void test_session(strongroom_engine *engine, strongroom_tenant *tenant) {
    strongroom_session *session = NULL;
    strongroom_collection *collection = NULL, *foreign = NULL;
    strongroom_tenant *other = NULL;
    strongroom_buffer *value = NULL;
    strongroom_page *page = NULL;
    const strongroom_entry *entries;
    uint64_t count = 0;
    bool existed = false;
    static uint8_t large[(1 << 20) + 1];
    MUST(strongroom_tenant_collection(tenant, TEXT("chat"), &collection, &error));
    MUST(strongroom_tenant_session(tenant, &session, &error));
    MUST(strongroom_session_put(session, collection, BYTES("k1"), BYTES("one"), &error));
    MUST(strongroom_session_put(session, collection, BYTES("k2"), BYTES(""), &error));
    MUST(strongroom_session_put(session, collection, BYTES("l"), BYTES("three"), &error));
    MUST(strongroom_session_get(session, collection, BYTES("k1"), &value, &error));
    CHECK(strongroom_buffer_size(value) == 3 && memcmp(strongroom_buffer_data(value), "one", 3) == 0);
    strongroom_buffer_free(value);
    value = NULL;
    MUST(strongroom_session_get(session, collection, BYTES("none"), &value, &error));
    CHECK(value == NULL && !has(collection, "k1"));
    MUST(strongroom_session_count(session, &count, &error));
    CHECK(count == 3);
    MUST(strongroom_session_scan(session, collection, BYTES("k"), BYTES("l"), &page, &error));
    CHECK(strongroom_page_count(page) == 2);
    entries = strongroom_page_entries(page);
    CHECK(entries[0].key_size == 2 && memcmp(entries[0].key, "k1", 2) == 0 && entries[0].value_size == 3);
    CHECK(entries[1].value != NULL && entries[1].value_size == 0 && entries[1].expires_ms == STRONGROOM_NEVER);
    strongroom_page_free(page);
    page = NULL;
    MUST(strongroom_session_scan(session, collection, NULL, 0, NULL, 0, &page, &error));
    CHECK(strongroom_page_count(page) == 3);
    strongroom_page_free(page);
    MUST(strongroom_session_erase(session, collection, BYTES("k1"), &existed, &error));
    CHECK(existed);
    MUST(strongroom_session_erase(session, collection, BYTES("k1"), &existed, &error));
    CHECK(!existed);
    EXPECT(LIMIT_EXCEEDED, strongroom_session_put(session, collection, BYTES("x"), large, sizeof large, &error));
    MUST(strongroom_engine_create_tenant(engine, TEXT("stranger"), NULL, &other, &error));
    MUST(strongroom_tenant_collection(other, TEXT("chat"), &foreign, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_session_put(session, foreign, BYTES("k"), BYTES("v"), &error));
    EXPECT(INVALID_ARGUMENT, strongroom_session_get(session, collection, NULL, 0, &value, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_session_scan(session, collection, NULL, 1, NULL, 0, &page, &error));
    strongroom_collection_free(foreign);
    strongroom_tenant_free(other);
    strongroom_session_free(session);
    strongroom_session_free(session);
    EXPECT(INVALID_ARGUMENT, strongroom_session_get(session, collection, BYTES("l"), &value, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_session_count(session, &count, &error));
    strongroom_session_free(NULL);
    strongroom_collection_free(collection);
}

static void test_null(strongroom_engine *engine, strongroom_tenant *tenant) {
    strongroom_session *session = NULL;
    strongroom_list *list = NULL;
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_hold(NULL, TEXT("x"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_hold(tenant, NULL, 0, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_release_hold(tenant, NULL, 1, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_holds(tenant, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_ledger(NULL, &list, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_receipts(tenant, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_receipt(NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_scrub(NULL, NULL, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_get_horizon(tenant, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_key_provider(tenant, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_session(tenant, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_session(NULL, &session, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_move_tenant(engine, TEXT("acme"), NULL, 0, 1, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_rename_tenant(engine, TEXT("acme"), TEXT("\xff"), &error));
    CHECK(session == NULL && list == NULL);
}

/* A store makes its key file; this one's is the other store's second one. */
static void make_key_file(const char *directory, const char *path) {
    strongroom_config *config = NULL;
    strongroom_engine *engine = NULL;
    char data[4096];
    snprintf(data, sizeof data, "%s/other-data", directory);
    MUST(strongroom_config_new(TEXT(data), &config, &error));
    MUST(strongroom_config_key_file(config, TEXT("default"), TEXT(path), 0, &error));
    MUST(strongroom_engine_create(config, &engine, &error));
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    strongroom_config_free(config);
}

int main(int count, char **arguments) {
    strongroom_config *config;
    strongroom_engine *engine = NULL;
    strongroom_tenant *tenant = NULL;
    char path[4096];
    CHECK(count == 2);
    config = config_in(arguments[1]);
    snprintf(path, sizeof path, "%s/second-key", arguments[1]);
    make_key_file(arguments[1], path);
    MUST(strongroom_config_key_file(config, TEXT("second"), TEXT(path), 0, &error));
    snprintf(path, sizeof path, "%s/eu", arguments[1]);
    MUST(strongroom_config_region(config, TEXT("eu"), TEXT(path), NULL, 0, &error));
    MUST(strongroom_engine_create(config, &engine, &error));
    MUST(strongroom_engine_create_tenant(engine, TEXT("acme"), NULL, &tenant, &error));
    test_policies(tenant);
    test_holds(engine, tenant);
    test_subjects(tenant);
    test_ledger(tenant);
    test_life(engine);
    test_wrapping(engine, tenant);
    test_session(engine, tenant);
    test_null(engine, tenant);
    strongroom_tenant_free(tenant);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    strongroom_config_free(config);
    return 0;
}
