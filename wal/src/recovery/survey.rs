//! What the folder says before any batch is read: names, headers, watermark. It finds where to begin and who vouches
//! for what.
//!
//! Not here: batches (`walk.rs`), the rule (`recovery.rs`).

use super::*;

/// What the names, the headers and the watermark say, before any batch is read.
pub(super) struct Survey {
    pub(super) segments: Vec<Headed>,
    pub(super) identity: Option<LogIdentity>,
    pub(super) epoch: u64,
    pub(super) time_ms: u64,
    pub(super) watermark_seq: u64,
    pub(super) watermark_position: u64,
    /// Batches that the watermark vouches for, with the chain after each.
    pub(super) watermark_chains: Vec<(u64, Chain)>,
    /// A segment newer than all that are there, and the watermark that was written when it was.
    pub(super) missing: Option<(SegmentName, Watermark)>,
    pub(super) warnings: Vec<Warning>,
    pub(super) unused: Vec<String>,
}

impl Survey {
    pub(super) fn read(storage: &dyn Storage) -> Result<Survey, RecoverError> {
        let mut survey = Survey {
            segments: Vec::new(),
            identity: None,
            epoch: 0,
            time_ms: 0,
            watermark_seq: 0,
            watermark_position: 0,
            watermark_chains: Vec::new(),
            missing: None,
            warnings: Vec::new(),
            unused: Vec::new(),
        };
        let mut places: Vec<SegmentName> =
            storage.list("").map_err(io_error(""))?.iter().filter_map(|name| SegmentName::parse(name)).collect();
        places.sort_unstable();
        for place in &places {
            survey.read_header(storage, *place)?;
        }
        survey.read_watermark(storage)?;
        // The lowest `kept` among all headers read so far, and among those of newer epochs only.
        let (mut all, mut newer, mut epoch) = (u64::MAX, u64::MAX, u64::MAX);
        for segment in survey.segments.iter_mut().rev() {
            if segment.header.epoch != epoch {
                (newer, epoch) = (all, segment.header.epoch);
            }
            segment.kept_seq = newer;
            all = all.min(segment.header.prev_kept_seq);
        }
        Ok(survey)
    }

    pub(super) fn warn(&mut self, file: &str, what: impl Into<String>) {
        self.warnings.push(Warning { file: file.to_owned(), what: what.into(), is_damage: false });
    }

    fn warn_of_damage(&mut self, file: &str, what: impl Into<String>) {
        self.warnings.push(Warning { file: file.to_owned(), what: what.into(), is_damage: true });
    }

    fn read_header(&mut self, storage: &dyn Storage, place: SegmentName) -> Result<(), RecoverError> {
        let name = place.to_string();
        let file = storage.open_read_uncached(&name).map_err(io_error(&name))?;
        let mut reader = SegmentReader::new(file, place).map_err(io_error(&name))?;
        self.epoch = self.epoch.max(place.epoch);
        match reader.header().map_err(io_error(&name))? {
            HeaderFound::Valid { header, bad_page } => {
                if let Some(offset) = bad_page {
                    sometimes!("recovery: one header page is damaged");
                    let what = format!("its header page at byte {offset} is damaged; the other is used");
                    // Both are durable before the first batch is written; without one it may be a crash.
                    if reader.any_frame().map_err(io_error(&name))?.is_some() {
                        self.warn_of_damage(&name, what);
                    } else {
                        self.warn(&name, what);
                    }
                }
                self.compare_identity(&name, &header)?;
                let partition = header.identity.partition;
                if (partition, header.epoch, header.index) != (place.partition, place.epoch, place.index) {
                    return Err(contradiction(
                        &name,
                        0,
                        header.first_batch_seq,
                        header.first_position,
                        format!(
                            "its header says that it is partition {partition} epoch {} index {}: it was renamed or \
                             written over",
                            header.epoch, header.index
                        ),
                    ));
                }
                if reader.bytes() < header.capacity {
                    // A segment has its full length before it has a header.
                    return Err(contradiction(
                        &name,
                        reader.bytes(),
                        header.first_batch_seq,
                        header.first_position,
                        format!("the file ends there, and its header says that it has {} bytes", header.capacity),
                    ));
                }
                self.time_ms = self.time_ms.max(header.time_ms);
                self.segments.push(Headed { name, place, header, kept_seq: u64::MAX });
            }
            HeaderFound::Newer { offset, format } => {
                return Err(RecoverError::NewerFormat { file: name, offset, found: format, known: FORMAT_MAJOR });
            }
            HeaderFound::Impossible { offset, what } => {
                return Err(contradiction(&name, offset, 0, 0, format!("{what}, though it checks")));
            }
            HeaderFound::None => {
                // A header is durable before the first batch is written. With a batch there, it was.
                if let Some(frame) = reader.any_frame().map_err(io_error(&name))? {
                    return Err(contradiction(
                        &name,
                        0,
                        frame.head.batch_seq,
                        frame.head.first_position,
                        format!(
                            "the head of batch {} at byte {} of the file checks, so both header pages were \
                             there",
                            frame.head.batch_seq, frame.head.offset
                        ),
                    ));
                }
                if reader.not_zero(0).map_err(io_error(&name))?.is_none() {
                    sometimes!("recovery: a prepared segment was never used");
                    self.unused.push(name);
                } else {
                    sometimes!("recovery: a segment was left half created");
                    self.warn(
                        &name,
                        "has neither header nor batch, as after a crash during its \
                                      creation; it is disregarded",
                    );
                }
            }
        }
        Ok(())
    }

    /// All files of a folder belong to one log, and an incarnation never goes back.
    fn compare_identity(&mut self, name: &str, header: &SegmentHeader) -> Result<(), RecoverError> {
        let found = header.identity;
        let wrong = |difference| Err(RecoverError::WrongInstance { file: name.to_owned(), difference });
        if let Some(known) = self.identity {
            if found.instance != known.instance {
                return wrong("its instance is another one".to_owned());
            }
            if found.partition != known.partition {
                return wrong(format!("it is of partition {}, the others of {}", found.partition, known.partition));
            }
            if found.incarnation < known.incarnation {
                sometimes!("recovery: a segment of an older incarnation is refused");
                return wrong(format!(
                    "it is of incarnation {}, older segments are of {}",
                    found.incarnation, known.incarnation
                ));
            }
        }
        self.identity = Some(found);
        Ok(())
    }

    fn read_watermark(&mut self, storage: &dyn Storage) -> Result<(), RecoverError> {
        let file = WatermarkFile::read(storage).map_err(io_error(WATERMARK_NAME))?;
        if let Some((offset, found)) = file.newer {
            return Err(RecoverError::NewerFormat {
                file: WATERMARK_NAME.to_owned(),
                offset,
                found,
                known: WatermarkFile::NEWEST_FORMAT,
            });
        }
        sometimes!("recovery: a page of the watermark is damaged", !file.damaged.is_empty());
        match file.damaged[..] {
            [] => {}
            [offset] if file.valid.is_empty() => {
                let what =
                    format!("its page at byte {offset} is damaged and the other was never written; it is not used");
                self.warn(WATERMARK_NAME, what);
            }
            [offset] => {
                let what = format!("its page at byte {offset} is damaged, as after a crash; the other is used");
                self.warn(WATERMARK_NAME, what);
            }
            _ => {
                let what = "both pages, from byte 0 on, are damaged; it is not used";
                // One is synced before the other is touched, and the first before there is a batch.
                if self.any_batch(storage)? {
                    self.warn_of_damage(WATERMARK_NAME, what);
                } else {
                    self.warn(WATERMARK_NAME, what);
                }
            }
        }
        if !file.is_there && self.any_batch(storage)? {
            // It is durable before the first batch of the first segment.
            self.warn_of_damage(WATERMARK_NAME, "it is missing: the end of the log has one witness less");
        }
        for watermark in file.valid {
            let found = watermark.identity;
            let wrong = |difference| Err(RecoverError::WrongInstance { file: WATERMARK_NAME.to_owned(), difference });
            if let Some(known) = self.identity {
                if found.instance != known.instance || found.partition != known.partition {
                    return wrong("its instance or partition is another one".to_owned());
                }
                if found.incarnation > known.incarnation {
                    return wrong(format!(
                        "it is of incarnation {}, the newest segment of {}",
                        found.incarnation, known.incarnation
                    ));
                }
                if found.incarnation < known.incarnation {
                    // What it vouched for was settled when the incarnation changed.
                    continue;
                }
            }
            let newest = self.segments.last().map_or(0, |segment| segment.header.epoch);
            if watermark.epoch > newest {
                // A segment of its epoch was durable before it was written, and the newest one is never removed.
                return Err(contradiction(
                    WATERMARK_NAME,
                    0,
                    watermark.durable_seq.saturating_add(1),
                    watermark.position.saturating_add(1),
                    format!("it was written in epoch {}, and no segment of that epoch is left", watermark.epoch),
                ));
            }
            let newest_index = self.segments.last().map_or(0, |segment| segment.header.index);
            if let Some(index) = watermark.index.filter(|&index| watermark.epoch == newest && index > newest_index) {
                self.missing = Some((SegmentName { partition: found.partition, epoch: newest, index }, watermark));
            }
            self.watermark_chains.extend(watermark.chain.map(|chain| (watermark.durable_seq, chain)));
            self.watermark_seq = self.watermark_seq.max(watermark.durable_seq);
            self.watermark_position = self.watermark_position.max(watermark.position);
            self.time_ms = self.time_ms.max(watermark.time_ms);
        }
        Ok(())
    }

    fn any_batch(&self, storage: &dyn Storage) -> Result<bool, RecoverError> {
        for Headed { name, place, .. } in &self.segments {
            let file = storage.open_read(name).map_err(io_error(name))?;
            let mut reader = SegmentReader::new(file, *place).map_err(io_error(name))?;
            if reader.any_frame().map_err(io_error(name))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The witnesses that are known before any batch is read.
    pub(super) fn witness(&self, from: &RecoverFrom) -> Result<Witness, RecoverError> {
        let mut witness =
            Witness { durable_seq: from.after_batch_seq, proof: Proof::Checkpoint { batch_seq: from.after_batch_seq } };
        for segment in &self.segments {
            let durable_seq = segment.header.prev_durable_seq;
            witness.hear(durable_seq, || Proof::SegmentHeader { file: segment.name.clone(), durable_seq });
        }
        let durable_seq = self.watermark_seq;
        witness.hear(durable_seq, || Proof::Watermark { durable_seq });
        Ok(witness)
    }

    /// The segment to begin with: the first after the last gap that the checkpoint covers. Segments
    /// below a checkpoint may be removed, and a crash may bring some of the removed ones back.
    pub(super) fn start(&mut self, from: &RecoverFrom) -> Result<usize, RecoverError> {
        let covered = |segment: &Headed| segment.header.first_batch_seq <= from.after_batch_seq.saturating_add(1);
        let start = (1..self.segments.len())
            .rev()
            .find(|&number| {
                !follows(&self.segments[number - 1], &self.segments[number]) && covered(&self.segments[number])
            })
            .unwrap_or(0);
        for number in 0..start {
            let name = self.segments[number].name.clone();
            self.warn(&name, "lies before a gap that the checkpoint covers; it is not read");
        }
        match self.segments.get(start) {
            Some(first) if !covered(first) => Err(RecoverError::Gap {
                after: String::new(),
                before: first.name.clone(),
                batch_seq: from.after_batch_seq + 1,
                next_batch_seq: first.header.first_batch_seq,
                first_position: from.next_position,
            }),
            _ => Ok(start),
        }
    }

    /// No segment at all: an empty folder, or one with a checkpoint only, as after a restore.
    pub(super) fn nothing(self, from: &RecoverFrom, witness: Witness) -> Result<Recovered, RecoverError> {
        if witness.durable_seq > from.after_batch_seq {
            return Err(RecoverError::Damaged(Box::new(Damage {
                file: WATERMARK_NAME.to_owned(),
                offset: 0,
                batch_seq: from.after_batch_seq + 1,
                first_position: from.next_position,
                last_position: None,
                how_proven: witness.proof,
            })));
        }
        Ok(Recovered {
            identity: None,
            epoch: self.epoch,
            next_batch_seq: from.after_batch_seq + 1,
            next_position: from.next_position,
            durable_seq: from.after_batch_seq,
            chain: from.chain.unwrap_or(Chain::START),
            time_ms: self.time_ms.max(from.time_ms),
            last_batch_time_ms: from.time_ms,
            sealed: false,
            tail: TailReport::Clean,
            warnings: self.warnings,
            segments: Vec::new(),
            unused: self.unused,
            relog: Vec::new(),
        })
    }
}

/// Whether `next` was begun right after `before`. What was between them without a batch need not be there: the
/// header of the last segment of an epoch may have been in the cache alone when the next epoch read it.
pub(super) fn follows(before: &Headed, next: &Headed) -> bool {
    let (header, previous) = (&next.header, &before.header);
    let between = (header.prev_epoch, header.prev_index) > (previous.epoch, previous.index);
    if between && header.prev_epoch < header.epoch && header.prev_valid_len <= SEGMENT_HEADER_BYTES as u64 {
        sometimes!("recovery: a segment without batches is gone");
        return header.index == 0;
    }
    header.prev_epoch == previous.epoch
        && header.prev_index == previous.index
        && if header.epoch == previous.epoch {
            previous.index.checked_add(1) == Some(header.index)
        } else {
            header.index == 0
        }
}
