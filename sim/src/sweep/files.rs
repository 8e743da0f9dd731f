//! Whole files: gone, swapped, under other names, from other folders, and as they were earlier.

use std::sync::Arc;

use wal::WATERMARK_NAME;

use super::{
    Case, Sweep,
    damage::Edit,
    folder::Folder,
    judge::{Demand, Sample},
};

/// A list of cases of one kind.
struct List {
    sample: Arc<Sample>,
    cases: Vec<(Vec<Edit>, Demand)>,
}

impl List {
    fn new(sample: &Sample) -> List {
        List { sample: Arc::new(sample.clone()), cases: Vec::new() }
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.sample.folder.names().map(Into::into).collect()
    }

    fn bytes(&self, name: &str) -> Arc<Vec<u8>> {
        Arc::clone(self.sample.folder.bytes(name).expect("it is there"))
    }

    fn replace(&self, file: &str, by: &str) -> Edit {
        Edit::Replace { file: file.into(), bytes: self.bytes(by), what: by.to_owned() }
    }

    fn add(&mut self, edits: Vec<Edit>, demand: Demand) {
        self.cases.push((edits, demand));
    }

    fn into_sweep(self, name: String) -> Sweep {
        let List { sample, cases } = self;
        Sweep::new(name, cases.len() as u64, 1, move |n| {
            let (edits, demand) = cases[n as usize].clone();
            Case { sample: Arc::clone(&sample), edits, demand }
        })
    }
}

fn remove(file: &str) -> Edit {
    Edit::Remove { file: file.into() }
}

/// Each file and each two files gone, swapped, copied over each other, renamed to each other and to names that
/// are like theirs.
fn moved(sample: &Sample) -> Sweep {
    let mut list = List::new(sample);
    let names = list.names();
    for a in &names {
        list.add(vec![remove(a)], Demand::Right);
        for b in names.iter().filter(|b| *b != a) {
            // The watermark and the newest segment together leave no trace of what was answered last.
            let both = [a.as_ref(), b.as_ref()].contains(&WATERMARK_NAME);
            let demand = if both { Demand::Exposed(0) } else { Demand::Right };
            list.add(vec![list.replace(b, a)], Demand::Right);
            list.add(vec![list.replace(b, a), remove(a)], demand);
            if a < b {
                list.add(vec![list.replace(b, a), list.replace(a, b)], demand);
                list.add(vec![remove(a), remove(b)], demand);
            }
        }
        for new in like(a) {
            list.add(vec![list.replace(&new, a)], Demand::Right);
            list.add(vec![list.replace(&new, a), remove(a)], Demand::Right);
        }
    }
    for left in [".tmp", ".ckpt.tmp", "~", ".bak"] {
        for a in &names {
            list.add(vec![list.replace(&format!("{a}{left}"), a)], Demand::Start);
        }
    }
    list.into_sweep(format!("files gone and moved, {}", sample.name))
}

/// Names that files of a log could have.
fn like(name: &str) -> Vec<String> {
    let mut like = Vec::new();
    if let Some(numbers) = name.strip_prefix("wal-").and_then(|rest| rest.strip_suffix(".seg")) {
        let numbers: Vec<u64> = numbers.split('-').filter_map(|number| number.parse().ok()).collect();
        let [partition, epoch, index] = numbers[..] else { return like };
        for (partition, epoch, index) in [
            (partition, epoch, index + 1),
            (partition, epoch, index + 2),
            (partition, epoch + 1, 0),
            (partition, epoch + 1, index),
            (partition, epoch + 7, 0),
            (partition, epoch.saturating_sub(1), index),
            (partition, 0, 0),
            (partition + 1, epoch, index),
            (partition, u64::MAX, u64::MAX),
        ] {
            like.push(format!("wal-{partition}-{epoch}-{index}.seg"));
        }
    }
    if let Some(number) = name.strip_prefix("snap-0-").and_then(|rest| rest.strip_suffix(".ckpt")) {
        let number: u64 = number.parse().unwrap_or(0);
        for (partition, number) in [(0, number + 1), (0, number - 1), (0, 0), (0, u64::MAX), (1, number)] {
            like.push(format!("snap-{partition}-{number}.ckpt"));
        }
    }
    like.retain(|new| new != name);
    like
}

/// A file of another log over each file, and beside them.
fn foreign(sample: &Sample, others: &[Sample]) -> Sweep {
    let mut list = List::new(sample);
    for other in others {
        for theirs in other.folder.names() {
            let bytes = other.folder.bytes(theirs).expect("it was listed");
            let edit = |file: &str| Edit::Replace {
                file: file.into(),
                bytes: Arc::clone(bytes),
                what: format!("{theirs} of another {}", other.name),
            };
            list.add(vec![edit(theirs)], Demand::Right);
            for ours in list.names() {
                list.add(vec![edit(&ours)], Demand::Right);
            }
        }
    }
    list.into_sweep(format!("files of other logs, {}", sample.name))
}

/// Every set of files as they were at an earlier moment, the others as they are: writes that never reached the
/// device, or files put back from a copy.
fn put_back(sample: &Sample, moments: &[Folder]) -> Sweep {
    let mut list = List::new(sample);
    for (age, moment) in moments.iter().enumerate() {
        let changed: Vec<Arc<str>> =
            list.names().into_iter().filter(|name| moment.bytes(name) != sample.folder.bytes(name)).collect();
        for subset in 1..1u32 << changed.len() {
            let chosen = changed.iter().enumerate().filter(|(nth, _)| subset >> nth & 1 == 1).map(|(_, name)| name);
            let edits: Vec<Edit> = chosen
                .map(|name| match moment.bytes(name) {
                    Some(bytes) => Edit::Replace {
                        file: Arc::clone(name),
                        bytes: Arc::clone(bytes),
                        what: format!("as it was at moment {age}"),
                    },
                    None => remove(name),
                })
                .collect();
            // An older watermark together with older segments is an older log, whole in itself.
            let has_watermark =
                changed.iter().enumerate().any(|(nth, name)| subset >> nth & 1 == 1 && name.as_ref() == WATERMARK_NAME);
            let demand = match edits.len() {
                1 if has_watermark => Demand::Start,
                _ if has_watermark => Demand::Exposed(0),
                _ => Demand::Right,
            };
            list.add(edits, demand);
        }
    }
    list.into_sweep(format!("files put back, {}", sample.name))
}

pub(super) fn sweeps(
    log: &Sample,
    rotated: &Sample,
    moments: &[Folder],
    others: &[Sample],
    checkpoints: &Sample,
    young: &Folder,
) -> Vec<Sweep> {
    vec![
        moved(log),
        moved(rotated),
        moved(checkpoints),
        foreign(log, others),
        foreign(checkpoints, others),
        put_back(log, moments),
        put_back(checkpoints, std::slice::from_ref(young)),
    ]
}
