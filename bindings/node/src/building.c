/* Indexes that are built over records that are there: a function of JavaScript's gives their keys. */
#include <stdlib.h>

#include "addon.h"

/* Gives the sink what the function says of a record; false where it has thrown. */
static bool give_keys(napi_env env, napi_value function, const strongroom_entry *entry, strongroom_key_sink *sink) {
    napi_value keys = NULL, record = record_value(env, entry);
    uint32_t index, length = 0;
    if (napi_call_function(env, undefined(env), function, 1, &record, &keys) != napi_ok) {
        return false;
    }
    if (napi_get_array_length(env, keys, &length) != napi_ok) {
        return bad_argument(env, "the keys of a record are an array");
    }
    for (index = 0; index < length; index++) {
        napi_value element = undefined(env);
        struct bytes key;
        strongroom_error *error = NULL;
        strongroom_status status;
        napi_get_element(env, keys, index, &element);
        if (!take_bytes(env, element, false, &key)) {
            return false;
        }
        status = strongroom_key_sink_add(sink, key.data, key.size, &error);
        free(key.owned);
        if (status != STRONGROOM_STATUS_OK) {
            napi_throw(env, error_value(env, error));
            return false;
        }
    }
    return true;
}

/* A call at once. */
struct here {
    napi_env env;
    napi_value function;
};

static bool keys_here(void *context, const strongroom_entry *entry, strongroom_key_sink *sink) {
    struct here *here = context;
    return give_keys(here->env, here->function, entry, sink);
}

/* A call on another thread, which asks JavaScript's for the keys of each record and waits for the answer. */
struct elsewhere {
    napi_threadsafe_function ask;
    struct operation *operation;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    const strongroom_entry *entry;
    strongroom_key_sink *sink;
    bool is_answered, is_good, has_ended, is_over, is_forgotten;
};

/* On JavaScript's thread; without an environment, where that has ended. What is thrown is kept, in an array: not everything that
 * can be thrown can be referred to. */
static void answer(napi_env env, napi_value function, void *context, void *data) {
    struct elsewhere *elsewhere = context;
    bool is_good = false;
    (void)data;
    if (env != NULL) {
        napi_handle_scope scope;
        napi_open_handle_scope(env, &scope);
        is_good = give_keys(env, function, elsewhere->entry, elsewhere->sink);
        if (!is_good) {
            napi_value thrown = undefined(env), array = NULL;
            napi_get_and_clear_last_exception(env, &thrown);
            napi_create_array(env, &array);
            napi_set_element(env, array, 0, thrown);
            napi_create_reference(env, array, 1, &elsewhere->operation->thrown);
        }
        napi_close_handle_scope(env, scope);
    }
    pthread_mutex_lock(&elsewhere->lock);
    elsewhere->is_answered = true;
    elsewhere->is_good = is_good;
    pthread_cond_signal(&elsewhere->answered);
    pthread_mutex_unlock(&elsewhere->lock);
}

static bool keys_elsewhere(void *context, const strongroom_entry *entry, strongroom_key_sink *sink) {
    struct elsewhere *elsewhere = context;
    bool is_forgotten;
    elsewhere->entry = entry;
    elsewhere->sink = sink;
    pthread_mutex_lock(&elsewhere->lock);
    elsewhere->is_answered = is_forgotten = elsewhere->is_forgotten;
    pthread_mutex_unlock(&elsewhere->lock);
    if (is_forgotten) {
        return false;
    }
    if (napi_call_threadsafe_function(elsewhere->ask, NULL, napi_tsfn_blocking) != napi_ok) {
        elsewhere->has_ended = true;
        return false;
    }
    pthread_mutex_lock(&elsewhere->lock);
    while (!elsewhere->is_answered) {
        pthread_cond_wait(&elsewhere->answered, &elsewhere->lock);
    }
    pthread_mutex_unlock(&elsewhere->lock);
    return elsewhere->is_good;
}

static void free_elsewhere(struct elsewhere *elsewhere) {
    pthread_mutex_destroy(&elsewhere->lock);
    pthread_cond_destroy(&elsewhere->answered);
    free(elsewhere);
}

static void run_build(struct operation *o) {
    struct elsewhere *elsewhere = o->result;
    napi_threadsafe_function ask;
    bool is_forgotten, has_ended;
    o->status = strongroom_collection_build_index(o->handle, (const char *)o->key.data, o->key.size, keys_elsewhere, NULL,
                                                  elsewhere, &o->count, &o->error);
    ask = elsewhere->ask;
    has_ended = elsewhere->has_ended;
    pthread_mutex_lock(&elsewhere->lock);
    elsewhere->is_over = true;
    is_forgotten = elsewhere->is_forgotten;
    pthread_mutex_unlock(&elsewhere->lock);
    if (is_forgotten) {
        free_elsewhere(elsewhere);
    } else if (!has_ended) {
        napi_release_threadsafe_function(ask, napi_tsfn_release);
    }
}

/* When JavaScript can't be asked any more: at the end of the call, or of the environment. Who comes last frees. */
static void forget(napi_env env, void *data, void *hint) {
    struct elsewhere *elsewhere = data;
    bool is_over;
    (void)env;
    (void)hint;
    pthread_mutex_lock(&elsewhere->lock);
    elsewhere->is_forgotten = elsewhere->is_answered = true;
    elsewhere->is_good = false;
    is_over = elsewhere->is_over;
    pthread_cond_signal(&elsewhere->answered);
    pthread_mutex_unlock(&elsewhere->lock);
    if (is_over) {
        free_elsewhere(elsewhere);
    }
}

static napi_value build_elsewhere(napi_env env, const napi_value *arguments, struct operation *o) {
    struct elsewhere *elsewhere = calloc(1, sizeof *elsewhere);
    napi_value name = text_value(env, "strongroom", NAPI_AUTO_LENGTH);
    if (elsewhere == NULL) {
        abort();
    }
    elsewhere->operation = o;
    pthread_mutex_init(&elsewhere->lock, NULL);
    pthread_cond_init(&elsewhere->answered, NULL);
    if (napi_create_threadsafe_function(env, arguments[2], NULL, name, 0, 1, elsewhere, forget, elsewhere, answer,
                                        &elsewhere->ask) != napi_ok) {
        free_elsewhere(elsewhere);
        free_operation(o);
        bad_argument(env, "a function gives the keys of a record");
        return NULL;
    }
    o->is_building = true;
    environment_of(env)->building++;
    o->result = elsewhere;
    hold(env, o, arguments, 1);
    return start(env, o, true);
}

/* buildIndex(collection, name, function, later): how many records got keys */
napi_value js_build_index(napi_env env, napi_callback_info info) {
    struct here here;
    struct operation *o = operation_of(run_build, finish_count);
    bool has_thrown = false;
    ARGUMENTS(4)
    o->handle = take(env, arguments[0], COLLECTION);
    if (o->handle == NULL || !take_bytes(env, arguments[1], true, &o->key)) {
        free_operation(o);
        return NULL;
    }
    if (is_later(env, arguments[3])) {
        return build_elsewhere(env, arguments, o);
    }
    if (environment_of(env)->providers > 0) {
        /* Nor can this thread answer for a key provider meanwhile. */
        free_operation(o);
        bad_argument(env, "where a key provider is written in JavaScript, an index is built by buildIndex");
        return NULL;
    }
    if (environment_of(env)->building > 0) {
        /* It would wait for the one under way, which waits for this thread. */
        free_operation(o);
        bad_argument(env, "an index is being built: await that first");
        return NULL;
    }
    here.env = env;
    here.function = arguments[2];
    o->status = strongroom_collection_build_index(o->handle, (const char *)o->key.data, o->key.size, keys_here, NULL,
                                                  &here, &o->count, &o->error);
    napi_is_exception_pending(env, &has_thrown);
    if (has_thrown) {
        strongroom_error_free(o->error);
    } else if (o->status == STRONGROOM_STATUS_OK) {
        napi_value built = number(env, (double)o->count);
        free_operation(o);
        return built;
    } else {
        napi_throw(env, error_value(env, o->error));
    }
    free_operation(o);
    return NULL;
}
