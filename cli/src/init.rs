//! `strongroom init`.

use std::path::PathBuf;

use serde_json::json;
use strongroom::{Config, Engine, ErrorKind};

use crate::args::{Global, Init};
use crate::console;
use crate::failure::{Failure, Outcome};
use crate::store;

/// Makes a store.
pub(crate) fn run(global: &Global, init: &Init) -> Outcome {
    let config = store::with_regions(store::config(global)?, &init.regions)?;
    let absent: Vec<_> = places(global, &config).into_iter().filter(|place| !place.exists()).collect();
    let keys = config.regions().next().map(|(_, paths)| paths.keys.clone()).unwrap_or_default();
    let regions: Vec<_> = config.regions().skip(1).map(|(name, _)| name.to_owned()).collect();
    let engine = Engine::create(config).map_err(|error| with_remains(error.into(), &absent))?;
    let id = engine.store_id();
    engine.close()?;
    let secret = global.passphrase_file.is_none().then(|| store::root_key(global));
    let advice = match &secret {
        None => "Its keys are wrapped under your passphrase: without it nobody reads the store.".to_owned(),
        Some(path) => format!(
            "Its root key is {}: keep a copy somewhere safe, without it nobody reads the store.",
            path.display()
        ),
    };
    console::print(
        global.json,
        &json!({"store_id": id.to_string(), "store": global.store(), "keys": keys, "root_key": secret, "regions": regions}),
        format_args!(
            "Made the store {}, with its key store {}.\n{advice}",
            global.store().display(),
            keys.display()
        ),
    )
}

/// Everything that `init` makes.
fn places(global: &Global, config: &Config) -> Vec<PathBuf> {
    let directories = config.regions().flat_map(|(_, paths)| [paths.root.clone(), paths.keys.clone()]);
    std::iter::once(store::root_key(global)).chain(directories).collect()
}

/// A failure that also says what the attempt has left: the next one would refuse to make anything over it.
fn with_remains(failure: Failure, absent: &[PathBuf]) -> Failure {
    let remains: Vec<_> =
        absent.iter().filter(|place| place.exists()).map(|place| place.display().to_string()).collect();
    // What is there already may be another process's, made meanwhile.
    if remains.is_empty() || failure.kind() == ErrorKind::AlreadyExists {
        return failure;
    }
    failure
        .followed_by(format_args!("before another attempt remove what this one left: {}", remains.join(", ")))
}
