//! Opens the store that the arguments name, and closes it.

use std::ffi::OsString;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use strongroom::{Config, Engine, ErrorKind, KeyFile, Names, RegionPaths};

use crate::args::{Freshness, Global};
use crate::failure::{Failure, Outcome};
use crate::passphrase;

/// Opens the store, does `work` with it, and closes it.
pub(crate) fn with_store<T>(global: &Global, work: impl FnOnce(&Engine) -> Outcome<T>) -> Outcome<T> {
    with_engine(global, Engine::open(config(global)?)?, work)
}

/// Does `work` with an open store, and closes it whatever came of it. What closing complains of is said, and changes
/// nothing of the work: what was read was right, and what was put is durable.
pub(crate) fn with_engine<T>(
    global: &Global,
    engine: Engine,
    work: impl FnOnce(&Engine) -> Outcome<T>,
) -> Outcome<T> {
    let outcome = work(&engine);
    if let Err(error) = engine.close() {
        Failure::from(error).within("closing the store").report(global.json);
    }
    outcome
}

/// The settings that the arguments describe. Reads the file of settings, and touches nothing else.
pub(crate) fn settings(global: &Global) -> Outcome<Config> {
    let mut config = Config::new(global.store());
    if let Some(path) = &global.config {
        config = config.read(path)?;
    }
    if let Some(freshness) = global.freshness {
        config = config.freshness(match freshness {
            Freshness::Standard => strongroom::Freshness::Standard,
            Freshness::Full => strongroom::Freshness::Full,
        });
    }
    if let Some(keys) = &global.keys {
        config = config.keys(keys);
    }
    if global.maintenance {
        config = config.maintenance(if global.names { Names::Shown } else { Names::Digests });
    } else if global.names {
        let message = "names are shown anyway: --names goes with --maintenance";
        return Err(Failure::new(ErrorKind::InvalidArgument, message));
    }
    with_regions(config, &global.moved_regions)
}

/// The configuration that the arguments describe. Reads the passphrase's file besides.
pub(crate) fn config(global: &Global) -> Outcome<Config> {
    let mut config = settings(global)?;
    for (name, path) in &global.key_files {
        config = config.key_provider(name, KeyFile::at(path));
    }
    Ok(match &global.passphrase_file {
        Some(path) => config.key_provider("default", passphrase::read(path)?),
        None => config.key_provider("default", KeyFile::at(root_key(global))),
    })
}

/// The configuration with the regions that an option names, none of them twice.
pub(crate) fn with_regions(mut config: Config, regions: &[(String, PathBuf)]) -> Outcome<Config> {
    for (index, (name, directory)) in regions.iter().enumerate() {
        if regions[..index].iter().any(|(other, _)| other == name) {
            let message = format!("the region '{name}' was given twice: give it one directory");
            return Err(Failure::new(ErrorKind::InvalidArgument, message));
        }
        config = config.region(name, RegionPaths::new(directory));
    }
    Ok(config)
}

/// Where the root key is.
pub(crate) fn root_key(global: &Global) -> PathBuf {
    global.root_key.clone().unwrap_or_else(|| beside(global.store(), ".root-key"))
}

/// `path` with `suffix` appended to its last component.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let text = path.to_string_lossy();
    let trimmed = text.trim_end_matches(MAIN_SEPARATOR);
    let mut name =
        if trimmed.len() < text.len() && !trimmed.is_empty() { OsString::from(trimmed) } else { path.into() };
    name.push(suffix);
    name.into()
}
