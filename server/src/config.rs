//! The configuration: defaults, then a TOML file, then `USHER_*`, then flags. Every value knows where it
//! comes from, and a key that is not known is refused by name.
//!
//! One table lists every setting once; flags, file keys and variables are all made from it.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    thread,
};

use clap::{Arg, ArgAction, ArgMatches, parser::ValueSource};

/// The file that is read when it is there and no other is named.
pub const DEFAULT_FILE: &str = "usher.toml";
/// Variables of the other programs, which a shell may carry for them.
const FOREIGN_VARIABLES: &[&str] = &["USHER_ENDPOINT"];
/// Beginning of the name of every variable.
const VARIABLE_PREFIX: &str = "USHER_";

/// How the log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the server runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Threads that serve connections.
    pub io_cores: usize,
    /// Shards that the slots are dealt to.
    pub shards: usize,
    /// Size of a segment of the log.
    pub segment_bytes: u64,
    /// A checkpoint is due at so many sealed segments that none covers.
    pub checkpoint_segments: usize,
    /// Memory that state may use.
    pub memory_budget_bytes: u64,
    /// Memory that is touched before the server serves, and kept.
    pub memory_ready_bytes: u64,
    /// How the log lines look.
    pub log_format: LogFormat,
    /// Which log lines there are.
    pub log_level: String,
    /// Listen beyond this machine although nobody is asked who they are.
    pub insecure_no_auth: bool,
    /// Start although the clock is far from the log's time.
    pub accept_clock_jump: bool,
    /// How long a stop may take.
    pub drain_seconds: u64,
    /// Offer reflection.
    pub reflection: bool,
    /// Where the log is archived: a folder or a URL.
    pub archive: Option<String>,
    /// What is durable is archived within so long.
    pub archive_seconds: u64,
    /// Keep an index of what happened to each seat, hold and order.
    pub history: bool,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// This file.
    File(PathBuf),
    /// The variable of this name.
    Variable(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Variable(name) => f.write_str(name),
            Origin::Flag => f.write_str("command line"),
        }
    }
}

/// The configuration cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigFault {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason, or the parser's.
        why: String,
    },
    /// There is no setting of this name.
    UnknownKey {
        /// The key as it was written.
        key: String,
        /// Where.
        origin: Origin,
    },
    /// A value is not what it must be.
    Invalid {
        /// The setting.
        key: &'static str,
        /// The value as it was written.
        value: String,
        /// Where.
        origin: Origin,
        /// What it must be.
        must: &'static str,
    },
    /// Listening beyond this machine without asking who calls.
    Exposed {
        /// Where it would listen.
        listen: SocketAddr,
        /// Who said so.
        origin: Origin,
    },
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigFault::Unreadable { path, why } => {
                write!(f, "{}: {why}; mend the file or name another with --config", path.display())
            }
            ConfigFault::UnknownKey { key, origin } => {
                write!(f, "{key} ({origin}) is no setting; usherd --help lists all of them")
            }
            ConfigFault::Invalid { key, value, origin, must } => {
                write!(f, "{key} is {value:?} ({origin}); it must be {must}")
            }
            ConfigFault::Exposed { listen, origin } => write!(
                f,
                "listen is {listen} ({origin}), which other machines can reach, and this version asks nobody who they \
                 are; listen on 127.0.0.1, or say --insecure-no-auth if the network is closed"
            ),
        }
    }
}

impl std::error::Error for ConfigFault {}

/// One setting.
struct Setting {
    /// Its name in the file: words joined by `_`.
    key: &'static str,
    /// The same joined by `-`.
    flag: &'static str,
    value_name: &'static str,
    default: fn() -> String,
    /// A flag alone means true.
    is_switch: bool,
    help: &'static str,
}

const LISTEN: &str = "listen";
const DATA_DIR: &str = "data_dir";
const IO_CORES: &str = "io_cores";
const SHARDS: &str = "shards";
const SEGMENT_BYTES: &str = "segment_bytes";
const CHECKPOINT_SEGMENTS: &str = "checkpoint_segments";
const MEMORY_BUDGET: &str = "memory_budget";
const MEMORY_READY: &str = "memory_ready";
const LOG_FORMAT: &str = "log_format";
const LOG_LEVEL: &str = "log_level";
const INSECURE_NO_AUTH: &str = "insecure_no_auth";
const ACCEPT_CLOCK_JUMP: &str = "accept_clock_jump";
const DRAIN_SECONDS: &str = "drain_seconds";
const NO_REFLECTION: &str = "no_reflection";
const ARCHIVE: &str = "archive";
const ARCHIVE_SECONDS: &str = "archive_seconds";
const HISTORY: &str = "history";

const SETTINGS: &[Setting] = &[
    Setting {
        key: LISTEN,
        flag: "listen",
        value_name: "ADDRESS",
        default: || "127.0.0.1:7700".to_owned(),
        is_switch: false,
        help: "Where to listen. Other than loopback only with --insecure-no-auth",
    },
    Setting {
        key: DATA_DIR,
        flag: "data-dir",
        value_name: "FOLDER",
        default: || "./usher-data".to_owned(),
        is_switch: false,
        help: "The data folder, made if it is missing. On a local disk",
    },
    Setting {
        key: IO_CORES,
        flag: "io-cores",
        value_name: "COUNT",
        default: || cores().to_string(),
        is_switch: false,
        help: "Threads that serve connections [default: the cores of the machine]",
    },
    Setting {
        key: SHARDS,
        flag: "shards",
        value_name: "COUNT",
        default: String::new,
        is_switch: false,
        help: "Shards, 1 to 256; may change at any start [default: io-cores]",
    },
    Setting {
        key: SEGMENT_BYTES,
        flag: "segment-bytes",
        value_name: "BYTES",
        default: || "64MiB".to_owned(),
        is_switch: false,
        help: "Size of a segment of the log",
    },
    Setting {
        key: CHECKPOINT_SEGMENTS,
        flag: "checkpoint-segments",
        value_name: "COUNT",
        default: || "32".to_owned(),
        is_switch: false,
        help: "Full segments of the log at which a checkpoint is made, however small they are",
    },
    Setting {
        key: MEMORY_BUDGET,
        flag: "memory-budget",
        value_name: "BYTES",
        default: || "4GiB".to_owned(),
        is_switch: false,
        help: "Memory that the inventory may use",
    },
    Setting {
        key: MEMORY_READY,
        flag: "memory-ready",
        value_name: "BYTES",
        default: || "0".to_owned(),
        is_switch: false,
        help: "Memory to touch before serving and to keep, so that no command waits for the system to find some",
    },
    Setting {
        key: LOG_FORMAT,
        flag: "log-format",
        value_name: "text|json",
        default: || "text".to_owned(),
        is_switch: false,
        help: "How log lines on stderr look",
    },
    Setting {
        key: LOG_LEVEL,
        flag: "log-level",
        value_name: "LEVEL",
        default: || "info".to_owned(),
        is_switch: false,
        help: "error, warn, info, debug or trace, also by module: info,server=debug",
    },
    Setting {
        key: INSECURE_NO_AUTH,
        flag: "insecure-no-auth",
        value_name: "BOOL",
        default: || "false".to_owned(),
        is_switch: true,
        help: "Allow to listen beyond this machine although nobody is asked who they are",
    },
    Setting {
        key: ACCEPT_CLOCK_JUMP,
        flag: "accept-clock-jump",
        value_name: "BOOL",
        default: || "false".to_owned(),
        is_switch: true,
        help: "Start although the clock is far from the time in the log",
    },
    Setting {
        key: DRAIN_SECONDS,
        flag: "drain-seconds",
        value_name: "SECONDS",
        default: || "20".to_owned(),
        is_switch: false,
        help: "How long a stop may take to answer what was accepted",
    },
    Setting {
        key: NO_REFLECTION,
        flag: "no-reflection",
        value_name: "BOOL",
        default: || "false".to_owned(),
        is_switch: true,
        help: "Do not offer gRPC reflection",
    },
    Setting {
        key: ARCHIVE,
        flag: "archive",
        value_name: "FOLDER|URL",
        default: String::new,
        is_switch: false,
        help: "Copy the log and snapshots there while running: a folder on another disk, or s3://bucket/prefix [default: none]",
    },
    Setting {
        key: ARCHIVE_SECONDS,
        flag: "archive-seconds",
        value_name: "SECONDS",
        default: || "10".to_owned(),
        is_switch: false,
        help: "What is durable is in the archive within so long",
    },
    Setting {
        key: HISTORY,
        flag: "history",
        value_name: "on|off",
        default: || "off".to_owned(),
        is_switch: false,
        help: "Keep an index of what happened to each seat, hold and order. Takes the memory of the state once more",
    },
];

const AFTER_HELP: &str = "\
Examples:
  usherd                                       serve on 127.0.0.1:7700, data in ./usher-data
  usherd --listen 127.0.0.1:7800 --data-dir /var/lib/usher
  usherd --config /etc/usher.toml --check-config
  USHER_LOG_FORMAT=json usherd                 every setting is also a variable

A setting comes from, the later the stronger: its default; a TOML file (--config, USHER_CONFIG or ./usher.toml)
with keys like data_dir = \"...\"; a variable like USHER_DATA_DIR; a flag.

Exit codes: 0 stopped on request; 65 acknowledged data is damaged; 69 the port is in use; 73 the data folder
cannot be used or another process has it; 74 reading or writing failed; 78 the configuration, the format of the
data or the clock does not fit.";

/// The command line.
#[must_use]
pub fn command() -> clap::Command {
    let mut command = clap::Command::new("usherd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The seat inventory server: who may have which seat and until when, never twice")
        .after_help(AFTER_HELP)
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .help("TOML file with settings [default: ./usher.toml if it is there]"),
        )
        .arg(
            Arg::new("check-config")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .help("Print every setting with where it comes from, and end"),
        );
    for setting in SETTINGS {
        let mut arg = Arg::new(setting.key).long(setting.flag).value_name(setting.value_name);
        let default = (setting.default)();
        let help = if setting.is_switch || setting.help.contains("[default") || default.is_empty() {
            setting.help.to_owned()
        } else {
            format!("{} [default: {default}]", setting.help)
        };
        arg = arg.help(help);
        if setting.is_switch {
            arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true").hide_possible_values(true);
        }
        command = command.arg(arg);
    }
    command
}

/// Every setting as text, with where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in SETTINGS {
            let (value, origin) = self.get(setting.key);
            writeln!(f, "{:<18} = {value:<24} ({origin})", setting.key)?;
        }
        Ok(())
    }
}

impl Effective {
    /// Every setting: its name, its value, where that comes from.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
        SETTINGS.iter().map(|setting| {
            let (value, origin) = self.get(setting.key);
            (setting.key, value.as_str(), origin)
        })
    }

    /// From the environment of this process and the flags it was started with.
    ///
    /// # Errors
    /// A file that does not read, a key that is not known.
    pub fn gather(matches: &ArgMatches) -> Result<Effective, ConfigFault> {
        let variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
            .collect();
        Effective::layer(matches, &variables, Path::new(DEFAULT_FILE))
    }

    /// From what is given.
    ///
    /// # Errors
    /// A file that does not read, a key that is not known.
    pub fn layer(
        matches: &ArgMatches,
        variables: &[(String, String)],
        default_file: &Path,
    ) -> Result<Effective, ConfigFault> {
        let mut effective = Effective::default();
        for setting in SETTINGS {
            effective.values.insert(setting.key, ((setting.default)(), Origin::Default));
        }
        let named = matches.get_one::<String>("config").map(PathBuf::from);
        let named = named.or_else(|| {
            let variable = variables.iter().find(|(name, _)| name == "USHER_CONFIG");
            variable.map(|(_, path)| PathBuf::from(path))
        });
        match named {
            Some(path) => effective.take_file(&path)?,
            None if default_file.exists() => effective.take_file(default_file)?,
            None => {}
        }
        for (name, value) in variables {
            if name == "USHER_CONFIG" || FOREIGN_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let key = name.trim_start_matches(VARIABLE_PREFIX).to_ascii_lowercase();
            effective.take(&key, name, value.clone(), Origin::Variable(name.clone()))?;
        }
        for setting in SETTINGS {
            if matches.value_source(setting.key) == Some(ValueSource::CommandLine)
                && let Some(value) = matches.get_one::<String>(setting.key)
            {
                effective.values.insert(setting.key, (value.clone(), Origin::Flag));
            }
        }
        if effective.get(SHARDS).0.is_empty() {
            let (cores, _) = effective.get(IO_CORES);
            let cores = cores.clone();
            effective.values.insert(SHARDS, (cores, Origin::Default));
        }
        Ok(effective)
    }

    fn take_file(&mut self, path: &Path) -> Result<(), ConfigFault> {
        let unreadable = |why: String| ConfigFault::Unreadable { path: path.to_owned(), why };
        let text = fs::read_to_string(path).map_err(|error: io::Error| unreadable(error.to_string()))?;
        let table = toml::Table::from_str(&text).map_err(|error| unreadable(error.message().to_owned()))?;
        for (key, value) in table {
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(yes) => yes.to_string(),
                toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
                    return Err(unreadable(format!("{key} must be a text, a whole number, true or false")));
                }
            };
            self.take(&key, &key, value, Origin::File(path.to_owned()))?;
        }
        Ok(())
    }

    fn take(&mut self, key: &str, written: &str, value: String, origin: Origin) -> Result<(), ConfigFault> {
        match SETTINGS.iter().find(|setting| setting.key == key) {
            Some(setting) => {
                self.values.insert(setting.key, (value, origin));
                Ok(())
            }
            None => Err(ConfigFault::UnknownKey { key: written.to_owned(), origin }),
        }
    }

    fn get(&self, key: &'static str) -> &(String, Origin) {
        const NONE: &(String, Origin) = &(String::new(), Origin::Default);
        self.values.get(key).unwrap_or(NONE)
    }

    fn parse<T>(
        &self,
        key: &'static str,
        must: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigFault> {
        let (value, origin) = self.get(key);
        read(value).ok_or_else(|| ConfigFault::Invalid { key, value: value.clone(), origin: origin.clone(), must })
    }

    /// The values, checked.
    ///
    /// # Errors
    /// The first value that cannot be.
    pub fn config(&self) -> Result<Config, ConfigFault> {
        let switch = |key| self.parse(key, "true or false", |text| bool::from_str(text).ok());
        let count = |key, most: usize| move |text: &str| within(text, 1, most).filter(|_| !str::is_empty(key));
        let config = Config {
            listen: self.parse(LISTEN, "an address and a port, like 127.0.0.1:7700", |text| text.parse().ok())?,
            data_dir: self.parse(DATA_DIR, "a path", |text| (!text.is_empty()).then(|| PathBuf::from(text)))?,
            io_cores: self.parse(IO_CORES, "1 to 64", count(IO_CORES, 64))?,
            shards: self.parse(SHARDS, "1 to 256", count(SHARDS, 256))?,
            segment_bytes: self.parse(SEGMENT_BYTES, "64KiB to 1GiB", |text| {
                bytes(text).filter(|bytes| (64 << 10..=1 << 30).contains(bytes))
            })?,
            checkpoint_segments: self.parse(CHECKPOINT_SEGMENTS, "1 to 1024", |text| within(text, 1, 1_024))?,
            memory_budget_bytes: self
                .parse(MEMORY_BUDGET, "at least 64MiB", |text| bytes(text).filter(|bytes| *bytes >= 64 << 20))?,
            memory_ready_bytes: self.parse(MEMORY_READY, "a number of bytes, like 2GiB", bytes)?,
            log_format: self.parse(LOG_FORMAT, "text or json", |text| match text {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            })?,
            log_level: self.parse(LOG_LEVEL, "error, warn, info, debug or trace, also by module", |text| {
                tracing_subscriber::EnvFilter::try_new(text).is_ok().then(|| text.to_owned())
            })?,
            insecure_no_auth: switch(INSECURE_NO_AUTH)?,
            accept_clock_jump: switch(ACCEPT_CLOCK_JUMP)?,
            drain_seconds: self
                .parse(DRAIN_SECONDS, "0 to 3600", |text| text.parse().ok().filter(|seconds| *seconds <= 3_600))?,
            reflection: !switch(NO_REFLECTION)?,
            archive: self
                .parse(ARCHIVE, "a folder or a URL", |text| Some((!text.is_empty()).then(|| text.to_owned())))?,
            archive_seconds: self.parse(ARCHIVE_SECONDS, "1 to 3600", |text| {
                text.parse().ok().filter(|seconds| (1..=3_600).contains(seconds))
            })?,
            history: self.parse(HISTORY, "on or off", |text| match text {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            })?,
        };
        if !config.listen.ip().is_loopback() && !config.insecure_no_auth {
            let origin = self.get(LISTEN).1.clone();
            return Err(ConfigFault::Exposed { listen: config.listen, origin });
        }
        Ok(config)
    }
}

fn within(text: &str, least: usize, most: usize) -> Option<usize> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// A number of bytes, with KiB, MiB or GiB.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effective(flags: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Effective, ConfigFault> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("usher.toml");
        fs::write(&path, file).expect("a written file");
        let matches = command().try_get_matches_from([&["usherd"], flags].concat()).expect("flags that parse");
        let variables: Vec<_> = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Effective::layer(&matches, &variables, &path)
    }

    #[test]
    fn the_later_layer_wins() {
        let file = "drain_seconds = 1\nshards = 3\nio_cores = 2";
        let found = effective(&["--drain-seconds", "9"], &[("USHER_SHARDS", "5")], file).expect("valid layers");
        let config = found.config().expect("a valid configuration");
        assert_eq!((config.drain_seconds, config.shards, config.io_cores), (9, 5, 2));
        assert_eq!(found.get(SHARDS).1, Origin::Variable("USHER_SHARDS".to_owned()));
        assert_eq!(found.get(LISTEN).1, Origin::Default);
        let shown = found.to_string();
        assert!(shown.contains("usher.toml)") && shown.contains("(command line)"), "{shown}");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let fault = effective(&[], &[], "sharts = 3").expect_err("no such key");
        assert!(fault.to_string().contains("sharts"), "{fault}");
        let fault = effective(&[], &[("USHER_SHARTS", "3")], "").expect_err("no such variable");
        assert!(fault.to_string().contains("USHER_SHARTS"), "{fault}");
    }

    #[test]
    fn only_loopback_unless_told_otherwise() {
        let open = effective(&["--listen", "0.0.0.0:7700"], &[], "").expect("layers");
        assert!(matches!(open.config(), Err(ConfigFault::Exposed { .. })));
        let told = effective(&["--listen", "0.0.0.0:7700", "--insecure-no-auth"], &[], "").expect("layers");
        assert!(told.config().is_ok());
    }

    #[test]
    fn a_value_that_cannot_be_is_named_with_its_origin() {
        for (flag, value) in [
            ("--segment-bytes", "64 MB"),
            ("--segment-bytes", "63KiB"),
            ("--checkpoint-segments", "0"),
            ("--shards", "0"),
            ("--shards", "257"),
            ("--log-format", "xml"),
            ("--memory-budget", "1KiB"),
            ("--drain-seconds", "-1"),
            ("--archive-seconds", "0"),
            ("--listen", "localhost"),
        ] {
            let flag_text = format!("{flag}={value}");
            let fault = effective(&[&flag_text], &[], "").and_then(|found| found.config()).expect_err(value);
            assert!(fault.to_string().contains("command line"), "{fault}");
        }
        assert_eq!(bytes("64MiB"), Some(64 << 20));
        assert_eq!(bytes("99999999999999GiB"), None);
    }

    #[test]
    fn shards_follow_the_io_cores() {
        let config = effective(&["--io-cores", "3"], &[], "").expect("layers").config().expect("valid");
        assert_eq!(config.shards, 3);
    }
}
