//! The records: their number, sizes and order.

/// Prime, and so coprime to the numbers of records: multiples of it visit each record once.
const STRIDE: usize = 7_919;

/// Records of one size.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many there are; no multiple of 7,919.
    pub records: usize,
    /// The length of each value in bytes.
    pub value_bytes: usize,
}

impl Load {
    /// All keys, 28 bytes each, in ascending order.
    #[must_use]
    pub fn keys(self) -> Vec<Vec<u8>> {
        (0..self.records).map(|index| format!("customer/{index:08}/invoice/x").into_bytes()).collect()
    }

    /// Keys that no record has, 28 bytes each, between those that have one.
    #[must_use]
    pub fn missing_keys(self) -> Vec<Vec<u8>> {
        (0..self.records).map(|index| format!("customer/{index:08}/invoice/y").into_bytes()).collect()
    }

    /// A value.
    #[must_use]
    pub fn value(self) -> Vec<u8> {
        (0_u8..=250).cycle().take(self.value_bytes).collect()
    }

    /// The record of the n-th access: scattered over the keys, each one once before any comes again.
    #[must_use]
    pub fn scattered(self, n: usize) -> usize {
        n.wrapping_mul(STRIDE) % self.records
    }
}
