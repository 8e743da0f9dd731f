//! Reading one segment that recovery has judged, also while it is written to.
//!
//! Not here: judging a tail (`recovery.rs`): what is read here is known to be durable.

use super::*;

/// Where reading a segment stands: just after a batch that was delivered.
#[derive(Debug, Clone)]
pub struct SegmentCursor {
    segment: SegmentInfo,
    point: Point,
    offset: u64,
}

impl SegmentCursor {
    /// Before the first batch. The header is read with it.
    pub fn new(segment: SegmentInfo) -> SegmentCursor {
        let point = Point {
            next_seq: segment.first_batch_seq,
            next_position: segment.first_position,
            chain: segment.first_chain,
            time_ms: 0,
        };
        SegmentCursor { segment, point, offset: 0 }
    }

    /// The segment.
    pub fn segment(&self) -> &SegmentInfo {
        &self.segment
    }

    /// The number of the next batch.
    pub fn next_batch_seq(&self) -> u64 {
        self.point.next_seq
    }

    fn damaged(&self, offset: u64, what: &str) -> RecoverError {
        contradiction(&self.segment.name, offset, self.point.next_seq, self.point.next_position, what.to_owned())
    }

    /// Delivers batches up to and with `last_batch_seq`, which must be durable, verified. Ends early once that
    /// many bytes of payload were delivered. What lies behind is not looked at: a writer may be at work there.
    pub fn read(
        &mut self,
        storage: &dyn Storage,
        last_batch_seq: u64,
        payload_bytes: u64,
        sink: &mut dyn FnMut(BatchView<'_>) -> Result<(), SinkError>,
    ) -> Result<(), RecoverError> {
        if self.point.next_seq > last_batch_seq {
            return Ok(());
        }
        let name = self.segment.name.clone();
        let Some(place) = SegmentName::parse(&name) else {
            return Err(self.damaged(0, "its name is not that of a segment"));
        };
        let file = storage.open_read(&name).map_err(io_error(&name))?;
        let mut reader = SegmentReader::new(file, place).map_err(io_error(&name))?;
        let header = match reader.header().map_err(io_error(&name))? {
            HeaderFound::Valid { header, .. } => header,
            HeaderFound::Newer { offset, format } => {
                return Err(RecoverError::NewerFormat { file: name, offset, found: format, known: FORMAT_MAJOR });
            }
            HeaderFound::None => return Err(self.damaged(0, "its header was there at the last start")),
            HeaderFound::Impossible { offset, what } => return Err(self.damaged(offset, what)),
        };
        if (header.epoch, header.index) != (place.epoch, place.index)
            || header.first_batch_seq > self.segment.first_batch_seq
            || header.first_position > self.segment.first_position
        {
            return Err(self.damaged(0, "its header is not the one it had at the last start"));
        }
        if self.offset == 0 {
            self.offset = SEGMENT_HEADER_BYTES as u64;
        }
        let mut delivered = 0;
        while self.point.next_seq <= last_batch_seq && delivered < payload_bytes {
            let offset = self.offset;
            if offset >= reader.bytes() {
                return Err(self.damaged(offset, "the batch was there when the segment was sealed"));
            }
            let (found, next) = reader.frame(offset, Some(&header.identity.instance)).map_err(io_error(&name))?;
            if let Found::Whole { header, payload, chain, .. } = found
                && header.head.kind != BatchKind::Marker
                // A copy that counts in an older segment.
                && header.head.batch_seq >= self.segment.first_batch_seq
            {
                let head = &header.head;
                let point = &self.point;
                if head.batch_seq != point.next_seq
                    || head.prev_chain != point.chain
                    || head.first_position != point.next_position
                    || head.time_ms < point.time_ms
                {
                    return Err(self.damaged(offset, "another batch is in its place"));
                }
                BatchView::of(&header, payload, chain, &name).hand_to(sink)?;
                delivered += payload.len() as u64;
                self.point = Point {
                    next_seq: head.batch_seq + 1,
                    next_position: head.first_position + u64::from(head.count),
                    chain,
                    time_ms: head.time_ms,
                };
            }
            self.offset = next;
        }
        Ok(())
    }
}

/// Reads one sealed segment again and delivers the batches that count in it, verified.
pub fn read_segment(
    storage: &dyn Storage,
    segment: &SegmentInfo,
    sink: &mut dyn FnMut(BatchView<'_>) -> Result<(), SinkError>,
) -> Result<(), RecoverError> {
    SegmentCursor::new(segment.clone()).read(storage, segment.last_batch_seq, u64::MAX, sink)
}
