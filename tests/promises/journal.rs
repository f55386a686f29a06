//! Promise: no wrong answers (invariant 4) and failure per tenant (invariant 11), in the journal. Whatever is altered, cut
//! out, reordered or put back in a lane is an error or changes nothing; tenants whose frames are whole open and read
//! everything, as far as something written later proves that they lack nothing; a dedicated tenant and the tenants of
//! the shared lane do not touch each other.
//!
//! [`bytes`] flips every byte; [`batches`] and [`segments`] move what is authentic; [`salvaged`] goes on after a loss;
//! [`disks`] lets the disk fail; [`cold`] is about what is moved because it is old.

mod batches;
mod bytes;
mod cold;
mod disks;
mod layout;
mod salvaged;
mod segments;
mod store;
