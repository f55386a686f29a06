//! Policies: how long records are kept (FORMAT.md section 7.3, rows `p`).

use std::time::Duration;

use crate::error::{Result, fail};
use crate::id::CollectionId;
use crate::limits::LIVE_PERIODS_MAX;

/// Marks the rows of policies in the directory.
pub(crate) const DIRECTORY_KIND: u8 = b'p';
/// Marks the rows of policies that are not applied yet to the records that are there.
pub(crate) const PENDING_KIND: u8 = b'w';
const ROW_VERSION: u8 = 1;
/// The fields of a row, numbered from 1: retention, maximum, removal window, minimum, erased within, overwrite, secret, erasure,
/// zero retention.
const FIELDS: usize = 9;
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
    is_zero: Option<bool>,
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

    /// Whether nothing is retained: whatever is put is refused, before anything of it comes to a file or a journal, and lives in a
    /// [`Session`](crate::Session) or nowhere. What is there when this is set has expired, and goes with the next sweep unless a
    /// hold covers it. `false` where nothing is set.
    #[must_use]
    pub fn zero_retention(mut self, is_zero: bool) -> Self {
        self.is_zero = Some(is_zero);
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

    /// [`Policy::zero_retention`], where it is set.
    #[must_use]
    pub fn is_zero_retention(&self) -> Option<bool> {
        self.is_zero
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
            is_zero: self.is_zero.or(tenant.is_zero),
        }
    }

    /// When a record expires that is written at a time: the shorter of what its put asks for, or else the retention, and the
    /// maximum.
    pub(crate) fn expires_ms(self, written_ms: u64, asked: Option<Expiry>) -> Option<u64> {
        if self.retains_nothing() {
            return Some(written_ms);
        }
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
        self.fields()[..4] == other.fields()[..4] && self.is_zero == other.is_zero
    }

    fn retains_nothing(self) -> bool {
        self.is_zero == Some(true)
    }

    /// Refuses to store anything where nothing is to be retained.
    pub(crate) fn check_stores(self) -> Result<()> {
        if self.retains_nothing() {
            return Err(fail!(
                InvalidArgument,
                "the policy says zero retention, and nothing is stored: put it into a session"
            ));
        }
        Ok(())
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

    /// Refuses what can't be meant, or kept: what is due goes within `delay_ms`, and its key too, one for all that expires
    /// within `period_ms`.
    pub(crate) fn check(self, delay_ms: u64, period_ms: u64) -> Result<()> {
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
        if self.retains_nothing() && least_ms > 0 {
            return Err(fail!(
                InvalidArgument,
                "a policy says zero retention, and keeps records for at least {least_ms} ms: say one of the two"
            ));
        }
        if let Some(longest_ms) = self.maximum_ms.or(self.retention_ms) {
            // One that has begun, and one that is over and whose key goes with the next sweep.
            let periods = (longest_ms / period_ms.max(1)).saturating_add(2);
            if periods > LIVE_PERIODS_MAX as u64 {
                return Err(fail!(
                    LimitExceeded,
                    "records that expire within {longest_ms} ms need the keys of {periods} periods of {period_ms} ms at a time, and a \
                     tenant has at most {LIVE_PERIODS_MAX}: keep them shorter, or open the store with a longer erasure period"
                ));
            }
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
            self.is_zero.map(u64::from),
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
            is_zero,
        ] = fields;
        let flag = |value: Option<u64>| match value {
            None => Some(None),
            Some(value @ 0..=1) => Some(Some(value == 1)),
            Some(_) => None,
        };
        let overwrite = flag(overwrite)?.map(|keeps| if keeps { Overwrite::Keep } else { Overwrite::Erase });
        let is_secret = flag(secret)?;
        let is_zero = flag(is_zero)?;
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
            is_zero,
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
mod tests;
