//! The byte layouts in docs/FORMAT.md: copies of the pictures that stand beside the encoders.
//!
//! A layout has two readers. Who changes an encoder wants it in the same file; who writes another
//! reader of the format wants one page. So the page says `<!-- layout: path -->` and `cargo xtask
//! layouts` puts every `text` block of that file's header below; a test fails when they differ.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

/// The page.
const PAGE: &str = "docs/FORMAT.md";
const OPEN: &str = "<!-- layout: ";
const CLOSE: &str = "<!-- /layout -->";

/// Writes the layouts into the page.
///
/// # Errors
/// When a file cannot be read or the page cannot be written.
pub fn run(root: &Path) -> Result<()> {
    let page = fs::read_to_string(root.join(PAGE)).context(PAGE)?;
    fs::write(root.join(PAGE), rendered(root, &page)?).context(PAGE)
}

/// Whether the page is what `run` would write.
///
/// # Errors
/// When a file cannot be read, or a layout on the page is not closed.
pub fn is_fresh(root: &Path) -> Result<bool> {
    let page = fs::read_to_string(root.join(PAGE)).context(PAGE)?;
    Ok(rendered(root, &page)? == page)
}

/// `page` with every layout replaced by what its source says.
fn rendered(root: &Path, page: &str) -> Result<String> {
    let mut out = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(path) = line.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let source = fs::read_to_string(root.join(path)).with_context(|| format!("{PAGE} names {path}"))?;
        for picture in pictures(&source) {
            out.push_str("\n```text\n");
            out.push_str(&picture);
            out.push_str("```\n");
        }
        out.push('\n');
        if !lines.by_ref().any(|line| line == CLOSE) {
            bail!("{PAGE}: the layout of {path} has no {CLOSE}");
        }
        out.push_str(CLOSE);
        out.push('\n');
    }
    Ok(out)
}

/// The `text` blocks of a file's module header.
fn pictures(source: &str) -> Vec<String> {
    let header = source.lines().take_while(|line| line.starts_with("//!"));
    let mut pictures = Vec::new();
    let mut open: Option<String> = None;
    for line in header {
        let line = line.trim_start_matches("//!").strip_prefix(' ').unwrap_or("");
        match (line, &mut open) {
            ("```text", None) => open = Some(String::new()),
            ("```", Some(_)) => pictures.extend(open.take()),
            (line, Some(picture)) => {
                picture.push_str(line);
                picture.push('\n');
            }
            (_, None) => {}
        }
    }
    pictures
}

#[cfg(test)]
mod tests {
    use super::pictures;

    #[test]
    fn every_text_block_of_the_header_is_a_picture_and_nothing_else_is() {
        let source = "//! One.\n//!\n//! ```text\n//! | a |\n//!   b\n//! ```\n//! ```rust\n//! c\n//! ```\nfn d() {}\n//! ```text\n//! e\n//! ```\n";
        assert_eq!(pictures(source), ["| a |\n  b\n"]);
    }
}
