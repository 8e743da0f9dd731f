//! Reading a tree of JSON values: each field by name, each problem by path.
//!
//! A field that is absent or null is none; one of the wrong type is a problem and none. So a reader
//! goes on to the end of the document, and every path in the list is exact. A path is a chain of
//! borrowed parts: text is made of it only for a problem.
//!
//! Not here: what the fields mean (`usher.rs`, `seatsio.rs`, `pretix.rs`).

use std::{borrow::Cow, fmt};

use inventory_core::plan::{PlanProblem, Point};
use serde_json::{Map, Value};

use crate::decimal::{Decimal, Position};

/// Where a value stands in its document.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    /// The whole document.
    Root,
    Field(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    pub(crate) fn field(&'p self, name: &'p str) -> Self {
        Self::Field(self, name)
    }

    pub(crate) fn index(&'p self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("document"),
            Self::Field(Path::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Report(pub(crate) Vec<PlanProblem>);

impl Report {
    pub(crate) fn error(&mut self, path: &Path<'_>, problem: impl Into<String>) {
        self.0.push(PlanProblem::error(path.to_string(), problem.into()));
    }

    pub(crate) fn warning(&mut self, path: &Path<'_>, problem: impl Into<String>) {
        self.0.push(PlanProblem::warning(path.to_string(), problem.into()));
    }

    fn wrong(&mut self, path: &Path<'_>, value: &Value, must: &str) {
        self.error(path, format!("found {}; must be {must}", found(value)));
    }
}

/// A value for a message: short, whatever the document holds.
pub(crate) fn found(value: &Value) -> String {
    const CHARS_MAX: usize = 60;
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "a list".into(),
        Value::String(text) if text.chars().count() > CHARS_MAX => {
            format!("{:?}...", text.chars().take(CHARS_MAX).collect::<String>())
        }
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// An object of the document with where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Object<'v> {
    fields: &'v Map<String, Value>,
    pub(crate) path: &'v Path<'v>,
}

impl<'v> Object<'v> {
    pub(crate) fn read(value: &'v Value, path: &'v Path<'v>, report: &mut Report) -> Option<Self> {
        match value {
            Value::Object(fields) => Some(Self { fields, path }),
            other => {
                report.wrong(path, other, "an object");
                None
            }
        }
    }

    /// The field, unless it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'v Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// Refuse what is not one of `names`: in our own format a slip of the pen is never ignored.
    pub(crate) fn only(&self, names: &[&str], report: &mut Report) {
        for name in self.fields.keys().filter(|name| !names.contains(&name.as_str())) {
            report.error(&self.path.field(name), format!("unknown field; known are {}", names.join(", ")));
        }
    }

    pub(crate) fn missing(&self, name: &str, must: &str, report: &mut Report) {
        report.error(&self.path.field(name), format!("missing; must be {must}"));
    }

    /// The entries of a list; none when the field is absent.
    pub(crate) fn list(&self, name: &str, report: &mut Report) -> &'v [Value] {
        match self.get(name) {
            None => &[],
            Some(Value::Array(entries)) => entries,
            Some(other) => {
                report.wrong(&self.path.field(name), other, "a list");
                &[]
            }
        }
    }

    pub(crate) fn text(&self, name: &str, report: &mut Report) -> Option<&'v str> {
        match self.get(name)? {
            Value::String(text) => Some(text),
            other => {
                report.wrong(&self.path.field(name), other, "a text");
                None
            }
        }
    }

    /// A text, or a number taken as text: what others' formats call keys and labels.
    pub(crate) fn label(&self, name: &str, report: &mut Report) -> Option<Cow<'v, str>> {
        match self.get(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            other => {
                report.wrong(&self.path.field(name), other, "a text or a number");
                None
            }
        }
    }

    pub(crate) fn flag(&self, name: &str, report: &mut Report) -> bool {
        match self.get(name) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                report.wrong(&self.path.field(name), other, "true or false");
                false
            }
        }
    }

    pub(crate) fn whole(&self, name: &str, range: std::ops::RangeInclusive<i64>, report: &mut Report) -> Option<i64> {
        let value = self.get(name)?;
        let whole = value.as_i64().filter(|whole| range.contains(whole));
        if whole.is_none() {
            let must = format!("a whole number from {} to {}", range.start(), range.end());
            report.wrong(&self.path.field(name), value, &must);
        }
        whole
    }

    pub(crate) fn decimal(&self, name: &str, report: &mut Report) -> Option<Decimal> {
        decimal(self.get(name)?, &self.path.field(name), report)
    }

    /// A position as `[x, y]`, the way our own format writes it.
    pub(crate) fn pair(&self, name: &str, report: &mut Report) -> Option<Position> {
        let value = self.get(name)?;
        let path = self.path.field(name);
        match value {
            Value::Array(entries) if entries.len() == 2 => {
                let x = decimal(&entries[0], &path.index(0), report);
                let y = decimal(&entries[1], &path.index(1), report);
                Some(Position { x: x?, y: y? })
            }
            other => {
                report.wrong(&path, other, "two numbers [x, y]");
                None
            }
        }
    }

    /// A position as `{"x": .., "y": ..}` in a field.
    pub(crate) fn position(&self, name: &str, report: &mut Report) -> Option<Position> {
        let path = self.path.field(name);
        Object::read(self.get(name)?, &path, report)?.own_position(report)
    }

    /// A position as fields `x` and `y` of this object.
    pub(crate) fn own_position(&self, report: &mut Report) -> Option<Position> {
        let mut axis = |name| {
            if self.get(name).is_none() {
                self.missing(name, "a number", report);
            }
            self.decimal(name, report)
        };
        let (x, y) = (axis("x"), axis("y"));
        Some(Position { x: x?, y: y? })
    }
}

fn decimal(value: &Value, path: &Path<'_>, report: &mut Report) -> Option<Decimal> {
    let decimal = value.as_number().and_then(Decimal::from_number);
    if decimal.is_none() {
        report.wrong(path, value, "a number of plan units, under a thousand million");
    }
    decimal
}

/// The position in thousandths; one that does not fit is an error at `path` and the origin.
pub(crate) fn point(position: Position, path: &Path<'_>, report: &mut Report) -> Point {
    if let (Some(x), Some(y)) = (position.x.thousandths(), position.y.thousandths()) {
        return Point { x, y };
    }
    report.error(path, "the position is too far away; at most 2147483.647 plan units from the origin");
    Point::default()
}
