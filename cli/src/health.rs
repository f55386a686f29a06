//! `strongroom health`.

use std::time::Duration;

use serde_json::Value;
use strongroom::{Engine, ErrorKind, PublishedHealth};

use crate::args::Global;
use crate::console;
use crate::failure::{Failure, Outcome};
use crate::store;

/// What a holder published is renewed each second: older than this, the holder hangs or is gone.
const FRESH: Duration = Duration::from_secs(10);

/// Tells how the store does: as its holder published it, or, where nobody holds it, as it is found.
pub(crate) fn run(global: &Global) -> Outcome {
    let settings = store::settings(global)?;
    let published = settings.published_health().ok();
    if let Some(PublishedHealth { json, good, .. }) = published.as_ref().filter(|found| found.age < FRESH) {
        return tell(global, json, *good);
    }
    let engine = Engine::open(store::config(global)?).map_err(|error| {
        let (is_busy, failure) = (error.kind() == ErrorKind::Busy, Failure::from(error));
        match published.filter(|_| is_busy) {
            Some(PublishedHealth { age, .. }) => failure
                .followed_by(format_args!("it has told nothing of itself for {} seconds", age.as_secs())),
            None => failure,
        }
    })?;
    store::with_engine(global, engine, |engine| {
        let health = engine.health()?;
        tell(global, &health.to_json(), health.is_good())
    })
}

fn tell(global: &Global, json: &str, is_good: bool) -> Outcome {
    let health: Value = serde_json::from_str(json)
        .map_err(|_| Failure::new(ErrorKind::Corrupted, "what was published is no JSON"))?;
    let lines = |name: &str| -> Vec<&str> {
        health[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let text = if is_good { "Nothing is wrong.".to_owned() } else { lines("problems").join("\n") };
    console::print(global.json, &health, format_args!("{text}"))?;
    if is_good {
        return Ok(());
    }
    Err(Failure::new(ErrorKind::Unavailable, "something is wrong with the store"))
}
