/* Large values: ranges, readers, values that a function gives, uploads that go on after a restart. The argument is an empty
 * directory. */
#include <stdbool.h>

#include "check.h"

#define MIB ((size_t)1 << 20)
#define LENGTH (3 * MIB + 12345)

/* The byte at a place of the value. */
static uint8_t byte_at(size_t offset) { return (uint8_t)(offset * 31 + (offset >> 13)); }

/* Gives a value of so many bytes in pieces of odd lengths, and misbehaves at a place. */
struct source {
    size_t given, length, fails_at, lies_at;
};

static bool give(void *context, uint8_t *buffer, size_t capacity, size_t *read) {
    struct source *source = context;
    size_t index, piece = source->length - source->given;
    CHECK(capacity > 0 && *read == 0);
    if (source->fails_at != 0 && source->given >= source->fails_at) {
        return false;
    }
    if (source->lies_at != 0 && source->given >= source->lies_at) {
        *read = capacity + 1;
        return true;
    }
    piece = piece < 77777 ? piece : 77777;
    piece = piece < capacity ? piece : capacity;
    for (index = 0; index < piece; index++) {
        buffer[index] = byte_at(source->given + index);
    }
    source->given += piece;
    *read = piece;
    return true;
}

static void check_bytes(const uint8_t *data, size_t size, size_t offset) {
    size_t index;
    for (index = 0; index < size; index++) {
        CHECK(data[index] == byte_at(offset + index));
    }
}

static void check_range(const strongroom_collection *collection, uint64_t offset, uint64_t size, size_t expected) {
    strongroom_buffer *value = NULL;
    MUST(strongroom_collection_get_range(collection, BYTES("large"), offset, size, &value, &error));
    CHECK(strongroom_buffer_size(value) == expected);
    check_bytes(strongroom_buffer_data(value), expected, (size_t)offset);
    strongroom_buffer_free(value);
}

static void check_reader(const strongroom_reader *reader) {
    uint8_t *room = malloc(MIB);
    strongroom_record_info info;
    size_t offset = 0, read = 1;
    CHECK(room != NULL && strongroom_record_info_init(&info, sizeof info) == STRONGROOM_STATUS_OK);
    MUST(strongroom_reader_get_info(reader, &info, &error));
    CHECK(info.exists == 1 && info.value_size == LENGTH);
    while (read > 0) {
        MUST(strongroom_reader_read_at(reader, offset, room, MIB, &read, &error));
        CHECK(read == MIB || offset + read == LENGTH);
        check_bytes(room, read, offset);
        offset += read;
    }
    CHECK(offset == LENGTH);
    MUST(strongroom_reader_read_at(reader, 1000001, room, 7, &read, &error));
    CHECK(read == 7);
    check_bytes(room, 7, 1000001);
    MUST(strongroom_reader_read_at(reader, UINT64_MAX, room, 7, &read, &error));
    CHECK(read == 0);
    MUST(strongroom_reader_read_at(reader, 0, NULL, 0, &read, &error));
    CHECK(read == 0);
    free(room);
}

static void test_put_reader(const strongroom_tenant *tenant, const strongroom_collection *collection) {
    struct source source = {0, LENGTH, 0, 0}, small = {0, 100, 0, 0}, nothing = {0, 0, 0, 0};
    struct source failing = {0, LENGTH, 2 * MIB, 0}, lying = {0, LENGTH, 0, 10};
    strongroom_put_options options;
    strongroom_version version = {0, 0, 0};
    strongroom_snapshot *snapshot = NULL;
    strongroom_buffer *value = NULL;
    strongroom_reader *reader = NULL, *earlier = NULL;
    MUST(strongroom_collection_put_reader(collection, BYTES("large"), give, &source, NULL, &version, &error));
    CHECK(version.sequence > 0 && source.given == LENGTH);
    MUST(strongroom_collection_get_reader(collection, BYTES("large"), &reader, &error));
    check_reader(reader);
    MUST(strongroom_collection_get_reader(collection, BYTES("none"), &earlier, &error));
    CHECK(earlier == NULL);
    check_range(collection, 0, 10, 10);
    check_range(collection, 65530, 100, 100);
    check_range(collection, LENGTH - 5, 100, 5);
    check_range(collection, LENGTH + 5, 100, 0);
    check_range(collection, 0, UINT64_MAX, LENGTH);
    MUST(strongroom_collection_get_range(collection, BYTES("none"), 0, 1, &value, &error));
    CHECK(value == NULL);

    /* As it was, whatever is put over it. */
    MUST(strongroom_tenant_snapshot(tenant, &snapshot, &error));
    MUST(strongroom_collection_put_reader(collection, BYTES("large"), give, &small, NULL, NULL, &error));
    MUST(strongroom_snapshot_get_reader(snapshot, collection, BYTES("large"), &earlier, &error));
    check_reader(earlier);
    check_reader(reader);
    strongroom_snapshot_free(snapshot);
    strongroom_reader_free(earlier);
    strongroom_reader_free(reader);
    strongroom_reader_free(reader);
    EXPECT(INVALID_ARGUMENT, strongroom_reader_read_at(reader, 0, NULL, 0, &(size_t){0}, &error));
    MUST(strongroom_collection_get(collection, BYTES("large"), &value, &error));
    CHECK(strongroom_buffer_size(value) == 100);
    strongroom_buffer_free(value);

    /* A function that fails, or says that it gave more than there was room for. */
    EXPECT(CANCELLED, strongroom_collection_put_reader(collection, BYTES("large"), give, &failing, NULL, NULL, &error));
    EXPECT(CANCELLED, strongroom_collection_put_reader(collection, BYTES("x"), give, &lying, NULL, NULL, &error));
    CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.condition = STRONGROOM_CONDITION_ABSENT;
    source.given = 0;
    EXPECT(CONFLICT, strongroom_collection_put_reader(collection, BYTES("large"), give, &source, &options, NULL, &error));
    MUST(strongroom_collection_get(collection, BYTES("x"), &value, &error));
    CHECK(value == NULL);
    MUST(strongroom_collection_put_reader(collection, BYTES("empty"), give, &nothing, NULL, NULL, &error));
    MUST(strongroom_collection_get(collection, BYTES("empty"), &value, &error));
    CHECK(value != NULL && strongroom_buffer_size(value) == 0);
    strongroom_buffer_free(value);
    MUST(strongroom_collection_get(collection, BYTES("large"), &value, &error));
    CHECK(strongroom_buffer_size(value) == 100);
    strongroom_buffer_free(value);
}

static void begin_upload(const strongroom_collection *collection, uint8_t id[16]) {
    strongroom_upload *upload = NULL, *other = NULL;
    uint8_t *room = malloc(2 * MIB);
    uint64_t durable = 1;
    size_t index;
    CHECK(room != NULL);
    for (index = 0; index < 2 * MIB; index++) {
        room[index] = byte_at(index);
    }
    MUST(strongroom_collection_begin_upload(collection, BYTES("upload"), NULL, &upload, &error));
    MUST(strongroom_upload_id(upload, id, &error));
    MUST(strongroom_upload_durable_bytes(upload, &durable, &error));
    CHECK(durable == 0);
    MUST(strongroom_upload_write(upload, room, 2 * MIB, &error));
    MUST(strongroom_upload_write(upload, BYTES(""), &error));
    EXPECT(LIMIT_EXCEEDED, strongroom_upload_write(upload, room, SIZE_MAX, &error));
    EXPECT(BUSY, strongroom_collection_resume_upload(collection, id, &other, &error));
    MUST(strongroom_upload_flush(upload, &error));
    MUST(strongroom_upload_durable_bytes(upload, &durable, &error));
    CHECK(durable == 2 * MIB);
    strongroom_upload_free(upload);
    free(room);
}

static void end_upload(const strongroom_collection *collection, const uint8_t id[16]) {
    strongroom_upload *upload = NULL;
    strongroom_reader *reader = NULL;
    strongroom_version version = {0, 0, 0};
    uint8_t *room = malloc(MIB), other[16] = {1};
    uint64_t durable = 0;
    CHECK(room != NULL);
    EXPECT(NOT_FOUND, strongroom_collection_resume_upload(collection, other, &upload, &error));
    MUST(strongroom_collection_resume_upload(collection, id, &upload, &error));
    MUST(strongroom_upload_durable_bytes(upload, &durable, &error));
    CHECK(durable == 2 * MIB);
    while (durable < LENGTH) {
        size_t index, piece = LENGTH - durable < MIB ? LENGTH - (size_t)durable : MIB;
        for (index = 0; index < piece; index++) {
            room[index] = byte_at((size_t)durable + index);
        }
        MUST(strongroom_upload_write(upload, room, piece, &error));
        durable += piece;
    }
    MUST(strongroom_upload_publish(upload, &version, &error));
    CHECK(version.sequence > 0);
    EXPECT(INVALID_ARGUMENT, strongroom_upload_write(upload, room, 1, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_upload_publish(upload, NULL, &error));
    strongroom_upload_free(upload);
    EXPECT(NOT_FOUND, strongroom_collection_resume_upload(collection, id, &upload, &error));
    MUST(strongroom_collection_get_reader(collection, BYTES("upload"), &reader, &error));
    check_reader(reader);
    strongroom_reader_free(reader);

    MUST(strongroom_collection_begin_upload(collection, BYTES("upload"), NULL, &upload, &error));
    MUST(strongroom_upload_discard(upload, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_upload_discard(upload, &error));
    EXPECT(INVALID_ARGUMENT, strongroom_upload_id(upload, other, &error));
    strongroom_upload_free(upload);
    free(room);
}

int main(int count, char **arguments) {
    strongroom_config *config;
    strongroom_engine *engine = NULL;
    strongroom_tenant *tenant = NULL;
    strongroom_collection *collection = NULL;
    uint8_t id[16];
    CHECK(count == 2);
    config = config_in(arguments[1]);
    MUST(strongroom_engine_create(config, &engine, &error));
    MUST(strongroom_engine_create_tenant(engine, TEXT("acme"), NULL, &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("scans"), &collection, &error));
    test_put_reader(tenant, collection);
    begin_upload(collection, id);
    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);

    MUST(strongroom_engine_open(config, &engine, &error));
    MUST(strongroom_engine_tenant(engine, TEXT("acme"), &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("scans"), &collection, &error));
    end_upload(collection, id);
    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    strongroom_config_free(config);
    return 0;
}
