//! A tenant's move to another region: copied, verified, switched in the catalog by one change, and erased where it was
//! (FORMAT.md section 7.3, row `n`). Power may go at any moment: the tenant is whole in one of the two regions, the catalog
//! says in which, and the other one is cleared when the store opens.

use std::sync::Arc;

use crate::engine::catalog::{LEAVING, Leaving, LeavingRow, TENANT_ID, TenantInfo, row_key};
use crate::engine::region::Region;
use crate::engine::{Engine, Inner, open_keyring};
use crate::error::{Error, Result, fail};
use crate::id::TenantId;
use crate::partition::{Partition, Rollback, Standing};

/// What a move to another region may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveOptions {
    overrides_residency: bool,
}

impl MoveOptions {
    /// Nothing: every move is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The tenant's data may leave the region that it was put into. Whoever says so has asked whose data it is.
    #[must_use]
    pub fn override_residency(mut self) -> Self {
        self.overrides_residency = true;
        self
    }
}

impl Engine {
    /// Moves a tenant, with its keys, to another region of the store: copied and verified there, then switched, then erased
    /// where it was, keys first, as [`Engine::erase_tenant`] does. Readers and writers go on while its file is copied; a
    /// writer whose memtable fills meanwhile is held back. Handles from before then give `Poisoned`:
    /// [`Engine::tenant`] gives a new one, which has everything that was acknowledged. `progress` gets how many more bytes
    /// were copied.
    ///
    /// Durable when this returns. After a crash the tenant is whole in one of the two regions; what is left in the other is
    /// destroyed by the next open, or by a sweep.
    ///
    /// # Errors
    /// `InvalidArgument` without [`MoveOptions::override_residency`], and where it is in that region; `NotFound` of the
    /// tenant or the region; `Unavailable` where a region's volume is not mounted; `Busy` while another move of the tenant
    /// is under way or unfinished; `Conflict` where it was opened anew meanwhile; `Io`: the tenant stays where it is, unless
    /// the error says that it has moved.
    pub fn move_tenant(
        &self,
        name: &str,
        to: &str,
        options: MoveOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        self.check()?;
        let inner = &*self.0;
        let target = inner.shared.region(to)?;
        let info = self.find_info(name)?;
        info.check_there()?;
        if info.region == to {
            return Err(fail!(InvalidArgument, "the tenant is in the region '{to}' already"));
        }
        if !options.overrides_residency {
            return Err(fail!(
                InvalidArgument,
                "the tenant's data is to stay in the region '{}': moving it to '{to}' takes an explicit override of its residency",
                info.region
            ));
        }
        for region in [&target, &inner.shared.region(&info.region)?] {
            region.require(&*inner.config.disk, inner.store, &inner.marker_key)?;
        }
        let arriving = self.begin_move(&info, to)?;
        let moved = self.carry_over(&info, &target, &arriving, progress);
        if inner.undecided.lock().contains(&info.id) {
            return moved.map(|_| ());
        }
        inner.moving.lock().remove(&info.id);
        let (left, outcome) = match moved {
            Ok(left) => (left, Ok(())),
            Err(error) => (arriving, Err(error)),
        };
        let cleared = inner.finish_leaving(info.id, &left).inspect_err(|error| {
            inner.unfinished.lock().insert(info.id, error.kind());
        });
        let id = info.id;
        outcome.and(cleared.map_err(|error| {
            error.within(format_args!(
                "tenant {id} has moved, and what is left of it where it was is destroyed by a later sweep"
            ))
        }))
    }

    /// Says in the catalog that what will be in the other region is not complete.
    fn begin_move(&self, info: &TenantInfo, to: &str) -> Result<LeavingRow> {
        let inner = &*self.0;
        let _one = inner.changing.lock();
        if inner.leaving_row(info.id)?.is_some() {
            return Err(fail!(
                Busy,
                "tenant {} is being moved, or was and has files left where it was: make that region reachable, and sweep",
                info.id
            ));
        }
        let arriving = LeavingRow {
            leaving: Leaving::Arriving,
            dedicated: info.dedicated,
            begun_ms: inner.config.clock.now_ms(),
            ended_ms: 0,
            region: to.to_owned(),
        };
        inner.moving.lock().insert(info.id);
        let begun = inner.system.put_directory([(row_key(LEAVING, info.id.as_bytes()), arriving.encode())]);
        if let Err(error) = begun {
            inner.moving.lock().remove(&info.id);
            return Err(error);
        }
        Ok(arriving)
    }

    /// Copies the tenant and switches; gives what is to be cleared then.
    fn carry_over(
        &self,
        info: &TenantInfo,
        target: &Arc<Region>,
        arriving: &LeavingRow,
        progress: &mut dyn FnMut(u64),
    ) -> Result<LeavingRow> {
        let inner = &*self.0;
        if info.dedicated {
            inner.shared.create_lane(&inner.config, target, inner.store, info.id)?;
        }
        let tenant = self.tended(&self.name_of(info.id)?)?;
        let mut left = None;
        tenant.leave_for(&target.data_directory(info.id), progress, |copy_rest| {
            let _one = inner.changing.lock();
            self.with_place(&self.name_of(info.id)?, |now, place| {
                if !place.as_ref().is_some_and(|open| open.is(&tenant)) {
                    return Err(fail!(
                        Conflict,
                        "tenant {} was opened anew while it was moved: move it again",
                        info.id
                    ));
                }
                let copied =
                    copy_rest(&target.keyring_path(info.id)).and_then(|()| inner.check_copy(target, info.id));
                let switched = copied.and_then(|()| self.switch(now, arriving));
                if switched.is_err()
                    && let Err(error) = tenant.end(Standing::Moved)
                {
                    tracing::debug!(tenant = %info.id, %error, "a tenant that did not move was not closed cleanly");
                }
                // Whoever asks for it opens it, where it is now.
                *place = None;
                left = Some(switched?);
                Ok(())
            })
        })?;
        left.ok_or_else(|| fail!(Internal, "a move ended without an end"))
    }

    /// The change by which the tenant is in the other region; gives what is to be cleared then.
    fn switch(&self, now: &TenantInfo, arriving: &LeavingRow) -> Result<LeavingRow> {
        let inner = &*self.0;
        let left = LeavingRow { leaving: Leaving::Left, region: now.region.clone(), ..arriving.clone() };
        let there = TenantInfo { region: arriving.region.clone(), ..now.clone() };
        let key = row_key(LEAVING, now.id.as_bytes());
        let rows = Inner::tenant_rows(&there).into_iter().chain([(key.clone(), Some(left.encode()))]);
        let Err(error) = inner.system.change_directory(rows) else {
            tracing::info!(tenant = %now.id, from = %left.region, to = %arriving.region, "a tenant has moved");
            return Ok(left);
        };
        // It may be on the disk all the same, unless another change takes its place.
        if inner.system.put_directory([(key, arriving.encode())]).is_err() {
            inner.undecided.lock().insert(now.id);
            return Err(error.within(format_args!(
                "whether tenant {} has moved is not known before the store is opened again",
                now.id
            )));
        }
        Err(error)
    }

    fn name_of(&self, id: TenantId) -> Result<String> {
        let name = self.0.system.directory_row(&row_key(TENANT_ID, id.as_bytes()))?;
        let name = name.ok_or_else(|| fail!(NotFound, "the tenant {id} was erased meanwhile"))?;
        String::from_utf8(name).map_err(|_| fail!(Corrupted, "a tenant's name is not UTF-8"))
    }
}

impl Inner {
    /// Opens what was copied: its keyring, its file, and that this has everything that was checkpointed.
    fn check_copy(&self, target: &Region, id: TenantId) -> Result<()> {
        let keyring =
            Arc::new(open_keyring(&self.config, target, self.store, id, Some(&*self.shared.ledgers_key))?);
        let (options, directory) = (self.config.partition_options(), target.data_directory(id));
        let opened = Partition::open(options, &directory, keyring, Rollback::Refuse);
        opened
            .and_then(|partition| partition.close())
            .map_err(|error: Error| error.within(format_args!("verifying the copy of tenant {id}")))
    }

    /// Refuses a tenant of which it is not known in which region it is.
    pub(super) fn check_decided(&self, id: TenantId) -> Result<()> {
        if !self.undecided.lock().contains(&id) {
            return Ok(());
        }
        Err(fail!(
            Poisoned,
            "whether tenant {id} has moved is not known, because the journal of the catalog failed: open the store again"
        ))
    }
}
