//! `strongroom index` and `find`.

use serde_json::{Value, json};
use strongroom::{Collection, Entry, Index as Kind, IndexInfo, ScanOptions};

use crate::args::{Find, Global, Index};
use crate::console::{self, Output};
use crate::failure::Outcome;
use crate::record::print_scan;
use crate::store::with_store;
use crate::text;

/// Declares, builds, lists and drops indexes.
pub(crate) fn run(global: &Global, command: &Index) -> Outcome {
    let json = global.json;
    with_store(global, |engine| match command {
        Index::Declare { tenant, collection, name, unique, .. } => {
            let collection = engine.tenant(tenant)?.collection(collection)?;
            collection.declare_index(name, if *unique { Kind::unique() } else { Kind::ordered() })?;
            let info = collection.indexes()?.into_iter().find(|info| info.name == *name);
            let hint = if info.as_ref().is_some_and(|info| info.is_ready) {
                ""
            } else {
                " The collection has records: build it before it can be searched."
            };
            let value = info.as_ref().map(to_json);
            console::print(json, &value, format_args!("Declared the index {name}.{hint}"))
        }
        Index::Build { tenant, collection, name, field } => {
            let collection = engine.tenant(tenant)?.collection(collection)?;
            let built = collection.build_index(name, &mut |entry| Ok(key_in(entry, field)), &mut |_| {})?;
            let text = format_args!("Built: {} got a key.", text::counted(built, "record"));
            console::print(json, &json!({"records": built}), text)
        }
        Index::List { tenant, collection } => list(&engine.tenant(tenant)?.collection(collection)?, json),
        Index::Drop { tenant, collection, name } => {
            engine.tenant(tenant)?.collection(collection)?.drop_index(name)?;
            console::print(json, &json!({"name": name}), format_args!("Dropped the index {name}."))
        }
    })
}

/// The text of a field of a value.
fn key_in(entry: &Entry, field: &str) -> Vec<Vec<u8>> {
    let value = entry.value.as_deref().and_then(|value| serde_json::from_slice::<Value>(value).ok());
    let key = value.as_ref().and_then(|value| value.get(field)?.as_str());
    key.filter(|key| !key.is_empty()).map(|key| key.as_bytes().to_vec()).into_iter().collect()
}

fn list(collection: &Collection, json: bool) -> Outcome {
    let indexes = collection.indexes()?;
    let mut output = Output::new();
    if json {
        output.json(&indexes.iter().map(to_json).collect::<Vec<_>>())?;
    } else {
        for info in &indexes {
            let state = if info.is_ready { "ready" } else { "to be built" };
            output.line(format_args!(
                "{:<7}  {state:<11}  {}  {}",
                kind(info),
                text::time(info.created_ms),
                info.name
            ))?;
        }
    }
    output.flush()
}

fn kind(info: &IndexInfo) -> &'static str {
    if info.index.is_unique() { "unique" } else { "ordered" }
}

fn to_json(info: &IndexInfo) -> Value {
    json!({"name": info.name, "kind": kind(info), "ready": info.is_ready, "created_ms": info.created_ms})
}

/// Finds records by their keys in an index.
pub(crate) fn find(global: &Global, find: &Find) -> Outcome {
    let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    let mut options = ScanOptions::new().reverse(find.reverse).keys_only(find.keys_only);
    options = match (bytes(&find.key), bytes(&find.from), bytes(&find.to)) {
        (Some(key), ..) => options.range(key.clone()..=key),
        (None, Some(from), Some(to)) => options.range(from..to),
        (None, Some(from), None) => options.range(from..),
        (None, None, Some(to)) => options.range(..to),
        (None, None, None) => options,
    };
    if let Some(prefix) = &find.prefix {
        options = options.prefix(prefix);
    }
    if let Some(limit) = find.limit {
        options = options.limit(limit);
    }
    if let Some(cursor) = &find.after {
        options = options.after(cursor);
    }
    with_store(global, |engine| {
        let collection = engine.tenant(&find.tenant)?.collection(&find.collection)?;
        print_scan(collection.find_range(&find.index, options)?, false, find.keys_only, find.cursor)
    })
}
