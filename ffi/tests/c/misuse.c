/* Callers that do it wrong: NULL, freed handles, wrong sizes, invalid UTF-8, huge lengths, things of another kind. Each gets
 * a status. The argument is an empty directory. */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define HUGE_SIZE ((size_t)1 << 62)

static void test_null(strongroom_engine *engine, strongroom_collection *collection) {
    strongroom_config *config = NULL;
    strongroom_tenant *tenant = NULL;
    strongroom_buffer *value = NULL;
    strongroom_batch *batch = NULL;
    strongroom_scan *scan = NULL;
    strongroom_page *page = NULL;
    strongroom_report *report = NULL;
    strongroom_list *list = NULL;
    strongroom_reader *reader = NULL;
    strongroom_upload *upload = NULL;
    size_t size = 77;
    uint8_t room[4];

    EXPECT(INVALID_ARGUMENT, strongroom_config_new(NULL, 0, &config, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_new(NULL, 5, &config, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_new(TEXT("data"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_new("a\0b", 3, &config, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_new("", 0, &config, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_set(NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_key_file(NULL, TEXT("default"), TEXT("x"), 0, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_passphrase(NULL, TEXT("default"), BYTES("x"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_key_provider(NULL, TEXT("default"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_key_store(NULL, TEXT("x"), &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_region(NULL, TEXT("x"), TEXT("x"), NULL, 0, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_create(NULL, &engine, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_open(NULL, &engine, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_close(NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_tenant(NULL, TEXT("acme"), &tenant, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_tenant(engine, NULL, 0, &tenant, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_tenant(engine, NULL, 4, &tenant, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_tenant(engine, TEXT("acme"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_create_tenant(engine, "", 0, NULL, &tenant, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_store_id(engine, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_verify(NULL, NULL, NULL, &report, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_verify(engine, NULL, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_flush(NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_tick(NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_checkpoint(NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_flush(NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_batch(NULL, &batch, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(NULL, BYTES("a"), BYTES("b"), NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, NULL, 0, BYTES("b"), NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES("a"), NULL, 0, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES("a"), NULL, 9, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES(""), BYTES("b"), NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_get(collection, BYTES("a"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_get_into(collection, BYTES("a"), NULL, 4, &size, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_get_into(collection, BYTES("a"), room, HUGE_SIZE * 2, &size, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_get_into(collection, BYTES("a"), room, 4, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_get_info(collection, BYTES("a"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_scan(collection, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_scan_next(NULL, 0, 0, &page, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_batch_put(NULL, collection, BYTES("a"), BYTES("b"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_batch_write(NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_batch_submit(NULL, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_erase(NULL, BYTES("a"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_erase_if_version(collection, BYTES("a"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_erase_prefix(collection, NULL, 0, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_erase_range(collection, NULL, 1, NULL, 0, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_count(collection, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_batch_erase(NULL, collection, BYTES("a"), NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_snapshot(NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_snapshot_get(NULL, collection, BYTES("a"), &value, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_scan_cursor(NULL, &value, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_create_collection(NULL, TEXT("a"), &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_rename_collection(NULL, TEXT("a"), TEXT("b"), &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_drop_collection(NULL, TEXT("a"), &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_get_range(NULL, BYTES("a"), 0, 1, &value, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_get_reader(collection, NULL, 0, &reader, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_snapshot_get_reader(NULL, collection, BYTES("a"), &reader, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_reader_read_at(NULL, 0, room, 4, &size, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put_reader(collection, BYTES("a"), NULL, NULL, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_begin_upload(collection, BYTES(""), NULL, &upload, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_resume_upload(collection, NULL, &upload, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_upload_write(NULL, BYTES("a"), &error));
    EXPECT(INVALID_ARGUMENT, strongroom_upload_publish(NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_collection_build_index(collection, TEXT("x"), NULL, NULL, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_key_sink_add(NULL, BYTES("a"), &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_set_quota(NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_get_usage(NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_rekey(NULL, NULL, NULL, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_data_keys(NULL, &list, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_retire_data_key(NULL, 0, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_list_get_tenant(NULL, 0, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_read(NULL, TEXT("x"), &error));
    EXPECT(INVALID_ARGUMENT, strongroom_config_published_health(NULL, NULL, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_open_tenants(engine, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_report_problem(NULL, 0, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_log_set(0, NULL, NULL, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_log_set(6, NULL, NULL, &error));

    /* Without a place for the error, and nothing written where it failed. */
    CHECK(strongroom_collection_get(NULL, BYTES("a"), &value, NULL) == STRONGROOM_STATUS_INVALID_ARGUMENT);
    CHECK(config == NULL && tenant == NULL && value == NULL && batch == NULL && scan == NULL && page == NULL);
    CHECK(report == NULL && size == 77 && list == NULL && reader == NULL && upload == NULL);

    CHECK(strongroom_buffer_data(NULL) == NULL && strongroom_buffer_size(NULL) == 0);
    CHECK(strongroom_page_count(NULL) == 0 && strongroom_page_entries(NULL) == NULL);
    CHECK(strongroom_error_status(NULL) == STRONGROOM_STATUS_OK && strongroom_error_os_code(NULL) == 0);
    CHECK(strlen(strongroom_error_message(NULL)) == 0 && !strongroom_error_is_retryable(NULL));
    CHECK(strongroom_list_count(NULL) == 0);
    CHECK(strongroom_report_problem_count(NULL) == 0 && !strongroom_has_feature(NULL, 5));
    strongroom_batch_free(NULL);
    strongroom_buffer_free(NULL);
    strongroom_collection_free(NULL);
    strongroom_config_free(NULL);
    strongroom_engine_free(NULL);
    strongroom_error_free(NULL);
    strongroom_list_free(NULL);
    strongroom_page_free(NULL);
    strongroom_reader_free(NULL);
    strongroom_report_free(NULL);
    strongroom_scan_free(NULL);
    strongroom_snapshot_free(NULL);
    strongroom_tenant_free(NULL);
    strongroom_upload_free(NULL);
}

static void test_sizes_and_texts(strongroom_engine *engine, strongroom_collection *collection) {
    strongroom_tenant *tenant = NULL;
    strongroom_buffer *value = NULL;
    strongroom_scan *scan = NULL;
    strongroom_scan_options options;
    static const char long_name[300] = {'x'};

    EXPECT(INVALID_ARGUMENT, strongroom_engine_tenant(engine, TEXT("\xff\xfe"), &tenant, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_tenant(engine, TEXT("a\xc3"), &tenant, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_tenant(engine, long_name, sizeof long_name, &tenant, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_tenant(engine, "acme", HUGE_SIZE, &tenant, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_create_tenant(engine, TEXT(" a"), NULL, &tenant, &error));
    EXPECT(LIMIT_EXCEEDED, strongroom_collection_get(collection, (const uint8_t *)"a", HUGE_SIZE, &value, &error));
    EXPECT(LIMIT_EXCEEDED, strongroom_collection_get(collection, (const uint8_t *)"a", SIZE_MAX, &value, &error));
    EXPECT(LIMIT_EXCEEDED,
           strongroom_collection_put(collection, BYTES("a"), (const uint8_t *)"a", HUGE_SIZE, NULL, NULL, &error));
    EXPECT(LIMIT_EXCEEDED,
           strongroom_collection_put(collection, BYTES("a"), (const uint8_t *)"a", SIZE_MAX, NULL, NULL, &error));
    CHECK(strongroom_scan_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.from = (const uint8_t *)"a";
    options.from_size = SIZE_MAX;
    EXPECT(LIMIT_EXCEEDED, strongroom_collection_scan(collection, &options, &scan, &error));
    options.from = NULL;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_scan(collection, &options, &scan, &error));
    CHECK(tenant == NULL && value == NULL && scan == NULL);
}

/* A struct of a newer header: one member more. */
struct newer_put_options {
    strongroom_put_options known;
    uint64_t unknown;
};

/* A struct of a newer header, for results. */
struct newer_record_info {
    strongroom_record_info known;
    uint64_t unknown;
};

static void test_structs(strongroom_collection *collection) {
    strongroom_put_options options;
    struct newer_put_options newer;
    struct newer_record_info info;
    union {
        strongroom_record_info info;
        uint8_t bytes[sizeof(strongroom_record_info)];
    } exact;
    char misaligned[sizeof options + 1];

    CHECK(strongroom_put_options_init(NULL, sizeof options) == STRONGROOM_STATUS_INVALID_ARGUMENT);
    CHECK(strongroom_put_options_init(&options, 3) == STRONGROOM_STATUS_INVALID_ARGUMENT);
    CHECK(strongroom_put_options_init(&options, HUGE_SIZE) == STRONGROOM_STATUS_INVALID_ARGUMENT);
    memset(&options, 0, sizeof options);
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES("a"), BYTES("b"), &options, NULL, &error));
    options.size = SIZE_MAX;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES("a"), BYTES("b"), &options, NULL, &error));
    CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.durability = 9;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES("a"), BYTES("b"), &options, NULL, &error));
    options.durability = 0;
    options.condition = 9;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES("a"), BYTES("b"), &options, NULL, &error));
    EXPECT(INVALID_ARGUMENT,
           strongroom_collection_put(collection, BYTES("a"), BYTES("b"),
                                     (const strongroom_put_options *)(const void *)(misaligned + 1), NULL, &error));

    CHECK(strongroom_put_options_init(&newer.known, sizeof newer) == STRONGROOM_STATUS_OK);
    CHECK(newer.known.size == sizeof newer && newer.unknown == 0);
    MUST(strongroom_collection_put(collection, BYTES("a"), BYTES("b"), &newer.known, NULL, &error));
    newer.unknown = 1;
    EXPECT(INVALID_ARGUMENT, strongroom_collection_put(collection, BYTES("a"), BYTES("b"), &newer.known, NULL, &error));

    memset(&info, 0xa5, sizeof info);
    info.known.size = sizeof info;
    MUST(strongroom_collection_get_info(collection, BYTES("a"), &info.known, &error));
    CHECK(info.known.exists == 1 && info.known.size == sizeof info && info.unknown == 0);
    memset(&exact, 0xa5, sizeof exact);
    EXPECT(INVALID_ARGUMENT, strongroom_collection_get_info(collection, BYTES("a"), &exact.info, &error));
    CHECK(exact.bytes[sizeof exact - 1] == 0xa5);
}

static void test_freed(strongroom_engine *engine) {
    strongroom_tenant *tenant = NULL, *other = NULL;
    strongroom_collection *collection = NULL;
    strongroom_batch *batch = NULL;
    strongroom_scan *scan = NULL;
    strongroom_page *page = NULL;
    strongroom_buffer *value = NULL;
    strongroom_config *config = config_in("/nowhere");
    strongroom_engine *none = NULL;
    MUST(strongroom_engine_create_tenant(engine, TEXT("freed"), NULL, &tenant, &error));
    MUST(strongroom_engine_create_tenant(engine, TEXT("other"), NULL, &other, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("c"), &collection, &error));
    MUST(strongroom_collection_put(collection, BYTES("a"), BYTES("b"), NULL, NULL, &error));

    /* A collection of another tenant than the batch. */
    MUST(strongroom_tenant_batch(other, &batch, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_batch_put(batch, collection, BYTES("a"), BYTES("b"), NULL, &error));
    strongroom_tenant_free(other);

    /* One kind of thing for another. */
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_flush((strongroom_tenant *)(void *)collection, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_engine_flush((strongroom_engine *)(void *)tenant, &error));
    MUST(strongroom_collection_get(collection, BYTES("a"), &value, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_flush((strongroom_tenant *)(void *)value, &error));
    CHECK(strongroom_page_count((strongroom_page *)(void *)value) == 0);
    strongroom_page_free((strongroom_page *)(void *)value);
    strongroom_tenant_free((strongroom_tenant *)(void *)value);
    CHECK(strongroom_buffer_size(value) == 1);
    strongroom_buffer_free(value);

    MUST(strongroom_collection_scan(collection, NULL, &scan, &error));
    strongroom_scan_free(scan);
    strongroom_scan_free(scan);
    EXPECT(INVALID_ARGUMENT, strongroom_scan_next(scan, 0, 0, &page, &error));
    strongroom_batch_free(batch);
    strongroom_batch_free(batch);
    EXPECT(INVALID_ARGUMENT, strongroom_batch_write(batch, NULL, &error));
    strongroom_collection_free(collection);
    strongroom_collection_free(collection);
    EXPECT(INVALID_ARGUMENT, strongroom_collection_get(collection, BYTES("a"), &value, &error));
    strongroom_tenant_free(tenant);
    strongroom_tenant_free(tenant);
    EXPECT(INVALID_ARGUMENT, strongroom_tenant_flush(tenant, &error));
    strongroom_config_free(config);
    strongroom_config_free(config);
    EXPECT(INVALID_ARGUMENT, strongroom_engine_open(config, &none, &error));
}

/* In a child after a fork every call says so, and freeing does nothing; a store of the child's own works. */
static void test_fork(strongroom_engine *engine, strongroom_collection *collection, const char *directory) {
    int status = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char own[4096];
        strongroom_buffer *value = NULL;
        strongroom_config *config;
        strongroom_engine *mine = NULL;
        EXPECT(FORKED, strongroom_collection_get(collection, BYTES("a"), &value, &error));
        EXPECT(FORKED, strongroom_collection_put(collection, BYTES("a"), BYTES("b"), NULL, NULL, &error));
        EXPECT(FORKED, strongroom_engine_flush(engine, &error));
        EXPECT(FORKED, strongroom_engine_close(engine, &error));
        strongroom_collection_free(collection);
        strongroom_engine_free(engine);
        snprintf(own, sizeof own, "%s/child", directory);
        config = config_in(own);
        MUST(strongroom_engine_create(config, &mine, &error));
        MUST(strongroom_engine_close(mine, &error));
        strongroom_engine_free(mine);
        strongroom_config_free(config);
        /* Not _exit: valgrind would count what the parent's threads had as lost. */
        execlp("true", "true", (char *)NULL);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int count, char **arguments) {
    strongroom_config *config;
    strongroom_engine *engine = NULL;
    strongroom_tenant *tenant = NULL;
    strongroom_collection *collection = NULL;
    strongroom_buffer *value = NULL;
    CHECK(count == 2);
    config = config_in(arguments[1]);
    EXPECT(INVALID_ARGUMENT, strongroom_config_key_file(config, TEXT("default"), TEXT("x"), 2, &error));
    MUST(strongroom_engine_create(config, &engine, &error));
    strongroom_config_free(config);
    MUST(strongroom_engine_create_tenant(engine, TEXT("acme"), NULL, &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("c"), &collection, &error));
    MUST(strongroom_collection_put(collection, BYTES("a"), BYTES("kept"), NULL, NULL, &error));

    test_null(engine, collection);
    test_sizes_and_texts(engine, collection);
    test_fork(engine, collection, arguments[1]);
    MUST(strongroom_collection_get(collection, BYTES("a"), &value, &error));
    CHECK(strongroom_buffer_size(value) == 4 && memcmp(strongroom_buffer_data(value), "kept", 4) == 0);
    strongroom_buffer_free(value);
    test_structs(collection);
    test_freed(engine);

    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    strongroom_engine_free(engine);
    EXPECT(INVALID_ARGUMENT, strongroom_engine_close(engine, &error));
    return 0;
}
