//! One text in, one text out: asks the detectors that the place calls for, and puts the actions' texts where they hit.

use std::borrow::Cow;
use std::ops::Range;

use crate::action::{Action, Replacer};
use crate::detect::{self, Hit, Kind, Kinds, Leads, Sieve, sql, url};
use crate::evidence;
use crate::pattern::Pattern;
use crate::place::{Place, Places};
use crate::settings::{QueryValues, Settings, Switch};

/// Scrubs texts as the settings say.
pub struct Scrubber {
    places: Places,
    /// Detectors by form that are on; in places of versions, without addresses.
    on: Kinds,
    on_versions: Kinds,
    actions: [Action; Kind::ALL.len()],
    patterns: Vec<Pattern>,
    all_query_values: bool,
    replacer: Replacer,
    hits: Vec<(Hit, u16)>,
    found: Vec<Hit>,
    counts: Counts,
}

/// How often each detector has changed something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// By [`Kind`].
    pub kinds: [u64; Kind::ALL.len()],
    /// By the number of the pattern.
    pub patterns: Vec<u64>,
}

/// What became of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was found.
    Clean,
    /// The text that was appended to the output stands for it.
    Rewritten,
    /// The whole value goes.
    Removed,
}

impl Scrubber {
    /// Checks the settings. The error says which key is wrong.
    pub fn new(settings: &Settings) -> Result<Self, (Cow<'static, str>, String)> {
        let mut actions = [settings.action; Kind::ALL.len()];
        actions[Kind::Key as usize] = settings.keys_action;
        for (name, switch) in &settings.detectors.0 {
            let known = Kind::ALL.iter().find(|kind| kind.name() == name && !matches!(kind, Kind::Key | Kind::Pattern));
            let Some(&kind) = known else {
                let names: Vec<_> = Kind::ALL.iter().take(Kind::ALL.len() - 2).map(|kind| kind.name()).collect();
                return Err((
                    format!("detectors.{name}").into(),
                    format!("no such detector; there are {}", names.join(", ")),
                ));
            };
            actions[kind as usize] = match switch {
                Switch::On(true) => settings.action,
                Switch::On(false) => Action::Off,
                Switch::Action(action) => *action,
            };
        }
        let mut patterns = Vec::new();
        for (number, pattern) in settings.patterns.iter().enumerate() {
            let action = pattern.action.unwrap_or(settings.action);
            let made = Pattern::new(&pattern.name, &pattern.regex, action);
            patterns.push(made.map_err(|error| (format!("patterns[{number}].regex").into(), error))?);
        }
        let hashes = actions.contains(&Action::Hash) || patterns.iter().any(|pattern| pattern.action == Action::Hash);
        if hashes && settings.hash_key.len() < 16 {
            return Err(("hash_key".into(), "the action `hash` needs a key of at least 16 characters".into()));
        }
        let mut on = Kinds::default();
        for kind in Kind::ALL.into_iter().filter(|&kind| actions[kind as usize] != Action::Off) {
            on.insert(kind);
        }
        let mut on_versions = Kinds::default();
        for kind in
            Kind::ALL.into_iter().filter(|kind| on.has(*kind) && !matches!(kind, Kind::Ipv4 | Kind::Ipv6 | Kind::Phone))
        {
            on_versions.insert(kind);
        }
        Ok(Self {
            places: Places::new(settings),
            on,
            on_versions,
            actions,
            all_query_values: settings.query_values == QueryValues::All,
            replacer: Replacer::new(&settings.hash_key),
            hits: Vec::new(),
            found: Vec::new(),
            counts: Counts { patterns: vec![0; patterns.len()], ..Counts::default() },
            patterns,
        })
    }

    /// Regular expressions, one of which matches every text that is changed; `None` where there are no such.
    #[must_use]
    pub fn evidence(&self) -> Option<Vec<&str>> {
        if self.on.has(Kind::Key) && self.places.lists_any() {
            return None;
        }
        let mut evidence = evidence::of(self.on)?;
        let own = self.patterns.iter().filter(|pattern| pattern.action != Action::Off);
        evidence.extend(own.map(Pattern::as_str));
        Some(evidence)
    }

    /// What is special about a place.
    #[must_use]
    pub fn judge(&self, place: &str) -> Place {
        self.places.judge(place)
    }

    /// The names of counters, with how often each detector has changed something since the last call; zeros left out.
    pub fn take_counts(&mut self, mut count: impl FnMut(&str, u64)) {
        for (kind, times) in Kind::ALL.iter().zip(&mut self.counts.kinds) {
            if *times > 0 {
                count(kind.name(), std::mem::take(times));
            }
        }
        for (pattern, times) in self.patterns.iter().zip(&mut self.counts.patterns) {
            if *times > 0 {
                count(&pattern.name, std::mem::take(times));
            }
        }
    }

    /// What becomes of a value that is no text, at a listed place.
    pub fn scrub_other(&mut self, place: Place) -> Outcome {
        if !place.listed || place.allowed || self.actions[Kind::Key as usize] == Action::Off {
            return Outcome::Clean;
        }
        self.counts.kinds[Kind::Key as usize] += 1;
        // A number has no letters to mask and too few values to hash: it goes.
        Outcome::Removed
    }

    /// Goes over all texts of a call, to find the few places at which [`scrub`](Self::scrub) looks.
    #[must_use]
    pub fn sieve(&self) -> Sieve {
        Sieve::new(self.on)
    }

    /// Whether texts at this place need [`scrub`](Self::scrub) even where the sieve leaves nothing.
    #[must_use]
    pub fn is_special(&self, place: Place) -> bool {
        !self.patterns.is_empty() || place.listed || place.sql || place.query.is_some()
    }

    /// Scrubs one text of those that the sieve goes over. What stands for it is appended to `out` if the answer is
    /// [`Outcome::Rewritten`].
    pub fn scrub(
        &mut self,
        place: Place,
        data: &[u8],
        range: Range<usize>,
        left: &mut Leads<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let text = &data[range.clone()];
        if place.allowed || text.is_empty() {
            return Outcome::Clean;
        }
        self.hits.clear();
        if place.listed && self.on.has(Kind::Key) {
            self.hits.push((Hit { start: 0, end: text.len(), kind: Kind::Key }, 0));
        } else {
            self.find(place, data, range, left);
        }
        if self.hits.is_empty() { Outcome::Clean } else { self.act(text, out) }
    }

    fn find(&mut self, place: Place, data: &[u8], range: Range<usize>, left: &mut Leads<'_>) {
        let text = &data[range.clone()];
        self.found.clear();
        let on = if place.version { self.on_versions } else { self.on };
        detect::scan_within(data, range, left, on, &mut self.found);
        if place.sql && self.on.has(Kind::Sql) {
            sql::literals(text, |start, end| self.found.push(Hit { start, end, kind: Kind::Sql }));
        }
        if let Some(bare) = place.query
            && self.on.has(Kind::Query)
            && let Some(query) = url::query_of(text).or(bare.then_some(0..text.len()))
        {
            let found = |start, end| self.found.push(Hit { start, end, kind: Kind::Query });
            url::values(text, query, self.all_query_values, found);
        }
        self.hits.extend(self.found.iter().map(|&hit| (hit, 0)));
        for (number, pattern) in self.patterns.iter().enumerate().filter(|(_, pattern)| pattern.action != Action::Off) {
            for (start, end) in pattern.find(text) {
                let hit = Hit { start, end, kind: Kind::Pattern };
                self.hits.push((hit, number as u16));
            }
        }
    }

    /// Puts the actions' texts where the hits are. Of hits that overlap, the one that begins first counts, and of those the longest;
    /// what it leaves uncovered of the others is hidden with it.
    fn act(&mut self, text: &[u8], out: &mut Vec<u8>) -> Outcome {
        self.hits.sort_unstable_by_key(|(hit, _)| (hit.start, usize::MAX - hit.end));
        let begin = out.len();
        let mut at = 0;
        let mut i = 0;
        while i < self.hits.len() {
            let (hit, number) = self.hits[i];
            let mut end = hit.end;
            i += 1;
            while i < self.hits.len() && self.hits[i].0.start < end {
                end = end.max(self.hits[i].0.end);
                i += 1;
            }
            let (name, action) = match hit.kind {
                Kind::Pattern => {
                    self.counts.patterns[usize::from(number)] += 1;
                    let pattern = &self.patterns[usize::from(number)];
                    (pattern.name.as_str(), pattern.action)
                }
                kind => {
                    self.counts.kinds[kind as usize] += 1;
                    (kind.name(), self.actions[kind as usize])
                }
            };
            if action == Action::Remove {
                out.truncate(begin);
                return Outcome::Removed;
            }
            out.extend_from_slice(&text[at..hit.start]);
            // Literals of SQL are written as placeholders are, so that statements stay equal and readable.
            if hit.kind == Kind::Sql && action == Action::Redact {
                out.push(b'?');
            } else {
                self.replacer.put(action, name, &text[hit.start..end], out);
            }
            at = end;
        }
        out.extend_from_slice(&text[at..]);
        Outcome::Rewritten
    }
}
