//! Policies: how long records are kept (FORMAT.md section 7.3, rows `p`).

use std::time::Duration;

use crate::error::{Result, fail};
use crate::id::CollectionId;

/// Marks the rows of policies in the directory.
pub(crate) const DIRECTORY_KIND: u8 = b'p';
/// Marks the rows of policies that are not applied yet to the records that are there.
pub(crate) const PENDING_KIND: u8 = b'w';
const ROW_VERSION: u8 = 1;
/// The fields of a row, numbered from 1: retention, maximum, removal window, minimum, erased within, overwrite, secret, erasure.
const FIELDS: usize = 8;
/// How long a removed record can be restored where no policy says so: 30 days.
const REMOVAL_WINDOW_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// How long records are kept: of a tenant, or of one of its collections, which overrides the tenant's field by field. What
/// is not set is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    retention_ms: Option<u64>,
    maximum_ms: Option<u64>,
    removal_window_ms: Option<u64>,
    minimum_ms: Option<u64>,
    erased_within_ms: Option<u64>,
    overwrite: Option<Overwrite>,
    is_secret: Option<bool>,
    erasure: Option<Erasure>,
}

/// What becomes of a record that another is put over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// It is erased.
    #[default]
    Erase,
    /// It is removed, and can be restored until its removal window is over, once the key is free.
    Keep,
}

/// Of what the key is destroyed when a record is erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Erasure {
    /// Of nothing: it shares its keys with others. Its bytes go out of the store's files, and copies that were made before
    /// have the record until their structure key is destroyed.
    #[default]
    Shared,
    /// Of a slot in the key store that the record alone has, besides the keys that it shares: its erasure reaches every copy of
    /// the data, for all who hold no older copy of the key store.
    Record,
}

/// When a put asks for its record to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// So many milliseconds after it is written.
    AfterMs(u64),
    /// At a time.
    AtMs(u64),
    /// At the time that the policy said when the put was begun, by which it goes.
    Policy(u64),
}

impl Policy {
    /// Records stay until they are erased.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a record is kept that is put without a time of its own; at least 1 ms.
    #[must_use]
    pub fn retention(mut self, time: Duration) -> Self {
        self.retention_ms = Some(milliseconds(time));
        self
    }

    /// The longest that any record is kept, whatever its put says; at least 1 ms.
    #[must_use]
    pub fn maximum(mut self, time: Duration) -> Self {
        self.maximum_ms = Some(milliseconds(time));
        self
    }

    /// How long a record that was removed can be restored, 30 days where nothing is set; at least 1 ms, and never beyond the
    /// time at which it expires.
    #[must_use]
    pub fn removal_window(mut self, time: Duration) -> Self {
        self.removal_window_ms = Some(milliseconds(time));
        self
    }

    /// The least that a record is kept after it was written: before, it can be neither erased, removed nor put over (`Held`), and
    /// a put that would let it expire before is refused. By the policy as it is then, whatever it was when the record was put. At
    /// least 1 ms.
    #[must_use]
    pub fn minimum(mut self, time: Duration) -> Self {
        self.minimum_ms = Some(milliseconds(time));
        self
    }

    /// What was promised: within how long a removed record is erased, its bytes swept, and the key of the period in which it
    /// would have expired destroyed. A policy is refused whose removal window does not leave the time for that between two
    /// sweeps ([`Config::sweep_interval`](crate::Config::sweep_interval)) and to the end of a period
    /// ([`Config::erasure_period`](crate::Config::erasure_period)), as they are when it is set. At least 1 ms.
    #[must_use]
    pub fn erased_within(mut self, time: Duration) -> Self {
        self.erased_within_ms = Some(milliseconds(time));
        self
    }

    /// What becomes of a record that another is put over; it is erased where nothing is set.
    #[must_use]
    pub fn overwrite(mut self, overwrite: Overwrite) -> Self {
        self.overwrite = Some(overwrite);
        self
    }

    /// Whether the records are secret: nothing exports them. `false` where nothing is set.
    #[must_use]
    pub fn secret(mut self, is_secret: bool) -> Self {
        self.is_secret = Some(is_secret);
        self
    }

    /// Whether each record that is put gets a key of its own, which is destroyed when the record is erased, put over, swept, or
    /// dropped with its collection: then no copy of the data has its value any more. Shared where nothing is set. Counts for
    /// records that are put from then on; a slot takes 256 bytes in the key store, which are never used again, and a
    /// destruction a few syncs, shared by all that wait. Where the key store fails, what takes the record away gives that error
    /// and is made: the key is destroyed later.
    #[must_use]
    pub fn erasure(mut self, erasure: Erasure) -> Self {
        self.erasure = Some(erasure);
        self
    }

    /// [`Policy::retention`], where it is set.
    #[must_use]
    pub fn retention_time(&self) -> Option<Duration> {
        self.retention_ms.map(Duration::from_millis)
    }

    /// [`Policy::maximum`], where it is set.
    #[must_use]
    pub fn maximum_time(&self) -> Option<Duration> {
        self.maximum_ms.map(Duration::from_millis)
    }

    /// [`Policy::removal_window`], where it is set.
    #[must_use]
    pub fn removal_window_time(&self) -> Option<Duration> {
        self.removal_window_ms.map(Duration::from_millis)
    }

    /// [`Policy::minimum`], where it is set.
    #[must_use]
    pub fn minimum_time(&self) -> Option<Duration> {
        self.minimum_ms.map(Duration::from_millis)
    }

    /// [`Policy::erased_within`], where it is set.
    #[must_use]
    pub fn erased_within_time(&self) -> Option<Duration> {
        self.erased_within_ms.map(Duration::from_millis)
    }

    /// [`Policy::overwrite`], where it is set.
    #[must_use]
    pub fn overwrite_mode(&self) -> Option<Overwrite> {
        self.overwrite
    }

    /// [`Policy::secret`], where it is set.
    #[must_use]
    pub fn is_secret(&self) -> Option<bool> {
        self.is_secret
    }

    /// [`Policy::erasure`], where it is set.
    #[must_use]
    pub fn erasure_mode(&self) -> Option<Erasure> {
        self.erasure
    }

    /// This policy of a collection over its tenant's.
    pub(crate) fn over(self, tenant: Self) -> Self {
        Self {
            retention_ms: self.retention_ms.or(tenant.retention_ms),
            maximum_ms: self.maximum_ms.or(tenant.maximum_ms),
            removal_window_ms: self.removal_window_ms.or(tenant.removal_window_ms),
            minimum_ms: self.minimum_ms.or(tenant.minimum_ms),
            erased_within_ms: self.erased_within_ms.or(tenant.erased_within_ms),
            overwrite: self.overwrite.or(tenant.overwrite),
            is_secret: self.is_secret.or(tenant.is_secret),
            erasure: self.erasure.or(tenant.erasure),
        }
    }

    /// When a record expires that is written at a time: the shorter of what its put asks for, or else the retention, and the
    /// maximum.
    pub(crate) fn expires_ms(self, written_ms: u64, asked: Option<Expiry>) -> Option<u64> {
        let after = |time_ms: u64| written_ms.saturating_add(time_ms);
        let asked = match asked {
            Some(Expiry::AtMs(time_ms)) => Some(time_ms),
            Some(Expiry::Policy(time_ms)) => {
                Some(self.retention_ms.map_or(time_ms, |now| after(now).min(time_ms)))
            }
            Some(Expiry::AfterMs(time_ms)) => Some(after(time_ms)),
            None => self.retention_ms.map(after),
        };
        asked.into_iter().chain(self.maximum_ms.map(after)).min()
    }

    /// When a record expires that was put before this policy: where its put gave it no time, as if it were put by this one,
    /// else never later than before. Not before it may be gone, in either case.
    pub(crate) fn expires_anew_ms(
        self,
        written_ms: u64,
        expires_ms: Option<u64>,
        follows: bool,
    ) -> Option<u64> {
        let asked = expires_ms.filter(|_| !follows).map(Expiry::AtMs);
        let expires_ms = self.expires_ms(written_ms, asked)?;
        Some(expires_ms.max(self.kept_until_ms(written_ms).unwrap_or(0)))
    }

    /// When a removed record is erased that was removed before this policy.
    pub(crate) fn purge_anew_ms(self, written_ms: u64, removed_ms: u64, expires_ms: Option<u64>) -> u64 {
        let purge_ms = self.purge_ms(removed_ms, expires_ms).max(self.kept_until_ms(written_ms).unwrap_or(0));
        purge_ms.min(expires_ms.unwrap_or(u64::MAX))
    }

    /// Whether what is there already stays as it is where this policy takes another one's place.
    pub(crate) fn keeps_as(self, other: Self) -> bool {
        self.fields()[..4] == other.fields()[..4]
    }

    /// Until when a record is kept that was written at a time, whatever anybody wants; `None` where there is no such time.
    pub(crate) fn kept_until_ms(self, written_ms: u64) -> Option<u64> {
        self.minimum_ms.map(|minimum_ms| written_ms.saturating_add(minimum_ms))
    }

    /// Refuses to let a record expire before it may be gone.
    pub(crate) fn check_expiry(self, written_ms: u64, expires_ms: Option<u64>) -> Result<()> {
        match (self.kept_until_ms(written_ms), expires_ms) {
            (Some(until_ms), Some(expires_ms)) if expires_ms < until_ms => Err(fail!(
                InvalidArgument,
                "the record would expire at {expires_ms} ms since the epoch, and the policy keeps it until {until_ms} ms"
            )),
            _ => Ok(()),
        }
    }

    /// Whether there is a least that records are kept.
    pub(crate) fn has_minimum(self) -> bool {
        self.minimum_ms.is_some()
    }

    /// Whether a record that another is put over is removed instead of erased.
    pub(crate) fn keeps_overwritten(self) -> bool {
        self.overwrite == Some(Overwrite::Keep)
    }

    /// When a record is erased that is removed at a time: once the window is over, and never after it expires.
    pub(crate) fn purge_ms(self, removed_ms: u64, expires_ms: Option<u64>) -> u64 {
        removed_ms.saturating_add(self.window_ms()).min(expires_ms.unwrap_or(u64::MAX))
    }

    fn window_ms(self) -> u64 {
        self.removal_window_ms.unwrap_or(REMOVAL_WINDOW_MS)
    }

    /// Refuses what can't be meant, or kept: what is due goes within `delay_ms`, and its key too.
    pub(crate) fn check(self, delay_ms: u64) -> Result<()> {
        if self.fields()[..5].contains(&Some(0)) {
            return Err(fail!(InvalidArgument, "a policy keeps records for no time: give at least 1 ms"));
        }
        let least_ms = self.minimum_ms.unwrap_or(0);
        if [self.retention_ms, self.maximum_ms].into_iter().flatten().any(|time_ms| time_ms < least_ms) {
            return Err(fail!(
                InvalidArgument,
                "a policy lets records expire before its minimum of {least_ms} ms: raise the retention and the maximum, or \
                 lower the minimum"
            ));
        }
        let needed_ms = self.window_ms().saturating_add(delay_ms);
        if let Some(promised_ms) = self.erased_within_ms.filter(|promised_ms| *promised_ms < needed_ms) {
            return Err(fail!(
                InvalidArgument,
                "what is removed would be erased within {needed_ms} ms (a window of {} ms, {delay_ms} ms until the next sweep and \
                 the end of a period), and {promised_ms} ms are promised: shorten the window, the sweep interval or the period",
                self.window_ms()
            ));
        }
        Ok(())
    }

    /// The fields in the order of their numbers in a row.
    fn fields(self) -> [Option<u64>; FIELDS] {
        [
            self.retention_ms,
            self.maximum_ms,
            self.removal_window_ms,
            self.minimum_ms,
            self.erased_within_ms,
            self.overwrite.map(|overwrite| u64::from(overwrite == Overwrite::Keep)),
            self.is_secret.map(u64::from),
            self.erasure.map(|erasure| u64::from(erasure == Erasure::Record)),
        ]
    }

    fn of_fields(fields: [Option<u64>; FIELDS]) -> Option<Self> {
        let [
            retention_ms,
            maximum_ms,
            removal_window_ms,
            minimum_ms,
            erased_within_ms,
            overwrite,
            secret,
            erasure,
        ] = fields;
        let flag = |value: Option<u64>| match value {
            None => Some(None),
            Some(value @ 0..=1) => Some(Some(value == 1)),
            Some(_) => None,
        };
        let overwrite = flag(overwrite)?.map(|keeps| if keeps { Overwrite::Keep } else { Overwrite::Erase });
        let is_secret = flag(secret)?;
        let erasure = flag(erasure)?.map(|own| if own { Erasure::Record } else { Erasure::Shared });
        Some(Self {
            retention_ms,
            maximum_ms,
            removal_window_ms,
            minimum_ms,
            erased_within_ms,
            overwrite,
            is_secret,
            erasure,
        })
    }

    /// The policy's row: `version || (field u8 || u64)...`, the fields that are set.
    pub(crate) fn encode_row(self) -> Vec<u8> {
        let mut row = vec![ROW_VERSION];
        for (field, value) in (1..).zip(self.fields()) {
            if let Some(value) = value {
                row.push(field);
                row.extend(value.to_le_bytes());
            }
        }
        row
    }

    pub(crate) fn parse_row(row: &[u8]) -> Result<Self> {
        let newer = || fail!(UnsupportedFormat, "the row of a policy is of a newer version or malformed");
        let Some((&ROW_VERSION, mut rest)) = row.split_first() else { return Err(newer()) };
        let mut fields = [None; FIELDS];
        let mut last = 0;
        while !rest.is_empty() {
            let ([field, value @ ..], after) = rest.split_first_chunk::<9>().ok_or_else(newer)?;
            let value = Some(u64::from_le_bytes(*value));
            if *field <= last {
                return Err(newer());
            }
            *fields.get_mut(usize::from(*field) - 1).ok_or_else(newer)? = value;
            (last, rest) = (*field, after);
        }
        Self::of_fields(fields).ok_or_else(newer)
    }
}

/// Parses anything, for fuzzing: what parses encodes to itself.
#[cfg(feature = "simulation")]
pub(crate) fn fuzz_policy(data: &[u8]) {
    if let Ok(policy) = Policy::parse_row(data) {
        assert_eq!(policy.encode_row(), data);
    }
}

/// A policy's key in the directory: of the tenant, or of a collection.
pub(crate) fn directory_key(collection: Option<CollectionId>) -> Vec<u8> {
    key_of(DIRECTORY_KIND, collection)
}

/// The key in the directory that says that a policy is not applied yet.
pub(crate) fn pending_key(collection: Option<CollectionId>) -> Vec<u8> {
    key_of(PENDING_KIND, collection)
}

fn key_of(kind: u8, collection: Option<CollectionId>) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend(collection.iter().flat_map(|collection| collection.to_be_bytes()));
    key
}

/// When the period ends in which a record expires: the least multiple of the length of a period after it. The end stands for
/// the period: whatever length another one had that ended then, all that is sealed under its key has expired by then.
pub(crate) fn period_end_ms(expires_ms: u64, period_ms: u64) -> u64 {
    let period_ms = period_ms.max(1);
    (expires_ms / period_ms).saturating_add(1).saturating_mul(period_ms)
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_of_what_is_asked_and_the_maximum_wins_and_a_collection_overrides_its_tenant() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let ms = |days: u64| days * 86_400_000;
        let tenant = Policy::new().retention(days(90)).maximum(days(100));
        assert_eq!(tenant.expires_ms(5, None), Some(5 + ms(90)));
        assert_eq!(tenant.expires_ms(5, Some(Expiry::AfterMs(ms(7)))), Some(5 + ms(7)));
        assert_eq!(tenant.expires_ms(5, Some(Expiry::AfterMs(ms(700)))), Some(5 + ms(100)));
        assert_eq!(tenant.expires_ms(5, Some(Expiry::AtMs(u64::MAX))), Some(5 + ms(100)));
        let collection = Policy::new().maximum(days(10)).over(tenant);
        assert_eq!(collection.expires_ms(5, None), Some(5 + ms(10)));
        assert_eq!(Policy::new().expires_ms(5, None), None);
        assert_eq!(Policy::new().retention(Duration::MAX).expires_ms(5, None), Some(u64::MAX));
    }

    #[test]
    fn a_policy_that_is_changed_goes_for_what_was_put_without_a_time_and_shortens_what_had_one() {
        let policy =
            |retention, maximum| Policy { retention_ms: retention, maximum_ms: maximum, ..Policy::new() };
        for (expires_ms, follows) in [(None, false), (Some(50), true)] {
            assert_eq!(policy(Some(30), None).expires_anew_ms(5, expires_ms, follows), Some(35));
            assert_eq!(policy(Some(90), Some(60)).expires_anew_ms(5, expires_ms, follows), Some(65));
            assert_eq!(policy(None, None).expires_anew_ms(5, expires_ms, follows), None);
        }
        assert_eq!(policy(Some(30), None).expires_anew_ms(5, Some(50), false), Some(50));
        assert_eq!(policy(Some(90), Some(40)).expires_anew_ms(5, Some(50), false), Some(45));
        let minimum = Policy { minimum_ms: Some(70), ..Policy::new() };
        assert_eq!(minimum.expires_anew_ms(5, Some(50), false), Some(75));
        assert_eq!(minimum.expires_anew_ms(5, None, false), None);
        let window = Policy { removal_window_ms: Some(10), ..minimum };
        assert_eq!(window.purge_anew_ms(5, 100, None), 110);
        assert_eq!((window.purge_anew_ms(5, 7, None), window.purge_anew_ms(5, 7, Some(75))), (75, 75));
        assert!(window.keeps_as(window.secret(true)) && !window.keeps_as(minimum));
    }

    #[test]
    fn a_removed_record_is_erased_when_its_window_is_over_or_it_expires() {
        let policy = Policy::new().removal_window(Duration::from_millis(100));
        assert_eq!(policy.purge_ms(5, None), 105);
        assert_eq!(policy.purge_ms(5, Some(50)), 50);
        assert_eq!(policy.purge_ms(u64::MAX, None), u64::MAX);
        assert_eq!(Policy::new().purge_ms(5, None), 5 + 30 * 86_400_000);
        assert_eq!(Policy::new().over(policy).purge_ms(5, None), 105);
        assert!(Policy::new().removal_window(Duration::ZERO).check(0).is_err());
    }

    #[test]
    fn a_period_ends_after_everything_that_expires_in_it() {
        for (expires_ms, end_ms) in
            [(0, 10), (9, 10), (10, 20), (u64::MAX, u64::MAX), (u64::MAX - 7, u64::MAX - 5)]
        {
            assert_eq!(period_end_ms(expires_ms, 10), end_ms, "{expires_ms}");
        }
    }

    #[test]
    fn a_policy_reads_back_and_what_is_newer_is_refused() {
        let policies = [
            Policy::new(),
            Policy::new().retention(Duration::from_millis(1)),
            Policy::new().maximum(Duration::from_secs(7)),
            Policy::new().maximum(Duration::from_secs(7)).retention(Duration::from_secs(3)),
            Policy::new().removal_window(Duration::from_secs(9)).retention(Duration::from_secs(3)),
            Policy::new().minimum(Duration::from_secs(9)).erased_within(Duration::from_secs(3)).secret(false),
            Policy::new().erasure(Erasure::Record).overwrite(Overwrite::Keep),
            Policy::new().overwrite(Overwrite::Keep).secret(true),
            Policy::new().overwrite(Overwrite::Erase),
        ];
        for policy in policies {
            let row = policy.encode_row();
            assert_eq!(Policy::parse_row(&row).ok(), Some(policy));
            assert!(Policy::parse_row(&[&row[..], &[9, 0, 0, 0, 0, 0, 0, 0, 0]].concat()).is_err());
            assert!(Policy::parse_row(&[&row[..], &[1]].concat()).is_err());
        }
        assert!(Policy::parse_row(&[2]).is_err() && Policy::parse_row(&[]).is_err());
        let twice = [&[ROW_VERSION][..], &[1; 9], &[1; 9]].concat();
        assert!(
            Policy::parse_row(&twice).is_err()
                && Policy::parse_row(&[&[ROW_VERSION][..], &[0; 9]].concat()).is_err()
        );
        assert!(Policy::parse_row(&[&[ROW_VERSION][..], &[7, 2, 0, 0, 0, 0, 0, 0, 0]].concat()).is_err());
        assert!(Policy::new().retention(Duration::ZERO).check(0).is_err());
    }

    #[test]
    fn a_policy_that_can_not_be_kept_is_refused() {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let two_days_ms = 2 * 86_400_000;
        assert!(Policy::new().erased_within(days(32)).check(two_days_ms).is_ok());
        assert!(Policy::new().erased_within(days(31)).check(two_days_ms).is_err());
        assert!(Policy::new().erased_within(days(9)).removal_window(days(7)).check(two_days_ms).is_ok());
        assert!(Policy::new().minimum(days(9)).retention(days(9)).check(0).is_ok());
        assert!(Policy::new().minimum(days(9)).retention(days(8)).check(0).is_err());
        assert!(Policy::new().minimum(days(9)).maximum(days(8)).check(0).is_err());
        assert_eq!(Policy::new().minimum(days(1)).kept_until_ms(5), Some(86_400_005));
    }
}
