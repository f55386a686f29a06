/* What may be erased, when, and the proof of it; a tenant's life; wrapping keys anew; records that nothing retains. */
#include "addon.h"

/* A policy as it is named in JavaScript, with numbers for words; what is no object is the policy that limits nothing. */
void policy_of(napi_env env, napi_value value, strongroom_policy *policy) {
    strongroom_policy_init(policy, sizeof *policy);
    if (!is_object(env, value)) {
        return;
    }
    policy->retention_ms = (uint64_t)get_number(env, value, "retentionMs");
    policy->maximum_ms = (uint64_t)get_number(env, value, "maximumMs");
    policy->removal_window_ms = (uint64_t)get_number(env, value, "removalWindowMs");
    policy->minimum_ms = (uint64_t)get_number(env, value, "minimumMs");
    policy->erased_within_ms = (uint64_t)get_number(env, value, "erasedWithinMs");
    policy->overwrite = (uint32_t)get_number(env, value, "overwrite");
    policy->secret = (uint32_t)get_number(env, value, "secret");
    policy->erasure = (uint32_t)get_number(env, value, "erasure");
    policy->zero_retention = (uint32_t)get_number(env, value, "zeroRetention");
}

void run_set_policy(struct operation *o) {
    o->status = o->other != NULL ? strongroom_collection_set_policy(o->other, &o->policy, &o->error)
                                 : strongroom_tenant_set_policy(o->handle, &o->policy, &o->error);
}

void run_get_policy(struct operation *o) {
    strongroom_policy_init(&o->policy, sizeof o->policy);
    o->status = o->other != NULL ? strongroom_collection_get_policy(o->other, &o->policy, &o->error)
                                 : strongroom_tenant_get_policy(o->handle, &o->policy, &o->error);
}

napi_value finish_policy(napi_env env, struct operation *o) {
    napi_value object = NULL;
    napi_create_object(env, &object);
    set(env, object, "retentionMs", number(env, (double)o->policy.retention_ms));
    set(env, object, "maximumMs", number(env, (double)o->policy.maximum_ms));
    set(env, object, "removalWindowMs", number(env, (double)o->policy.removal_window_ms));
    set(env, object, "minimumMs", number(env, (double)o->policy.minimum_ms));
    set(env, object, "erasedWithinMs", number(env, (double)o->policy.erased_within_ms));
    set(env, object, "overwrite", number(env, o->policy.overwrite));
    set(env, object, "secret", number(env, o->policy.secret));
    set(env, object, "erasure", number(env, o->policy.erasure));
    set(env, object, "zeroRetention", number(env, o->policy.zero_retention));
    return object;
}

/* applyPolicies(tenant, records, records a second, bytes, bytes a second): what it did, as a rekey's numbers */
void run_apply_policies(struct operation *o) {
    strongroom_rekey_options options;
    strongroom_policy_report report;
    strongroom_policy_report_init(&report, sizeof report);
    rekey_options(o, &options);
    o->status = strongroom_tenant_apply_policies(o->handle, &options, NULL, NULL, &report, &o->error);
    strongroom_rekey_init(&o->rekey, sizeof o->rekey);
    o->rekey.records = report.records;
    o->rekey.resealed = report.changed;
    o->rekey.large = report.large;
    o->rekey.unreadable = report.unreadable;
    o->rekey.is_complete = report.is_complete;
}

void run_policies_pending(struct operation *o) {
    o->status = strongroom_tenant_policies_pending_since(o->handle, &o->count, &o->error);
}

/* What was erased or swept, and what is held. */
napi_value finish_erased(napi_env env, struct operation *o) {
    napi_value object = NULL;
    napi_create_object(env, &object);
    set(env, object, "records", number(env, (double)o->count));
    set(env, object, "held", number(env, (double)o->second));
    return object;
}

/* hold(tenant, name, kind, of | null, key | null) */
void run_hold(struct operation *o) {
    strongroom_selector selector;
    strongroom_selector_init(&selector, sizeof selector);
    selector.kind = (uint32_t)o->number;
    selector.name = (const char *)o->extra.data;
    selector.name_size = o->extra.size;
    selector.key = o->third.data;
    selector.key_size = o->third.size;
    o->status = strongroom_tenant_hold(o->handle, (const char *)o->key.data, o->key.size, &selector, &o->error);
}

void run_release_hold(struct operation *o) {
    o->status = strongroom_tenant_release_hold(o->handle, (const char *)o->key.data, o->key.size, &o->error);
}

/* subjectRecords(tenant, subject) */
void run_subject_records(struct operation *o) {
    strongroom_list *list = NULL;
    o->status =
        strongroom_tenant_subject_records(o->handle, (const char *)o->key.data, o->key.size, &list, &o->error);
    o->result = list;
    o->count = SUBJECT_RECORD_ROW;
}

void run_receipt(struct operation *o) {
    strongroom_receipt_info_init(&o->receipt, sizeof o->receipt);
    o->status = strongroom_tenant_receipt(o->handle, &o->receipt, &o->error);
}

napi_value finish_receipt(napi_env env, struct operation *o) { return row_value(env, RECEIPT_ROW, &o->receipt); }

void run_scrub(struct operation *o) {
    o->status = strongroom_tenant_scrub(o->handle, NULL, NULL, &o->version, &o->error);
}

void run_horizon(struct operation *o) {
    strongroom_horizon_init(&o->horizon, sizeof o->horizon);
    o->status = strongroom_tenant_get_horizon(o->handle, &o->horizon, &o->error);
}

napi_value finish_horizon(napi_env env, struct operation *o) {
    napi_value object = NULL;
    napi_create_object(env, &object);
    set(env, object, "dataCopiesMs", number(env, (double)o->horizon.data_copies_ms));
    set(env, object, "keyCopiesMs", number(env, (double)o->horizon.key_copies_ms));
    return object;
}

/* changeTenant(store, what, name, to | null) */
void run_change_tenant(struct operation *o) {
    const char *name = (const char *)o->key.data;
    size_t size = o->key.size;
    switch (o->number) {
    case 0: o->status = strongroom_engine_suspend_tenant(o->handle, name, size, &o->error); break;
    case 1: o->status = strongroom_engine_resume_tenant(o->handle, name, size, &o->error); break;
    case 2: o->status = strongroom_engine_restore_tenant(o->handle, name, size, &o->error); break;
    case 3: o->status = strongroom_engine_erase_tenant(o->handle, name, size, &o->error); break;
    default:
        o->status = strongroom_engine_rename_tenant(o->handle, name, size, (const char *)o->extra.data, o->extra.size,
                                                    &o->error);
    }
}

/* removeTenant(store, name, window): when it is erased */
void run_remove_tenant(struct operation *o) {
    o->status = strongroom_engine_remove_tenant(o->handle, (const char *)o->key.data, o->key.size, o->number, &o->count,
                                                &o->error);
}

/* moveTenant(store, name, region, flags) */
void run_move_tenant(struct operation *o) {
    o->status = strongroom_engine_move_tenant(o->handle, (const char *)o->key.data, o->key.size,
                                              (const char *)o->extra.data, o->extra.size, (uint32_t)o->number, NULL,
                                              NULL, &o->error);
}

void run_key_provider(struct operation *o) {
    strongroom_buffer *name = NULL;
    o->status = strongroom_tenant_key_provider(o->handle, &name, &o->error);
    o->result = name;
}

/* rewrap(tenant, provider | null) */
void run_rewrap(struct operation *o) {
    o->status = strongroom_tenant_rewrap(o->handle, (const char *)o->key.data, o->key.size, &o->error);
}

/* rewrapAll(store, from, to): how many */
void run_rewrap_all(struct operation *o) {
    o->status = strongroom_engine_rewrap(o->handle, (const char *)o->key.data, o->key.size,
                                         (const char *)o->extra.data, o->extra.size, &o->count, &o->error);
}

void run_session(struct operation *o) {
    strongroom_session *session = NULL;
    o->status = strongroom_tenant_session(o->handle, &session, &o->error);
    o->result = session;
}

napi_value finish_session(napi_env env, struct operation *o) { return give(env, SESSION, o->result); }

/* sessionPut(session, collection, key, value) */
void run_session_put(struct operation *o) {
    o->status = strongroom_session_put(o->handle, o->other, o->key.data, o->key.size, o->extra.data, o->extra.size,
                                       &o->error);
}

void run_session_get(struct operation *o) {
    strongroom_buffer *value = NULL;
    o->status = strongroom_session_get(o->handle, o->other, o->key.data, o->key.size, &value, &o->error);
    o->result = value;
}

void run_session_erase(struct operation *o) {
    o->status = strongroom_session_erase(o->handle, o->other, o->key.data, o->key.size, &o->flag, &o->error);
}

/* sessionScan(session, collection, from | null, to | null) */
void run_session_scan(struct operation *o) {
    strongroom_page *page = NULL;
    o->status = strongroom_session_scan(o->handle, o->other, o->key.data, o->key.size, o->extra.data, o->extra.size,
                                        &page, &o->error);
    o->result = page;
}

void run_session_count(struct operation *o) {
    o->status = strongroom_session_count(o->handle, &o->count, &o->error);
}

/* renewSectionKeys(store, name) */
void run_renew_section_keys(struct operation *o) {
    o->status = strongroom_engine_renew_section_keys(o->handle, (const char *)o->key.data, o->key.size, &o->error);
}
