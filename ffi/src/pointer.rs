//! What callers point at: bytes, texts, paths, options, and places for results. Every dereference of a pointer that is
//! not a handle's stands here.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::path::Path;
use std::slice;

use crate::error::{Failure, Result, Status};

/// No options of this library are longer, in any version.
const OPTIONS_BYTES_MAX: usize = 4_096;
/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 65_536;

/// Whether something can stand at this pointer at all.
pub(crate) fn aligned<T>(pointer: *const T) -> bool {
    !pointer.is_null() && pointer.is_aligned()
}

/// Bytes of the caller's. NULL is no bytes; empty ones are any other pointer and a length of 0.
///
/// # Safety
/// Unless it is NULL or `size` is over `most`, `pointer` must point at `size` bytes that can be read, and that nobody
/// writes, for `'a`.
pub(crate) unsafe fn optional_bytes<'a>(
    pointer: *const u8,
    size: usize,
    most: usize,
    what: &str,
) -> Result<Option<&'a [u8]>> {
    if pointer.is_null() {
        return if size == 0 {
            Ok(None)
        } else {
            Err(Failure::invalid(format_args!("`{what}` is NULL and its length is {size}")))
        };
    }
    if size > most {
        // Nothing so long is looked at: the length itself may be wrong.
        let message = format!("`{what}` has {size} bytes: the most is {most}");
        return Err(Failure::new(Status::LimitExceeded, message));
    }
    // SAFETY: it is not NULL, it is aligned as bytes always are, and the caller promises the rest.
    Ok(Some(unsafe { slice::from_raw_parts(pointer, size) }))
}

/// Like [`optional_bytes`], where there must be some, if only empty ones.
///
/// # Safety
/// That of [`optional_bytes`].
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, size: usize, most: usize, what: &str) -> Result<&'a [u8]> {
    // SAFETY: the caller promises what it demands.
    let bytes = unsafe { optional_bytes(pointer, size, most, what) }?;
    bytes.ok_or_else(|| {
        Failure::invalid(format_args!("`{what}` is NULL: an empty one is any pointer and a length of 0"))
    })
}

/// A record's key.
///
/// # Safety
/// That of [`optional_bytes`].
pub(crate) unsafe fn record_key<'a>(pointer: *const u8, size: usize) -> Result<&'a [u8]> {
    // SAFETY: the caller promises what it demands.
    unsafe { bytes(pointer, size, strongroom::limits::RECORD_KEY_BYTES_MAX, "key") }
}

/// A record's value.
///
/// # Safety
/// That of [`optional_bytes`].
pub(crate) unsafe fn record_value<'a>(pointer: *const u8, size: usize) -> Result<&'a [u8]> {
    // SAFETY: the caller promises what it demands.
    unsafe { bytes(pointer, size, strongroom::limits::VALUE_BYTES_MAX, "value") }
}

/// A name of a tenant, collection, region or key provider: UTF-8. The engine checks the rest.
///
/// # Safety
/// That of [`optional_bytes`].
pub(crate) unsafe fn name<'a>(pointer: *const u8, size: usize, what: &str) -> Result<&'a str> {
    let most = strongroom::limits::NAME_BYTES_MAX;
    if !pointer.is_null() && size > most {
        return Err(Failure::invalid(format_args!("`{what}` has {size} bytes: the most is {most}")));
    }
    // SAFETY: the caller promises what it demands.
    let bytes = unsafe { bytes(pointer, size, most, what) }?;
    std::str::from_utf8(bytes).map_err(|_| Failure::invalid(format_args!("`{what}` is not UTF-8")))
}

/// A path: bytes without a zero, and UTF-8 where the operating system's paths are not bytes.
///
/// # Safety
/// That of [`optional_bytes`].
pub(crate) unsafe fn path<'a>(pointer: *const u8, size: usize, what: &str) -> Result<&'a Path> {
    // SAFETY: the caller promises what it demands.
    let bytes = unsafe { bytes(pointer, size, PATH_BYTES_MAX, what) }?;
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(Failure::invalid(format_args!("`{what}` is empty or has a zero byte: give a path")));
    }
    #[cfg(unix)]
    let text: Option<&OsStr> = Some(std::os::unix::ffi::OsStrExt::from_bytes(bytes));
    #[cfg(not(unix))]
    let text: Option<&OsStr> = std::str::from_utf8(bytes).ok().map(OsStr::new);
    text.map(Path::new).ok_or_else(|| Failure::invalid(format_args!("`{what}` is not UTF-8")))
}

/// A small struct of the caller's; NULL is none.
///
/// # Safety
/// Unless it is NULL or misaligned, `pointer` must point at a `T` that nobody writes meanwhile.
pub(crate) unsafe fn optional_value<T: Copy>(pointer: *const T, what: &str) -> Result<Option<T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    if !pointer.is_aligned() {
        return Err(Failure::invalid(format_args!("`{what}` is misaligned")));
    }
    // SAFETY: it is neither NULL nor misaligned, and the caller promises the rest.
    Ok(Some(unsafe { *pointer }))
}

/// An array of the caller's. NULL with length 0 is an empty one.
///
/// # Safety
/// Unless it is NULL or misaligned, or `count` is over `most`, `pointer` must point at `count` of them, which nobody writes
/// for `'a`.
pub(crate) unsafe fn array<'a, T: Copy>(
    pointer: *const T,
    count: usize,
    most: usize,
    what: &str,
) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if !aligned(pointer) {
        return Err(Failure::invalid(format_args!(
            "`{what}` is NULL or misaligned, and its length is {count}"
        )));
    }
    if count > most {
        let message = format!("`{what}` has {count} members: the most is {most}");
        return Err(Failure::new(Status::LimitExceeded, message));
    }
    // SAFETY: it is neither NULL nor misaligned, not too long, and the caller promises the rest.
    Ok(unsafe { slice::from_raw_parts(pointer, count) })
}

/// Where a result goes. It is written only on success.
pub(crate) struct Out<'a, T>(&'a mut MaybeUninit<T>);

impl<T> Out<'_, T> {
    pub(crate) fn write(self, value: T) {
        self.0.write(value);
    }
}

/// A place for a result.
///
/// # Safety
/// Unless it is NULL or misaligned, `pointer` must point at memory that can be written, and that nobody else uses, for `'a`.
pub(crate) unsafe fn out<'a, T>(pointer: *mut T, what: &str) -> Result<Out<'a, T>> {
    // SAFETY: the caller promises what it demands.
    let out = unsafe { optional_out(pointer) };
    out.ok_or_else(|| {
        Failure::invalid(format_args!("`{what}` is NULL or misaligned: there is no place for the result"))
    })
}

/// A place for a result that the caller may not want.
///
/// # Safety
/// That of [`out`].
pub(crate) unsafe fn optional_out<'a, T>(pointer: *mut T) -> Option<Out<'a, T>> {
    // SAFETY: it is neither NULL nor misaligned, and the caller promises the rest.
    aligned(pointer).then(|| Out(unsafe { &mut *pointer.cast::<MaybeUninit<T>>() }))
}

/// A place for bytes.
///
/// # Safety
/// Unless it is NULL or `size` is 0, `pointer` must point at `size` bytes that can be written, and that nobody else uses,
/// for `'a`.
pub(crate) unsafe fn space<'a>(pointer: *mut u8, size: usize) -> Result<&'a mut [MaybeUninit<u8>]> {
    if size == 0 {
        return Ok(&mut []);
    }
    if pointer.is_null() || size > isize::MAX.unsigned_abs() {
        return Err(Failure::invalid("the buffer is NULL, or its capacity more than a buffer can have"));
    }
    // SAFETY: it is not NULL, aligned as bytes always are, not too long, and the caller promises the rest.
    Ok(unsafe { slice::from_raw_parts_mut(pointer.cast(), size) })
}

/// The same, as bytes that were written once.
pub(crate) fn zeroed(space: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    space.fill(MaybeUninit::new(0));
    // SAFETY: all of it was written just now.
    unsafe { &mut *(std::ptr::from_mut(space) as *mut [u8]) }
}

/// A struct of the header that begins with its size, so that it can grow.
///
/// # Safety
/// It is `repr(C)`, begins with a `usize` for its size in bytes, and any bytes are a valid one.
pub(crate) unsafe trait Growing: Copy {
    /// Its size in the first version of the ABI that had it: no caller's is smaller.
    const LEAST: usize;
    /// What a caller gets who changes nothing: all zero, and this version's size.
    fn initial() -> Self {
        let mut new = MaybeUninit::<Self>::zeroed();
        // SAFETY: it begins with a `usize` for its size, and any bytes are a valid one.
        unsafe {
            new.as_mut_ptr().cast::<usize>().write(size_of::<Self>());
            new.assume_init()
        }
    }
}

/// Reads a struct of the caller's, which may be of an older or a newer version than this library's. NULL is the defaults.
///
/// # Safety
/// Unless it is NULL or misaligned, `pointer` must point at a `usize`, and at as many bytes as it says, which can be read
/// and nobody writes meanwhile.
pub(crate) unsafe fn options<T: Growing>(pointer: *const T, what: &str) -> Result<T> {
    let mut options = T::initial();
    if pointer.is_null() {
        return Ok(options);
    }
    if !pointer.is_aligned() {
        return Err(Failure::invalid(format_args!("`{what}` is misaligned")));
    }
    // SAFETY: it is neither NULL nor misaligned, and the caller promises a size there.
    let size = unsafe { *pointer.cast::<usize>() };
    if !(T::LEAST..=OPTIONS_BYTES_MAX).contains(&size) {
        return Err(Failure::invalid(format_args!(
            "`{what}` says that it has {size} bytes: call its _init function first"
        )));
    }
    let own = size_of::<T>();
    // SAFETY: it has a plausible size, and the caller promises as many bytes.
    let given = unsafe { slice::from_raw_parts(pointer.cast::<u8>(), size) };
    if given.iter().skip(own).any(|byte| *byte != 0) {
        return Err(Failure::invalid(format_args!(
            "`{what}` sets something that this version of the library does not know"
        )));
    }
    // SAFETY: any bytes are a valid `T`, and no more are copied than either has.
    unsafe { std::ptr::copy_nonoverlapping(given.as_ptr(), (&raw mut options).cast(), size.min(own)) };
    Ok(options)
}

/// A struct of the caller's that takes a result. It may be shorter or longer than this library's: what it has more becomes
/// zero.
pub(crate) struct GrowingOut<'a, T> {
    bytes: &'a mut [MaybeUninit<u8>],
    of: PhantomData<T>,
}

impl<T: Growing> GrowingOut<'_, T> {
    /// Its size stays what the caller said.
    #[allow(clippy::host_endian_bytes, reason = "in memory, not in a file")]
    pub(crate) fn write(self, value: &T) {
        let Self { bytes, .. } = self;
        let size = bytes.len();
        // SAFETY: a `T` is `repr(C)` and initialised; its padding is copied as `MaybeUninit`, which may be anything.
        let own = unsafe {
            slice::from_raw_parts(std::ptr::from_ref(value).cast::<MaybeUninit<u8>>(), size_of::<T>())
        };
        bytes.fill(MaybeUninit::new(0));
        let common = size.min(own.len());
        bytes[..common].copy_from_slice(&own[..common]);
        for (target, byte) in bytes.iter_mut().zip(size.to_ne_bytes()) {
            target.write(byte);
        }
    }
}

/// A struct that says its size already.
///
/// # Safety
/// That of [`options`], and nobody else uses the bytes for `'a`.
pub(crate) unsafe fn growing_out<'a, T: Growing>(pointer: *mut T, what: &str) -> Result<GrowingOut<'a, T>> {
    if !aligned(pointer) {
        return Err(Failure::invalid(format_args!("`{what}` is NULL or misaligned")));
    }
    // SAFETY: it is neither NULL nor misaligned, and the caller promises a size there.
    let size = unsafe { *pointer.cast::<usize>() };
    // SAFETY: the caller promises so many bytes.
    unsafe { new_struct(pointer, size) }
}

/// A struct that is not initialised yet.
///
/// # Safety
/// Unless it is NULL or misaligned, `pointer` must point at `size` bytes that can be written and nobody else uses for `'a`.
pub(crate) unsafe fn new_struct<'a, T: Growing>(pointer: *mut T, size: usize) -> Result<GrowingOut<'a, T>> {
    if !aligned(pointer) || !(T::LEAST..=OPTIONS_BYTES_MAX).contains(&size) {
        return Err(Failure::invalid(format_args!(
            "a struct is NULL or misaligned, or has no size that it ever had ({size}): call its _init function first"
        )));
    }
    // SAFETY: it is neither NULL nor misaligned, and the caller promises the rest.
    let bytes = unsafe { slice::from_raw_parts_mut(pointer.cast(), size) };
    Ok(GrowingOut { bytes, of: PhantomData })
}
