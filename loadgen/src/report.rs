use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value, json};

use crate::audit::Findings;
use crate::cpu;
use crate::measure::{Kind, Measure};
use crate::options::Options;

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) event: String,
    pub(crate) findings: Findings,
    /// Places of the event, or of all events of the run, as the server counts them at the end.
    pub(crate) sold: u64,
    pub(crate) held: u64,
    pub(crate) open: u64,
    pub(crate) capacity: u64,
    /// What was measured; nothing when only an audit was asked for.
    pub(crate) measure: Option<(Measure, Window)>,
    /// Why the run ended before its end.
    pub(crate) failure: Option<String>,
    /// Figures of one scenario.
    pub(crate) extra: Vec<(&'static str, Value)>,
}

/// The time measured, and the processor time used in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    started: Instant,
    length: Duration,
    server_pid: Option<u32>,
    client_cpu: Option<Duration>,
    server_cpu: Option<Duration>,
}

impl Window {
    pub(crate) fn begin(options: &Options) -> Self {
        Self {
            started: Instant::now(),
            length: Duration::ZERO,
            server_pid: options.server_pid,
            client_cpu: cpu::of_process(None),
            server_cpu: options.server_pid.and_then(|pid| cpu::of_process(Some(pid))),
        }
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// When it began, as the wall clock has it.
    pub(crate) fn started_at(&self) -> SystemTime {
        SystemTime::now() - self.started.elapsed()
    }

    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    /// Ended now, or at `stop` if that has passed: what drains afterwards is not measured.
    pub(crate) fn end(self, stop: Option<Instant>) -> Self {
        let now = Instant::now();
        let used = |from: Option<Duration>, to: Option<Duration>| Some(to?.saturating_sub(from?));
        Self {
            length: stop.map_or(now, |stop| stop.min(now)).saturating_duration_since(self.started),
            client_cpu: used(self.client_cpu, cpu::of_process(None)),
            server_cpu: used(self.server_cpu, self.server_pid.and_then(|pid| cpu::of_process(Some(pid)))),
            ..self
        }
    }
}

impl Outcome {
    pub(crate) fn is_clean(&self) -> bool {
        self.findings.is_clean() && self.failure.is_none()
    }

    /// The report for programs.
    pub(crate) fn to_json(&self, options: &Options) -> Value {
        let findings = &self.findings;
        let mut report = json!({
            "scenario": if options.audit_only { "audit" } else { options.scenario_name() },
            "mode": options.mode_name(),
            "seed": options.seed,
            "event": self.event,
            "audit": if findings.is_clean() { "clean" } else { "broken" },
            "sold": self.sold,
            "held": self.held,
            "open": self.open,
            "capacity": self.capacity,
            "oversold": findings.oversold,
            "lost": findings.lost,
            "double_held": findings.double_held,
            "undead": findings.undead,
            "early": findings.early,
            "unexplained": findings.unexplained,
            "sums_broken": findings.sums,
            "wrong_answers": findings.wrong,
            "granted_twice": findings.granted_twice,
            "stranded": findings.stranded,
            "strand_refusals_wrong": findings.strand_refusals_wrong,
            "payments_broken": findings.money,
            "half_carts": findings.half_carts,
            "holds_unread": findings.unread,
            "holds_checked": findings.holds_checked,
            "unknown_done": findings.unknown_done,
            "unknown_not_done": findings.unknown_not_done,
            "problems": findings.problems,
            "failure": self.failure,
        });
        if let Some((measure, window)) = &self.measure {
            let seconds = window.length.as_secs_f64();
            let commands = measure.commands();
            let refused: u64 = Kind::ALL.iter().map(|&kind| measure.kind(kind).refused).sum();
            report["duration_s"] = json!(round(seconds, 3));
            report["commands"] = json!(commands);
            report["commands_per_second"] = json!(per_second(commands, seconds));
            report["refused"] = json!(refused);
            report["refused_share"] = json!(if commands == 0 { 0.0 } else { refused as f64 / commands as f64 });
            report["refusals"] = json!(measure.refusals);
            report["per_command"] = Value::Object(per_command(measure, seconds));
            let per = |cpu: Option<Duration>| {
                cpu.filter(|_| commands > 0).map(|cpu| round(cpu.as_secs_f64() * 1e6 / commands as f64, 3))
            };
            report["cpu_us_per_command"] = json!({"client": per(window.client_cpu), "server": per(window.server_cpu)});
        }
        for (key, value) in &self.extra {
            report[key] = value.clone();
        }
        report
    }

    /// The report for people.
    pub(crate) fn to_text(&self, report: &Value) -> String {
        let mut text = String::new();
        let number = |key: &str| grouped(report[key].as_u64().unwrap_or(0));
        let _ = writeln!(
            text,
            "{} {}: {} of {} places sold, {} held, {} open",
            report["scenario"].as_str().unwrap_or_default(),
            self.event,
            number("sold"),
            number("capacity"),
            number("held"),
            number("open"),
        );
        if let Some((measure, window)) = &self.measure {
            let seconds = window.length.as_secs_f64();
            let _ = writeln!(
                text,
                "{} commands in {seconds:.1} s, {} a second ({}, seed {})",
                number("commands"),
                grouped(rounded(per_second(measure.commands(), seconds))),
                report["mode"].as_str().unwrap_or_default(),
                report["seed"],
            );
            let _ = writeln!(
                text,
                "\n  {:<13}{:>12}{:>10}{:>12}{:>11}{:>11}{:>11}",
                "", "count", "refused", "a second", "p50", "p99", "max"
            );
            for kind in Kind::ALL {
                let one = measure.kind(kind);
                if one.count > 0 {
                    let _ = writeln!(
                        text,
                        "  {:<13}{:>12}{:>10}{:>12}{:>11}{:>11}{:>11}",
                        kind.name(),
                        grouped(one.count),
                        grouped(one.refused),
                        grouped(rounded(per_second(one.count, seconds))),
                        latency(one.quantile_us(0.5)),
                        latency(one.quantile_us(0.99)),
                        latency(one.max_us()),
                    );
                }
            }
            if !measure.refusals.is_empty() {
                let list: Vec<_> =
                    measure.refusals.iter().map(|(reason, count)| format!("{reason} {}", grouped(*count))).collect();
                let _ = writeln!(text, "\n  refused: {}", list.join(", "));
            }
            let cpu = &report["cpu_us_per_command"];
            if let Some(client) = cpu["client"].as_f64() {
                let server = cpu["server"].as_f64().map_or_else(String::new, |us| format!(", server {us:.2} us"));
                let _ = writeln!(text, "  processor time a command: loadgen {client:.2} us{server}");
            }
            let _ = writeln!(text);
        }
        for (key, value) in &self.extra {
            let _ = match value.as_object() {
                Some(parts) => {
                    let parts: Vec<_> = parts.iter().map(|(name, value)| format!("{name} {value}")).collect();
                    writeln!(text, "{key}: {}", parts.join(", "))
                }
                None => writeln!(text, "{key}: {value}"),
            };
        }
        self.write_audit(&mut text);
        if let Some(failure) = &self.failure {
            let _ = writeln!(text, "the run failed: {failure}");
        }
        text
    }

    fn write_audit(&self, text: &mut String) {
        let findings = &self.findings;
        let checked = grouped(findings.holds_checked);
        if findings.is_clean() {
            let _ = writeln!(
                text,
                "audit clean: {checked} holds compared, no place sold or held twice, nothing acknowledged is missing, \
                 all sums equal"
            );
        } else {
            let _ = writeln!(text, "AUDIT BROKEN ({checked} holds compared)");
            let counters = [
                ("oversold", findings.oversold),
                ("lost", findings.lost),
                ("held twice", findings.double_held),
                ("alive after their end", findings.undead),
                ("ended early", findings.early),
                ("sold without a word", findings.unexplained),
                ("sums that do not add up", findings.sums),
                ("wrong answers", findings.wrong),
                ("granted twice", findings.granted_twice),
                ("single seats left alone against the rule", findings.stranded),
                ("refused for single seats against the rule", findings.strand_refusals_wrong),
                ("payments that are not one sale or owed back", findings.money),
                ("carts sold in a part of their events", findings.half_carts),
                ("holds without an answer", findings.unread),
            ];
            for (name, count) in counters.into_iter().filter(|(_, count)| *count > 0) {
                let _ = writeln!(text, "  {name}: {}", grouped(count));
            }
            for problem in &findings.problems {
                let _ = writeln!(text, "  - {problem}");
            }
        }
        if findings.unknown_done + findings.unknown_not_done > 0 {
            let _ = writeln!(
                text,
                "  unknown outcomes: {} had been done, {} had not",
                findings.unknown_done, findings.unknown_not_done
            );
        }
    }
}

fn per_command(measure: &Measure, seconds: f64) -> Map<String, Value> {
    let one = |kind: &Kind| {
        let one = measure.kind(*kind);
        let value = json!({
            "count": one.count,
            "refused": one.refused,
            "per_second": per_second(one.count, seconds),
            "p50_us": one.quantile_us(0.5),
            "p75_us": one.quantile_us(0.75),
            "p90_us": one.quantile_us(0.9),
            "p95_us": one.quantile_us(0.95),
            "p99_us": one.quantile_us(0.99),
            "p999_us": one.quantile_us(0.999),
            "max_us": one.max_us(),
        });
        (kind.name().to_owned(), value)
    };
    Kind::ALL.iter().map(one).collect()
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { round(count as f64 / seconds, 1) } else { 0.0 }
}

fn round(number: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate, shown to people")]
fn rounded(number: f64) -> u64 {
    number.round() as u64
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{:.2} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn outcome() -> (Options, Outcome) {
        let options = Options::parse_from(["loadgen", "--event", "e"]);
        let mut measure = Measure::new();
        measure.done(Kind::Hold, Duration::from_micros(200));
        measure.refused(Kind::Hold, Duration::from_micros(300), "WOULD_STRAND");
        let window = Window { length: Duration::from_secs(2), ..Window::begin(&options) };
        let outcome = Outcome {
            event: "e".to_owned(),
            sold: 1_234,
            capacity: 2_000,
            measure: Some((measure, window)),
            ..Outcome::default()
        };
        (options, outcome)
    }

    #[test]
    fn the_report_has_the_keys_that_scripts_rely_on() {
        let (options, outcome) = outcome();
        let report = outcome.to_json(&options);
        for key in ["sold", "held", "oversold", "lost", "seed", "duration_s", "commands", "commands_per_second"] {
            assert!(report[key].is_number(), "{key}");
        }
        for key in ["audit", "scenario", "mode"] {
            assert!(report[key].is_string(), "{key}");
        }
        for kind in Kind::ALL {
            for key in ["count", "per_second", "p50_us", "p99_us", "max_us"] {
                assert!(report["per_command"][kind.name()][key].is_number(), "{kind:?} {key}");
            }
        }
        assert_eq!(report["commands_per_second"], 1.0);
        assert_eq!(report["refused_share"], 0.5);
    }

    #[test]
    fn people_read_what_happened_and_what_is_wrong() {
        let (options, mut outcome) = outcome();
        let text = outcome.to_text(&outcome.to_json(&options));
        assert!(text.contains("1,234 of 2,000 places sold") && text.contains("audit clean"), "{text}");
        outcome.findings.oversold = 2;
        outcome.findings.problem(|| "seat 7 twice".to_owned());
        let text = outcome.to_text(&outcome.to_json(&options));
        assert!(text.contains("AUDIT BROKEN") && text.contains("oversold: 2") && text.contains("seat 7 twice"));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
