//! The seeded dice of a power loss: the same seed loses the same bytes.

/// `SplitMix64`: <https://prng.di.unimi.it/splitmix64.c>.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What became of one unsynced write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Lost,
    /// Each of its sectors was kept or lost by itself.
    Torn,
}

/// Decides what survives one power loss.
pub(super) struct Chance {
    random: SplitMix64,
    /// How many of eight operations survive. Drawn once for each power loss: with one fixed rate, hundreds
    /// of pending operations would never all but one be kept, nor all but one be lost.
    kept_of_eight: u64,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = SplitMix64(seed);
        let kept_of_eight = [1, 4, 7][(random.next() % 3) as usize];
        Self { random, kept_of_eight }
    }

    /// Whether one operation survives.
    pub(super) fn kept(&mut self) -> bool {
        self.random.next() % 8 < self.kept_of_eight
    }

    pub(super) fn coin(&mut self) -> bool {
        self.random.next().is_multiple_of(2)
    }

    pub(super) fn fate(&mut self) -> Fate {
        if self.kept() {
            Fate::Kept
        } else if self.coin() {
            Fate::Lost
        } else {
            Fate::Torn
        }
    }

    /// How many of `count` ordered operations survive: half of the time all of them.
    pub(super) fn prefix(&mut self, count: usize) -> usize {
        if self.coin() {
            return count;
        }
        let drawn = self.random.next() % (count as u64 + 1);
        usize::try_from(drawn).unwrap_or(count)
    }
}
