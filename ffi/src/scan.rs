//! Scans, page by page.

use std::ops::Bound;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom::limits::RECORD_KEY_BYTES_MAX;
use strongroom::{Cursor, Entry as EngineEntry, Plaintext, Scan as EngineScan, ScanOptions as EngineOptions};

use crate::boxed::{self, Boxed, Named, free};
use crate::buffer::{Buffer, Bytes};
use crate::call::{call, guarded};
use crate::collection::{STRONGROOM_NEVER, Version};
use crate::config::flag;
use crate::error::{Error, Failure, Result, Status};
use crate::handle::{self, Handle, Health, Resting};
use crate::library::init;
use crate::pointer::{self, Growing};

/// Records in a page unless the caller says otherwise.
const PAGE_RECORDS: usize = 256;
/// No cursor is longer; the engine knows better.
const CURSOR_BYTES_MAX: usize = 4 * RECORD_KEY_BYTES_MAX;
/// Bytes of keys and values after which a page ends unless the caller says otherwise.
const PAGE_BYTES: usize = 1 << 20;

/// What a scan covers, in which order, and how much of it. Zero is the default everywhere. Set up with
/// strongroom_scan_options_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ScanOptions {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Borrowed; only keys from this one on. NULL: from the first one.
    pub from: *const u8,
    /// Its length in bytes.
    pub from_size: usize,
    /// Borrowed; only keys before this one. NULL: to the last one.
    pub to: *const u8,
    /// Its length in bytes.
    pub to_size: usize,
    /// Borrowed; only keys that begin so. NULL: any.
    pub prefix: *const u8,
    /// Its length in bytes.
    pub prefix_size: usize,
    /// At most so many records. 0: all.
    pub limit: u64,
    /// 1: `from` itself is left out.
    pub from_excluded: u32,
    /// 1: `to` itself is included.
    pub to_included: u32,
    /// 1: in descending order.
    pub reverse: u32,
    /// 1: without values; none is opened.
    pub keys_only: u32,
    /// Borrowed; a cursor of this collection and direction, behind which the scan goes on. NULL: from the beginning.
    pub after: *const u8,
    /// Its length in bytes.
    pub after_size: usize,
    /// Opens values before they are asked for, of so many records at the most (1,024 whatever is given), in a thread of the scan's
    /// own. 0: when they are asked for.
    pub open_ahead: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers and raw pointers.
unsafe impl Growing for ScanOptions {
    const LEAST: usize = 9 * size_of::<usize>() + 24;
}

impl ScanOptions {
    /// Reads the caller's options and what they point at.
    ///
    /// # Safety
    /// That of [`pointer::options`], and of [`pointer::optional_bytes`] for each key in it.
    pub(crate) unsafe fn read(options: *const Self) -> Result<EngineOptions> {
        // SAFETY: the caller promises what it demands.
        let options = unsafe { pointer::options(options, "options") }?;
        let most = RECORD_KEY_BYTES_MAX;
        // SAFETY: the caller promises what it demands.
        let (from, to, prefix, after) = unsafe {
            (
                pointer::optional_bytes(options.from, options.from_size, most, "from")?,
                pointer::optional_bytes(options.to, options.to_size, most, "to")?,
                pointer::optional_bytes(options.prefix, options.prefix_size, most, "prefix")?,
                pointer::optional_bytes(options.after, options.after_size, CURSOR_BYTES_MAX, "after")?,
            )
        };
        let from_excluded = flag(options.from_excluded, "from_excluded")?;
        let to_included = flag(options.to_included, "to_included")?;
        let from = from.map_or(Bound::Unbounded, |key| {
            if from_excluded { Bound::Excluded(key) } else { Bound::Included(key) }
        });
        let to = to.map_or(Bound::Unbounded, |key| {
            if to_included { Bound::Included(key) } else { Bound::Excluded(key) }
        });
        let mut scan = EngineOptions::new()
            .range::<&[u8]>((from, to))
            .reverse(flag(options.reverse, "reverse")?)
            .keys_only(flag(options.keys_only, "keys_only")?);
        if let Some(prefix) = prefix {
            scan = scan.prefix(prefix);
        }
        if let Some(after) = after {
            scan = scan.after(&Cursor::from_bytes(after)?);
        }
        if options.limit != 0 {
            scan = scan.limit(usize::try_from(options.limit).unwrap_or(usize::MAX));
        }
        scan = scan.open_ahead(usize::try_from(options.open_ahead).unwrap_or(usize::MAX));
        Ok(scan)
    }
}

/// A scan under way. May be used from any thread; calls on one wait for each other. Freed with strongroom_scan_free; the
/// collection it came from may be freed before. While it lives the file keeps what was overwritten since it began.
pub struct Scan {
    _opaque: [u8; 0],
}

pub(crate) struct UnderWay {
    scan: EngineScan,
    /// An error that came after records which were given first.
    failure: Option<Failure>,
}

impl Handle for Scan {
    type Value = Mutex<UnderWay>;
    const TAG: u64 = u64::from_le_bytes(*b"sr.scan\0");
    fn resting() -> &'static Resting<Self::Value> {
        static RESTING: Resting<Mutex<UnderWay>> = Resting::new();
        &RESTING
    }
}

impl Scan {
    pub(crate) fn give(scan: EngineScan, health: Arc<Health>) -> *mut Self {
        handle::give(Mutex::new(UnderWay { scan, failure: None }), health)
    }
}

/// One record of a page. Its pointers are borrowed from the page.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry {
    /// The record's key.
    pub key: *const u8,
    /// Its length in bytes.
    pub key_size: usize,
    /// Its value; NULL where the scan is for keys only, or the value is longer than 1 MiB; not NULL where it is empty.
    pub value: *const u8,
    /// Its length in bytes, known for keys only too.
    pub value_size: usize,
    /// When it was written, in the order of its tenant's batches.
    pub version: Version,
    /// When it was written, in milliseconds since the epoch.
    pub written_ms: u64,
    /// When it expires, in milliseconds since the epoch, or STRONGROOM_NEVER.
    pub expires_ms: u64,
}

impl Entry {
    pub(crate) fn of(entry: &EngineEntry) -> Self {
        Self {
            key: entry.key.as_ptr(),
            key_size: entry.key.len(),
            value: entry.value.as_ref().map_or(ptr::null(), |value| value.as_ptr()),
            value_size: usize::try_from(entry.info.value_bytes).unwrap_or(usize::MAX),
            version: entry.info.version.into(),
            written_ms: entry.info.written_ms,
            expires_ms: entry.info.expires_ms.unwrap_or(STRONGROOM_NEVER),
        }
    }
}

/// Some records of a scan: owned by whoever gets it, freed with strongroom_page_free, which wipes the values. Immutable; may
/// be read from any thread.
pub struct Page {
    _opaque: [u8; 0],
}

impl Named for Page {
    type Value = Records;
    const TAG: u64 = u64::from_le_bytes(*b"sr.page\0");
}

impl Page {
    /// The records of a session, which have keys and values, and nothing else.
    pub(crate) fn of_session(records: Vec<(Vec<u8>, Plaintext)>) -> *mut Self {
        let entries = records.iter().map(|(key, value)| Entry {
            key: key.as_ptr(),
            key_size: key.len(),
            value: value.as_ptr(),
            value_size: value.len(),
            version: Version::default(),
            written_ms: 0,
            expires_ms: STRONGROOM_NEVER,
        });
        boxed::give(Records { entries: entries.collect(), _owners: Owners::Session(records) })
    }
}

/// The records of a page, and what says where they are.
pub(crate) struct Records {
    entries: Vec<Entry>,
    /// What the entries point into.
    _owners: Owners,
}

enum Owners {
    Stored(#[expect(dead_code, reason = "it is kept for the entries that point into it")] Vec<EngineEntry>),
    Session(
        #[expect(dead_code, reason = "it is kept for the entries that point into it")]
        Vec<(Vec<u8>, Plaintext)>,
    ),
}

// SAFETY: the entries point into the page's own records, which nobody changes.
unsafe impl Send for Records {}
// SAFETY: as above.
unsafe impl Sync for Records {}

impl Records {
    fn new(owners: Vec<EngineEntry>) -> Self {
        Self { entries: owners.iter().map(Entry::of).collect(), _owners: Owners::Stored(owners) }
    }
}

impl UnderWay {
    /// The next records; none where there are no more.
    fn page(&mut self, records: usize, bytes: usize) -> Result<Vec<EngineEntry>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let (mut page, mut size) = (Vec::new(), 0);
        while page.len() < records && size < bytes {
            match self.scan.next() {
                None => break,
                Some(Ok(entry)) => {
                    size += entry.key.len() + entry.value.as_ref().map_or(0, |value| value.len());
                    page.push(entry);
                }
                Some(Err(error)) if page.is_empty() => return Err(error.into()),
                Some(Err(error)) => {
                    self.failure = Some(error.into());
                    break;
                }
            }
        }
        Ok(page)
    }
}

/// Sets up options: the defaults.
///
/// @param[out] options borrowed; not initialised yet.
/// @param[in]  size    sizeof *options.
/// @return InvalidArgument where options is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_scan_options_init(options: *mut ScanOptions, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(options, size) }
}

/// The next page of a scan. After the error of one record the scan goes on with the next record.
///
/// @param[in]  scan        borrowed.
/// @param[in]  records_max at most so many records; 0: 256.
/// @param[in]  bytes_max   no further record after so many bytes of keys and values; 0: 1 MiB.
/// @param[out] page        owned: freed with strongroom_page_free; NULL at the end, else at least one record.
/// @param[out] error       owned, or NULL: why it failed.
/// @return Unauthentic or Corrupted for a damaged record or file; KeyMissing, KeyUnavailable; SnapshotExpired where the file
///         was reopened meanwhile; InvalidArgument, Poisoned, Forked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_scan_next(
    scan: *const Scan,
    records_max: usize,
    bytes_max: usize,
    page: *mut *mut Page,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (scan, place, error) =
        unsafe { (handle::held(scan, "scan"), pointer::out(page, "page"), pointer::optional_out(error)) };
    call(error, || {
        let (scan, place) = (scan?, place?);
        let records = if records_max == 0 { PAGE_RECORDS } else { records_max };
        let bytes = if bytes_max == 0 { PAGE_BYTES } else { bytes_max };
        let page =
            scan.run(|scan| scan.lock().unwrap_or_else(PoisonError::into_inner).page(records, bytes))?;
        let page = if page.is_empty() { ptr::null_mut() } else { boxed::give::<Page>(Records::new(page)) };
        place.write(page);
        Ok(())
    })
}

/// Where another scan of the same collection and direction goes on behind the last record that this one gave: for its
/// option `after`. Sealed: it can be handed to a client and taken back, and lasts through restarts and rewrites.
///
/// @param[in]  scan   borrowed.
/// @param[out] cursor owned: freed with strongroom_buffer_free; NULL where nothing comes behind it.
/// @param[out] error  owned, or NULL: why it failed.
/// @return Io where the operating system gives no randomness; as strongroom_scan_next.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_scan_cursor(
    scan: *const Scan,
    cursor: *mut *mut Buffer,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (scan, place, error) =
        unsafe { (handle::held(scan, "scan"), pointer::out(cursor, "cursor"), pointer::optional_out(error)) };
    call(error, || {
        let (scan, place) = (scan?, place?);
        let cursor =
            scan.run(|scan| Ok(scan.lock().unwrap_or_else(PoisonError::into_inner).scan.cursor()?))?;
        place.write(cursor.map_or(ptr::null_mut(), |cursor| boxed::give::<Buffer>(Bytes::Cursor(cursor))));
        Ok(())
    })
}

/// Ends a scan; its pages stay.
///
/// @param[in] scan owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_scan_free(scan: *mut Scan) {
    // SAFETY: the caller's pointer is NULL or a handle, as the header demands.
    guarded((), || unsafe { handle::free(scan) });
}

/// How many records a page has.
///
/// @param[in] page borrowed; NULL gives 0.
/// @return the number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_page_count(page: *const Page) -> usize {
    // SAFETY: the caller's pointer is NULL or a page that it has not freed, as the header demands.
    let page = unsafe { Boxed::of(page, "page") };
    guarded(0, || page.map_or(0, |records| records.entries.len()))
}

/// The records of a page, in the order of the scan.
///
/// @param[in] page borrowed; NULL gives NULL.
/// @return borrowed from the page until it is freed: an array of strongroom_page_count entries.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_page_entries(page: *const Page) -> *const Entry {
    // SAFETY: the caller's pointer is NULL or a page that it has not freed, as the header demands.
    let page = unsafe { Boxed::of(page, "page") };
    guarded(ptr::null(), || page.map_or(ptr::null(), |records| records.entries.as_ptr()))
}

/// Wipes the values of a page and frees it.
///
/// @param[in] page owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_page_free(page: *mut Page) {
    // SAFETY: the caller's pointer is NULL or a page that it gives up, as the header demands.
    let page = unsafe { Boxed::take(page) };
    guarded((), || free(page));
}
