//! Pages, what indexes find, and rekeying: compared with the model.

use std::collections::BTreeMap;
use std::ops::Bound;

use strongroom::{Collection, ErrorKind, RekeyOptions, Result, ScanOptions};

use crate::state::Record;
use crate::{COLLECTIONS, INDEX, TENANTS, World};

impl World {
    pub(crate) fn page(&mut self, tenant: u8, collection: u8, limit: u8) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let collection = usize::from(collection) % COLLECTIONS.len();
        let limit = usize::from(limit % 5) + 1;
        let place = (tenant, collection);
        let behind = self.pages.remove(&place);
        let options = ScanOptions::new().limit(limit);
        let (from, options) = match &behind {
            Some((key, cursor)) => (Bound::Excluded(key.clone()), options.after(cursor)),
            None => (Bound::Unbounded, options),
        };
        let mut scan = handle.collection(COLLECTIONS[collection])?.scan_with(options)?;
        let keys = scan.by_ref().map(|entry| Ok(entry?.key)).collect::<Result<Vec<_>>>()?;
        let records = self.newest(tenant, collection);
        let mut left = records.range::<Vec<u8>, _>((from, Bound::Unbounded)).map(|(key, _)| key.clone());
        let expected: Vec<_> = left.by_ref().take(limit).collect();
        assert_eq!(keys, expected, "a page differs");
        let cursor = scan.cursor()?;
        assert_eq!(cursor.is_some(), left.next().is_some(), "whether there is another page differs");
        if let (Some(key), Some(cursor)) = (keys.into_iter().next_back(), cursor) {
            self.pages.insert(place, (key, cursor));
        }
        Ok(())
    }

    pub(crate) fn find(&mut self, tenant: u8, collection: u8, first: u8, reverse: bool) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let place = usize::from(collection) % COLLECTIONS.len();
        let collection = Self::indexed(&handle, COLLECTIONS[place])?;
        let records = self.newest(tenant, place);
        let first = [b"0123456789abcdef"[usize::from(first % 16)]];
        let found = collection.find(INDEX, first)?.map(|entry| Ok(entry?.key)).collect::<Result<Vec<_>>>()?;
        let expected = records.iter().filter(|(_, record)| record.value.starts_with(&first));
        assert!(found.iter().eq(expected.map(|(key, _)| key)), "what is found differs");
        let options = ScanOptions::new().range(first..).reverse(reverse);
        let found = collection.find_range(INDEX, options)?.map(|entry| Ok(entry?.key));
        let mut expected: Vec<_> =
            records.iter().filter(|(_, record)| record.value.first() >= Some(&first[0])).collect();
        expected.sort_by_key(|(key, record)| (record.value[0], *key));
        if reverse {
            expected.reverse();
        }
        let expected = expected.into_iter().map(|(key, _)| key.clone());
        assert_eq!(found.collect::<Result<Vec<_>>>()?, expected.collect::<Vec<_>>(), "what is found differs");
        Ok(())
    }

    pub(crate) fn find_page(&mut self, tenant: u8, collection: u8, limit: u8, reverse: bool) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let place = (tenant, usize::from(collection) % COLLECTIONS.len());
        let limit = usize::from(limit % 5) + 1;
        let behind = self.found_pages.remove(&place);
        let reverse = behind.as_ref().map_or(reverse, |(_, reverse, _)| *reverse);
        let options = ScanOptions::new().limit(limit).reverse(reverse);
        let options = match &behind {
            Some((_, _, cursor)) => options.after(cursor),
            None => options,
        };
        let mut scan = Self::indexed(&handle, COLLECTIONS[place.1])?.find_range(INDEX, options)?;
        let found = scan.by_ref().map(|entry| Ok(entry?.key)).collect::<Result<Vec<_>>>()?;
        let records = self.newest(tenant, place.1);
        let ordered = records.iter().filter_map(|(key, record)| Some((*record.value.first()?, key.clone())));
        let mut ordered: Vec<_> = ordered.collect();
        ordered.sort();
        if reverse {
            ordered.reverse();
        }
        if let Some((last, ..)) = &behind {
            ordered.retain(|at| if reverse { at < last } else { at > last });
        }
        let expected = &ordered[..limit.min(ordered.len())];
        assert!(expected.iter().map(|(_, key)| key).eq(&found), "a page of what is found differs");
        let cursor = scan.cursor()?;
        assert_eq!(cursor.is_some(), ordered.len() > limit, "whether there is another page differs");
        if let (Some(last), Some(cursor)) = (expected.last(), cursor) {
            self.found_pages.insert(place, (last.clone(), reverse, cursor));
        }
        Ok(())
    }

    /// Gives a tenant new section keys. Its cursors end with the old ones.
    pub(crate) fn renew_sections(&mut self, tenant: u8) -> Result<()> {
        let (tenant, _) = self.tenant(tenant)?;
        self.pages.retain(|(of, _), _| *of != tenant);
        self.found_pages.retain(|(of, _), _| *of != tenant);
        self.engine()?.renew_section_keys(TENANTS[tenant])
    }

    /// Makes a new data key, seals all records anew and destroys the older keys.
    pub(crate) fn rekey(&mut self, tenant: u8) -> Result<()> {
        let (_, handle) = self.tenant(tenant)?;
        let current = handle.rotate_data_key()?;
        let report = handle.rekey(RekeyOptions::new(), &mut |_, _| {})?;
        assert_eq!(report.unreadable, 0, "records could not be sealed anew");
        for older in (1..current).filter(|_| report.is_complete) {
            match handle.retire_data_key(older) {
                // It was destroyed before; or expired records that wait for the sweep are under it.
                Err(error) if [ErrorKind::NotFound, ErrorKind::Conflict].contains(&error.kind()) => {}
                result => result?,
            }
        }
        Ok(())
    }
}

/// The index has each record once, under its key, and nothing else.
pub(crate) fn check_index(collection: &Collection, records: &BTreeMap<Vec<u8>, Record>) -> Result<()> {
    let is_ready = match collection.indexes() {
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        indexes => indexes?.iter().any(|index| index.is_ready),
    };
    if !is_ready {
        assert!(records.is_empty(), "records were put and their index is not there");
        return Ok(());
    }
    let found = collection.find_range(INDEX, ScanOptions::new())?.map(|entry| Ok(entry?.key));
    let mut expected: Vec<_> = records.iter().filter(|(_, record)| !record.value.is_empty()).collect();
    expected.sort_by_key(|(key, record)| (record.value[0], *key));
    let expected = expected.into_iter().map(|(key, _)| key.clone());
    assert_eq!(found.collect::<Result<Vec<_>>>()?, expected.collect::<Vec<_>>(), "the index differs");
    Ok(())
}
