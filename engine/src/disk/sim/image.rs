//! The content of a file: sparse pages, shared between copies until one of them is written.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// What is allocated at once. A page that was never written nor allocated is a hole and costs nothing.
pub(super) const PAGE_BYTES: usize = 4096;
/// What a device writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

type Page = [u8; PAGE_BYTES];

/// Bytes and length of a file. A clone costs nothing until one of the two is written: tests copy whole disks for each
/// byte that they alter. Invariant: whatever lies beyond `len` is zero, so that growing reveals nothing old.
#[derive(Clone, Default)]
pub(super) struct Image {
    len: u64,
    pages: Arc<BTreeMap<u64, Arc<Page>>>,
}

impl Image {
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut image = Self::default();
        image.grow(bytes.len() as u64);
        image.write(bytes, 0);
        image
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn allocated_bytes(&self) -> u64 {
        (self.pages.len() * PAGE_BYTES) as u64
    }

    /// The parts of the file that are not holes, in whole pages, neighbours joined.
    pub(super) fn allocated_ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for start in self.pages.keys().map(|index| index * PAGE_BYTES as u64) {
            let end = start + PAGE_BYTES as u64;
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => ranges.push(start..end),
            }
        }
        ranges
    }

    /// Fills `buffer`; what lies beyond the end reads as zeros.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) {
        for span in spans(offset, buffer.len(), PAGE_BYTES) {
            let target = &mut buffer[span.bytes];
            match self.pages.get(&span.index) {
                Some(page) => target.copy_from_slice(&page[span.start..span.start + target.len()]),
                None => target.fill(0),
            }
        }
    }

    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        self.read(&mut bytes, 0);
        Ok(bytes)
    }

    /// Writes what lies before the end of the file; [`Image::grow`] first to keep all of it.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        let room = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        if bytes.is_empty() {
            return;
        }
        let pages = Arc::make_mut(&mut self.pages);
        for span in spans(offset, bytes.len(), PAGE_BYTES) {
            let source = &bytes[span.bytes];
            if let Ok(whole) = <&Page>::try_from(source) {
                // Replaces the page instead of copying one that is about to be overwritten.
                pages.insert(span.index, Arc::new(*whole));
                continue;
            }
            let page = pages.entry(span.index).or_insert_with(|| Arc::new([0; PAGE_BYTES]));
            Arc::make_mut(page)[span.start..span.start + source.len()].copy_from_slice(source);
        }
    }

    /// Makes the file at least `len` bytes long.
    pub(super) fn grow(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    /// Makes the file at least `len` bytes long, without holes before that.
    pub(super) fn allocate(&mut self, len: u64) {
        self.grow(len);
        let zeros = Arc::new([0; PAGE_BYTES]);
        let pages = Arc::make_mut(&mut self.pages);
        for index in 0..len.div_ceil(PAGE_BYTES as u64) {
            pages.entry(index).or_insert_with(|| zeros.clone());
        }
    }

    /// How many pages [`Image::allocate`] would add.
    pub(super) fn missing_pages(&self, len: u64) -> u64 {
        let pages = len.div_ceil(PAGE_BYTES as u64);
        pages - self.pages.range(..pages).count() as u64
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let pages = Arc::make_mut(&mut self.pages);
            drop(pages.split_off(&len.div_ceil(PAGE_BYTES as u64)));
            let (last, start) = (len / PAGE_BYTES as u64, start_within(len, PAGE_BYTES));
            if let Some(page) = pages.get_mut(&last) {
                Arc::make_mut(page)[start..].fill(0);
            }
        }
        self.len = len;
    }

    /// How many of the `len` bytes at `offset` can be written, from the front, if no more than `pages` can
    /// be allocated.
    pub(super) fn fitting(&self, offset: u64, len: usize, mut pages: u64) -> usize {
        for span in spans(offset, len, PAGE_BYTES) {
            if self.pages.contains_key(&span.index) {
                continue;
            }
            if pages == 0 {
                return span.bytes.start;
            }
            pages -= 1;
        }
        len
    }
}

/// The part of a buffer that falls into one page or sector.
pub(super) struct Span {
    /// Which page or sector of the file.
    pub(super) index: u64,
    /// Where in it the part begins.
    pub(super) start: usize,
    /// Which bytes of the buffer.
    pub(super) bytes: Range<usize>,
}

/// Cuts `len` bytes at `offset` at the bounds of `unit`.
pub(super) fn spans(offset: u64, len: usize, unit: usize) -> impl Iterator<Item = Span> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let start = start_within(at, unit);
        let bytes = done..len.min(done + unit - start);
        done = bytes.end;
        Some(Span { index: at / unit as u64, start, bytes })
    })
}

/// Where in its page or sector a position lies.
fn start_within(at: u64, unit: usize) -> usize {
    // A remainder is less than `unit`, so it fits.
    usize::try_from(at % unit as u64).unwrap_or_default()
}
