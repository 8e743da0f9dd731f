//! Asking the processor for memory ahead of its use.
//!
//! The one thing that the state machine cannot say in safe code: the intrinsic takes a raw pointer. It reads nothing the
//! program can see, and an address that is not mapped is passed over, so any pointer will do.
//!
//! On processors without such an instruction in stable Rust (all but x86-64) it is nothing.

#![no_std]

/// Asks for the line of the cache that `address` lies in. Nothing that the program can see happens.
#[inline(always)]
pub fn line_at<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[expect(
        unsafe_code,
        reason = "the intrinsic is unsafe for its raw pointer alone; it never faults and never reads"
    )]
    // SAFETY: a hint. SSE is part of every x86-64.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// Asks for the line that a value begins in.
#[inline(always)]
pub fn line_of<T>(value: &T) {
    line_at(value);
}

/// Asks for all lines of a value.
#[inline(always)]
pub fn lines_of<T>(value: &T) {
    const LINE_BYTES: usize = 64;
    let first: *const u8 = core::ptr::from_ref(value).cast();
    for at in (0..size_of::<T>()).step_by(LINE_BYTES) {
        line_at(first.wrapping_add(at));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_address_will_do() {
        super::line_at(core::ptr::null::<u64>());
        super::line_at(core::ptr::without_provenance::<u64>(usize::MAX));
        super::lines_of(&[7_u64; 40]);
    }
}
