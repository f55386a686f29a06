//! Chunks that somebody with the structure key cuts off, moves, swaps, doubles or puts back: an error, never another value.

use std::io::Read;

use strongroom::simulation::{SimDisk, alter_chunks, chunk_rows};
use strongroom::{Collection, Engine, ErrorKind, Tenant};

use super::{CHUNK, WHOLE, new_store, put, read, value};
use crate::support::kind_of;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

struct Store {
    engine: Engine,
    tenant: Tenant,
    scans: Collection,
    value: Vec<u8>,
    rows: Rows,
}

/// A value of 18 chunks under `a`, one of as many under `b`, and an older one under `a`, whose rows are given.
fn store() -> (Store, Rows) {
    let (engine, scans) = new_store(&SimDisk::new());
    let tenant = engine.tenant("acme").unwrap();
    put(&scans, "a", &value(7, 17 * CHUNK + 9)).unwrap();
    let older = chunk_rows(&tenant).unwrap();
    let value = value(1, 17 * CHUNK + 9);
    put(&scans, "a", &value).unwrap();
    put(&scans, "b", &super::value(2, 17 * CHUNK + 9)).unwrap();
    let mut rows = chunk_rows(&tenant).unwrap();
    rows.retain(|row| !older.contains(row));
    // The rows of `a` first: a row of a set says whose it is.
    let set_of_a = rows.iter().find(|(key, row)| key.len() == 16 && row.ends_with(b"a")).unwrap().0.clone();
    rows.sort_by_key(|(key, _)| (!key.starts_with(&set_of_a), key.clone()));
    (Store { engine, tenant, scans, value, rows }, older)
}

impl Store {
    /// Rows `from..to` of a value are replaced; then reading `a` fails with one of two kinds, before the altered chunk it
    /// gives the value's bytes and nothing else, and the verification says so. Then all is put back.
    #[track_caller]
    fn refuses(&self, altered: &[(Vec<u8>, Option<Vec<u8>>)], first_bad: u32) {
        alter_chunks(&self.tenant, altered).unwrap();
        let mut reader = self.scans.get_reader("a");
        match &mut reader {
            Err(error) => assert!(first_bad == 0 && kind_of(error) == ErrorKind::Corrupted, "{error}"),
            Ok(reader) => {
                let mut found = Vec::new();
                let error = reader.as_mut().unwrap().read_to_end(&mut found).unwrap_err();
                let error = strongroom::Error::from_io(error);
                assert!([ErrorKind::Unauthentic, ErrorKind::Corrupted].contains(&kind_of(&error)), "{error}");
                assert!(self.value.starts_with(&found), "a byte that the value does not have");
                assert!(
                    found.len() as u64 <= u64::from(first_bad) * CHUNK as u64,
                    "a byte of the altered chunk"
                );
            }
        }
        let report = self.engine.verify(&mut |_| {}).unwrap();
        assert_eq!(report.tenants[1].file.records_bad, 1, "{report:#?}");
        let restored: Vec<_> = self.rows.iter().map(|(key, row)| (key.clone(), Some(row.clone()))).collect();
        alter_chunks(&self.tenant, &restored).unwrap();
        assert!(read(&self.scans, "a").unwrap().unwrap() == self.value);
    }

    /// The row of a chunk of `a`, or of `b`.
    fn row(&self, of_b: bool, index: usize) -> (Vec<u8>, Vec<u8>) {
        self.rows[1 + index + 19 * usize::from(of_b)].clone()
    }
}

#[test]
fn no_chunk_can_be_cut_swapped_doubled_or_taken_from_elsewhere() {
    let (store, older) = store();
    assert_eq!(store.rows.len(), 2 * 19);
    for index in [0_usize, 1, 16, 17] {
        let (key, row) = store.row(false, index);
        let at = index as u32;
        store.refuses(&[(key.clone(), None)], at);
        for other in [0, 1, 5, 16, 17] {
            if other == index {
                continue;
            }
            let (other_key, other_row) = store.row(false, other);
            store.refuses(&[(key.clone(), Some(other_row.clone()))], at);
            let swapped = [(key.clone(), Some(other_row)), (other_key, Some(row.clone()))];
            store.refuses(&swapped, at.min(other as u32));
        }
        store.refuses(&[(key.clone(), Some(store.row(true, index).1))], at);
        store.refuses(&[(key.clone(), Some(older[1 + index].1.clone()))], at);
        for at_byte in [0, 23, 24, row.len() / 2, row.len() - 17, row.len() - 1] {
            let mut altered = row.clone();
            altered[at_byte] ^= 1;
            store.refuses(&[(key.clone(), Some(altered))], at);
        }
        for length in [0, 24, 39, 40, row.len() - 1] {
            store.refuses(&[(key.clone(), Some(row[..length].to_vec()))], at);
        }
        store.refuses(&[(key.clone(), Some([&row[..], &[0]].concat()))], at);
    }
    // The last one, and with it the end.
    store.refuses(&[(store.row(false, 17).0, None), (store.row(false, 16).0, None)], 16);
    // All of another record's.
    let all: Vec<_> =
        (0..18).map(|index| (store.row(false, index).0, Some(store.row(true, index).1))).collect();
    store.refuses(&all, 0);
}

#[test]
fn one_chunk_more_than_the_value_has_is_never_read() {
    let (store, _) = store();
    let (mut key, row) = store.row(false, 17);
    *key.last_mut().unwrap() += 1;
    alter_chunks(&store.tenant, &[(key, Some(row))]).unwrap();
    assert!(read(&store.scans, "a").unwrap().unwrap() == store.value);
}

#[test]
fn a_flipped_bit_of_the_file_is_refused_and_other_records_read() {
    let disk = SimDisk::new();
    let (engine, scans) = new_store(&disk);
    put(&scans, "a", &value(1, WHOLE + 9)).unwrap();
    scans.put("b", b"small").unwrap();
    engine.close().unwrap();
    let path = disk.paths().into_iter().find(|path| path.to_string_lossy().ends_with(".redb")).unwrap();
    let bytes = disk.read_file(&path).unwrap().len() as u64;
    let (mut refused, mut unharmed) = (0, 0);
    for step in 1..24 {
        let copy = disk.snapshot();
        copy.flip(&path, bytes * step / 24 + step, 1).unwrap();
        let Ok(engine) = Engine::open(crate::support::config(&copy, 2).background(false)) else { continue };
        let scans = engine.tenant("acme").and_then(|tenant| tenant.collection("scans"));
        match scans.and_then(|scans| read(&scans, "a")) {
            Ok(found) => {
                assert!(found.unwrap() == value(1, WHOLE + 9), "step {step}");
                unharmed += 1;
            }
            Err(error) => {
                assert!([ErrorKind::Unauthentic, ErrorKind::Corrupted].contains(&kind_of(&error)), "{error}");
                refused += 1;
            }
        }
    }
    println!("{refused} flips were refused, {unharmed} hit nothing in use");
    assert!(refused >= 10, "{refused} of 23");
}
