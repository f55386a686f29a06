//! What the simulated disk loses and how it fails; each switch is shown to change an outcome.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::*;

const SEEDS: std::ops::Range<u64> = 0..200;

/// A disk with a durable directory `/d`.
fn new_disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk
}

/// A disk with a durable file `/d/file`, and a handle of it.
fn with_file(bytes: &[u8]) -> (SimDisk, Box<dyn DiskFile>) {
    let disk = new_disk();
    disk.write_file("/d/file", bytes).unwrap();
    let file = open(&disk, "/d/file", OpenMode::ReadWrite).unwrap();
    (disk, file)
}

fn open(disk: &SimDisk, path: &str, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
    disk.open(Path::new(path), mode)
}

fn create(disk: &SimDisk, path: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let file = open(disk, path, OpenMode::CreateNew).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn sync_dir(disk: &SimDisk) {
    disk.sync_dir(Path::new("/d")).unwrap();
}

/// Strikes the next mutating operation.
fn strike(disk: &SimDisk, kind: FaultKind) {
    disk.inject(Fault { at_operation: disk.operations(), kind });
}

fn kind<T: fmt::Debug>(result: io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// The different answers of `look` to random power losses.
fn outcomes<T: Ord>(disk: &SimDisk, look: impl Fn(&SimDisk) -> T) -> BTreeSet<T> {
    SEEDS.map(|seed| look(&disk.power_loss(seed, PowerLoss::Random))).collect()
}

fn after_drop_all(disk: &SimDisk) -> Vec<u8> {
    disk.power_loss(0, PowerLoss::DropAll).read_file("/d/file").unwrap()
}

#[test]
fn synced_bytes_survive_and_others_do_not() {
    let (disk, file) = with_file(b"");
    file.write_all_at(b"synced", 0).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(b"UN", 0).unwrap();
    file.set_len(3).unwrap();
    assert_eq!(disk.read_file("/d/file").unwrap(), b"UNn");
    assert_eq!(after_drop_all(&disk), b"synced");
    for seed in SEEDS {
        let survived = disk.power_loss(seed, PowerLoss::Random).read_file("/d/file").unwrap();
        assert!([b"synced".as_slice(), b"UNnced", b"syn", b"UNn"].contains(&&*survived));
    }
}

#[test]
fn synced_file_without_a_synced_name_vanishes() {
    let disk = new_disk();
    create(&disk, "/d/file", b"synced").sync_data().unwrap();
    assert_eq!(disk.power_loss(0, PowerLoss::DropAll).paths(), [] as [PathBuf; 0]);
    sync_dir(&disk);
    assert_eq!(after_drop_all(&disk), b"synced");
}

#[test]
fn synced_name_without_synced_bytes_is_an_empty_file() {
    let disk = new_disk();
    drop(create(&disk, "/d/file", b"unsynced"));
    sync_dir(&disk);
    assert_eq!(after_drop_all(&disk), b"");
}

#[test]
fn killed_process_loses_nothing_but_what_is_unsynced_stays_so() {
    let disk = new_disk();
    let file = create(&disk, "/d/file", b"unsynced");
    assert!(file.try_lock().unwrap());
    let restarted = disk.power_loss(0, PowerLoss::KeepAll);
    assert_eq!(restarted.read_file("/d/file").unwrap(), b"unsynced");
    let other = open(&restarted, "/d/file", OpenMode::Read).unwrap();
    assert!(open(&restarted, "/d/file", OpenMode::Read).unwrap().try_lock().unwrap());
    drop(other);
    assert_eq!(restarted.power_loss(0, PowerLoss::DropAll).paths(), [] as [PathBuf; 0]);
}

#[test]
fn lost_directory_takes_its_content_with_it() {
    let disk = new_disk();
    disk.without_sync(true);
    disk.create_dir_all(Path::new("/d/sub")).unwrap();
    disk.without_sync(false);
    create(&disk, "/d/sub/file", b"synced").sync_data().unwrap();
    disk.sync_dir(Path::new("/d/sub")).unwrap();
    let lost = disk.power_loss(0, PowerLoss::DropAll);
    assert_eq!(lost.paths(), [] as [PathBuf; 0]);
    // Created anew, the directory is empty.
    lost.create_dir_all(Path::new("/d/sub")).unwrap();
    assert_eq!(lost.list(Path::new("/d/sub")).unwrap(), []);
}

#[test]
fn create_dir_all_is_durable_even_after_a_kill_within() {
    let path = Path::new("/d/a/b");
    for killed_at in 0..6 {
        let disk = new_disk();
        disk.inject(Fault { at_operation: disk.operations() + killed_at, kind: FaultKind::PowerOff });
        let result = disk.create_dir_all(path);
        assert_eq!(result.is_ok(), killed_at == 5);
        let disk = disk.power_loss(0, PowerLoss::KeepAll);
        disk.create_dir_all(path).unwrap();
        assert!(disk.power_loss(0, PowerLoss::DropAll).info(path).is_ok());
    }
}

#[test]
fn same_seed_gives_the_same_disk() {
    let (disk, file) = with_file(&[0; 8192]);
    for block in 0..16 {
        file.write_all_at(&[1; 512], block * 512).unwrap();
    }
    let survived = |seed| disk.power_loss(seed, PowerLoss::Random).read_file("/d/file").unwrap();
    for seed in SEEDS {
        assert_eq!(survived(seed), survived(seed));
    }
    assert!(outcomes(&disk, |disk| disk.read_file("/d/file").unwrap()).len() > 50);
}

#[test]
fn writes_are_lost_in_any_subset() {
    let (disk, file) = with_file(&[0; 1024]);
    file.write_all_at(&[1; 512], 0).unwrap();
    file.write_all_at(&[2; 512], 512).unwrap();
    let pairs = outcomes(&disk, |disk| {
        let bytes = disk.read_file("/d/file").unwrap();
        (bytes[0], bytes[512])
    });
    assert_eq!(pairs, BTreeSet::from([(0, 0), (0, 2), (1, 0), (1, 2)]));
}

#[test]
fn write_tears_between_sectors_and_never_within_one() {
    let (disk, file) = with_file(&[0; 4096]);
    file.write_all_at(&[1; 4096], 0).unwrap();
    let survived = outcomes(&disk, |disk| disk.read_file("/d/file").unwrap());
    assert!(survived.contains([0; 4096].as_slice()) && survived.contains([1; 4096].as_slice()));
    assert!(survived.len() > 10, "some are torn");
    for sector in survived.iter().flat_map(|bytes| bytes.chunks(512)) {
        assert!(sector.iter().all(|byte| *byte == sector[0]));
    }
}

#[test]
fn sector_holds_its_content_of_one_moment() {
    let (disk, file) = with_file(&[0; 3]);
    for (byte, offset) in [(1, 0), (2, 1), (3, 2)] {
        file.write_all_at(&[byte], offset).unwrap();
    }
    let survived = outcomes(&disk, |disk| disk.read_file("/d/file").unwrap());
    assert_eq!(survived, BTreeSet::from([[0, 0, 0], [1, 0, 0], [1, 2, 0], [1, 2, 3]].map(Vec::from)));
}

#[test]
fn length_and_bytes_are_lost_apart() {
    let (disk, file) = with_file(b"");
    file.write_all_at(&[1; 512], 0).unwrap();
    let survived = outcomes(&disk, |disk| disk.read_file("/d/file").unwrap());
    assert_eq!(survived, BTreeSet::from([vec![], vec![0; 512], vec![1; 512]]));
}

#[test]
fn cut_is_lost_or_kept_and_shows_no_cut_bytes() {
    let (disk, file) = with_file(&[1; 1024]);
    file.set_len(512).unwrap();
    file.set_len(1024).unwrap();
    let survived = outcomes(&disk, |disk| disk.read_file("/d/file").unwrap());
    let extended = [[1; 512], [0; 512]].concat();
    assert_eq!(survived, BTreeSet::from([vec![1; 1024], vec![1; 512], extended]));
}

#[test]
fn changes_of_different_names_are_reordered() {
    let disk = new_disk();
    disk.write_file("/d/old", b"").unwrap();
    drop(create(&disk, "/d/new", b""));
    disk.remove_file(Path::new("/d/old")).unwrap();
    assert_eq!(outcomes(&disk, |disk| disk.paths().len()), BTreeSet::from([0, 1, 2]));
}

#[test]
fn later_change_of_a_lost_name_is_lost() {
    let disk = new_disk();
    disk.write_file("/d/file", b"old").unwrap();
    disk.remove_file(Path::new("/d/file")).unwrap();
    create(&disk, "/d/file", b"new").sync_data().unwrap();
    disk.remove_file(Path::new("/d/file")).unwrap();
    let survived = outcomes(&disk, |disk| disk.read_file("/d/file").ok());
    let expected = [Some(b"old".to_vec()), Some(b"new".to_vec()), None];
    assert_eq!(survived, BTreeSet::from(expected));
}

#[test]
fn removed_file_comes_back_whole() {
    let (disk, file) = with_file(b"old");
    disk.remove_file(Path::new("/d/file")).unwrap();
    drop(file);
    drop(create(&disk, "/d/file", b"new"));
    assert_eq!(after_drop_all(&disk), b"old");
    sync_dir(&disk);
    assert_eq!(after_drop_all(&disk), b"");
}

#[test]
fn failed_operation_has_no_effect() {
    let (disk, file) = with_file(b"old");
    strike(&disk, FaultKind::Eio);
    assert!(file.write_all_at(b"new", 0).is_err());
    strike(&disk, FaultKind::Eio);
    assert!(file.set_len(0).is_err());
    strike(&disk, FaultKind::Eio);
    assert!(file.allocate(10_000).is_err());
    strike(&disk, FaultKind::Eio);
    assert!(disk.remove_file(Path::new("/d/file")).is_err());
    strike(&disk, FaultKind::Eio);
    assert!(open(&disk, "/d/other", OpenMode::CreateNew).is_err());
    assert_eq!(disk.paths(), [Path::new("/d/file")]);
    assert_eq!(disk.read_file("/d/file").unwrap(), b"old");
    file.write_all_at(b"new", 0).unwrap();
    assert_eq!(disk.read_file("/d/file").unwrap(), b"new");
}

#[test]
fn fault_strikes_the_operation_it_names() {
    let (disk, file) = with_file(b"");
    disk.inject(Fault { at_operation: disk.operations() + 2, kind: FaultKind::Eio });
    let failed = (0..4).map(|_| file.write_all_at(b"x", 0).is_err()).collect::<Vec<_>>();
    assert_eq!(failed, [false, false, true, false]);
}

#[test]
fn full_disk_stays_full_until_healed() {
    let (disk, file) = with_file(&[1; 4096]);
    strike(&disk, FaultKind::Enospc);
    for _ in 0..2 {
        assert_eq!(kind(file.write_all_at(&[2; 4096], 4000)), ErrorKind::StorageFull);
        assert_eq!(kind(file.set_len(10_000)), ErrorKind::StorageFull);
        assert_eq!(kind(file.allocate(10_000)), ErrorKind::StorageFull);
        assert_eq!(kind(open(&disk, "/d/new", OpenMode::CreateNew)), ErrorKind::StorageFull);
        assert_eq!(kind(disk.create_dir_all(Path::new("/d/sub"))), ErrorKind::StorageFull);
    }
    assert_eq!(file.len().unwrap(), 4096, "the part before the missing block was written");
    file.write_all_at(&[3; 4096], 0).unwrap();
    file.sync_data().unwrap();
    disk.heal();
    file.write_all_at(&[2; 4096], 4000).unwrap();
}

#[test]
fn capacity_bounds_what_is_allocated() {
    let (disk, file) = with_file(b"");
    disk.set_capacity(Some(8192));
    file.set_len(1 << 30).unwrap();
    file.write_all_at(&[1; 4096], 1 << 20).unwrap();
    file.write_all_at(&[1; 1], 0).unwrap();
    assert_eq!(disk.info(Path::new("/d/file")).unwrap().allocated_bytes, 8192);
    let other = open(&disk, "/d/other", OpenMode::CreateNew).unwrap();
    assert_eq!(kind(other.write_all_at(&[1; 1], 0)), ErrorKind::StorageFull);
    disk.remove_file(Path::new("/d/file")).unwrap();
    assert_eq!(kind(other.write_all_at(&[1; 1], 0)), ErrorKind::StorageFull, "the removed file is open");
    drop(file);
    assert_eq!(kind(other.write_all_at(&[1; 10_000], 0)), ErrorKind::StorageFull);
    assert_eq!(other.len().unwrap(), 8192);
    disk.set_capacity(None);
    other.write_all_at(&[1; 10_000], 0).unwrap();
}

#[test]
fn write_into_an_allocated_range_needs_no_room() {
    for capacity in [None, Some(12_288)] {
        let (disk, file) = with_file(b"");
        disk.set_capacity(capacity);
        file.allocate(10_000).unwrap();
        assert_eq!(disk.info(Path::new("/d/file")).unwrap().allocated_bytes, 12_288);
        if capacity.is_none() {
            strike(&disk, FaultKind::Enospc);
        }
        file.write_all_at(&[1; 6000], 4000).unwrap();
        file.allocate(10_000).unwrap();
        file.sync_data().unwrap();
        assert_eq!(kind(file.write_all_at(&[1; 1], 12_288)), ErrorKind::StorageFull);
        assert_eq!(disk.read_file("/d/file").unwrap(), [[0; 4000].as_slice(), &[1; 6000]].concat());
    }
}

#[test]
fn allocate_without_room_changes_nothing() {
    let (disk, file) = with_file(&[1; 5000]);
    create(&disk, "/d/other", &[1; 1]).sync_data().unwrap();
    disk.set_capacity(Some(16_384));
    file.set_len(10_000).unwrap();
    let ranges = disk.allocated_ranges("/d/file").unwrap();
    for len in [16_384, 1 << 40] {
        assert_eq!(kind(file.allocate(len)), ErrorKind::StorageFull);
        assert_eq!(disk.read_file("/d/file").unwrap(), [[1; 5000], [0; 5000]].concat());
        assert_eq!(disk.allocated_ranges("/d/file").unwrap(), ranges);
    }
    disk.remove_file(Path::new("/d/other")).unwrap();
    file.allocate(16_384).unwrap();
}

#[test]
fn allocation_is_lost_or_kept_with_its_length() {
    let (disk, file) = with_file(&[1; 512]);
    file.allocate(10_000).unwrap();
    let look = |disk: &SimDisk| {
        let info = disk.info(Path::new("/d/file")).unwrap();
        (info.len, info.allocated_bytes)
    };
    assert_eq!(outcomes(&disk, look), BTreeSet::from([(512, 4096), (10_000, 12_288)]));
    assert_eq!(after_drop_all(&disk), [1; 512]);
    file.sync_data().unwrap();
    assert_eq!(look(&disk.power_loss(0, PowerLoss::DropAll)), (10_000, 12_288));
    assert_eq!(after_drop_all(&disk), [[1; 512].as_slice(), &[0; 9488]].concat());
}

#[test]
fn unsynced_write_into_an_allocated_range_is_lost_to_zeros() {
    let (disk, file) = with_file(b"");
    file.allocate(1024).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(&[1; 512], 0).unwrap();
    let survived = outcomes(&disk, |disk| disk.read_file("/d/file").unwrap());
    assert_eq!(survived, BTreeSet::from([vec![0; 1024], [[1; 512], [0; 512]].concat()]));
}

#[test]
fn allocation_is_a_counted_operation_that_a_power_off_strikes() {
    let (disk, file) = with_file(b"");
    let before = disk.operations();
    file.allocate(4096).unwrap();
    assert_eq!(disk.operations(), before + 1);
    strike(&disk, FaultKind::PowerOff);
    assert!(file.allocate(8192).is_err());
    assert!(file.allocate(8192).is_err() && file.map().is_err());
    assert_eq!(disk.operations(), before + 2);
    let lengths = outcomes(&disk, |disk| disk.read_file("/d/file").unwrap().len());
    assert_eq!(lengths, BTreeSet::from([0, 4096, 8192]));
}

#[test]
fn map_is_one_read_and_can_fail() {
    let (disk, file) = with_file(&[1; 9000]);
    let (operations, reads) = (disk.operations(), disk.reads());
    let mapping = file.map().unwrap();
    assert_eq!(*mapping, [1; 9000]);
    assert_eq!((disk.operations(), disk.reads()), (operations, reads + 1));
    disk.inject(Fault { at_operation: disk.reads(), kind: FaultKind::ReadEio });
    assert!(file.map().is_err());
    assert_eq!(disk.reads(), reads + 2);
    file.map().unwrap();
}

#[test]
fn short_write_leaves_half_of_the_bytes() {
    let (disk, file) = with_file(&[0; 100]);
    strike(&disk, FaultKind::ShortWrite);
    file.sync_data().unwrap();
    assert!(file.write_all_at(&[1; 100], 0).is_err());
    assert_eq!(disk.read_file("/d/file").unwrap(), [[1; 50], [0; 50]].concat());
}

#[test]
fn bytes_of_a_failed_sync_are_seen_but_never_durable() {
    let (disk, file) = with_file(&[0; 1024]);
    file.write_all_at(&[1; 512], 0).unwrap();
    strike(&disk, FaultKind::FailedSync);
    assert!(file.sync_data().is_err());
    file.write_all_at(&[2; 512], 512).unwrap();
    file.sync_data().unwrap();
    assert_eq!(disk.read_file("/d/file").unwrap(), [[1; 512], [2; 512]].concat());
    assert_eq!(after_drop_all(&disk), [[0; 512], [2; 512]].concat());
    assert_eq!(outcomes(&disk, |disk| disk.read_file("/d/file").unwrap()).len(), 1);
}

#[test]
fn names_of_a_failed_sync_are_seen_but_never_durable() {
    let disk = new_disk();
    drop(create(&disk, "/d/file", b""));
    strike(&disk, FaultKind::FailedSync);
    assert!(disk.sync_dir(Path::new("/d")).is_err());
    drop(create(&disk, "/d/later", b""));
    sync_dir(&disk);
    assert_eq!(disk.paths().len(), 2);
    assert_eq!(outcomes(&disk, SimDisk::paths), BTreeSet::from([vec!["/d/later".into()]]));
}

#[test]
fn operation_under_way_at_power_off_may_have_happened() {
    let (disk, file) = with_file(b"old");
    strike(&disk, FaultKind::PowerOff);
    assert!(file.write_all_at(b"new", 0).is_err());
    let survived = outcomes(&disk, |disk| disk.read_file("/d/file").unwrap());
    assert_eq!(survived, BTreeSet::from([b"old".to_vec(), b"new".to_vec()]));
}

#[test]
fn nothing_works_after_power_off() {
    let (disk, file) = with_file(b"old");
    strike(&disk, FaultKind::PowerOff);
    assert!(file.sync_data().is_err());
    let path = Path::new("/d/file");
    assert!(file.len().is_err() && file.read_exact_at(&mut [0], 0).is_err());
    assert!(file.write_all_at(b"new", 0).is_err() && file.set_len(0).is_err());
    assert!(file.sync_data().is_err() && file.try_lock().is_err() && file.unlock().is_err());
    assert!(disk.open(path, OpenMode::Read).is_err() && disk.info(path).is_err());
    assert!(disk.list(Path::new("/d")).is_err() && disk.create_dir_all(Path::new("/e")).is_err());
    assert!(disk.remove_file(path).is_err());
    assert!(disk.sync_dir(Path::new("/d")).is_err() && disk.absolute(path).is_err());
    let restarted = disk.power_loss(0, PowerLoss::Random);
    assert_eq!((restarted.operations(), restarted.reads()), (0, 0));
    assert_eq!(restarted.read_file(path).unwrap(), b"old");
    open(&restarted, "/d/file", OpenMode::ReadWrite).unwrap().write_all_at(b"new", 0).unwrap();
}

#[test]
fn failed_read_is_the_one_that_was_named() {
    let (disk, file) = with_file(&[7; 10]);
    disk.inject(Fault { at_operation: disk.reads() + 1, kind: FaultKind::ReadEio });
    file.write_all_at(&[8], 0).unwrap();
    let failed = (0..3).map(|_| file.read_exact_at(&mut [0; 10], 0).is_err()).collect::<Vec<_>>();
    assert_eq!(failed, [false, true, false]);
}

#[test]
fn every_mutating_operation_is_counted_once() {
    let disk = new_disk();
    let counted = |operation: &dyn Fn()| {
        let before = (disk.operations(), disk.reads());
        operation();
        (disk.operations() - before.0, disk.reads() - before.1)
    };
    let file = create(&disk, "/d/file", b"");
    assert_eq!(counted(&|| drop(create(&disk, "/d/other", b"x"))), (2, 0));
    assert_eq!(counted(&|| file.set_len(5).unwrap()), (1, 0));
    assert_eq!(counted(&|| file.sync_data().unwrap()), (1, 0));
    assert_eq!(counted(&|| sync_dir(&disk)), (1, 0));
    assert_eq!(counted(&|| disk.remove_file(Path::new("/d/other")).unwrap()), (1, 0));
    assert_eq!(counted(&|| disk.create_dir_all(Path::new("/d/a/b")).unwrap()), (5, 0));
    assert_eq!(counted(&|| assert!(file.try_lock().unwrap())), (0, 0));
    assert_eq!(counted(&|| assert_eq!(file.len().unwrap(), 5)), (0, 1));
    assert_eq!(counted(&|| file.read_exact_at(&mut [0; 5], 0).unwrap()), (0, 1));
    assert_eq!(counted(&|| drop(open(&disk, "/d/file", OpenMode::Read).unwrap())), (0, 1));
}

#[test]
fn without_sync_nothing_is_durable() {
    let disk = new_disk();
    disk.without_sync(true);
    create(&disk, "/d/file", b"new").sync_data().unwrap();
    sync_dir(&disk);
    assert_eq!(disk.power_loss(0, PowerLoss::DropAll).paths(), [] as [PathBuf; 0]);
    disk.without_sync(false);
    sync_dir(&disk);
    assert_eq!(after_drop_all(&disk), b"");
}

#[test]
fn read_only_disk_refuses_changes_and_reads() {
    let (disk, file) = with_file(b"old");
    disk.read_only(true);
    assert_eq!(kind(file.write_all_at(b"new", 0)), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(kind(file.set_len(0)), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(kind(file.allocate(1)), ErrorKind::ReadOnlyFilesystem);
    for (path, mode) in [("/d/file", OpenMode::ReadWrite), ("/d/new", OpenMode::CreateNew)] {
        assert_eq!(kind(open(&disk, path, mode)), ErrorKind::ReadOnlyFilesystem);
    }
    assert_eq!(kind(disk.remove_file(Path::new("/d/file"))), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(kind(disk.create_dir_all(Path::new("/d/sub"))), ErrorKind::ReadOnlyFilesystem);
    open(&disk, "/d/file", OpenMode::Read).unwrap().read_exact_at(&mut [0; 3], 0).unwrap();
    disk.read_only(false);
    file.write_all_at(b"new", 0).unwrap();
}

#[test]
fn denied_directory_refuses_paths_but_not_open_files() {
    let (disk, file) = with_file(b"old");
    disk.deny("/d");
    assert_eq!(kind(open(&disk, "/d/file", OpenMode::Read)), ErrorKind::PermissionDenied);
    assert_eq!(kind(disk.list(Path::new("/d"))), ErrorKind::PermissionDenied);
    assert_eq!(kind(disk.sync_dir(Path::new("/d"))), ErrorKind::PermissionDenied);
    file.write_all_at(b"new", 0).unwrap();
    disk.allow("/d/");
    open(&disk, "/d/file", OpenMode::Read).unwrap();
}

#[test]
fn detached_directory_is_not_found_until_attached() {
    let (disk, file) = with_file(b"old");
    disk.detach("/d");
    assert_eq!(kind(open(&disk, "/d/file", OpenMode::Read)), ErrorKind::NotFound);
    assert_eq!(kind(disk.info(Path::new("/d"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.create_dir_all(Path::new("/d"))), ErrorKind::NotFound);
    assert_eq!(disk.list(Path::new("/")).unwrap(), []);
    assert!(file.read_exact_at(&mut [0], 0).is_err() && file.write_all_at(b"x", 0).is_err());
    assert!(file.map().is_err() && file.allocate(1).is_err());
    disk.attach("/d");
    assert_eq!(disk.read_file("/d/file").unwrap(), b"old");
    file.read_exact_at(&mut [0; 3], 0).unwrap();
}

#[test]
fn direct_changes_are_durable_and_seen_by_open_files() {
    let (disk, file) = with_file(b"old");
    file.write_all_at(b"x", 0).unwrap();
    disk.write_file("/d/file", b"changed").unwrap();
    let mut bytes = [0; 7];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"changed");
    disk.write_file("/new/sub/file", b"made").unwrap();
    disk.copy_file("/new/sub/file", "/d/copy").unwrap();
    let lost = disk.power_loss(0, PowerLoss::DropAll);
    assert_eq!(lost.paths(), ["/d/copy", "/d/file", "/new/sub/file"].map(PathBuf::from));
    assert_eq!(lost.read_file("/d/copy").unwrap(), b"made");
    disk.remove("/new").unwrap();
    disk.remove("/d/file").unwrap();
    assert_eq!(disk.power_loss(0, PowerLoss::DropAll).paths(), [PathBuf::from("/d/copy")]);
    assert_eq!(kind(disk.remove("/new")), ErrorKind::NotFound);
    assert_eq!(kind(disk.write_file("/d", b"")), ErrorKind::IsADirectory);
    assert_eq!(kind(disk.write_file("/d/copy/x", b"")), ErrorKind::NotADirectory);
    assert_eq!(kind(disk.remove("/")), ErrorKind::InvalidInput);
    disk.set_mode("/d/copy", 0o644).unwrap();
    assert_eq!(disk.info(Path::new("/d/copy")).unwrap().mode, Some(0o644));
}

#[test]
fn snapshot_is_synced_and_independent() {
    let disk = new_disk();
    let file = create(&disk, "/d/file", b"old");
    let snapshot = disk.snapshot();
    file.write_all_at(b"new", 0).unwrap();
    assert_eq!(after_drop_all(&snapshot), b"old");
    snapshot.write_file("/d/file", b"other").unwrap();
    assert_eq!(disk.read_file("/d/file").unwrap(), b"new");
}

#[test]
fn trace_holds_every_byte_that_was_written() {
    let (disk, file) = with_file(b"");
    file.write_all_at(b"before", 0).unwrap();
    disk.trace(true);
    file.write_all_at(b"secret", 5).unwrap();
    strike(&disk, FaultKind::ShortWrite);
    assert!(file.write_all_at(b"halved", 0).is_err());
    let written = |offset, bytes: &[u8]| Written { path: "/d/file".into(), offset, bytes: bytes.into() };
    assert_eq!(disk.take_trace(), [written(5, b"secret"), written(0, b"hal")]);
    assert_eq!(disk.take_trace(), []);
    disk.trace(false);
    file.write_all_at(b"after", 0).unwrap();
    assert_eq!(disk.take_trace(), []);
}

#[test]
fn allocated_ranges_are_what_was_written_or_allocated() {
    let (disk, file) = with_file(b"");
    file.set_len(100_000).unwrap();
    file.write_all_at(&[0; 5000], 4096).unwrap();
    file.write_all_at(&[1; 1], 40_960).unwrap();
    assert_eq!(disk.allocated_ranges("/d/file").unwrap(), [4096..12_288, 40_960..45_056]);
    file.allocate(20_000).unwrap();
    assert_eq!(disk.allocated_ranges("/d/file").unwrap(), [0..20_480, 40_960..45_056]);
    file.set_len(5000).unwrap();
    let ranges = disk.allocated_ranges("/d/file").unwrap();
    assert_eq!(ranges.as_slice(), std::slice::from_ref(&(0..8192)));
}

/// Which step of [`add`] is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Nothing,
    SyncOfTheFile,
    SyncOfTheDirectory,
}

/// Adds `/d/new` and then removes `/d/old`, as every careful program replaces a file by one of another name.
fn add(disk: &SimDisk, missing: Missing) -> io::Result<()> {
    let file = open(disk, "/d/new", OpenMode::CreateNew)?;
    file.write_all_at(&[2; 5000], 0)?;
    if missing != Missing::SyncOfTheFile {
        file.sync_data()?;
    }
    if missing != Missing::SyncOfTheDirectory {
        disk.sync_dir(Path::new("/d"))?;
    }
    disk.remove_file(Path::new("/d/old"))
}

/// Whether each power loss at each operation of [`add`] leaves the old file or the whole new one, and the new one
/// once it was acknowledged.
fn survives_every_power_loss(missing: Missing, without_sync: bool) -> bool {
    (0..8).all(|at_operation| {
        let disk = SimDisk::new();
        disk.write_file("/d/old", [1; 5000]).unwrap();
        disk.without_sync(without_sync);
        disk.inject(Fault { at_operation, kind: FaultKind::PowerOff });
        let acknowledged = add(&disk, missing).is_ok();
        outcomes(&disk, |disk| (disk.read_file("/d/old").is_ok(), disk.read_file("/d/new").ok()))
            .iter()
            .all(|(old, new)| new.as_deref() == Some(&[2; 5000]) || (*old && !acknowledged))
    })
}

#[test]
fn careful_replacement_survives_and_each_missing_sync_is_noticed() {
    assert!(survives_every_power_loss(Missing::Nothing, false));
    assert!(!survives_every_power_loss(Missing::SyncOfTheFile, false));
    assert!(!survives_every_power_loss(Missing::SyncOfTheDirectory, false));
    assert!(!survives_every_power_loss(Missing::Nothing, true));
}
