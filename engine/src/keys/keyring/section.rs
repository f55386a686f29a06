//! The section keys of a keyring: how they are wrapped, and for how long they are good; and the ledger beside it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::crypto::aead::Xaes;
use crate::crypto::{SectionKey, equal};
use crate::error::{Result, fail};
use crate::keys::header::BLOCK;
use crate::keys::keyring::{Keyring, header_key};
use crate::keys::lease::{Lease, LeaseTerms};
use crate::keys::ledger::{Ledger, LedgerEntry, LedgerEvent};
use crate::keys::provider::{Section, WrapContext};
use crate::keys::slot::SlotSealer;

impl Keyring {
    /// Notes every destruction of a key from now on in the ledger beside the keyring, under the key that all ledgers have of
    /// the system tenant's keyring; none: this one is the system tenant's. The lease of its keys begins now.
    pub(crate) fn with_ledger(
        mut self,
        path: &Path,
        ledgers_key: Option<&[u8; 32]>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self> {
        let key = ledgers_key.unwrap_or(&self.ledgers_key);
        let ids = (self.store, self.tenant);
        self.lease = Lease::new(clock.now_ms());
        self.ledger = Some(Ledger::new(&self.disk, &path.with_extension("ledger"), ids, key, clock)?);
        Ok(self)
    }

    /// The key of which those of the ledgers are derived; of use in the system tenant's keyring only.
    pub(crate) fn ledgers_key(&self) -> &Zeroizing<[u8; 32]> {
        &self.ledgers_key
    }

    /// The name of the provider that wraps its section keys.
    pub(crate) fn provider(&self) -> String {
        self.header.lock().provider.clone()
    }

    /// Has the provider asked for the keys again where it is time; nobody waits. Whether it is asked.
    pub(crate) fn renew_lease(&self, now_ms: u64, terms: LeaseTerms) -> bool {
        let (header, providers) = (self.header.lock().clone(), self.providers.clone());
        let contexts = [Section::Structure, Section::Content].map(|section| self.wrap_context(section));
        let has_content = self.content_keys.read().is_some();
        self.lease.renew(now_ms, terms, move || {
            providers.unwrap(&header.provider, &header.structure, &contexts[0])?;
            if has_content {
                providers.unwrap(&header.provider, &header.content, &contexts[1])?;
            }
            Ok(())
        })
    }

    /// Whether values are opened at all: not where the store is open for maintenance.
    pub(crate) fn opens_values(&self) -> bool {
        !self.providers.structure_only
    }

    /// The lease of its keys.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Has its section keys wrapped anew, by the provider that wraps them or by another one, durable when this returns. What
    /// the provider gives is unwrapped again before anything is written.
    ///
    /// # Errors
    /// `KeyUnavailable` from either provider, and nothing is changed; `Io`.
    pub(crate) fn rewrap(&self, provider: Option<&str>) -> Result<()> {
        let _rewrapping = self.rewrapping.lock();
        let mut header = self.header.lock().clone();
        let to = provider.unwrap_or(&header.provider).to_owned();
        self.providers.require(&to)?;
        let unwrap = |section, wrapped: &[u8]| {
            self.providers.unwrap(&header.provider, wrapped, &self.wrap_context(section))
        };
        let structure = unwrap(Section::Structure, &header.structure)?;
        let content = unwrap(Section::Content, &header.content)?;
        header.structure = self.wrap_checked(&to, Section::Structure, &structure)?;
        header.content = self.wrap_checked(&to, Section::Content, &content)?;
        header.sequence += 1;
        header.provider = to;
        let block = header.encode(&*header_key(&structure)?);
        for copy in 0..2 {
            let written =
                self.file.write_all_at(&block, copy * BLOCK as u64).and_then(|()| self.file.sync_data());
            written.map_err(|error| self.io("writing the header of", error))?;
        }
        *self.header.lock() = header;
        Ok(())
    }

    /// Has a section key wrapped by a provider, and unwraps what it gives.
    pub(super) fn wrap_checked(&self, to: &str, section: Section, key: &SectionKey) -> Result<Vec<u8>> {
        let bound_to = self.wrap_context(section);
        let wrapped = self.providers.wrap(to, key, &bound_to)?;
        if equal(self.providers.unwrap(to, &wrapped, &bound_to)?.as_bytes(), key.as_bytes()) {
            return Ok(wrapped);
        }
        Err(fail!(
            KeyUnavailable,
            "the key provider '{to}' wraps a key and unwraps another: nothing was changed"
        ))
    }

    /// Notes events in the erasure ledger, durable when this returns; gives the number of the last entry.
    pub(crate) fn note(&self, events: &[LedgerEvent]) -> Result<u64> {
        let Some(ledger) = &self.ledger else { return Ok(0) };
        let keep = |end| self.update_anchor(|anchor| anchor.ledger = end);
        Ok(ledger.append(events, || self.anchor().ledger, keep)?.entries)
    }

    /// Calls `visit` with each entry of the erasure ledger, in order, each authenticated.
    ///
    /// # Errors
    /// `RolledBack` where entries are missing at its end; `Unauthentic` where one was changed.
    pub(crate) fn walk_ledger(&self, visit: &mut dyn FnMut(LedgerEntry) -> Result<()>) -> Result<()> {
        self.ledger.as_ref().map_or(Ok(()), |ledger| ledger.walk(self.anchor().ledger, visit))
    }

    pub(super) fn wrap_context(&self, section: Section) -> WrapContext {
        WrapContext { store: self.store, tenant: self.tenant, section }
    }

    /// The cipher of the content section, unwrapped by the first who needs it.
    pub(super) fn content_keys(&self) -> Result<Arc<Xaes>> {
        if let Some(keys) = &*self.content_keys.read() {
            return Ok(Arc::clone(keys));
        }
        let _single_flight = self.content_unwrap.lock();
        if let Some(keys) = &*self.content_keys.read() {
            return Ok(Arc::clone(keys));
        }
        self.check_denied()?;
        let header = self.header.lock().clone();
        let section = self
            .providers
            .unwrap(&header.provider, &header.content, &self.wrap_context(Section::Content))
            .map_err(|error| error.within(format_args!("content keys of tenant {}", self.tenant)))?;
        let keys = Arc::new(SlotSealer::key_cipher(&section)?);
        let mut kept = self.content_keys.write();
        self.check_denied()?;
        *kept = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// Forgets the key of the content section for good: nothing is sealed or opened under a key of it any more.
    pub(crate) fn forget_content(&self) {
        self.is_denied.store(true, Ordering::Release);
        *self.content_keys.write() = None;
        self.forget_fresh();
    }

    /// Forgets subject keys that were filled and not used yet: they can be read again.
    pub(super) fn forget_fresh(&self) {
        if let Some(subjects) = &*self.subjects.lock() {
            subjects.forget_fresh();
        }
    }

    /// Refuses what needs a content key after the provider denied it.
    pub(crate) fn check_denied(&self) -> Result<()> {
        if !self.is_denied.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(fail!(
            KeyUnavailable,
            "the key provider of tenant {} gives its keys no more: open it again",
            self.tenant
        ))
    }
}
