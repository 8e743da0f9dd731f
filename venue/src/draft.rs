//! A plan being read, with where in the source each part of it stands.
//!
//! Invariant: `sources` runs parallel to `spec`: as many sections, rows, areas, zones and levels.
//! That is how the core's check, which knows only the plan, is told by source paths.
//!
//! Not here: reading any format.

use std::collections::BTreeSet;

use inventory_core::plan::{Area, PlanProblem, PlanSpec, RowSpec, SectionSpec, Severity, Zone};

use crate::{Imported, walk::Report};

/// A plan so far.
pub(crate) struct Draft {
    pub(crate) spec: PlanSpec,
    pub(crate) report: Report,
    /// Where the focal point is, or would be.
    pub(crate) focal_point_at: String,
    sources: Sources,
}

struct Sources {
    sections: Vec<SectionSource>,
    areas: Vec<String>,
    zones: Vec<String>,
    levels: Vec<String>,
    names: &'static Names,
}

struct SectionSource {
    path: String,
    rows: Vec<RowSource>,
}

/// Where a row was read.
pub(crate) struct RowSource {
    pub(crate) path: String,
    /// Whether its seats stand one by one in `seats` of the source.
    pub(crate) listed: bool,
}

/// What a format calls the fields that the core's check names.
pub(crate) struct Names {
    pub(crate) section_key: &'static str,
    pub(crate) section_label: &'static str,
    pub(crate) row_label: &'static str,
    pub(crate) seat_key: &'static str,
    pub(crate) seat_label: &'static str,
    pub(crate) area_key: &'static str,
    pub(crate) area_label: &'static str,
    /// Where a plan's focal point is, unless the reader says otherwise.
    pub(crate) focal_point: &'static str,
}

impl Draft {
    pub(crate) fn new(names: &'static Names) -> Self {
        let sources = Sources { sections: vec![], areas: vec![], zones: vec![], levels: vec![], names };
        let focal_point_at = names.focal_point.to_owned();
        Self { spec: PlanSpec::default(), report: Report::default(), focal_point_at, sources }
    }

    /// The number of the new level. With too many, the last number that fits: the check refuses the plan.
    pub(crate) fn add_level(&mut self, name: Box<str>, path: String) -> u8 {
        let number = u8::try_from(self.spec.price_levels.len()).unwrap_or(u8::MAX);
        self.spec.price_levels.push(name);
        self.sources.levels.push(path);
        number
    }

    /// The number of the new zone, as for levels.
    pub(crate) fn add_zone(&mut self, zone: Zone, path: String) -> u8 {
        // 255 stands for "none" in a plan file.
        let number = u8::try_from(self.spec.zones.len()).unwrap_or(u8::MAX).min(u8::MAX - 1);
        self.spec.zones.push(zone);
        self.sources.zones.push(path);
        number
    }

    pub(crate) fn add_section(
        &mut self,
        key: Box<str>,
        label: Box<str>,
        zone: Option<u8>,
        rows: Vec<(RowSpec, RowSource)>,
        path: String,
    ) {
        let (rows, sources) = rows.into_iter().unzip();
        self.spec.sections.push(SectionSpec { key, label, zone, rows });
        self.sources.sections.push(SectionSource { path, rows: sources });
    }

    pub(crate) fn add_area(&mut self, area: Area, path: String) {
        self.spec.areas.push(area);
        self.sources.areas.push(path);
    }

    /// What was read, with what the core says about it.
    pub(crate) fn finish(self) -> Imported {
        let Self { spec, report, focal_point_at, sources } = self;
        let mut problems = report.0;
        let told: BTreeSet<String> =
            problems.iter().filter(|p| p.severity == Severity::Error).map(|p| p.path.clone()).collect();
        let checked = spec.check().into_iter();
        // What the importer has told of a field, or of all of an object, is not told again.
        let known = |path: &str| told.contains(path) || path.rsplit_once('.').is_some_and(|(of, _)| told.contains(of));
        problems.extend(
            checked.filter_map(|problem| sources.translate(problem, &focal_point_at)).filter(|p| !known(&p.path)),
        );
        Imported { spec, problems }
    }
}

/// `name[index]` at the head of a path, and what follows.
fn head<'p>(path: &'p str, name: &str) -> Option<(usize, &'p str)> {
    let (index, rest) = path.strip_prefix(name)?.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest.strip_prefix('.').unwrap_or(rest)))
}

/// Between what repeats and where it stood first, in the words of the core's check.
const FIRST_AT: &str = " stands already at ";

impl Sources {
    /// The same problem by its path in the source. None when it only follows from one told already:
    /// levels and zones are found by name, and a name that was not found has been told.
    fn translate(&self, problem: PlanProblem, focal_point_at: &str) -> Option<PlanProblem> {
        let PlanProblem { path, problem: mut text, severity } = problem;
        if path.ends_with(".level") || path.ends_with(".zone") {
            return None;
        }
        if let Some((what, first)) = text.rsplit_once(FIRST_AT)
            && let Some((first, _)) = self.source(first)
        {
            text = format!("{what}{FIRST_AT}{first}");
        }
        let path = match &*path {
            "name" => path,
            "focal_point" => focal_point_at.to_owned(),
            other => match self.source(other) {
                None => format!("plan: {other}"),
                Some((path, None)) => path,
                Some((path, Some(seat))) => {
                    text = format!("seat {seat} of the row: {text}");
                    path
                }
            },
        };
        Some(PlanProblem { path, problem: text, severity })
    }

    /// The source path of a part of the plan, and which seat of a generated row it is, from 1.
    fn source(&self, path: &str) -> Option<(String, Option<usize>)> {
        let names = self.names;
        let whole = |source: &str, field: &str| match field {
            "" => Some((source.to_owned(), None)),
            field => Some((format!("{source}.{field}"), None)),
        };
        if let Some((s, rest)) = head(path, "sections") {
            let section = self.sections.get(s)?;
            let Some((r, rest)) = head(rest, "rows") else {
                return whole(&section.path, renamed(rest, names.section_key, names.section_label));
            };
            let row = section.rows.get(r)?;
            let Some((i, rest)) = head(rest, "seats") else {
                return whole(&row.path, renamed(rest, rest, names.row_label));
            };
            if !row.listed {
                return Some((row.path.clone(), Some(i + 1)));
            }
            return whole(&format!("{}.seats[{i}]", row.path), renamed(rest, names.seat_key, names.seat_label));
        }
        if let Some((a, rest)) = head(path, "areas") {
            return whole(self.areas.get(a)?, renamed(rest, names.area_key, names.area_label));
        }
        if let Some((z, rest)) = head(path, "zones") {
            return whole(self.zones.get(z)?, rest);
        }
        let (level, rest) = head(path, "price_levels")?;
        whole(self.levels.get(level)?, rest)
    }
}

/// What the format calls the field that the core's check names.
fn renamed<'n>(field: &'n str, key: &'n str, label: &'n str) -> &'n str {
    match field {
        "key" => key,
        "label" => label,
        other => other,
    }
}
