//! Instructions of a command, counted: what a shared machine cannot blur as it blurs times.
//!
//! Every work runs twice under callgrind with different counts of repetitions, and the difference, divided, is what
//! one of them takes: start, input and end cancel out, and no symbol has to survive the optimizer. The numbers are
//! those of one compiler, one libc and processors with AVX2; another toolchain needs new ones (`--bless`).
//!
//! Valgrind 3.19 knows no AVX-512 and need not: the crates and the libc that choose code by processor (CRC32C,
//! xxHash, BLAKE3, memcpy) ask the processor that valgrind shows them, which has none. A build for one processor
//! (`-C target-cpu=native`) would stop at an illegal instruction; that is why RUSTFLAGS are not passed on.
//!
//! Not here: the work (`benches/src/bin/counted.rs`), times (`cargo bench -p benches`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::program::{cargo, finish, target_folder};

const USAGE: &str = "usage: cargo xtask instructions [--bless]
  instructions of one command, beside those in benches/instructions.toml; fails when they differ by more than 3 %
  --bless  write what was counted into that file";

/// The file with the numbers, from the root.
const COMMITTED: &str = "benches/instructions.toml";
/// More of a difference than a rebuild makes, and less than a change that anybody would want to hide.
const TOLERANCE_PERCENT: u64 = 3;
/// Repetitions of the two runs. What is done once, such as a table that grows, is mostly done after the first.
const FEW: u32 = 1_024;
const MANY: u32 = 4_096;

/// What is counted, and what it is.
const WORKS: &[(&str, &str)] = &[
    ("hold", "decide and apply a hold of two seats"),
    ("confirm", "decide and apply its confirm"),
    ("encode-hold", "the bytes of the hold's change"),
    ("encode-confirm", "the bytes of the confirm's change"),
    ("turn", "a hold of two seats in turns of 256: submit, judge, append and sync in memory, show"),
];

/// Counts, and compares or blesses.
///
/// # Errors
/// When something does not build or run, or a number differs by more than the tolerance.
pub fn run(root: &Path, arguments: &[OsString]) -> Result<()> {
    let bless = match arguments {
        [] => false,
        [word] if word == "--bless" => true,
        _ => bail!("{USAGE}"),
    };
    if !has_valgrind()? {
        if std::env::var_os("CI").is_some() {
            bail!("valgrind is not installed (apt-get install valgrind)");
        }
        println!("SKIPPED: valgrind is not installed (apt-get install valgrind), instructions are NOT counted");
        return Ok(());
    }
    let mut build = cargo(root);
    build.args(["build", "--quiet", "--release", "--package", "benches", "--bin", "counted"]);
    finish(build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    let program = target_folder(root).join("release/counted");
    let counted = count_all(&program)?;
    let file = root.join(COMMITTED);
    if bless {
        return std::fs::write(&file, written(&counted)).with_context(|| format!("write {}", file.display()));
    }
    let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let differences = differences(&committed(&text)?, &counted);
    if !differences.is_empty() {
        bail!("{}", differences.join("\n"));
    }
    Ok(())
}

fn has_valgrind() -> Result<bool> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) => Ok(output.status.success()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context("start valgrind"),
    }
}

/// Instructions of one repetition of each work.
fn count_all(program: &Path) -> Result<BTreeMap<String, u64>> {
    let mut counted = BTreeMap::new();
    for (work, what) in WORKS {
        let (few, many) = (count(program, work, FEW)?, count(program, work, MANY)?);
        let more = many.checked_sub(few).with_context(|| format!("{work}: more repetitions took less"))?;
        let each = more / u64::from(MANY - FEW);
        println!("{work:15} {each:6}  {what}");
        counted.insert((*work).to_owned(), each);
    }
    Ok(counted)
}

/// Instructions of one run.
fn count(program: &Path, work: &str, repetitions: u32) -> Result<u64> {
    let mut run = Command::new("valgrind");
    run.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).arg(work);
    // The allocator gives memory back when some time has passed, and under valgrind no time is like another.
    run.arg(repetitions.to_string()).env("MIMALLOC_PURGE_DELAY", "-1");
    let output = run.output().with_context(|| format!("start {run:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{run:?}: {}\n{said}", output.status);
    }
    collected(&said).with_context(|| format!("{run:?} does not say how many instructions there were:\n{said}"))
}

/// The sum in what callgrind says at the end: `==123== Collected : 4711`.
#[must_use]
pub fn collected(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("Collected :")?;
    rest.lines().next()?.trim().parse().ok()
}

/// The file for these numbers.
fn written(counted: &BTreeMap<String, u64>) -> String {
    let mut text = String::from(
        "# Instructions of one command: `cargo xtask instructions` compares, `cargo xtask instructions --bless` writes.\n",
    );
    for (work, what) in WORKS {
        if let Some(each) = counted.get(*work) {
            // Nothing fails that writes to a String.
            let _ = write!(text, "\n# {what}\n{work} = {each}\n");
        }
    }
    text
}

/// The numbers in the file.
///
/// # Errors
/// When it is not of names and whole numbers.
pub fn committed(text: &str) -> Result<BTreeMap<String, u64>> {
    let table: toml::Table = text.parse().with_context(|| format!("parse {COMMITTED}"))?;
    let number = |(work, value): (String, toml::Value)| {
        let each = value.as_integer().and_then(|each| u64::try_from(each).ok());
        Ok((work.clone(), each.with_context(|| format!("{COMMITTED}: {work} is no number of instructions"))?))
    };
    table.into_iter().map(number).collect()
}

/// One sentence for each number that is not what was committed; empty when all are.
#[must_use]
pub fn differences(committed: &BTreeMap<String, u64>, counted: &BTreeMap<String, u64>) -> Vec<String> {
    let mut sentences = Vec::new();
    for (work, &now) in counted {
        let Some(&then) = committed.get(work) else {
            sentences.push(format!("{work} is not in {COMMITTED}: write it with --bless"));
            continue;
        };
        let percent = (now as f64 / then as f64 - 1.0).abs() * 100.0;
        if now * 100 > then * (100 + TOLERANCE_PERCENT) {
            sentences.push(format!("{work} takes {percent:.1} % more instructions than committed: {then}, now {now}"));
        } else if now * 100 < then * (100 - TOLERANCE_PERCENT) {
            sentences.push(format!(
                "{work} takes {percent:.1} % fewer instructions than committed: {then}, now {now}; lower the number \
                 with --bless, so that what was won stays won"
            ));
        }
    }
    let gone = committed.keys().filter(|work| !counted.contains_key(*work));
    sentences.extend(gone.map(|work| format!("{work} is in {COMMITTED} and is not counted: remove it with --bless")));
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
        of.iter().map(|(work, each)| ((*work).to_owned(), *each)).collect()
    }

    #[test]
    fn the_sum_is_found_in_what_callgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 47847698\n==7== \n==7== I   refs:      47,847,698\n";
        assert_eq!(collected(said), Some(47_847_698));
        assert_eq!(collected("==7== Process terminating with default action of signal 4 (SIGILL)"), None);
    }

    #[test]
    fn three_percent_are_let_pass_in_both_directions() {
        let committed = numbers(&[("hold", 1_000)]);
        assert!(differences(&committed, &numbers(&[("hold", 1_030)])).is_empty());
        assert!(differences(&committed, &numbers(&[("hold", 970)])).is_empty());
        assert!(differences(&committed, &numbers(&[("hold", 1_031)]))[0].contains("3.1 % more"));
        assert!(differences(&committed, &numbers(&[("hold", 969)]))[0].contains("3.1 % fewer"));
    }

    #[test]
    fn a_work_without_a_number_and_a_number_without_a_work_are_told() {
        let found = differences(&numbers(&[("confirm", 1)]), &numbers(&[("hold", 1)]));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn what_is_written_reads_back() {
        let counted = numbers(&[("hold", 2_743), ("encode-hold", 241)]);
        assert_eq!(committed(&written(&counted)).expect("it is what was written"), counted);
        assert!(committed("hold = -1").is_err());
    }
}
