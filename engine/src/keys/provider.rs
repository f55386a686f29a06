//! What wraps the section keys of a keyring: the trait that key files, passphrases, KMS and HSM implement, and the
//! registry that finds one by the name a keyring's header gives.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::SectionKey;
use crate::error::{Error, Result, fail};
use crate::id::{StoreId, TenantId};
use crate::limits::{WRAPPED_KEY_BYTES_MAX, check_label};

/// One of a keyring's two sections. A credential may be limited to the structure section: then it can maintain
/// files and read no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Section {
    /// Structure keys, slot states, tombstones, the anchor.
    Structure = 1,
    /// Data, period and subject keys.
    Content = 2,
}

/// What a wrapped key belongs to. A provider binds it to the wrapped key (as additional data, or as the encryption
/// context of a KMS), so that a key moved to another tenant or section does not unwrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WrapContext {
    /// The store of origin.
    pub store: StoreId,
    /// The tenant.
    pub tenant: TenantId,
    /// The section.
    pub section: Section,
}

impl WrapContext {
    /// The context as bytes: `"strongroom/1 wrap" || store || tenant || section` (FORMAT.md section 4.2).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let section = [self.section as u8];
        [&b"strongroom/1 wrap"[..], self.store.as_bytes(), self.tenant.as_bytes(), &section].concat()
    }
}

/// Why a provider gave no key.
///
/// The text must hold no secret: it is shown to people and written to logs.
#[derive(Debug)]
pub struct ProviderError {
    class: Class,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Denied,
    Retryable,
    AlreadyExists,
}

impl ProviderError {
    /// The provider will not: wrong key, no permission, key disabled or destroyed. Asking again is no use.
    #[must_use]
    pub fn denied(message: impl Into<String>) -> Self {
        Self { class: Class::Denied, message: message.into() }
    }

    /// The provider could not be asked: unreachable, timed out, throttled. Asking again may succeed.
    #[must_use]
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { class: Class::Retryable, message: message.into() }
    }

    /// What [`KeyProvider::create`] should make is there already.
    #[must_use]
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self { class: Class::AlreadyExists, message: message.into() }
    }

    /// Whether asking again may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.class == Class::Retryable
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ProviderError {}

/// Wraps and unwraps the section keys of keyrings.
///
/// Implementations must authenticate: `unwrap` of anything but the bytes `wrap` gave for the same context fails
/// with [`ProviderError::denied`]. They are called from any thread, and may take as long as a network call.
pub trait KeyProvider: Send + Sync + Debug {
    /// Makes what the provider keeps, when a store is created; must fail if it is there already. The default
    /// makes nothing.
    ///
    /// # Errors
    /// What stands in the way.
    fn create(&self) -> Result<(), ProviderError> {
        Ok(())
    }

    /// The file the provider keeps its secret in, if it does: the engine refuses one inside a store or key store.
    /// The default keeps none.
    fn location(&self) -> Option<&Path> {
        None
    }

    /// Wraps a key of 32 bytes; the result has 1 to 1,024 bytes.
    ///
    /// # Errors
    /// Denied or retryable.
    fn wrap(&self, key: &[u8; 32], context: &WrapContext) -> Result<Vec<u8>, ProviderError>;

    /// Unwraps what [`KeyProvider::wrap`] gave for the same context.
    ///
    /// # Errors
    /// Denied or retryable.
    fn unwrap(&self, wrapped: &[u8], context: &WrapContext) -> Result<Zeroizing<[u8; 32]>, ProviderError>;
}

/// The providers of a configuration, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Providers(BTreeMap<String, Arc<dyn KeyProvider>>);

impl Providers {
    pub(crate) fn insert(&mut self, name: String, provider: Arc<dyn KeyProvider>) {
        self.0.insert(name, provider);
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.0.keys().try_for_each(|name| check_label("key provider", name))
    }

    /// The files that providers keep their secrets in.
    pub(crate) fn locations(&self) -> impl Iterator<Item = &Path> {
        self.0.values().filter_map(|provider| provider.location())
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Arc<dyn KeyProvider>> {
        self.0.get(name).ok_or_else(|| {
            fail!(KeyUnavailable, "no key provider named '{name}' is configured: register it under this name")
        })
    }

    pub(crate) fn create(&self, name: &str) -> Result<()> {
        guard(|| self.get(name).map(|provider| provider.create()))?.map_err(unavailable)
    }

    pub(crate) fn wrap(&self, name: &str, key: &SectionKey, context: &WrapContext) -> Result<Vec<u8>> {
        let provider = self.get(name)?;
        let wrapped = guard(|| Ok(provider.wrap(key.as_bytes(), context)))?.map_err(unavailable)?;
        if wrapped.is_empty() || wrapped.len() > WRAPPED_KEY_BYTES_MAX {
            return Err(fail!(
                LimitExceeded,
                "key provider '{name}' gave a wrapped key of {} bytes: it must have 1 to {WRAPPED_KEY_BYTES_MAX}",
                wrapped.len()
            ));
        }
        Ok(wrapped)
    }

    pub(crate) fn unwrap(&self, name: &str, wrapped: &[u8], context: &WrapContext) -> Result<SectionKey> {
        let provider = self.get(name)?;
        let key = guard(|| Ok(provider.unwrap(wrapped, context)))?.map_err(unavailable)?;
        Ok(SectionKey::from_bytes(&key))
    }
}

fn unavailable(error: ProviderError) -> Error {
    let failure = match error.class {
        Class::Denied => fail!(KeyUnavailable, "the key provider gives no key: {error}"),
        Class::Retryable => fail!(KeyUnavailable, "the key provider gives no key now: {error}").retryable(),
        Class::AlreadyExists => fail!(AlreadyExists, "{error}"),
    };
    failure.with_source(error)
}

/// A provider is code of the application: its panic ends here.
fn guard<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(fail!(KeyUnavailable, "the key provider panicked: mend it")))
}
