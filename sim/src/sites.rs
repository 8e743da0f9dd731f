//! What the source says there is to see, marked places and refusals, to find what no world has met.

use std::{collections::BTreeSet, fs, io, path::Path};

/// Where marks may stand.
const FOLDERS: &[&str] = &["inventory-core/src", "wal/src", "engine/src", "sim/src"];
/// The file with the refusals.
const REFUSALS: &str = "inventory-core/src/reject.rs";
const MARKS: &[&str] = &["sometimes!(", "buggify!("];

/// The names of all marks below the root of the repository.
///
/// # Errors
/// When a file cannot be read.
pub fn marked_places(root: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                collect(&fs::read_to_string(&path)?, &mut names);
            }
        }
    }
    Ok(names)
}

/// The names of all refusals of the state machine, in the repository with this root.
///
/// # Errors
/// When the file cannot be read.
pub fn refusals(root: &Path) -> io::Result<BTreeSet<String>> {
    Ok(variants(&fs::read_to_string(root.join(REFUSALS))?, "Reject"))
}

/// The names of the variants of an enum, as rustfmt sets them.
fn variants(text: &str, of: &str) -> BTreeSet<String> {
    let body = text.split_once(&format!("pub enum {of} {{\n")).and_then(|(_, rest)| rest.split_once("\n}\n"));
    let lines = body.map_or("", |(body, _)| body).lines();
    let name = |line: &str| {
        let name = line.strip_prefix("    ")?.split([',', ' ', '(']).next()?;
        name.starts_with(|first: char| first.is_ascii_uppercase()).then(|| name.to_owned())
    };
    lines.filter_map(name).collect()
}

fn collect(text: &str, names: &mut BTreeSet<String>) {
    for mark in MARKS {
        for (_, behind) in text.match_indices(mark).map(|(at, mark)| text.split_at(at + mark.len())) {
            // A mark begins with its name, "part: what"; what does not is text about marks.
            let name = behind.trim_start().strip_prefix('"').and_then(|name| name.split_once('"'));
            names.extend(
                name.filter(|(name, _)| name.contains(": ") && !name.contains('\n')).map(|(name, _)| name.to_owned()),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_also_on_the_next_line() {
        let mut names = BTreeSet::new();
        let source =
            ["x(); some", "times!(\"a: one\", y);\nsome", "times!(\n    \"a: two\"\n); bug", "gify!(\"b: three\")"]
                .concat();
        collect(&source, &mut names);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a: one", "a: two", "b: three"]);
    }

    #[test]
    fn variants_are_found_with_fields_and_without() {
        let source = "pub enum Other {\n    No,\n}\npub enum Reject {\n    /// One\n    One,\n    Two {\n        /// Its.\n        at: u8,\n    },\n}\n";
        assert_eq!(variants(source, "Reject").into_iter().collect::<Vec<_>>(), ["One", "Two"]);
    }
}
