//! Memory that is touched before the server serves, and never given back to the system.
//!
//! The first touch of a page waits for the system to find and clear it. With huge pages that is 0.1 ms for 2 MiB, in a
//! guest whose host keeps free memory to itself 5 ms, and it falls into the turn of a shard.
//!
//! Not here: how much memory the inventory may use (`memory_budget`).

use std::{
    fs, hint, io,
    time::{Duration, Instant},
};

/// Bytes of a block: small enough that mimalloc keeps its area when it is freed. Of blocks of 16 MiB nothing stayed,
/// whatever was set.
const BLOCK_BYTES: usize = 256 << 10;
/// Keeps this for the rest of the machine.
const LEFT_BYTES: u64 = 512 << 20;

/// Touches so many bytes. How long it took.
///
/// # Errors
/// When the machine has not so many to spare.
pub(crate) fn touch(bytes: u64) -> io::Result<Duration> {
    let begun = Instant::now();
    let available = available_bytes()?;
    if bytes.saturating_add(LEFT_BYTES) > available {
        let why =
            format!("memory_ready: {bytes} bytes, and {available} are available, of which {LEFT_BYTES} are left alone");
        return Err(io::Error::new(io::ErrorKind::OutOfMemory, why));
    }
    keep_freed_memory();
    let count = bytes.div_ceil(BLOCK_BYTES as u64);
    // All of them before the first is freed: otherwise it would be one block many times.
    let blocks: Vec<Box<[u8]>> = (0..count).map(|_| hint::black_box(vec![1; BLOCK_BYTES].into())).collect();
    drop(blocks);
    Ok(begun.elapsed())
}

/// What the system says is available without swapping.
fn available_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other("/proc/meminfo does not say what is available"))
}

/// From now on the allocator gives nothing back to the system.
fn keep_freed_memory() {
    /// `mi_option_purge_delay` of mimalloc 3: milliseconds; -1: never.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    #[expect(unsafe_code, reason = "a call into C that sets one number; no other thread allocates yet")]
    // SAFETY: the number is that of an option of this version of the library, and any value is good for it.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_does_not_have_is_refused() {
        let error = touch(u64::MAX / 2).expect_err("no machine has it").to_string();
        assert!(error.starts_with("memory_ready: "), "{error}");
        assert!(available_bytes().expect("Linux says so") > 0);
    }

    #[test]
    fn what_was_touched_stays() {
        let resident = || {
            let text = fs::read_to_string("/proc/self/statm").expect("Linux says so");
            text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4_096
        };
        touch(64 << 20).expect("64 MiB");
        #[expect(unsafe_code, reason = "a call into C: the allocator gives back now what it would give back later")]
        // SAFETY: it may be called at any time.
        unsafe {
            libmimalloc_sys::mi_collect(true);
        }
        let kept = resident();
        assert!(kept > 60 << 20, "{kept} bytes are resident");
    }
}
