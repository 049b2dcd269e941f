//! A small generator of numbers whose sequence never changes: equal seeds give equal bytes in every
//! version, which generators of libraries do not promise.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An independent sequence for `stream`.
    pub(crate) fn fork(&self, stream: u64) -> Self {
        let mut random = Self(self.0 ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        random
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as u64) as i64
    }

    /// True in `thousandths` of 1000 cases.
    pub(crate) fn chance(&mut self, thousandths: u64) -> bool {
        self.below(1000) < thousandths
    }

    /// An index of a list of `len`; small indices come up more often, as large customers do.
    pub(crate) fn favourite(&mut self, len: usize) -> usize {
        let a = self.below(len as u64);
        let b = self.below(len as u64);
        a.min(b) as usize
    }

    /// One of a list; of an empty one the default.
    pub(crate) fn pick<T: Copy + Default>(&mut self, list: &[T]) -> T {
        let index = self.below(list.len() as u64) as usize;
        list.get(index).copied().unwrap_or_default()
    }

    /// An amount around `middle`: mostly near it, now and then several times as much.
    pub(crate) fn amount(&mut self, middle: i64) -> i64 {
        let spread = self.between(20, 100) * self.between(20, 100) * self.between(30, 130);
        // The product's mean is 60 · 60 · 80.
        (i128::from(middle) * i128::from(spread) / 288_000).max(1) as i64
    }
}
