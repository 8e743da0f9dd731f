//! The walk over all batches, oldest first: which of them count, and what every one says of those before it.
//!
//! Not here: where it begins (`survey.rs`), what is made of the end (`recovery.rs`).

use super::{survey::follows, *};

/// The walk over all batches, oldest first.
pub(super) struct Walk<'w, 's> {
    pub(super) from: RecoverFrom,
    pub(super) witness: &'w mut Witness,
    pub(super) point: Point,
    pub(super) recent: VecDeque<Taken>,
    /// Where the next batch should be: the end of the last one taken.
    pub(super) expected: (String, u64),
    /// The last batch taken is the SEAL of a clean stop.
    pub(super) stopped: bool,
    pub(super) infos: Vec<SegmentInfo>,
    /// The first position of the first whole batch beyond a missing one.
    pub(super) ahead: Option<u64>,
    /// The first byte behind a whole batch that should be zero and is not.
    pub(super) stray: Option<(String, u64)>,
    /// See [`Survey::watermark_chains`].
    pub(super) watermark_chains: &'w [(u64, Chain)],
    pub(super) sink: Sink<'s>,
}

impl Walk<'_, '_> {
    fn contradiction(&self, name: &str, header: &FrameHeader, what: String) -> RecoverError {
        let head = &header.head;
        contradiction(name, head.offset, head.batch_seq, head.first_position, what)
    }

    /// When the walk stands where the checkpoint ends, both must agree.
    pub(super) fn compare_with_checkpoint(&self, name: &str, offset: u64) -> Result<(), RecoverError> {
        let point = &self.point;
        if point.next_seq != self.from.after_batch_seq.saturating_add(1) {
            return Ok(());
        }
        let Some(chain) = self.from.chain else { return Ok(()) };
        if chain == point.chain && self.from.next_position == point.next_position {
            return Ok(());
        }
        Err(contradiction(
            name,
            offset,
            self.from.after_batch_seq,
            point.next_position,
            "the checkpoint that covers it was made from another history".to_owned(),
        ))
    }

    /// The header of a segment must fit what was read before it. A segment missing between two is no
    /// gap when they fit each other: a crash during its creation may have taken it back.
    fn enter(&mut self, before: Option<&Headed>, segment: &Headed) -> Result<(), RecoverError> {
        let header = &segment.header;
        let first = header.first_batch_seq;
        if first > self.point.next_seq {
            if let Some(before) = before
                && !follows(before, segment)
            {
                return Err(RecoverError::Gap {
                    after: before.name.clone(),
                    before: segment.name.clone(),
                    batch_seq: self.point.next_seq,
                    next_batch_seq: first,
                    first_position: self.point.next_position,
                });
            }
            // Nothing later can fill this hole: copies begin at `first`.
            return Err(RecoverError::Damaged(Box::new(Damage {
                file: self.expected.0.clone(),
                offset: self.expected.1,
                batch_seq: self.point.next_seq,
                first_position: self.point.next_position,
                last_position: self
                    .ahead
                    .unwrap_or(header.first_position)
                    .checked_sub(1)
                    .filter(|&last| last >= self.point.next_position),
                how_proven: Proof::SegmentHeader { file: segment.name.clone(), durable_seq: header.prev_durable_seq },
            })));
        }
        let known = if first == self.point.next_seq {
            Some(self.point)
        } else {
            self.recent.iter().map(|taken| taken.after).find(|after| after.next_seq == first)
        };
        match known {
            Some(known) if known.chain != header.first_chain || known.next_position != header.first_position => {
                Err(contradiction(
                    &segment.name,
                    0,
                    first,
                    header.first_position,
                    "its header begins in another history than the segments before it".to_owned(),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Reads one segment. For the last one also says how it ends.
    pub(super) fn segment(
        &mut self,
        storage: &dyn Storage,
        segments: &[Headed],
        number: usize,
        last: bool,
    ) -> Result<Option<TailReport>, RecoverError> {
        let segment = &segments[number];
        let name = &segment.name;
        let header = &segment.header;
        let before = if self.infos.is_empty() { None } else { segments.get(number - 1) };
        self.enter(before, segment)?;
        if header.first_batch_seq == self.point.next_seq {
            self.expected = (name.clone(), SEGMENT_HEADER_BYTES as u64);
        }
        self.stopped = false;
        let file = storage.open_read_uncached(name).map_err(io_error(name))?;
        let mut reader = SegmentReader::new(file, segment.place).map_err(io_error(name))?;
        let bytes = reader.bytes();
        let mut info = SegmentInfo {
            name: name.clone(),
            epoch: header.epoch,
            index: header.index,
            first_batch_seq: header.first_batch_seq,
            last_batch_seq: header.first_batch_seq - 1,
            first_position: header.first_position,
            first_chain: header.first_chain,
            valid_len: SEGMENT_HEADER_BYTES as u64,
            bytes,
        };
        // The end of the last frame that counts, markers included.
        let mut end = SEGMENT_HEADER_BYTES as u64;
        let mut highest_seen = 0;
        let mut beyond = 0;
        let mut offset = SEGMENT_HEADER_BYTES as u64;
        while offset < bytes {
            let (found, next) = reader.frame(offset, Some(&header.identity.instance)).map_err(io_error(name))?;
            match found {
                Found::Zero | Found::Garbage => {}
                Found::Unusable { why: Unusable::Newer(found), .. } => {
                    return Err(RecoverError::NewerFormat { file: name.clone(), offset, found, known: FRAME_VERSION });
                }
                Found::Unusable { header, why: Unusable::Impossible(what) } => {
                    return Err(self.contradiction(name, &header, format!("{what}, though it checks")));
                }
                // What it says of earlier batches was true when it was written.
                Found::Torn { header } => self.hear(name, &header),
                Found::Whole { header: frame, payload, chain, stray } => {
                    if let Some(stray) = stray {
                        self.stray.get_or_insert((name.clone(), stray));
                    }
                    self.hear(name, &frame);
                    let head = frame.head;
                    if head.kind == BatchKind::Marker {
                        // One beyond a hole says that the hole was durable: nothing more to do here.
                        if head.batch_seq < self.point.next_seq {
                            end = next;
                            if (self.expected.0.as_str(), self.expected.1) == (name, offset) {
                                self.expected.1 = next;
                            }
                        }
                    } else {
                        self.judge_place(segment, &frame, highest_seen)?;
                        highest_seen = head.batch_seq;
                        if head.batch_seq > segment.kept_seq {
                            // Another history began below it.
                            sometimes!("recovery: a batch of an older epoch is dead");
                        } else if head.batch_seq > self.point.next_seq {
                            beyond += 1;
                            self.ahead.get_or_insert(head.first_position);
                        } else {
                            if head.batch_seq == self.point.next_seq {
                                self.take(name, number, &frame, payload, chain, next)?;
                            } else {
                                self.compare_copy(name, &frame, chain)?;
                            }
                            if head.batch_seq != info.last_batch_seq + 1 {
                                // What is missing before it is in an older segment: only there it counts.
                                sometimes!("recovery: a copy is gone and its batch is there");
                                info.first_batch_seq = head.batch_seq;
                                info.first_position = head.first_position;
                                info.first_chain = head.prev_chain;
                            }
                            info.last_batch_seq = head.batch_seq;
                            info.valid_len = next;
                            end = next;
                        }
                    }
                }
            }
            offset = next;
        }
        self.infos.push(info);
        if !last {
            return Ok(None);
        }
        let Some((first, behind)) = reader.not_zero(end).map_err(io_error(name))? else {
            return Ok(Some(TailReport::Clean));
        };
        // Each batch in flight may be as large as any, with a marker before it. Copies are in flight
        // together, also where the epoch before allowed more than this one.
        let copies = header.prev_kept_seq - header.prev_durable_seq;
        let in_flight = u64::from(header.in_flight).max(copies);
        let window = in_flight * (FRAME_BYTES_MAX + PAGE_BYTES) as u64 + PAGE_BYTES as u64;
        if behind > end + window && self.witness.durable_seq < self.point.next_seq {
            return Err(contradiction(
                name,
                end,
                self.point.next_seq,
                self.point.next_position,
                format!("byte {} of the file is not zero, farther on than the batches in flight reach", behind - 1),
            ));
        }
        sometimes!("recovery: a torn tail is disregarded");
        sometimes!("recovery: whole batches behind a hole are disregarded", beyond > 0);
        Ok(Some(TailReport::Torn { file: name.clone(), offset: first, bytes: behind - first, batches: beyond }))
    }

    fn hear(&mut self, name: &str, header: &FrameHeader) {
        let head = header.head;
        self.witness.hear(head.durable_seq, || {
            let (file, offset, durable_seq) = (name.to_owned(), head.offset, head.durable_seq);
            if head.kind == BatchKind::Marker {
                Proof::Marker { file, offset, durable_seq }
            } else {
                Proof::LaterBatch { file, offset, batch_seq: head.batch_seq, durable_seq }
            }
        });
    }

    /// What a batch says of itself must fit the segment it is in.
    fn judge_place(&self, segment: &Headed, frame: &FrameHeader, highest_seen: u64) -> Result<(), RecoverError> {
        let head = &frame.head;
        let header = &segment.header;
        let again = head.flags & FLAG_RELOG != 0;
        let what = if head.batch_seq < header.first_batch_seq {
            "it is older than its segment"
        } else if head.batch_seq <= highest_seen {
            "a batch with its number or a higher one lies before it in the segment"
        } else if again != (head.batch_seq <= header.prev_kept_seq) {
            "it is called a copy and is none, or the other way round"
        } else if !again && head.batch_seq - head.durable_seq > u64::from(header.in_flight) {
            "it says that more batches were in flight than this log allowed"
        } else {
            return Ok(());
        };
        Err(self.contradiction(&segment.name, frame, what.to_owned()))
    }

    /// The next batch: it must continue what was read.
    fn take(
        &mut self,
        name: &str,
        number: usize,
        frame: &FrameHeader,
        payload: &[u8],
        chain: Chain,
        end: u64,
    ) -> Result<(), RecoverError> {
        let head = &frame.head;
        let what = if head.prev_chain != self.point.chain {
            Some("it continues another history than the batch before it")
        } else if head.first_position != self.point.next_position {
            Some("its first position does not follow the batch before it")
        } else if head.time_ms < self.point.time_ms {
            Some("its time is before that of the batch before it")
        } else {
            None
        };
        if let Some(what) = what {
            return Err(self.contradiction(name, frame, what.to_owned()));
        }
        if self.watermark_chains.iter().any(|&(seq, vouched)| seq == head.batch_seq && vouched != chain) {
            let what = format!("{WATERMARK_NAME} vouches for another batch with its number");
            return Err(self.contradiction(name, frame, what));
        }
        if head.batch_seq > self.from.after_batch_seq {
            BatchView::of(frame, payload, chain, name).hand_to(self.sink)?;
        }
        self.point = Point {
            next_seq: head.batch_seq + 1,
            next_position: head.first_position + u64::from(head.count),
            chain,
            time_ms: head.time_ms,
        };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Taken { segment: number, offset: head.offset, after: self.point });
        self.expected = (name.to_owned(), end);
        self.stopped = head.kind == BatchKind::Seal && head.flags & FLAG_STOPPED != 0;
        // A hole that a later epoch filled is none.
        self.ahead = None;
        self.compare_with_checkpoint(name, head.offset)
    }

    /// A second copy of a batch that was taken: it must be the same.
    fn compare_copy(&self, name: &str, frame: &FrameHeader, chain: Chain) -> Result<(), RecoverError> {
        let after = frame.head.batch_seq + 1;
        let same = self.recent.iter().any(|t| t.after.next_seq == after && t.after.chain == chain);
        if same {
            return Ok(());
        }
        Err(self.contradiction(name, frame, "an older segment holds another batch with its number".to_owned()))
    }
}
