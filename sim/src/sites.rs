//! The marked places of the source, to see which of them no world has reached.

use std::{collections::BTreeSet, fs, io, path::Path};

/// Where marks may stand.
const FOLDERS: &[&str] = &["inventory-core/src", "wal/src", "engine/src", "sim/src"];
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
}
