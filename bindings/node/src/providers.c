/* Key providers written in JavaScript. The library asks them on threads of its own, and JavaScript runs on one thread only: it
 * answers from its event loop, or while it waits for a call that gives no promise. Such calls are made on another thread once an
 * environment has providers, so that the one that waits is free to answer. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "addon.h"

/* The library waits no longer for a provider, whatever it is told. */
#define ANSWER_SECONDS_MAX 600
/* While a call that gives no promise has the thread, no promise of a provider's is settled: so long it may. */
#define PATIENCE_SECONDS 1
#define CONTEXT_BYTES_MAX 128

enum question { CREATE, WRAP, UNWRAP };

/* What the functions of one provider have in common. */
struct provider {
    struct environment *environment;
    napi_ref ask;
    struct provider *next;
};

/* A question, on the stack of the thread that waits for its answer; in the environment's list until it has it. All under the
 * environment's lock. */
struct ask {
    struct ask *next;
    struct provider *provider;
    uint64_t id;
    bool is_put, is_answered;
    enum question question;
    strongroom_wrap_context belongs_to;
    uint8_t context[CONTEXT_BYTES_MAX];
    uint8_t bytes[STRONGROOM_WRAPPED_KEY_BYTES_MAX];
    size_t bytes_size;
    uint32_t status;
    uint8_t result[STRONGROOM_WRAPPED_KEY_BYTES_MAX];
    size_t result_size;
};

/* As memset, and not left out. */
static void wipe(void *memory, size_t size) {
    volatile uint8_t *byte = memory;
    while (size-- > 0) {
        *byte++ = 0;
    }
}

static void say(struct ask *ask, uint32_t status, const char *text) {
    ask->status = status;
    ask->result_size = strlen(text);
    memcpy(ask->result, text, ask->result_size);
}

/* JavaScript's side. */

/* The question with this number, if it still waits. */
static struct ask *asked(struct environment *environment, uint64_t id) {
    struct ask *ask = environment->asks;
    while (ask != NULL && ask->id != id) {
        ask = ask->next;
    }
    return ask;
}

/* answer(number, status, bytes): what a provider gave, or why it gave nothing */
napi_value js_answer(napi_env env, napi_callback_info info) {
    struct environment *environment = environment_of(env);
    double id = 0, status = 0;
    struct bytes bytes;
    struct ask *ask;
    ARGUMENTS(3)
    napi_get_value_double(env, arguments[0], &id);
    napi_get_value_double(env, arguments[1], &status);
    if (!take_bytes(env, arguments[2], false, &bytes)) {
        return NULL;
    }
    pthread_mutex_lock(&environment->lock);
    ask = asked(environment, (uint64_t)id);
    if (ask != NULL && !ask->is_answered) {
        ask->status = (uint32_t)status;
        ask->result_size = bytes.size;
        memcpy(ask->result, bytes.data, bytes.size < sizeof ask->result ? bytes.size : sizeof ask->result);
        ask->is_answered = true;
        pthread_cond_broadcast(&environment->asked);
    }
    pthread_mutex_unlock(&environment->lock);
    free(bytes.owned);
    return undefined(env);
}

static napi_value buffer_of(napi_env env, const void *bytes, size_t size) {
    napi_value buffer = NULL;
    napi_create_buffer_copy(env, size, bytes, NULL, &buffer);
    return buffer;
}

/* Calls a provider's function with a copy of a question. */
static bool put_to(napi_env env, const struct ask *ask) {
    napi_value function = NULL, arguments[4], context = NULL;
    napi_handle_scope scope;
    bool is_put;
    if (napi_open_handle_scope(env, &scope) != napi_ok) {
        return false;
    }
    napi_get_reference_value(env, ask->provider->ask, &function);
    arguments[0] = number(env, (double)ask->id);
    arguments[1] = number(env, ask->question);
    arguments[2] = arguments[3] = undefined(env);
    if (ask->question != CREATE) {
        arguments[2] = buffer_of(env, ask->bytes, ask->bytes_size);
        napi_create_object(env, &context);
        set(env, context, "storeId", buffer_of(env, ask->belongs_to.store_id, sizeof ask->belongs_to.store_id));
        set(env, context, "tenantId", buffer_of(env, ask->belongs_to.tenant_id, sizeof ask->belongs_to.tenant_id));
        set(env, context, "section", number(env, ask->belongs_to.section));
        set(env, context, "bytes", buffer_of(env, ask->context, ask->belongs_to.bytes_size));
        arguments[3] = context;
    }
    is_put = napi_call_function(env, undefined(env), function, 4, arguments, NULL) == napi_ok;
    if (!is_put) {
        napi_value thrown = NULL;
        napi_get_and_clear_last_exception(env, &thrown);
    }
    napi_close_handle_scope(env, scope);
    return is_put;
}

static void refuse(struct environment *environment, struct ask *ask, const char *text) {
    say(ask, STRONGROOM_PROVIDER_RETRYABLE, text);
    ask->is_answered = true;
    pthread_cond_broadcast(&environment->asked);
}

/* Puts the next question that nobody has put yet; false where there is none. Called with the lock, which it lets go of. */
static bool put_next(napi_env env, struct environment *environment) {
    struct ask *ask = environment->asks, copy;
    bool is_put;
    while (ask != NULL && ask->is_put) {
        ask = ask->next;
    }
    if (ask == NULL) {
        return false;
    }
    ask->is_put = true;
    copy = *ask;
    pthread_mutex_unlock(&environment->lock);
    is_put = put_to(env, &copy);
    pthread_mutex_lock(&environment->lock);
    if (!is_put && (ask = asked(environment, copy.id)) != NULL && !ask->is_answered) {
        refuse(environment, ask, "JavaScript takes no calls any more");
    }
    wipe(&copy, sizeof copy);
    return true;
}

/* From the event loop: puts what is asked, and forgets providers that nothing uses any more. */
void tend_providers(napi_env env, struct environment *environment) {
    struct provider *unused;
    pthread_mutex_lock(&environment->lock);
    while (put_next(env, environment)) {
    }
    unused = environment->unused;
    environment->unused = NULL;
    pthread_mutex_unlock(&environment->lock);
    while (unused != NULL) {
        struct provider *next = unused->next;
        napi_delete_reference(env, unused->ask);
        environment->providers--;
        free(unused);
        unused = next;
    }
}

/* Calls that give no promise. */

/* A call that another thread makes, on the stack of the one that waits for it. */
struct errand {
    struct operation *operation;
    struct environment *environment;
    bool is_done;
    struct errand *next;
};

static pthread_mutex_t errands_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t errands_filled = PTHREAD_COND_INITIALIZER;
static struct errand *errands;
static size_t idle;

static void *run_errands(void *argument) {
    struct errand *errand = argument;
    for (;;) {
        struct environment *environment = errand->environment;
        errand->operation->run(errand->operation);
        pthread_mutex_lock(&errands_lock);
        idle++;
        pthread_mutex_unlock(&errands_lock);
        pthread_mutex_lock(&environment->lock);
        errand->is_done = true;
        pthread_cond_broadcast(&environment->asked);
        pthread_mutex_unlock(&environment->lock);
        pthread_mutex_lock(&errands_lock);
        while (errands == NULL) {
            pthread_cond_wait(&errands_filled, &errands_lock);
        }
        errand = errands;
        errands = errand->next;
        pthread_mutex_unlock(&errands_lock);
    }
    return NULL;
}

/* Hands an errand to a thread; false where there is none, and none can be started. One that waits is never behind another: a
 * provider's function may itself make calls. */
static bool hand_over(struct errand *errand) {
    pthread_t thread;
    pthread_mutex_lock(&errands_lock);
    if (idle > 0) {
        idle--;
        errand->next = errands;
        errands = errand;
        pthread_cond_signal(&errands_filled);
        pthread_mutex_unlock(&errands_lock);
        return true;
    }
    pthread_mutex_unlock(&errands_lock);
    if (pthread_create(&thread, NULL, run_errands, errand) != 0) {
        return false;
    }
    pthread_detach(thread);
    return true;
}

/* Answers what waits for a promise, which is not settled before the thread is free: else the one call might wait for the other. */
static void refuse_promised(struct environment *environment) {
    struct ask *ask;
    for (ask = environment->asks; ask != NULL; ask = ask->next) {
        if (ask->is_put && !ask->is_answered) {
            refuse(environment, ask, "a call that gives no promise holds the thread that has to settle its own");
        }
    }
}

static struct timespec seconds_from_now(time_t seconds) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += seconds;
    return time;
}

/* Makes a call at once. */
void run_here(napi_env env, struct operation *operation) {
    struct environment *environment = environment_of(env);
    struct errand errand;
    struct timespec until;
    memset(&errand, 0, sizeof errand);
    errand.operation = operation;
    errand.environment = environment;
    if (environment->providers == 0 || !hand_over(&errand)) {
        operation->run(operation);
        return;
    }
    until = seconds_from_now(PATIENCE_SECONDS);
    pthread_mutex_lock(&environment->lock);
    while (!errand.is_done) {
        if (!put_next(env, environment) && pthread_cond_timedwait(&environment->asked, &environment->lock, &until) != 0) {
            refuse_promised(environment);
            until = seconds_from_now(PATIENCE_SECONDS);
        }
    }
    pthread_mutex_unlock(&environment->lock);
}

/* The library's side: from any thread. */

/* Asks JavaScript, and waits. */
static uint32_t ask_of(struct ask *ask, char *message, size_t message_capacity) {
    struct environment *environment = ask->provider->environment;
    struct ask **place;
    struct timespec until = seconds_from_now(ANSWER_SECONDS_MAX);
    pthread_mutex_lock(&environment->lock);
    ask->id = ++environment->last_ask;
    for (place = &environment->asks; *place != NULL; place = &(*place)->next) {
    }
    *place = ask;
    if (!environment->has_ended) {
        pthread_cond_broadcast(&environment->asked);
        napi_call_threadsafe_function(environment->wake, NULL, napi_tsfn_nonblocking);
    }
    while (!ask->is_answered && !environment->has_ended) {
        if (pthread_cond_timedwait(&environment->asked, &environment->lock, &until) != 0) {
            break;
        }
    }
    for (place = &environment->asks; *place != ask; place = &(*place)->next) {
    }
    *place = ask->next;
    if (!ask->is_answered) {
        say(ask, STRONGROOM_PROVIDER_RETRYABLE,
            environment->has_ended ? "the worker that it was written in has ended" : "it never answered");
    }
    pthread_mutex_unlock(&environment->lock);
    if (ask->status != STRONGROOM_PROVIDER_OK) {
        size_t size = ask->result_size < message_capacity ? ask->result_size : message_capacity - 1;
        memcpy(message, ask->result, size);
        message[size] = '\0';
    }
    return ask->status;
}

static void put_context(struct ask *ask, const strongroom_wrap_context *belongs_to) {
    size_t size = belongs_to->bytes_size;
    ask->belongs_to = *belongs_to;
    ask->belongs_to.bytes_size = size = size < sizeof ask->context ? size : sizeof ask->context;
    memcpy(ask->context, belongs_to->bytes, size);
}

static uint32_t create(void *context, char *message, size_t message_capacity) {
    struct ask ask;
    memset(&ask, 0, sizeof ask);
    ask.provider = context;
    ask.question = CREATE;
    return ask_of(&ask, message, message_capacity);
}

static uint32_t wrap(void *context, const strongroom_wrap_context *belongs_to, const uint8_t *key, uint8_t *wrapped,
                     size_t capacity, size_t *wrapped_size, char *message, size_t message_capacity) {
    struct ask ask;
    uint32_t status;
    memset(&ask, 0, sizeof ask);
    ask.provider = context;
    ask.question = WRAP;
    put_context(&ask, belongs_to);
    ask.bytes_size = 32;
    memcpy(ask.bytes, key, ask.bytes_size);
    status = ask_of(&ask, message, message_capacity);
    if (status == STRONGROOM_PROVIDER_OK) {
        /* One that is too long is the library's to refuse, by its length. */
        memcpy(wrapped, ask.result, ask.result_size < capacity ? ask.result_size : capacity);
        *wrapped_size = ask.result_size;
    }
    wipe(&ask, sizeof ask);
    return status;
}

static uint32_t unwrap(void *context, const strongroom_wrap_context *belongs_to, const uint8_t *wrapped,
                       size_t wrapped_size, uint8_t *key, char *message, size_t message_capacity) {
    struct ask ask;
    uint32_t status;
    memset(&ask, 0, sizeof ask);
    ask.provider = context;
    ask.question = UNWRAP;
    put_context(&ask, belongs_to);
    ask.bytes_size = wrapped_size;
    memcpy(ask.bytes, wrapped, wrapped_size);
    status = ask_of(&ask, message, message_capacity);
    if (status == STRONGROOM_PROVIDER_OK) {
        /* JavaScript's half has looked at its length. */
        memcpy(key, ask.result, 32);
    }
    wipe(&ask, sizeof ask);
    return status;
}

static void destroy(void *context) {
    struct provider *provider = context;
    struct environment *environment = provider->environment;
    pthread_mutex_lock(&environment->lock);
    if (environment->has_ended) {
        pthread_mutex_unlock(&environment->lock);
        free(provider);
        return;
    }
    provider->next = environment->unused;
    environment->unused = provider;
    napi_call_threadsafe_function(environment->wake, NULL, napi_tsfn_nonblocking);
    pthread_mutex_unlock(&environment->lock);
}

/* Registers a function of JavaScript's, ask(number, question, bytes, context), as a key provider. */
strongroom_status add_provider(napi_env env, strongroom_config *config, const struct bytes *name, napi_value ask,
                               strongroom_error **error) {
    struct provider *provider = calloc(1, sizeof *provider);
    strongroom_key_provider functions;
    strongroom_status status;
    if (provider == NULL) {
        abort();
    }
    provider->environment = environment_of(env);
    napi_create_reference(env, ask, 1, &provider->ask);
    strongroom_key_provider_init(&functions, sizeof functions);
    functions.context = provider;
    functions.create = create;
    functions.wrap = wrap;
    functions.unwrap = unwrap;
    functions.destroy = destroy;
    status = strongroom_config_key_provider(config, (const char *)name->data, name->size, &functions, error);
    if (status != STRONGROOM_STATUS_OK) {
        napi_delete_reference(env, provider->ask);
        free(provider);
        return status;
    }
    provider->environment->providers++;
    return status;
}
