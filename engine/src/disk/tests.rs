//! What every disk promises, on the operating system's and, where it is built, on the simulated one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;

use super::*;

/// Runs `test` on each disk, in an empty directory of it.
fn on_each_disk(test: impl Fn(&dyn Disk, &Path)) {
    let directory = tempfile::tempdir().unwrap();
    test(&RealDisk::new(), &RealDisk::new().absolute(directory.path()).unwrap());
    #[cfg(feature = "simulation")]
    {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/root")).unwrap();
        test(&disk, Path::new("/root"));
    }
}

fn create(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Box<dyn DiskFile> {
    let file = disk.open(path, OpenMode::CreateNew).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn content(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn content_at(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    content(&*disk.open(path, OpenMode::Read).unwrap())
}

fn kind<T: Debug>(result: io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn create_new_refuses_what_exists() {
    on_each_disk(|disk, root| {
        drop(create(disk, &root.join("file"), b"old"));
        assert_eq!(kind(disk.open(&root.join("file"), OpenMode::CreateNew)), ErrorKind::AlreadyExists);
        assert_eq!(content_at(disk, &root.join("file")), b"old");
        assert_eq!(kind(disk.open(root, OpenMode::CreateNew)), ErrorKind::AlreadyExists);
    });
}

#[test]
fn opening_creates_nothing() {
    on_each_disk(|disk, root| {
        for mode in [OpenMode::Read, OpenMode::ReadWrite] {
            assert_eq!(kind(disk.open(&root.join("absent"), mode)), ErrorKind::NotFound);
        }
        assert_eq!(kind(disk.open(&root.join("absent/file"), OpenMode::CreateNew)), ErrorKind::NotFound);
        assert_eq!(disk.list(root).unwrap(), []);
    });
}

#[test]
fn directory_does_not_open_as_a_file() {
    on_each_disk(|disk, root| assert!(disk.open(root, OpenMode::Read).is_err()));
}

#[cfg(unix)]
#[test]
fn file_is_not_a_directory() {
    on_each_disk(|disk, root| {
        let (file, below) = (root.join("file"), root.join("file/below"));
        drop(create(disk, &file, b""));
        assert_eq!(kind(disk.open(&below, OpenMode::Read)), ErrorKind::NotADirectory);
        assert_eq!(kind(disk.open(&below, OpenMode::CreateNew)), ErrorKind::NotADirectory);
        assert_eq!(kind(disk.list(&file)), ErrorKind::NotADirectory);
        assert_eq!(kind(disk.create_dir_all(&file)), ErrorKind::NotADirectory);
        assert_eq!(kind(disk.create_dir_all(&below)), ErrorKind::NotADirectory);
    });
}

#[test]
fn written_bytes_are_seen_by_every_handle() {
    on_each_disk(|disk, root| {
        let path = root.join("file");
        let writer = create(disk, &path, &[1; 9000]);
        let reader = disk.open(&path, OpenMode::Read).unwrap();
        writer.write_all_at(&[2; 5000], 4000).unwrap();
        assert_eq!(content(&*reader), [[1; 4000].as_slice(), &[2; 5000]].concat());
    });
}

#[test]
fn read_past_the_end_is_an_unexpected_eof() {
    on_each_disk(|disk, root| {
        let file = create(disk, &root.join("file"), &[7; 100]);
        assert_eq!(kind(file.read_exact_at(&mut [0; 2], 99)), ErrorKind::UnexpectedEof);
        assert_eq!(kind(file.read_exact_at(&mut [0; 1], 5000)), ErrorKind::UnexpectedEof);
        file.read_exact_at(&mut [], 5000).unwrap();
        file.read_exact_at(&mut [0; 1], 99).unwrap();
    });
}

#[test]
fn write_behind_the_end_leaves_zeros_before_it() {
    on_each_disk(|disk, root| {
        let file = create(disk, &root.join("file"), &[1; 10]);
        file.write_all_at(&[2; 10], 10_000).unwrap();
        assert_eq!(content(&*file), [[1; 10].as_slice(), &[0; 9990], &[2; 10]].concat());
        file.write_all_at(&[], 20_000).unwrap();
        assert_eq!(file.len().unwrap(), 10_010);
    });
}

/// Past the page cache or not, between writes and reads that go through it.
#[test]
fn blocks_are_written_where_they_belong_and_read_by_everybody() {
    on_each_disk(|disk, root| {
        let path = root.join("file");
        let file = create(disk, &path, &[1; 4_096]);
        file.allocate(40_000).unwrap();
        let mut blocks = Blocks::new();
        blocks.fill(0, &[2; 5_000]);
        file.write_blocks(&blocks, 4_096).unwrap();
        file.write_all_at(&[3; 10], 9_000).unwrap();
        let written = [&[1; 4_096][..], &[2; 4_904], &[3; 10], &[2; 86], &[0; 4]].concat();
        assert_eq!(content_at(disk, &path)[..9_100], written);
        blocks.keep_block_of(5_000, 1 << 20);
        blocks.fill(904, &[4; 4_000]);
        file.write_blocks(&blocks, 8_192).unwrap();
        file.sync_data().unwrap();
        let written = [&[1; 4_096][..], &[2; 5_000], &[4; 4_000], &vec![0; 26_904]].concat();
        assert_eq!(content_at(disk, &path), written);
        assert_eq!(&file.map().unwrap()[..], written);
    });
}

#[test]
fn cut_file_does_not_show_old_bytes_when_extended() {
    on_each_disk(|disk, root| {
        let file = create(disk, &root.join("file"), &[1; 9000]);
        file.set_len(100).unwrap();
        file.set_len(9000).unwrap();
        assert_eq!(content(&*file), [[1; 100].as_slice(), &[0; 8900]].concat());
    });
}

#[test]
fn allocate_extends_with_zeros_and_keeps_what_is_there() {
    on_each_disk(|disk, root| {
        let file = create(disk, &root.join("file"), &[1; 5000]);
        file.write_all_at(&[2; 10], 20_000).unwrap();
        file.allocate(30_000).unwrap();
        let written = [[1; 5000].as_slice(), &[0; 15_000], &[2; 10]].concat();
        assert_eq!(content(&*file), [written.as_slice(), &[0; 9990]].concat());
        file.write_all_at(&[3; 10], 29_990).unwrap();
        file.sync_data().unwrap();
        assert_eq!(content(&*file), [written.as_slice(), &[0; 9980], &[3; 10]].concat());
    });
}

#[test]
fn allocate_never_shortens() {
    on_each_disk(|disk, root| {
        let file = create(disk, &root.join("file"), &[1; 9000]);
        for len in [0, 1, 4096, 9000] {
            file.allocate(len).unwrap();
            assert_eq!(content(&*file), [1; 9000]);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn allocated_range_has_its_room() {
    on_each_disk(|disk, root| {
        let (path, len) = (root.join("file"), 1 << 20);
        let file = create(disk, &path, b"");
        file.set_len(len).unwrap();
        file.allocate(len).unwrap();
        assert!(disk.info(&path).unwrap().allocated_bytes >= len, "holes are filled too");
    });
}

#[test]
fn map_shows_the_content_of_its_moment() {
    on_each_disk(|disk, root| {
        let path = root.join("file");
        let writer = create(disk, &path, &[1; 9000]);
        writer.write_all_at(&[2; 5000], 4000).unwrap();
        let expected = [[1; 4000].as_slice(), &[2; 5000]].concat();
        let reader = disk.open(&path, OpenMode::Read).unwrap();
        for mapping in [writer.map().unwrap(), reader.map().unwrap()] {
            assert_eq!(*mapping, expected[..]);
            writer.write_all_at(&[3; 5000], writer.len().unwrap()).unwrap();
            assert_eq!(*mapping, expected[..], "what is appended is not in it");
        }
    });
}

#[test]
fn map_of_an_empty_file_is_empty() {
    on_each_disk(|disk, root| {
        let file = create(disk, &root.join("file"), b"");
        assert!(file.map().unwrap().is_empty());
        file.allocate(5000).unwrap();
        assert_eq!(*file.map().unwrap(), [0; 5000]);
    });
}

#[cfg(unix)]
#[test]
fn mapping_outlives_handle_and_name_and_serves_other_threads() {
    on_each_disk(|disk, root| {
        let path = root.join("file");
        let mapping = create(disk, &path, &[7; 9000]).map().unwrap();
        disk.remove_file(&path).unwrap();
        std::thread::scope(|scope| scope.spawn(|| assert_eq!(*mapping, [7; 9000])).join()).unwrap();
    });
}

#[test]
fn mapping_tells_a_log_its_length_only() {
    on_each_disk(|disk, root| {
        let mapping = create(disk, &root.join("file"), b"secret").map().unwrap();
        assert_eq!(format!("{mapping:?}"), "Mapping { len: 6, .. }");
    });
}

#[test]
fn lengths_beyond_every_system_are_errors() {
    on_each_disk(|disk, root| {
        let file = create(disk, &root.join("file"), b"");
        assert!(file.set_len(u64::MAX).is_err());
        assert!(file.allocate(u64::MAX).is_err());
        assert!(file.write_all_at(&[1; 2], u64::MAX - 1).is_err());
        assert!(file.read_exact_at(&mut [0; 2], u64::MAX - 1).is_err());
        assert_eq!(file.len().unwrap(), 0);
    });
}

#[test]
fn file_opened_for_reading_refuses_changes() {
    on_each_disk(|disk, root| {
        let path = root.join("file");
        drop(create(disk, &path, b"old"));
        let file = disk.open(&path, OpenMode::Read).unwrap();
        assert!(file.write_all_at(b"new", 0).is_err());
        assert!(file.set_len(0).is_err());
        assert!(file.allocate(5000).is_err());
        assert_eq!(content(&*file), b"old");
    });
}

#[test]
fn lock_excludes_another_open_until_released() {
    on_each_disk(|disk, root| {
        let path = root.join("file");
        let first = create(disk, &path, b"");
        let second = disk.open(&path, OpenMode::ReadWrite).unwrap();
        assert!(first.try_lock().unwrap());
        assert!(!second.try_lock().unwrap());
        first.unlock().unwrap();
        assert!(second.try_lock().unwrap());
        assert!(!first.try_lock().unwrap());
        drop(second);
        assert!(first.try_lock().unwrap());
    });
}

#[test]
fn removed_file_is_gone() {
    on_each_disk(|disk, root| {
        let path = root.join("file");
        drop(create(disk, &path, b"old"));
        disk.remove_file(&path).unwrap();
        assert_eq!(kind(disk.remove_file(&path)), ErrorKind::NotFound);
        assert_eq!(content(&*create(disk, &path, b"new")), b"new");
        assert!(disk.remove_file(root).is_err());
    });
}

#[cfg(unix)]
#[test]
fn open_file_outlives_its_name() {
    on_each_disk(|disk, root| {
        let path = root.join("one");
        let removed = create(disk, &path, b"removed");
        disk.remove_file(&path).unwrap();
        drop(create(disk, &path, b"new"));
        removed.write_all_at(b"REMOVED", 0).unwrap();
        assert_eq!(content(&*removed), b"REMOVED");
        assert_eq!(content_at(disk, &path), b"new");
    });
}

#[test]
fn list_is_sorted_and_tells_kinds() {
    on_each_disk(|disk, root| {
        disk.create_dir_all(&root.join("b/below")).unwrap();
        for name in ["c", "a", "b.x"] {
            drop(create(disk, &root.join(name), b""));
        }
        let entries: Vec<_> =
            disk.list(root).unwrap().into_iter().map(|e| (e.name.into_string().unwrap(), e.kind)).collect();
        let expected = [
            ("a", FileKind::File),
            ("b", FileKind::Directory),
            ("b.x", FileKind::File),
            ("c", FileKind::File),
        ];
        assert_eq!(entries, expected.map(|(name, kind)| (name.to_owned(), kind)));
        assert_eq!(kind(disk.list(&root.join("absent"))), ErrorKind::NotFound);
    });
}

#[test]
fn info_tells_kind_and_length() {
    on_each_disk(|disk, root| {
        drop(create(disk, &root.join("file"), &[1; 5000]));
        let info = disk.info(&root.join("file")).unwrap();
        assert_eq!((info.kind, info.len), (FileKind::File, 5000));
        assert_eq!(disk.info(root).unwrap().kind, FileKind::Directory);
        assert_eq!(kind(disk.info(&root.join("absent"))), ErrorKind::NotFound);
    });
}

#[cfg(unix)]
#[test]
fn new_files_and_directories_are_private() {
    on_each_disk(|disk, root| {
        disk.create_dir_all(&root.join("a/b")).unwrap();
        drop(create(disk, &root.join("a/b/file"), b""));
        let mode = |path| disk.info(&root.join(path)).unwrap().mode;
        assert_eq!((mode("a"), mode("a/b"), mode("a/b/file")), (Some(0o700), Some(0o700), Some(0o600)));
    });
}

#[test]
fn create_dir_all_accepts_what_exists() {
    on_each_disk(|disk, root| {
        disk.create_dir_all(&root.join("a/b")).unwrap();
        drop(create(disk, &root.join("a/b/file"), b"kept"));
        disk.create_dir_all(&root.join("a/b")).unwrap();
        disk.create_dir_all(&root.join("a/b/c")).unwrap();
        assert_eq!(content_at(disk, &root.join("a/b/file")), b"kept");
        disk.sync_dir(&root.join("a/b/c")).unwrap();
    });
}

#[cfg(unix)]
#[test]
fn sync_of_an_absent_directory_fails() {
    on_each_disk(|disk, root| assert_eq!(kind(disk.sync_dir(&root.join("absent"))), ErrorKind::NotFound));
}

#[test]
fn absolute_keeps_the_missing_part() {
    on_each_disk(|disk, root| {
        disk.create_dir_all(&root.join("a/b")).unwrap();
        assert_eq!(disk.absolute(&root.join("a/./b/..")).unwrap(), root.join("a"));
        assert_eq!(disk.absolute(&root.join("a/b/../absent/x")).unwrap(), root.join("a/absent/x"));
        assert!(disk.absolute(Path::new("absent")).unwrap().ends_with("absent"));
        assert_ne!(disk.absolute(Path::new("absent")).unwrap(), Path::new("absent"));
    });
}

#[test]
fn absolute_refuses_what_it_cannot_know() {
    on_each_disk(|disk, _| {
        for path in ["", "absent/..", "absent/../x"] {
            assert_eq!(kind(disk.absolute(Path::new(path))), ErrorKind::InvalidInput);
        }
    });
}

#[cfg(unix)]
#[test]
fn links_are_resolved_by_absolute_only() {
    let directory = tempfile::tempdir().unwrap();
    let disk = RealDisk::new();
    let root = disk.absolute(directory.path()).unwrap();
    disk.create_dir_all(&root.join("target")).unwrap();
    std::os::unix::fs::symlink(root.join("target"), root.join("link")).unwrap();
    std::os::unix::fs::symlink(root.join("absent"), root.join("nowhere")).unwrap();
    assert_eq!(disk.absolute(&root.join("link/x")).unwrap(), root.join("target/x"));
    assert_eq!(kind(disk.absolute(&root.join("nowhere"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.absolute(&root.join("nowhere/x"))), ErrorKind::NotFound);
    assert_eq!(disk.info(&root.join("link")).unwrap().kind, FileKind::Other);
    assert_eq!(disk.list(&root).unwrap()[0].kind, FileKind::Other);
    assert!(disk.create_dir_all(&root.join("nowhere/x")).is_err());
    assert_eq!(kind(disk.info(&root.join("absent"))), ErrorKind::NotFound);
}

#[cfg(target_os = "linux")]
#[test]
fn device_without_room_says_so() {
    let full = RealDisk::new().open(Path::new("/dev/full"), OpenMode::ReadWrite).unwrap();
    assert_eq!(kind(full.write_all_at(&[1; 4096], 0)), ErrorKind::StorageFull);
}
