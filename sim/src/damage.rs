//! Damage to a folder at rest, and what must be made of it: the same state, or a refusal, never a wrong answer.

use std::fmt;

use engine::{PLANS_DIR, VerifyReport, verify};
use wal::{MemoryStorage, Storage};

use crate::{
    random::Random,
    violation::{Violation, claim},
};

/// What was done to a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    file: String,
    what: String,
    /// A start must go around it: there is a second copy of what it hurts.
    must_survive: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

/// Bytes of one file rot, or a page of it is replaced. Nothing when there is no file.
pub fn of_bytes(folder: &MemoryStorage, random: &mut Random) -> Option<Damage> {
    let names = folder.list("").ok()?;
    let checkpoints: Vec<&String> = names.iter().filter(|name| name.ends_with(".ckpt")).collect();
    // The newest of two checkpoints is worth a case of its own: the older one and its log are kept for it.
    let newest = (checkpoints.len() == 2 && random.percent(30))
        .then(|| checkpoints.iter().max_by_key(|name| batch_of(name)).map(|name| (*name).clone()))
        .flatten();
    let must_survive = newest.is_some();
    let file = match newest {
        Some(file) => file,
        None if names.is_empty() => return None,
        None => random.pick(&names).clone(),
    };
    let mut content = folder.contents(&file)?;
    if content.is_empty() {
        return None;
    }
    let what = match random.below(4) {
        0 | 1 => {
            // Where there is something: most of a segment is zeros.
            let at = (0..64).map(|_| random.index(content.len())).find(|&at| content[at] != 0).unwrap_or(0);
            let bit = random.below(8) as u8;
            content[at] ^= 1 << bit;
            format!("bit {bit} of byte {at} flipped")
        }
        2 => {
            let page = random.index(content.len().div_ceil(wal::PAGE_BYTES)) * wal::PAGE_BYTES;
            let end = (page + wal::PAGE_BYTES).min(content.len());
            let value = if random.percent(50) { 0 } else { 0xa5 };
            content[page..end].fill(value);
            format!("page at {page} filled with {value}")
        }
        _ => {
            let keep = random.index(content.len());
            content.truncate(keep);
            format!("cut to {keep} bytes")
        }
    };
    folder.put(&file, content);
    Some(Damage { file, what, must_survive })
}

fn batch_of(name: &str) -> u64 {
    name.trim_end_matches(".ckpt").rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A plan file is lost or damaged. Nothing when there is none.
pub fn of_plans(folder: &MemoryStorage, random: &mut Random) -> Option<Damage> {
    let names = folder.list(PLANS_DIR).ok()?;
    if names.is_empty() {
        return None;
    }
    let file = format!("{PLANS_DIR}/{}", random.pick(&names));
    let mut content = folder.contents(&file).filter(|content| !content.is_empty())?;
    let what = match random.below(3) {
        0 => {
            folder.lose(&file);
            return Some(Damage { file, what: "lost".to_owned(), must_survive: false });
        }
        1 => {
            let at = random.index(content.len());
            content[at] ^= 0x10;
            format!("byte {at} changed")
        }
        _ => {
            content.truncate(content.len() / 2);
            "cut in half".to_owned()
        }
    };
    folder.put(&file, content);
    Some(Damage { file, what, must_survive: false })
}

/// Checks a damaged folder that held `before`. The very last batch, for which nothing later vouches, may be taken
/// for a torn tail: then what is left is one of the states `shorter`, positions and hashes. Whether it is refused.
///
/// # Errors
/// It is accepted as something it was not.
pub fn check(
    folder: &MemoryStorage,
    damage: &Damage,
    before: &VerifyReport,
    shorter: &[(u64, u64)],
) -> Result<bool, Violation> {
    match verify(folder) {
        Ok(found) => {
            let left = (found.position, found.state_hash);
            let same = left == (before.position, before.state_hash) || shorter.contains(&left);
            claim("a damaged folder is recovered exactly or refused", same, || {
                format!("{damage}: position {} of {}, verdict {:?}", found.position, before.position, found.verdict)
            })?;
            Ok(false)
        }
        Err(error) => {
            claim("a damaged checkpoint is gone around", !damage.must_survive, || format!("{damage}: {error}"))?;
            claim("a refusal says what is wrong", !error.message.is_empty(), || damage.to_string())?;
            Ok(true)
        }
    }
}
