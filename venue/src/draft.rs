//! A plan being read, with where in the source each part of it stands.
//!
//! Invariant: `sources` runs parallel to `spec`: as many sections, rows, areas, zones and levels.
//! That is how the core's check, which knows only the plan, is told by source paths.
//!
//! Not here: reading any format.

use std::collections::BTreeSet;

use inventory_core::{
    limits::PLAN_TEXT_BYTES_MAX,
    plan::{Area, PlanProblem, PlanSpec, RowSpec, SectionSpec, Severity, Zone},
};

use crate::{Imported, walk::Report};

/// A plan so far.
pub(crate) struct Draft {
    pub(crate) spec: PlanSpec,
    pub(crate) report: Report,
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
    pub(crate) focal_point: &'static str,
}

impl Draft {
    pub(crate) fn new(names: &'static Names) -> Self {
        let sources = Sources { sections: vec![], areas: vec![], zones: vec![], levels: vec![], names };
        Self { spec: PlanSpec::default(), report: Report::default(), sources }
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
        let Self { spec, report, sources } = self;
        let mut problems = report.0;
        let told: BTreeSet<String> =
            problems.iter().filter(|p| p.severity == Severity::Error).map(|p| p.path.clone()).collect();
        let checked = spec.check().into_iter().chain(check_labels(&spec));
        // What the importer has told of a field, or of all of an object, is not told again.
        let known = |path: &str| told.contains(path) || path.rsplit_once('.').is_some_and(|(of, _)| told.contains(of));
        problems.extend(checked.filter_map(|problem| sources.translate(problem)).filter(|p| !known(&p.path)));
        Imported { spec, problems }
    }
}

/// Texts for people that the core's check leaves alone and a plan file has no room for.
fn check_labels(spec: &PlanSpec) -> Vec<PlanProblem> {
    let mut problems = Vec::new();
    let mut label = |path: String, text: &str| {
        if text.len() > PLAN_TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            let problem = format!("must be at most {PLAN_TEXT_BYTES_MAX} bytes without control characters");
            problems.push(PlanProblem::error(path, problem));
        }
    };
    // Its length is the core's to check.
    if spec.name.len() <= PLAN_TEXT_BYTES_MAX {
        label("name".into(), &spec.name);
    }
    for (z, zone) in spec.zones.iter().enumerate() {
        label(format!("zones[{z}].label"), &zone.label);
    }
    for (s, section) in spec.sections.iter().enumerate() {
        label(format!("sections[{s}].label"), &section.label);
        for (r, row) in section.rows.iter().enumerate() {
            label(format!("sections[{s}].rows[{r}].label"), &row.label);
        }
    }
    for (a, area) in spec.areas.iter().enumerate() {
        label(format!("areas[{a}].label"), &area.label);
    }
    problems
}

/// `name[index]` at the head of a path, and what follows.
fn head<'p>(path: &'p str, name: &str) -> Option<(usize, &'p str)> {
    let (index, rest) = path.strip_prefix(name)?.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest.strip_prefix('.').unwrap_or(rest)))
}

impl Sources {
    /// The same problem by its path in the source. None when it only follows from one told already:
    /// levels and zones are found by name, and a name that was not found has been told.
    fn translate(&self, problem: PlanProblem) -> Option<PlanProblem> {
        let names = self.names;
        let PlanProblem { path, problem: text, severity } = problem;
        if path.ends_with(".level") || path.ends_with(".zone") {
            return None;
        }
        let with = |source: &String, field: &str| {
            Some(PlanProblem {
                path: if field.is_empty() { source.clone() } else { format!("{source}.{field}") },
                problem: text.clone(),
                severity,
            })
        };
        let known = head(&path, "sections").and_then(|(s, rest)| {
            let section = self.sections.get(s)?;
            let Some((r, rest)) = head(rest, "rows") else {
                let field = match rest {
                    "key" => names.section_key,
                    "label" => names.section_label,
                    other => other,
                };
                return with(&section.path, field);
            };
            let row = section.rows.get(r)?;
            let Some((i, rest)) = head(rest, "seats") else {
                return with(&row.path, if rest == "label" { names.row_label } else { rest });
            };
            if !row.listed {
                let text = format!("seat {} of the row: {text}", i + 1);
                return Some(PlanProblem { path: row.path.clone(), problem: text, severity });
            }
            let field = match rest {
                "key" => names.seat_key,
                "label" => names.seat_label,
                other => other,
            };
            with(&format!("{}.seats[{i}]", row.path), field)
        });
        let known = known.or_else(|| {
            let (a, rest) = head(&path, "areas")?;
            let field = match rest {
                "key" => names.area_key,
                "label" => names.area_label,
                other => other,
            };
            with(self.areas.get(a)?, field)
        });
        let known = known.or_else(|| {
            let (z, rest) = head(&path, "zones")?;
            with(self.zones.get(z)?, rest)
        });
        let known = known.or_else(|| with(self.levels.get(head(&path, "price_levels")?.0)?, ""));
        known.or_else(|| {
            let path = match &*path {
                "name" => "name".into(),
                "focal_point" => names.focal_point.into(),
                other => format!("plan: {other}"),
            };
            Some(PlanProblem { path, problem: text.clone(), severity })
        })
    }
}
