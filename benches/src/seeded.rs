//! Numbers and orders that look random and are the same in every run.

/// Sebastiano Vigna's splitmix64, as a function: numbers in a row give numbers without a pattern.
#[must_use]
pub fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `0..count` in an order that no prefetcher follows (Fisher and Yates).
#[must_use]
pub fn shuffled(count: u32, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count).collect();
    for at in (1..order.len()).rev() {
        // Not exactly uniform, by less than one part in 2^32.
        let other = scattered(seed ^ (at as u64) << 20) % (at as u64 + 1);
        order.swap(at, other as usize);
    }
    order
}
