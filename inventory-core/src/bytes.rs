//! Reading and writing little-endian fields, for the codec and the image. Nothing here panics on any
//! bytes; lengths are checked before anything is allocated.
//!
//! Not here: what the fields mean.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

/// Bytes that are no encoding of ours: where, and what was wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset of the first byte of the field at fault.
    pub offset: usize,
    /// What was wrong.
    pub what: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.what)
    }
}

impl core::error::Error for DecodeError {}

/// A cursor over bytes.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// An error at the field that was just read or is about to be.
    pub(crate) const fn error(&self, what: &'static str) -> DecodeError {
        DecodeError { offset: self.at, what }
    }

    pub(crate) const fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count)).ok_or(self.error("ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    pub(crate) fn digest(&mut self) -> Result<[u8; 32], DecodeError> {
        self.array()
    }

    /// A text with its length as u16, at most `bytes_max`.
    pub(crate) fn text(&mut self, bytes_max: usize) -> Result<Box<str>, DecodeError> {
        let at = self.at;
        let count = usize::from(self.u16()?);
        if count > bytes_max {
            return Err(DecodeError { offset: at, what: "a text is too long" });
        }
        let text = core::str::from_utf8(self.take(count)?);
        text.map(Box::from).map_err(|_| DecodeError { offset: at, what: "a text is not UTF-8" })
    }

    /// `count` words, which must all be there before memory is taken for them.
    pub(crate) fn words(&mut self, count: usize) -> Result<Vec<u32>, DecodeError> {
        let bytes = self.take(count.saturating_mul(4))?;
        let (words, _) = bytes.as_chunks::<4>();
        Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// `count` long words, which must all be there before memory is taken for them.
    pub(crate) fn long_words(&mut self, count: usize) -> Result<Vec<u64>, DecodeError> {
        let bytes = self.take(count.saturating_mul(8))?;
        let (words, _) = bytes.as_chunks::<8>();
        Ok(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }
}

/// Appending fields.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&value.to_le_bytes());
    }

    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn put_u128(&mut self, value: u128) {
        self.put(&value.to_le_bytes());
    }

    /// A text with its length as u16. Its caller has checked that it is short.
    fn put_text(&mut self, text: &str) {
        let count = u16::try_from(text.len()).expect("texts of the state are under 64 KiB");
        self.put_u16(count);
        self.put(text.as_bytes());
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}
