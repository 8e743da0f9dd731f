//! What the tests of this crate share.

#![allow(dead_code, reason = "each test binary takes its part")]

use std::{io::Write, path::PathBuf};

use venue::{Format, ImportOptions, Imported, SeatKey, import};

/// Import, with the document known to be JSON.
pub(crate) fn imported(format: Format, document: &str) -> Imported {
    import(format, document.as_bytes(), &ImportOptions::default()).expect("a document that can be looked at")
}

/// The same with `uuid` for the key of a pretix seat.
pub(crate) fn imported_by_uuid(document: &str) -> Imported {
    let options = ImportOptions { seat_key: SeatKey::Uuid, ..ImportOptions::default() };
    import(Format::Pretix, document.as_bytes(), &options).expect("a document that can be looked at")
}

/// One line a problem: `Error path: what`.
pub(crate) fn lines(imported: &Imported) -> Vec<String> {
    imported.problems.iter().map(|p| format!("{:?} {}: {}", p.severity, p.path, p.problem)).collect()
}

/// A third-party plan, read where it lies and never copied. None, said loudly, where it is not present.
pub(crate) fn third_party(name: &str) -> Option<String> {
    let folder = std::env::var_os("USHER_THIRD_PARTY_PLANS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/plans")), PathBuf::from);
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            // Not eprintln: the harness hides what passing tests print, and a skip must be seen.
            let told = format!("SKIPPED: {} ({error}); set USHER_THIRD_PARTY_PLANS to the folder\n", path.display());
            std::io::stderr().write_all(told.as_bytes()).expect("stderr takes a line");
            None
        }
    }
}

/// One of our own plans.
pub(crate) fn own_plan(name: &str) -> String {
    let path = format!("{}/../plans/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("our plans are in the repository")
}

/// SplitMix64: a seed means the same forever.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
