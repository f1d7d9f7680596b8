//! `tracemill status`: what a running proxy says about itself, as a table.

mod table;

use anyhow::{Context as _, Result, ensure};
use control::admin::view::Status;

use super::admin;
use crate::cli;
use crate::command::{complain, say};
use crate::end::End;

/// Asks and shows.
pub fn status(options: &cli::Status) -> End {
    let (text, status) = match ask(&options.admin) {
        Ok(answer) => answer,
        Err(error) => {
            complain(&admin::no_answer(&options.admin, &error));
            return End::Failed;
        }
    };
    let shown = if options.json { text } else { table::show(&status) };
    say(shown.trim_end());
    if table::failed(&status) { End::Failed } else { End::Well }
}

fn ask(options: &cli::Admin) -> Result<(String, Status)> {
    let (code, text) = admin::ask(options, http::Method::GET, "/status")?;
    ensure!(code.is_success(), "it answers {code}");
    let status = serde_json::from_str(&text).context("the answer is not that of a tracemill of this version")?;
    Ok((text, status))
}
