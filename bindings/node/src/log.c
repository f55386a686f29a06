/* The log of all stores of the process, line by line, to a function of JavaScript's. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

/* A line on its way: where it comes from, and its text behind that. */
struct line {
    uint32_t level;
    size_t target_size, text_size;
    char bytes[];
};

/* From any thread, with locks of the store held: the line is only handed over. */
static void logged(void *context, uint32_t level, const char *target, size_t target_size, const char *text,
                   size_t text_size) {
    struct environment *environment = context;
    struct line *line = malloc(sizeof *line + target_size + text_size);
    if (line == NULL) {
        return;
    }
    line->level = level;
    line->target_size = target_size;
    line->text_size = text_size;
    memcpy(line->bytes, target, target_size);
    memcpy(line->bytes + target_size, text, text_size);
    pthread_mutex_lock(&environment->lock);
    if (environment->has_ended || environment->log == NULL ||
        napi_call_threadsafe_function(environment->log, line, napi_tsfn_nonblocking) != napi_ok) {
        free(line);
    }
    pthread_mutex_unlock(&environment->lock);
}

static void tell(napi_env env, napi_value function, void *context, void *data) {
    struct line *line = data;
    (void)context;
    if (env != NULL) {
        napi_value arguments[3];
        arguments[0] = number(env, line->level);
        arguments[1] = text_value(env, line->bytes, line->target_size);
        arguments[2] = text_value(env, line->bytes + line->target_size, line->text_size);
        napi_call_function(env, undefined(env), function, 3, arguments, NULL);
    }
    free(line);
}

/* setLog(level, function | null) */
napi_value js_set_log(napi_env env, napi_callback_info info) {
    struct environment *environment = environment_of(env);
    napi_threadsafe_function log = NULL, before;
    strongroom_error *error = NULL;
    napi_valuetype type;
    double level = 0;
    ARGUMENTS(2)
    napi_get_value_double(env, arguments[0], &level);
    napi_typeof(env, arguments[1], &type);
    if (type == napi_function) {
        napi_value name = text_value(env, "strongroom", NAPI_AUTO_LENGTH);
        if (napi_create_threadsafe_function(env, arguments[1], NULL, name, 0, 1, NULL, NULL, NULL, tell, &log) != napi_ok) {
            return NULL;
        }
        /* Lines do not keep the process alive. */
        napi_unref_threadsafe_function(env, log);
    }
    pthread_mutex_lock(&environment->lock);
    before = environment->log;
    environment->log = log;
    pthread_mutex_unlock(&environment->lock);
    if (before != NULL) {
        napi_release_threadsafe_function(before, napi_tsfn_release);
    }
    if (strongroom_log_set((uint32_t)level, log == NULL ? NULL : logged, environment, &error) != STRONGROOM_STATUS_OK) {
        napi_throw(env, error_value(env, error));
    }
    return undefined(env);
}
