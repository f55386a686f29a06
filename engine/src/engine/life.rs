//! What becomes of tenants: suspended and resumed, renamed, removed, restored and erased (FORMAT.md section 7.3).
//!
//! Each step is one change of the catalog; an erasure is two, and what it destroys between them stands in `leaving`.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::catalog::{
    LEAVING, Leaving, LeavingRow, TENANT, TENANT_ID, TenantInfo, TenantState, row_key,
};
use crate::engine::open_tenants::Slot;
use crate::engine::{Engine, Inner};
use crate::error::{Error, ErrorKind, Result, fail};
use crate::id::TenantId;
use crate::limits::check_name;
use crate::partition::Standing;
use crate::retention::milliseconds;
use crate::tenant::Tenant;

/// Refuses to destroy a tenant of which anything is held, or has to be kept for a least time.
fn refuse_if_needed(tenant: &Tenant) -> Result<()> {
    tenant.refuse_if_held().and_then(|()| tenant.refuse_if_kept())
}

fn removed() -> Error {
    fail!(NotFound, "the tenant was removed: restore it while its window lasts")
}

impl TenantInfo {
    /// Refuses a tenant that was removed.
    pub(super) fn check_there(&self) -> Result<()> {
        if matches!(self.state, TenantState::Removed { .. }) { Err(removed()) } else { Ok(()) }
    }
}

impl Inner {
    /// The rows by which the catalog knows a tenant.
    pub(super) fn tenant_rows(info: &TenantInfo) -> [(Vec<u8>, Option<Vec<u8>>); 2] {
        [
            (row_key(TENANT, &info.name), Some(info.encode())),
            (row_key(TENANT_ID, info.id.as_bytes()), Some(info.name.as_bytes().to_vec())),
        ]
    }

    /// How an open tenant stands.
    pub(super) fn standing(&self, state: TenantState) -> Standing {
        match state {
            TenantState::Active if self.config.maintenance.is_some() => Standing::Maintained,
            TenantState::Active => Standing::Active,
            TenantState::Suspended => Standing::Suspended,
            TenantState::Removed { .. } => Standing::Removed,
        }
    }

    /// What is to go of a tenant, or went.
    pub(super) fn leaving_row(&self, id: TenantId) -> Result<Option<LeavingRow>> {
        let row = self.system.directory_row(&row_key(LEAVING, id.as_bytes()))?;
        row.map(|row| LeavingRow::parse(&row)).transpose()
    }
}

impl Engine {
    /// Calls with what the catalog says of a tenant and with the tenant's place, which stays so meanwhile.
    pub(super) fn with_place<T>(
        &self,
        name: &str,
        call: impl FnOnce(&TenantInfo, &mut Option<Tenant>) -> Result<T>,
    ) -> Result<T> {
        let mut info = self.find_info(name)?;
        loop {
            let slot: Arc<Slot> = self.0.tenants.slot(info.id);
            let mut place = slot.lock();
            let now = self.find_info(&info.name)?;
            if now.id == info.id {
                return call(&now, &mut place);
            }
            info = now;
        }
    }

    /// Changes how a tenant stands, in the catalog and for whoever has it open. Durable when this returns.
    fn change_state(
        &self,
        name: &str,
        change: impl FnOnce(&TenantInfo) -> Result<TenantState>,
    ) -> Result<TenantInfo> {
        let _one = self.0.changing.lock();
        self.with_place(name, |info, place| {
            let now = TenantInfo { state: change(info)?, ..info.clone() };
            if now.state != info.state {
                self.0.system.put_directory([(row_key(TENANT, &now.name), now.encode())])?;
                if let Some(open) = place {
                    open.stand(self.0.standing(now.state));
                }
                tracing::info!(tenant = %now.id, state = ?now.state, "a tenant's state was changed");
            }
            Ok(self.shown_info(now))
        })
    }

    /// Suspends a tenant: from the moment this returns, every read and write of its records gives `Suspended`, through
    /// handles, scans and readers that are held too. What looks after it goes on: records expire and are swept, keys are
    /// rotated, files checkpointed and rewritten. No effect on one that is suspended. Durable when this returns.
    ///
    /// # Errors
    /// `NotFound`, of one that was removed too; those of writing.
    pub fn suspend_tenant(&self, name: &str) -> Result<()> {
        let suspend = |info: &TenantInfo| info.check_there().map(|()| TenantState::Suspended);
        self.change_state(name, suspend).map(|_| ())
    }

    /// Ends a tenant's suspension: handles that were held work again. Durable when this returns.
    ///
    /// # Errors
    /// `NotFound`, of one that was removed too; those of writing.
    pub fn resume_tenant(&self, name: &str) -> Result<()> {
        let resume = |info: &TenantInfo| info.check_there().map(|()| TenantState::Active);
        self.change_state(name, resume).map(|_| ())
    }

    /// Gives a tenant another name: its id, data and keys stay as they are. From the moment this returns the old name is
    /// free. Handles go on, under the name they were given with. Durable when this returns.
    ///
    /// # Errors
    /// `NotFound`, of one that was removed too; `AlreadyExists` where there is one of the new name; `InvalidArgument` for
    /// a name against the rules of [`Engine::create_tenant`]; those of writing.
    pub fn rename_tenant(&self, from: &str, to: &str) -> Result<()> {
        self.check()?;
        check_name("tenant", to)?;
        let _one = self.0.changing.lock();
        self.with_place(from, |info, place| {
            info.check_there()?;
            if self.0.system.directory_row(&row_key(TENANT, to))?.is_some() {
                return Err(fail!(AlreadyExists, "there is a tenant of the new name already"));
            }
            let now = TenantInfo { name: to.to_owned(), ..info.clone() };
            let gone = (row_key(TENANT, &info.name), None);
            self.0.system.change_directory(Inner::tenant_rows(&now).into_iter().chain([gone]))?;
            if let Some(open) = place {
                *open = open.renamed(&self.shown(to));
            }
            Ok(())
        })
    }

    /// Removes a tenant: it is gone at once, for handles that are held too (`NotFound`), and can be restored until `window`
    /// is over. Then a sweep erases it ([`Engine::erase_tenant`]). Its name stays taken until then. Expiry goes on
    /// meanwhile. Durable when this returns; gives what is known of it, with when it will be erased.
    ///
    /// # Errors
    /// `NotFound`, of one that was removed before too; those of writing.
    pub fn remove_tenant(&self, name: &str, window: Duration) -> Result<TenantInfo> {
        let removed_ms = self.0.config.clock.now_ms();
        let purge_ms = removed_ms.saturating_add(milliseconds(window));
        self.change_state(name, |info| {
            info.check_there()?;
            let was_suspended = info.state == TenantState::Suspended;
            Ok(TenantState::Removed { removed_ms, purge_ms, was_suspended })
        })
    }

    /// Brings a removed tenant back as it was, suspended if it was; without what expired meanwhile. Durable when this
    /// returns.
    ///
    /// # Errors
    /// `NotFound` where there is no such tenant, or its window is over and nothing of it is held or still kept by a policy;
    /// `Conflict` for one that was not removed; those of writing.
    pub fn restore_tenant(&self, name: &str) -> Result<()> {
        let now_ms = self.0.config.clock.now_ms();
        // Of one that is held somebody has to be able to release the hold; what has to be kept has to be read.
        let is_held = self.tended(name).is_ok_and(|tenant| refuse_if_needed(&tenant).is_err());
        let restore = |info: &TenantInfo| match info.state {
            TenantState::Removed { purge_ms, .. } if purge_ms <= now_ms && !is_held => {
                Err(fail!(NotFound, "the window in which the tenant could be restored is over"))
            }
            TenantState::Removed { was_suspended: true, .. } => Ok(TenantState::Suspended),
            TenantState::Removed { .. } => Ok(TenantState::Active),
            _ => Err(fail!(Conflict, "the tenant was not removed")),
        };
        self.change_state(name, restore).map(|_| ())
    }

    /// Erases a tenant for good, removed before or not: its whole keyring is destroyed, so that no copy of its data can be
    /// read by who has no older copy of the key store; then its files are deleted, and its frames go out of the journal.
    /// Its name is free. Handles that are held give `NotFound`. Other tenants go on.
    ///
    /// Durable when this returns, and finished after a crash: by the next open, or by a sweep.
    ///
    /// # Errors
    /// `NotFound`; `Held` where anything of it is held, or a policy still keeps a record of it; `Unavailable` where its
    /// region's volume is not mounted; `Busy` while its last move is not finished; those of opening it, unless its keys are lost;
    /// those of writing. An error that says that the tenant is being erased comes after the decision: it is gone, and the
    /// rest is tried again by each sweep.
    pub fn erase_tenant(&self, name: &str) -> Result<()> {
        self.erase_where(name, |_| true).map(|_| ())
    }

    /// Erases a tenant whose window is over; whether it did. One that was restored meanwhile stays.
    pub(super) fn erase_overdue(&self, info: &TenantInfo, now_ms: u64) -> Result<bool> {
        let is_overdue = |now: &TenantInfo| {
            now.id == info.id
                && matches!(now.state, TenantState::Removed { purge_ms, .. } if purge_ms <= now_ms)
        };
        match self.erase_where(&info.name, is_overdue) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            erased => erased,
        }
    }

    /// Refuses a tenant of which anything is held, or kept by a policy's minimum. It is opened for that, unless its keys are
    /// lost: then nothing of it can be read by anybody.
    fn refuse_held(&self, info: &TenantInfo, place: &mut Option<Tenant>) -> Result<()> {
        if place.is_none() {
            match self.open_by_info(info, self.0.config.opening()) {
                Ok((opened, _)) => *place = Some(opened),
                Err(error) if error.kind() == ErrorKind::KeyMissing => return Ok(()),
                Err(error) => {
                    return Err(
                        error.within("what is held of the tenant is not known while it does not open")
                    );
                }
            }
        }
        let Some(open) = place else { return Ok(()) };
        refuse_if_needed(open)?;
        if open.has_minimum()? {
            // Looked at once more, while nothing is put.
            open.stand(Standing::Suspended);
            if let Err(error) = open.refuse_if_kept() {
                open.stand(self.0.standing(info.state));
                return Err(error);
            }
        }
        Ok(())
    }

    fn erase_where(&self, name: &str, is_meant: impl FnOnce(&TenantInfo) -> bool) -> Result<bool> {
        self.check()?;
        let inner = &*self.0;
        let _one = inner.changing.lock();
        let begun = self.with_place(name, |info, place| {
            if !is_meant(info) {
                return Ok(None);
            }
            let region = inner.shared.region(&info.region)?;
            region.require(&*inner.config.disk, inner.store, &inner.marker_key)?;
            if inner.leaving_row(info.id)?.is_some() {
                return Err(fail!(
                    Busy,
                    "the tenant {} has files left in the region that it moved from: make that reachable, and sweep",
                    info.id
                ));
            }
            self.refuse_held(info, place)?;
            if let Some(Err(error)) = place.as_ref().map(Tenant::note_erasure) {
                tracing::warn!(tenant = %info.id, %error, "the ledger of a tenant that is erased does not say so");
            }
            // Nobody places a hold from here on: what is held now was looked at before anything goes.
            let ended = place.take();
            if let Some(open) = &ended {
                if let Err(error) = open.end(Standing::Moved) {
                    tracing::debug!(tenant = %info.id, %error, "a tenant to be erased was not closed cleanly");
                }
                open.refuse_if_held()?;
            }
            let row = LeavingRow {
                leaving: Leaving::Erasing,
                dedicated: info.dedicated,
                begun_ms: inner.config.clock.now_ms(),
                ended_ms: 0,
                region: info.region.clone(),
            };
            let known = Inner::tenant_rows(info).map(|(key, _)| (key, None));
            let leaving = (row_key(LEAVING, info.id.as_bytes()), Some(row.encode()));
            inner.system.change_directory(known.into_iter().chain([leaving]))?;
            if let Some(open) = ended {
                open.stand(Standing::Erased);
            }
            Ok(Some((info.id, row)))
        })?;
        let Some((id, row)) = begun else { return Ok(false) };
        inner.next_due.lock().remove(&id);
        inner.rekeys.lock().remove(&id);
        inner.refused.lock().remove(&id);
        inner.finish_leaving(id, &row).map_err(|error| {
            inner.unfinished.lock().insert(id, error.kind());
            error.within(format_args!("tenant {id} is being erased, and a sweep will try again"))
        })?;
        Ok(true)
    }
}
