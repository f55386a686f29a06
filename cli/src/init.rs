//! `strongroom init`.

use serde_json::json;
use strongroom::{Engine, RegionPaths};

use crate::args::{Global, Init};
use crate::console;
use crate::failure::Outcome;
use crate::store;

/// Makes a store.
pub(crate) fn run(global: &Global, init: &Init) -> Outcome {
    let mut config = store::config(global)?;
    for (name, directory) in &init.regions {
        config = config.region(name, RegionPaths::new(directory));
    }
    let engine = Engine::create(config)?;
    let id = engine.store_id();
    engine.close()?;
    let (root, keys) = (global.store().display(), store::key_store(global));
    let regions: Vec<_> = init.regions.iter().map(|(name, _)| name).collect();
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
        format_args!("Made the store {root}, with its key store {}.\n{advice}", keys.display()),
    )
}
