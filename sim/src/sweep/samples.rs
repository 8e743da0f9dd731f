//! The folders that are damaged.

use std::sync::Arc;

use engine::EngineConfig;
use wal::{Keep, LogIdentity, MemoryStorage, WATERMARK_NAME};

use super::{
    folder::Folder,
    judge::Sample,
    press::{Material, Press},
    sale::{INSTANCE, START, Sale, engine_config, event_name},
};

/// Segments of seven pages: two of header, four of batches, one for the SEAL.
const SEGMENT_BYTES: u64 = 28 << 10;

/// The identity of all folders but the foreign ones.
pub(super) const IDENTITY: LogIdentity = LogIdentity { instance: INSTANCE, partition: 0, incarnation: 1 };

/// A log of 84 KiB: two epochs, three segments, a batch in two of them, every kind of page.
///
/// ```text
/// wal-0-1-0  | header | header | 1 | MARKER | 2 | 3 | SEAL |
/// wal-0-1-1  | header | header | 5 | HASH | 7 | zeros .. |     the process dies before 7 has a witness
/// wal-0-2-0  | header | header | 7 again | 8 | 9 .. ..
/// ```
fn two_epochs(material: &Material, identity: LogIdentity) -> Press<'_> {
    let mut press = Press::new(material, identity, SEGMENT_BYTES, 1);
    press.commit().mark().commit().watermark().commit();
    press.commit().hash().sync().commit();
    press.restart();
    press.commit();
    press
}

pub(super) fn sample(name: &str, press: &Press<'_>, folder: Folder) -> Sample {
    Sample::new(name, folder, press.acknowledged, press.position(), Arc::clone(press.material_hashes()))
}

/// The log with each kind of end and each kind of watermark.
pub(super) fn logs(material: &Material) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut press = two_epochs(material, IDENTITY);
    let old = press.folder();
    press.commit().mark();
    let stale = press.folder();
    press.watermark();
    samples.push(sample("marked", &press, press.folder()));
    // As when the machine stopped within the second after the last answer.
    samples.push(sample("lagging-watermark", &press, stale));
    let mut folder = press.folder();
    folder.remove(WATERMARK_NAME);
    samples.push(sample("no-watermark", &press, folder));
    let mut folder = press.folder();
    let watermark = old.bytes(WATERMARK_NAME).expect("it is there from the first epoch on");
    folder.put(WATERMARK_NAME, Arc::clone(watermark));
    samples.push(sample("old-watermark", &press, folder));

    samples.push(torn());

    let mut press = two_epochs(material, IDENTITY);
    press.stop();
    samples.push(sample("stopped", &press, press.folder()));
    let mut folder = press.folder();
    // What the thread that prepares segments leaves.
    folder.put("wal-0-2-1.seg", vec![0; 28 << 10]);
    samples.push(sample("prepared", &press, folder));

    // The watermark is from the opening of the epoch, and the log has gone on to another segment since.
    let mut press = two_epochs(material, IDENTITY);
    press.commit().commit().commit().mark();
    assert_eq!(press.segment(), "wal-0-2-1.seg");
    samples.push(sample("rotated", &press, press.folder()));
    samples
}

/// A batch of two pages was being written when the machine stopped; only the first reached the device.
fn torn() -> Sample {
    // The seventh batch of the sale is the one behind `two_epochs`.
    let material = Material::new(8, &[1, 1, 1, 1, 1, 1, 2, 1]);
    let mut press = two_epochs(&material, IDENTITY);
    press.append();
    let mut folder = press.folder();
    let bytes = folder.bytes_mut("wal-0-2-0.seg");
    let last = bytes.iter().rposition(|&byte| byte != 0).unwrap_or(0) / wal::PAGE_BYTES * wal::PAGE_BYTES;
    assert!(bytes[last..].first() != Some(&b'U'), "a batch of two pages");
    bytes[last..].fill(0);
    let mut torn = sample("torn", &press, folder);
    torn.written = torn.acknowledged;
    torn
}

/// Another folder's log in the same shape: of another instance, partition or incarnation.
pub(super) fn foreign(material: &Material) -> Vec<Sample> {
    let others = [
        ("instance", LogIdentity { instance: [8; 16], ..IDENTITY }),
        ("partition", LogIdentity { partition: 1, ..IDENTITY }),
        ("incarnation", LogIdentity { incarnation: 2, ..IDENTITY }),
    ];
    let build = |(name, identity)| {
        let mut press = two_epochs(material, identity);
        press.commit().mark().watermark();
        sample(name, &press, press.folder())
    };
    let mut samples: Vec<Sample> = others.into_iter().map(build).collect();
    // A copy of the folder that was used as well: the same log up to its second epoch.
    let other = Material::other_from(material.batches.len(), 5);
    let mut press = two_epochs(&other, IDENTITY);
    press.commit().mark().watermark();
    samples.push(sample("copy of the folder", &press, press.folder()));
    samples
}

/// The log at every earlier moment of its life, oldest first.
pub(super) fn moments(material: &Material) -> Vec<Folder> {
    let mut moments = Vec::new();
    let mut press = Press::new(material, IDENTITY, SEGMENT_BYTES, 1);
    let steps: [fn(&mut Press<'_>); 11] = [
        |press| _ = press.commit(),
        |press| _ = press.mark(),
        |press| _ = press.commit(),
        |press| _ = press.watermark(),
        |press| _ = press.commit(),
        |press| _ = press.commit(),
        |press| _ = press.hash().sync(),
        |press| _ = press.commit(),
        |press| _ = press.restart(),
        |press| _ = press.commit(),
        |press| _ = press.commit(),
    ];
    for step in steps {
        moments.push(press.folder());
        step(&mut press);
    }
    moments.push(press.folder());
    moments
}

/// A folder with two checkpoints of about 16 KiB and the log of the older one, after a clean stop or not.
/// With the folder as it was when its first checkpoint was young.
pub(super) fn checkpoints(name: &str, events: usize, commands: usize, segment_bytes: u64) -> (Sample, Folder) {
    let config = EngineConfig { checkpoint_segments: usize::MAX, ..engine_config(segment_bytes) };
    let mut sale = Sale::open(&MemoryStorage::new(), START, config.clone()).expect("an empty folder opens");
    for number in 0..events {
        sale.create(&event_name(number));
    }
    sale.settle();
    let trade = |sale: &mut Sale, batches: usize| {
        for _ in 0..batches {
            sale.advance_ms(11);
            sale.trade(commands);
            sale.commit();
        }
    };
    trade(&mut sale, 4);
    sale.advance_ms(1_500);
    assert!(sale.checkpoint().expect("the disk works"), "the first checkpoint");
    trade(&mut sale, 2);
    let young = Folder::of_disk(&sale.disk).expect("a disk in memory answers");
    // The process dies; the next epoch goes on.
    let position = sale.position();
    let hash_at = std::mem::take(&mut sale.hash_at);
    let now = START.plus_ms(8_000);
    let disk = sale.crash(Keep::Everything);
    let mut sale = Sale::open(&disk, now, config).expect("a crash alone never stops a start");
    assert!(sale.position() >= position, "what was answered is there");
    sale.hash_at.extend(hash_at);
    sale.adopt_events(events);
    trade(&mut sale, 2);
    sale.advance_ms(1_500);
    assert!(sale.checkpoint().expect("the disk works"), "the second checkpoint");
    trade(&mut sale, 2);
    // The last batch has its marker, and after a second the watermark.
    sale.settle();
    sale.advance_ms(1_500);
    sale.settle();
    let folder = Folder::of_disk(&sale.disk).expect("a disk in memory answers");
    let position = sale.position();
    let hash_at = Arc::new(std::mem::take(&mut sale.hash_at));
    (Sample::new(name, folder, position, position, hash_at), young)
}
