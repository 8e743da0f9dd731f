//! Every history of a small log, every part of it a crash may leave, every single fault: what
//! `recover` says is compared with what is known to have been acknowledged.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use crate::error::RecoverError;
use crate::format::{
    BatchKind, Chain, FLAG_RELOG, FrameHead, LogIdentity, PAGE_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use crate::memory::MemoryStorage;
use crate::recovery::{RecoverFrom, recover};
use crate::watermark::{WATERMARK_NAME, Watermark};

const IDENTITY: LogIdentity = LogIdentity { instance: *b"0123456789abcdef", partition: 0, incarnation: 1 };

/// What was issued, as (batch, durable when it was built), and what of it is durable.
struct History {
    issued: Vec<(u64, u64)>,
    durable: BTreeSet<u64>,
    acked: u64,
}

/// All interleavings of issuing and becoming durable, up to `batches` of them with at most `in_flight`
/// not acknowledged. In order or not: two writes may reach the device in any order.
fn histories(batches: u64, in_flight: u64, in_order: bool) -> Vec<History> {
    type State = (Vec<(u64, u64)>, BTreeSet<u64>);
    let mut seen = BTreeSet::new();
    let mut open: Vec<State> = vec![(Vec::new(), BTreeSet::new())];
    let mut found = Vec::new();
    while let Some((issued, durable)) = open.pop() {
        if !seen.insert((issued.clone(), durable.clone())) {
            continue;
        }
        let acked = (1..).take_while(|batch| durable.contains(batch)).count() as u64;
        let next = issued.len() as u64 + 1;
        if next <= batches && next - acked <= in_flight {
            let mut longer = issued.clone();
            longer.push((next, acked));
            open.push((longer, durable.clone()));
        }
        for (batch, _) in &issued {
            if !durable.contains(batch) && (!in_order || *batch == acked + 1) {
                let mut more = durable.clone();
                more.insert(*batch);
                open.push((issued.clone(), more));
            }
        }
        found.push(History { issued, durable, acked });
    }
    found
}

fn header(epoch: u64, in_flight: u64, durable: u64, kept: u64, first_chain: Chain) -> SegmentHeader {
    SegmentHeader {
        identity: IDENTITY,
        in_flight: u32::try_from(in_flight).unwrap(),
        epoch,
        index: 0,
        first_batch_seq: durable + 1,
        first_position: durable + 1,
        first_chain,
        prev_epoch: epoch - 1,
        prev_index: 0,
        prev_valid_len: SEGMENT_HEADER_BYTES as u64,
        prev_durable_seq: durable,
        prev_kept_seq: kept,
        time_ms: 0,
        capacity: 64 << 10,
    }
}

/// A payload that fills `pages` pages and tells `tag` and batch apart from all others.
fn payload(tag: u8, batch: u64, pages: usize) -> Vec<u8> {
    let mut bytes = vec![tag; pages * PAGE_BYTES - 200];
    bytes[..8].copy_from_slice(&batch.to_le_bytes());
    bytes
}

/// A segment of 16 pages being put together by hand.
struct Segment {
    epoch: u64,
    bytes: Vec<u8>,
    end: usize,
}

impl Segment {
    fn new(epoch: u64, header: Option<&SegmentHeader>) -> Segment {
        let mut bytes = vec![0; 16 * PAGE_BYTES];
        if let Some(header) = header {
            bytes[..PAGE_BYTES].copy_from_slice(&header.encode());
            bytes.copy_within(..PAGE_BYTES, PAGE_BYTES);
        }
        Segment { epoch, bytes, end: SEGMENT_HEADER_BYTES }
    }

    /// The head of a batch at the end, with one change.
    fn head(&self, batch: u64, durable: u64, flags: u8, prev_chain: Chain) -> FrameHead {
        FrameHead {
            kind: BatchKind::Data,
            flags,
            instance: IDENTITY.instance,
            partition: 0,
            epoch: self.epoch,
            index: 0,
            offset: self.end as u64,
            batch_seq: batch,
            durable_seq: durable,
            first_position: batch,
            count: 1,
            time_ms: 7,
            prev_chain,
        }
    }

    /// Writes a frame at the end, or leaves its place empty. Returns where, and the chain after it.
    fn put(&mut self, head: FrameHead, payload: &[u8], there: bool) -> (usize, Chain) {
        let mut frame = Vec::new();
        let chain = head.encode(&[payload], &mut frame);
        let at = self.end;
        self.end += frame.len();
        if there {
            self.bytes[at..self.end].copy_from_slice(&frame);
        }
        (at, chain)
    }

    fn store(&self, storage: &MemoryStorage) {
        storage.put(&format!("wal-0-{}-0.seg", self.epoch), self.bytes.clone());
    }
}

fn watermark(storage: &MemoryStorage, durable_seq: u64) {
    let page = Watermark {
        identity: IDENTITY,
        turn: 1,
        durable_seq,
        position: durable_seq,
        time_ms: 7,
        epoch: 1,
        index: None,
        chain: None,
    };
    storage.put(WATERMARK_NAME, page.encode().to_vec());
}

/// What recovery gives: the payloads and how far it is proven durable.
fn run(storage: &MemoryStorage) -> Result<(Vec<Vec<u8>>, u64), RecoverError> {
    let mut found = Vec::new();
    let recovered = recover(storage, RecoverFrom::start(), &mut |batch| {
        found.push(batch.payload.to_vec());
        Ok(())
    })?;
    assert_eq!(recovered.next_batch_seq, found.len() as u64 + 1);
    assert_eq!(recovered.relog.len() as u64, found.len() as u64 - recovered.durable_seq);
    Ok((found, recovered.durable_seq))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witness {
    None,
    /// A watermark of one batch ago.
    Lagging,
    Watermark,
    Marker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// One bit of one page that reached the device.
    Rot,
    /// A durable batch that was never written.
    Lost,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    cases: u64,
    refused: u64,
    /// Acknowledged batches that went unnoticed.
    silent: u64,
}

struct Setting {
    in_flight: u64,
    pages: usize,
    in_order: bool,
    fault: Fault,
    witness: Witness,
}

/// One image: `kept` says which pages of each issued batch are there.
fn one_case(
    setting: &Setting,
    history: &History,
    kept: &BTreeMap<u64, usize>,
    fault: Option<(u64, usize)>,
    tally: &mut Tally,
) {
    let storage = MemoryStorage::new();
    let mut segment = Segment::new(1, Some(&header(1, setting.in_flight, 0, 0, Chain::START)));
    let whole = (1 << setting.pages) - 1;
    let mut chain = Chain::START;
    let mut valid = BTreeSet::new();
    let mut headers = Vec::new();
    for &(batch, durable) in &history.issued {
        let head = segment.head(batch, durable, 0, chain);
        let (at, after) = segment.put(head, &payload(b'a', batch, setting.pages), true);
        chain = after;
        let mut pages = kept[&batch];
        match fault {
            Some((hit, page)) if hit == batch && setting.fault == Fault::Rot => {
                // In the header of the frame, or somewhere in the payload.
                segment.bytes[at + page * PAGE_BYTES + 33] ^= 4;
                for gone in (0..setting.pages).filter(|page| pages >> page & 1 == 0) {
                    segment.bytes[at + gone * PAGE_BYTES..][..PAGE_BYTES].fill(0);
                }
                pages &= !(1 << page);
            }
            _ => {
                if fault.is_some_and(|(hit, _)| hit == batch) {
                    pages = 0;
                }
                for gone in (0..setting.pages).filter(|page| pages >> page & 1 == 0) {
                    segment.bytes[at + gone * PAGE_BYTES..][..PAGE_BYTES].fill(0);
                }
            }
        }
        if pages == whole {
            valid.insert(batch);
        }
        if pages & 1 == 1 {
            headers.push(durable);
        }
    }
    let witness = match setting.witness {
        Witness::None => 0,
        Witness::Lagging => history.acked.saturating_sub(1),
        Witness::Watermark | Witness::Marker => history.acked,
    };
    if setting.witness == Witness::Marker && witness > 0 {
        let head = FrameHead { kind: BatchKind::Marker, count: 0, ..segment.head(witness, witness, 0, chain) };
        segment.put(head, &[], true);
    } else if witness > 0 {
        watermark(&storage, witness);
    }
    segment.store(&storage);

    tally.cases += 1;
    // The rule, computed from what is known here. A header whose body is torn is a witness too.
    let missing = (1..).find(|batch| !valid.contains(batch)).unwrap();
    let durable = headers.iter().copied().max().unwrap_or(0).max(witness);
    match run(&storage) {
        Ok((found, proven)) => {
            assert!(durable < missing, "{durable} is durable and {missing} missing");
            assert_eq!(found.len() as u64, missing - 1);
            assert_eq!(proven, durable);
            for (number, found) in found.iter().enumerate() {
                assert_eq!(*found, payload(b'a', number as u64 + 1, setting.pages));
            }
            let lost = history.acked.saturating_sub(missing - 1);
            assert!(lost <= setting.in_flight, "only the last acknowledged may lack a witness");
            tally.silent += u64::from(lost > 0);
        }
        Err(RecoverError::Damaged(damage)) => {
            assert!(durable >= missing, "refused without proof: {damage:?}");
            assert_eq!(damage.batch_seq, missing);
            tally.refused += 1;
        }
        Err(other) => panic!("{other}"),
    }
}

fn check(setting: &Setting) -> Tally {
    let batches = if setting.pages == 1 { 5 } else { 4 };
    let whole = (1usize << setting.pages) - 1;
    let mut tally = Tally::default();
    for history in histories(batches, setting.in_flight, setting.in_order) {
        let loose: Vec<u64> =
            history.issued.iter().map(|(batch, _)| *batch).filter(|batch| !history.durable.contains(batch)).collect();
        let subsets = 1usize << (setting.pages * loose.len());
        for subset in 0..subsets {
            let mut kept: BTreeMap<u64, usize> = history.durable.iter().map(|&batch| (batch, whole)).collect();
            for (number, &batch) in loose.iter().enumerate() {
                kept.insert(batch, subset >> (number * setting.pages) & whole);
            }
            let faults: Vec<Option<(u64, usize)>> = match setting.fault {
                Fault::None => vec![None],
                Fault::Rot => kept
                    .iter()
                    .flat_map(|(&batch, &pages)| {
                        (0..setting.pages)
                            .filter(move |page| pages >> page & 1 == 1)
                            .map(move |page| Some((batch, page)))
                    })
                    .collect(),
                Fault::Lost => history.durable.iter().map(|&batch| Some((batch, 0))).collect(),
            };
            for fault in faults {
                one_case(setting, &history, &kept, fault, &mut tally);
            }
        }
    }
    tally
}

#[test]
fn the_tail_rule_holds_in_every_small_history() {
    let mut cases = 0;
    for in_order in [true, false] {
        for in_flight in [1, 2] {
            for pages in [1, 2] {
                for fault in [Fault::None, Fault::Rot, Fault::Lost] {
                    for witness in [Witness::None, Witness::Lagging, Witness::Watermark, Witness::Marker] {
                        let setting = Setting { in_flight, pages, in_order, fault, witness };
                        let tally = check(&setting);
                        cases += tally.cases;
                        let exact = matches!(witness, Witness::Watermark | Witness::Marker);
                        if fault == Fault::None {
                            assert_eq!(tally.refused, 0, "a crash alone never stops a start");
                        }
                        if fault == Fault::None || exact {
                            assert_eq!(tally.silent, 0, "nothing acknowledged is lost unnoticed");
                        }
                        if fault != Fault::None {
                            assert!(tally.refused > 0, "the fault reached something");
                        }
                        if fault != Fault::None && witness == Witness::None {
                            assert!(tally.silent > 0, "without a witness the last one is exposed");
                        }
                    }
                }
            }
        }
    }
    assert!(cases > 10_000, "{cases} cases");
}

fn subsets<T: Copy>(of: &[T]) -> Vec<Vec<T>> {
    (0..1usize << of.len())
        .map(|mask| of.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, x)| *x).collect())
        .collect()
}

/// When the second crash strikes.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The header of the new epoch may be there or not.
    Header,
    /// It is durable; any part of the copies is there.
    Copies,
    /// Copies are durable, then so many batches issued and so many of them durable.
    Serving { issued: u64, durable: u64 },
}

/// After a recovery: what it kept and proved, with the chain after each batch.
struct First {
    in_flight: u64,
    old: BTreeMap<u64, u64>,
    chains: Vec<Chain>,
    kept: u64,
    proven: u64,
}

impl First {
    /// The image that the second recovery finds: of the old epoch the batches in `old`, the header of
    /// the new one or not, the copies in `copies`, the batches in `new` with their durable field.
    fn image(&self, old: &BTreeSet<u64>, with_header: bool, copies: &[u64], new: &[(u64, u64, bool)]) -> MemoryStorage {
        let storage = MemoryStorage::new();
        let mut segment = Segment::new(1, Some(&header(1, self.in_flight, 0, 0, Chain::START)));
        for (&batch, &durable) in &self.old {
            let head = segment.head(batch, durable, 0, self.chains[batch as usize - 1]);
            segment.put(head, &payload(b'a', batch, 1), old.contains(&batch));
        }
        segment.store(&storage);
        let first_chain = self.chains[self.proven as usize];
        let second = header(2, self.in_flight, self.proven, self.kept, first_chain);
        let mut segment = Segment::new(2, with_header.then_some(&second));
        for batch in self.proven + 1..=self.kept {
            let head = segment.head(batch, self.proven, FLAG_RELOG, self.chains[batch as usize - 1]);
            segment.put(head, &payload(b'a', batch, 1), copies.contains(&batch));
        }
        let mut chain = self.chains[self.kept as usize];
        for &(batch, durable, there) in new {
            let head = segment.head(batch, durable, 0, chain);
            chain = segment.put(head, &payload(b'b', batch, 1), there).1;
        }
        segment.store(&storage);
        storage
    }
}

fn second_crash(first: &First, stage: Stage, old: &BTreeSet<u64>, acked: u64) -> u64 {
    let copies: Vec<u64> = (first.proven + 1..=first.kept).collect();
    let mut must: Vec<Vec<u8>> = (1..=acked).map(|batch| payload(b'a', batch, 1)).collect();
    let mut images = Vec::new();
    match stage {
        Stage::Header => {
            for with_header in [false, true] {
                images.push(first.image(old, with_header, &[], &[]));
            }
        }
        Stage::Copies => {
            for some in subsets(&copies) {
                images.push(first.image(old, true, &some, &[]));
            }
        }
        Stage::Serving { issued, durable } => {
            // What was kept could be observed as soon as serving began.
            must = (1..=first.kept).map(|batch| payload(b'a', batch, 1)).collect();
            must.extend((1..=durable).map(|new| payload(b'b', first.kept + new, 1)));
            let loose: Vec<u64> = (durable + 1..=issued).collect();
            for kept in subsets(&loose) {
                // The durable field is from when the batch was built: as high as it may be, or as low.
                for low in [false, true] {
                    let new: Vec<_> = (1..=issued)
                        .map(|new| {
                            let field = if low { new.saturating_sub(first.in_flight) } else { durable.min(new - 1) };
                            let there = new <= durable || kept.contains(&new);
                            (first.kept + new, first.kept + field, there)
                        })
                        .collect();
                    images.push(first.image(old, true, &copies, &new));
                }
            }
        }
    }
    for storage in &images {
        let (found, _) = run(storage).unwrap_or_else(|error| panic!("two crashes stop no start: {stage:?}: {error}"));
        assert!(found.starts_with(&must), "{stage:?}: what was acknowledged or observed is there");
    }
    images.len() as u64
}

#[test]
fn a_second_crash_loses_nothing_and_stops_no_start() {
    let mut cases = 0;
    for in_flight in [1, 2] {
        for in_order in [true, false] {
            for history in histories(3, in_flight, in_order) {
                let loose: Vec<u64> = history
                    .issued
                    .iter()
                    .map(|(batch, _)| *batch)
                    .filter(|batch| !history.durable.contains(batch))
                    .collect();
                for kept in subsets(&loose) {
                    let mut chains = vec![Chain::START];
                    for &(batch, durable) in &history.issued {
                        let head = Segment::new(1, None).head(batch, durable, 0, chains[batch as usize - 1]);
                        chains.push(head.chain(&payload(b'a', batch, 1)));
                    }
                    let readable: BTreeSet<u64> = history.durable.iter().copied().chain(kept.iter().copied()).collect();
                    let mut first =
                        First { in_flight, old: history.issued.iter().copied().collect(), chains, kept: 0, proven: 0 };
                    let storage = first.image(&readable, false, &[], &[]);
                    storage.lose("wal-0-2-0.seg");
                    let (found, proven) = run(&storage).unwrap();
                    (first.kept, first.proven) = (found.len() as u64, proven);
                    assert!(first.kept >= history.acked);

                    let mut stages = vec![Stage::Header, Stage::Copies];
                    for issued in 0..3 {
                        for durable in 0..=issued {
                            if issued - durable <= in_flight {
                                stages.push(Stage::Serving { issued, durable });
                            }
                        }
                    }
                    // Batches that the first recovery read from a cache may be gone at the second.
                    for gone in subsets(&kept) {
                        let old: BTreeSet<u64> = readable.iter().copied().filter(|b| !gone.contains(b)).collect();
                        for &stage in &stages {
                            cases += second_crash(&first, stage, &old, history.acked);
                        }
                    }
                }
            }
        }
    }
    assert!(cases > 1_000, "{cases} cases");
}

/// What only a faulty writer writes, right in every checksum and in its chain.
#[test]
fn time_and_position_never_go_back() {
    let log = |change: &dyn Fn(&mut FrameHead)| {
        let mut segment = Segment::new(1, Some(&header(1, 1, 0, 0, Chain::START)));
        let mut chain = Chain::START;
        for batch in 1..=3 {
            let mut head = segment.head(batch, batch - 1, 0, chain);
            if batch == 2 {
                change(&mut head);
            }
            chain = segment.put(head, &payload(b'a', batch, 1), true).1;
        }
        let storage = MemoryStorage::new();
        segment.store(&storage);
        run(&storage).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(log(&|_| {}), Ok(()));
    for (change, expected) in [
        (&(|head: &mut FrameHead| head.time_ms = 6) as &dyn Fn(&mut FrameHead), "its time is before"),
        (&|head: &mut FrameHead| head.first_position = 1, "its first position does not follow"),
        (&|head: &mut FrameHead| head.first_position = 3, "its first position does not follow"),
        (&|head: &mut FrameHead| head.batch_seq = 1, "durable before it was written"),
    ] {
        let error = log(change).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
