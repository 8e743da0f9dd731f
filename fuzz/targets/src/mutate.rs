//! Mutations of an input, from a seed alone.

/// Sebastiano Vigna's splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        // Lengths are far below 2^64.
        (self.next() % end as u64) as usize
    }
}

/// Values at which lengths and counts go wrong.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x20, b'"', 0xc0];

/// `input` with a few changes, at most `bytes_max` long. `other` is a second input to take pieces of.
#[must_use]
pub fn mutated(input: &[u8], other: &[u8], seed: u64, bytes_max: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let len = 1 + random.below(16);
        let end = (at + len).min(bytes.len());
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = EDGES[random.below(EDGES.len())],
            2 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(random.below(5) as u8).wrapping_sub(2),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            5 if !other.is_empty() => {
                let from = random.below(other.len());
                let piece = other[from..(from + len).min(other.len())].to_vec();
                bytes.splice(at..end, piece);
            }
            6 => bytes.truncate(at),
            _ => bytes.splice(at..at, (0..len).map(|_| random.next() as u8)).for_each(drop),
        }
    }
    bytes.truncate(bytes_max);
    bytes
}
