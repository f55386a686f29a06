//! `strongroom hold`.

use serde_json::{Value, json};
use strongroom::{ErrorKind, HoldInfo, Selector};

use crate::args::{Global, Hold};
use crate::console::{self, Output};
use crate::failure::{Failure, Outcome};
use crate::store::with_store;
use crate::text::{argument_bytes, text_or_base64, time};

/// Places, lists and releases holds.
pub(crate) fn run(global: &Global, command: &Hold) -> Outcome {
    let json = global.json;
    match command {
        Hold::Place { tenant, name, collection, prefix, prefix_base64, key, key_base64, subject } => {
            let selector = match (collection, prefix, key, subject) {
                (None, _, _, None) => Selector::Tenant,
                (None, _, _, Some(subject)) => Selector::subject(subject),
                (Some(collection), Some(prefix), _, _) => {
                    Selector::prefix(collection, argument_bytes("the prefix", prefix, *prefix_base64)?)
                }
                (Some(collection), None, Some(key), _) => {
                    Selector::record(collection, argument_bytes("the key", key, *key_base64)?)
                }
                (Some(collection), None, None, _) => Selector::collection(collection),
            };
            with_store(global, |engine| Ok(engine.tenant(tenant)?.hold(name, selector)?))?;
            console::print(json, &json!({"name": name}), format_args!("Placed the hold {name}."))
        }
        Hold::List { tenant } => {
            let holds = with_store(global, |engine| Ok(engine.tenant(tenant)?.holds()?))?;
            list(json, &holds)
        }
        Hold::Release { tenant, name, yes } => {
            let question = format_args!("Release the hold {name}, and let what is overdue go?");
            console::confirm(*yes, question)?;
            with_store(global, |engine| Ok(engine.tenant(tenant)?.release_hold(name)?))?;
            console::print(json, &json!({"name": name}), format_args!("Released the hold {name}."))
        }
    }
}

fn list(json: bool, holds: &[HoldInfo]) -> Outcome {
    let mut output = Output::new();
    let lines = holds.iter().map(to_json).collect::<Outcome<Vec<_>>>()?;
    if json {
        output.json(&lines)?;
    } else {
        for (info, value) in holds.iter().zip(&lines) {
            let covers = &value["covers"];
            output.line(format_args!("{}  {}  {covers}", time(info.placed_ms), info.name))?;
        }
    }
    output.flush()
}

fn to_json(info: &HoldInfo) -> Outcome<Value> {
    let with_bytes = |collection: &String, name: &str, bytes: &[u8]| match text_or_base64(bytes) {
        (Some(text), _) => json!({"collection": collection, name: text}),
        (None, base64) => json!({"collection": collection, format!("{name}_base64"): base64}),
    };
    let covers = match &info.selector {
        Selector::Tenant => json!("all"),
        Selector::Collection(collection) => json!({"collection": collection}),
        Selector::Prefix { collection, prefix } => with_bytes(collection, "prefix", prefix),
        Selector::Record { collection, key } => with_bytes(collection, "key", key),
        Selector::Subject(subject) => json!({"subject": subject}),
        _ => return Err(Failure::new(ErrorKind::UnsupportedFormat, "a hold of a newer version")),
    };
    Ok(json!({"name": info.name, "placed_ms": info.placed_ms, "covers": covers}))
}
