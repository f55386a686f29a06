//! The frames of a journal's segment, as somebody with access to the disk but to no key can find them (FORMAT.md section 9).

use std::ops::Range;

/// First byte of the first batch.
const FIRST_BATCH: usize = 4_096;
const BATCH_MAGIC: &[u8] = b"SRB1";
/// Batches begin at multiples of this.
const ALIGNMENT: usize = 64;
const BATCH_HEADER: usize = 40;
/// The kind of a batch that holds frames.
const FRAMES: u8 = 1;
const FRAME_HEADER: usize = 80;
const TAG: usize = 16;

/// Where the sealed texts of one tenant's frames lie in a segment. `tenant` is its id.
pub(super) fn sealed_texts(segment: &[u8], tenant: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = FIRST_BATCH;
    while let Some((length, frames)) = batch(segment.get(start..).unwrap_or_default()) {
        let of_tenant = frames.into_iter().filter(|(owner, _)| *owner == tenant);
        found.extend(of_tenant.map(|(_, text)| start + text.start..start + text.end));
        start = (start + length).next_multiple_of(ALIGNMENT);
    }
    found
}

type Frame<'a> = (&'a [u8], Range<usize>);

/// The length of the batch that begins here, and of each of its frames the tenant and the place of the sealed text.
fn batch(bytes: &[u8]) -> Option<(usize, Vec<Frame<'_>>)> {
    if !bytes.starts_with(BATCH_MAGIC) {
        return None;
    }
    let length = number(bytes, 8)?;
    let count = if *bytes.get(12)? == FRAMES { number(bytes, 32)? } else { 0 };
    let mut frames = Vec::new();
    let mut at = BATCH_HEADER;
    for _ in 0..count {
        let text = at + FRAME_HEADER..at + FRAME_HEADER + number(bytes, at)?;
        frames.push((bytes.get(at + 8..at + 24)?, text.clone()));
        at = text.end + TAG;
    }
    (length > 0).then_some((length, frames))
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)?;
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tenant: u8, text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("is short").to_le_bytes();
        [&length[..], &[0; 4], &[tenant; 16], &[0; 56], text, &[9; TAG]].concat()
    }

    fn batch_of(kind: u8, frames: &[Vec<u8>]) -> Vec<u8> {
        let content = frames.concat();
        let length = u32::try_from(BATCH_HEADER + content.len() + 32).expect("is short").to_le_bytes();
        let count = u32::try_from(frames.len()).expect("are few").to_le_bytes();
        let header = [BATCH_MAGIC, &[0; 4], &length, &[kind], &[0; 19], &count, &[0; 4]].concat();
        let mut batch = [header, content, vec![0; 32]].concat();
        batch.resize(batch.len().next_multiple_of(ALIGNMENT), 0);
        batch
    }

    #[test]
    fn the_frames_of_one_tenant_are_found_and_an_index_is_none() {
        let first = batch_of(1, &[frame(1, b"one"), frame(2, b"two, longer")]);
        let batches = [first, batch_of(2, &[frame(2, b"no frame")]), batch_of(1, &[frame(2, b"three")])];
        let segment = [vec![0; FIRST_BATCH], batches.concat(), vec![0; 1_000]].concat();
        let texts: Vec<_> = sealed_texts(&segment, &[2; 16]).into_iter().map(|text| &segment[text]).collect();
        assert_eq!(texts, [&b"two, longer"[..], b"three"]);
        for length in 0..segment.len() {
            // Cut off anywhere it gives what lies before.
            assert!(sealed_texts(&segment[..length], &[2; 16]).len() <= 2);
        }
    }
}
