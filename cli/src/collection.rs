//! `strongroom collection`.

use serde_json::{Value, json};
use strongroom::{CollectionInfo, Tenant, Usage};

use crate::args::{Collection, Global};
use crate::console::{self, Output};
use crate::failure::Outcome;
use crate::store::with_store;
use crate::text;

/// Makes, lists, renames and drops collections.
pub(crate) fn run(global: &Global, command: &Collection) -> Outcome {
    let json = global.json;
    match command {
        Collection::Create { tenant, name } => with_store(global, |engine| {
            engine.tenant(tenant)?.create_collection(name)?;
            console::print(json, &json!({"name": name}), format_args!("Made the collection {name}."))
        }),
        Collection::List { tenant } => with_store(global, |engine| list(&engine.tenant(tenant)?, json)),
        Collection::Rename { tenant, from, to } => with_store(global, |engine| {
            engine.tenant(tenant)?.rename_collection(from, to)?;
            console::print(json, &json!({"name": to}), format_args!("The collection {from} is {to} now."))
        }),
        Collection::Drop { tenant, name } => with_store(global, |engine| {
            engine.tenant(tenant)?.drop_collection(name)?;
            let text = format_args!("Dropped the collection {name}, and all of its records.");
            console::print(json, &json!({"name": name}), text)
        }),
    }
}

fn list(tenant: &Tenant, json: bool) -> Outcome {
    let mut output = Output::new();
    let mut listed = Vec::new();
    for info in tenant.collections()? {
        let usage = tenant.collection(&info.name)?.usage()?;
        if json {
            listed.push(to_json(&info, usage));
        } else {
            let (records, bytes) = (text::grouped(usage.records), text::size(usage.bytes));
            let created = text::time(info.created_ms);
            output.line(format_args!("{}  {created}  {records:>12}  {bytes:>10}  {}", info.id, info.name))?;
        }
    }
    if json {
        output.json(&listed)?;
    }
    output.flush()
}

fn to_json(info: &CollectionInfo, usage: Usage) -> Value {
    json!({
        "name": info.name,
        "id": info.id.to_string(),
        "created_ms": info.created_ms,
        "records": usage.records,
        "bytes": usage.bytes,
    })
}
