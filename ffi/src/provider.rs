//! A key provider made of the application's functions.

use std::ffi::{c_char, c_void};
use std::fmt;

use strongroom::{ProviderError, WrapContext as EngineContext};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Failure, Status};
use crate::library::init;
use crate::pointer::Growing;

type Result<T, E = Failure> = std::result::Result<T, E>;

/// A provider's function did what it was asked.
pub const STRONGROOM_PROVIDER_OK: u32 = 0;
/// The provider will not: wrong key, no permission, key disabled or destroyed. So counts any number not listed here.
pub const STRONGROOM_PROVIDER_DENIED: u32 = 1;
/// The provider could not be asked: unreachable, timed out, throttled. The call that needed it fails with KeyUnavailable,
/// retryable.
pub const STRONGROOM_PROVIDER_RETRYABLE: u32 = 2;
/// What create should make is there already.
pub const STRONGROOM_PROVIDER_ALREADY_EXISTS: u32 = 3;

/// Room for a wrapped key, in bytes.
pub const STRONGROOM_WRAPPED_KEY_BYTES_MAX: usize = 1_024;
/// Room for a provider's message, in bytes, its final NUL included.
pub const STRONGROOM_PROVIDER_MESSAGE_BYTES: usize = 256;

const _: () = assert!(STRONGROOM_WRAPPED_KEY_BYTES_MAX == strongroom::limits::WRAPPED_KEY_BYTES_MAX);

/// What a wrapped key belongs to. A provider binds it to the wrapped key (as additional data, or as the encryption context
/// of a KMS), so that a key moved to another tenant or section does not unwrap. Borrowed for the time of the callback.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WrapContext {
    /// The store of origin.
    pub store_id: [u8; 16],
    /// The tenant.
    pub tenant_id: [u8; 16],
    /// 1: the structure section, which maintenance needs. 2: the content section, which values need.
    pub section: u32,
    /// All of it as bytes.
    pub bytes: *const u8,
    /// Their length.
    pub bytes_size: usize,
}

/// Makes what the provider keeps, when a store is created; fails with STRONGROOM_PROVIDER_ALREADY_EXISTS if it is there.
/// message takes a NUL-terminated text for people, without secrets, where it fails. It must return, and must not throw.
pub type ProviderCreate =
    Option<unsafe extern "C" fn(context: *mut c_void, message: *mut c_char, message_capacity: usize) -> u32>;

/// Wraps a key of 32 bytes. wrapped takes 1 to capacity bytes and wrapped_size their number; message as for create.
pub type ProviderWrap = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        belongs_to: *const WrapContext,
        key: *const u8,
        wrapped: *mut u8,
        capacity: usize,
        wrapped_size: *mut usize,
        message: *mut c_char,
        message_capacity: usize,
    ) -> u32,
>;

/// Unwraps what wrap gave for the same context. key takes 32 bytes; message as for create. It must authenticate: anything
/// but what wrap gave is STRONGROOM_PROVIDER_DENIED.
pub type ProviderUnwrap = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        belongs_to: *const WrapContext,
        wrapped: *const u8,
        wrapped_size: usize,
        key: *mut u8,
        message: *mut c_char,
        message_capacity: usize,
    ) -> u32,
>;

/// Frees a context.
pub type ProviderDestroy = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// A key provider of the application's. Set up with strongroom_key_provider_init.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct KeyProvider {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Given to each of the functions.
    pub context: *mut c_void,
    /// May be NULL: there is nothing to make.
    pub create: ProviderCreate,
    /// Not NULL.
    pub wrap: ProviderWrap,
    /// Not NULL.
    pub unwrap: ProviderUnwrap,
    /// May be NULL: the context needs no freeing.
    pub destroy: ProviderDestroy,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of pointers; a NULL function is `None`.
unsafe impl Growing for KeyProvider {
    const LEAST: usize = 6 * size_of::<usize>();
}

/// The functions of a provider, as the engine sees them.
pub(crate) struct Callbacks {
    provider: KeyProvider,
}

// SAFETY: the header says that the functions are called from any thread, with this context.
unsafe impl Send for Callbacks {}
// SAFETY: the header says that several are called at a time.
unsafe impl Sync for Callbacks {}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callbacks")
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        if let Some(destroy) = self.provider.destroy {
            // SAFETY: the context is this provider's, nothing uses it any more, and this happens once.
            unsafe { destroy(self.provider.context) };
        }
    }
}

/// Room for a message.
struct Message([u8; STRONGROOM_PROVIDER_MESSAGE_BYTES]);

impl Message {
    const fn new() -> Self {
        Self([0; STRONGROOM_PROVIDER_MESSAGE_BYTES])
    }

    fn as_mut_ptr(&mut self) -> *mut c_char {
        self.0.as_mut_ptr().cast()
    }

    /// What a number and this message say.
    fn result(&self, status: u32) -> Result<(), ProviderError> {
        let text = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        let text = if text.is_empty() { "it gave no reason".into() } else { text };
        match status {
            STRONGROOM_PROVIDER_OK => Ok(()),
            STRONGROOM_PROVIDER_RETRYABLE => Err(ProviderError::retryable(text)),
            STRONGROOM_PROVIDER_ALREADY_EXISTS => Err(ProviderError::already_exists(text)),
            STRONGROOM_PROVIDER_DENIED => Err(ProviderError::denied(text)),
            other => Err(ProviderError::denied(format!("it answered {other}, which means nothing: {text}"))),
        }
    }
}

fn context(context: &EngineContext, bytes: &[u8]) -> WrapContext {
    WrapContext {
        store_id: *context.store.as_bytes(),
        tenant_id: *context.tenant.as_bytes(),
        section: context.section as u32,
        bytes: bytes.as_ptr(),
        bytes_size: bytes.len(),
    }
}

impl Callbacks {
    /// Fails before it owns the context.
    pub(crate) fn new(provider: &KeyProvider) -> Result<Self> {
        if provider.wrap.is_none() || provider.unwrap.is_none() {
            return Err(Failure::invalid("a key provider needs `wrap` and `unwrap`"));
        }
        Ok(Self { provider: *provider })
    }
}

fn missing() -> ProviderError {
    ProviderError::denied("the key provider lacks a function")
}

impl strongroom::KeyProvider for Callbacks {
    fn create(&self) -> Result<(), ProviderError> {
        let Some(create) = self.provider.create else { return Ok(()) };
        let mut message = Message::new();
        // SAFETY: the context is this provider's, and the message has the length given.
        let status =
            unsafe { create(self.provider.context, message.as_mut_ptr(), STRONGROOM_PROVIDER_MESSAGE_BYTES) };
        message.result(status)
    }

    fn wrap(&self, key: &[u8; 32], belongs_to: &EngineContext) -> Result<Vec<u8>, ProviderError> {
        let wrap = self.provider.wrap.ok_or_else(missing)?;
        let bytes = belongs_to.to_bytes();
        let belongs_to = context(belongs_to, &bytes);
        let mut wrapped = vec![0; STRONGROOM_WRAPPED_KEY_BYTES_MAX];
        let (mut size, mut message) = (0, Message::new());
        // SAFETY: the context is this provider's, and everything else lives here with the length given.
        let status = unsafe {
            wrap(
                self.provider.context,
                &raw const belongs_to,
                key.as_ptr(),
                wrapped.as_mut_ptr(),
                wrapped.len(),
                &raw mut size,
                message.as_mut_ptr(),
                STRONGROOM_PROVIDER_MESSAGE_BYTES,
            )
        };
        message.result(status)?;
        if size == 0 || size > wrapped.len() {
            return Err(ProviderError::denied(format!("it says that a wrapped key has {size} bytes")));
        }
        wrapped.truncate(size);
        Ok(wrapped)
    }

    fn unwrap(
        &self,
        wrapped: &[u8],
        belongs_to: &EngineContext,
    ) -> Result<Zeroizing<[u8; 32]>, ProviderError> {
        let unwrap = self.provider.unwrap.ok_or_else(missing)?;
        let bytes = belongs_to.to_bytes();
        let belongs_to = context(belongs_to, &bytes);
        let (mut key, mut message) = (Zeroizing::new([0; 32]), Message::new());
        // SAFETY: the context is this provider's, and everything else lives here with the length given.
        let status = unsafe {
            unwrap(
                self.provider.context,
                &raw const belongs_to,
                wrapped.as_ptr(),
                wrapped.len(),
                key.as_mut_ptr(),
                message.as_mut_ptr(),
                STRONGROOM_PROVIDER_MESSAGE_BYTES,
            )
        };
        message.result(status).inspect_err(|_| key.zeroize())?;
        Ok(key)
    }
}

/// Sets up a provider: no functions yet.
///
/// @param[out] provider borrowed; not initialised yet.
/// @param[in]  size     sizeof *provider.
/// @return InvalidArgument where provider is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_key_provider_init(provider: *mut KeyProvider, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(provider, size) }
}
