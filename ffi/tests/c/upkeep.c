/* What an operator's program does: settings from a file, quotas, data keys, indexes over records that are there, published
 * health. The argument is an empty directory. */
#include <stdbool.h>
#include <time.h>

#include "check.h"

static void put(const strongroom_collection *collection, int number) {
    char key[8], value[16];
    snprintf(key, sizeof key, "%03d", number);
    snprintf(value, sizeof value, "city-%d", number % 3);
    MUST(strongroom_collection_put(collection, BYTES(key), BYTES(value), NULL, NULL, &error));
}

static void test_settings(strongroom_config *config, const char *directory) {
    char path[4096];
    FILE *file;
    strongroom_buffer *toml = NULL;
    strongroom_config_options options;
    snprintf(path, sizeof path, "%s/settings.toml", directory);
    EXPECT(UNAVAILABLE, strongroom_config_read(config, TEXT(path), &error));
    file = fopen(path, "w");
    CHECK(file != NULL && fputs("open_tenants = 7\n", file) >= 0 && fclose(file) == 0);
    MUST(strongroom_config_read(config, TEXT(path), &error));
    CHECK(strongroom_config_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.erasure_period_ms = 3600000;
    options.rotate_after_ms = 86400000;
    options.rotate_after_records = 1234567;
    MUST(strongroom_config_set(config, &options, &error));
    MUST(strongroom_config_to_toml(config, &toml, &error));
    CHECK(strongroom_buffer_size(toml) > 100);
    file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(strongroom_buffer_data(toml), strongroom_buffer_size(toml), 1, file) == 1);
    CHECK(fclose(file) == 0);
    MUST(strongroom_config_read(config, TEXT(path), &error));
    file = fopen(path, "rb");
    CHECK(file != NULL);
    {
        static char text[65536];
        size_t size = fread(text, 1, sizeof text - 1, file);
        text[size] = '\0';
        CHECK(strstr(text, "\nopen_tenants = 7") != NULL && strstr(text, "1234567") != NULL);
    }
    CHECK(fclose(file) == 0);
    strongroom_buffer_free(toml);
    file = fopen(path, "w");
    CHECK(file != NULL && fputs("telepathy = 7\n", file) >= 0 && fclose(file) == 0);
    EXPECT(INVALID_ARGUMENT, strongroom_config_read(config, TEXT(path), &error));
}

static void test_quotas(const strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_quota quota;
    strongroom_usage usage;
    int number;
    MUST(strongroom_tenant_collection(tenant, TEXT("bounded"), &collection, &error));
    CHECK(strongroom_quota_init(&quota, sizeof quota) == STRONGROOM_STATUS_OK);
    CHECK(quota.records == STRONGROOM_UNLIMITED && quota.bytes == STRONGROOM_UNLIMITED);
    quota.records = 5;
    MUST(strongroom_collection_set_quota(collection, &quota, &error));
    for (number = 0; number < 5; number++) {
        put(collection, number);
    }
    EXPECT(LIMIT_EXCEEDED, strongroom_collection_put(collection, BYTES("x"), BYTES("y"), NULL, NULL, &error));
    CHECK(strongroom_usage_init(&usage, sizeof usage) == STRONGROOM_STATUS_OK);
    MUST(strongroom_collection_get_usage(collection, &usage, &error));
    CHECK(usage.records == 5 && usage.bytes == 5 * (3 + 6));
    MUST(strongroom_collection_get_quota(collection, &quota, &error));
    CHECK(quota.records == 5 && quota.bytes == STRONGROOM_UNLIMITED);

    /* Nothing at all is a quota too. */
    quota.records = STRONGROOM_UNLIMITED;
    quota.bytes = 0;
    MUST(strongroom_tenant_set_quota(tenant, &quota, &error));
    MUST(strongroom_tenant_get_quota(tenant, &quota, &error));
    CHECK(quota.records == STRONGROOM_UNLIMITED && quota.bytes == 0);
    MUST(strongroom_collection_set_quota(collection, NULL, &error));
    EXPECT(LIMIT_EXCEEDED, strongroom_collection_put(collection, BYTES("x"), BYTES("y"), NULL, NULL, &error));
    MUST(strongroom_tenant_set_quota(tenant, NULL, &error));
    MUST(strongroom_collection_put(collection, BYTES("x"), BYTES("y"), NULL, NULL, &error));
    MUST(strongroom_tenant_get_usage(tenant, &usage, &error));
    CHECK(usage.records == 6);
    strongroom_collection_free(collection);
}

static uint32_t state_of(const strongroom_tenant *tenant, size_t index, strongroom_data_key_info *info) {
    strongroom_list *keys = NULL;
    MUST(strongroom_tenant_data_keys(tenant, &keys, &error));
    MUST(strongroom_list_get_data_key(keys, index, info, &error));
    strongroom_list_free(keys);
    return info->state;
}

static void count_records(void *context, uint64_t done, uint64_t total) {
    CHECK(done <= total);
    *(uint64_t *)context = done;
}

static void test_data_keys(const strongroom_tenant *tenant) {
    strongroom_data_key_info info;
    strongroom_rekey_options options;
    strongroom_rekey rekey;
    uint64_t done = 0;
    uint32_t first, second = 0;
    CHECK(strongroom_data_key_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    CHECK(state_of(tenant, 0, &info) == STRONGROOM_DATA_KEY_CURRENT);
    CHECK(info.records_sealed >= 6 && info.created_ms > 0);
    first = info.generation;
    MUST(strongroom_tenant_rotate_data_key(tenant, &second, &error));
    CHECK(second > first && state_of(tenant, 0, &info) == STRONGROOM_DATA_KEY_OLDER);
    EXPECT(CONFLICT, strongroom_tenant_retire_data_key(tenant, first, &error));
    EXPECT(CONFLICT, strongroom_tenant_retire_data_key(tenant, second, &error));
    EXPECT(NOT_FOUND, strongroom_tenant_retire_data_key(tenant, second + 1000, &error));

    CHECK(strongroom_rekey_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    CHECK(strongroom_rekey_init(&rekey, sizeof rekey) == STRONGROOM_STATUS_OK);
    options.records = 4;
    options.records_per_second = 100000;
    MUST(strongroom_tenant_rekey(tenant, &options, count_records, &done, &rekey, &error));
    CHECK(rekey.resealed == 4 && rekey.is_complete == 0 && rekey.generation == second && done > 0);
    MUST(strongroom_tenant_rekey(tenant, NULL, NULL, NULL, &rekey, &error));
    CHECK(rekey.resealed == 2 && rekey.is_complete == 1 && rekey.records == 6 && rekey.unreadable == 0);
    MUST(strongroom_tenant_rekey(tenant, NULL, NULL, NULL, NULL, &error));
    MUST(strongroom_tenant_retire_data_key(tenant, first, &error));
    CHECK(state_of(tenant, 0, &info) == STRONGROOM_DATA_KEY_DESTROYED);
    CHECK(state_of(tenant, 1, &info) == STRONGROOM_DATA_KEY_CURRENT && info.generation == second);
}

struct building {
    int records, refuses_at;
    bool has_one_key;
    uint64_t looked_at;
};

/* The city is the value; two keys of a record are fine, and none. */
static bool keys_of(void *context, const strongroom_entry *entry, strongroom_key_sink *sink) {
    struct building *building = context;
    if (building->refuses_at != 0 && building->records == building->refuses_at) {
        return false;
    }
    building->records++;
    EXPECT(INVALID_ARGUMENT, strongroom_key_sink_add(sink, NULL, 0, &error));
    EXPECT(LIMIT_EXCEEDED, strongroom_key_sink_add(sink, entry->key, 2000, &error));
    if (building->has_one_key) {
        MUST(strongroom_key_sink_add(sink, BYTES("the same"), &error));
    } else if (entry->key[2] != '0') {
        MUST(strongroom_key_sink_add(sink, entry->value, entry->value_size, &error));
        MUST(strongroom_key_sink_add(sink, entry->key, entry->key_size, &error));
    }
    return true;
}

static void test_removal(const strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_policy policy;
    strongroom_scan_options options;
    strongroom_removed_info info;
    strongroom_list *list = NULL;
    strongroom_buffer *cursor = NULL, *value = NULL;
    strongroom_batch *batch = NULL;
    strongroom_version wrong = {77, 0, 0};
    bool existed = false;
    uint64_t count = 0;
    int number;
    MUST(strongroom_tenant_collection(tenant, TEXT("removed"), &collection, &error));
    CHECK(strongroom_policy_init(&policy, sizeof policy) == STRONGROOM_STATUS_OK);
    policy.removal_window_ms = 3600000;
    MUST(strongroom_collection_set_policy(collection, &policy, &error));
    policy.removal_window_ms = 0;
    MUST(strongroom_collection_get_policy(collection, &policy, &error));
    CHECK(policy.removal_window_ms == 3600000);
    for (number = 0; number < 4; number++) {
        put(collection, number);
    }
    EXPECT(CONFLICT, strongroom_collection_remove(collection, BYTES("000"), &wrong, NULL, &error));
    MUST(strongroom_collection_remove(collection, BYTES("000"), NULL, &existed, &error));
    CHECK(existed);
    MUST(strongroom_collection_remove(collection, BYTES("000"), NULL, &existed, &error));
    CHECK(!existed);
    MUST(strongroom_collection_get(collection, BYTES("000"), &value, &error));
    CHECK(value == NULL);
    MUST(strongroom_collection_remove_range(collection, BYTES("002"), BYTES("003"), &count, &error));
    CHECK(count == 1);

    CHECK(strongroom_scan_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    CHECK(strongroom_removed_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    options.limit = 1;
    MUST(strongroom_collection_removed(collection, &options, &list, &cursor, &error));
    CHECK(strongroom_list_count(list) == 1 && cursor != NULL);
    MUST(strongroom_list_get_removed(list, 0, &info, &error));
    CHECK(info.key_size == 3 && memcmp(info.key, "000", 3) == 0 && info.value_size == 6);
    CHECK(info.removed_ms > 0 && info.erased_from_ms == info.removed_ms + 3600000);
    strongroom_list_free(list);
    options.after = strongroom_buffer_data(cursor);
    options.after_size = strongroom_buffer_size(cursor);
    MUST(strongroom_collection_removed(collection, &options, &list, NULL, &error));
    MUST(strongroom_list_get_removed(list, 0, &info, &error));
    CHECK(info.key_size == 3 && memcmp(info.key, "002", 3) == 0);
    MUST(strongroom_collection_restore(collection, BYTES("002"), &info.version, &existed, &error));
    CHECK(existed);
    strongroom_list_free(list);
    strongroom_buffer_free(cursor);
    MUST(strongroom_collection_restore(collection, BYTES("none"), NULL, &existed, &error));
    CHECK(!existed);
    put(collection, 0);
    EXPECT(CONFLICT, strongroom_collection_restore(collection, BYTES("000"), NULL, &existed, &error));
    MUST(strongroom_collection_erase(collection, BYTES("000"), NULL, &error));
    MUST(strongroom_collection_remove_prefix(collection, BYTES("00"), &count, &error));
    CHECK(count == 3);
    MUST(strongroom_collection_restore_range(collection, BYTES("001"), BYTES("003"), &count, &error));
    CHECK(count == 2);
    EXPECT(INVALID_ARGUMENT, strongroom_collection_restore_range(collection, NULL, 1, NULL, 0, &count, &error));
    MUST(strongroom_collection_remove_prefix(collection, BYTES("00"), &count, &error));
    CHECK(count == 2);
    MUST(strongroom_collection_restore_prefix(collection, BYTES("00"), &count, &error));
    CHECK(count == 3 || count == 4);

    MUST(strongroom_tenant_batch(tenant, &batch, &error));
    MUST(strongroom_batch_remove(batch, collection, BYTES("001"), NULL, &existed, &error));
    CHECK(existed);
    EXPECT(CONFLICT, strongroom_batch_remove(batch, collection, BYTES("002"), &wrong, NULL, &error));
    MUST(strongroom_batch_write(batch, NULL, &error));
    MUST(strongroom_batch_restore(batch, collection, BYTES("001"), NULL, &existed, &error));
    CHECK(existed);
    MUST(strongroom_batch_write(batch, NULL, &error));
    strongroom_batch_free(batch);
    MUST(strongroom_collection_get(collection, BYTES("001"), &value, &error));
    CHECK(strongroom_buffer_size(value) == 6);
    strongroom_buffer_free(value);
    MUST(strongroom_tenant_drop_collection(tenant, TEXT("removed"), &error));
    strongroom_collection_free(collection);
}

static void look(void *context, uint64_t more) { ((struct building *)context)->looked_at += more; }

static void test_building(const strongroom_tenant *tenant) {
    strongroom_collection *collection = NULL;
    strongroom_scan *scan = NULL;
    strongroom_page *page = NULL;
    struct building refused = {0, 3, false, 0}, conflicting = {0, 0, true, 0}, building = {0, 0, false, 0};
    uint64_t built = 0;
    int number;
    MUST(strongroom_tenant_collection(tenant, TEXT("people"), &collection, &error));
    for (number = 0; number < 10; number++) {
        put(collection, number);
    }
    MUST(strongroom_collection_declare_index(collection, TEXT("city"), STRONGROOM_INDEX_ORDERED, &error));
    MUST(strongroom_collection_declare_index(collection, TEXT("only"), STRONGROOM_INDEX_UNIQUE, &error));
    EXPECT(UNAVAILABLE, strongroom_collection_find(collection, TEXT("city"), BYTES("city-1"), &scan, &error));
    EXPECT(CANCELLED,
           strongroom_collection_build_index(collection, TEXT("city"), keys_of, NULL, &refused, NULL, &error));
    EXPECT(CONFLICT,
           strongroom_collection_build_index(collection, TEXT("only"), keys_of, NULL, &conflicting, NULL, &error));
    EXPECT(NOT_FOUND,
           strongroom_collection_build_index(collection, TEXT("none"), keys_of, NULL, &building, NULL, &error));
    MUST(strongroom_collection_build_index(collection, TEXT("city"), keys_of, look, &building, &built, &error));
    CHECK(built == 9 && building.looked_at == 10 && building.records == 10);
    MUST(strongroom_collection_find(collection, TEXT("city"), BYTES("city-1"), &scan, &error));
    MUST(strongroom_scan_next(scan, 0, 0, &page, &error));
    CHECK(strongroom_page_count(page) == 3);
    strongroom_page_free(page);
    strongroom_scan_free(scan);
    strongroom_collection_free(collection);
}

static void test_health(const strongroom_config *config) {
    bool is_good = false;
    uint64_t age_ms = UINT64_MAX;
    strongroom_buffer *json = NULL;
    strongroom_status status;
    const time_t end = time(NULL) + 60;
    /* The store's thread publishes it about once a second. */
    do {
        status = strongroom_config_published_health(config, &is_good, &age_ms, &json, NULL);
    } while (status == STRONGROOM_STATUS_NOT_FOUND && time(NULL) < end);
    CHECK(status == STRONGROOM_STATUS_OK && is_good && age_ms < 600000);
    CHECK(strongroom_buffer_size(json) > 10 && strongroom_buffer_data(json)[0] == '{');
    strongroom_buffer_free(json);
    MUST(strongroom_config_published_health(config, NULL, NULL, NULL, &error));
}

static void count_rows(void *context, uint64_t done, uint64_t total) {
    CHECK(done <= total);
    *(int *)context += 1;
}

/* What is to be under no older key, policies over records that are there, new section keys. */
static void test_duties(strongroom_engine *engine) {
    strongroom_tenant *tenant = NULL;
    strongroom_collection *collection = NULL;
    strongroom_policy policy;
    strongroom_policy_report report;
    strongroom_rekey_options options;
    strongroom_record_info info;
    strongroom_rekey rekey;
    uint32_t first = 0, second = 0, generation = 77;
    uint64_t by_ms = 77, met_ms = 77, since_ms = 77;
    bool is_set = true;
    int number, calls = 0;
    MUST(strongroom_engine_create_tenant(engine, TEXT("duties"), NULL, &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("c"), &collection, &error));
    MUST(strongroom_tenant_rotate_data_key(tenant, &first, &error));
    for (number = 0; number < 10; number++) {
        put(collection, number);
    }
    EXPECT(CONFLICT, strongroom_tenant_set_rekey_deadline(tenant, first, 1, &error));
    MUST(strongroom_tenant_rekey_deadline(tenant, &is_set, &generation, &by_ms, &met_ms, &error));
    CHECK(!is_set && generation == 77 && by_ms == 77 && met_ms == 77);
    MUST(strongroom_tenant_rotate_data_key(tenant, &second, &error));
    EXPECT(NOT_FOUND, strongroom_tenant_set_rekey_deadline(tenant, 1234, 1, &error));
    MUST(strongroom_tenant_set_rekey_deadline(tenant, first, 5000, &error));
    MUST(strongroom_tenant_rekey_deadline(tenant, &is_set, &generation, &by_ms, &met_ms, &error));
    CHECK(is_set && generation == first && by_ms == 5000);
    MUST(strongroom_tenant_clear_rekey_deadline(tenant, &error));
    MUST(strongroom_tenant_rekey_deadline(tenant, &is_set, NULL, NULL, NULL, &error));
    CHECK(!is_set);
    CHECK(strongroom_rekey_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.reserved = 1;
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_rekey(tenant, &options, NULL, NULL, NULL, &error));
    options.reserved = 0;
    options.bytes = 1;
    CHECK(strongroom_rekey_init(&rekey, sizeof rekey) == STRONGROOM_STATUS_OK);
    MUST(strongroom_tenant_rekey(tenant, &options, NULL, NULL, &rekey, &error));
    CHECK(rekey.resealed >= 1 && rekey.resealed < 10 && rekey.is_complete == 0);

    CHECK(strongroom_policy_init(&policy, sizeof policy) == STRONGROOM_STATUS_OK);
    policy.retention_ms = 86400000;
    policy.zero_retention = 3;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_set_policy(collection, &policy, &error));
    policy.zero_retention = STRONGROOM_ZERO_RETENTION_NO;
    MUST(strongroom_collection_set_policy(collection, &policy, &error));
    MUST(strongroom_tenant_policies_pending_since(tenant, &since_ms, &error));
    CHECK(since_ms > 1700000000000 && since_ms != 77);
    CHECK(strongroom_policy_report_init(&report, sizeof report) == STRONGROOM_STATUS_OK);
    MUST(strongroom_tenant_apply_policies(tenant, NULL, count_rows, &calls, &report, &error));
    CHECK(report.changed == 10 && report.records >= 10 && report.is_complete == 1 && report.unreadable == 0);
    MUST(strongroom_tenant_policies_pending_since(tenant, &since_ms, &error));
    CHECK(since_ms == 0);
    CHECK(strongroom_record_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_collection_get_info(collection, BYTES("000"), &info, &error));
    CHECK(info.expires_ms > info.written_ms);

    /* Nothing is retained any more. */
    policy.zero_retention = STRONGROOM_ZERO_RETENTION_YES;
    policy.retention_ms = 0;
    MUST(strongroom_collection_set_policy(collection, &policy, &error));
    CHECK(strongroom_policy_init(&policy, sizeof policy) == STRONGROOM_STATUS_OK);
    MUST(strongroom_collection_get_policy(collection, &policy, &error));
    CHECK(policy.zero_retention == STRONGROOM_ZERO_RETENTION_YES);
    CHECK(strongroom_collection_put(collection, BYTES("k"), BYTES("v"), NULL, NULL, NULL) != STRONGROOM_STATUS_OK);
    policy.zero_retention = STRONGROOM_ZERO_RETENTION_DEFAULT;
    MUST(strongroom_collection_set_policy(collection, &policy, &error));

    EXPECT(NOT_FOUND, strongroom_engine_renew_section_keys(engine, TEXT("nobody"), &error));
    MUST(strongroom_engine_renew_section_keys(engine, TEXT("duties"), &error));
    EXPECT(POISONED, strongroom_collection_put(collection, BYTES("k"), BYTES("v"), NULL, NULL, &error));
    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    MUST(strongroom_engine_tenant(engine, TEXT("duties"), &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("c"), &collection, &error));
    put(collection, 3);
    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_apply_policies(NULL, NULL, NULL, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_policies_pending_since(NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_rekey_deadline(NULL, NULL, NULL, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_set_rekey_deadline(NULL, 1, 1, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_clear_rekey_deadline(NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_renew_section_keys(NULL, NULL, 1, &error));
}

/* Without the keys of records, and without names unless they are asked for. */
static void test_maintenance(const char *directory) {
    strongroom_config *config = config_in(directory);
    strongroom_config_options options;
    strongroom_engine *engine = NULL;
    strongroom_tenant *tenant = NULL;
    strongroom_collection *collection = NULL;
    strongroom_buffer *value = NULL;
    strongroom_list *list = NULL;
    strongroom_tenant_info info;
    strongroom_report *report = NULL;
    strongroom_report_summary summary;
    strongroom_rewrite rewritten;
    CHECK(strongroom_config_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.maintenance = 3;
    EXPECT(INVALID_ARGUMENT, strongroom_config_set(config, &options, &error));
    options.maintenance = STRONGROOM_MAINTENANCE_DIGESTS;
    options.reserved = 1;
    EXPECT(INVALID_ARGUMENT, strongroom_config_set(config, &options, &error));
    options.reserved = 0;
    MUST(strongroom_config_set(config, &options, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_create(config, &engine, &error));
    MUST(strongroom_engine_open(config, &engine, &error));

    CHECK(strongroom_tenant_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_engine_tenants(engine, &list, &error));
    MUST(strongroom_list_get_tenant(list, 0, &info, &error));
    CHECK(info.name_size == 33 && info.name[0] == '~');
    MUST(strongroom_engine_tenant(engine, info.name, info.name_size, &tenant, &error));
    strongroom_list_free(list);
    MUST(strongroom_tenant_collection(tenant, TEXT("people"), &collection, &error));
    EXPECT(KEY_UNAVAILABLE, strongroom_collection_get(collection, BYTES("000"), &value, &error));
    EXPECT(KEY_UNAVAILABLE, strongroom_collection_put(collection, BYTES("k"), BYTES("v"), NULL, NULL, &error));
    strongroom_collection_free(collection);
    MUST(strongroom_engine_checkpoint(engine, &error));
    CHECK(strongroom_rewrite_init(&rewritten, sizeof rewritten) == STRONGROOM_STATUS_OK);
    MUST(strongroom_tenant_rewrite(tenant, NULL, NULL, &rewritten, &error));
    CHECK(rewritten.has_file == 1 && rewritten.rows > 0);
    MUST(strongroom_engine_verify(engine, NULL, NULL, &report, &error));
    CHECK(strongroom_report_summary_init(&summary, sizeof summary) == STRONGROOM_STATUS_OK);
    MUST(strongroom_report_get_summary(report, &summary, &error));
    CHECK(summary.is_good == 1 && summary.records == 0 && summary.records_unopened > 0);
    strongroom_report_free(report);
    strongroom_tenant_free(tenant);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);

    options.maintenance = STRONGROOM_MAINTENANCE_NAMES;
    MUST(strongroom_config_set(config, &options, &error));
    MUST(strongroom_engine_open(config, &engine, &error));
    MUST(strongroom_engine_tenants(engine, &list, &error));
    MUST(strongroom_list_get_tenant(list, 0, &info, &error));
    CHECK(info.name_size == 4 && memcmp(info.name, "acme", 4) == 0);
    strongroom_list_free(list);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    strongroom_config_free(config);
}

int main(int count, char **arguments) {
    strongroom_config *config;
    strongroom_engine *engine = NULL;
    strongroom_tenant *tenant = NULL;
    strongroom_tenant_options options;
    strongroom_tenant_stats stats;
    strongroom_policy policy;
    size_t open = 0;
    CHECK(count == 2);
    config = config_in(arguments[1]);
    EXPECT(NOT_FOUND, strongroom_config_published_health(config, NULL, NULL, NULL, &error));
    test_settings(config, arguments[1]);
    MUST(strongroom_engine_create(config, &engine, &error));
    CHECK(strongroom_policy_init(&policy, sizeof policy) == STRONGROOM_STATUS_OK);
    CHECK(strongroom_tenant_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    policy.maximum_ms = 86400000;
    options.policy = &policy;
    MUST(strongroom_engine_create_tenant(engine, TEXT("acme"), &options, &tenant, &error));
    policy.maximum_ms = 0;
    MUST(strongroom_tenant_get_policy(tenant, &policy, &error));
    CHECK(policy.maximum_ms == 86400000 && policy.retention_ms == 0);
    test_quotas(tenant);
    test_data_keys(tenant);
    test_building(tenant);
    test_removal(tenant);
    MUST(strongroom_engine_open_tenants(engine, &open, &error));
    CHECK(open == 1);
    CHECK(strongroom_tenant_stats_init(&stats, sizeof stats) == STRONGROOM_STATUS_OK);
    MUST(strongroom_engine_get_tenant_stats(engine, TEXT("acme"), &stats, &error));
    CHECK(stats.records == 16);
    EXPECT(NOT_FOUND, strongroom_engine_get_tenant_stats(engine, TEXT("nobody"), &stats, &error));
    test_health(config);
    strongroom_tenant_free(tenant);
    test_duties(engine);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    strongroom_config_free(config);
    test_maintenance(arguments[1]);
    return 0;
}
