/* Calls under way: at once, or on threads of their own for who waits for a promise. */
#include <stdlib.h>

#include "addon.h"

struct job {
    struct operation *operation;
    struct environment *environment;
    struct job *next;
};

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static struct job *first_job, *last_job;
static int threads;

void free_operation(struct operation *operation) {
    free(operation->key.owned);
    free(operation->extra.owned);
    free(operation->third.owned);
    free(operation->after.owned);
    free(operation);
}

struct operation *operation_of(runner run, finisher finish) {
    struct operation *operation = calloc(1, sizeof *operation);
    if (operation == NULL) {
        abort();
    }
    operation->run = run;
    operation->finish = finish;
    return operation;
}

/* Keeps the handles among these arguments from being collected, and so freed, while another thread works with them. */
void hold(napi_env env, struct operation *operation, const napi_value *arguments, size_t count) {
    size_t index, held = 0;
    for (index = 0; index < count && held < HELD_MAX; index++) {
        napi_valuetype type;
        if (napi_typeof(env, arguments[index], &type) == napi_ok && type == napi_external) {
            napi_create_reference(env, arguments[index], 1, &operation->held[held++]);
        }
    }
}

static void let_go(napi_env env, struct operation *operation) {
    size_t index;
    for (index = 0; index < HELD_MAX && operation->held[index] != NULL; index++) {
        napi_delete_reference(env, operation->held[index]);
    }
}

/* On JavaScript's thread: answers for key providers, and settles the promises of what is done. */
void settle(napi_env env, napi_value callback, void *context, void *data) {
    struct environment *environment = context;
    struct operation *operation;
    (void)callback;
    (void)data;
    pthread_mutex_lock(&environment->lock);
    operation = environment->done;
    environment->done = NULL;
    pthread_mutex_unlock(&environment->lock);
    if (env != NULL) {
        tend_providers(env, environment);
    }
    while (operation != NULL) {
        struct operation *next = operation->next;
        if (env != NULL) {
            napi_handle_scope scope;
            environment->building -= operation->is_building;
            napi_open_handle_scope(env, &scope);
            if (operation->status == STRONGROOM_STATUS_OK) {
                napi_resolve_deferred(env, operation->deferred, operation->finish(env, operation));
            } else if (operation->thrown != NULL) {
                napi_value array = NULL, thrown = NULL;
                napi_get_reference_value(env, operation->thrown, &array);
                napi_get_element(env, array, 0, &thrown);
                napi_delete_reference(env, operation->thrown);
                strongroom_error_free(operation->error);
                napi_reject_deferred(env, operation->deferred, thrown);
            } else {
                napi_reject_deferred(env, operation->deferred, error_value(env, operation->error));
            }
            let_go(env, operation);
            napi_close_handle_scope(env, scope);
            if (--environment->under_way == 0) {
                /* Nothing keeps the process alive any more. */
                napi_unref_threadsafe_function(env, environment->wake);
            }
        }
        free_operation(operation);
        operation = next;
    }
}

/* Where the environment has ended nobody waits any more. */
void is_done(struct environment *environment, struct operation *operation) {
    operation->next = NULL;
    pthread_mutex_lock(&environment->lock);
    if (environment->has_ended) {
        pthread_mutex_unlock(&environment->lock);
        strongroom_error_free(operation->error);
        free_operation(operation);
        return;
    }
    if (environment->done == NULL) {
        environment->done = operation;
        napi_call_threadsafe_function(environment->wake, NULL, napi_tsfn_nonblocking);
    } else {
        environment->last_done->next = operation;
    }
    environment->last_done = operation;
    pthread_mutex_unlock(&environment->lock);
}

static void *work(void *argument) {
    (void)argument;
    for (;;) {
        struct job *job;
        pthread_mutex_lock(&queue_lock);
        while (first_job == NULL) {
            pthread_cond_wait(&queue_filled, &queue_lock);
        }
        job = first_job;
        first_job = job->next;
        pthread_mutex_unlock(&queue_lock);
        job->operation->run(job->operation);
        is_done(job->environment, job->operation);
        free(job);
    }
    return NULL;
}

static void enqueue(struct environment *environment, struct operation *operation) {
    struct job *job = malloc(sizeof *job);
    if (job == NULL) {
        abort();
    }
    job->operation = operation;
    job->environment = environment;
    job->next = NULL;
    pthread_mutex_lock(&queue_lock);
    if (threads < THREADS) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL) == 0) {
            pthread_detach(thread);
            threads++;
        }
    }
    if (first_job == NULL) {
        first_job = job;
    } else {
        last_job->next = job;
    }
    last_job = job;
    pthread_cond_signal(&queue_filled);
    pthread_mutex_unlock(&queue_lock);
}

/* A promise for an operation. */
napi_value promise_of(napi_env env, struct operation *operation) {
    struct environment *environment = environment_of(env);
    napi_value promise = NULL;
    napi_create_promise(env, &operation->deferred, &promise);
    if (environment->under_way++ == 0) {
        napi_ref_threadsafe_function(env, environment->wake);
    }
    return promise;
}

napi_value now(napi_env env, struct operation *operation) {
    napi_value value = NULL;
    run_here(env, operation);
    if (operation->status == STRONGROOM_STATUS_OK) {
        value = operation->finish(env, operation);
    } else {
        napi_throw(env, error_value(env, operation->error));
    }
    free_operation(operation);
    return value;
}

napi_value start(napi_env env, struct operation *operation, bool later) {
    napi_value promise;
    if (!later) {
        return now(env, operation);
    }
    promise = promise_of(env, operation);
    enqueue(environment_of(env), operation);
    return promise;
}
