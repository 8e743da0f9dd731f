//! Running the program.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What one run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    /// Its exit code.
    pub(crate) code: i32,
    /// Data.
    pub(crate) data: String,
    /// Everything else.
    pub(crate) beside: String,
}

impl Run {
    /// The data as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// That it ended well.
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// Runs `usherctl` with these words, and no setting of the caller's shell.
pub(crate) fn usherctl<'a>(words: impl IntoIterator<Item = &'a str>) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_usherctl"))
        .args(words)
        .env_remove("USHER_ENDPOINT")
        .output()
        .expect("the program was built for this test");
    Run {
        code: output.status.code().expect("it was not killed"),
        data: String::from_utf8(output.stdout).expect("text"),
        beside: String::from_utf8(output.stderr).expect("text"),
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}
