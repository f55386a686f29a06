/* What may be shared between threads is: 64 of them on the same handles, batches under way, and handles freed and stores
 * closed while others use them. The argument is an empty directory. */
#include <pthread.h>

#include "check.h"

#define THREADS 64
#define ROUNDS 20

struct shared {
    strongroom_engine *engine;
    strongroom_tenant *tenant;
    strongroom_collection *collection;
    strongroom_batch *batch;
    strongroom_scan *scan;
    strongroom_buffer *value;
    pthread_barrier_t start;
};

struct worker {
    struct shared *shared;
    int number;
    size_t scanned;
    size_t completed;
};

static pthread_mutex_t completion_lock = PTHREAD_MUTEX_INITIALIZER;

static void completed(void *context, strongroom_status status, const strongroom_version *version,
                      strongroom_error *error) {
    struct worker *worker = context;
    CHECK(status == STRONGROOM_STATUS_OK && version != NULL && version->sequence > 0 && error == NULL);
    pthread_mutex_lock(&completion_lock);
    worker->completed++;
    pthread_mutex_unlock(&completion_lock);
}

/* All calls on the same handles. */
static void *work(void *argument) {
    struct worker *worker = argument;
    struct shared *shared = worker->shared;
    char key[32];
    int round;
    strongroom_page *page = NULL;
    pthread_barrier_wait(&shared->start);
    for (round = 0; round < ROUNDS; round++) {
        strongroom_buffer *value = NULL;
        strongroom_collection *again = NULL;
        strongroom_batch *batch = NULL;
        strongroom_put_options options;
        CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
        options.durability = STRONGROOM_DURABILITY_BUFFERED;
        snprintf(key, sizeof key, "%03d-%03d", worker->number, round);
        MUST(strongroom_collection_put(shared->collection, BYTES(key), BYTES(key), &options, NULL, &error));
        MUST(strongroom_collection_get(shared->collection, BYTES(key), &value, &error));
        CHECK(strongroom_buffer_size(value) == strlen(key));
        strongroom_buffer_free(value);
        CHECK(strongroom_buffer_size(shared->value) == 6 && strongroom_buffer_data(shared->value)[0] == 's');
        MUST(strongroom_batch_put(shared->batch, shared->collection, BYTES(key), BYTES("batch"), NULL, &error));
        MUST(strongroom_tenant_collection(shared->tenant, TEXT("shared"), &again, &error));
        MUST(strongroom_tenant_batch(shared->tenant, &batch, &error));
        snprintf(key, sizeof key, "submitted-%03d-%03d", worker->number, round);
        MUST(strongroom_batch_put(batch, again, BYTES(key), BYTES("x"), &options, &error));
        MUST(strongroom_batch_submit(batch, completed, worker, &error));
        strongroom_batch_free(batch);
        strongroom_collection_free(again);
    }
    do {
        MUST(strongroom_scan_next(shared->scan, 3, 0, &page, &error));
        worker->scanned += strongroom_page_count(page);
        strongroom_page_free(page);
    } while (page != NULL);
    return NULL;
}

static void run(struct worker *workers, void *(*body)(void *), struct shared *shared) {
    pthread_t threads[THREADS];
    int number;
    CHECK(pthread_barrier_init(&shared->start, NULL, THREADS) == 0);
    for (number = 0; number < THREADS; number++) {
        workers[number].shared = shared;
        workers[number].number = number;
        workers[number].scanned = 0;
        workers[number].completed = 0;
        CHECK(pthread_create(&threads[number], NULL, body, &workers[number]) == 0);
    }
    for (number = 0; number < THREADS; number++) {
        CHECK(pthread_join(threads[number], NULL) == 0);
    }
    CHECK(pthread_barrier_destroy(&shared->start) == 0);
}

static void test_shared(strongroom_engine *engine) {
    static struct worker workers[THREADS];
    struct shared shared = {0};
    strongroom_batch *batch = NULL;
    size_t scanned = 0, count = 0;
    int number;
    char key[32];
    shared.engine = engine;
    MUST(strongroom_engine_create_tenant(engine, TEXT("acme"), NULL, &shared.tenant, &error));
    MUST(strongroom_tenant_collection(shared.tenant, TEXT("shared"), &shared.collection, &error));
    MUST(strongroom_tenant_batch(shared.tenant, &batch, &error));
    for (number = 0; number < 1000; number++) {
        snprintf(key, sizeof key, "before-%04d", number);
        MUST(strongroom_batch_put(batch, shared.collection, BYTES(key), BYTES("shared"), NULL, &error));
    }
    MUST(strongroom_batch_write(batch, NULL, &error));
    MUST(strongroom_collection_get(shared.collection, BYTES("before-0000"), &shared.value, &error));
    MUST(strongroom_collection_scan(shared.collection, NULL, &shared.scan, &error));
    shared.batch = batch;
    run(workers, work, &shared);
    for (number = 0; number < THREADS; number++) {
        scanned += workers[number].scanned;
    }
    CHECK(scanned == 1000);
    MUST(strongroom_batch_count(batch, &count, &error));
    CHECK(count == THREADS * ROUNDS);
    MUST(strongroom_batch_write(batch, NULL, &error));
    strongroom_scan_free(shared.scan);
    strongroom_batch_free(batch);
    strongroom_buffer_free(shared.value);
    strongroom_collection_free(shared.collection);
    strongroom_tenant_free(shared.tenant);

    /* Closing waits for every completion. */
    MUST(strongroom_engine_close(engine, &error));
    for (number = 0; number < THREADS; number++) {
        CHECK(workers[number].completed == ROUNDS);
    }
}

/* Until one of them frees the handle all may use it, and afterwards each gets a status. */
static void *use_while_freed(void *argument) {
    struct worker *worker = argument;
    struct shared *shared = worker->shared;
    int round;
    pthread_barrier_wait(&shared->start);
    for (round = 0; round < 200; round++) {
        strongroom_error *error = NULL;
        strongroom_buffer *value = NULL;
        strongroom_status status = strongroom_collection_get(shared->collection, BYTES("a"), &value, &error);
        CHECK(status == STRONGROOM_STATUS_OK || status == STRONGROOM_STATUS_INVALID_ARGUMENT);
        CHECK((status == STRONGROOM_STATUS_OK) == (error == NULL));
        strongroom_error_free(error);
        strongroom_buffer_free(value);
        if (round == 20 + worker->number) {
            strongroom_collection_free(shared->collection);
        }
    }
    return NULL;
}

/* The store is closed by all of them at once, while they use it. */
static void *use_while_closed(void *argument) {
    struct worker *worker = argument;
    struct shared *shared = worker->shared;
    int round;
    pthread_barrier_wait(&shared->start);
    for (round = 0; round < 50; round++) {
        strongroom_error *error = NULL;
        strongroom_put_options options;
        strongroom_status status;
        CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
        options.durability = STRONGROOM_DURABILITY_BUFFERED;
        status = strongroom_collection_put(shared->collection, BYTES("b"), BYTES("c"), &options, NULL, &error);
        CHECK(status == STRONGROOM_STATUS_OK || status == STRONGROOM_STATUS_POISONED);
        strongroom_error_free(error);
        if (round == 10) {
            MUST(strongroom_engine_close(shared->engine, &error));
        }
    }
    return NULL;
}

static void test_freed_and_closed(strongroom_engine *engine) {
    static struct worker workers[THREADS];
    struct shared shared = {0};
    shared.engine = engine;
    MUST(strongroom_engine_create_tenant(engine, TEXT("beta"), NULL, &shared.tenant, &error));
    MUST(strongroom_tenant_collection(shared.tenant, TEXT("shared"), &shared.collection, &error));
    MUST(strongroom_collection_put(shared.collection, BYTES("a"), BYTES("b"), NULL, NULL, &error));
    run(workers, use_while_freed, &shared);
    MUST(strongroom_tenant_collection(shared.tenant, TEXT("shared"), &shared.collection, &error));
    run(workers, use_while_closed, &shared);
    strongroom_collection_free(shared.collection);
    strongroom_tenant_free(shared.tenant);
}

int main(int count, char **arguments) {
    strongroom_config *config;
    strongroom_engine *engine = NULL;
    CHECK(count == 2);
    config = config_in(arguments[1]);
    MUST(strongroom_engine_create(config, &engine, &error));
    test_shared(engine);
    strongroom_engine_free(engine);
    MUST(strongroom_engine_open(config, &engine, &error));
    test_freed_and_closed(engine);
    strongroom_engine_free(engine);
    strongroom_config_free(config);
    return 0;
}
