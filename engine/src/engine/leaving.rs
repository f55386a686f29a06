//! Files of tenants that have to go: of one that is erased, of one that has moved to another region, and of a move that was
//! interrupted. The catalog says so before, so that it is finished after a crash (FORMAT.md section 7.3, row `n`).

use std::path::Path;

use crate::disk::FileKind;
use crate::engine::catalog::{LEAVING, Leaving, LeavingRow, row_key};
use crate::engine::region::Region;
use crate::engine::{Engine, Inner};
use crate::error::{Error, Result, fail};
use crate::id::TenantId;
use crate::keys::destroy_keyring;

impl Inner {
    /// Destroys what a row says has to go, and notes in the catalog that it is gone. The same again does no harm.
    pub(super) fn finish_leaving(&self, id: TenantId, row: &LeavingRow) -> Result<()> {
        let region = self.shared.region(&row.region)?;
        region.require(&*self.config.disk, self.store, &self.marker_key)?;
        // The keys first: with them everything else can't be read, wherever copies of it are.
        // What was erased of an erased tenant stays told.
        let with_ledger = matches!(row.leaving, Leaving::Arriving | Leaving::Left);
        destroy_keyring(&*self.config.disk, &region.keyring_path(id), with_ledger)?;
        self.remove_files(&region.data_directory(id), |name| {
            name.split_once('.').is_some_and(|(owner, _)| TenantId::parse(owner) == Some(id))
        })?;
        if row.dedicated {
            self.remove_lane(&region, id)?;
        } else {
            self.remove_frames(&region, id)?;
        }
        let key = row_key(LEAVING, id.as_bytes());
        let row = match row.leaving {
            Leaving::Erasing | Leaving::Erased => {
                let ended_ms = self.config.clock.now_ms();
                Some(LeavingRow { leaving: Leaving::Erased, ended_ms, ..row.clone() }.encode())
            }
            Leaving::Arriving | Leaving::Left => None,
        };
        self.system.change_directory([(key, row)])?;
        self.unfinished.lock().remove(&id);
        tracing::info!(tenant = %id, region = %region.name, "a tenant's files were destroyed");
        Ok(())
    }

    /// Finishes what a crash or a failure left undone; gives the first error, and notes all of them.
    pub(super) fn finish_all_leaving(&self) -> Result<()> {
        let mut result = Ok(());
        for (id, row) in self.system.directory_rows(LEAVING)? {
            let row = LeavingRow::parse(&row)?;
            if row.leaving == Leaving::Erased {
                continue;
            }
            let id = <[u8; 16]>::try_from(id).map(TenantId::new);
            let id = id.map_err(|_| fail!(Corrupted, "a row of the catalog is malformed"))?;
            if self.moving.lock().contains(&id) {
                continue;
            }
            if let Err(error) = self.finish_leaving(id, &row) {
                tracing::warn!(tenant = %id, %error, "what is left of a tenant could not be destroyed; it is tried again");
                self.unfinished.lock().insert(id, error.kind());
                result = result.and(Err(error));
            }
        }
        result
    }

    fn remove_files(&self, directory: &Path, is_meant: impl Fn(&str) -> bool) -> Result<()> {
        let disk = &*self.config.disk;
        let failed = |error| Error::io(format!("removing files from {}", directory.display()), error);
        let entries = match disk.list(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        let meant = |name: &std::ffi::OsStr| name.to_str().is_some_and(&is_meant);
        for entry in entries.iter().filter(|entry| entry.kind == FileKind::File && meant(&entry.name)) {
            disk.remove_file(&directory.join(&entry.name)).map_err(failed)?;
        }
        disk.sync_dir(directory).map_err(failed)
    }

    /// The lane of a dedicated tenant, with everything in it. Its directory stays, empty.
    fn remove_lane(&self, region: &Region, id: TenantId) -> Result<()> {
        if let Some(lane) = region.lanes.lock().remove(&id) {
            lane.abandon();
        }
        self.remove_files(&region.lane_directory(id), |_| true)?;
        let state = region.lane_state_path(id);
        self.remove_files(&region.paths.keys, |name| state.file_name().is_some_and(|state| state == name))
    }

    /// The frames that a tenant has in the lane that it shares.
    fn remove_frames(&self, region: &Region, id: TenantId) -> Result<()> {
        let lane = self.shared.lane(&self.config, region, self.store, self.store.system_tenant())?;
        lane.forgive(id);
        lane.turn_over()
    }
}

impl Engine {
    /// Finishes what is left of erasures and moves at the time of a sweep.
    pub(super) fn finish_leaving(&self) -> Result<()> {
        let _one = self.0.changing.lock();
        self.0.finish_all_leaving()
    }
}
