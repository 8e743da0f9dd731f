//! What a command has to say, and how it leaves the program: data on stdout, everything else on stderr.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::Value;

/// The form of what goes to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for people.
    Table,
    /// One JSON document with stable keys.
    Json,
}

/// The result of a command that ran.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The data for people.
    pub(crate) text: String,
    /// The same for programs.
    pub(crate) json: Value,
    /// What is worth knowing beside the data.
    pub(crate) notes: Vec<String>,
    /// The command a person is likely to type now.
    pub(crate) next: Option<String>,
    /// What the program ends with.
    pub(crate) exit_code: u8,
}

impl Report {
    /// Data in both forms.
    pub(crate) fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, ..Self::default() }
    }

    /// With a remark for stderr.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// With the command to type now.
    pub(crate) fn next(mut self, command: impl Into<String>) -> Self {
        self.next = Some(command.into());
        self
    }

    /// Ends the program with this code.
    pub(crate) fn exit(mut self, code: u8) -> Self {
        self.exit_code = code;
        self
    }

    /// Writes the data to `data` and the rest to `beside`.
    pub(crate) fn write(&self, output: Output, data: &mut dyn Write, beside: &mut dyn Write) -> io::Result<()> {
        // In one piece each, so that a reader who stops early stops us once.
        match output {
            Output::Table => {
                let end = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
                data.write_all(format!("{}{end}", self.text).as_bytes())?;
            }
            Output::Json => data.write_all(format!("{:#}\n", self.json).as_bytes())?,
        }
        data.flush()?;
        for note in &self.notes {
            writeln!(beside, "{note}")?;
        }
        match (&self.next, output) {
            (Some(next), Output::Table) => writeln!(beside, "next: {next}"),
            // A program needs no advice.
            (Some(_), Output::Json) | (None, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(output: Output) -> (String, String) {
        let (mut data, mut beside) = (Vec::new(), Vec::new());
        Report::new("A-1", serde_json::json!({ "seats": ["A-1"] }))
            .note("read as a chart")
            .next("usherctl confirm")
            .write(output, &mut data, &mut beside)
            .expect("a vector takes all");
        (String::from_utf8(data).expect("text"), String::from_utf8(beside).expect("text"))
    }

    #[test]
    fn only_data_goes_to_stdout() {
        assert_eq!(written(Output::Table), ("A-1\n".into(), "read as a chart\nnext: usherctl confirm\n".into()));
        let (data, beside) = written(Output::Json);
        assert_eq!(data, "{\n  \"seats\": [\n    \"A-1\"\n  ]\n}\n");
        assert_eq!(beside, "read as a chart\n");
    }
}
