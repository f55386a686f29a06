//! Promise: verify looks at the disk and not at what it knows. What is damaged while the store is open is found before any
//! read meets it, and said of the tenant it belongs to.

use std::path::{Path, PathBuf};

use strongroom::simulation::SimDisk;
use strongroom::{Engine, TenantOptions, TenantReport, VerifyReport};

use crate::support::{config, fill, read_all};

const COUNT: usize = 20;

/// An open store of two tenants, whose records lie in the journal only.
fn pending_store(disk: &SimDisk) -> Engine {
    let engine = Engine::create(config(disk, 1)).unwrap();
    for name in ["acme", "globex"] {
        fill(&engine.create_tenant(name, TenantOptions::new()).unwrap(), COUNT).unwrap();
    }
    engine
}

fn segment(disk: &SimDisk) -> PathBuf {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "journal");
    disk.paths().into_iter().find(is_segment).unwrap()
}

/// Where the frames of a tenant begin in a segment: after the length and the epoch stands its id (FORMAT.md section 9.3).
/// An index holds ids too; there is none before the store is closed but the empty one at the start.
fn frames(bytes: &[u8], id: &str) -> Vec<usize> {
    let id: Vec<_> = (0..16).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap()).collect();
    let found = bytes.windows(16).enumerate().filter(|(_, window)| *window == id);
    found.map(|(at, _)| at - 8).collect()
}

fn verify(engine: &Engine) -> VerifyReport {
    engine.verify(&mut |_| {}).unwrap()
}

/// Frames that open and frames that do not, of a tenant.
fn counts(report: &VerifyReport, name: &str) -> (u64, u64) {
    let tenant = report.tenants.iter().find(|tenant| tenant.name.as_deref() == Some(name)).unwrap();
    assert_eq!(tenant.is_good(), tenant.journal.frames_bad == 0, "{tenant:?}");
    (tenant.journal.frames, tenant.journal.frames_bad)
}

fn flip(disk: &SimDisk, path: &Path, at: usize) {
    let mut bytes = disk.read_file(path).unwrap();
    bytes[at] ^= 1;
    disk.write_file(path, &bytes).unwrap();
}

#[test]
fn any_byte_of_a_frame_damaged_while_the_store_is_open_is_found_and_told_of_its_tenant() {
    let disk = SimDisk::new();
    let engine = pending_store(&disk);
    let before = verify(&engine);
    assert!(before.is_good(), "{before:?}");
    // The collection's row, and two batches of ten records.
    assert_eq!((counts(&before, "acme"), counts(&before, "globex")), ((3, 0), (3, 0)));
    let path = segment(&disk);
    let bytes = disk.read_file(&path).unwrap();
    let id = engine.tenant_info("acme").unwrap().id.to_string();
    let starts = frames(&bytes, &id);
    assert_eq!(starts.len(), 3);
    for start in &starts {
        let sealed = u32::from_le_bytes(bytes[*start..start + 4].try_into().unwrap()) as usize;
        // Every field, nonce, text and tag; of the text every hundredth byte.
        let head = (0..80).chain((80..80 + sealed).step_by(100)).chain(80 + sealed..80 + sealed + 16);
        for at in head {
            flip(&disk, &path, start + at);
            let report = verify(&engine);
            assert_eq!(counts(&report, "acme"), (2, 1), "byte {at}");
            assert_eq!(counts(&report, "globex"), (3, 0), "byte {at}");
            assert!(!report.is_good());
            flip(&disk, &path, start + at);
        }
    }
    assert!(verify(&engine).is_good());
    // What is in memory was never touched.
    assert_eq!(read_all(&engine.tenant("acme").unwrap(), COUNT).right, COUNT);
}

/// What the report of a damaged frame advises loses nothing.
#[test]
fn what_a_damaged_frame_said_is_kept_by_the_checkpoint_that_is_advised() {
    let disk = SimDisk::new();
    let engine = pending_store(&disk);
    assert!(verify(&engine).tenants.iter().all(|tenant| tenant.advice().is_empty()));
    let path = segment(&disk);
    let id = engine.tenant_info("acme").unwrap().id.to_string();
    for start in frames(&disk.read_file(&path).unwrap(), &id) {
        flip(&disk, &path, start + 100);
    }
    let report = verify(&engine);
    assert_eq!(counts(&report, "acme"), (0, 3));
    let advised: Vec<_> = report.tenants.iter().flat_map(TenantReport::advice).collect();
    assert!(advised.len() == 1 && advised[0].contains("checkpoint"), "{advised:?}");
    engine.checkpoint().unwrap();
    assert!(verify(&engine).is_good());
    engine.close().unwrap();
    let engine = Engine::open(config(&disk, 5)).unwrap();
    for name in ["acme", "globex"] {
        assert_eq!(read_all(&engine.tenant(name).unwrap(), COUNT).right, COUNT, "{name}");
    }
    assert!(verify(&engine).is_good());
}

#[test]
fn a_frame_in_the_place_of_another_is_found() {
    let disk = SimDisk::new();
    let engine = pending_store(&disk);
    let path = segment(&disk);
    let mut bytes = disk.read_file(&path).unwrap();
    let starts = frames(&bytes, &engine.tenant_info("acme").unwrap().id.to_string());
    let length = |start: usize| 96 + u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap()) as usize;
    let longest = starts.iter().copied().max_by_key(|start| length(*start)).unwrap();
    let shorter = starts.iter().copied().find(|start| length(*start) < length(longest)).unwrap();
    // Authentic, and the tenant's own, but an older one.
    let older = bytes[shorter..shorter + length(shorter)].to_vec();
    bytes[longest..longest + older.len()].copy_from_slice(&older);
    disk.write_file(&path, &bytes).unwrap();
    assert_eq!(counts(&verify(&engine), "acme"), (2, 1));
}

#[test]
fn a_journal_whose_frames_are_all_in_the_files_has_nothing_to_verify() {
    let disk = SimDisk::new();
    let engine = pending_store(&disk);
    engine.checkpoint().unwrap();
    let report = verify(&engine);
    assert!(report.is_good() && report.unknown_files.is_empty(), "{report:?}");
    assert_eq!((counts(&report, "acme"), counts(&report, "globex")), ((0, 0), (0, 0)));
    assert_eq!(report.lanes.len(), 1);
}
