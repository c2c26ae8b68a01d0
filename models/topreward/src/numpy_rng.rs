//! The random numbers of `numpy.random.default_rng(seed)`, as far as shuffling and drawing need them: which
//! frames the baseline is shown, and in which order, then equal the reference's.
//!
//! PCG-64 (XSL-RR 128/64) seeded through NumPy's `SeedSequence`. NumPy has two ways to a bounded whole number
//! and uses one for shuffling, the other for choosing.

/// A generator equal to `numpy.random.default_rng`.
#[derive(Debug, Clone)]
pub struct NumpyRng {
    state: u128,
    increment: u128,
    /// The upper half of the last 64 bits, where only the lower was used.
    spare: Option<u32>,
}

const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

impl NumpyRng {
    /// `default_rng(seed)`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let [a, b, c, d] = seed_words(seed);
        let wide = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let mut rng = Self {
            state: 0,
            increment: wide(c, d) << 1 | 1,
            spare: None,
        };
        rng.step();
        rng.state = rng.state.wrapping_add(wide(a, b));
        rng.step();
        rng
    }

    fn step(&mut self) {
        self.state = self
            .state
            .wrapping_mul(MULTIPLIER)
            .wrapping_add(self.increment);
    }

    fn next_u64(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    fn next_u32(&mut self) -> u32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let both = self.next_u64();
        self.spare = Some((both >> 32) as u32);
        both as u32
    }

    /// A whole number from 0 to `highest`, each equally likely: bits under a mask until they fit.
    fn up_to_masked(&mut self, highest: u32) -> usize {
        let Some(mask) = u32::MAX.checked_shr(highest.leading_zeros()) else {
            return 0;
        };
        loop {
            let value = self.next_u32() & mask;
            if value <= highest {
                return value as usize;
            }
        }
    }

    /// The same by Lemire's method.
    fn up_to(&mut self, highest: u32) -> usize {
        if highest == 0 {
            return 0;
        }
        let Some(count) = highest.checked_add(1) else {
            return self.next_u32() as usize;
        };
        let mut product = u64::from(self.next_u32()) * u64::from(count);
        let unfair = (u32::MAX - highest) % count;
        while (product as u32) < unfair {
            product = u64::from(self.next_u32()) * u64::from(count);
        }
        (product >> 32) as usize
    }

    /// `Generator.shuffle`.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for index in (1..values.len()).rev() {
            let other = self.up_to_masked(index as u32);
            values.swap(index, other);
        }
    }

    /// The shuffle inside [`NumpyRng::choice`], of the places from `first` on.
    fn shuffle_from<T>(&mut self, first: usize, values: &mut [T]) {
        for index in (first..values.len()).rev() {
            let other = self.up_to(index as u32);
            values.swap(index, other);
        }
    }

    /// `Generator.choice(population, size, replace=False)`: `size` different numbers below `population`,
    /// fewer where there are not so many.
    pub fn choice(&mut self, population: usize, size: usize) -> Vec<usize> {
        let size = size.min(population);
        // From here on NumPy's own rule: shuffle the end of a large population if much of it is wanted.
        if population > 10_000 && size > population / 50 {
            let mut all: Vec<usize> = (0..population).collect();
            let rest = population - size;
            self.shuffle_from(rest.max(1), &mut all);
            return all.split_off(rest);
        }
        let mut seen = std::collections::HashSet::with_capacity(size);
        let mut chosen = Vec::with_capacity(size);
        for highest in population - size..population {
            let drawn = self.up_to(highest as u32);
            let taken = if seen.insert(drawn) { drawn } else { highest };
            seen.insert(taken);
            chosen.push(taken);
        }
        self.shuffle_from(1, &mut chosen);
        chosen
    }
}

/// NumPy's `SeedSequence(seed).generate_state(4, uint64)`.
fn seed_words(seed: u64) -> [u64; 4] {
    const MIX_LEFT: u32 = 0xca01_f9dd;
    const MIX_RIGHT: u32 = 0x4973_f715;
    let mut constant = 0x43b0_d7e5_u32;
    let mut hash = |word: u32| {
        let word = word ^ constant;
        constant = constant.wrapping_mul(0x931e_8875);
        let word = word.wrapping_mul(constant);
        word ^ word >> 16
    };
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(&mut hash);
    for source in 0..pool.len() {
        for target in 0..pool.len() {
            if source != target {
                let mixed = pool[target]
                    .wrapping_mul(MIX_LEFT)
                    .wrapping_sub(hash(pool[source]).wrapping_mul(MIX_RIGHT));
                pool[target] = mixed ^ mixed >> 16;
            }
        }
    }
    let mut constant = 0x8b51_f9dd_u32;
    let mut word = |value: u32| {
        let value = value ^ constant;
        constant = constant.wrapping_mul(0x58f3_8ded);
        let value = value.wrapping_mul(constant);
        u64::from(value ^ value >> 16)
    };
    let mut words = [0; 4];
    for (index, wide) in words.iter_mut().enumerate() {
        let low = pool[2 * index % 4];
        let high = pool[(2 * index + 1) % 4];
        *wide = word(low) | word(high) << 32;
    }
    words
}
