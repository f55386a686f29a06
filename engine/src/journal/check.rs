//! Verification of the frames that a tenant still needs, where they lie, while others are written and moved.

use std::sync::Arc;

use crate::error::{Result, fail};
use crate::id::TenantId;
use crate::journal::frame::{Frame, FrameSealer};
use crate::journal::lane::{Lane, Member};
use crate::journal::log::Place;

/// What was found of a tenant's frames in its journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameReport {
    /// Frames that opened, of those that the tenant's file does not have yet.
    pub frames: u64,
    /// Frames that do not open.
    pub frames_bad: u64,
    /// What the first of them said.
    pub problem: Option<String>,
}

impl FrameReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.frames_bad == 0
    }
}

impl<M: Member> Lane<M> {
    /// Reads every frame of a tenant that its file does not have, from the disk, and opens it. The caller sees to it that
    /// there is no checkpoint meanwhile; frames may be added and moved.
    pub(crate) fn check_frames(
        &self,
        tenant: TenantId,
        sealer: &mut dyn FnMut(u32) -> Result<Arc<FrameSealer>>,
        progress: &mut dyn FnMut(u64),
    ) -> FrameReport {
        let mut report = FrameReport::default();
        let through = self.last_seen(tenant);
        let mut after = 0;
        while let Some(place) = self.frame_after(tenant, after).filter(|place| place.first <= through) {
            match self.check_frame(tenant, &place, sealer) {
                Ok(()) => report.frames += 1,
                // It was moved while it was read: it is read where it lies now.
                Err(_) if self.frame_after(tenant, after) != Some(place) => continue,
                Err(error) => {
                    report.frames_bad += 1;
                    report.problem.get_or_insert_with(|| error.to_string());
                }
            }
            progress(1);
            after = place.last();
        }
        report
    }

    /// Where a tenant's first frame lies that has a change after a sequence.
    fn frame_after(&self, tenant: TenantId, sequence: u64) -> Option<Place> {
        let log = self.shared().log.lock();
        let frames = &log.tenants.get(&tenant)?.frames;
        frames.get(frames.partition_point(|place| place.last() <= sequence)).copied()
    }

    fn check_frame(
        &self,
        tenant: TenantId,
        place: &Place,
        sealer: &mut dyn FnMut(u32) -> Result<Arc<FrameSealer>>,
    ) -> Result<()> {
        let bytes = self.read_frame(place)?;
        let is_it = |frame: &Frame<'_>| {
            let header = frame.header;
            header.tenant == tenant && (header.first, header.count) == (place.first, place.count)
        };
        let frame = Frame::parse(&bytes).filter(is_it).ok_or_else(|| {
            fail!(
                Unauthentic,
                "the journal's frame of tenant {tenant} at sequence {} was replaced",
                place.first
            )
        })?;
        sealer(frame.header.epoch)?.open(&frame).map(|_| ())
    }
}
