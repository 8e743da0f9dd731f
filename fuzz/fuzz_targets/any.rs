//! All targets in one binary: `USHER_FUZZ_TARGET` names the one to run.
#![no_main]

use std::sync::OnceLock;

use fuzz_targets::{Target, find};
use libfuzzer_sys::fuzz_target;

fn target() -> &'static Target {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("USHER_FUZZ_TARGET").expect("USHER_FUZZ_TARGET names a target");
        find(&name).expect("USHER_FUZZ_TARGET names a target")
    })
}

fuzz_target!(|bytes: &[u8]| {
    let target = target();
    (target.run)(&bytes[..bytes.len().min(target.bytes_max)]);
});
