//! The report as one page of HTML: no script, nothing from elsewhere, light or dark as the reader's system is.
//!
//! Not here: how pictures are drawn (`chart.rs`), figures and words (`report.rs`).

use std::fmt::Write as _;

use crate::chart::{self, Line, Mark, escape};
use crate::goals::grouped;
use crate::report::{QUANTILE_NAMES, Report, Row, ends_text};
use crate::roster::GROUPS;
use crate::spread::Spread;

const STYLE: &str = "
:root{color-scheme:light dark;--text:#1c2430;--soft:#5c6675;--back:#fff;--panel:#f5f6f8;--grid:#dfe3e8;
--usherd:#0b7a5c;--echo:#8a93a0;--redis:#c93a2e;--postgres:#2f62b5;--other:#a2730c;--good:#0b7a5c;--bad:#c02626}
@media(prefers-color-scheme:dark){:root{--text:#e4e8ee;--soft:#98a2b0;--back:#14181e;--panel:#1c222a;--grid:#303844;
--usherd:#35c498;--echo:#7d8796;--redis:#f0776c;--postgres:#7aa7f0;--other:#d9ab46;--good:#35c498;--bad:#ff7b72}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);max-width:960px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.7rem;margin:0}h2{font-size:1.25rem;margin:2.5rem 0 .3rem}h3{font-size:1rem;margin:1.4rem 0 .3rem}
p{margin:.3rem 0}.soft{color:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:.9rem}th{text-align:left;color:var(--soft);font-weight:500}
th,td{padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--grid);vertical-align:top}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.met{color:var(--good);font-weight:600}.missed{color:var(--bad);font-weight:600}
.remarks{border-left:4px solid var(--bad);background:var(--panel);padding:.5rem 1rem .5rem 2rem;margin:1rem 0}
code{font-size:.88em;overflow-wrap:anywhere}
svg{width:100%;height:auto;display:block;margin:.5rem 0}svg text{font:13px system-ui,sans-serif;fill:var(--text)}
svg .tick{fill:var(--soft);font-size:12px}svg .figure{font-variant-numeric:tabular-nums;font-weight:600}
.grid{stroke:var(--grid);fill:none}.whisker{stroke:var(--text);stroke-width:1.4;fill:none;opacity:.75}
.line{fill:none;stroke-width:2}.thin{stroke-width:1.5}
.fill.usherd{fill:var(--usherd)}.fill.echo{fill:var(--echo)}.fill.redis{fill:var(--redis)}
.fill.postgres{fill:var(--postgres)}.fill.other{fill:var(--other)}
.line.usherd{stroke:var(--usherd)}.line.echo{stroke:var(--echo)}.line.redis{stroke:var(--redis)}
.line.postgres{stroke:var(--postgres)}.line.other{stroke:var(--other)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;font-size:.9rem}dt{color:var(--soft)}dd{margin:0}
";

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Usher: side by side</title>\
         <style>{STYLE}</style></head><body>\n<h1>Usher, side by side</h1>\
         <p class=\"soft\">{}, commit {}. Medians over rounds, in each of which everybody ran once, one after the other; \
         whiskers from the least to the most. Figures of different machines or runs cannot be compared; ratios \
         can.</p>\n",
        escape(&report.machine.date),
        escape(&report.machine.commit)
    );
    remarks(&mut out, report);
    goals(&mut out, report);
    for (group, title) in GROUPS {
        let rows: Vec<&Row> = report.rows.iter().filter(|row| row.group == group).collect();
        if !rows.is_empty() {
            section(&mut out, title, &rows);
        }
    }
    processor_time(&mut out, report);
    out.push_str("<h2>Machine and run</h2><dl>");
    for (name, fact) in report.facts() {
        let _ = write!(out, "<dt>{}</dt><dd><code>{}</code></dd>", escape(&name), escape(&fact));
    }
    out.push_str("</dl>\n</body></html>\n");
    out
}

fn remarks(out: &mut String, report: &Report) {
    let remarks = report.remarks();
    if remarks.is_empty() {
        return;
    }
    out.push_str("<ul class=\"remarks\">");
    for remark in remarks {
        let _ = write!(out, "<li>{}</li>", escape(&remark));
    }
    out.push_str("</ul>\n");
}

fn goals(out: &mut String, report: &Report) {
    if report.goals.is_empty() {
        return;
    }
    out.push_str(
        "<h2>Goals</h2><p class=\"soft\">Each round's figures of both sides make one ratio; shown is the median of these.\
         </p>\n<table><tr><th>goal</th><th>what</th><th class=\"n\">median</th><th class=\"n\">least to most</th>\
         <th class=\"n\">asked</th><th></th></tr>\n",
    );
    for goal in &report.goals {
        let ends = ends_text(goal.figure);
        let left_out = if goal.left_out > 0 { format!("; {} rounds left out", goal.left_out) } else { String::new() };
        let class = if goal.is_met == Some(true) { "met" } else { "missed" };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}<br><span class=\"soft\"><code>{}</code>{left_out}</span></td><td class=\"n\">{}</td>\
             <td class=\"n\">{ends}</td><td class=\"n\">{}</td><td class=\"{class}\">{}</td></tr>",
            escape(goal.goal),
            escape(goal.text),
            escape(&goal.compared),
            escape(&goal.median()),
            escape(&goal.bound),
            goal.outcome()
        );
    }
    out.push_str("</table>\n");
}

fn section(out: &mut String, title: &str, rows: &[&Row]) {
    let _ = writeln!(out, "<h2>{}</h2>", escape(title));
    let marks = marks(rows.iter().copied(), |row| row.per_second);
    if !marks.is_empty() {
        let _ = writeln!(out, "<h3>Commands a second</h3>{}", chart::bars(&marks, "commands a second"));
    }
    let with_latencies = rows.iter().filter(|row| !row.hold_us.is_empty());
    let lines: Vec<Line> = with_latencies
        .map(|row| Line { name: row.name.clone(), class: class(&row.name), figures: row.hold_us.clone() })
        .collect();
    if !lines.is_empty() {
        let drawn = chart::lines(&lines, &QUANTILE_NAMES, "microseconds");
        let _ = writeln!(out, "<h3>Latency of a hold, microseconds, logarithmic</h3>{drawn}");
    }
    out.push_str(
        "<table><tr><th>contestant</th><th class=\"n\">a second</th><th class=\"n\">p50 us</th><th class=\"n\">p99 us</th>\
         <th>rounds</th></tr>\n",
    );
    for row in rows {
        let notes = if row.notes.is_empty() { String::new() } else { format!(" ({})", row.notes.join("; ")) };
        let _ = writeln!(
            out,
            "<tr><td>{}<br><span class=\"soft\">{}{}</span></td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td>{}</td></tr>",
            escape(&row.name),
            escape(&row.what),
            escape(&notes),
            two_lines(row.per_second),
            two_lines(row.p50_us),
            two_lines(row.p99_us),
            escape(&row.rounds())
        );
    }
    out.push_str("</table>\n");
}

fn processor_time(out: &mut String, report: &Report) {
    let marks = marks(report.rows.iter(), |row| row.server_cpu_us);
    if !marks.is_empty() {
        let drawn = chart::dots(&marks, "microseconds of processor time a command");
        let _ = writeln!(
            out,
            "<h2>Processor time of the server</h2><p class=\"soft\">User and system, microseconds a command, \
             logarithmic. Steadier than rates.</p>{drawn}"
        );
    }
}

fn marks<'a>(rows: impl Iterator<Item = &'a Row>, of: impl Fn(&Row) -> Option<Spread>) -> Vec<Mark> {
    rows.filter_map(|row| Some(Mark { name: row.name.clone(), class: class(&row.name), spread: of(row)? })).collect()
}

/// A median above its ends.
fn two_lines(spread: Option<Spread>) -> String {
    let median = spread.map_or_else(|| "-".to_owned(), |spread| grouped(spread.median));
    format!("{}<br><span class=\"soft\">{}</span>", escape(&median), escape(&ends_text(spread)))
}

/// The colour of a contestant: that of its program.
fn class(name: &str) -> &'static str {
    ["usherd", "echo", "redis", "postgres"].into_iter().find(|class| name.starts_with(class)).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals::GOALS;
    use crate::machine::Machine;

    #[test]
    fn a_page_is_whole_and_escapes_what_it_is_told() {
        let spread = Some(Spread { median: 2.0, min: 1.0, max: 3.0 });
        let row = |name: &str| Row {
            name: name.to_owned(),
            group: GROUPS[0].0,
            what: "<b>what</b>".to_owned(),
            per_second: spread,
            hold_us: vec![1.0; QUANTILE_NAMES.len()],
            p50_us: spread,
            p99_us: spread,
            server_cpu_us: spread,
            client_cpu_us: None,
            counted: 1,
            left_out: 0,
            failed: 0,
            notes: vec!["<b>note</b>".to_owned()],
        };
        let report = Report {
            machine: Machine { command: "bench '<b>'".to_owned(), ..Machine::default() },
            rounds: 1,
            seconds: 1.0,
            warmup_seconds: 0.0,
            took: String::new(),
            warnings: vec!["<b>warning</b>".to_owned()],
            skipped: vec![("redis".to_owned(), "<b>missing</b>".to_owned())],
            rows: vec![row("usherd-h2load"), row("a<b>")],
            goals: GOALS.iter().map(|goal| goal.judge(&[])).collect(),
            runs: Vec::new(),
        };
        let page = page(&report);
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
        assert!(!page.contains("<b>") && page.contains("&lt;b&gt;warning"));
        assert!(!page.contains("<script") && !page.contains("http"), "nothing runs and nothing is loaded");
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(!page.contains("NaN") && !page.contains("inf "));
    }
}
