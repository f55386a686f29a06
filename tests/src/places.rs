//! Where tenants and parts of values are: moves between regions, and ranges.

use strongroom::{ErrorKind, MoveOptions, Result};

use crate::{COLLECTIONS, DEDICATED, TENANTS, World, key_of};

/// The region besides the default one.
pub(crate) const OTHER: &str = "other";
const DEFAULT: &str = "default";

impl World {
    fn region_of(&self, tenant: usize) -> Option<String> {
        let info = self.engine.as_ref()?.tenant_info(TENANTS[tenant]);
        info.ok().map(|info| info.region)
    }

    /// The tenants whose changes one sync makes durable.
    pub(crate) fn with_the_lane_of(&self, tenant: usize) -> Vec<usize> {
        if tenant == DEDICATED {
            return vec![DEDICATED];
        }
        let region = self.region_of(tenant);
        let shares = |other: usize| other != DEDICATED && region.is_some() && self.region_of(other) == region;
        (0..TENANTS.len()).filter(|other| *other == tenant || shares(*other)).collect()
    }

    pub(crate) fn move_tenant(&mut self, tenant: u8) -> Result<()> {
        let (tenant, _) = self.tenant(tenant)?;
        let engine = self.engine()?;
        let to = if engine.tenant_info(TENANTS[tenant])?.region == DEFAULT { OTHER } else { DEFAULT };
        let options = MoveOptions::new().override_residency();
        let refused = engine.move_tenant(TENANTS[tenant], to, MoveOptions::new(), &mut |_| {});
        assert!(
            refused.is_err_and(|error| error.kind() != ErrorKind::Internal),
            "a tenant left its region without an override"
        );
        engine.move_tenant(TENANTS[tenant], to, options, &mut |_| {})?;
        assert!(self.region_of(tenant).is_none_or(|region| region == to), "it is not where it was moved to");
        // All of it is in its file then.
        self.tenants[tenant].settle();
        Ok(())
    }

    pub(crate) fn get_range(
        &mut self,
        tenant: u8,
        collection: u8,
        key: u8,
        (from, length): (u16, u16),
    ) -> Result<()> {
        let (tenant, handle) = self.tenant(tenant)?;
        let collection = usize::from(collection) % COLLECTIONS.len();
        let (from, length) = (u64::from(from) * 16, u64::from(length));
        let got = handle.collection(COLLECTIONS[collection])?.get_range(key_of(key), from..from + length)?;
        let expected = self.newest(tenant, collection).remove(&key_of(key)).map(|record| record.value);
        let part = |value: &Vec<u8>| {
            let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(value.len());
            value[at(from)..at(from + length)].to_vec()
        };
        assert_eq!(got.map(|part| part.to_vec()), expected.as_ref().map(part), "a part of a value differs");
        Ok(())
    }
}
