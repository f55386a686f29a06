//! Random keys and the one value that all records of the race have.

/// Length of a key.
pub(super) const KEY_BYTES: usize = 28;
/// Length of a value.
pub(super) const VALUE_BYTES: usize = 1 << 10;

/// A thread's keys.
#[derive(Debug)]
pub(super) struct Keys {
    state: u64,
    /// From how many keys to choose; 0: as many as there are.
    choices: u64,
}

impl Keys {
    /// The keys of thread `thread` in a turn numbered `seed`.
    pub(super) fn new(seed: u64, thread: usize, choices: u64) -> Self {
        let state = mixed(seed ^ mixed(thread as u64 + 1));
        Self { state, choices }
    }

    /// The next random number.
    pub(super) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.state)
    }

    /// The next key.
    pub(super) fn key(&mut self) -> [u8; KEY_BYTES] {
        let number = self.number();
        let mut word = if self.choices == 0 { number } else { number % self.choices };
        let mut key = [0; KEY_BYTES];
        for part in key.chunks_mut(8) {
            word = mixed(word.wrapping_add(0x9e37_79b9_7f4a_7c15));
            part.copy_from_slice(&word.to_le_bytes()[..part.len()]);
        }
        key
    }
}

/// `SplitMix64`'s output function (Steele, Lea and Flood, 2014).
fn mixed(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The value.
pub(super) fn value() -> Vec<u8> {
    (0_u8..=250).cycle().take(VALUE_BYTES).collect()
}
