//! Opening a tenant: its file, then what the journal has beyond it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use crate::collection;
use crate::error::{ErrorKind, Result};
use crate::id::{CollectionId, Version};
use crate::journal::{FrameSealer, Lane, Recovered, Recovery};
use crate::keys::Keyring;
use crate::partition::{Changes, Frozen, Partition, PartitionOptions, Rollback, Table, split_row_key};
use crate::tenant::change::Terms;
use crate::tenant::{Tenant, TenantParts};

/// What became of a tenant whose journal or file was incomplete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Changes of the journal that count.
    pub changes: u64,
    /// Changes that are lost, as far as there is a trace of them.
    pub changes_lost: u64,
    /// Collections whose names were lost with the changes that created them: they are called `salvaged-` and their id.
    pub collections_named: u64,
}

/// How a tenant that is not whole is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It is an error.
    Strict,
    /// Data older than the key store says is accepted.
    AcceptRollback,
    /// The same, and that the journal lacks changes: of the catalog, without which nothing could be salvaged.
    AcceptLoss,
    /// Whatever can be read is accepted.
    Salvage,
}

impl Tenant {
    /// Opens a tenant, whole or not at all unless `opening` accepts less. `raise_timeline` makes the store's timeline grow,
    /// durable when it returns: what is written after a loss must not have the version of anything lost.
    pub(crate) fn open(
        options: &PartitionOptions,
        directory: &Path,
        parts: TenantParts,
        opening: Opening,
        raise_timeline: &dyn Fn() -> Result<u32>,
    ) -> Result<(Self, RecoveryReport)> {
        let strict = Self::load(options, directory, &parts, Rollback::Refuse, Recovery::Strict);
        let accepted = match (&strict, opening) {
            (Err(error), Opening::AcceptRollback | Opening::AcceptLoss)
                if error.kind() == ErrorKind::RolledBack =>
            {
                Recovery::AcceptLoss
            }
            (Err(error), Opening::Salvage | Opening::AcceptLoss)
                if [ErrorKind::RolledBack, ErrorKind::Corrupted, ErrorKind::Unauthentic]
                    .contains(&error.kind()) =>
            {
                Recovery::Salvage
            }
            _ => {
                let (partition, recovered) = strict?;
                let tenant = Self::assemble(parts, partition, (recovered.last, recovered.tag))?;
                let inner = &*tenant.0;
                if inner.partition.has_unfinished_rewrite() {
                    // The journal's frames may need the key that is about to go.
                    let settled = tenant.checkpoint().and_then(|()| inner.partition.settle_rewrite());
                    if let Err(error) = settled {
                        tracing::warn!(tenant = %inner.id, %error, "the remains of a rewrite could not be removed yet");
                    }
                }
                tenant.after_open();
                let report = RecoveryReport { changes: recovered.changes, ..RecoveryReport::default() };
                return Ok((tenant, report));
            }
        };
        let (partition, recovered) = Self::load(options, directory, &parts, Rollback::Accept, accepted)?;
        let seen = parts.lane.last_seen(parts.keyring.tenant());
        let last = seen.max(parts.keyring.anchor().commit).max(recovered.last) + 1;
        let version = Version { timeline: raise_timeline()?, sequence: last };
        if let Some(frozen) = partition.freeze(recovered.tag) {
            partition.checkpoint(&frozen)?;
        }
        // The loss is a version of its own: whatever turns up of what was lost is older.
        partition.checkpoint(&Frozen::empty(version))?;
        parts.lane.forgive(parts.keyring.tenant());
        let tenant = Self::assemble(parts, partition, (last, [0; 16]))?;
        tenant.0.partition.settle_rewrite()?;
        let mut names = Changes::default();
        for id in tenant.nameless_collections()? {
            let name = format!("salvaged-{id}");
            let row = collection::encode_row(id, tenant.0.clock.now_ms());
            names.put(Table::Directory, &[&collection::directory_key(&name)], &[&row]);
        }
        let collections_named = names.len() as u64;
        if collections_named > 0 || tenant.0.lane.is_damaged() {
            // Something in the journal, after the damage, that says that the tenant goes on without what stood there.
            tenant.make(names, &Terms::default(), true)?;
        }
        let (changes, changes_lost) = (recovered.changes, recovered.lost);
        tenant.after_open();
        Ok((tenant, RecoveryReport { changes, changes_lost, collections_named }))
    }

    /// Collections that have records, removed ones too, and no row in the directory.
    fn nameless_collections(&self) -> Result<Vec<CollectionId>> {
        let known: HashSet<_> = self.collections()?.into_iter().map(|info| info.id).collect();
        let snapshot = self.0.partition.snapshot()?;
        let mut nameless = BTreeSet::new();
        for table in [Table::Records, Table::Removed] {
            let mut from = Some(Bound::Unbounded);
            while let Some(bound) = from {
                let mut rows = snapshot.scan(table, &bound, &Bound::Unbounded, false)?;
                let Some(row) = rows.next().transpose()? else { break };
                let (id, _) = split_row_key(&row.key)?;
                if !known.contains(&id) {
                    nameless.insert(id);
                }
                from = id.0.checked_add(1).map(|next| Bound::Included(next.to_be_bytes().to_vec()));
            }
        }
        Ok(nameless.into_iter().collect())
    }

    /// Repeats what a crash may have left half done.
    fn after_open(&self) {
        if let Err(error) = self.repeat_destructions() {
            tracing::warn!(tenant = %self.0.id, %error, "a key could not be destroyed yet; it is tried again");
            return;
        }
        if let Err(error) = self.remove_erased_subjects() {
            tracing::warn!(tenant = %self.0.id, %error, "records of an erased subject could not be removed yet");
        }
    }

    /// The handle of a tenant that has nothing yet.
    pub(crate) fn create(options: PartitionOptions, directory: &Path, parts: TenantParts) -> Result<Self> {
        let partition = Arc::new(Partition::create(options, directory, Arc::clone(&parts.keyring)));
        Self::assemble(parts, partition, (0, [0; 16]))
    }

    fn load(
        options: &PartitionOptions,
        directory: &Path,
        parts: &TenantParts,
        rollback: Rollback,
        recovery: Recovery,
    ) -> Result<(Arc<Partition>, Recovered)> {
        let keyring = &parts.keyring;
        let partition = Partition::open(options.clone(), directory, Arc::clone(keyring), rollback)?;
        let held = partition.held()?;
        let recovered = recover(&parts.lane, keyring, &partition, held, recovery)?;
        Ok((Arc::new(partition), recovered))
    }
}

/// Fills a partition's memtable with what the journal has beyond its file.
fn recover(
    lane: &Lane<Partition>,
    keyring: &Arc<Keyring>,
    partition: &Partition,
    held: crate::partition::Held,
    recovery: Recovery,
) -> Result<Recovered> {
    let tenant = keyring.tenant();
    let mut sealers: HashMap<u32, Arc<FrameSealer>> = HashMap::new();
    let mut sealer = |epoch: u32| {
        if let Some(known) = sealers.get(&epoch) {
            return Ok(Arc::clone(known));
        }
        let key = partition.structure_key(epoch)?;
        let sealer = Arc::new(FrameSealer::new(keyring.store(), tenant, epoch, &key)?);
        sealers.insert(epoch, Arc::clone(&sealer));
        Ok(sealer)
    };
    let mut apply = |timeline, sequence, bytes| partition.apply(&[(Version { timeline, sequence }, bytes)]);
    lane.recover(tenant, (held.version.sequence, held.tag), recovery, &mut sealer, &mut apply)
}
