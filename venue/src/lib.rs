//! Venue plans as documents: our own JSON format and the importers that make a core plan of others'.
//!
//! A document goes through three steps: JSON to a tree of values, the tree to a [`PlanSpec`] by one
//! file for each format, and the core's own check of that plan. Whatever is wrong is told by its
//! path in the *source* document, all of it in one pass, so that an author mends a plan once.
//!
//! Invariants:
//!
//! - V1. No document makes an import panic; one over [`IMPORT_BYTES_MAX`] is not looked at.
//! - V2. The same document gives the same plan on every machine: positions are decimal arithmetic,
//!   circles are computed with additions and products only. A plan is named by its digest.
//! - V3. For a plan without errors, `import(Usher, export(plan))` is that plan.
//! - V4. An [`Imported`] without errors builds, and `inventory_core::plan_codec` can write it.
//!
//! Not here: the bytes of a plan file (`inventory_core::plan_codec`), files, and the text a command
//! prints. Nothing is repaired silently: what cannot be imported is a problem in the list.

mod decimal;
mod draft;
mod export;
mod pretix;
mod seatsio;
mod usher;
mod walk;

use std::{fmt, str::FromStr};

use inventory_core::plan::{PlanProblem, PlanSpec, Severity};
use serde_json::Value;

pub use export::export;

/// Bytes of a document. A tree of values takes up to some 40 times its text, and a chart of a
/// quarter of a million seats with every field spelled out is about this large.
pub const IMPORT_BYTES_MAX: usize = 64 << 20;

/// What a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own, documented in `docs/PLANS.md`.
    Usher,
    /// A chart of seats.io.
    Seatsio,
    /// A seating plan of pretix.
    Pretix,
}

impl Format {
    /// The name a person types.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usher => "usher",
            Self::Seatsio => "seatsio",
            Self::Pretix => "pretix",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Usher, Self::Seatsio, Self::Pretix]
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| format!("found {name:?}; must be usher, seatsio or pretix"))
    }
}

/// Which field of a pretix seat becomes its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeatKey {
    /// `seat_guid`: what pretix means to be unique, and what people can read.
    #[default]
    Guid,
    /// `uuid`: for plans whose guids repeat.
    Uuid,
}

/// How to import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// For pretix plans; the other formats have one key.
    pub seat_key: SeatKey,
    /// Reserved, must be false.
    pub repair: bool,
}

/// What a document gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The plan. With errors it is as far as the importer came, and may not be sold.
    pub spec: PlanSpec,
    /// Warnings and errors by path in the source document, in the order in which they were found.
    pub problems: Vec<PlanProblem>,
}

impl Imported {
    /// The problems that stop the plan.
    pub fn errors(&self) -> impl Iterator<Item = &PlanProblem> {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error)
    }

    /// The problems worth a look.
    pub fn warnings(&self) -> impl Iterator<Item = &PlanProblem> {
        self.problems.iter().filter(|problem| problem.severity == Severity::Warning)
    }
}

/// A document that was not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError {
    /// More bytes than [`IMPORT_BYTES_MAX`].
    TooLarge {
        /// Bytes of the document.
        bytes: usize,
    },
    /// Not JSON, or nested too deeply.
    NotJson {
        /// Line of the first byte that does not read, from 1.
        line: usize,
        /// Column of it, from 1.
        column: usize,
        /// What the parser says.
        what: String,
    },
    /// `repair` was asked for.
    RepairUnsupported,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(f, "found {bytes} bytes; at most {IMPORT_BYTES_MAX}"),
            Self::NotJson { line, column, what } => write!(f, "line {line} column {column}: {what}"),
            Self::RepairUnsupported => f.write_str("repairing a document is not supported"),
        }
    }
}

impl std::error::Error for ImportError {}

/// Make a plan of a document.
///
/// # Errors
/// When the document is not looked at. What is wrong inside it is in [`Imported::problems`].
pub fn import(format: Format, bytes: &[u8], options: &ImportOptions) -> Result<Imported, ImportError> {
    if options.repair {
        return Err(ImportError::RepairUnsupported);
    }
    if bytes.len() > IMPORT_BYTES_MAX {
        return Err(ImportError::TooLarge { bytes: bytes.len() });
    }
    // Editors on Windows put a byte order mark before UTF-8.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let document: Value = serde_json::from_slice(text).map_err(|error| ImportError::NotJson {
        line: error.line(),
        column: error.column(),
        what: error.to_string(),
    })?;
    let draft = match format {
        Format::Usher => usher::read(&document),
        Format::Seatsio => seatsio::read(&document),
        Format::Pretix => pretix::read(&document, options.seat_key),
    };
    Ok(draft.finish())
}

/// Everything that is wrong with a document, for `usherctl plan check`: a document that cannot be
/// looked at is one error, with the path `document`.
#[must_use]
pub fn check(format: Format, bytes: &[u8]) -> Vec<PlanProblem> {
    match import(format, bytes, &ImportOptions::default()) {
        Ok(imported) => imported.problems,
        Err(error) => vec![PlanProblem::error("document".into(), error.to_string())],
    }
}
