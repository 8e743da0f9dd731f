//! The venue plans: one file each, named by its digest, shared in memory by all events that use it.
//!
//! A plan file is durable before the change that names it is decided, so a log never names a plan that
//! is not there. No plan file is removed: which ones a replay may still need is known only to whoever
//! reads all of the log.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    sync::Arc,
};

use inventory_core::{
    ids::PlanDigest, limits::PLAN_BYTES_MAX, plan::Plan, plan_codec, price_level::give_level, slot::Plans,
};
use wal::{ReadFile, Storage, write_file_atomically};

use crate::{
    line::PlanLine,
    sync::{Mutex, RwLock},
};

/// The folder of the plan files.
pub const PLANS_DIR: &str = "plans";
const SUFFIX: &str = ".plan";

/// A plan cannot be stored.
#[derive(Debug)]
pub enum PlanStoreError {
    /// The bytes are no plan, or one with errors.
    Invalid(String),
    /// The operating system refused.
    Io {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
}

impl fmt::Display for PlanStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanStoreError::Invalid(why) => write!(f, "the plan is not valid: {why}"),
            PlanStoreError::Io { file, source } => write!(f, "{file}: {source}"),
        }
    }
}

impl std::error::Error for PlanStoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PlanStoreError::Invalid(_) => None,
            PlanStoreError::Io { source, .. } => Some(source),
        }
    }
}

/// Plans on disk and in memory.
pub struct PlanStore {
    storage: Arc<dyn Storage>,
    plans: RwLock<HashMap<PlanDigest, Arc<Plan>>>,
    /// One file is written at a time.
    writing: Mutex<()>,
}

impl PlanStore {
    pub(crate) fn new(storage: Arc<dyn Storage>, plans: HashMap<PlanDigest, Arc<Plan>>) -> PlanStore {
        PlanStore { storage, plans: RwLock::new(plans), writing: Mutex::new(()) }
    }

    /// Makes an encoded plan durable and gives it back built. One that is there already is given back as
    /// it is. Slow (a sync, and building a large plan): not for the thread of a shard.
    pub fn put(&self, encoded: Vec<u8>) -> Result<Arc<Plan>, PlanStoreError> {
        let digest = digest_of(&encoded);
        if let Some(plan) = self.get(&digest) {
            return Ok(plan);
        }
        let plan = Arc::new(build(&encoded, digest).map_err(PlanStoreError::Invalid)?);
        let _writing = self.writing.lock();
        if let Some(plan) = self.get(&digest) {
            return Ok(plan);
        }
        let name = format!("{digest}{SUFFIX}");
        if probe::planted!(PlanNotSynced) {
            let _ =
                self.storage.create_new(&format!("{PLANS_DIR}/{name}")).map(|mut file| file.write_all_at(0, &encoded));
        } else {
            write_file_atomically(self.storage.as_ref(), PLANS_DIR, &name, &encoded)
                .map_err(|source| PlanStoreError::Io { file: format!("{PLANS_DIR}/{name}"), source })?;
        }
        self.plans.write().insert(digest, Arc::clone(&plan));
        Ok(plan)
    }

    /// Where the files are.
    pub(crate) fn storage(&self) -> &dyn Storage {
        self.storage.as_ref()
    }

    /// A stored plan with the price level `level` for these seats, sorted, and these areas: its bytes, to be made durable
    /// by [`PlanStore::put`]. Nothing when the level would be one too
    /// many, or the file too long. Slow: it reads the file of the plan.
    pub fn with_level(
        &self,
        digest: &PlanDigest,
        seats: &[u32],
        areas: &[u16],
        level: &str,
    ) -> Result<Option<Vec<u8>>, PlanStoreError> {
        let encoded = read_encoded(self.storage.as_ref(), digest)?;
        let mut spec = plan_codec::decode_plan(&encoded).map_err(|error| PlanStoreError::Invalid(error.to_string()))?;
        // A name and its length are all that may come to the file.
        let fits = encoded.len() + level.len() + 8 <= PLAN_BYTES_MAX;
        if !fits || !give_level(&mut spec, seats, areas, level) {
            return Ok(None);
        }
        Ok(Some(plan_codec::encode_plan(&spec)))
    }

    /// The plan that encoded bytes are, built and not stored: for looking only, nothing durable may name it.
    pub fn built(encoded: &[u8]) -> Result<Arc<Plan>, PlanStoreError> {
        build(encoded, digest_of(encoded)).map(Arc::new).map_err(PlanStoreError::Invalid)
    }

    /// The plan with this digest, if it was ever stored.
    #[must_use]
    pub fn get(&self, digest: &PlanDigest) -> Option<Arc<Plan>> {
        self.plans.read().get(digest).cloned()
    }
}

impl Plans for PlanStore {
    fn plan(&self, digest: &PlanDigest) -> Arc<Plan> {
        self.get(digest).expect("a plan is durable before the change that names it")
    }
}

/// The plan files of a folder, read once.
pub(crate) struct PlanFiles {
    pub(crate) plans: HashMap<PlanDigest, Arc<Plan>>,
    /// Files that are no good, and why. They matter when something names them.
    pub(crate) bad: BTreeMap<String, String>,
}

impl PlanFiles {
    pub(crate) fn none() -> PlanFiles {
        PlanFiles { plans: HashMap::new(), bad: BTreeMap::new() }
    }

    /// Reads and builds every plan file. Writes nothing.
    pub(crate) fn read(storage: &dyn Storage) -> Result<PlanFiles, PlanStoreError> {
        let mut files = PlanFiles::none();
        let list = storage.list(PLANS_DIR);
        for name in list.map_err(|source| PlanStoreError::Io { file: PLANS_DIR.to_owned(), source })? {
            files.read_one(storage, &name)?;
        }
        Ok(files)
    }

    fn read_one(&mut self, storage: &dyn Storage, name: &str) -> Result<(), PlanStoreError> {
        let Some(named) = name.strip_suffix(SUFFIX) else { return Ok(()) };
        let path = format!("{PLANS_DIR}/{name}");
        let read = read_file(storage, &path).map_err(|source| PlanStoreError::Io { file: path.clone(), source })?;
        let Some(encoded) = read else {
            self.bad.insert(path, format!("it is longer than {PLAN_BYTES_MAX} bytes, more than any plan"));
            return Ok(());
        };
        let digest = digest_of(&encoded);
        if digest.to_string() != named {
            self.bad.insert(path, format!("its content has the digest {digest}"));
            return Ok(());
        }
        match build(&encoded, digest) {
            Ok(plan) => drop(self.plans.insert(digest, Arc::new(plan))),
            Err(why) => drop(self.bad.insert(path, why)),
        }
        Ok(())
    }

    /// As [`PlanFiles::read`], and a file that cannot be read is a bad one. Fails only when the folder of the
    /// plans cannot be listed.
    pub(crate) fn read_all(storage: &dyn Storage) -> Result<PlanFiles, (String, io::Error)> {
        let mut files = PlanFiles::none();
        for name in storage.list(PLANS_DIR).map_err(|error| (PLANS_DIR.to_owned(), error))? {
            if let Err(PlanStoreError::Io { file, source }) = files.read_one(storage, &name) {
                files.bad.insert(file, format!("it cannot be read: {source}"));
            }
        }
        Ok(files)
    }

    /// Every plan file as a line, by name.
    pub(crate) fn lines(&self) -> Vec<PlanLine> {
        let good = self.plans.values().map(|plan| PlanLine {
            file: file_of(&plan.digest()),
            digest: Some(plan.digest()),
            name: Some(plan.name().to_owned()),
            seats: plan.seat_count(),
            capacity: plan.capacity(),
            problem: None,
        });
        let bad = self.bad.iter().map(|(file, why)| PlanLine {
            file: file.clone(),
            digest: None,
            name: None,
            seats: 0,
            capacity: 0,
            problem: Some(why.clone()),
        });
        let mut lines: Vec<PlanLine> = good.chain(bad).collect();
        lines.sort_by(|a, b| a.file.cmp(&b.file));
        lines
    }

    /// Why a plan that something names is not there.
    pub(crate) fn missing(&self, digest: &PlanDigest) -> String {
        let path = file_of(digest);
        match self.bad.get(&path) {
            Some(why) => format!("{path} is damaged: {why}"),
            None => format!("{path} is missing"),
        }
    }
}

impl Plans for PlanFiles {
    fn plan(&self, digest: &PlanDigest) -> Arc<Plan> {
        // Replay looks for the plan before it applies what names it.
        Arc::clone(self.plans.get(digest).expect("the plan was looked for before"))
    }
}

/// The bytes of a plan file that was read before.
pub(crate) fn read_encoded(storage: &dyn Storage, digest: &PlanDigest) -> Result<Vec<u8>, PlanStoreError> {
    let path = file_of(digest);
    let read = read_file(storage, &path).and_then(|encoded| {
        encoded.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it has grown longer than any plan"))
    });
    read.map_err(|source| PlanStoreError::Io { file: path, source })
}

/// The bytes of a plan file; nothing when it is longer than any plan, whose length is not worth believing.
fn read_file(storage: &dyn Storage, path: &str) -> io::Result<Option<Vec<u8>>> {
    read_bounded(storage.open_read(path)?.as_ref())
}

fn read_bounded(file: &dyn ReadFile) -> io::Result<Option<Vec<u8>>> {
    let Some(len) = usize::try_from(file.len()?).ok().filter(|&len| len <= PLAN_BYTES_MAX) else { return Ok(None) };
    let mut encoded = vec![0; len];
    file.read_exact_at(0, &mut encoded)?;
    Ok(Some(encoded))
}

/// The path of a plan's file.
pub(crate) fn file_of(digest: &PlanDigest) -> String {
    format!("{PLANS_DIR}/{digest}{SUFFIX}")
}

/// The digest that an encoded plan goes by.
#[must_use]
pub fn digest_of(encoded: &[u8]) -> PlanDigest {
    PlanDigest(*blake3::hash(encoded).as_bytes())
}

/// The name of its file.
pub(crate) fn plan_file_name(encoded: &[u8]) -> String {
    format!("{}{SUFFIX}", digest_of(encoded))
}

pub(crate) fn build(encoded: &[u8], digest: PlanDigest) -> Result<Plan, String> {
    let spec = plan_codec::decode_plan(encoded).map_err(|error| error.to_string())?;
    Plan::build(&spec, digest).map_err(|problems| {
        let texts: Vec<String> =
            problems.iter().map(|problem| format!("{}: {}", problem.path, problem.problem)).collect();
        texts.join("; ")
    })
}

#[cfg(test)]
mod tests {
    use inventory_core::plan::{Area, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec};
    use wal::MemoryStorage;

    use super::*;

    /// A file that is long and must not be read.
    struct Long(u64);

    impl ReadFile for Long {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0)
        }

        fn read_exact_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            panic!("its length was believed");
        }
    }

    /// A row of three seats and an area, all of the first of these levels.
    fn spec(levels: usize) -> PlanSpec {
        let seat = |nth: u8| SeatSpec {
            key: format!("S-{nth}").into(),
            label: "".into(),
            at: Point { x: i32::from(nth), y: 0 },
            level: 0,
            attributes: 0,
            aisle_after: false,
        };
        let row = RowSpec { label: "A".into(), kind: RowKind::Row, seats: (0..3).map(seat).collect() };
        let section = SectionSpec { key: "S".into(), label: "".into(), zone: None, rows: vec![row] };
        let area =
            Area { key: "Floor".into(), label: "".into(), zone: None, level: 0, capacity: 5, centre: Point::default() };
        PlanSpec {
            price_levels: (0..levels).map(|nth| format!("level {nth}").into()).collect(),
            sections: vec![section],
            areas: vec![area],
            ..PlanSpec::default()
        }
    }

    #[test]
    fn a_level_is_given_to_what_is_named_and_to_nothing_else() {
        let storage = MemoryStorage::new();
        storage.create_dir(PLANS_DIR).expect("room in memory");
        let store = PlanStore::new(Arc::new(storage), HashMap::new());
        let old = store.put(plan_codec::encode_plan(&spec(2))).expect("a plan").digest();
        let of = |seats: &[u32], areas: &[u16], level: &str| {
            let encoded = store.with_level(&old, seats, areas, level).expect("it reads").expect("there is room");
            plan_codec::decode_plan(&encoded).expect("a plan")
        };
        let mut expected = spec(2);
        expected.sections[0].rows[0].seats[1].level = 1;
        assert_eq!(of(&[1], &[], "level 1"), expected);
        expected.price_levels.push("new".into());
        for (at, level) in [2, 0, 2].into_iter().enumerate() {
            expected.sections[0].rows[0].seats[at].level = level;
        }
        expected.areas[0].level = 2;
        assert_eq!(of(&[0, 2], &[0], "new"), expected);
        assert_eq!(store.get(&old).expect("as it was").price_levels().len(), 2);

        let full = store
            .put(plan_codec::encode_plan(&spec(inventory_core::limits::PRICE_LEVELS_PER_PLAN_MAX)))
            .expect("a plan")
            .digest();
        assert_eq!(store.with_level(&full, &[0], &[], "new").expect("it reads"), None);
        assert!(store.with_level(&full, &[0], &[], "level 254").expect("it reads").is_some());
    }

    #[test]
    fn a_file_longer_than_any_plan_is_not_read() {
        for len in [PLAN_BYTES_MAX as u64 + 1, u64::MAX] {
            assert_eq!(read_bounded(&Long(len)).expect("its length is known"), None);
        }
    }
}
