//! Pages that a loss of power leaves as they were, as they were to be, or as neither; and such pages rotten.
//!
//! At every moment of a log's life, each of the last four pages gets each of four fates, and each sector of the
//! last page two: every subset, so writes reach the device in any order. Pages that were not synced may be in any
//! state and must never stop a start. With a page that was synced the log must come back whole, or not at all,
//! or (when its witnesses are among the last four pages and the watermark is older) at least up to the watermark.

use std::sync::Arc;

use wal::{PAGE_BYTES, WATERMARK_NAME};

use super::{
    Case, Sweep,
    chance::bytes,
    damage::Edit,
    folder::Folder,
    judge::{Demand, Sample},
    press::{Material, Press},
    samples::{self, IDENTITY},
};

const SECTOR_BYTES: usize = 512;
/// Two pages of header, seven of batches, one for the SEAL.
const SEGMENT_BYTES: u64 = 40 << 10;

/// A log between two operations.
struct Moment {
    sample: Arc<Sample>,
    /// What was durable then.
    durable: Folder,
    /// The segment that is written to.
    file: Arc<str>,
    /// Its last pages, newest first; none before the first page.
    pages: Vec<usize>,
    /// What the watermark vouches for.
    vouched: u64,
}

impl Moment {
    fn of(name: String, press: &Press<'_>, vouched: u64) -> Moment {
        let folder = press.folder();
        let file: Arc<str> = press.segment().into();
        let there = folder.bytes(&file).expect("it is written to");
        let last = there.iter().rposition(|&byte| byte != 0).unwrap_or(0) / PAGE_BYTES;
        let pages = (0..4).filter_map(|back| last.checked_sub(back)).collect();
        let sample = samples::sample(&name, press, folder);
        Moment { sample: Arc::new(sample), durable: press.durable_folder(), file, pages, vouched }
    }

    fn old(&self, page: usize) -> Vec<u8> {
        let from = page * PAGE_BYTES;
        let there = self.durable.bytes(&self.file).and_then(|bytes| bytes.get(from..from + PAGE_BYTES));
        there.map_or_else(|| vec![0; PAGE_BYTES], <[u8]>::to_vec)
    }

    fn is_durable(&self, page: usize) -> bool {
        let from = page * PAGE_BYTES;
        self.sample.folder.bytes(&self.file).is_some_and(|bytes| bytes[from..from + PAGE_BYTES] == self.old(page))
    }

    /// What is asked when these pages are not as they were written.
    fn demand(&self, damaged: &[usize]) -> Demand {
        if !damaged.iter().any(|&page| self.is_durable(page)) {
            return Demand::Start;
        }
        // The watermark lies elsewhere. What it vouches for is never lost without a word.
        if self.vouched >= self.sample.acknowledged { Demand::Right } else { Demand::Exposed(self.vouched) }
    }
}

/// The life of a log. `in_flight` batches may be written and not durable.
/// `vouched_for`: every answer waits for a watermark too, so that nothing is ever exposed.
fn moments(material: &Material, in_flight: u32, vouched_for: bool) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    let mut press = Press::new(material, IDENTITY, SEGMENT_BYTES, in_flight);
    let mut vouched = 0;
    let mut see = |what: &str, press: &Press<'_>, vouched: u64| {
        let number = moments.len();
        moments.push(Moment::of(format!("W={in_flight} {number}: {what}"), press, vouched));
    };
    let append = |press: &mut Press<'_>| _ = press.append();
    let sync = |press: &mut Press<'_>| _ = press.sync();
    for round in 0..10 {
        append(&mut press);
        see("written", &press, vouched);
        if in_flight == 2 && round % 3 != 2 {
            // The second of two; the append syncs none of them.
            append(&mut press);
            see("two written", &press, vouched);
        }
        if round == 6 {
            // The process dies with a batch in flight that happens to be kept, and the next epoch copies it.
            press.restart();
            see("restarted", &press, vouched);
            continue;
        }
        sync(&mut press);
        if vouched_for {
            press.watermark();
            vouched = press.acknowledged;
        }
        see("synced", &press, vouched);
        match round % 4 {
            1 => {
                press.mark();
                see("marked", &press, vouched);
            }
            2 => {
                press.watermark();
                vouched = press.acknowledged;
                see("vouched for", &press, vouched);
            }
            3 => {
                press.hash();
                see("hash written", &press, vouched);
                sync(&mut press);
                if vouched_for {
                    press.watermark();
                }
                see("hash synced", &press, vouched);
            }
            _ => {}
        }
    }
    press.stop();
    see("stopped", &press, press.acknowledged);
    moments
}

/// What becomes of a page, besides nothing.
fn fate(moment: &Moment, page: usize, kind: u64, seed: u64) -> Option<Edit> {
    let at = page * PAGE_BYTES;
    let (bytes, what) = match kind {
        0 => return None,
        1 if moment.is_durable(page) => (vec![0; PAGE_BYTES], "zeros"),
        1 => (moment.old(page), "what was durable"),
        2 => (bytes(seed, PAGE_BYTES), "garbage"),
        _ => {
            // Torn: the second half was not written, the first was.
            let mut torn = moment.sample.folder.bytes(&moment.file)?[at..at + PAGE_BYTES].to_vec();
            let half = PAGE_BYTES / 2;
            let old = if moment.is_durable(page) { vec![0; PAGE_BYTES] } else { moment.old(page) };
            torn[half..].copy_from_slice(&old[half..]);
            (torn, "half of what was written")
        }
    };
    Some(Edit::Write { file: Arc::clone(&moment.file), at, bytes, what })
}

fn last_four(name: String, moments: Arc<Vec<Moment>>) -> Sweep {
    let fates = 4u64.pow(4);
    Sweep::new(name, moments.len() as u64 * fates, 16, move |n| {
        let moment = &moments[(n / fates) as usize];
        let mut edits = Vec::new();
        let mut damaged = Vec::new();
        for (back, &page) in moment.pages.iter().enumerate() {
            let kind = n % fates / 4u64.pow(back as u32) % 4;
            if let Some(edit) = fate(moment, page, kind, n) {
                edits.push(edit);
                damaged.push(page);
            }
        }
        Case { sample: Arc::clone(&moment.sample), edits, demand: moment.demand(&damaged) }
    })
}

/// Every subset of the sectors of the last page, as they were or garbage.
fn sectors(name: String, moments: Arc<Vec<Moment>>) -> Sweep {
    let subsets = 1u64 << (PAGE_BYTES / SECTOR_BYTES);
    Sweep::new(name, moments.len() as u64 * subsets * 2, 64, move |n| {
        let moment = &moments[(n / (subsets * 2)) as usize];
        let subset = n % subsets;
        let is_garbage = n / subsets % 2 == 1;
        let page = moment.pages[0];
        let old = if moment.is_durable(page) { vec![0; PAGE_BYTES] } else { moment.old(page) };
        let edits = (0..PAGE_BYTES / SECTOR_BYTES)
            .filter(|sector| subset >> sector & 1 == 1)
            .map(|sector| {
                let from = sector * SECTOR_BYTES;
                let (bytes, what) = if is_garbage {
                    (bytes(n, SECTOR_BYTES), "garbage")
                } else {
                    (old[from..from + SECTOR_BYTES].to_vec(), "as before")
                };
                Edit::Write { file: Arc::clone(&moment.file), at: page * PAGE_BYTES + from, bytes, what }
            })
            .collect();
        let demand = if subset == 0 { Demand::Start } else { moment.demand(&[page]) };
        Case { sample: Arc::clone(&moment.sample), edits, demand }
    })
    .large()
}

/// The WATERMARK while one of its pages is written: every subset of sectors of the new page.
fn watermark_sectors(material: &Material) -> Sweep {
    let mut press = Press::new(material, IDENTITY, SEGMENT_BYTES, 1);
    let mut cases = Vec::new();
    for round in 0..4 {
        press.commit();
        if round % 2 == 0 {
            press.mark();
        }
        let before = press.folder();
        press.watermark();
        let sample = samples::sample("watermark", &press, press.folder());
        cases.push((Arc::new(sample), before));
    }
    let sectors = 2 * PAGE_BYTES / SECTOR_BYTES;
    let subsets = 1u64 << (PAGE_BYTES / SECTOR_BYTES);
    Sweep::new("watermark sectors".to_owned(), cases.len() as u64 * subsets * 2, 16, move |n| {
        let (sample, before) = &cases[(n / (subsets * 2)) as usize];
        let old = before.bytes(WATERMARK_NAME).expect("it is there from the first epoch on");
        let new = sample.folder.bytes(WATERMARK_NAME).expect("it was just written");
        let written: Vec<usize> =
            (0..sectors).filter(|sector| page_of(old, *sector) != page_of(new, *sector)).collect();
        let edits = written
            .iter()
            .enumerate()
            .filter(|(nth, _)| ((n % subsets) >> nth) & 1 == 1)
            .map(|(_, sector)| {
                let at = sector * SECTOR_BYTES;
                let (bytes, what) = if n / subsets % 2 == 1 {
                    (bytes(n, SECTOR_BYTES), "garbage")
                } else {
                    (old[at..at + SECTOR_BYTES].to_vec(), "as before")
                };
                Edit::Write { file: WATERMARK_NAME.into(), at, bytes, what }
            })
            .collect();
        Case { sample: Arc::clone(sample), edits, demand: Demand::Start }
    })
}

/// The page that a sector lies in.
fn page_of(bytes: &[u8], sector: usize) -> &[u8] {
    let from = sector * SECTOR_BYTES / PAGE_BYTES * PAGE_BYTES;
    &bytes[from..from + PAGE_BYTES]
}

/// A segment while it is made: its two header pages in every state, and nobody was told of a batch in it.
fn creation(material: &Material) -> Sweep {
    let mut samples = Vec::new();
    for batches in [1, 3] {
        let mut press = Press::new(material, IDENTITY, SEGMENT_BYTES, 1);
        for _ in 0..batches {
            press.commit();
        }
        let watermark = press.folder().bytes(WATERMARK_NAME).map(Arc::clone).expect("it is there");
        // A rotation without a batch after it.
        press.rotate();
        let mut folder = press.folder();
        folder.put(WATERMARK_NAME, watermark);
        let sample = samples::sample("creation", &press, folder);
        samples.push((Arc::new(sample), Arc::<str>::from(press.segment())));
    }
    let states = 6u64;
    let sectors = 1u64 << (PAGE_BYTES / SECTOR_BYTES);
    let each = states * states + 2 * sectors + 2;
    Sweep::new("creation of a segment".to_owned(), samples.len() as u64 * each, 1, move |n| {
        let (sample, file) = &samples[(n / each) as usize];
        let n = n % each;
        let write = |at, bytes: Vec<u8>, what| Edit::Write { file: Arc::clone(file), at, bytes, what };
        let page = |number: u64, state: u64| {
            let at = number as usize * PAGE_BYTES;
            match state {
                0 => None,
                1 => Some(write(at, vec![0; PAGE_BYTES], "zeros")),
                2 => Some(write(at, bytes(n, PAGE_BYTES), "garbage")),
                3 => Some(write(at + PAGE_BYTES / 2, vec![0; PAGE_BYTES / 2], "zeros")),
                4 => Some(write(at, vec![0; SECTOR_BYTES], "zeros")),
                _ => Some(write(at + PAGE_BYTES - SECTOR_BYTES, bytes(n, SECTOR_BYTES), "garbage")),
            }
        };
        let edits = if n < states * states {
            [page(0, n / states), page(1, n % states)].into_iter().flatten().collect()
        } else if let Some(n) = (n - states * states).checked_sub(2 * sectors) {
            // The file is not there, or is shorter.
            vec![if n == 0 {
                Edit::Remove { file: Arc::clone(file) }
            } else {
                Edit::Replace {
                    file: Arc::clone(file),
                    bytes: Arc::new(vec![0; PAGE_BYTES]),
                    what: "one page of zeros".to_owned(),
                }
            }]
        } else {
            let n = n - states * states;
            let (first, second) = if n < sectors { (0, PAGE_BYTES) } else { (PAGE_BYTES, 0) };
            let mut edits = vec![write(second, vec![0; PAGE_BYTES], "zeros")];
            edits.extend(
                (0..PAGE_BYTES / SECTOR_BYTES)
                    .filter(|sector| ((n % sectors) >> sector) & 1 == 1)
                    .map(|sector| write(first + sector * SECTOR_BYTES, vec![0; SECTOR_BYTES], "zeros")),
            );
            edits
        };
        Case { sample: Arc::clone(sample), edits, demand: Demand::Start }
    })
}

pub(super) fn sweeps() -> Vec<Sweep> {
    let material = Material::new(24, &[1, 2, 1, 3, 1]);
    let mut sweeps = Vec::new();
    for (in_flight, vouched_for) in [(1, false), (2, false), (1, true), (2, true)] {
        let moments = Arc::new(moments(&material, in_flight, vouched_for));
        let which = if vouched_for { ", vouched for" } else { "" };
        sweeps.push(last_four(format!("last four pages, W={in_flight}{which}"), Arc::clone(&moments)));
        sweeps.push(sectors(format!("last page in sectors, W={in_flight}{which}"), moments));
    }
    sweeps.push(watermark_sectors(&material));
    sweeps.push(creation(&material));
    sweeps
}
