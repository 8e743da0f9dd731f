//! `loadgen`, the load generator that Usher ships, as the client: a hold, then its confirm or release.
//!
//! Invariant: a run whose audit is not clean, or that had a refusal, is an error.
//!
//! Not here: servers (`served.rs`).

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::contestant::Figures;
use crate::site::Site;

/// The latencies of a report, in the order of [`crate::contestant::QUANTILES`].
const LATENCIES: [&str; 7] = ["p50_us", "p75_us", "p90_us", "p95_us", "p99_us", "p999_us", "max_us"];

/// Runs churn with these options against a server of this port.
///
/// # Errors
/// When it does not run, or the audit is not clean.
pub fn churn(site: &Site, port: u16, options: &[String]) -> Result<Figures> {
    let mut command = Command::new(site.programs.join("loadgen"));
    command
        .args(["--endpoint", &format!("http://127.0.0.1:{port}"), "--scenario", "churn", "--json", "-"])
        .args(["--threads", &site.cores.client_count().to_string()])
        .args(options)
        .stdin(Stdio::null());
    let output = site.cores.as_client(|| command.output())?.context("start loadgen")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text);
    if !output.status.success() {
        let report: Value = report.unwrap_or_default();
        anyhow::bail!(
            "loadgen: {}: audit {}, problems {}, {} {}",
            output.status,
            report["audit"],
            report["problems"],
            report["failure"],
            errors.trim()
        );
    }
    read_report(&report.with_context(|| format!("the report of loadgen: {text}"))?)
}

fn read_report(report: &Value) -> Result<Figures> {
    ensure!(report["audit"] == "clean", "loadgen: audit {}: {}", report["audit"], report["problems"]);
    ensure!(report["refused"] == 0, "loadgen: {} refusals: {}", report["refused"], report["refusals"]);
    let number = |value: &Value, key: &str| {
        value[key].as_f64().with_context(|| format!("loadgen's report has no number `{key}`"))
    };
    let hold = &report["per_command"]["hold"];
    let unserved = report["unserved"].as_u64().unwrap_or(0);
    Ok(Figures {
        commands: report["commands"].as_u64().context("loadgen's report has no `commands`")?,
        per_second: number(report, "commands_per_second")?,
        hold_us: LATENCIES.iter().map(|key| number(hold, key)).collect::<Result<_>>()?,
        server_cpu_us: report["cpu_us_per_command"]["server"].as_f64(),
        client_cpu_us: report["cpu_us_per_command"]["client"].as_f64(),
        seconds: number(report, "duration_s")?,
        note: if unserved > 0 { format!("{unserved} arrivals whose turn never came") } else { String::new() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({
            "audit": "clean", "problems": [], "failure": null, "duration_s": 1.5, "commands": 150, "refused": 0,
            "commands_per_second": 100.0, "refusals": {},
            "per_command": {"hold": {"count": 75, "p50_us": 1, "p75_us": 2, "p90_us": 3, "p95_us": 4, "p99_us": 5,
                "p999_us": 6, "max_us": 7}},
            "cpu_us_per_command": {"client": 9.5, "server": 10.25},
        })
    }

    #[test]
    fn figures_are_read_from_the_report() {
        let figures = read_report(&report()).expect("a report");
        assert_eq!((figures.commands, figures.per_second, figures.seconds), (150, 100.0, 1.5));
        assert_eq!(figures.hold_us, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!((figures.server_cpu_us, figures.client_cpu_us), (Some(10.25), Some(9.5)));
        assert_eq!(figures.note, "");
    }

    #[test]
    fn a_broken_audit_or_a_refusal_is_an_error() {
        for (key, value) in [("audit", json!("broken")), ("audit", Value::Null), ("refused", json!(1))] {
            let mut report = report();
            report[key] = value;
            assert!(read_report(&report).is_err(), "{key} is {}", report[key]);
        }
    }

    #[test]
    fn arrivals_without_a_turn_are_told() {
        let mut report = report();
        report["unserved"] = json!(3);
        assert_eq!(read_report(&report).expect("a report").note, "3 arrivals whose turn never came");
    }
}
