//! What wraps the section keys of a keyring: the trait that key files, passphrases, KMS and HSM implement, and the
//! registry that finds one by the name a keyring's header gives.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

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

/// Calls of one provider that may be under way at once, those included that were given up and have not returned.
const CALLS_MAX: usize = 64;

/// The providers of a configuration, by name.
#[derive(Clone, Debug)]
pub(crate) struct Providers {
    known: BTreeMap<String, Registered>,
    /// The longest that a call is waited for.
    pub(crate) timeout: Duration,
    /// Whether no content section is wrapped or unwrapped, whatever a provider would give.
    pub(crate) structure_only: bool,
}

#[derive(Clone, Debug)]
struct Registered {
    provider: Arc<dyn KeyProvider>,
    /// Calls that have not returned.
    calls: Arc<AtomicUsize>,
}

/// Counts a call until it returns, whether or not somebody still waits for it.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Default for Providers {
    fn default() -> Self {
        Self { known: BTreeMap::new(), timeout: Duration::from_secs(30), structure_only: false }
    }
}

impl Providers {
    pub(crate) fn insert(&mut self, name: String, provider: Arc<dyn KeyProvider>) {
        self.known.insert(name, Registered { provider, calls: Arc::default() });
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.known.keys().try_for_each(|name| check_label("key provider", name))
    }

    /// The files that providers keep their secrets in.
    pub(crate) fn locations(&self) -> impl Iterator<Item = &Path> {
        self.known.values().filter_map(|known| known.provider.location())
    }

    /// Refuses a name that no provider has.
    pub(crate) fn require(&self, name: &str) -> Result<()> {
        self.get(name).map(|_| ())
    }

    fn get(&self, name: &str) -> Result<&Registered> {
        self.known.get(name).ok_or_else(|| {
            fail!(KeyUnavailable, "no key provider named '{name}' is configured: register it under this name")
        })
    }

    pub(crate) fn create(&self, name: &str) -> Result<()> {
        self.call(name, |provider| provider.create())
    }

    /// Refuses a content section where the store is open for maintenance; the provider is not asked.
    fn check_section(&self, section: Section) -> Result<()> {
        if self.structure_only && section == Section::Content {
            return Err(fail!(
                KeyUnavailable,
                "the store is open for maintenance, which has no keys of values: open it without that"
            ));
        }
        Ok(())
    }

    pub(crate) fn wrap(&self, name: &str, key: &SectionKey, context: &WrapContext) -> Result<Vec<u8>> {
        self.check_section(context.section)?;
        let (key, context) = (Zeroizing::new(*key.as_bytes()), *context);
        let wrapped = self.call(name, move |provider| provider.wrap(&key, &context))?;
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
        self.check_section(context.section)?;
        let (wrapped, context) = (wrapped.to_vec(), *context);
        let key = self.call(name, move |provider| provider.unwrap(&wrapped, &context))?;
        Ok(SectionKey::from_bytes(&key))
    }

    /// Calls a provider in a thread of its own, and waits for it no longer than the timeout: it is code of the application,
    /// and often a network call. Its panic ends there.
    fn call<T: Send + 'static>(
        &self,
        name: &str,
        call: impl FnOnce(&dyn KeyProvider) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T> {
        let Registered { provider, calls } = self.get(name)?.clone();
        let under_way = UnderWay(Arc::clone(&calls));
        if calls.fetch_add(1, Ordering::AcqRel) >= CALLS_MAX {
            let text = "does not answer, and so many calls wait for it that no more are made";
            return Err(fail!(KeyUnavailable, "the key provider '{name}' {text}").retryable());
        }
        let (sender, answer) = mpsc::sync_channel(1);
        let started =
            std::thread::Builder::new().name("strongroom-key-provider".to_owned()).spawn(move || {
                let answer = catch_unwind(AssertUnwindSafe(|| call(&*provider)));
                drop(under_way);
                // Nobody waits any more where it took too long.
                let _ = sender.send(answer);
            });
        started.map_err(|error| Error::io("starting a thread to ask a key provider", error))?;
        match answer.recv_timeout(self.timeout) {
            Ok(Ok(answer)) => answer.map_err(unavailable),
            Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(fail!(KeyUnavailable, "the key provider panicked: mend it"))
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let seconds = self.timeout.as_secs_f64();
                Err(fail!(
                    KeyUnavailable,
                    "the key provider '{name}' gave no answer within {seconds} s: can it be reached?"
                )
                .retryable())
            }
        }
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

#[cfg(test)]
mod tests {
    use parking_lot::RwLock;

    use super::*;
    use crate::error::ErrorKind;

    /// Answers once it may read.
    #[derive(Debug)]
    struct Gated(Arc<RwLock<()>>);

    impl KeyProvider for Gated {
        fn wrap(&self, key: &[u8; 32], _: &WrapContext) -> std::result::Result<Vec<u8>, ProviderError> {
            let _open = self.0.read();
            Ok(key.to_vec())
        }

        fn unwrap(
            &self,
            wrapped: &[u8],
            _: &WrapContext,
        ) -> std::result::Result<Zeroizing<[u8; 32]>, ProviderError> {
            let _open = self.0.read();
            wrapped.try_into().map(Zeroizing::new).map_err(|_| ProviderError::denied("not 32 bytes"))
        }
    }

    #[test]
    fn a_provider_that_never_answers_has_so_many_calls_and_no_more_until_they_return() {
        let gate = Arc::new(RwLock::new(()));
        let mut providers = Providers { timeout: Duration::from_millis(1), ..Providers::default() };
        providers.insert("default".to_owned(), Arc::new(Gated(Arc::clone(&gate))));
        let (store, tenant) = (StoreId::new([1; 16]), TenantId::new([2; 16]));
        let context = WrapContext { store, tenant, section: Section::Content };
        let ask = |providers: &Providers| providers.unwrap("default", &[7; 32], &context);
        let closed = gate.write();
        for call in 0..=CALLS_MAX {
            let error = ask(&providers).expect_err("nobody answers");
            assert!(error.kind() == ErrorKind::KeyUnavailable && error.is_retryable(), "{error}");
            assert_eq!(error.to_string().contains("no more are made"), call == CALLS_MAX, "{call}: {error}");
        }
        drop(closed);
        let calls = Arc::clone(&providers.get("default").expect("is there").calls);
        let is_free = || {
            std::thread::yield_now();
            calls.load(Ordering::Acquire) == 0
        };
        assert!((0..10_000_000).any(|_| is_free()), "they have returned");
        providers.timeout = Duration::from_secs(30);
        assert_eq!(ask(&providers).ok().map(|key| *key.as_bytes()), Some([7; 32]));
    }
}
