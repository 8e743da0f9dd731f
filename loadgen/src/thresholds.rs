use std::str::FromStr;

use anyhow::{Context, bail};
use serde_json::Value;

/// A condition on the report that fails the run when it holds: `oversold>0`, `per_command.hold.p99_us > 5000`,
/// `refused_share >= 1%`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    text: String,
    key: String,
    operator: Operator,
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Operator {
    /// Two-letter ones first, so that `>=` is not read as `>`.
    const ALL: [(&'static str, Self); 6] = [
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    #[expect(clippy::float_cmp, reason = "counters are compared, and they are whole")]
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            Self::Greater => value > limit,
            Self::GreaterOrEqual => value >= limit,
            Self::Equal => value == limit,
            Self::NotEqual => value != limit,
        }
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Operator::ALL.iter().filter_map(|&(sign, operator)| {
            text.find(sign).map(|at| (at, std::cmp::Reverse(sign.len()), sign, operator))
        });
        let (at, _, sign, operator) = found
            .min_by_key(|&(at, length, ..)| (at, length))
            .ok_or_else(|| format!("{text:?} has no operator: write KEY<NUMBER with one of < <= > >= == !="))?;
        let (key, number) = (text[..at].trim(), text[at + sign.len()..].trim());
        let (number, scale) = number.strip_suffix('%').map_or((number, 1.0), |number| (number.trim_end(), 100.0));
        let limit: f64 = number.parse().map_err(|_| format!("{text:?}: {number:?} is no number"))?;
        if key.is_empty() {
            return Err(format!("{text:?} names nothing to compare"));
        }
        Ok(Self { text: text.to_owned(), key: key.to_owned(), operator, limit: limit / scale })
    }
}

impl Threshold {
    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The value in the report, if the condition holds.
    pub(crate) fn failed(&self, report: &Value) -> anyhow::Result<Option<f64>> {
        let mut found = report;
        for part in self.key.split('.') {
            found = match found.get(part) {
                Some(inner) => inner,
                // A refusal that never happened has no line of its own.
                None if self.key.starts_with("refusals.") => &Value::Null,
                None => bail!("--fail-if {:?}: the report has no {:?}", self.text, self.key),
            };
        }
        let value = match found {
            Value::Null => 0.0,
            Value::Bool(set) => f64::from(u8::from(*set)),
            other => other.as_f64().with_context(|| format!("--fail-if {:?}: {} is no number", self.text, self.key))?,
        };
        Ok(self.operator.holds(value, self.limit).then_some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn failed(threshold: &str) -> Option<f64> {
        let report = json!({
            "oversold": 0, "sold": 120, "refused_share": 0.02, "audit": "clean",
            "refusals": {"SOLD_OUT": 3},
            "per_command": {"hold": {"p99_us": 4200}},
        });
        threshold.parse::<Threshold>().expect("well formed").failed(&report).expect("a number")
    }

    #[test]
    fn a_threshold_fails_when_its_condition_holds() {
        assert_eq!(failed("oversold>0"), None);
        assert_eq!(failed("oversold == 0"), Some(0.0));
        assert_eq!(failed("sold<=120"), Some(120.0));
        assert_eq!(failed("sold != 120"), None);
        assert_eq!(failed("per_command.hold.p99_us > 4000"), Some(4_200.0));
        assert_eq!(failed("refused_share>1%"), Some(0.02));
        assert_eq!(failed("refused_share > 2.5 %"), None);
        assert_eq!(failed("refusals.SOLD_OUT>=3"), Some(3.0));
        assert_eq!(failed("refusals.OVERLOADED>0"), None, "what never happened counts as none");
    }

    #[test]
    fn what_cannot_be_read_or_found_is_an_error() {
        for text in ["oversold", ">0", "sold>many", ""] {
            assert!(text.parse::<Threshold>().is_err(), "{text:?}");
        }
        let report = json!({"audit": "clean"});
        for text in ["sould>0", "audit>0"] {
            assert!(text.parse::<Threshold>().expect("well formed").failed(&report).is_err(), "{text:?}");
        }
    }
}
