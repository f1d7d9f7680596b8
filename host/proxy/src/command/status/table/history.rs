//! What became of the newest versions of the plugins, below the table of stages.

use control::plugins::version::Version;

use super::{line, rows};

/// How many are shown; JSON has them all.
const SHOWN: usize = 10;
const DAY: u64 = 24 * 60 * 60;

pub(super) fn show(out: &mut String, versions: &[Version]) {
    if versions.is_empty() {
        return;
    }
    line(out, "");
    let head =
        ["PLUGIN", "CONTENT", "VERSION", "IS", "SINCE (UTC)", "GENERATION", "INSTEAD OF", "WHY"].map(str::to_owned);
    let newest = versions.iter().take(SHOWN).map(|version| one(version, versions));
    rows(out, std::iter::once(head).chain(newest));
    if versions.len() > SHOWN {
        line(out, &format!("  and {} older ones (--json has them)", versions.len() - SHOWN));
    }
}

fn one(version: &Version, all: &[Version]) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let replaced = version.replaced.and_then(|number| all.iter().find(|known| known.number == number));
    [
        version.stage.clone(),
        short(version),
        or_dash(version.plugin_version.clone()),
        version.phase.name().to_owned(),
        time_of_day(version.since_ms),
        or_dash(version.generation.map(|generation| generation.to_string())),
        or_dash(replaced.map(short)),
        or_dash(version.why.clone()),
    ]
}

/// As the table of stages shows a version.
fn short(version: &Version) -> String {
    version.sha256.chars().take(12).collect()
}

fn time_of_day(ms: u64) -> String {
    let seconds = ms / 1000 % DAY;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
