//! How a command ends.

use std::process::ExitCode;

/// The ends that scripts can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All went well.
    Well,
    /// It could not start, or `status` found something that has failed.
    Failed,
    /// Not everything could be delivered before the end.
    Undelivered,
    /// The command line or the configuration is wrong: `EX_USAGE` of `sysexits.h`.
    Usage,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(match end {
            End::Well => 0,
            End::Failed => 1,
            End::Undelivered => 2,
            End::Usage => 64,
        })
    }
}
