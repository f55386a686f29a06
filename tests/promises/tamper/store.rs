//! The store that is tampered with, where its parts lie (FORMAT.md sections 2, 4 and 5), and a reading of everything
//! in it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use strongroom::simulation::{Disk, SimDisk};
use strongroom::{Config, Engine, ErrorKind, Tenant, TenantOptions};

use crate::support::{
    config, config_on, counting_panics, fill_and, key_of, kind_of, read_all, scan_all, value_of,
};

/// Bytes of a block.
pub(super) const BLOCK: u64 = 4_096;
/// Bytes of an entry of a tag block.
pub(super) const ENTRY: u64 = 64;
/// The tenants and how many records each has.
pub(super) const TENANTS: [(&str, usize); 2] = [("acme", 40), ("globex", 16)];

/// Puts everything into the tenants' files and closes the store: what these tests damage are the files.
pub(super) fn close(engine: Engine) {
    engine.checkpoint().unwrap();
    engine.close().unwrap();
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// The catalog.
    System,
    /// One of [`TENANTS`].
    Tenant(usize),
}

impl Owner {
    pub(super) const ALL: [Self; 3] = [Self::System, Self::Tenant(0), Self::Tenant(1)];
}

/// The files of one owner.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    pub(super) owner: Owner,
    pub(super) id: String,
    pub(super) data: Arc<Path>,
    pub(super) keyring: Arc<Path>,
}

/// A store that was cleanly closed.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) disk: SimDisk,
    /// In the order of [`Owner::ALL`].
    pub(super) holdings: Vec<Holding>,
}

impl Store {
    /// Makes it, each batch a commit of the tenant's file.
    pub(super) fn new() -> Self {
        let disk = SimDisk::new();
        let engine = Engine::create(config(&disk, 1)).unwrap();
        for (name, count) in TENANTS {
            let tenant = engine.create_tenant(name, TenantOptions::new()).unwrap();
            fill_and(&tenant, count, || tenant.checkpoint()).unwrap();
        }
        close(engine);
        Self::found_on(disk)
    }

    /// The store on a disk.
    pub(super) fn found_on(disk: SimDisk) -> Self {
        let engine = Engine::open(config(&disk.snapshot(), 2)).unwrap();
        let mut ids = vec![(Owner::System, engine.store_id().to_string())];
        for (index, (name, _)) in TENANTS.into_iter().enumerate() {
            ids.push((Owner::Tenant(index), engine.tenant_info(name).unwrap().id.to_string()));
        }
        let find = |id: &str, extension: &str| -> Arc<Path> {
            let paths = disk.paths();
            let mut found = paths.iter().filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                name.starts_with(id) && name.ends_with(extension)
            });
            let path = found.next().unwrap().as_path().into();
            assert_eq!(found.next(), None, "one file of a kind for each owner");
            path
        };
        let holdings = ids.into_iter().map(|(owner, id)| Holding {
            owner,
            data: find(&id, ".redb"),
            keyring: find(&id, ".keyring"),
            id,
        });
        Self { holdings: holdings.collect(), disk }
    }

    pub(super) fn holding(&self, owner: Owner) -> &Holding {
        self.holdings.iter().find(|holding| holding.owner == owner).unwrap()
    }

    /// Every allocated byte of a file: what was written and lies before its end.
    pub(super) fn allocated(&self, path: &Path) -> Vec<Range<u64>> {
        let length = self.disk.read_file(path).unwrap().len() as u64;
        let ranges = self.disk.allocated_ranges(path).unwrap();
        ranges.into_iter().map(|range| range.start..range.end.min(length)).collect()
    }
}

/// What a physical block of a sealed file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Header,
    Root,
    Tags,
    Data,
}

/// FORMAT.md section 5.
pub(super) fn role(physical: u64) -> Role {
    match physical {
        0 => Role::Header,
        1 | 2 => Role::Root,
        _ if (physical - 3).is_multiple_of(65) => Role::Tags,
        _ => Role::Data,
    }
}

/// Where the entry of a physical block of role data begins in the file.
pub(super) fn entry_of(physical: u64) -> u64 {
    let (group, index) = ((physical - 3) / 65, (physical - 3) % 65 - 1);
    (3 + 65 * group) * BLOCK + index * ENTRY
}

/// What reading all of one tenant gave. That nothing in it is wrong is known already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Whether the tenant could not even be opened.
    pub(super) refused: bool,
    /// The records that gave an error.
    pub(super) damaged: BTreeSet<usize>,
    pub(super) kinds: BTreeSet<ErrorKind>,
}

impl Reading {
    pub(super) fn is_whole(&self) -> bool {
        *self == Self::default()
    }
}

/// What opening a store and reading everything gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// Why it does not open, if it does not.
    pub(super) refused: Option<ErrorKind>,
    /// Why the tenants can't be listed, if they can't.
    pub(super) unlisted: Option<ErrorKind>,
    pub(super) tenants: [Reading; 2],
    /// Why it does not close cleanly, if it does not.
    pub(super) unclosed: Option<ErrorKind>,
    /// Panics that the engine caught.
    pub(super) panics: usize,
}

impl Whole {
    pub(super) fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// The kinds of all errors.
    pub(super) fn kinds(&self) -> BTreeSet<ErrorKind> {
        let of_tenants = self.tenants.iter().flat_map(|reading| reading.kinds.clone());
        of_tenants.chain(self.refused).chain(self.unlisted).chain(self.unclosed).collect()
    }
}

/// Opens a store, reads every record of both tenants by get, `contains` and a scan in each direction.
///
/// # Errors
/// What must never happen: a wrong value, a missing record, a tenant or collection that is not listed, an error that
/// is gone when the same thing is read in another way.
pub(super) fn read_whole(disk: &Arc<dyn Disk>) -> Result<Whole, String> {
    read_whole_as(config_on(disk, 2), || ())
}

/// [`read_whole`] with a configuration, and something to do when all is read, before the store is closed.
pub(super) fn read_whole_as(config: Config, when_read: impl FnOnce()) -> Result<Whole, String> {
    let (read, panics) = counting_panics(|| -> Result<Whole, String> {
        let mut whole = Whole::default();
        let engine = match Engine::open(config) {
            Ok(engine) => engine,
            Err(error) => {
                whole.refused = Some(kind_of(&error));
                when_read();
                return Ok(whole);
            }
        };
        match engine.tenants() {
            Ok(tenants) if tenants.iter().map(|info| &*info.name).ne(TENANTS.map(|(name, _)| name)) => {
                return Err(format!("the catalog lists {} tenants", tenants.len()));
            }
            Ok(_) => {}
            Err(error) => whole.unlisted = Some(kind_of(&error)),
        }
        for ((name, count), reading) in TENANTS.into_iter().zip(&mut whole.tenants) {
            *reading = match engine.tenant(name) {
                Ok(tenant) => read_tenant(&tenant, count)?,
                Err(error) => Reading {
                    refused: true,
                    damaged: (0..count).collect(),
                    kinds: BTreeSet::from([kind_of(&error)]),
                },
            };
        }
        when_read();
        whole.unclosed = engine.close().err().map(|error| kind_of(&error));
        Ok(whole)
    });
    read.map(|whole| Whole { panics, ..whole })
}

/// Reads all records of a tenant in every way.
pub(super) fn read_tenant(tenant: &Tenant, count: usize) -> Result<Reading, String> {
    let mut reading = Reading::default();
    match tenant.collections() {
        Ok(collections) if collections.len() != 1 => {
            return Err(format!("{} collections are listed", collections.len()));
        }
        Ok(_) => {}
        Err(error) => drop(reading.kinds.insert(kind_of(&error))),
    }
    for index in 0..count {
        if let Err(kind) = get(tenant, index)? {
            reading.damaged.insert(index);
            reading.kinds.insert(kind);
        }
    }
    for reverse in [false, true] {
        let scanned = scan_all(tenant, count, reverse);
        if scanned.wrong > 0 || scanned.right + scanned.refused != count {
            return Err(format!("a scan (reverse: {reverse}) gave {scanned:?}"));
        }
        if (scanned.refused == 0) != reading.damaged.is_empty() {
            return Err(format!("get refused {:?}, but a scan gave {scanned:?}", reading.damaged));
        }
        reading.kinds.extend(scanned.kinds);
    }
    Ok(reading)
}

/// Gets one record; where that fails also by `contains`, which must not say that it is not there.
pub(super) fn get(tenant: &Tenant, index: usize) -> Result<Result<(), ErrorKind>, String> {
    let got = get_only(tenant, index)?;
    let documents = tenant.collection("documents").map_err(|error| error.to_string())?;
    if got.is_err() && matches!(documents.contains(key_of(index)), Ok(false)) {
        return Err(format!("record {index} is said not to be there after {got:?}"));
    }
    Ok(got)
}

/// Gets one record.
pub(super) fn get_only(tenant: &Tenant, index: usize) -> Result<Result<(), ErrorKind>, String> {
    let documents = tenant.collection("documents").map_err(|error| error.to_string())?;
    match documents.get(key_of(index)) {
        Ok(Some(value)) if *value == value_of(tenant.name(), index)[..] => Ok(Ok(())),
        Ok(Some(_)) => Err(format!("record {index} has a wrong value")),
        Ok(None) => Err(format!("record {index} is missing")),
        Err(error) => Ok(Err(kind_of(&error))),
    }
}

/// [`read_all`] of a tenant, where nothing may be wrong.
pub(super) fn assert_reads_all(tenant: &Tenant, count: usize) {
    let readings = read_all(tenant, count);
    assert_eq!((readings.right, readings.wrong), (count, 0), "{readings:?}");
}
