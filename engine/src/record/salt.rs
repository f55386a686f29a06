//! Salts for records: 24 random bytes each, never repeated.
//!
//! A call to the operating system for each would cost more than the sealing of a small record, so they come 32 at
//! a time and are dropped after a millisecond, and at once in a forked child: what is kept is too little and
//! too short-lived for the clone of a running virtual machine to repeat more than a moment's worth.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Moment;
use crate::crypto::Entropy;
use crate::error::Result;

pub(crate) const SALT_BYTES: usize = 24;
const SALTS: usize = 32;
const AGE_MAX: Duration = Duration::from_millis(1);

/// A tenant's supply of salts.
#[derive(Debug)]
pub(crate) struct SaltPool {
    entropy: Arc<dyn Entropy>,
    drawn: Mutex<Drawn>,
}

#[derive(Debug)]
struct Drawn {
    bytes: [u8; SALTS * SALT_BYTES],
    left: usize,
    since: Moment,
    process: u32,
}

impl SaltPool {
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Self {
        let drawn = Drawn { bytes: [0; SALTS * SALT_BYTES], left: 0, since: Moment::now(), process: 0 };
        Self { entropy, drawn: Mutex::new(drawn) }
    }

    /// The next salt.
    pub(crate) fn next(&self) -> Result<[u8; SALT_BYTES]> {
        let mut drawn = self.drawn.lock();
        let process = std::process::id();
        if drawn.left == 0 || drawn.process != process || drawn.since.age() > AGE_MAX {
            drawn.left = 0;
            self.entropy.fill(&mut drawn.bytes)?;
            drawn.left = SALTS;
            drawn.since = Moment::now();
            drawn.process = process;
        }
        drawn.left -= 1;
        let mut salt = [0; SALT_BYTES];
        let start = drawn.left * SALT_BYTES;
        salt.copy_from_slice(&drawn.bytes[start..start + SALT_BYTES]);
        // A salt handed out is forgotten here, so that no defect can hand it out twice.
        drawn.bytes[start..start + SALT_BYTES].fill(0);
        Ok(salt)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::crypto::OsEntropy;

    #[test]
    fn salts_never_repeat_over_many_refills() {
        let pool = SaltPool::new(Arc::new(OsEntropy));
        let salts: HashSet<_> = (0..10_000).filter_map(|_| pool.next().ok()).collect();
        assert_eq!(salts.len(), 10_000);
        assert!(!salts.contains(&[0; SALT_BYTES]));
    }

    #[test]
    fn another_process_draws_anew() {
        let pool = SaltPool::new(Arc::new(OsEntropy));
        assert!(pool.next().is_ok());
        let kept = pool.drawn.lock().bytes;
        pool.drawn.lock().process = std::process::id().wrapping_add(1);
        assert!(pool.next().is_ok());
        assert_ne!(pool.drawn.lock().bytes[..SALT_BYTES], kept[..SALT_BYTES]);
    }

    #[test]
    fn an_old_draw_is_dropped() {
        let pool = SaltPool::new(Arc::new(OsEntropy));
        assert!(pool.next().is_ok());
        let kept = pool.drawn.lock().bytes;
        let begun = Moment::now();
        while begun.age() <= AGE_MAX {
            std::hint::spin_loop();
        }
        assert!(pool.next().is_ok());
        assert_ne!(pool.drawn.lock().bytes[..SALT_BYTES], kept[..SALT_BYTES]);
    }
}
