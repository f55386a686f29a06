//! `strongroom quota`.

use serde_json::{Value, json};
use strongroom::{Engine, Quota as Bounds, Usage};

use crate::args::{Global, Quota};
use crate::console;
use crate::failure::Outcome;
use crate::store::with_store;
use crate::text;

/// Sets and shows quotas.
pub(crate) fn run(global: &Global, command: &Quota) -> Outcome {
    with_store(global, |engine| match command {
        Quota::Set { tenant, collection, records, bytes, .. } => {
            let quota = records.iter().fold(Bounds::new(), |quota, records| quota.records(*records));
            let quota = bytes.iter().fold(quota, |quota, bytes| quota.bytes(*bytes));
            let handle = engine.tenant(tenant)?;
            match collection {
                Some(name) => handle.collection(name)?.set_quota(quota)?,
                None => handle.set_quota(quota)?,
            }
            show(engine, global.json, tenant, collection.as_deref())
        }
        Quota::Show { tenant, collection } => show(engine, global.json, tenant, collection.as_deref()),
    })
}

fn show(engine: &Engine, json: bool, tenant: &str, collection: Option<&str>) -> Outcome {
    let handle = engine.tenant(tenant)?;
    let (quota, usage) = match collection {
        Some(name) => {
            let collection = handle.collection(name)?;
            (collection.quota()?, collection.usage()?)
        }
        None => (handle.quota()?, handle.usage()?),
    };
    let of = |bound: Option<u64>| bound.map_or("any number".to_owned(), text::grouped);
    console::print(
        json,
        &to_json(quota, usage),
        format_args!(
            "records  {} of {}\nbytes    {} of {}",
            text::grouped(usage.records),
            of(quota.records_max()),
            text::grouped(usage.bytes),
            of(quota.bytes_max())
        ),
    )
}

fn to_json(quota: Bounds, usage: Usage) -> Value {
    json!({
        "records": usage.records,
        "records_max": quota.records_max(),
        "bytes": usage.bytes,
        "bytes_max": quota.bytes_max(),
    })
}
