//! Every file of the corpora, and some thousand seeded mutations of each, through its target.
//!
//! `USHER_CORPUS=write cargo test -p fuzz-targets` writes the seeds that are missing.

mod allocated;
mod seeds;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use fuzz_targets::{TARGETS, Target, mutate::mutated};

/// Mutations of each file.
const MUTATIONS: u64 = 2_000;
/// What a target may hold at once for one input: its inputs are at most 16 KiB long.
const BYTES_HELD_MAX: usize = 16 << 20;
/// Corpora are read by people who clone the repository: they stay small.
const CORPORA_BYTES_MAX: u64 = 200_000;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target)
}

/// The corpus of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("it lists").path();
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("it reads"))
        })
        .collect();
    files.sort();
    files
}

/// Runs one input; a failure names it by its bytes.
fn run(target: &Target, what: &str, input: &[u8]) {
    let (result, held) = allocated::most_held(|| catch_unwind(AssertUnwindSafe(|| (target.run)(input))));
    if result.is_err() {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{}, {what}: it failed on {} bytes: {hex}", target.name, input.len());
    }
    assert!(held <= BYTES_HELD_MAX, "{}, {what}: it held {held} bytes for {} bytes", target.name, input.len());
}

#[test]
fn every_seed_is_in_the_corpus() {
    for target in TARGETS {
        for (name, bytes) in seeds::seeds(target.name) {
            let path = folder(target.name).join(name);
            if std::env::var_os("USHER_CORPUS").is_some_and(|value| value == "write") && !path.exists() {
                fs::create_dir_all(folder(target.name)).expect("a folder");
                fs::write(&path, &bytes).expect("it is written");
            }
            assert_eq!(fs::read(&path).ok(), Some(bytes), "{} is another one", path.display());
        }
    }
}

#[test]
fn no_target_fails_on_its_corpus() {
    let mut bytes = 0;
    for target in TARGETS {
        for (name, input) in corpus(target.name) {
            bytes += input.len() as u64;
            assert!(input.len() <= target.bytes_max, "{name} is longer than what {} is given", target.name);
            run(target, &name, &input);
        }
    }
    assert!(bytes <= CORPORA_BYTES_MAX, "{bytes} bytes of corpora");
}

#[test]
fn no_target_fails_on_nothing() {
    for target in TARGETS {
        run(target, "nothing", &[]);
    }
}

#[test]
fn no_target_fails_on_mutations_of_its_corpus() {
    for target in TARGETS {
        let corpus = corpus(target.name);
        for seed in 0..MUTATIONS * corpus.len() as u64 {
            let (name, input) = &corpus[seed as usize % corpus.len()];
            let (_, other) = &corpus[(seed as usize / corpus.len()) % corpus.len()];
            let input = mutated(input, other, seed, target.bytes_max);
            run(target, &format!("mutation {seed} of {name}"), &input);
        }
    }
}
