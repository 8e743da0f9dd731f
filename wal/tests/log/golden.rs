//! The bytes of version 1, as files. With `USHER_UPDATE_GOLDEN=1` the files are written anew: only when
//! the format gets a new number.

use std::io;
use std::path::Path;

use wal::{
    BatchKind, Chain, CheckpointMeta, CheckpointReader, CheckpointWriter, Keep, MemoryStorage, PAGE_BYTES, ReadFile,
    Storage, WATERMARK_NAME, WriteFile, list_checkpoints,
};

use crate::support::{IDENTITY, reopen, replay};

fn check(file: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("USHER_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    let differs = golden.iter().zip(bytes).position(|(a, b)| a != b);
    assert!(
        golden == bytes,
        "{file}: the layout changed at byte {differs:?} of {} ({} now)",
        golden.len(),
        bytes.len()
    );
}

fn golden(file: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)).unwrap()
}

fn small_log() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let (mut writer, _) = reopen(&storage);
    writer.append(BatchKind::Data, 1_700_000_000_000, 2, &[b"two ", b"changes"]).unwrap();
    writer.sync().unwrap();
    writer.mark().unwrap();
    writer.append(BatchKind::Hash, 1_700_000_000_001, 0, &[b"a digest"]).unwrap();
    writer.seal(1_700_000_000_002).unwrap();
    drop(writer);
    // The next epoch writes the batch that nobody vouches for again.
    storage.lose(WATERMARK_NAME);
    drop(reopen(&storage));
    storage
}

#[test]
fn segments_have_these_bytes() {
    let storage = small_log();
    let first = storage.contents("wal-0-1-0.seg").unwrap();
    check("segment_header_v1.bin", &first[..PAGE_BYTES]);
    assert_eq!(first[..PAGE_BYTES], first[PAGE_BYTES..2 * PAGE_BYTES]);
    for (page, file) in
        ["batch_data_v1.bin", "marker_v1.bin", "batch_hash_v1.bin", "batch_seal_v1.bin"].into_iter().enumerate()
    {
        check(file, &first[(2 + page) * PAGE_BYTES..(3 + page) * PAGE_BYTES]);
    }
    assert!(first[6 * PAGE_BYTES..].iter().all(|&byte| byte == 0));
    let second = storage.contents("wal-0-2-0.seg").unwrap();
    check("batch_relog_v1.bin", &second[2 * PAGE_BYTES..3 * PAGE_BYTES]);
}

#[test]
fn the_watermark_has_these_bytes() {
    let storage = MemoryStorage::new();
    let (mut writer, _) = reopen(&storage);
    writer.append(BatchKind::Data, 70, 2, &[b"two changes"]).unwrap();
    writer.sync().unwrap();
    writer.write_watermark(80).unwrap();
    let bytes = storage.contents(WATERMARK_NAME).unwrap();
    // The first page was written when the log was opened.
    check("watermark_v1.bin", &bytes[PAGE_BYTES..]);
}

#[test]
fn a_log_of_version_1_is_read() {
    let storage = MemoryStorage::new();
    let mut bytes = golden("segment_header_v1.bin");
    bytes.extend(golden("segment_header_v1.bin"));
    for file in ["batch_data_v1.bin", "marker_v1.bin", "batch_hash_v1.bin", "batch_seal_v1.bin"] {
        bytes.extend(golden(file));
    }
    bytes.resize(crate::support::SEGMENT_BYTES as usize, 0);
    storage.put("wal-0-1-0.seg", bytes);
    let replayed = replay(&storage).unwrap();
    assert!(replayed.recovered.sealed);
    assert_eq!(replayed.recovered.identity, Some(IDENTITY));
    assert_eq!(
        replayed.batches,
        [(1, 1, 2, 1_700_000_000_000, b"two changes".to_vec()), (2, 3, 0, 1_700_000_000_001, b"a digest".to_vec()),]
    );
}

fn meta() -> CheckpointMeta {
    CheckpointMeta {
        identity: IDENTITY,
        batch_seq: 12,
        next_position: 34,
        chain: Chain([5; 16]),
        time_ms: 1_700_000_000_000,
        hash: [6; 16],
        restored_at_ms: None,
    }
}

#[test]
fn a_checkpoint_has_these_bytes() {
    let storage = MemoryStorage::new();
    let mut writer = CheckpointWriter::create(&storage, meta()).unwrap();
    writer.add_section(7, b"seven").unwrap();
    writer.add_section(3, b"").unwrap();
    writer.add_section(8, &vec![8; 70_000]).unwrap();
    let name = writer.finish().unwrap();
    assert_eq!(name, "snap-0-12.ckpt");
    check("checkpoint_v1.bin", &storage.contents(&name).unwrap());
    // Whole and under its name, also when the power fails right now.
    let left = storage.crash(Keep::Nothing);
    assert_eq!(list_checkpoints(&left).unwrap(), [name.as_str()]);
    CheckpointReader::open(&left, &name).unwrap().verify_all().unwrap();
}

#[test]
fn a_checkpoint_that_a_restore_wrote_says_so_and_when() {
    let storage = MemoryStorage::new();
    let restored = CheckpointMeta { restored_at_ms: Some(1_700_000_500_000), ..meta() };
    let name = CheckpointWriter::create(&storage, restored).unwrap().finish().unwrap();
    check("checkpoint_restored_v1.bin", &storage.contents(&name).unwrap()[..PAGE_BYTES]);
    assert_eq!(*CheckpointReader::open(&storage, &name).unwrap().meta(), restored);
}

#[test]
fn a_checkpoint_with_a_flag_nobody_knows_is_a_newer_programs() {
    let name = "snap-0-12.ckpt";
    let mut bytes = golden("checkpoint_v1.bin");
    bytes[10] = 2;
    let crc = crc32c::crc32c(&bytes[..PAGE_BYTES - 4]);
    bytes[PAGE_BYTES - 4..PAGE_BYTES].copy_from_slice(&crc.to_le_bytes());
    let storage = MemoryStorage::new();
    storage.put(name, bytes);
    let error = CheckpointReader::open(&storage, name).err().unwrap();
    assert!(matches!(error, wal::CheckpointError::NewerFormat { .. }), "{error}");
}

#[test]
fn a_checkpoint_of_version_1_is_read() {
    let storage = MemoryStorage::new();
    storage.put("snap-0-12.ckpt", golden("checkpoint_v1.bin"));
    let reader = CheckpointReader::open(&storage, "snap-0-12.ckpt").unwrap();
    reader.verify_all().unwrap();
    assert_eq!(*reader.meta(), meta());
    assert_eq!(reader.sections().collect::<Vec<_>>(), [7, 3, 8]);
    assert_eq!(reader.read_section(7).unwrap(), b"seven");
    assert_eq!(reader.read_section(3).unwrap(), b"");
    assert_eq!(reader.read_section(8).unwrap(), vec![8; 70_000]);
    assert!(reader.read_section(9).is_err());
    storage.put("snap-0-9.ckpt", Vec::new());
    storage.put("snap-0-100.ckpt", Vec::new());
    storage.put("snap-0-100.ckpt.tmp", Vec::new());
    assert_eq!(list_checkpoints(&storage).unwrap(), ["snap-0-100.ckpt", "snap-0-12.ckpt", "snap-0-9.ckpt"]);
}

#[test]
fn every_damaged_byte_of_a_checkpoint_is_noticed() {
    let whole = golden("checkpoint_v1.bin");
    let name = "snap-0-12.ckpt";
    // Every byte of the header's fields, the table and the tail; a sample of the rest.
    let dense = |at: usize| at < 128 || at + 256 > whole.len() || at.is_multiple_of(97);
    for at in (0..whole.len()).filter(|&at| dense(at)) {
        let storage = MemoryStorage::new();
        storage.put(name, whole.clone());
        storage.overwrite(name, at, &[whole[at] ^ (1 << (at % 8))]);
        let verified = CheckpointReader::open(&storage, name).and_then(|reader| reader.verify_all());
        assert!(verified.is_err(), "byte {at}");
    }
    for length in (0..whole.len()).filter(|&at| dense(at)) {
        let storage = MemoryStorage::new();
        storage.put(name, whole[..length].to_vec());
        assert!(CheckpointReader::open(&storage, name).is_err(), "length {length}");
    }
}

/// A device that loses a bit of what it was given.
struct Rotting(MemoryStorage);

impl Storage for Rotting {
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }
    fn open_read(&self, name: &str) -> io::Result<Box<dyn ReadFile>> {
        self.0.overwrite(name, PAGE_BYTES + 20, &[0xFF]);
        self.0.open_read(name)
    }
    fn create_new(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        self.0.create_new(name)
    }
    fn open_write(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        self.0.open_write(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.0.create_dir(dir)
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.0.sync_dir(dir)
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.0.exists(name)
    }
    fn space_available(&self) -> io::Result<u64> {
        self.0.space_available()
    }
}

#[test]
fn a_checkpoint_that_reads_back_differently_gets_no_name() {
    let storage = Rotting(MemoryStorage::new());
    let mut writer = CheckpointWriter::create(&storage, meta()).unwrap();
    writer.add_section(7, &[7; 1000]).unwrap();
    assert!(writer.finish().is_err());
    assert_eq!(list_checkpoints(&storage).unwrap(), [""; 0]);
    // The next one takes the remains away.
    let writer = CheckpointWriter::create(&storage.0, meta()).unwrap();
    writer.finish().unwrap();
    assert_eq!(storage.0.list("").unwrap(), ["snap-0-12.ckpt"]);
}
