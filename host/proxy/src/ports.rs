//! The ports file: where the proxy listens, for whoever started it on port 0.

use std::path::Path;

use anyhow::{Context as _, Result};
use control::admin::view::Listeners;

/// Writes the addresses, whole or not at all.
pub fn write(file: &Path, listeners: &Listeners) -> Result<()> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let text = serde_json::to_string(listeners)?;
    std::fs::write(&unfinished, text + "\n").with_context(|| format!("writing {}", unfinished.display()))?;
    std::fs::rename(&unfinished, file).with_context(|| format!("writing {}", file.display()))
}
