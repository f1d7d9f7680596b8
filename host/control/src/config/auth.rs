//! The section `auth` of whoever listens: receivers and the admin side.

use pipeline::auth::AuthConfig;

use super::table::Table;

/// `None` where there is no such section.
pub(super) fn read(table: &mut Table<'_>) -> Option<AuthConfig> {
    let is_there = table.has("auth");
    table.section("auth", |table| {
        let (tokens, basic) = (table.text("tokens_file"), table.text("basic_file"));
        if is_there && tokens.is_some() == basic.is_some() {
            table.refuse_whole("needs a file: either `tokens_file` or `basic_file`");
        }
        tokens.map(|file| AuthConfig::Tokens(file.into())).or(basic.map(|file| AuthConfig::Basic(file.into())))
    })
}
