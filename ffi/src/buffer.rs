//! Bytes that the library owns until the caller frees it.

use std::ops::Deref;

use strongroom::{Cursor, Plaintext};

use crate::boxed::{Boxed, Named, free};
use crate::call::guarded;

/// A value, decrypted, or a cursor or text: owned by whoever gets it, freed with strongroom_buffer_free, which wipes it. Immutable; may be read
/// from any thread.
pub struct Buffer {
    _opaque: [u8; 0],
}

/// What a buffer holds.
pub(crate) enum Bytes {
    Value(Plaintext),
    Cursor(Cursor),
    Text(String),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Value(value) => value,
            Self::Cursor(cursor) => cursor.as_bytes(),
            Self::Text(text) => text.as_bytes(),
        }
    }
}

impl Named for Buffer {
    type Value = Bytes;
    const TAG: u64 = u64::from_le_bytes(*b"sr.buffe");
}

/// A buffer's bytes.
///
/// @param[in] buffer borrowed; NULL gives NULL.
/// @return borrowed from the buffer until it is freed; not NULL where it is empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_buffer_data(buffer: *const Buffer) -> *const u8 {
    // SAFETY: the caller's pointer is NULL or a buffer that it has not freed, as the header demands.
    let buffer = unsafe { Boxed::of(buffer, "buffer") };
    guarded(std::ptr::null(), || buffer.map_or(std::ptr::null(), |value| value.as_ptr()))
}

/// A buffer's length in bytes.
///
/// @param[in] buffer borrowed; NULL gives 0.
/// @return the length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_buffer_size(buffer: *const Buffer) -> usize {
    // SAFETY: the caller's pointer is NULL or a buffer that it has not freed, as the header demands.
    let buffer = unsafe { Boxed::of(buffer, "buffer") };
    guarded(0, || buffer.map_or(0, |value| value.len()))
}

/// Wipes a buffer and frees it.
///
/// @param[in] buffer owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_buffer_free(buffer: *mut Buffer) {
    // SAFETY: the caller's pointer is NULL or a buffer that it gives up, as the header demands.
    let buffer = unsafe { Boxed::take(buffer) };
    guarded((), || free(buffer));
}
