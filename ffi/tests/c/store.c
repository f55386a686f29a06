/* What a C program does with a store: everything of the API once, as it is meant. The argument is an empty directory. */
#include <stdbool.h>

#include "check.h"

static strongroom_engine *create(const char *directory) {
    strongroom_config *config = config_in(directory);
    strongroom_config_options options;
    strongroom_engine *engine = NULL;
    CHECK(strongroom_config_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.cache_bytes = 1 << 20;
    options.buffered_within_ms = 5;
    MUST(strongroom_config_set(config, &options, &error));
    EXPECT(UNAVAILABLE, strongroom_engine_open(config, &engine, &error));
    CHECK(engine == NULL);
    MUST(strongroom_engine_create(config, &engine, &error));
    EXPECT(ALREADY_EXISTS, strongroom_engine_create(config, &engine, &error));
    strongroom_config_free(config);
    return engine;
}

static void put(const strongroom_collection *collection, const char *key, const char *value) {
    MUST(strongroom_collection_put(collection, BYTES(key), BYTES(value), NULL, NULL, &error));
}

static void check_value(const strongroom_collection *collection, const char *key, const char *expected) {
    strongroom_buffer *value = NULL;
    MUST(strongroom_collection_get(collection, BYTES(key), &value, &error));
    if (expected == NULL) {
        CHECK(value == NULL);
    } else {
        CHECK(value != NULL && strongroom_buffer_data(value) != NULL);
        CHECK(strongroom_buffer_size(value) == strlen(expected));
        CHECK(memcmp(strongroom_buffer_data(value), expected, strlen(expected)) == 0);
    }
    strongroom_buffer_free(value);
}

static void test_put_and_get(const strongroom_collection *collection) {
    strongroom_version first, second;
    strongroom_put_options options;
    strongroom_record_info info;
    uint8_t room[8];
    size_t size = 0;

    check_value(collection, "a", NULL);
    MUST(strongroom_collection_put(collection, BYTES("a"), BYTES("12.50"), NULL, &first, &error));
    check_value(collection, "a", "12.50");
    put(collection, "empty", "");
    check_value(collection, "empty", "");

    CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.condition = STRONGROOM_CONDITION_ABSENT;
    EXPECT(CONFLICT, strongroom_collection_put(collection, BYTES("a"), BYTES("x"), &options, NULL, &error));
    options.condition = STRONGROOM_CONDITION_VERSION;
    options.version = first;
    options.written_ms = 1700000000000;
    options.durability = STRONGROOM_DURABILITY_BUFFERED;
    MUST(strongroom_collection_put(collection, BYTES("a"), BYTES("99.00"), &options, &second, &error));
    CHECK(second.timeline > first.timeline || second.sequence > first.sequence);
    EXPECT(CONFLICT, strongroom_collection_put(collection, BYTES("a"), BYTES("x"), &options, NULL, &error));

    CHECK(strongroom_record_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_collection_get_info(collection, BYTES("a"), &info, &error));
    CHECK(info.exists == 1 && info.value_size == 5 && info.size == sizeof info);
    CHECK(info.version.sequence == second.sequence && info.written_ms == 1700000000000);
    CHECK(info.expires_ms == STRONGROOM_NEVER);
    MUST(strongroom_collection_get_info(collection, BYTES("none"), &info, &error));
    CHECK(info.exists == 0 && info.value_size == 0);

    MUST(strongroom_collection_get_into(collection, BYTES("a"), room, sizeof room, &size, &error));
    CHECK(size == 5 && memcmp(room, "99.00", 5) == 0);
    memset(room, 7, sizeof room);
    MUST(strongroom_collection_get_into(collection, BYTES("a"), room, 4, &size, &error));
    CHECK(size == 5 && room[0] == 7);
    MUST(strongroom_collection_get_into(collection, BYTES("a"), NULL, 0, &size, &error));
    CHECK(size == 5);
    MUST(strongroom_collection_get_into(collection, BYTES("none"), room, sizeof room, &size, &error));
    CHECK(size == STRONGROOM_ABSENT);
    MUST(strongroom_collection_get_into(collection, BYTES("empty"), room, sizeof room, &size, &error));
    CHECK(size == 0);
}

static size_t scanned(const strongroom_collection *collection, const strongroom_scan_options *options,
                      size_t page_records, char *keys) {
    strongroom_scan *scan = NULL;
    size_t count = 0;
    MUST(strongroom_collection_scan(collection, options, &scan, &error));
    for (;;) {
        strongroom_page *page = NULL;
        const strongroom_entry *entries;
        size_t index;
        MUST(strongroom_scan_next(scan, page_records, 0, &page, &error));
        if (page == NULL) {
            break;
        }
        CHECK(strongroom_page_count(page) >= 1);
        CHECK(page_records == 0 || strongroom_page_count(page) <= page_records);
        entries = strongroom_page_entries(page);
        for (index = 0; index < strongroom_page_count(page); index++) {
            const strongroom_entry *entry = &entries[index];
            CHECK(entry->key != NULL && entry->key_size > 0);
            CHECK(entry->value_size == 1 && entry->version.sequence > 0);
            CHECK(options != NULL && options->keys_only ? entry->value == NULL : entry->value[0] == 'v');
            if (keys != NULL) {
                memcpy(keys + 4 * count, entry->key, 4);
            }
            count++;
        }
        strongroom_page_free(page);
    }
    strongroom_scan_free(scan);
    return count;
}

static void test_scan(const strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_scan_options options;
    strongroom_batch *batch = NULL;
    strongroom_version version;
    size_t count = 0;
    char key[8], keys[4 * 1000];
    int number;
    MUST(strongroom_tenant_collection(tenant, TEXT("scanned"), &collection, &error));
    MUST(strongroom_tenant_batch(tenant, &batch, &error));
    for (number = 0; number < 1000; number++) {
        snprintf(key, sizeof key, "%04d", number);
        MUST(strongroom_batch_put(batch, collection, BYTES(key), BYTES("v"), NULL, &error));
    }
    MUST(strongroom_batch_count(batch, &count, &error));
    CHECK(count == 1000);
    MUST(strongroom_batch_write(batch, &version, &error));
    MUST(strongroom_batch_count(batch, &count, &error));
    CHECK(count == 0);
    strongroom_batch_free(batch);

    CHECK(scanned(collection, NULL, 0, keys) == 1000);
    CHECK(memcmp(keys, "0000", 4) == 0 && memcmp(keys + 4 * 999, "0999", 4) == 0);
    CHECK(scanned(collection, NULL, 7, NULL) == 1000);
    CHECK(strongroom_scan_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.prefix = (const uint8_t *)"05";
    options.prefix_size = 2;
    options.reverse = 1;
    CHECK(scanned(collection, &options, 0, keys) == 100 && memcmp(keys, "0599", 4) == 0);
    options.open_ahead = 16;
    CHECK(scanned(collection, &options, 0, keys) == 100 && memcmp(keys + 4 * 99, "0500", 4) == 0);
    options.keys_only = 1;
    options.limit = 3;
    CHECK(scanned(collection, &options, 0, NULL) == 3);
    CHECK(strongroom_scan_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.from = (const uint8_t *)"0010";
    options.from_size = 4;
    options.to = (const uint8_t *)"0020";
    options.to_size = 4;
    CHECK(scanned(collection, &options, 0, keys) == 10 && memcmp(keys, "0010", 4) == 0);
    options.from_excluded = 1;
    options.to_included = 1;
    CHECK(scanned(collection, &options, 0, keys) == 10 && memcmp(keys, "0011", 4) == 0);
    strongroom_collection_free(collection);
}

/* What a page holds is given with one call: a scan is not a call for each record. */
static void test_pages(const strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_batch *batch = NULL;
    strongroom_scan *scan = NULL;
    size_t records = 0, pages = 0;
    char key[8], value[100];
    int number;
    memset(value, 'v', sizeof value);
    MUST(strongroom_tenant_collection(tenant, TEXT("many"), &collection, &error));
    MUST(strongroom_tenant_batch(tenant, &batch, &error));
    for (number = 0; number < 10000; number++) {
        snprintf(key, sizeof key, "%05d", number);
        MUST(strongroom_batch_put(batch, collection, BYTES(key), (const uint8_t *)value, sizeof value, NULL, &error));
    }
    MUST(strongroom_batch_write(batch, NULL, &error));
    strongroom_batch_free(batch);
    MUST(strongroom_collection_scan(collection, NULL, &scan, &error));
    for (;;) {
        strongroom_page *page = NULL;
        MUST(strongroom_scan_next(scan, 0, 0, &page, &error));
        if (page == NULL) {
            break;
        }
        records += strongroom_page_count(page);
        pages++;
        strongroom_page_free(page);
    }
    CHECK(records == 10000 && pages >= 1 && pages <= 100);
    strongroom_scan_free(scan);
    strongroom_collection_free(collection);
    MUST(strongroom_tenant_drop_collection(tenant, TEXT("many"), &error));
}

static void test_conditions_of_a_batch(const strongroom_tenant *tenant, const strongroom_collection *collection) {
    strongroom_batch *batch = NULL;
    strongroom_version wrong = {12345, 1, 0};
    MUST(strongroom_tenant_batch(tenant, &batch, &error));
    MUST(strongroom_batch_require(batch, collection, BYTES("never"), NULL, &error));
    MUST(strongroom_batch_put(batch, collection, BYTES("both-1"), BYTES("1"), NULL, &error));
    MUST(strongroom_batch_put(batch, collection, BYTES("both-2"), BYTES("2"), NULL, &error));
    MUST(strongroom_batch_write(batch, NULL, &error));
    check_value(collection, "both-2", "2");
    MUST(strongroom_batch_require(batch, collection, BYTES("both-1"), &wrong, &error));
    MUST(strongroom_batch_put(batch, collection, BYTES("both-3"), BYTES("3"), NULL, &error));
    EXPECT(CONFLICT, strongroom_batch_write(batch, NULL, &error));
    check_value(collection, "both-3", NULL);
    MUST(strongroom_batch_write(batch, NULL, &error));
    strongroom_batch_free(batch);
}

static void test_erase(const strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_batch *batch = NULL;
    strongroom_version first;
    bool existed = false;
    uint64_t count = 0;
    char key[8];
    int number;
    MUST(strongroom_tenant_create_collection(tenant, TEXT("erased"), &error));
    EXPECT(ALREADY_EXISTS, strongroom_tenant_create_collection(tenant, TEXT("erased"), &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("erased"), &collection, &error));
    MUST(strongroom_collection_put(collection, BYTES("x"), BYTES("1"), NULL, &first, &error));
    put(collection, "x", "2");
    EXPECT(CONFLICT, strongroom_collection_erase_if_version(collection, BYTES("x"), &first, &error));
    MUST(strongroom_collection_erase(collection, BYTES("x"), &existed, &error));
    CHECK(existed);
    MUST(strongroom_collection_erase(collection, BYTES("x"), &existed, &error));
    CHECK(!existed);
    check_value(collection, "x", NULL);

    for (number = 0; number < 30; number++) {
        snprintf(key, sizeof key, "%02d", number);
        put(collection, key, "v");
    }
    MUST(strongroom_collection_count(collection, NULL, &count, &error));
    CHECK(count == 30);
    MUST(strongroom_collection_erase_prefix(collection, BYTES("0"), &count, NULL, &error));
    CHECK(count == 10);
    MUST(strongroom_collection_erase_range(collection, BYTES("15"), NULL, 0, &count, NULL, &error));
    CHECK(count == 15);
    MUST(strongroom_tenant_batch(tenant, &batch, &error));
    MUST(strongroom_batch_erase(batch, collection, BYTES("10"), NULL, &error));
    MUST(strongroom_batch_erase(batch, collection, BYTES("11"), &first, &error));
    EXPECT(CONFLICT, strongroom_batch_write(batch, NULL, &error));
    MUST(strongroom_batch_erase(batch, collection, BYTES("10"), NULL, &error));
    MUST(strongroom_batch_write(batch, NULL, &error));
    strongroom_batch_free(batch);
    MUST(strongroom_collection_count(collection, NULL, &count, &error));
    CHECK(count == 4);
    MUST(strongroom_tenant_rename_collection(tenant, TEXT("erased"), TEXT("renamed"), &error));
    MUST(strongroom_collection_count(collection, NULL, &count, &error));
    CHECK(count == 0);
    EXPECT(NOT_FOUND, strongroom_tenant_drop_collection(tenant, TEXT("erased"), &error));
    MUST(strongroom_tenant_drop_collection(tenant, TEXT("renamed"), &error));
    strongroom_collection_free(collection);
}

static void test_snapshot_and_cursor(const strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_list *collections = NULL;
    strongroom_snapshot *snapshot = NULL;
    strongroom_version version;
    strongroom_record_info info;
    strongroom_scan_options options;
    strongroom_scan *scan = NULL;
    strongroom_page *page = NULL;
    strongroom_buffer *value = NULL, *cursor = NULL;
    uint64_t count = 0;
    MUST(strongroom_tenant_collection(tenant, TEXT("scanned"), &collection, &error));
    MUST(strongroom_tenant_snapshot(tenant, &snapshot, &error));
    put(collection, "0000", "w");
    MUST(strongroom_snapshot_version(snapshot, &version, &error));
    CHECK(version.sequence > 0);
    MUST(strongroom_snapshot_get(snapshot, collection, BYTES("0000"), &value, &error));
    CHECK(strongroom_buffer_size(value) == 1 && strongroom_buffer_data(value)[0] == 'v');
    strongroom_buffer_free(value);
    CHECK(strongroom_record_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_snapshot_get_info(snapshot, collection, BYTES("0000"), &info, &error));
    CHECK(info.exists == 1 && info.value_size == 1);
    MUST(strongroom_snapshot_count(snapshot, collection, NULL, &count, &error));
    CHECK(count == 1000);
    MUST(strongroom_snapshot_collections(snapshot, &collections, &error));
    CHECK(strongroom_list_count(collections) >= 2);
    strongroom_list_free(collections);
    put(collection, "0000", "v");

    CHECK(strongroom_scan_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.limit = 10;
    MUST(strongroom_snapshot_scan(snapshot, collection, &options, &scan, &error));
    strongroom_snapshot_free(snapshot);
    MUST(strongroom_scan_next(scan, 0, 0, &page, &error));
    CHECK(strongroom_page_count(page) == 10);
    strongroom_page_free(page);
    MUST(strongroom_scan_cursor(scan, &cursor, &error));
    strongroom_scan_free(scan);
    options.after = strongroom_buffer_data(cursor);
    options.after_size = strongroom_buffer_size(cursor);
    MUST(strongroom_collection_scan(collection, &options, &scan, &error));
    MUST(strongroom_scan_next(scan, 0, 0, &page, &error));
    CHECK(memcmp(strongroom_page_entries(page)[0].key, "0010", 4) == 0);
    strongroom_page_free(page);
    strongroom_scan_free(scan);
    options.reverse = 1;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_scan(collection, &options, &scan, &error));
    options.after_size = 3;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_scan(collection, &options, &scan, &error));
    strongroom_buffer_free(cursor);
    options.after = NULL;
    options.after_size = 0;
    options.reverse = 0;
    options.limit = 0;
    MUST(strongroom_collection_scan(collection, &options, &scan, &error));
    MUST(strongroom_scan_next(scan, 2000, 0, &page, &error));
    strongroom_page_free(page);
    MUST(strongroom_scan_cursor(scan, &cursor, &error));
    CHECK(cursor == NULL);
    strongroom_scan_free(scan);
    strongroom_collection_free(collection);
}

static size_t found(const strongroom_collection *collection, const char *index, const char *key) {
    strongroom_scan *scan = NULL;
    strongroom_page *page = NULL;
    size_t count;
    MUST(strongroom_collection_find(collection, TEXT(index), BYTES(key), &scan, &error));
    MUST(strongroom_scan_next(scan, 0, 0, &page, &error));
    count = strongroom_page_count(page);
    strongroom_page_free(page);
    strongroom_scan_free(scan);
    return count;
}

static void test_indexes(const strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_list *indexes = NULL;
    strongroom_index_info info;
    strongroom_put_options options;
    strongroom_index_key keys[2] = {{TEXT("email"), BYTES("a@b")}, {TEXT("city"), BYTES("Bonn")}};
    strongroom_scan *scan = NULL;
    MUST(strongroom_tenant_collection(tenant, TEXT("people"), &collection, &error));
    MUST(strongroom_collection_declare_index(collection, TEXT("email"), STRONGROOM_INDEX_UNIQUE, &error));
    MUST(strongroom_collection_declare_index(collection, TEXT("city"), STRONGROOM_INDEX_ORDERED, &error));
    EXPECT(ALREADY_EXISTS,
           strongroom_collection_declare_index(collection, TEXT("city"), STRONGROOM_INDEX_UNIQUE, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_declare_index(collection, TEXT("x"), 2, &error));
    MUST(strongroom_collection_indexes(collection, &indexes, &error));
    CHECK(strongroom_list_count(indexes) == 2);
    CHECK(strongroom_index_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_list_get_index(indexes, 1, &info, &error));
    CHECK(info.name_size == 5 && info.kind == STRONGROOM_INDEX_UNIQUE && info.is_ready == 1);
    strongroom_list_free(indexes);

    CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.index_keys = keys;
    options.index_key_count = 2;
    MUST(strongroom_collection_put(collection, BYTES("1"), BYTES("Ada"), &options, NULL, &error));
    EXPECT(CONFLICT, strongroom_collection_put(collection, BYTES("2"), BYTES("Eve"), &options, NULL, &error));
    options.index_keys = keys + 1;
    options.index_key_count = 1;
    MUST(strongroom_collection_put(collection, BYTES("2"), BYTES("Eve"), &options, NULL, &error));
    CHECK(found(collection, "email", "a@b") == 1 && found(collection, "city", "Bonn") == 2);
    CHECK(found(collection, "city", "Rome") == 0);
    MUST(strongroom_collection_find_range(collection, TEXT("city"), NULL, &scan, &error));
    strongroom_scan_free(scan);
    options.index_key_count = SIZE_MAX;
    EXPECT(LIMIT_EXCEEDED, strongroom_collection_put(collection, BYTES("3"), BYTES("x"), &options, NULL, &error));
    options.index_keys = NULL;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES("3"), BYTES("x"), &options, NULL, &error));
    EXPECT(NOT_FOUND, strongroom_collection_find(collection, TEXT("none"), BYTES("x"), &scan, &error));
    MUST(strongroom_collection_drop_index(collection, TEXT("city"), &error));
    EXPECT(NOT_FOUND, strongroom_collection_drop_index(collection, TEXT("city"), &error));
    MUST(strongroom_tenant_drop_collection(tenant, TEXT("people"), &error));
    strongroom_collection_free(collection);
}

static void test_retention(strongroom_engine *engine, const strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_policy policy;
    strongroom_put_options options;
    strongroom_record_info info;
    uint64_t swept = 99;
    bool existed = false;
    MUST(strongroom_tenant_collection(tenant, TEXT("kept"), &collection, &error));
    CHECK(strongroom_policy_init(&policy, sizeof policy) == STRONGROOM_STATUS_OK);
    policy.retention_ms = 60000;
    MUST(strongroom_collection_set_policy(collection, &policy, &error));
    policy.retention_ms = 0;
    policy.maximum_ms = 120000;
    MUST(strongroom_tenant_set_policy(tenant, &policy, &error));
    MUST(strongroom_collection_get_policy(collection, &policy, &error));
    CHECK(policy.retention_ms == 60000 && policy.maximum_ms == 0);
    MUST(strongroom_tenant_get_policy(tenant, &policy, &error));
    CHECK(policy.retention_ms == 0 && policy.maximum_ms == 120000);
    CHECK(strongroom_record_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    put(collection, "a", "1");
    MUST(strongroom_collection_get_info(collection, BYTES("a"), &info, &error));
    CHECK(info.expires_ms == info.written_ms + 60000);
    CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.ttl_ms = 1000000;
    MUST(strongroom_collection_put(collection, BYTES("b"), BYTES("2"), &options, NULL, &error));
    MUST(strongroom_collection_get_info(collection, BYTES("b"), &info, &error));
    CHECK(info.expires_ms == info.written_ms + 120000);
    options.expires_ms = 1;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES("c"), BYTES("3"), &options, NULL, &error));
    options.ttl_ms = 0;
    MUST(strongroom_collection_put(collection, BYTES("c"), BYTES("3"), &options, NULL, &error));
    check_value(collection, "c", NULL);
    MUST(strongroom_engine_sweep(engine, NULL, 0, &swept, NULL, &error));
    CHECK(swept <= 2);
    MUST(strongroom_engine_sweep(engine, TEXT("acme"), &swept, NULL, &error));
    EXPECT(NOT_FOUND, strongroom_engine_sweep(engine, TEXT("nobody"), &swept, NULL, &error));
    MUST(strongroom_engine_confirm_clock(engine, &error));

    CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.subject = "user-42";
    options.subject_size = 7;
    MUST(strongroom_collection_put(collection, BYTES("s"), BYTES("secret"), &options, NULL, &error));
    check_value(collection, "s", "secret");
    MUST(strongroom_tenant_erase_subject(tenant, TEXT("user-42"), &existed, &error));
    CHECK(existed);
    check_value(collection, "s", NULL);
    check_value(collection, "a", "1");
    MUST(strongroom_tenant_erase_subject(tenant, TEXT("user-42"), &existed, &error));
    CHECK(!existed);
    MUST(strongroom_tenant_set_policy(tenant, NULL, &error));
    MUST(strongroom_tenant_drop_collection(tenant, TEXT("kept"), &error));
    strongroom_collection_free(collection);
}

static void test_health(const strongroom_engine *engine) {
    bool is_good = false;
    strongroom_buffer *json = NULL;
    MUST(strongroom_engine_health(engine, &is_good, &json, &error));
    CHECK(strongroom_buffer_size(json) > 10 && strongroom_buffer_data(json)[0] == '{');
    strongroom_buffer_free(json);
    MUST(strongroom_engine_health(engine, NULL, NULL, &error));
}

static void count_progress(void *context, uint64_t more) { *(uint64_t *)context += more; }

static void count_rows(void *context, uint64_t done, uint64_t total) {
    CHECK(done <= total);
    *(uint64_t *)context = total;
}

static void test_maintenance(strongroom_engine *engine, const strongroom_tenant *tenant) {
    uint64_t done = 0;
    strongroom_report *report = NULL;
    strongroom_report_summary summary;
    strongroom_rewrite rewrite;
    strongroom_salvage salvage;
    strongroom_tenant_stats stats;
    MUST(strongroom_tenant_flush(tenant, &error));
    MUST(strongroom_engine_flush(engine, &error));
    MUST(strongroom_engine_tick(engine, &error));
    MUST(strongroom_tenant_checkpoint(tenant, &error));
    MUST(strongroom_engine_checkpoint(engine, &error));

    CHECK(strongroom_rewrite_init(&rewrite, sizeof rewrite) == STRONGROOM_STATUS_OK);
    MUST(strongroom_tenant_rewrite(tenant, count_rows, &done, &rewrite, &error));
    CHECK(rewrite.has_file == 1 && rewrite.rows >= 1000 && rewrite.bytes_after > 0 && done > 0);
    MUST(strongroom_tenant_rewrite(tenant, NULL, NULL, NULL, &error));

    done = 0;
    CHECK(strongroom_report_summary_init(&summary, sizeof summary) == STRONGROOM_STATUS_OK);
    MUST(strongroom_engine_verify(engine, count_progress, &done, &report, &error));
    MUST(strongroom_report_get_summary(report, &summary, &error));
    CHECK(summary.is_good == 1 && summary.tenants == 2 && summary.records >= 1000 && done > 1000);
    CHECK(strongroom_report_problem_count(report) == 0);
    strongroom_report_free(report);
    MUST(strongroom_engine_verify_tenant(engine, TEXT("acme"), NULL, NULL, &report, &error));
    MUST(strongroom_report_get_summary(report, &summary, &error));
    CHECK(summary.is_good == 1 && summary.tenants == 1);
    strongroom_report_free(report);

    CHECK(strongroom_tenant_stats_init(&stats, sizeof stats) == STRONGROOM_STATUS_OK);
    MUST(strongroom_tenant_get_stats(tenant, &stats, &error));
    CHECK(stats.records >= 1000 && stats.collections == 2 && stats.file_bytes > 0 && stats.key_store_bytes > 0);

    CHECK(strongroom_salvage_init(&salvage, sizeof salvage) == STRONGROOM_STATUS_OK);
    MUST(strongroom_engine_salvage(engine, TEXT("acme"), &salvage, &error));
    CHECK(salvage.changes_lost == 0);
    EXPECT(POISONED, strongroom_tenant_get_stats(tenant, &stats, &error));
    MUST(strongroom_engine_accept_rollback(engine, TEXT("acme"), &error));
}

static void test_lists(strongroom_engine *engine, const strongroom_tenant *tenant) {
    uint8_t id[16], store[16];
    const char *name = NULL;
    size_t name_size = 0;
    strongroom_list *tenants = NULL;
    strongroom_tenant_info tenant_info;
    strongroom_list *collections = NULL;
    strongroom_collection_info collection_info;
    strongroom_list *regions = NULL;
    strongroom_region_info region_info;
    strongroom_list *lanes = NULL;
    strongroom_lane_info lane_info;

    MUST(strongroom_tenant_id(tenant, id, &error));
    MUST(strongroom_engine_store_id(engine, store, &error));
    MUST(strongroom_tenant_name(tenant, &name, &name_size, &error));
    CHECK(name_size == 4 && memcmp(name, "acme", 4) == 0);

    MUST(strongroom_engine_tenants(engine, &tenants, &error));
    CHECK(strongroom_list_count(tenants) == 1);
    CHECK(strongroom_tenant_info_init(&tenant_info, sizeof tenant_info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_list_get_tenant(tenants, 0, &tenant_info, &error));
    CHECK(tenant_info.name_size == 4 && memcmp(tenant_info.name, "acme", 4) == 0);
    CHECK(memcmp(tenant_info.id, id, 16) == 0 && tenant_info.dedicated == 1 && tenant_info.created_ms > 0);
    CHECK(tenant_info.region_size == 7 && memcmp(tenant_info.region, "default", 7) == 0);
    EXPECT(INVALID_ARGUMENT, strongroom_list_get_tenant(tenants, 1, &tenant_info, &error));
    strongroom_list_free(tenants);
    MUST(strongroom_engine_tenant_info(engine, TEXT("acme"), &tenants, &error));
    CHECK(strongroom_list_count(tenants) == 1);
    strongroom_list_free(tenants);
    EXPECT(NOT_FOUND, strongroom_engine_tenant_info(engine, TEXT("nobody"), &tenants, &error));

    MUST(strongroom_tenant_collections(tenant, &collections, &error));
    CHECK(strongroom_list_count(collections) == 2);
    CHECK(strongroom_collection_info_init(&collection_info, sizeof collection_info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_list_get_collection(collections, 1, &collection_info, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_list_get_tenant(collections, 1, &tenant_info, &error));
    CHECK(collection_info.name_size == 7 && memcmp(collection_info.name, "scanned", 7) == 0);
    strongroom_list_free(collections);

    MUST(strongroom_engine_regions(engine, &regions, &error));
    CHECK(strongroom_list_count(regions) == 1);
    CHECK(strongroom_region_info_init(&region_info, sizeof region_info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_list_get_region(regions, 0, &region_info, &error));
    CHECK(region_info.root[0] == '/' && region_info.keys_size == region_info.root_size + 5);
    CHECK(region_info.problem == NULL);
    strongroom_list_free(regions);

    MUST(strongroom_engine_lanes(engine, &lanes, &error));
    CHECK(strongroom_list_count(lanes) == 2);
    CHECK(strongroom_lane_info_init(&lane_info, sizeof lane_info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_list_get_lane(lanes, 0, &lane_info, &error));
    CHECK(lane_info.damaged == 0);
    strongroom_list_free(lanes);
}

static void count_lines(void *context, uint32_t level, const char *target, size_t target_size, const char *text,
                        size_t text_size) {
    CHECK(level >= STRONGROOM_LOG_ERROR && level <= STRONGROOM_LOG_TRACE);
    CHECK(target_size > 0 && text_size > 0 && target != NULL && text != NULL);
    CHECK(text_size < 4 || memcmp(text, "acme", 4) != 0);
    *(int *)context += 1;
}

int main(int count, char **arguments) {
    static int lines;
    strongroom_engine *engine;
    strongroom_tenant *tenant = NULL;
    strongroom_tenant_options options;
    strongroom_collection *collection = NULL;
    strongroom_config *config;
    const char *name = NULL;
    size_t name_size = 0;
    CHECK(count == 2);
    CHECK(strongroom_abi_version() == STRONGROOM_ABI_VERSION);
    CHECK(strlen(strongroom_release()) >= 5);
    CHECK(strongroom_has_feature(TEXT("batch")) && !strongroom_has_feature(TEXT("telepathy")));
    CHECK(strcmp(strongroom_status_name(STRONGROOM_STATUS_KEY_MISSING), "KeyMissing") == 0);
    CHECK(strcmp(strongroom_status_name(-1), "Unknown") == 0);
    MUST(strongroom_log_set(STRONGROOM_LOG_TRACE, count_lines, &lines, &error));

    engine = create(arguments[1]);
    CHECK(strongroom_tenant_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.dedicated = 1;
    MUST(strongroom_engine_create_tenant(engine, TEXT("acme"), &options, &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("invoices"), &collection, &error));
    MUST(strongroom_collection_name(collection, &name, &name_size, &error));
    CHECK(name_size == 8 && memcmp(name, "invoices", 8) == 0);
    test_put_and_get(collection);
    test_scan(tenant);
    test_pages(tenant);
    test_conditions_of_a_batch(tenant, collection);
    test_erase(tenant);
    test_snapshot_and_cursor(tenant);
    test_indexes(tenant);
    test_retention(engine, tenant);
    /* It was written in 2023, and the tenant's maximum reached what was there. */
    check_value(collection, "a", NULL);
    put(collection, "a", "99.00");
    test_health(engine);
    test_lists(engine, tenant);
    test_maintenance(engine, tenant);

    /* The parent before its children, and the store closed under them. */
    MUST(strongroom_engine_close(engine, &error));
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    EXPECT(POISONED, strongroom_collection_put(collection, BYTES("a"), BYTES("b"), NULL, NULL, &error));
    strongroom_tenant_free(tenant);
    strongroom_collection_free(collection);
    CHECK(lines > 0);
    MUST(strongroom_log_set(STRONGROOM_LOG_TRACE, NULL, NULL, &error));

    config = config_in(arguments[1]);
    MUST(strongroom_engine_open(config, &engine, &error));
    MUST(strongroom_engine_tenant(engine, TEXT("acme"), &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("invoices"), &collection, &error));
    check_value(collection, "a", "99.00");
    /* Not closed: the last handle keeps the store open. */
    strongroom_engine_free(engine);
    strongroom_tenant_free(tenant);
    put(collection, "last", "one");
    EXPECT(BUSY, strongroom_engine_open(config, &engine, &error));
    strongroom_collection_free(collection);
    MUST(strongroom_engine_open(config, &engine, &error));
    MUST(strongroom_engine_tenant(engine, TEXT("acme"), &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("invoices"), &collection, &error));
    check_value(collection, "last", "one");
    MUST(strongroom_engine_close(engine, &error));
    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    strongroom_engine_free(engine);
    strongroom_config_free(config);
    return 0;
}
