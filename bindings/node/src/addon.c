/* The native half of the Node binding: the C API, called at once or on threads of its own, as values of JavaScript. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "addon.h"

/* Calls that are nothing but their arguments. */

struct call {
    const char *name;
    /* One letter for each argument, and then 'l' for whether it gives a promise: S T C P B N R U E the handle, of a store, tenant,
     * collection, snapshot, batch, scan, reader, upload or session; X another one beside it (a collection, or where it comes after one
     * a snapshot), or null; b bytes; a a cursor; n a number, of which one below zero is none; s a scan's options; p a policy; v a version or null. */
    const char *takes;
    runner run;
    finisher finish;
};

static const struct call calls[] = {
    {"acceptRollback", "Sbl", run_accept_rollback, finish_nothing},
    {"batchCount", "B", run_count_batch, finish_count},
    {"batchErase", "BXbv", run_batch_erase, finish_nothing},
    {"batchRemove", "BXbv", run_batch_remove, finish_flag},
    {"batchRequire", "BXbv", run_batch_require, finish_nothing},
    {"batchRestore", "BXbv", run_batch_restore, finish_flag},
    {"applyPolicies", "Tnnnnl", run_apply_policies, finish_rekey},
    {"changeCollection", "Tnbbl", run_change_collection, finish_nothing},
    {"changeIndex", "Cnbl", run_change_index, finish_nothing},
    {"changeTenant", "Snbbl", run_change_tenant, finish_nothing},
    {"checkpoint", "Sl", run_checkpoint, finish_nothing},
    {"clearRekeyDeadline", "Tl", run_clear_deadline, finish_nothing},
    {"close", "Sl", run_close, finish_nothing},
    {"collection", "Tb", run_collection, finish_collection},
    {"collections", "T", run_collections, finish_list},
    {"confirmClock", "Sl", run_confirm_clock, finish_nothing},
    {"count", "CXsl", run_count, finish_count},
    {"cursor", "N", run_cursor, finish_buffer},
    {"dataKeys", "T", run_data_keys, finish_list},
    {"discard", "Ul", run_discard, finish_nothing},
    {"durableBytes", "U", run_durable_bytes, finish_count},
    {"erase", "Cbvl", run_erase, finish_flag},
    {"erasePrefix", "Cbl", run_erase_prefix, finish_erased},
    {"eraseRange", "Cbbl", run_erase_range, finish_erased},
    {"eraseSubject", "Tbl", run_erase_subject, finish_flag},
    {"flush", "Sl", run_flush, finish_nothing},
    {"getPolicy", "TX", run_get_policy, finish_policy},
    {"getQuota", "TX", run_get_quota, finish_numbers},
    {"getRange", "Cbnnl", run_get_range, finish_buffer},
    {"health", "S", run_health, finish_buffer},
    {"hold", "Tbnbbl", run_hold, finish_nothing},
    {"holds", "T", run_holds, finish_list},
    {"horizon", "T", run_horizon, finish_horizon},
    {"indexes", "C", run_indexes, finish_list},
    {"info", "CXbl", run_info, finish_info},
    {"keyProvider", "T", run_key_provider, finish_buffer},
    {"lanes", "S", run_lanes, finish_list},
    {"ledger", "T", run_ledger, finish_list},
    {"moveTenant", "Sbbnl", run_move_tenant, finish_nothing},
    {"next", "Nnl", run_next, finish_page},
    {"openTenants", "S", run_open_tenants, finish_count},
    {"policiesPending", "T", run_policies_pending, finish_count},
    {"publish", "Ul", run_publish, finish_version},
    {"publishedHealth", "b", run_published_health, finish_published_health},
    {"readAt", "Rnnl", run_read_at, finish_piece},
    {"reader", "CXbl", run_reader, finish_reader},
    {"readerInfo", "R", run_reader_info, finish_info},
    {"receipt", "Tl", run_receipt, finish_receipt},
    {"receipts", "T", run_receipts, finish_list},
    {"regions", "S", run_regions, finish_list},
    {"releaseHold", "Tbl", run_release_hold, finish_nothing},
    {"remove", "Cbvl", run_remove, finish_flag},
    {"removePrefix", "Cbl", run_remove_prefix, finish_count},
    {"removeTenant", "Sbnl", run_remove_tenant, finish_count},
    {"removed", "Csa", run_removed, finish_removed},
    {"restore", "Cbvl", run_restore, finish_flag},
    {"removeRange", "Cbbl", run_remove_range, finish_count},
    {"restorePrefix", "Cbl", run_restore_prefix, finish_count},
    {"restoreRange", "Cbbl", run_restore_range, finish_count},
    {"rekey", "Tnnnnl", run_rekey, finish_rekey},
    {"rekeyDeadline", "T", run_deadline, finish_numbers},
    {"renewSectionKeys", "Sbl", run_renew_section_keys, finish_nothing},
    {"resumeUpload", "Cbl", run_resume_upload, finish_upload},
    {"retireDataKey", "Tnl", run_retire, finish_nothing},
    {"rewrap", "Tbl", run_rewrap, finish_nothing},
    {"rewrapAll", "Sbbl", run_rewrap_all, finish_count},
    {"rewrite", "Tl", run_rewrite, finish_flag},
    {"rotateDataKey", "Tl", run_rotate, finish_count},
    {"salvage", "Sbl", run_salvage, finish_salvage},
    {"scrub", "Tl", run_scrub, finish_version},
    {"session", "T", run_session, finish_session},
    {"sessionCount", "E", run_session_count, finish_count},
    {"sessionErase", "EXb", run_session_erase, finish_flag},
    {"sessionGet", "EXb", run_session_get, finish_buffer},
    {"sessionPut", "EXbb", run_session_put, finish_nothing},
    {"sessionScan", "EXbb", run_session_scan, finish_page},
    {"setPolicy", "TXpl", run_set_policy, finish_nothing},
    {"setRekeyDeadline", "Tnnl", run_set_deadline, finish_nothing},
    {"setQuota", "TXnnl", run_set_quota, finish_nothing},
    {"snapshotVersion", "P", run_snapshot_version, finish_version},
    {"stats", "T", run_stats, finish_stats},
    {"storeId", "S", run_store_id, finish_hex},
    {"snapshotCollections", "P", run_snapshot_collections, finish_list},
    {"subjectRecords", "Tbl", run_subject_records, finish_list},
    {"subjects", "T", run_subjects, finish_list},
    {"sweep", "Sbl", run_sweep, finish_erased},
    {"tenantCheckpoint", "Tl", run_tenant_checkpoint, finish_nothing},
    {"tenantFlush", "Tl", run_tenant_flush, finish_nothing},
    {"tenantId", "T", run_tenant_id, finish_hex},
    {"tenantInfo", "Sb", run_tenant_info, finish_list},
    {"tenantName", "T", run_tenant_name, finish_text},
    {"tenantStats", "Sb", run_tenant_stats, finish_stats},
    {"tenants", "S", run_tenants, finish_list},
    {"tick", "Sl", run_tick, finish_nothing},
    {"uploadFlush", "Ul", run_upload_flush, finish_nothing},
    {"uploadId", "U", run_upload_id, finish_id},
    {"uploadWrite", "Ubl", run_upload_write, finish_nothing},
    {"usage", "TXl", run_usage, finish_numbers},
    {"verify", "Sbl", run_verify, finish_report},
};

#define ARGUMENTS_MAX 6

/* Takes the next argument; false where it is none such, and then it has thrown. */
static bool take_argument(napi_env env, struct operation *o, char letter, napi_value value, int *bytes, int *numbers) {
    static const char letters[] = "STCPBNRUE";
    struct bytes *places[] = {&o->key, &o->extra, &o->third};
    const char *known = strchr(letters, letter);
    napi_valuetype type;
    double given = 0;
    if (known != NULL) {
        o->handle = take(env, value, (enum kind)(STORE + (known - letters)));
        return o->handle != NULL;
    }
    switch (letter) {
    case 'b': return take_bytes(env, value, true, places[(*bytes)++]);
    case 'a': return take_bytes(env, value, true, &o->after);
    case 's': return scan_options(env, value, o);
    case 'p': policy_of(env, value, &o->policy); return true;
    case 'v': o->number = get_version(env, value, &o->version); return true;
    case 'X':
        if (napi_typeof(env, value, &type) == napi_ok && type == napi_external) {
            o->other = take(env, value, o->is_of_collection ? SNAPSHOT : COLLECTION);
            return o->other != NULL;
        }
        return true;
    default:
        napi_get_value_double(env, value, &given);
        *(*numbers == 0 ? &o->number : *numbers == 1 ? &o->second : *numbers == 2 ? &o->last : &o->count) = given < 0 ? UINT64_MAX : (uint64_t)given;
        ++*numbers;
        return true;
    }
}

static napi_value js_call(napi_env env, napi_callback_info info) {
    napi_value arguments[ARGUMENTS_MAX];
    size_t given = ARGUMENTS_MAX, index;
    int bytes = 0, numbers = 0;
    bool later = false;
    void *data = NULL;
    const struct call *call;
    struct operation *o;
    if (napi_get_cb_info(env, info, &given, arguments, NULL, &data) != napi_ok) {
        return NULL;
    }
    call = data;
    o = operation_of(call->run, call->finish);
    o->is_of_collection = call->takes[0] == 'C';
    for (index = 0; call->takes[index] != '\0'; index++) {
        char letter = call->takes[index];
        if (index >= given) {
            bad_argument(env, "arguments are missing");
            free_operation(o);
            return NULL;
        }
        if (letter == 'l') {
            later = is_later(env, arguments[index]);
        } else if (!take_argument(env, o, letter, arguments[index], &bytes, &numbers)) {
            free_operation(o);
            return NULL;
        }
    }
    if (later) {
        hold(env, o, arguments, given < ARGUMENTS_MAX ? given : ARGUMENTS_MAX);
    }
    return start(env, o, later);
}

/* Opening. */

static void run_open(struct operation *o) {
    strongroom_engine *engine = NULL;
    if (o->flag) {
        o->status = strongroom_engine_create(o->handle, &engine, &o->error);
    } else {
        o->status = strongroom_engine_open(o->handle, &engine, &o->error);
    }
    strongroom_config_free(o->handle);
    o->result = engine;
}

static napi_value property(napi_env env, napi_value object, const char *name) {
    napi_value value = undefined(env);
    napi_get_named_property(env, object, name, &value);
    return value;
}

/* One call of the configuration's with up to three texts of an array. */
static bool with_texts(napi_env env, napi_value array, struct bytes texts[3]) {
    uint32_t index;
    for (index = 0; index < 3; index++) {
        napi_value text = undefined(env);
        napi_get_element(env, array, index, &text);
        if (!take_bytes(env, text, false, &texts[index])) {
            return false;
        }
    }
    return true;
}

static strongroom_status configure(napi_env env, napi_value options, strongroom_config *config,
                                   strongroom_error **error) {
    const char *kinds[] = {"keyFiles", "passphrases", "regions"};
    napi_value providers;
    uint32_t provider, provider_count = 0;
    strongroom_config_options figures;
    strongroom_status status;
    struct bytes keys;
    int kind;
    strongroom_config_options_init(&figures, sizeof figures);
    figures.cache_bytes = (uint64_t)get_number(env, options, "cacheBytes");
    figures.memtable_bytes = (uint64_t)get_number(env, options, "memtableBytes");
    figures.memory_bytes = (uint64_t)get_number(env, options, "memoryBytes");
    figures.segment_bytes = (uint64_t)get_number(env, options, "segmentBytes");
    figures.journal_bytes = (uint64_t)get_number(env, options, "journalBytes");
    figures.total_cache_bytes = (uint64_t)get_number(env, options, "totalCacheBytes");
    figures.open_tenants = (uint64_t)get_number(env, options, "openTenants");
    figures.buffered_within_ms = (uint64_t)get_number(env, options, "bufferedWithinMs");
    figures.checkpoint_age_ms = (uint64_t)get_number(env, options, "checkpointAgeMs");
    figures.close_budget_ms = (uint64_t)get_number(env, options, "closeBudgetMs");
    figures.sweep_interval_ms = (uint64_t)get_number(env, options, "sweepIntervalMs");
    figures.clock_step_ms = (uint64_t)get_number(env, options, "clockStepMs");
    figures.erasure_period_ms = (uint64_t)get_number(env, options, "erasurePeriodMs");
    figures.rotate_after_ms = (uint64_t)get_number(env, options, "rotateAfterMs");
    figures.scrub_within_ms = (uint64_t)get_number(env, options, "scrubWithinMs");
    figures.key_copies_kept_ms = (uint64_t)get_number(env, options, "keyCopiesKeptMs");
    figures.key_timeout_ms = (uint64_t)get_number(env, options, "keyTimeoutMs");
    figures.keys_good_for_ms = (uint64_t)get_number(env, options, "keysGoodForMs");
    figures.keys_grace_ms = (uint64_t)get_number(env, options, "keysGraceMs");
    figures.rotate_after_records = (uint64_t)get_number(env, options, "rotateAfterRecords");
    figures.durability = (uint32_t)get_number(env, options, "durability");
    figures.freshness = get_flag(env, options, "fullFreshness");
    figures.without_background = get_flag(env, options, "withoutBackground");
    figures.accept_rollback = get_flag(env, options, "acceptRollback");
    figures.maintenance = (uint32_t)get_number(env, options, "maintenanceKind");
    status = STRONGROOM_STATUS_OK;
    if (take_bytes(env, property(env, options, "settings"), false, &keys) && keys.data != NULL) {
        status = strongroom_config_read(config, (const char *)keys.data, keys.size, error);
        free(keys.owned);
    }
    if (status == STRONGROOM_STATUS_OK) {
        status = strongroom_config_set(config, &figures, error);
    }
    if (status == STRONGROOM_STATUS_OK && take_bytes(env, property(env, options, "keyStore"), false, &keys) &&
        keys.data != NULL) {
        status = strongroom_config_key_store(config, (const char *)keys.data, keys.size, error);
        free(keys.owned);
    }
    for (kind = 0; kind < 3 && status == STRONGROOM_STATUS_OK; kind++) {
        napi_value array = property(env, options, kinds[kind]);
        uint32_t index, length = 0;
        napi_get_array_length(env, array, &length);
        for (index = 0; index < length && status == STRONGROOM_STATUS_OK; index++) {
            struct bytes texts[3];
            napi_value element = undefined(env);
            const char *first, *second;
            memset(texts, 0, sizeof texts);
            napi_get_element(env, array, index, &element);
            if (!with_texts(env, element, texts)) {
                status = STRONGROOM_STATUS_INVALID_ARGUMENT;
            } else {
                first = (const char *)texts[0].data;
                second = (const char *)texts[1].data;
                if (kind == 0) {
                    status = strongroom_config_key_file(config, first, texts[0].size, second, texts[1].size,
                                                        texts[2].data != NULL ? STRONGROOM_KEY_FILE_GROUP_READ : 0,
                                                        error);
                } else if (kind == 1) {
                    strongroom_passphrase_options cost;
                    strongroom_passphrase_options_init(&cost, sizeof cost);
                    cost.memory_kib = (uint32_t)get_number(env, options, "passphraseMemoryKib");
                    cost.passes = (uint32_t)get_number(env, options, "passphrasePasses");
                    cost.lanes = (uint32_t)get_number(env, options, "passphraseLanes");
                    status = strongroom_config_passphrase(config, first, texts[0].size, texts[1].data, texts[1].size,
                                                          &cost, error);
                } else {
                    status = strongroom_config_region(config, first, texts[0].size, second, texts[1].size,
                                                      (const char *)texts[2].data, texts[2].size, error);
                }
            }
            free(texts[0].owned);
            free(texts[1].owned);
            free(texts[2].owned);
        }
    }
    providers = property(env, options, "providers");
    napi_get_array_length(env, providers, &provider_count);
    for (provider = 0; provider < provider_count && status == STRONGROOM_STATUS_OK; provider++) {
        napi_value pair = undefined(env), name = undefined(env), ask = undefined(env);
        napi_get_element(env, providers, provider, &pair);
        napi_get_element(env, pair, 0, &name);
        napi_get_element(env, pair, 1, &ask);
        if (take_bytes(env, name, false, &keys)) {
            status = add_provider(env, config, &keys, ask, error);
            free(keys.owned);
        }
    }
    return status;
}

/* open(create, path, options, later) */
static napi_value js_open(napi_env env, napi_callback_info info) {
    strongroom_config *config = NULL;
    strongroom_error *error = NULL;
    strongroom_status status;
    struct operation *o;
    struct bytes path;
    bool pending = false;
    ARGUMENTS(4)
    if (!take_bytes(env, arguments[1], false, &path)) {
        return NULL;
    }
    status = strongroom_config_new((const char *)path.data, path.size, &config, &error);
    free(path.owned);
    if (status == STRONGROOM_STATUS_OK) {
        status = configure(env, arguments[2], config, &error);
    }
    napi_is_exception_pending(env, &pending);
    if (status != STRONGROOM_STATUS_OK || pending) {
        strongroom_config_free(config);
        if (!pending) {
            napi_throw(env, error_value(env, error));
        }
        return NULL;
    }
    o = operation_of(run_open, finish_store);
    o->handle = config;
    o->flag = is_later(env, arguments[0]);
    return start(env, o, is_later(env, arguments[3]));
}

/* free(handle): at once, and not when it is collected */
static napi_value js_free(napi_env env, napi_callback_info info) {
    void *data = NULL;
    ARGUMENTS(1)
    if (napi_get_value_external(env, arguments[0], &data) == napi_ok) {
        release(data);
    }
    return undefined(env);
}

static void end_environment(void *data) {
    struct environment *environment = data;
    pthread_mutex_lock(&environment->lock);
    environment->has_ended = true;
    pthread_cond_broadcast(&environment->asked);
    pthread_mutex_unlock(&environment->lock);
    if (environment->log != NULL) {
        napi_release_threadsafe_function(environment->log, napi_tsfn_abort);
    }
    napi_release_threadsafe_function(environment->wake, napi_tsfn_abort);
}

/* setErrorClass(class) */
static napi_value js_set_error_class(napi_env env, napi_callback_info info) {
    ARGUMENTS(1)
    napi_create_reference(env, arguments[0], 1, &environment_of(env)->error_class);
    return undefined(env);
}

NAPI_MODULE_INIT() {
    static const struct {
        const char *name;
        napi_callback function;
    } functions[] = {
        {"answer", js_answer},
        {"batch", js_batch},
        {"beginUpload", js_begin_upload},
        {"buildIndex", js_build_index},
        {"batchPut", js_batch_put},
        {"find", js_find},
        {"free", js_free},
        {"get", js_get},
        {"getInto", js_get_into},
        {"open", js_open},
        {"put", js_put},
        {"scan", js_scan},
        {"setErrorClass", js_set_error_class},
        {"setLog", js_set_log},
        {"snapshot", js_snapshot},
        {"tenant", js_tenant},
        {"write", js_write},
    };
    size_t index;
    napi_value name = NULL;
    pthread_condattr_t monotonic;
    /* Lives as long as the process: threads may still tell it of what is done. */
    struct environment *environment = calloc(1, sizeof *environment);
    if (environment == NULL) {
        return NULL;
    }
    environment->env = env;
    pthread_mutex_init(&environment->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&environment->asked, &monotonic);
    pthread_condattr_destroy(&monotonic);
    napi_create_string_utf8(env, "strongroom", NAPI_AUTO_LENGTH, &name);
    if (napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, environment, settle,
                                        &environment->wake) != napi_ok) {
        free(environment);
        return NULL;
    }
    napi_unref_threadsafe_function(env, environment->wake);
    napi_set_instance_data(env, environment, NULL, NULL);
    napi_add_env_cleanup_hook(env, end_environment, environment);
    for (index = 0; index < sizeof functions / sizeof functions[0]; index++) {
        napi_value function = NULL;
        napi_create_function(env, functions[index].name, NAPI_AUTO_LENGTH, functions[index].function, NULL,
                             &function);
        set(env, exports, functions[index].name, function);
    }
    for (index = 0; index < sizeof calls / sizeof calls[0]; index++) {
        napi_value function = NULL;
        napi_create_function(env, calls[index].name, NAPI_AUTO_LENGTH, js_call, (void *)&calls[index], &function);
        set(env, exports, calls[index].name, function);
    }
    return exports;
}
