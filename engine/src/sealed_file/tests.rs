//! The sealed file alone, below redb.

use super::*;
use crate::crypto::{OsEntropy, SeededEntropy};
use crate::disk::{PowerLoss, SimDisk};
use crate::error::ErrorKind;
use crate::id::{FileId, StoreId, TenantId};

const PATH: &str = "/file";

fn key() -> StructureKey {
    StructureKey::generate(&SeededEntropy::new(4)).expect("random")
}

fn identity() -> FileIdentity {
    FileIdentity {
        store: StoreId::new([1; 16]),
        tenant: TenantId::new([2; 16]),
        file: FileId::new([3; 16]),
        epoch: 1,
    }
}

fn options() -> FileOptions {
    // The least cache: tag blocks are evicted and loaded again.
    FileOptions { entropy: Arc::new(OsEntropy), tag_cache_bytes: 0, behind_bytes: 0 }
}

fn create(disk: &SimDisk) -> SealedFile {
    SealedFile::create(disk, Path::new(PATH), identity(), &key(), 1, &options()).expect("creates")
}

fn open(disk: &SimDisk) -> Result<SealedFile> {
    SealedFile::open(disk, Path::new(PATH), identity(), &key(), &options())
}

fn block(fill: u64) -> Vec<u8> {
    fill.to_le_bytes().into_iter().cycle().take(BLOCK).collect()
}

/// A file of `blocks` blocks, each with its number in it, synced.
fn filled(disk: &SimDisk, blocks: u64) -> SealedFile {
    let file = create(disk);
    file.set_len(blocks * BLOCK_U64).expect("grows");
    file.write(0, &block(0)[..320]).expect("writes");
    for number in 1..blocks {
        file.write(number * BLOCK_U64, &block(number)).expect("writes");
    }
    file.sync().expect("syncs");
    disk.sync_dir(Path::new("/")).expect("syncs");
    file
}

fn read(file: &SealedFile, number: u64) -> Result<Vec<u8>> {
    let mut out = vec![0; BLOCK];
    file.read(number * BLOCK_U64, &mut out).map(|()| out)
}

#[test]
fn blocks_read_back_across_groups_and_reopening() {
    let disk = SimDisk::new();
    drop(filled(&disk, 1_500));
    let file = open(&disk).expect("opens");
    assert_eq!(file.len(), 1_500 * BLOCK_U64);
    let mut all = vec![0; 1_499 * BLOCK];
    file.read(BLOCK_U64, &mut all).expect("one read over all groups");
    for (number, found) in (1..).zip(all.chunks(BLOCK)) {
        assert_eq!(found, block(number), "block {number}");
    }
    let mut part = [0; 300];
    file.read(70 * BLOCK_U64 + 5, &mut part).expect("a part of a block");
    assert_eq!(part[..], block(70)[5..305]);
    file.read(BLOCK_U64 * 65 - 100, &mut part).expect("a part of two blocks of two groups");
    assert_eq!(part[100..], block(65)[..200]);
}

#[test]
fn a_block_that_was_never_written_is_an_error_and_so_is_reading_past_the_end() {
    let file = filled(&SimDisk::new(), 3);
    file.set_len(5 * BLOCK_U64).expect("grows");
    assert_eq!(read(&file, 4).expect_err("never written").kind(), ErrorKind::Corrupted);
    assert_eq!(read(&file, 5).expect_err("past the end").kind(), ErrorKind::Corrupted);
}

#[test]
fn a_block_cut_off_is_not_there_when_the_file_grows_again() {
    let disk = SimDisk::new();
    let file = filled(&disk, 70);
    file.set_len(10 * BLOCK_U64).expect("shrinks");
    file.set_len(70 * BLOCK_U64).expect("grows");
    file.sync().expect("syncs");
    drop(file);
    let file = open(&disk).expect("opens");
    assert_eq!(read(&file, 9).expect("kept"), block(9));
    for number in [10, 64, 65, 69] {
        assert_eq!(read(&file, number).expect_err("cut").kind(), ErrorKind::Corrupted, "block {number}");
    }
}

#[test]
fn the_first_block_survives_a_torn_write_at_any_sector() {
    for seed in 0..200 {
        let disk = SimDisk::new();
        let file = filled(&disk, 2);
        file.write(0, &block(7)[..320]).expect("writes the other slot");
        file.write(9, &[1]).expect("and again");
        drop(file);
        let after = disk.power_loss(seed, PowerLoss::Random);
        let mut root = [0; 320];
        open(&after).expect("opens").read(0, &mut root).expect("reads");
        let mut newest = block(7)[..320].to_vec();
        newest[9] = 1;
        assert!(
            root[..] == block(0)[..320] || root[..] == block(7)[..320] || root[..] == newest[..],
            "seed {seed}"
        );
    }
}

/// Without the sync at open, the slot that a killed process left in the page cache would be taken for durable, and the
/// durable one overwritten.
#[test]
fn the_first_write_after_a_kill_does_not_overwrite_the_only_durable_root() {
    for seed in 0..200 {
        let disk = SimDisk::new();
        let file = filled(&disk, 2);
        file.write(0, &block(7)[..320]).expect("writes the other slot, unsynced");
        drop(file);
        let killed = disk.power_loss(seed, PowerLoss::KeepAll);
        let file = open(&killed).expect("opens");
        file.write(0, &block(8)[..320]).expect("writes");
        drop(file);
        let after = killed.power_loss(seed, PowerLoss::Random);
        assert!(open(&after).is_ok(), "seed {seed}");
    }
}

#[test]
fn what_lies_beyond_the_kept_part_of_the_first_block_must_be_zero() {
    let file = filled(&SimDisk::new(), 2);
    assert_eq!(file.write(4_032, &[1]).expect_err("beyond").kind(), ErrorKind::Internal);
    assert!(file.write(4_032, &[0]).is_ok());
}

#[test]
fn a_file_whose_sync_failed_refuses_every_write() {
    let disk = SimDisk::new();
    let file = filled(&disk, 2);
    file.write(BLOCK_U64, &block(9)).expect("writes");
    let kind = crate::disk::FaultKind::FailedSync;
    disk.inject(crate::disk::Fault { at_operation: disk.operations(), kind });
    assert_eq!(file.sync().expect_err("fails").kind(), ErrorKind::Io);
    assert!(file.sync_failed());
    for refused in [file.sync(), file.write(0, &[0]), file.set_len(BLOCK_U64)] {
        assert_eq!(refused.expect_err("poisoned").kind(), ErrorKind::Poisoned);
    }
}

/// A checkpoint's writes reach the disk while it goes on: its last sync, behind which others' wait, has little left to do.
#[test]
fn no_more_than_the_bound_waits_for_a_sync() {
    let disk = SimDisk::new();
    let blocks = (3 * WRITE_BACK_BYTES + WRITE_BACK_BYTES / 2) as u64 / BLOCK_U64;
    let file = create(&disk);
    disk.sync_dir(Path::new("/")).expect("syncs");
    file.set_len(blocks * BLOCK_U64).expect("grows");
    for number in 1..blocks {
        file.write(number * BLOCK_U64, &block(number)).expect("writes");
    }
    let after = disk.power_loss(1, PowerLoss::DropAll).read_file(PATH).expect("is there");
    let written = after.chunks(BLOCK).filter(|block| block.iter().any(|byte| *byte != 0)).count();
    assert!((written + 2) * BLOCK > 3 * WRITE_BACK_BYTES, "{written} blocks had been synced");
}

#[test]
fn a_sync_that_fails_while_blocks_are_written_poisons_the_file() {
    let disk = SimDisk::new();
    let blocks = 2 * WRITE_BACK_BYTES as u64 / BLOCK_U64;
    let file = filled(&disk, 2);
    file.set_len(blocks * BLOCK_U64).expect("grows");
    let kind = crate::disk::FaultKind::FailedSync;
    disk.inject(crate::disk::Fault { at_operation: disk.operations(), kind });
    let mut writes = (1..blocks).map(|number| file.write(number * BLOCK_U64, &block(number)));
    let failed = writes.find_map(Result::err).expect("a sync fails");
    assert_eq!(failed.kind(), ErrorKind::Io);
    assert!(file.sync_failed());
    assert_eq!(file.write(BLOCK_U64, &block(1)).expect_err("poisoned").kind(), ErrorKind::Poisoned);
}

/// Blocks that are written behind, some of them several times, are what they were last, for whoever reads them meanwhile and
/// after a power loss.
#[test]
fn what_is_written_behind_reads_as_it_was_written_and_a_sync_waits_for_it() {
    let disk = SimDisk::new();
    let file = filled(&disk, 3_000);
    let number = |turn: u64, block: u64| 10_000 * turn + block;
    let done = file.write_behind(|| {
        for turn in 1..4 {
            for number_of in 1..3_000 {
                file.write(number_of * BLOCK_U64, &block(number(turn, number_of)))?;
                if number_of % 97 == 0 {
                    assert_eq!(read(&file, number_of)?, block(number(turn, number_of)));
                    let last = if turn == 1 { 2_999 } else { number(turn - 1, 2_999) };
                    assert_eq!(read(&file, 2_999)?, block(last));
                }
            }
        }
        file.write(0, &block(7)[..320])?;
        file.sync()?;
        Ok(disk.power_loss(1, PowerLoss::DropAll))
    });
    let file = open(&done.expect("all is written")).expect("opens");
    for number_of in 1..3_000 {
        assert_eq!(read(&file, number_of).expect("reads"), block(number(3, number_of)), "block {number_of}");
    }
}

/// Scattered as redb hands them over, blocks are written in the order of the file, neighbours at once; a tag block stands
/// between two groups of 64.
#[test]
fn what_is_written_behind_goes_to_the_disk_in_the_order_of_the_file() {
    let disk = SimDisk::new();
    let file = filled(&disk, 400);
    disk.trace(true);
    file.write_behind(|| {
        for number in (1..400).map(|number| number * 131 % 401).filter(|number| (1..250).contains(number)) {
            file.write(number * BLOCK_U64, &block(number + 5))?;
        }
        file.sync()
    })
    .expect("writes");
    let written = disk.take_trace();
    let offsets: Vec<_> =
        written.iter().filter(|one| one.bytes.len() > BLOCK).map(|one| one.offset / BLOCK_U64).collect();
    let groups: Vec<_> = (0..4).map(|group| physical(group * 64 + 1)).collect();
    assert_eq!(offsets, groups);
    for number in 1..250 {
        assert_eq!(read(&file, number).expect("reads"), block(number + 5), "block {number}");
    }
}

/// Blocks that wait more than once keep their order.
#[test]
fn of_a_block_that_waits_several_times_the_last_write_counts() {
    let disk = SimDisk::new();
    let file = filled(&disk, 100);
    file.write_behind(|| {
        for turn in 1..=4 {
            for number in 1..60 {
                file.write(number * BLOCK_U64, &block(1_000 * turn + number))?;
            }
        }
        file.sync()
    })
    .expect("writes");
    for number in 1..60 {
        assert_eq!(read(&file, number).expect("reads"), block(4_000 + number), "block {number}");
    }
}

/// Whatever redb asks for next, it is told that a write failed, and no sync makes a commit of what is there.
#[test]
fn a_write_behind_that_failed_is_told_and_nothing_is_synced_after_it() {
    let kind = crate::disk::FaultKind::Eio;
    for at in [0, 1, 9] {
        let disk = SimDisk::new();
        let file = filled(&disk, 1_000);
        disk.inject(crate::disk::Fault { at_operation: disk.operations() + at, kind });
        let result = file.write_behind(|| {
            for number in 1..1_000 {
                if file.write(number * BLOCK_U64, &block(number + 5)).is_err() {
                    break;
                }
            }
            let failures =
                [file.sync(), file.set_len(BLOCK_U64), file.write(0, &[0]), read(&file, 1).map(|_| ())];
            assert!(failures.iter().all(Result::is_err), "after {at} operations: {failures:?}");
            file.sync()
        });
        assert_eq!(result.expect_err("told again").kind(), ErrorKind::Io);
        disk.heal();
        assert!(!file.sync_failed());
        file.write_behind(|| file.write(BLOCK_U64, &block(9)).and_then(|()| file.sync()))
            .expect("there is room");
        assert_eq!(read(&file, 1).expect("reads"), block(9));
    }
}

#[test]
fn a_write_behind_that_failed_and_that_nobody_was_told_of_poisons_the_file() {
    let disk = SimDisk::new();
    let file = filled(&disk, 10);
    let kind = crate::disk::FaultKind::Eio;
    disk.inject(crate::disk::Fault { at_operation: disk.operations(), kind });
    let result = file.write_behind(|| file.write(BLOCK_U64, &block(9)));
    assert_eq!(result.expect_err("the write failed").kind(), ErrorKind::Io);
    assert!(file.sync_failed());
}

#[test]
fn a_panic_of_who_writes_behind_ends_the_thread_and_leaves_the_file_usable() {
    let disk = SimDisk::new();
    let file = filled(&disk, 100);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        file.write_behind(|| -> Result<()> {
            file.write(BLOCK_U64, &block(9))?;
            panic!("as redb may")
        })
    }));
    assert!(caught.is_err());
    assert_eq!(read(&file, 1).expect("it was written before the thread ended"), block(9));
    file.write(2 * BLOCK_U64, &block(8)).expect("writes");
    assert_eq!(read(&file, 2).expect("reads"), block(8));
}

#[test]
fn a_view_shows_what_was_there_while_blocks_are_overwritten_and_cut() {
    use redb::StorageBackend;
    let disk = SimDisk::new();
    let file = Arc::new(filled(&disk, 70));
    let view = View::new(&file);
    file.write(5 * BLOCK_U64, &block(500)).expect("overwrites");
    file.write(5 * BLOCK_U64, &block(501)).expect("overwrites again");
    file.write(0, &block(502)[..320]).expect("overwrites the root");
    file.set_len(60 * BLOCK_U64).expect("cuts");
    for number in [4, 5, 59, 60, 69] {
        let mut out = vec![0; BLOCK];
        view.read(number * BLOCK_U64, &mut out).expect("reads");
        assert_eq!(out, block(number), "block {number}");
    }
    let mut root = [0; 320];
    view.read(0, &mut root).expect("reads");
    assert_eq!(root[..], block(0)[..320]);
    view.write(6 * BLOCK_U64, &block(600)).expect("writes to memory");
    assert_eq!(read(&file, 6).expect("reads"), block(6), "the file is not changed by its view");
    assert_eq!(read(&file, 5).expect("reads"), block(501));
}

#[test]
fn full_freshness_refuses_an_older_version_of_a_block() {
    let disk = SimDisk::new();
    let file = filled(&disk, 3);
    let path = Path::new(PATH);
    let older = disk.read_file(path).expect("reads");
    file.write(2 * BLOCK_U64, &block(20)).expect("writes");
    file.sync().expect("syncs");
    drop(file);
    for remember in [false, true] {
        let file = open(&disk).expect("opens");
        if remember {
            file.remember_numbers().expect("remembers");
        }
        let newest = disk.read_file(path).expect("reads");
        disk.write_file(path, &older).expect("puts the old file back");
        // The cache holds tag blocks: a fresh open of the tags stands for their eviction.
        file.tags.forget();
        let got = read(&file, 2);
        if remember {
            assert_eq!(got.expect_err("older").kind(), ErrorKind::RolledBack);
            assert_eq!(read(&file, 1).expect("unchanged"), block(1));
        } else {
            assert_eq!(got.expect("the control: authentic, though old"), block(2));
        }
        disk.write_file(path, &newest).expect("restores");
    }
}
