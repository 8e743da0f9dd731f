//! A venue plan as a file: where it is read from and what it is written in.

use std::fs::File;
use std::io::{self, Read};

use clap::{Args, ValueEnum};
use proto::admin::v1::PlanFormat;
use serde_json::Value;
use venue::{Format, IMPORT_BYTES_MAX, SeatKey};

use crate::failure::Failure;

/// A plan on the command line.
#[derive(Args, Clone, Debug)]
pub(crate) struct PlanOptions {
    /// What the file is written in; without it, told by what the document has
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<FormatChoice>,
    /// Which field of a pretix seat becomes its key: uuid for plans whose guids repeat
    #[arg(long, value_enum, value_name = "FIELD", default_value = "guid")]
    pub(crate) seat_id: SeatIdChoice,
}

/// What a plan is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatChoice {
    /// Usher's own JSON format
    Usher,
    /// A chart of seats.io
    Seatsio,
    /// A seating plan of pretix
    Pretix,
}

/// Which field of a pretix seat becomes its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SeatIdChoice {
    /// seat_guid
    Guid,
    /// uuid
    Uuid,
}

impl FormatChoice {
    /// As the importer wants it.
    pub(crate) fn to_venue(self) -> Format {
        match self {
            FormatChoice::Usher => Format::Usher,
            FormatChoice::Seatsio => Format::Seatsio,
            FormatChoice::Pretix => Format::Pretix,
        }
    }
}

impl SeatIdChoice {
    /// As the importer wants it.
    pub(crate) fn to_venue(self) -> SeatKey {
        match self {
            SeatIdChoice::Guid => SeatKey::Guid,
            SeatIdChoice::Uuid => SeatKey::Uuid,
        }
    }
}

/// As the wire wants it.
pub(crate) fn wire_format(format: Format) -> PlanFormat {
    match format {
        Format::Usher => PlanFormat::Usher,
        Format::Seatsio => PlanFormat::Seatsio,
        Format::Pretix => PlanFormat::Pretix,
    }
}

/// The bytes of a file; `-` is stdin.
pub(crate) fn read(path: &str) -> Result<Vec<u8>, Failure> {
    let from = |mut source: Box<dyn Read>| {
        let mut bytes = Vec::new();
        // One byte more than is taken tells a document that is too large, without reading all of an endless one.
        source.by_ref().take(IMPORT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let opened: io::Result<Box<dyn Read>> = match path {
        "-" => Ok(Box::new(io::stdin().lock())),
        path => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
    };
    opened.and_then(from).map_err(|source| Failure::Input { path: path.to_owned(), source })
}

/// The format asked for, or else the one the document looks like; and whether it was told by the document.
pub(crate) fn format_of(path: &str, bytes: &[u8], asked: Option<FormatChoice>) -> Result<(Format, bool), Failure> {
    if let Some(asked) = asked {
        return Ok((asked.to_venue(), false));
    }
    let problem = if bytes.len() > IMPORT_BYTES_MAX {
        format!("a plan has at most {IMPORT_BYTES_MAX} bytes")
    } else {
        match serde_json::from_slice::<Value>(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)) {
            Err(error) => format!("not JSON: {error}"),
            Ok(document) => match guess(&document) {
                Some(format) => return Ok((format, true)),
                None => "neither a plan of Usher, a chart of seats.io nor a plan of pretix: say which with --format"
                    .to_owned(),
            },
        }
    };
    Err(Failure::Unusable { problem: format!("{path}: {problem}") })
}

/// Each format by the field the others do not have.
fn guess(document: &Value) -> Option<Format> {
    let fields = document.as_object()?;
    if fields.contains_key("usher_plan") {
        Some(Format::Usher)
    } else if fields.contains_key("subChart") || fields.contains_key("subChartFloors") {
        Some(Format::Seatsio)
    } else if fields.get("zones").is_some_and(Value::is_array) {
        Some(Format::Pretix)
    } else {
        None
    }
}

/// What a format is called in a sentence.
pub(crate) fn words(format: Format) -> &'static str {
    match format {
        Format::Usher => "a plan of Usher",
        Format::Seatsio => "a chart of seats.io",
        Format::Pretix => "a plan of pretix",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_tells_its_format() {
        for (text, format) in [
            (r#"{"usher_plan": 1, "zones": []}"#, Format::Usher),
            (r#"{"subChart": {}, "zones": []}"#, Format::Seatsio),
            (r#"{"subChartFloors": {}, "zones": []}"#, Format::Seatsio),
            ("\u{feff}{\"categories\": [], \"zones\": []}", Format::Pretix),
        ] {
            assert_eq!(format_of("f", text.as_bytes(), None).expect(text), (format, true));
        }
        let asked = format_of("f", b"not even JSON", Some(FormatChoice::Pretix)).expect("asked for");
        assert_eq!(asked, (Format::Pretix, false));
    }

    #[test]
    fn a_document_of_no_format_is_not_guessed_at() {
        for (text, expected) in [("[]", "--format"), ("{}", "--format"), ("{", "not JSON"), ("", "not JSON")] {
            let failure = format_of("hall.json", text.as_bytes(), None).expect_err(text);
            assert!(failure.text().starts_with("error: hall.json: "), "{}", failure.text());
            assert!(failure.text().contains(expected), "{}", failure.text());
        }
    }
}
