//! Tests of policies.

use super::*;
use crate::error::ErrorKind;

const DAY_MS: u64 = 86_400_000;

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
    assert!(Policy::new().removal_window(Duration::ZERO).check(0, DAY_MS).is_err());
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
        Policy::new().zero_retention(true),
        Policy::new().secret(true).zero_retention(false),
    ];
    for policy in policies {
        let row = policy.encode_row();
        assert_eq!(Policy::parse_row(&row).ok(), Some(policy));
        assert!(Policy::parse_row(&[&row[..], &[10, 0, 0, 0, 0, 0, 0, 0, 0]].concat()).is_err());
        assert!(Policy::parse_row(&[&row[..], &[1]].concat()).is_err());
    }
    assert!(Policy::parse_row(&[2]).is_err() && Policy::parse_row(&[]).is_err());
    let twice = [&[ROW_VERSION][..], &[1; 9], &[1; 9]].concat();
    assert!(
        Policy::parse_row(&twice).is_err()
            && Policy::parse_row(&[&[ROW_VERSION][..], &[0; 9]].concat()).is_err()
    );
    assert!(Policy::parse_row(&[&[ROW_VERSION][..], &[7, 2, 0, 0, 0, 0, 0, 0, 0]].concat()).is_err());
    assert!(Policy::new().retention(Duration::ZERO).check(0, DAY_MS).is_err());
}

#[test]
fn a_policy_that_can_not_be_kept_is_refused() {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let two_days_ms = 2 * DAY_MS;
    assert!(Policy::new().erased_within(days(32)).check(two_days_ms, DAY_MS).is_ok());
    assert!(Policy::new().erased_within(days(31)).check(two_days_ms, DAY_MS).is_err());
    assert!(Policy::new().erased_within(days(9)).removal_window(days(7)).check(two_days_ms, DAY_MS).is_ok());
    assert!(Policy::new().minimum(days(9)).retention(days(9)).check(0, DAY_MS).is_ok());
    assert!(Policy::new().minimum(days(9)).retention(days(8)).check(0, DAY_MS).is_err());
    assert!(Policy::new().minimum(days(9)).maximum(days(8)).check(0, DAY_MS).is_err());
    assert_eq!(Policy::new().minimum(days(1)).kept_until_ms(5), Some(86_400_005));
}

#[test]
fn a_policy_that_needs_the_keys_of_too_many_periods_is_refused() {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let kind = |policy: Policy| policy.check(0, DAY_MS).err().map(|error| error.kind());
    let most = LIVE_PERIODS_MAX as u64 - 2;
    assert_eq!(kind(Policy::new().retention(days(most))), None);
    assert_eq!(kind(Policy::new().retention(days(most + 1))), Some(ErrorKind::LimitExceeded));
    assert_eq!(kind(Policy::new().maximum(days(most + 1))), Some(ErrorKind::LimitExceeded));
    // Nothing expires after the maximum, whatever the retention says.
    assert_eq!(kind(Policy::new().retention(days(most + 1)).maximum(days(most))), None);
    assert_eq!(kind(Policy::new().retention(Duration::MAX)), Some(ErrorKind::LimitExceeded));
    assert!(Policy::new().retention(Duration::from_hours(1)).check(0, 1_000).is_ok());
    assert!(Policy::new().retention(days(1)).check(0, 1_000).is_err());
}

#[test]
fn with_zero_retention_nothing_is_stored_and_what_was_has_expired() {
    let zero = Policy::new().zero_retention(true);
    assert!(zero.check_stores().is_err() && Policy::new().check_stores().is_ok());
    assert_eq!(zero.expires_anew_ms(5, None, false), Some(5));
    assert_eq!(zero.expires_anew_ms(5, Some(50), false), Some(5));
    assert!(!zero.keeps_as(Policy::new()));
    let stored = Policy::new().zero_retention(false).over(zero);
    assert!(stored.check_stores().is_ok());
    assert!(Policy::new().over(zero).check_stores().is_err());
    assert!(zero.check(0, DAY_MS).is_ok());
    assert!(zero.minimum(Duration::from_secs(1)).check(0, DAY_MS).is_err());
}
