//! Frames and batches apart from files and threads, for benchmarks.

use crate::crypto::{OsEntropy, StructureKey};
use crate::id::{StoreId, TenantId};
use crate::journal::batch::{Batch, BatchBuilder, BatchHeader, BatchKind};
use crate::journal::format::LaneKeys;
use crate::journal::frame::{Frame, FrameSealer};

const SEGMENT: u64 = 1;

/// What one leader does with the changes of one tenant.
#[derive(Debug)]
pub struct Frames {
    sealer: FrameSealer,
    keys: LaneKeys,
}

impl Default for Frames {
    /// # Panics
    /// Never: the keys are fixed.
    fn default() -> Self {
        let (store, tenant) = (StoreId::new([1; 16]), TenantId::new([2; 16]));
        let key = StructureKey::from_bytes(&[3; 32].into());
        let sealer = FrameSealer::new(store, tenant, 1, &key).expect("derives");
        let keys = LaneKeys::derive(&[4; 32], store, tenant, "default").expect("derives");
        Self { sealer, keys }
    }
}

impl Frames {
    /// Seals a frame of these changes at the end of `out`.
    ///
    /// # Panics
    /// When the operating system gives no random bytes.
    pub fn seal(&self, changes: &[Vec<u8>], out: &mut Vec<u8>) {
        let changes = changes.iter().map(Vec::as_slice);
        self.sealer.seal(&OsEntropy, (1, 1, [0; 16]), changes, out).expect("seals");
    }

    /// Opens a frame; gives how many changes it has.
    ///
    /// # Panics
    /// Where it does not open.
    #[must_use]
    pub fn open(&self, frame: &[u8]) -> usize {
        self.sealer.open(&Frame::parse(frame).expect("parses")).expect("opens").len()
    }

    /// A batch of frames that were sealed before, in a buffer that is used again.
    ///
    /// # Panics
    /// Where the frames are none.
    #[must_use]
    pub fn batch(&self, frames: &[Vec<u8>], buffer: Vec<u8>) -> Vec<u8> {
        let mut builder = BatchBuilder::new(buffer);
        for frame in frames {
            builder.begin_frame();
            builder.bytes.extend(frame);
        }
        let header =
            BatchHeader { kind: BatchKind::Frames, sequence: 2, synced_through: 1, own_through: None };
        builder.finish(&self.keys, SEGMENT, header).expect("finishes");
        builder.bytes
    }

    /// Parses a batch and checks its MAC; gives how many frames it has.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn parse(&self, batch: &[u8]) -> usize {
        Batch::parse(batch, &self.keys, SEGMENT).expect("parses").frames.len()
    }
}
