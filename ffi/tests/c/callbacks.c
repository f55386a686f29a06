/* Functions of the application's: key providers that work, refuse and misbehave, and completions. The argument is an empty
 * directory. */
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "check.h"

/* A provider that hides keys under a byte and remembers what they belong to: for tests, not a cipher. */
struct provider {
    uint32_t answer;
    size_t says_size;
    int calls;
    int destroyed;
    bool is_stuck;
    pthread_mutex_t lock;
    pthread_cond_t released;
};

static void count_call(struct provider *provider) {
    pthread_mutex_lock(&provider->lock);
    provider->calls++;
    while (provider->is_stuck) {
        pthread_cond_wait(&provider->released, &provider->lock);
    }
    pthread_mutex_unlock(&provider->lock);
}

static uint32_t create(void *context, char *message, size_t message_capacity) {
    struct provider *provider = context;
    count_call(provider);
    snprintf(message, message_capacity, "create says %u", (unsigned)provider->answer);
    return provider->answer;
}

static uint32_t wrap(void *context, const strongroom_wrap_context *belongs_to, const uint8_t *key, uint8_t *wrapped,
                     size_t capacity, size_t *wrapped_size, char *message, size_t message_capacity) {
    struct provider *provider = context;
    size_t index, size = 32 + belongs_to->bytes_size;
    count_call(provider);
    CHECK(capacity == STRONGROOM_WRAPPED_KEY_BYTES_MAX && message_capacity == STRONGROOM_PROVIDER_MESSAGE_BYTES);
    CHECK(belongs_to->section == 1 || belongs_to->section == 2);
    for (index = 0; index < 32; index++) {
        wrapped[index] = key[index] ^ 0x5a;
    }
    memcpy(wrapped + 32, belongs_to->bytes, belongs_to->bytes_size);
    *wrapped_size = provider->says_size ? provider->says_size : size;
    memset(message, 'x', message_capacity); /* Without an end. */
    return provider->answer;
}

static uint32_t unwrap(void *context, const strongroom_wrap_context *belongs_to, const uint8_t *wrapped,
                       size_t wrapped_size, uint8_t *key, char *message, size_t message_capacity) {
    struct provider *provider = context;
    size_t index;
    count_call(provider);
    snprintf(message, message_capacity, "unwrap says %u", (unsigned)provider->answer);
    if (wrapped_size != 32 + belongs_to->bytes_size ||
        memcmp(wrapped + 32, belongs_to->bytes, belongs_to->bytes_size) != 0) {
        return STRONGROOM_PROVIDER_DENIED;
    }
    for (index = 0; index < 32; index++) {
        key[index] = wrapped[index] ^ 0x5a;
    }
    return provider->answer;
}

static void destroy(void *context) { ((struct provider *)context)->destroyed++; }

static strongroom_config *config_with(struct provider *provider, const char *directory, const char *store) {
    char path[4096];
    strongroom_config *config = NULL;
    strongroom_key_provider functions;
    snprintf(path, sizeof path, "%s/%s", directory, store);
    MUST(strongroom_config_new(TEXT(path), &config, &error));
    CHECK(strongroom_key_provider_init(&functions, sizeof functions) == STRONGROOM_STATUS_OK);
    functions.context = provider;
    functions.destroy = destroy;
    functions.create = create;
    functions.wrap = wrap;
    EXPECT(INVALID_ARGUMENT, strongroom_config_key_provider(config, TEXT("default"), &functions, &error));
    CHECK(provider->destroyed == 0);
    functions.unwrap = unwrap;
    MUST(strongroom_config_key_provider(config, TEXT("default"), &functions, &error));
    return config;
}

static void test_provider(const char *directory) {
    struct provider provider = {0};
    strongroom_config *config;
    strongroom_engine *engine = NULL;
    strongroom_tenant *tenant = NULL;
    strongroom_error *error = NULL;
    CHECK(pthread_mutex_init(&provider.lock, NULL) == 0);
    config = config_with(&provider, directory, "provided");

    provider.answer = STRONGROOM_PROVIDER_ALREADY_EXISTS;
    EXPECT(ALREADY_EXISTS, strongroom_engine_create(config, &engine, &error));
    provider.answer = STRONGROOM_PROVIDER_OK;
    MUST(strongroom_engine_create(config, &engine, &error));
    MUST(strongroom_engine_create_tenant(engine, TEXT("acme"), NULL, &tenant, &error));
    strongroom_tenant_free(tenant);
    tenant = NULL;

    /* Refused, unreachable, and answers that mean nothing. */
    provider.answer = STRONGROOM_PROVIDER_DENIED;
    EXPECT(KEY_UNAVAILABLE, strongroom_engine_create_tenant(engine, TEXT("b"), NULL, &tenant, &error));
    provider.answer = 4711;
    EXPECT(KEY_UNAVAILABLE, strongroom_engine_create_tenant(engine, TEXT("b"), NULL, &tenant, &error));
    provider.answer = STRONGROOM_PROVIDER_RETRYABLE;
    CHECK(strongroom_engine_create_tenant(engine, TEXT("b"), NULL, &tenant, &error) ==
          STRONGROOM_STATUS_KEY_UNAVAILABLE);
    CHECK(strongroom_error_is_retryable(error));
    strongroom_error_free(error);
    provider.answer = STRONGROOM_PROVIDER_OK;
    provider.says_size = SIZE_MAX;
    EXPECT(KEY_UNAVAILABLE, strongroom_engine_create_tenant(engine, TEXT("b"), NULL, &tenant, &error));
    provider.says_size = 0;
    CHECK(tenant == NULL);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    engine = NULL;

    provider.answer = STRONGROOM_PROVIDER_DENIED;
    EXPECT(KEY_UNAVAILABLE, strongroom_engine_open(config, &engine, &error));
    provider.answer = STRONGROOM_PROVIDER_OK;
    MUST(strongroom_engine_open(config, &engine, &error));
    MUST(strongroom_engine_tenant(engine, TEXT("acme"), &tenant, &error));
    CHECK(provider.calls > 6 && provider.destroyed == 0);
    strongroom_config_free(config);
    CHECK(provider.destroyed == 0);
    strongroom_tenant_free(tenant);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    CHECK(provider.destroyed == 1);
    CHECK(pthread_mutex_destroy(&provider.lock) == 0);
}

/* A provider that does not return counts as one that can't be reached, and holds up nobody who needs no key of it. */
static void test_stuck_provider(const char *directory) {
    struct provider provider = {0};
    strongroom_config *config;
    strongroom_config_options options;
    strongroom_engine *engine = NULL;
    strongroom_tenant *tenant = NULL, *other = NULL;
    strongroom_collection *collection = NULL;
    strongroom_error *error = NULL;
    CHECK(pthread_mutex_init(&provider.lock, NULL) == 0 && pthread_cond_init(&provider.released, NULL) == 0);
    config = config_with(&provider, directory, "stuck-provider");
    CHECK(strongroom_config_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.key_timeout_ms = 200;
    options.without_background = 1;
    MUST(strongroom_config_set(config, &options, &error));
    MUST(strongroom_engine_create(config, &engine, &error));
    MUST(strongroom_engine_create_tenant(engine, TEXT("acme"), NULL, &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("c"), &collection, &error));

    pthread_mutex_lock(&provider.lock);
    provider.is_stuck = true;
    pthread_mutex_unlock(&provider.lock);
    CHECK(strongroom_engine_create_tenant(engine, TEXT("other"), NULL, &other, &error) ==
          STRONGROOM_STATUS_KEY_UNAVAILABLE);
    CHECK(strongroom_error_is_retryable(error) && other == NULL);
    strongroom_error_free(error);
    MUST(strongroom_collection_put(collection, BYTES("k"), BYTES("v"), NULL, NULL, &error));
    EXPECT(KEY_UNAVAILABLE, strongroom_tenant_rewrap(tenant, NULL, 0, &error));

    pthread_mutex_lock(&provider.lock);
    provider.is_stuck = false;
    pthread_cond_broadcast(&provider.released);
    pthread_mutex_unlock(&provider.lock);
    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    MUST(strongroom_engine_open(config, &engine, &error));
    MUST(strongroom_engine_create_tenant(engine, TEXT("another"), NULL, &other, &error));
    strongroom_tenant_free(other);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    strongroom_config_free(config);
}

static void test_passphrase(const char *directory) {
    char path[4096];
    strongroom_config *config = NULL, *wrong = NULL;
    strongroom_passphrase_options options;
    strongroom_engine *engine = NULL;
    snprintf(path, sizeof path, "%s/phrase", directory);
    CHECK(strongroom_passphrase_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.memory_kib = 64;
    options.passes = 1;
    options.lanes = 1;
    MUST(strongroom_config_new(TEXT(path), &config, &error));
    EXPECT(LIMIT_EXCEEDED, strongroom_config_passphrase(config, TEXT("default"), (const uint8_t *)"x", SIZE_MAX,
                                                        &options, &error));
    MUST(strongroom_config_passphrase(config, TEXT("default"), BYTES("horse battery"), &options, &error));
    snprintf(path, sizeof path, "%s/phrase-keys", directory);
    MUST(strongroom_config_key_store(config, TEXT(path), &error));
    snprintf(path, sizeof path, "%s/phrase-eu", directory);
    MUST(strongroom_config_region(config, TEXT("eu"), TEXT(path), NULL, 0, &error));
    MUST(strongroom_engine_create(config, &engine, &error));
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    engine = NULL;

    snprintf(path, sizeof path, "%s/phrase", directory);
    MUST(strongroom_config_new(TEXT(path), &wrong, &error));
    snprintf(path, sizeof path, "%s/phrase-keys", directory);
    MUST(strongroom_config_key_store(wrong, TEXT(path), &error));
    EXPECT(KEY_UNAVAILABLE, strongroom_engine_open(wrong, &engine, &error));
    MUST(strongroom_config_passphrase(wrong, TEXT("default"), BYTES("donkey battery"), &options, &error));
    EXPECT(KEY_UNAVAILABLE, strongroom_engine_open(wrong, &engine, &error));
    CHECK(engine == NULL);
    strongroom_config_free(wrong);
    strongroom_config_free(config);
}

/* What the completions of one test share. */
struct completions {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int conflicts;
    int made;
    strongroom_engine *engine;
    const strongroom_collection *collection;
    strongroom_batch *next;
};

static void completed(void *context, strongroom_status status, const strongroom_version *version,
                      strongroom_error *error) {
    struct completions *completions = context;
    strongroom_buffer *value = NULL;
    strongroom_batch *next;
    CHECK((status == STRONGROOM_STATUS_OK) == (version != NULL) && (version == NULL) == (error != NULL));
    strongroom_error_free(error);
    /* The library may be called from here, but not to close the store. */
    EXPECT(INVALID_ARGUMENT, strongroom_engine_close(completions->engine, &error));
    MUST(strongroom_collection_get(completions->collection, BYTES("s"), &value, &error));
    strongroom_buffer_free(value);
    pthread_mutex_lock(&completions->lock);
    next = completions->next;
    completions->next = NULL;
    pthread_mutex_unlock(&completions->lock);
    if (next != NULL) {
        MUST(strongroom_batch_submit(next, completed, completions, &error));
    }
    pthread_mutex_lock(&completions->lock);
    completions->made += status == STRONGROOM_STATUS_OK;
    completions->conflicts += status == STRONGROOM_STATUS_CONFLICT;
    pthread_cond_signal(&completions->changed);
    pthread_mutex_unlock(&completions->lock);
}

static void test_completions(const char *directory) {
    strongroom_config *config = config_in(directory);
    strongroom_engine *engine = NULL;
    strongroom_tenant *tenant = NULL;
    strongroom_collection *collection = NULL;
    strongroom_batch *batch = NULL, *next = NULL;
    strongroom_put_options options;
    struct completions completions = {0};
    int round;
    CHECK(pthread_mutex_init(&completions.lock, NULL) == 0 && pthread_cond_init(&completions.changed, NULL) == 0);
    MUST(strongroom_engine_create(config, &engine, &error));
    MUST(strongroom_engine_create_tenant(engine, TEXT("acme"), NULL, &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("c"), &collection, &error));
    MUST(strongroom_tenant_batch(tenant, &batch, &error));
    MUST(strongroom_tenant_batch(tenant, &next, &error));
    completions.engine = engine;
    completions.collection = collection;
    completions.next = next;

    EXPECT(INVALID_ARGUMENT, strongroom_batch_submit(batch, NULL, NULL, &error));
    CHECK(strongroom_put_options_init(&options, sizeof options) == STRONGROOM_STATUS_OK);
    options.condition = STRONGROOM_CONDITION_ABSENT;
    for (round = 0; round < 100; round++) {
        MUST(strongroom_batch_put(batch, collection, BYTES("s"), BYTES("once"), &options, &error));
        MUST(strongroom_batch_submit(batch, completed, &completions, &error));
    }
    /* An empty batch completes too, and so does the one that a completion submitted. */
    MUST(strongroom_batch_submit(batch, completed, &completions, &error));
    pthread_mutex_lock(&completions.lock);
    while (completions.made + completions.conflicts < 102) {
        pthread_cond_wait(&completions.changed, &completions.lock);
    }
    CHECK(completions.made == 3 && completions.conflicts == 99);
    pthread_mutex_unlock(&completions.lock);

    strongroom_batch_free(batch);
    strongroom_batch_free(next);
    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    MUST(strongroom_engine_close(engine, &error));
    strongroom_engine_free(engine);
    strongroom_config_free(config);
}

/* A completion that returns when it is told to, and not before. */
struct stuck {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls;
    bool may_return;
};

static void get_stuck(void *context, strongroom_status status, const strongroom_version *version,
                      strongroom_error *error) {
    struct stuck *stuck = context;
    (void)version;
    CHECK(status == STRONGROOM_STATUS_OK || status == STRONGROOM_STATUS_POISONED);
    strongroom_error_free(error);
    pthread_mutex_lock(&stuck->lock);
    stuck->calls++;
    pthread_cond_broadcast(&stuck->changed);
    while (!stuck->may_return) {
        pthread_cond_wait(&stuck->changed, &stuck->lock);
    }
    pthread_mutex_unlock(&stuck->lock);
}

struct closer {
    strongroom_engine *engine;
    pthread_t thread;
    strongroom_status status;
};

static void *close_too(void *context) {
    struct closer *closer = context;
    closer->status = strongroom_engine_close(closer->engine, NULL);
    return NULL;
}

/* A callback that never returns does not keep a store from being closed, by several threads at once. */
static void test_stuck(const char *directory) {
    char path[4096];
    strongroom_config *config;
    strongroom_engine *engine = NULL, *again = NULL;
    strongroom_tenant *tenant = NULL;
    strongroom_collection *collection = NULL;
    strongroom_batch *batch = NULL;
    strongroom_buffer *value = NULL;
    struct stuck stuck = {0};
    struct closer closers[4];
    int number;
    snprintf(path, sizeof path, "%s/stuck", directory);
    CHECK(mkdir(path, 0700) == 0);
    config = config_in(path);
    CHECK(pthread_mutex_init(&stuck.lock, NULL) == 0 && pthread_cond_init(&stuck.changed, NULL) == 0);
    MUST(strongroom_engine_create(config, &engine, &error));
    MUST(strongroom_engine_create_tenant(engine, TEXT("acme"), NULL, &tenant, &error));
    MUST(strongroom_tenant_collection(tenant, TEXT("c"), &collection, &error));
    MUST(strongroom_tenant_batch(tenant, &batch, &error));
    MUST(strongroom_batch_put(batch, collection, BYTES("k"), BYTES("v"), NULL, &error));
    MUST(strongroom_batch_submit(batch, get_stuck, &stuck, &error));
    pthread_mutex_lock(&stuck.lock);
    while (stuck.calls == 0) {
        pthread_cond_wait(&stuck.changed, &stuck.lock);
    }
    pthread_mutex_unlock(&stuck.lock);
    MUST(strongroom_batch_put(batch, collection, BYTES("l"), BYTES("v"), NULL, &error));
    MUST(strongroom_batch_submit(batch, get_stuck, &stuck, &error));

    for (number = 0; number < 4; number++) {
        closers[number].engine = engine;
        CHECK(pthread_create(&closers[number].thread, NULL, close_too, &closers[number]) == 0);
    }
    for (number = 0; number < 4; number++) {
        CHECK(pthread_join(closers[number].thread, NULL) == 0);
        CHECK(closers[number].status == STRONGROOM_STATUS_BUSY);
    }
    EXPECT(POISONED, strongroom_collection_get(collection, BYTES("k"), &value, &error));
    /* It is closed: another one can be opened over it, and what was acknowledged is there. */
    MUST(strongroom_engine_open(config, &again, &error));
    MUST(strongroom_engine_close(again, &error));
    strongroom_engine_free(again);

    pthread_mutex_lock(&stuck.lock);
    CHECK(stuck.calls == 1);
    stuck.may_return = true;
    pthread_cond_broadcast(&stuck.changed);
    pthread_mutex_unlock(&stuck.lock);
    /* What was behind it is called back, and then nothing is in the way. */
    MUST(strongroom_engine_close(engine, &error));
    pthread_mutex_lock(&stuck.lock);
    CHECK(stuck.calls == 2);
    pthread_mutex_unlock(&stuck.lock);
    strongroom_batch_free(batch);
    strongroom_collection_free(collection);
    strongroom_tenant_free(tenant);
    strongroom_engine_free(engine);
    strongroom_config_free(config);
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    test_stuck(arguments[1]);
    test_provider(arguments[1]);
    test_stuck_provider(arguments[1]);
    test_passphrase(arguments[1]);
    test_completions(arguments[1]);
    return 0;
}
