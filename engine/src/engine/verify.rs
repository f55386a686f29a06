//! Verification of a whole store: the keyrings, the journals, every block, table and record of every tenant, and files that
//! belong to nothing.

use std::collections::HashSet;
use std::fmt;

use crate::disk::FileKind;
use crate::engine::catalog::{TENANT_ID, row_key};
use crate::engine::config::DEFAULT_REGION;
use crate::engine::region::{JOURNAL, Region};
use crate::engine::{Engine, LaneReport, SYSTEM_NAME, TenantInfo, UnknownFile, is_damage, marker};
use crate::error::{Error, Result};
use crate::id::TenantId;
use crate::journal::{FrameReport, LaneStats, is_file_name};
use crate::partition::FileReport;
use crate::tenant::Tenant;

/// What was found in a tenant's keyring when it was opened, and in its subject keys now. Damage of one copy was mended from the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyringReport {
    /// Copies of the header that were mended.
    pub headers_mended: usize,
    /// Copies of the anchor that do not authenticate; the next write replaces them.
    pub anchors_damaged: usize,
    /// Slots of which one twin was mended.
    pub twins_mended: usize,
    /// Slots of which both twins are lost.
    pub slots_lost: Vec<u32>,
    /// Slots of subject keys of which one twin was mended, this time.
    pub subjects_mended: u64,
    /// Slots of subject keys of which both twins are lost.
    pub subjects_lost: Vec<u64>,
    /// Entries of the erasure ledger, as far as it is whole.
    pub ledger_entries: u64,
    /// What is wrong with the erasure ledger, if anything is.
    pub ledger_problem: Option<String>,
}

/// What was found of one tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct TenantReport {
    /// Its name; none for the catalog.
    pub name: Option<String>,
    /// Its id.
    pub id: TenantId,
    /// Why it can't be verified at all, if it can't.
    pub problem: Option<String>,
    /// Its keyring.
    pub keyring: KeyringReport,
    /// What of it only its journal has yet.
    pub journal: FrameReport,
    /// Its file, and the records of its journal.
    pub file: FileReport,
}

/// Names and keys are not shown (invariant 9).
impl fmt::Debug for TenantReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantReport")
            .field("id", &self.id)
            .field("problem", &self.problem)
            .field("keyring", &self.keyring)
            .field("journal", &self.journal)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl TenantReport {
    /// Whether nothing is wrong that was not mended.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problem.is_none()
            && self.keyring.slots_lost.is_empty()
            && self.keyring.subjects_lost.is_empty()
            && self.keyring.ledger_problem.is_none()
            && self.journal.is_good()
            && self.file.is_good()
    }
}

/// What was found in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// The catalog first, then the tenants by name.
    pub tenants: Vec<TenantReport>,
    /// The journals, by region: first the one that tenants share, then those of dedicated tenants.
    pub lanes: Vec<LaneReport>,
    /// Files that belong to nothing the store knows: left by an interrupted creation, or foreign. Never deleted.
    pub unknown_files: Vec<UnknownFile>,
    /// Regions that can't be reached, and why.
    pub regions: Vec<(String, String)>,
}

impl VerifyReport {
    /// Whether everything could be verified and nothing is wrong that was not mended. Unknown files are no harm.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.regions.is_empty()
            && self.tenants.iter().all(TenantReport::is_good)
            && self.lanes.iter().all(LaneReport::is_good)
    }
}

impl Engine {
    /// Verifies everything: markers, keyrings, journals, every block and table, the value of every record, and lists files
    /// that belong to nothing. Tenants can be used meanwhile. `progress` gets how many more blocks, frames and records were
    /// done.
    ///
    /// Reads everything: minutes for hundreds of gigabytes.
    ///
    /// # Errors
    /// Those of reading the catalog. Damage is no error: it stands in the report.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<VerifyReport> {
        self.check()?;
        let mut report = VerifyReport::default();
        let system = self.0.system.clone();
        report.tenants.push(verify_open(None, &system, progress));
        let tenants = self.catalog()?;
        for info in &tenants {
            report.tenants.push(self.verify_info(info, progress)?);
        }
        for region in self.regions()? {
            if let Some(problem) = region.problem {
                report.regions.push((region.name, problem));
                continue;
            }
            let region = self.0.shared.region(&region.name)?;
            let lanes = self.lane_ids(&region, &tenants);
            report.lanes.extend(lanes.iter().map(|id| self.verify_lane(&region, *id)));
            let catalog = (region.name == DEFAULT_REGION).then_some(self.0.store.system_tenant());
            let here = tenants.iter().filter(|info| info.region == region.name).map(|info| info.id);
            let known = Known { tenants: here.chain(catalog).collect(), lanes: lanes.into_iter().collect() };
            self.list_unknown(&region, &known, &mut report.unknown_files)?;
        }
        Ok(report)
    }

    /// Verifies one tenant.
    ///
    /// # Errors
    /// `NotFound`, and those of reading the catalog. Damage is no error: it stands in the report.
    pub fn verify_tenant(&self, name: &str, progress: &mut dyn FnMut(u64)) -> Result<TenantReport> {
        self.verify_info(&self.find_info(name)?, progress)
    }

    fn verify_info(&self, info: &TenantInfo, progress: &mut dyn FnMut(u64)) -> Result<TenantReport> {
        match self.tended(&info.name) {
            Ok(tenant) => Ok(verify_open(Some(self.shown(&info.name)), &tenant, progress)),
            Err(error) if is_damage(error.kind()) => Ok(TenantReport {
                name: Some(self.shown(&info.name)),
                id: info.id,
                problem: Some(error.to_string()),
                keyring: KeyringReport::default(),
                journal: FrameReport::default(),
                file: FileReport::default(),
            }),
            Err(error) => Err(error),
        }
    }

    /// What was found when a lane was opened; frames are a matter of their tenants.
    fn verify_lane(&self, region: &Region, id: TenantId) -> LaneReport {
        let (problem, stats) = match self.0.shared.lane(&self.0.config, region, self.0.store, id) {
            Ok(lane) => (None, lane.stats()),
            Err(error) => (Some(error.to_string()), LaneStats::default()),
        };
        LaneReport { region: region.name.clone(), id, problem, stats }
    }

    /// Adds the files of a region that belong to no tenant.
    fn list_unknown(&self, region: &Region, known: &Known, found: &mut Vec<UnknownFile>) -> Result<()> {
        let disk = &*self.0.config.disk;
        let is_default = region.paths == self.0.config.store;
        let list = |directory: &std::path::Path| {
            disk.list(directory).map_err(|error| Error::io(format!("listing {}", directory.display()), error))
        };
        let always = [marker::FILE_NAME, "strongroom.lock", "lost+found"];
        let mut note = |directory: &std::path::Path, name: &std::ffi::OsStr, is_known: bool| {
            if !is_known {
                found.push(directory.join(name));
            }
        };
        for entry in list(&region.paths.keys)? {
            let name = entry.name.to_string_lossy();
            let id =
                [".keyring", ".slots", ".ledger", ".resealed"].iter().find_map(|end| name.strip_suffix(end));
            let id = id.and_then(TenantId::parse);
            let lane = name.strip_suffix(".lane").and_then(TenantId::parse);
            // Of a tenant that was erased its ledger stays.
            let is_left = match id.filter(|_| name.ends_with(".ledger")) {
                Some(id) => self.0.leaving_row(id)?.is_some(),
                None => false,
            };
            let is_known = always.contains(&&*name)
                || lane.is_some_and(|id| known.lanes.contains(&id))
                || is_left
                || id.is_some_and(|id| known.tenants.contains(&id));
            note(&region.paths.keys, &entry.name, is_known);
        }
        for entry in list(&region.paths.root)? {
            let name = entry.name.to_string_lossy();
            let is_known = always.contains(&&*name)
                || name == "tenants"
                || name == JOURNAL
                || (is_default && [super::HINT_NAME, super::health::FILE_NAME].contains(&&*name));
            note(&region.paths.root, &entry.name, is_known);
        }
        let journal = region.paths.root.join(JOURNAL);
        let lanes = match disk.list(&journal) {
            // What is missing with it, the lanes say.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            _ => list(&journal)?,
        };
        for lane in lanes {
            let directory = journal.join(&lane.name);
            let id = TenantId::parse(&lane.name.to_string_lossy());
            if lane.kind != FileKind::Directory || !id.is_some_and(|id| known.lanes.contains(&id)) {
                note(&journal, &lane.name, false);
                continue;
            }
            for entry in list(&directory)? {
                let is_segment = entry.kind == FileKind::File && is_file_name(&entry.name.to_string_lossy());
                note(&directory, &entry.name, is_segment);
            }
        }
        let tenants = region.paths.root.join("tenants");
        for shard in list(&tenants)? {
            let directory = tenants.join(&shard.name);
            if shard.kind != FileKind::Directory {
                note(&tenants, &shard.name, false);
                continue;
            }
            for entry in list(&directory)? {
                let name = entry.name.to_string_lossy();
                let id =
                    name.split('.').next().and_then(TenantId::parse).filter(|id| known.tenants.contains(id));
                // A tenant that does not open can't say which file is its own.
                let is_known =
                    id.is_some_and(|id| self.open_handle(id).is_none_or(|tenant| tenant.owns_file(&name)));
                note(&directory, &entry.name, is_known);
            }
        }
        Ok(())
    }

    fn open_handle(&self, id: TenantId) -> Option<Tenant> {
        if id == self.0.store.system_tenant() {
            return Some(self.0.system.clone());
        }
        let name = self.0.system.directory_row(&row_key(TENANT_ID, id.as_bytes())).ok().flatten()?;
        self.tended(std::str::from_utf8(&name).ok()?).ok()
    }
}

/// What has files in a region.
struct Known {
    tenants: HashSet<TenantId>,
    lanes: HashSet<TenantId>,
}

fn verify_open(name: Option<String>, tenant: &Tenant, progress: &mut dyn FnMut(u64)) -> TenantReport {
    debug_assert_eq!(name.is_none(), tenant.name() == SYSTEM_NAME);
    let health = tenant.keyring_health();
    let mut keyring = KeyringReport {
        headers_mended: health.headers,
        anchors_damaged: health.anchors,
        twins_mended: health.twins,
        slots_lost: health.lost.clone(),
        ..KeyringReport::default()
    };
    let walked = tenant.walk_ledger(&mut |entry| {
        keyring.ledger_entries = entry.number;
        Ok(())
    });
    keyring.ledger_problem = walked.err().map(|error| error.to_string());
    let mut verify = || {
        let subjects = tenant.verify_subjects(progress)?;
        (keyring.subjects_mended, keyring.subjects_lost) = (subjects.mended, subjects.lost);
        Ok((tenant.verify_journal(progress)?, tenant.verify(progress)?))
    };
    let verified: Result<_> = verify();
    let (problem, (journal, file)) = match verified {
        Ok(found) => (None, found),
        Err(error) => (Some(error.to_string()), Default::default()),
    };
    TenantReport { name, id: tenant.id(), problem, keyring, journal, file }
}
