//! Why the server cannot start or had to end: one sentence that names the file and what to do, and the
//! exit code (those of sysexits.h).

use std::{fmt, io, net::SocketAddr, path::Path};

use engine::{CheckpointError, FolderError, OpenError, RecoverError, WriteError};

use crate::{config::ConfigFault, edge::limits_check::LimitsFault};

/// Why the server cannot start.
#[derive(Debug)]
pub struct StartFault {
    sentence: String,
    exit_code: u8,
}

/// Acknowledged data is damaged.
pub const EXIT_DAMAGED: u8 = 65;
/// The port is in use.
pub const EXIT_PORT: u8 = 69;
/// A defect of the program.
pub const EXIT_SOFTWARE: u8 = 70;
/// The operating system refused a thread or the like.
pub const EXIT_OS: u8 = 71;
/// The data folder cannot be made, or another process has it.
pub const EXIT_FOLDER: u8 = 73;
/// Reading or writing failed.
pub const EXIT_IO: u8 = 74;
/// The configuration, the format or the clock does not fit.
pub const EXIT_CONFIG: u8 = 78;

impl fmt::Display for StartFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for StartFault {}

impl StartFault {
    /// What the program ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    fn new(exit_code: u8, sentence: impl fmt::Display) -> StartFault {
        StartFault { sentence: sentence.to_string(), exit_code }
    }

    /// The data folder.
    pub(crate) fn folder(folder: &Path, error: FolderError) -> StartFault {
        match error {
            FolderError::Io { path, source } if may_not_write(&source) => StartFault::new(
                EXIT_FOLDER,
                format!(
                    "{}: {source}; give the user that runs usherd the right to write the data folder {}, or name \
                     another with --data-dir",
                    path.display(),
                    folder.display()
                ),
            ),
            FolderError::Io { path, source } => StartFault::new(
                EXIT_FOLDER,
                format!("{}: {source}; name a folder on a local disk with --data-dir", path.display()),
            ),
            error @ (FolderError::Locked { .. } | FolderError::NetworkFileSystem { .. }) => {
                StartFault::new(EXIT_FOLDER, error)
            }
        }
    }

    /// The engine.
    pub(crate) fn engine(folder: &Path, error: OpenError) -> StartFault {
        let at = folder.display();
        match error {
            OpenError::Config(what) => StartFault::new(EXIT_CONFIG, what),
            OpenError::Io { file, source } => io_fault(folder, &file, &source),
            OpenError::Log(RecoverError::Io { file, source }) => io_fault(folder, &file, &source),
            OpenError::Log(
                error @ (RecoverError::Damaged(_) | RecoverError::Gap { .. } | RecoverError::Sink { .. }),
            ) => StartFault::new(EXIT_DAMAGED, format!("{at}/{error}")),
            OpenError::Log(error @ (RecoverError::NewerFormat { .. } | RecoverError::WrongInstance { .. })) => {
                StartFault::new(EXIT_CONFIG, format!("{at}/{error}"))
            }
            OpenError::Checkpoint(CheckpointError::Io { file, source }) => io_fault(folder, &file, &source),
            OpenError::Checkpoint(error @ CheckpointError::NewerFormat { .. }) => {
                StartFault::new(EXIT_CONFIG, format!("{at}/{error}"))
            }
            OpenError::Checkpoint(error @ (CheckpointError::Damaged { .. } | CheckpointError::NoSection { .. })) => {
                StartFault::new(EXIT_DAMAGED, format!("{at}/{error}"))
            }
            error @ OpenError::Image { .. } => StartFault::new(EXIT_DAMAGED, format!("{at}/{error}")),
            error @ OpenError::ClockJump { .. } => StartFault::new(EXIT_CONFIG, error),
            OpenError::Write(WriteError::Io { file, operation, source }) => {
                if may_not_write(&source) {
                    return unwritable(folder, &file, &source);
                }
                StartFault::new(
                    EXIT_IO,
                    format!("{at}/{file}: {operation} failed: {source}; look after the disk, then start again"),
                )
            }
            OpenError::Write(error @ WriteError::Failed) => StartFault::new(EXIT_IO, error),
            OpenError::Write(error @ WriteError::WrongInstance { .. }) => StartFault::new(EXIT_CONFIG, error),
        }
    }

    /// The place of the archive.
    pub(crate) fn archive(error: backup::LocationError) -> StartFault {
        StartFault::new(EXIT_CONFIG, format!("archive: {error}"))
    }

    /// The port.
    pub(crate) fn port(address: SocketAddr, error: &io::Error) -> StartFault {
        let what = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there; stop it, or name another port with --listen",
            io::ErrorKind::PermissionDenied => "this user may not listen there; name a port over 1023 with --listen",
            _ => "name an address of this machine with --listen",
        };
        StartFault::new(EXIT_PORT, format!("{address}: {error}; {what}"))
    }

    /// The self-test of the limits.
    pub(crate) fn limits(error: &LimitsFault) -> StartFault {
        StartFault::new(
            EXIT_SOFTWARE,
            format!("the limits of our own port do not check: {error}; this build of usherd must not serve"),
        )
    }

    /// The memory to touch.
    #[must_use]
    pub fn memory(error: io::Error) -> StartFault {
        StartFault::new(EXIT_CONFIG, format!("{error}; set less"))
    }

    /// The operating system gave no thread, runtime or signal handler.
    pub(crate) fn system(what: &str, error: &io::Error) -> StartFault {
        StartFault::new(EXIT_OS, format!("{what}: {error}; raise the limits of this process"))
    }
}

impl From<ConfigFault> for StartFault {
    fn from(fault: ConfigFault) -> StartFault {
        StartFault::new(EXIT_CONFIG, fault)
    }
}

fn may_not_write(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn unwritable(folder: &Path, file: &str, source: &io::Error) -> StartFault {
    StartFault::new(
        EXIT_FOLDER,
        format!(
            "{}/{file}: {source}; give the user that runs usherd the right to write the data folder, or name another \
             with --data-dir",
            folder.display()
        ),
    )
}

fn io_fault(folder: &Path, file: &str, source: &io::Error) -> StartFault {
    let at = if file.is_empty() { folder.to_owned() } else { folder.join(file) };
    let at = at.display();
    if may_not_write(source) {
        return unwritable(folder, file, source);
    }
    // No number of the operating system: the bytes are there and do not check.
    if source.raw_os_error().is_none() {
        return StartFault::new(
            EXIT_DAMAGED,
            format!("{at}: {source}; keep the folder as it is and restore from a snapshot"),
        );
    }
    StartFault::new(EXIT_IO, format!("{at}: {source}; look after the disk, then start again"))
}
