/* The C player of `cargo xtask bench bindings`: does what a line of its input says and prints the nanoseconds that took. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "strongroom.h"

#define RECORDS 10000
#define STRIDE 7919
#define VALUE_BYTES 1024
#define KEY_BYTES 10

static char keys[RECORDS][KEY_BYTES + 1];
static uint8_t value[VALUE_BYTES];
static strongroom_put_options buffered;

static void must(strongroom_status status, strongroom_error *error) {
    if (status != STRONGROOM_STATUS_OK) {
        fprintf(stderr, "%s\n", strongroom_error_message(error));
        exit(1);
    }
}

#define MUST(call)                         \
    do {                                   \
        strongroom_error *error = NULL;    \
        strongroom_status made = (call);   \
        must(made, error);                 \
    } while (0)

static void get(const strongroom_collection *collection, const char *key) {
    strongroom_buffer *found = NULL;
    MUST(strongroom_collection_get(collection, (const uint8_t *)key, KEY_BYTES, &found, &error));
    if (strongroom_buffer_size(found) != VALUE_BYTES || strongroom_buffer_data(found)[0] != 'v') {
        exit(1);
    }
    strongroom_buffer_free(found);
}

static void put(const strongroom_collection *collection, const char *key) {
    strongroom_version version;
    MUST(strongroom_collection_put(collection, (const uint8_t *)key, KEY_BYTES, value, VALUE_BYTES, &buffered, &version,
                                   &error));
}

static void scan(const strongroom_collection *collection) {
    strongroom_scan *scan = NULL;
    size_t bytes = 0;
    MUST(strongroom_collection_scan(collection, NULL, &scan, &error));
    for (;;) {
        strongroom_page *page = NULL;
        const strongroom_entry *entries;
        size_t index, count;
        MUST(strongroom_scan_next(scan, 0, 0, &page, &error));
        if (page == NULL) {
            break;
        }
        entries = strongroom_page_entries(page);
        count = strongroom_page_count(page);
        for (index = 0; index < count; index++) {
            bytes += entries[index].value_size;
        }
        strongroom_page_free(page);
    }
    strongroom_scan_free(scan);
    if (bytes != (size_t)RECORDS * VALUE_BYTES) {
        exit(1);
    }
}

static void fill(strongroom_engine *engine, const strongroom_tenant *tenant, const strongroom_collection *collection) {
    strongroom_batch *batch = NULL;
    size_t index;
    memset(value, 'v', sizeof value);
    strongroom_put_options_init(&buffered, sizeof buffered);
    buffered.durability = STRONGROOM_DURABILITY_BUFFERED;
    MUST(strongroom_tenant_batch(tenant, &batch, &error));
    for (index = 0; index < RECORDS; index++) {
        snprintf(keys[index], sizeof keys[index], "key-%06d", (int)(index * STRIDE % RECORDS));
        MUST(strongroom_batch_put(batch, collection, (const uint8_t *)keys[index], KEY_BYTES, value, VALUE_BYTES, NULL,
                                  &error));
        if (index % 1000 == 999) {
            MUST(strongroom_batch_write(batch, NULL, &error));
        }
    }
    strongroom_batch_free(batch);
    MUST(strongroom_engine_checkpoint(engine, &error));
}

int main(int count, char **arguments) {
    char path[4096], line[64], what[8];
    size_t from, calls, index;
    strongroom_config *config = NULL;
    strongroom_engine *engine = NULL;
    strongroom_tenant *tenant = NULL;
    strongroom_collection *collection = NULL;
    if (count != 2) {
        return 1;
    }
    snprintf(path, sizeof path, "%s/data", arguments[1]);
    MUST(strongroom_config_new(path, strlen(path), &config, &error));
    snprintf(path, sizeof path, "%s/root-key", arguments[1]);
    MUST(strongroom_config_key_file(config, "default", 7, path, strlen(path), 0, &error));
    MUST(strongroom_engine_create(config, &engine, &error));
    MUST(strongroom_engine_create_tenant(engine, "acme", 4, NULL, &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, "c", 1, &collection, &error));
    fill(engine, tenant, collection);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL && sscanf(line, "%7s %zu %zu", what, &from, &calls) == 3) {
        struct timespec begun, ended;
        clock_gettime(CLOCK_MONOTONIC, &begun);
        if (strcmp(what, "get") == 0) {
            for (index = from; index < from + calls; index++) {
                get(collection, keys[index]);
            }
        } else if (strcmp(what, "put") == 0) {
            for (index = from; index < from + calls; index++) {
                put(collection, keys[index]);
            }
        } else {
            scan(collection);
        }
        clock_gettime(CLOCK_MONOTONIC, &ended);
        printf("%lld\n",
               (long long)(ended.tv_sec - begun.tv_sec) * 1000000000 + (long long)(ended.tv_nsec - begun.tv_nsec));
        fflush(stdout);
    }
    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    strongroom_config_free(config);
    return 0;
}
