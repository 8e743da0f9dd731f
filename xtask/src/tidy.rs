//! Checks of the repository as a whole that no compiler makes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::arrows;

/// Names that say nothing about what is inside. Name a thing for what it is and put it beside its user.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "shared", "stuff"];

/// What a build or a run leaves behind; it is not part of the repository.
const LEFT_BEHIND: &[&str] = &[".git", "target", "node_modules", "usher-data"];

/// Fails with a list of all that is untidy.
///
/// # Errors
/// When something is untidy or cannot be read.
pub fn run(root: &Path) -> Result<()> {
    let problems = problems(root)?;
    if !problems.is_empty() {
        bail!("untidy:\n  {}", problems.join("\n  "));
    }
    Ok(())
}

/// One sentence for each untidy thing.
///
/// # Errors
/// When a file cannot be read.
pub fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = arrows::wrong_arrows(&arrows::read_packages(root)?);
    let core = fs::read_to_string(root.join("inventory-core/src/lib.rs"))?;
    for attribute in arrows::missing_core_attributes(&core) {
        problems.push(format!("inventory-core/src/lib.rs must have {attribute}"));
    }
    for path in files(root)? {
        let name = path.strip_prefix(root).unwrap_or(&path);
        problems.extend(empty_name(name));
        if is_text(name) {
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let folder = name.parent().unwrap_or(Path::new(""));
            for target in missing_documents(root, folder, name, &text) {
                problems.push(format!("{} names {target}, which does not exist", name.display()));
            }
        }
    }
    Ok(problems)
}

/// The sentence about a path of which a part says nothing.
#[must_use]
pub fn empty_name(path: &Path) -> Option<String> {
    let part = path.iter().find(|part| {
        let stem = Path::new(part).file_stem().unwrap_or(part);
        EMPTY_NAMES.iter().any(|empty| stem == *empty)
    })?;
    Some(format!("{}: `{}` says nothing about what is inside", path.display(), part.to_string_lossy()))
}

fn is_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("md" | "rs" | "proto" | "toml" | "sh" | "yaml" | "yml"))
}

/// Documents a text names that are not there: relative links of Markdown, and `docs/….md` anywhere.
#[must_use]
pub fn missing_documents(root: &Path, folder: &Path, name: &Path, text: &str) -> Vec<String> {
    let mut missing = Vec::new();
    if name.extension().is_some_and(|extension| extension == "md") {
        for target in markdown_links(text) {
            if !root.join(folder).join(target).exists() {
                missing.push(target.to_owned());
            }
        }
    }
    let is_part_of_path = |letter: char| letter.is_ascii_alphanumeric() || "/-_.".contains(letter);
    for word in text.split(|letter| !is_part_of_path(letter)) {
        let word = word.trim_end_matches('.');
        if word.starts_with("docs/") && word.ends_with(".md") && !root.join(word).exists() {
            missing.push(word.to_owned());
        }
    }
    missing.sort();
    missing.dedup();
    missing
}

/// Targets of links that lie in the repository, without their fragment.
fn markdown_links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ', '\n']).next()?;
        let target = target.split('#').next()?;
        let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
        (!target.is_empty() && !is_elsewhere).then_some(target)
    })
}

fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let entry = entry?;
            let is_left_behind = LEFT_BEHIND.iter().any(|name| entry.file_name() == *name);
            // A symbolic link is not followed: it may lead out of the repository or in a circle.
            let kind = entry.file_type()?;
            if kind.is_dir() && !is_left_behind {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}
