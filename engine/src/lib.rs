//! Strongroom: an embedded, encrypted, multi-tenant storage engine on redb.
//!
//! Each tenant has keys of its own, kept in a key store apart from the data; each value is sealed under a key of its
//! own (AES-256-GCM, a fresh salt a record), and each block of a tenant's file is sealed again (XAES-256-GCM), names
//! and all. An altered byte is an error, never a wrong answer.
//!
//! ```
//! # fn main() -> strongroom::Result<()> {
//! # let directory = tempfile::tempdir().expect("a temporary directory");
//! # let data = directory.path().join("data");
//! # let root_key = directory.path().join("data.root-key");
//! use strongroom::{Config, Engine, KeyFile, ScanOptions, TenantOptions};
//!
//! let config = Config::new(&data).key_provider("default", KeyFile::at(&root_key)); // touches nothing
//! let engine = Engine::create(config)?; // `Engine::open` from the second time on: it never creates
//! let acme = engine.create_tenant("acme", TenantOptions::new())?;
//! let invoices = acme.collection("invoices")?;
//!
//! invoices.put(b"2026-001", b"12.50")?; // durable when it returns
//! let value = invoices.get(b"2026-001")?;
//! assert_eq!(value.as_deref(), Some(&b"12.50"[..]));
//!
//! acme.write(|batch| {
//!     batch.put(&invoices, b"2026-002", b"99.00")?;
//!     batch.put(&acme.collection("customers")?, b"42", b"Ada") // all or nothing, over collections
//! })?;
//! for entry in invoices.scan_with(ScanOptions::new().prefix(b"2026-").reverse(true).limit(10))? {
//!     let entry = entry?;
//!     assert!(entry.key.starts_with(b"2026-"));
//! }
//! assert!(engine.verify(&mut |_| {})?.is_good());
//! engine.close()?;
//! # Ok(()) }
//! ```
//!
//! The byte format is described in `docs/FORMAT.md`, what each attacker gets in `docs/THREATS.md`.

#![deny(unsafe_code)]

mod chunk;
#[cfg_attr(not(feature = "simulation"), expect(unreachable_pub, reason = "a seam: tests alone replace it"))]
mod clock;
mod collection;
mod crypto;
#[cfg_attr(not(feature = "simulation"), expect(unreachable_pub, reason = "a seam: tests alone replace it"))]
mod disk;
mod engine;
mod error;
mod hold;
mod id;
mod journal;
mod keys;
/// The documented bounds.
pub mod limits;
mod partition;
mod record;
mod retention;
mod sealed_file;
mod tenant;

pub use collection::{
    CollectionInfo, Cursor, Index, IndexInfo, Quota, RecordInfo, RemovedRecord, ScanOptions,
};
pub use crypto::Argon2Params;
#[cfg(target_arch = "x86_64")]
pub use crypto::NEEDED_OF_CPUID_1_ECX;
pub use engine::{
    Config, DataKeyHealth, DutyHealth, Engine, Freshness, Health, KeyringReport, LaneHealth, LaneReport,
    MoveOptions, Names, PublishedHealth, RegionHealth, RegionInfo, RegionPaths, TenantInfo, TenantOptions,
    TenantReport, TenantState, VerifyReport,
};
pub use error::{Error, ErrorKind, Result};
pub use hold::{HoldInfo, Selector};
pub use id::{ChunkSetId, CollectionId, FileId, StoreId, TenantId, Version};
pub use journal::{FrameReport, LaneStats};
pub use keys::{
    KeyFile, KeyProvider, LedgerEntry, LedgerEvent, Passphrase, ProviderError, Section, WrapContext,
};
pub use partition::{FileReport, RewriteReport, Usage};
pub use record::Plaintext;
pub use retention::{Erasure, Overwrite, Policy};
pub use tenant::{
    Batch, Collection, DataKeyInfo, DataKeyState, Durability, Entry, EraseReport, Horizon, PolicyReport,
    PutOptions, Receipt, RecoveryReport, RekeyDeadline, RekeyOptions, RekeyReport, RemovedScan, Scan,
    Session, Snapshot, SubjectRecord, SubjectRecords, Subjects, Submitted, SweepReport, Tenant, TenantStats,
    Upload, ValueReader,
};

/// What tests replace: disk, clock and randomness; the parsers that are fuzzed; and parts that are measured apart. Not
/// for production.
#[cfg(feature = "simulation")]
pub mod simulation {
    pub use crate::clock::{Clock, ManualClock, SystemClock};
    pub use crate::crypto::{Entropy, OsEntropy, SeededEntropy};
    pub use crate::disk::{
        BLOCK_BYTES, Blocks, DirectoryEntry, Disk, DiskFile, Fault, FaultKind, FileInfo, FileKind, Mapping,
        OpenMode, PowerLoss, RealDisk, SimDisk, Written,
    };
    pub use crate::journal::measured::Frames;
    pub use crate::partition::measured::Rows;

    /// The rows of a tenant's table of chunks (FORMAT.md section 7.7).
    ///
    /// # Errors
    /// Those of reading.
    pub fn chunk_rows(tenant: &crate::Tenant) -> crate::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        tenant.chunk_rows()
    }

    /// Replaces rows of a tenant's table of chunks, or removes them: what somebody could do who has the structure key.
    ///
    /// # Errors
    /// Those of a checkpoint.
    pub fn alter_chunks(tenant: &crate::Tenant, rows: &[(Vec<u8>, Option<Vec<u8>>)]) -> crate::Result<()> {
        tenant.alter_chunks(rows)
    }

    /// One round of collecting a tenant's chunks, as the background thread makes it; whether there may be more.
    ///
    /// # Errors
    /// Those of writing.
    pub fn collect_chunks(tenant: &crate::Tenant) -> crate::Result<bool> {
        tenant.collect_chunks()
    }

    /// Gives bytes to a parser, which must neither panic nor loop.
    pub fn fuzz_parser(name: &str, data: &[u8]) {
        match name {
            "keyring_header" => crate::keys::fuzzing::fuzz_header(data),
            "key_file" => crate::keys::fuzzing::fuzz_key_file(data),
            "slot" => crate::keys::fuzzing::fuzz_slot(data),
            "anchor" => crate::keys::fuzzing::fuzz_anchor(data),
            "ledger" => crate::keys::fuzzing::fuzz_ledger(data),
            "tag_entry" => crate::sealed_file::fuzz_entry(data),
            "envelope" => crate::record::fuzz_envelope(data),
            "marker" => crate::engine::fuzzing::fuzz_marker(data),
            "catalog" => crate::engine::fuzzing::fuzz_rows(data),
            "journal_segment" => crate::journal::fuzzing::fuzz_segment(data),
            "lane_state" => crate::journal::fuzzing::fuzz_state(data),
            "secondary" => {
                crate::partition::fuzzing::fuzz_secondary(data);
                crate::collection::fuzzing::fuzz_rows(data);
                crate::retention::fuzz_policy(data);
            }
            "removed" => crate::partition::fuzzing::fuzz_removed(data),
            "changes" => crate::partition::fuzzing::fuzz_changes(data),
            "chunk" => crate::chunk::fuzz_chunk(data),
            "hold_row" => crate::hold::fuzz_hold_row(data),
            "copy_row" => {
                crate::tenant::fuzzing::fuzz_copy_row(data);
                crate::tenant::fuzzing::fuzz_deadline(data);
            }
            "upload_row" => crate::tenant::fuzzing::fuzz_upload_row(data),
            _ => {}
        }
    }
}
