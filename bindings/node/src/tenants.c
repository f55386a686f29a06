/* Tenants and collections: made, looked after, bounded; policies, data keys; upkeep of the store. */
#include <stdlib.h>

#include "addon.h"

/* Numbers of a result; below zero is no bound. */
napi_value finish_numbers(napi_env env, struct operation *o) {
    const uint64_t numbers[] = {o->number, o->second, o->last};
    napi_value array = NULL;
    uint32_t index;
    napi_create_array_with_length(env, 3, &array);
    for (index = 0; index < 3; index++) {
        napi_set_element(env, array, index, number(env, numbers[index] == UINT64_MAX ? -1 : (double)numbers[index]));
    }
    return array;
}

/* Of numbers that are given, those below zero are no bound. */
void run_set_quota(struct operation *o) {
    strongroom_quota quota;
    strongroom_quota_init(&quota, sizeof quota);
    quota.records = o->number;
    quota.bytes = o->second;
    o->status = o->other != NULL ? strongroom_collection_set_quota(o->other, &quota, &o->error)
                                 : strongroom_tenant_set_quota(o->handle, &quota, &o->error);
}

void run_get_quota(struct operation *o) {
    strongroom_quota quota;
    strongroom_quota_init(&quota, sizeof quota);
    o->status = o->other != NULL ? strongroom_collection_get_quota(o->other, &quota, &o->error)
                                 : strongroom_tenant_get_quota(o->handle, &quota, &o->error);
    o->number = quota.records;
    o->second = quota.bytes;
}

void run_usage(struct operation *o) {
    strongroom_usage usage;
    strongroom_usage_init(&usage, sizeof usage);
    o->status = o->other != NULL ? strongroom_collection_get_usage(o->other, &usage, &o->error)
                                 : strongroom_tenant_get_usage(o->handle, &usage, &o->error);
    o->number = usage.records;
    o->second = usage.bytes;
}

void run_rotate(struct operation *o) {
    uint32_t generation = 0;
    o->status = strongroom_tenant_rotate_data_key(o->handle, &generation, &o->error);
    o->count = generation;
}

void run_retire(struct operation *o) {
    o->status = strongroom_tenant_retire_data_key(o->handle, (uint32_t)o->number, &o->error);
}

/* Of four numbers: records, and a second; bytes, and a second. */
void rekey_options(const struct operation *o, strongroom_rekey_options *options) {
    strongroom_rekey_options_init(options, sizeof *options);
    options->records = o->number;
    options->records_per_second = (uint32_t)o->second;
    options->bytes = o->last;
    options->bytes_per_second = o->count;
}

/* setRekeyDeadline(tenant, generation, by) */
void run_set_deadline(struct operation *o) {
    o->status = strongroom_tenant_set_rekey_deadline(o->handle, (uint32_t)o->number, o->second, &o->error);
}

void run_clear_deadline(struct operation *o) {
    o->status = strongroom_tenant_clear_rekey_deadline(o->handle, &o->error);
}

/* rekeyDeadline(tenant): its generation, by when, and since when it is met; the generation is below zero where there is none */
void run_deadline(struct operation *o) {
    uint32_t generation = 0;
    o->status = strongroom_tenant_rekey_deadline(o->handle, &o->flag, &generation, &o->second, &o->last, &o->error);
    o->number = o->flag ? generation : UINT64_MAX;
}

void run_rekey(struct operation *o) {
    strongroom_rekey_options options;
    rekey_options(o, &options);
    strongroom_rekey_init(&o->rekey, sizeof o->rekey);
    o->status = strongroom_tenant_rekey(o->handle, &options, NULL, NULL, &o->rekey, &o->error);
}

napi_value finish_rekey(napi_env env, struct operation *o) {
    napi_value object = NULL, complete = NULL;
    napi_create_object(env, &object);
    napi_get_boolean(env, o->rekey.is_complete, &complete);
    set(env, object, "generation", number(env, o->rekey.generation));
    set(env, object, "records", number(env, (double)o->rekey.records));
    set(env, object, "resealed", number(env, (double)o->rekey.resealed));
    set(env, object, "overtaken", number(env, (double)o->rekey.overtaken));
    set(env, object, "large", number(env, (double)o->rekey.large));
    set(env, object, "unreadable", number(env, (double)o->rekey.unreadable));
    set(env, object, "complete", complete);
    return object;
}

void run_erase_subject(struct operation *o) {
    o->status =
        strongroom_tenant_erase_subject(o->handle, (const char *)o->key.data, o->key.size, &o->flag, &o->error);
}

void run_sweep(struct operation *o) {
    o->status = strongroom_engine_sweep(o->handle, (const char *)o->key.data, o->key.size, &o->count, &o->second,
                                        &o->error);
}

void run_health(struct operation *o) {
    strongroom_buffer *json = NULL;
    o->status = strongroom_engine_health(o->handle, NULL, &json, &o->error);
    o->result = json;
}

static void run_tenant(struct operation *o) {
    strongroom_tenant *tenant = NULL;
    if (o->number) {
        strongroom_tenant_options options;
        strongroom_tenant_options_init(&options, sizeof options);
        options.region = (const char *)o->extra.data;
        options.region_size = o->extra.size;
        options.dedicated = o->flag;
        options.policy = &o->policy;
        o->status = strongroom_engine_create_tenant(o->handle, (const char *)o->key.data, o->key.size, &options,
                                                    &tenant, &o->error);
    } else {
        o->status =
            strongroom_engine_tenant(o->handle, (const char *)o->key.data, o->key.size, &tenant, &o->error);
    }
    o->result = tenant;
}

/* tenant(store, name, options | null, later): null opens, options create */
napi_value js_tenant(napi_env env, napi_callback_info info) {
    struct operation *o = operation_of(run_tenant, finish_tenant);
    ARGUMENTS(4)
    o->handle = take(env, arguments[0], STORE);
    if (o->handle == NULL || !take_bytes(env, arguments[1], true, &o->key)) {
        free_operation(o);
        return NULL;
    }
    if (is_object(env, arguments[2])) {
        napi_value region = NULL, policy = NULL;
        o->number = 1;
        o->flag = get_flag(env, arguments[2], "dedicated");
        napi_get_named_property(env, arguments[2], "policy", &policy);
        policy_of(env, policy, &o->policy);
        napi_get_named_property(env, arguments[2], "region", &region);
        if (!take_bytes(env, region, true, &o->extra)) {
            free_operation(o);
            return NULL;
        }
    }
    if (is_later(env, arguments[3])) {
        hold(env, o, arguments, 1);
    }
    return start(env, o, is_later(env, arguments[3]));
}

/* collection(tenant, name) */
void run_collection(struct operation *o) {
    strongroom_collection *collection = NULL;
    o->status = strongroom_tenant_collection(o->handle, (const char *)o->key.data, o->key.size, &collection, &o->error);
    o->result = collection;
}

napi_value finish_collection(napi_env env, struct operation *o) { return give(env, COLLECTION, o->result); }

void run_change_collection(struct operation *o) {
    const char *name = (const char *)o->key.data;
    switch (o->number) {
    case 0: o->status = strongroom_tenant_create_collection(o->handle, name, o->key.size, &o->error); break;
    case 1: o->status = strongroom_tenant_drop_collection(o->handle, name, o->key.size, &o->error); break;
    default:
        o->status = strongroom_tenant_rename_collection(o->handle, name, o->key.size, (const char *)o->extra.data,
                                                        o->extra.size, &o->error);
    }
}

void run_open_tenants(struct operation *o) {
    size_t count = 0;
    o->status = strongroom_engine_open_tenants(o->handle, &count, &o->error);
    o->count = count;
}

/* publishedHealth(path): JSON, and its age in number */
void run_published_health(struct operation *o) {
    strongroom_config *config = NULL;
    strongroom_buffer *json = NULL;
    o->status = strongroom_config_new((const char *)o->key.data, o->key.size, &config, &o->error);
    if (o->status == STRONGROOM_STATUS_OK) {
        o->status = strongroom_config_published_health(config, NULL, &o->count, &json, &o->error);
    }
    strongroom_config_free(config);
    o->result = json;
}

napi_value finish_published_health(napi_env env, struct operation *o) {
    napi_value array = NULL;
    napi_create_array_with_length(env, 2, &array);
    napi_set_element(env, array, 0, buffer_value(env, o->result));
    napi_set_element(env, array, 1, number(env, (double)o->count));
    return array;
}

/* Upkeep. */

void run_close(struct operation *o) { o->status = strongroom_engine_close(o->handle, &o->error); }
void run_flush(struct operation *o) { o->status = strongroom_engine_flush(o->handle, &o->error); }
void run_confirm_clock(struct operation *o) { o->status = strongroom_engine_confirm_clock(o->handle, &o->error); }
void run_tick(struct operation *o) { o->status = strongroom_engine_tick(o->handle, &o->error); }
void run_checkpoint(struct operation *o) { o->status = strongroom_engine_checkpoint(o->handle, &o->error); }

void run_rewrite(struct operation *o) {
    strongroom_rewrite done;
    strongroom_rewrite_init(&done, sizeof done);
    o->status = strongroom_tenant_rewrite(o->handle, NULL, NULL, &done, &o->error);
    o->flag = done.has_file;
}

void run_verify(struct operation *o) {
    strongroom_report *report = NULL;
    if (o->key.data != NULL) {
        o->status = strongroom_engine_verify_tenant(o->handle, (const char *)o->key.data, o->key.size, NULL, NULL,
                                                    &report, &o->error);
    } else {
        o->status = strongroom_engine_verify(o->handle, NULL, NULL, &report, &o->error);
    }
    o->result = report;
}
