//! Reading frames out of one segment file, through a window, without believing anything.

use std::io;

use crate::format::{
    Chain, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FRAME_TRAILER_BYTES, FrameHeader, HeaderPage, PAGE_BYTES,
    SEGMENT_HEADER_BYTES, SegmentHeader, Unusable,
};
use crate::segment::SegmentName;
use crate::storage::ReadFile;

/// Read at a time; a batch that does not fit asks for more.
const WINDOW_BYTES: usize = 1 << 20;

/// What one page-aligned place holds.
pub(crate) enum Found<'a> {
    /// A batch or marker that checks in full.
    Whole {
        header: FrameHeader,
        payload: &'a [u8],
        chain: Chain,
        /// The first byte of the rest of its last page that is not zero.
        stray: Option<u64>,
    },
    /// A header that checks, in its place, and a body that does not.
    Torn { header: FrameHeader },
    /// A header that checks, in its place, and that no reader of this version can use.
    Unusable { header: FrameHeader, why: Unusable },
    /// Bytes that are no frame of this place.
    Garbage,
    /// Zeros.
    Zero,
}

/// Both header pages, judged together.
pub(crate) enum HeaderFound {
    Valid {
        header: SegmentHeader,
        /// Where the other page does not check.
        bad_page: Option<u64>,
    },
    /// Neither page checks.
    None,
    Newer {
        offset: u64,
        format: u16,
    },
    Impossible {
        offset: u64,
        what: &'static str,
    },
}

pub(crate) struct SegmentReader {
    file: Box<dyn ReadFile>,
    bytes: u64,
    place: SegmentName,
    window: Vec<u8>,
    window_from: u64,
}

impl SegmentReader {
    pub(crate) fn new(file: Box<dyn ReadFile>, place: SegmentName) -> io::Result<SegmentReader> {
        let bytes = file.len()?;
        Ok(SegmentReader { file, bytes, place, window: Vec::new(), window_from: 0 })
    }

    /// Length of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes from `offset`, fewer than asked for at the end of the file.
    fn at(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        if wanted == 0 {
            return Ok(&[]);
        }
        let inside = offset
            .checked_sub(self.window_from)
            .and_then(|from| usize::try_from(from).ok())
            .filter(|from| from.checked_add(wanted).is_some_and(|to| to <= self.window.len()));
        let from = match inside {
            Some(from) => from,
            None => {
                self.window.resize(wanted.max(WINDOW_BYTES.min(left)), 0);
                self.window_from = offset;
                if let Err(error) = self.file.read_exact_at(offset, &mut self.window) {
                    // The bad sector may lie behind what was asked for.
                    let wide = self.window.len() > wanted;
                    self.window.truncate(wanted);
                    let again = if wide { self.file.read_exact_at(offset, &mut self.window) } else { Err(error) };
                    if again.is_err() {
                        self.window.clear();
                        return again.map(|()| &[][..]);
                    }
                }
                0
            }
        };
        Ok(&self.window[from..from + wanted])
    }

    pub(crate) fn header(&mut self) -> io::Result<HeaderFound> {
        let mut valid: Option<SegmentHeader> = None;
        let mut bad_page = None;
        for offset in [0, PAGE_BYTES as u64] {
            let decoded = match <&[u8; PAGE_BYTES]>::try_from(self.at(offset, PAGE_BYTES)?) {
                Ok(page) => SegmentHeader::decode(page),
                Err(_) => HeaderPage::Invalid,
            };
            match decoded {
                HeaderPage::Valid(header) => match &valid {
                    Some(first) if *first != header => {
                        return Ok(HeaderFound::Impossible { offset, what: "its two header pages differ" });
                    }
                    _ => valid = Some(header),
                },
                HeaderPage::Invalid => bad_page = Some(offset),
                HeaderPage::Newer(format) => return Ok(HeaderFound::Newer { offset, format }),
                HeaderPage::Impossible(what) => {
                    return Ok(HeaderFound::Impossible { offset, what });
                }
            }
        }
        Ok(match valid {
            Some(header) => HeaderFound::Valid { header, bad_page },
            None => HeaderFound::None,
        })
    }

    /// What is at `offset`, and where to look next. `instance` is compared where it is known.
    pub(crate) fn frame(&mut self, offset: u64, instance: Option<&[u8; 16]>) -> io::Result<(Found<'_>, u64)> {
        let place = self.place;
        let next_page = offset + PAGE_BYTES as u64;
        let page = self.at(offset, PAGE_BYTES)?;
        let Some(header) = FrameHeader::decode(page) else {
            let zero = page.iter().all(|&byte| byte == 0);
            return Ok((if zero { Found::Zero } else { Found::Garbage }, next_page));
        };
        let head = &header.head;
        if head.partition != place.partition
            || head.epoch != place.epoch
            || head.index != place.index
            || head.offset != offset
            || instance.is_some_and(|instance| head.instance != *instance)
        {
            return Ok((Found::Garbage, next_page));
        }
        if let Err(why) = header.judge() {
            return Ok((Found::Unusable { header, why }, next_page));
        }
        let frame_bytes = header.frame_bytes();
        debug_assert!(frame_bytes <= FRAME_BYTES_MAX, "judged above");
        let frame = self.at(offset, frame_bytes)?;
        Ok(match header.verify(frame) {
            Some((payload, chain)) => {
                let used = FRAME_HEADER_BYTES + payload.len() + FRAME_TRAILER_BYTES;
                let stray = frame[used..].iter().position(|&byte| byte != 0).map(|at| offset + (used + at) as u64);
                (Found::Whole { header, payload, chain, stray }, offset + frame_bytes as u64)
            }
            // The pages after the first may hold anything, also a whole batch.
            None => (Found::Torn { header }, next_page),
        })
    }

    /// The first and the end of the last byte from `offset` on that are not zero.
    pub(crate) fn not_zero(&mut self, from: u64) -> io::Result<Option<(u64, u64)>> {
        let mut found: Option<(u64, u64)> = None;
        let mut offset = from;
        while offset < self.bytes {
            let page = self.at(offset, PAGE_BYTES)?;
            let read = page.len() as u64;
            if let Some(first) = page.iter().position(|&byte| byte != 0) {
                let last = page.iter().rposition(|&byte| byte != 0).unwrap_or(first);
                let first = found.map_or(offset + first as u64, |(first, _)| first);
                found = Some((first, offset + last as u64 + 1));
            }
            offset += read;
        }
        Ok(found)
    }

    /// Whether a whole batch or a part of one lies in the file.
    pub(crate) fn any_frame(&mut self) -> io::Result<Option<FrameHeader>> {
        let mut offset = SEGMENT_HEADER_BYTES as u64;
        while offset < self.bytes {
            match self.frame(offset, None)? {
                (Found::Whole { header, .. }, _) => return Ok(Some(header)),
                (_, next) => offset = next,
            }
        }
        Ok(None)
    }
}
