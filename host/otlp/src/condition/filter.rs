//! Lists of conditions, compiled: which rows of a batch they match.

use super::test::Test;
use super::{Condition, Operator, places};
use crate::batch::{Batch, Changes};
use crate::columns::build::put_hex;
use crate::find::{self, Field, Keys, Shared, Source};
use crate::path::Path;
use crate::value::Value;

/// A condition that can never be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("condition {condition} of list {list}, on `{path}`: {fault}")]
pub struct ConditionError {
    /// In which of the lists, counted from 1.
    pub list: usize,
    /// Which of its conditions, counted from 1.
    pub condition: usize,
    /// What it is about.
    pub path: Path,
    /// What is wrong with it.
    pub fault: ConditionFault,
}

/// What can be wrong with a condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionFault {
    /// `exists` with values.
    #[error("`exists` takes no values")]
    ValuesForExists,
    /// Another operator without values.
    #[error("there is no value to compare with")]
    NoValues,
    /// An operator on texts with other values.
    #[error("`{0}` compares with texts only")]
    NotText(Operator),
    /// An operator on numbers with other values.
    #[error("`{0}` compares with integers and floats only")]
    NotNumber(Operator),
    /// A regular expression that does not compile.
    #[error("`{pattern}` is no regular expression that can be used: {reason}")]
    Pattern {
        /// As it was written.
        pattern: String,
        /// Why not.
        reason: String,
    },
}

impl std::fmt::Display for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Exists => "exists",
            Self::Equals => "equals",
            Self::Prefix => "prefix",
            Self::Contains => "contains",
            Self::Matches => "matches",
            Self::Greater => "greater",
            Self::Less => "less",
        })
    }
}

/// Compiled conditions: any of the lists, all of its conditions; no list at all matches every span.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// What the conditions are about, each path once.
    paths: Vec<Path>,
    lists: Vec<Vec<Compiled>>,
}

#[derive(Debug, Clone)]
struct Compiled {
    /// In `Filter::paths`.
    path: usize,
    test: Test,
    negated: bool,
    /// Whether a span can be judged by its bytes as they came: see [`Test::ignores_surroundings`].
    raw: bool,
    /// In the memory of verdicts, by scope or by request, for what spans share.
    verdict: usize,
}

impl Filter {
    /// Compiles lists of conditions.
    pub fn compile(lists: &[Vec<Condition>]) -> Result<Self, ConditionError> {
        let mut paths: Vec<Path> = Vec::new();
        let mut count = 0;
        let mut compiled = Vec::with_capacity(lists.len());
        for (l, list) in lists.iter().enumerate() {
            let mut all = Vec::with_capacity(list.len());
            for (c, condition) in list.iter().enumerate() {
                let test = Test::new(condition.operator, &condition.values).map_err(|fault| ConditionError {
                    list: l + 1,
                    condition: c + 1,
                    path: condition.path.clone(),
                    fault,
                })?;
                let path = paths.iter().position(|path| *path == condition.path).unwrap_or_else(|| {
                    paths.push(condition.path.clone());
                    paths.len() - 1
                });
                let raw = test.ignores_surroundings();
                all.push(Compiled { path, test, negated: condition.negated, raw, verdict: count });
                count += 1;
            }
            compiled.push(all);
        }
        Ok(Self { paths, lists: compiled })
    }

    /// Whether it matches every span, so that nothing needs to be judged.
    #[must_use]
    pub fn is_every(&self) -> bool {
        self.lists.is_empty() || self.lists.iter().any(Vec::is_empty)
    }

    /// What it reads.
    #[must_use]
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// Replaces what `matching` holds by those of `rows` that match, in their order.
    pub fn select(&self, batch: &Batch, rows: &[u32], matching: &mut Vec<u32>) {
        matching.clear();
        if self.is_every() {
            matching.extend_from_slice(rows);
            return;
        }
        if let [list] = &self.lists[..]
            && let [only] = &list[..]
            && let Some(Source::Attribute(key)) = Source::of(&self.paths[only.path])
        {
            // The commonest filter by far, in half the time without the book-keeping of the others.
            matching.extend(rows.iter().copied().filter(|&row| {
                let value = find::attribute(batch, batch.spans[row as usize].attributes, &key);
                value.is_some_and(|value| only.test.passes(value)) != only.negated
            }));
            return;
        }
        let mut judge = Judge::new(self, batch);
        matching.extend(rows.iter().copied().filter(|&row| judge.matches(row)));
    }
}

/// What is known while the rows of one batch are judged.
struct Judge<'f, 'b> {
    filter: &'f Filter,
    batch: &'b Batch,
    /// For each path, where its value is; `None` where it stands for many places.
    sources: Vec<Option<Source<'f>>>,
    /// The keys of all paths that are attributes of the span.
    keys: Keys<'f>,
    /// For each path, its number in `keys`; 0 for others.
    key_of: Vec<usize>,
    /// The row whose attributes were looked up last.
    looked_up: u32,
    /// What was found there, for each of `keys`, and which were.
    values: Vec<Option<Value<'b>>>,
    found: u64,
    /// For each list that begins with an attribute: the keys without which it cannot match.
    needs: Vec<u64>,
    /// For each condition, the verdicts by scope or by request; empty until one is asked for.
    verdicts: Vec<Vec<Verdict>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Open,
    No,
    Yes,
}

/// No row has this number: a batch has fewer spans than bytes.
const NO_ROW: u32 = u32::MAX;

impl<'f, 'b> Judge<'f, 'b> {
    fn new(filter: &'f Filter, batch: &'b Batch) -> Self {
        let conditions = filter.lists.iter().map(Vec::len).sum();
        let sources: Vec<_> = filter.paths.iter().map(Source::of).collect();
        let mut keys = Keys::default();
        let key_of = sources.iter().map(|source| match source {
            Some(Source::Attribute(key)) => keys.add(*key),
            _ => 0,
        });
        let key_of: Vec<usize> = key_of.collect();
        let needs = filter.lists.iter().map(|list| needs(list, &sources, &key_of)).collect();
        Self {
            filter,
            batch,
            sources,
            key_of,
            looked_up: NO_ROW,
            values: vec![None; keys.len()],
            found: 0,
            needs,
            keys,
            verdicts: vec![Vec::new(); conditions],
        }
    }

    /// Looks for all keys at once, so that many conditions cost little more than one.
    #[inline]
    fn look_up(&mut self, row: u32) {
        if self.found != 0 {
            self.values.fill(None);
        }
        let run = self.batch.spans[row as usize].attributes;
        self.found = self.keys.find(self.batch, run, &mut self.values);
        self.looked_up = row;
    }

    #[inline]
    fn matches(&mut self, row: u32) -> bool {
        let filter = self.filter;
        filter.lists.iter().enumerate().any(|(number, list)| {
            if self.needs[number] != 0 {
                if self.looked_up != row {
                    self.look_up(row);
                }
                if self.needs[number] & !self.found != 0 {
                    return false;
                }
            }
            list.iter().all(|condition| self.passes(row, condition) != condition.negated)
        })
    }

    /// Whether a row passes, before negation.
    #[inline]
    fn passes(&mut self, row: u32, condition: &'f Compiled) -> bool {
        match self.sources[condition.path] {
            Some(Source::Attribute(_)) => {
                if self.looked_up != row {
                    self.look_up(row);
                }
                self.values[self.key_of[condition.path]].is_some_and(|value| condition.test.passes(value))
            }
            Some(Source::Text(part)) => {
                let text = part(&self.batch.spans[row as usize]);
                find::own_text(self.batch, text).is_some_and(|value| condition.test.passes(value))
            }
            Some(Source::Number(number)) => {
                let number = number(self.batch, &self.batch.spans[row as usize]);
                condition.test.passes(Value::Integer(number))
            }
            _ => self.passes_otherwise(row, condition),
        }
    }

    /// What is asked less often, apart from the short way of the rest.
    #[inline(never)]
    fn passes_otherwise(&mut self, row: u32, condition: &'f Compiled) -> bool {
        let batch = self.batch;
        let span = &batch.spans[row as usize];
        let (owner, owners, look_up): (u32, usize, &dyn Fn() -> Option<Value<'b>>) = match self.sources[condition.path]
        {
            Some(Source::Attribute(_) | Source::Text(_) | Source::Number(_)) => return self.passes(row, condition),
            Some(Source::Id(part, _)) => {
                return find::id(batch, part(span)).is_some_and(|id| passes_id(&condition.test, id));
            }
            None => {
                let path = &self.filter.paths[condition.path];
                if matches!(path, Path::Strings | Path::Values) {
                    return self.passes_somewhere(row, condition);
                }
                return places::any(batch, span, path, &mut |value| condition.test.passes(value));
            }
            Some(Source::Shared(shared)) => (span.scope, batch.scopes.len(), &move || shared_value(shared, batch, row)),
            Some(Source::Request(field)) => {
                (span.request, batch.requests.len(), &move || request_value(field, batch, row))
            }
        };
        verdict(&mut self.verdicts[condition.verdict], owner, owners, || {
            look_up().is_some_and(|value| condition.test.passes(value))
        })
    }

    /// Whether any text of a row passes. Most spans hold none, which a look at their bytes tells for a fraction of the price
    /// of reading their fields; what spans share is judged once for each scope.
    fn passes_somewhere(&mut self, row: u32, condition: &Compiled) -> bool {
        let (batch, path) = (self.batch, &self.filter.paths[condition.path]);
        let span = &batch.spans[row as usize];
        let mut passes = |value: Value<'_>| condition.test.passes(value);
        let verdicts = &mut self.verdicts[condition.verdict];
        if verdict(verdicts, span.scope, batch.scopes.len(), || places::shared(batch, span, path, &mut passes)) {
            return true;
        }
        // What edits wrote stands elsewhere.
        let as_it_came = span.changes == Changes::default();
        if condition.raw && as_it_came && !passes(Value::Text(batch.get(span.body))) {
            return false;
        }
        places::own(batch, span, path, &mut passes)
    }
}

/// The verdict on what all spans of one owner share, made when it is first asked for.
fn verdict(verdicts: &mut Vec<Verdict>, owner: u32, owners: usize, judge: impl FnOnce() -> bool) -> bool {
    if verdicts.is_empty() {
        verdicts.resize(owners, Verdict::Open);
    }
    let verdict = &mut verdicts[owner as usize];
    if *verdict == Verdict::Open {
        *verdict = if judge() { Verdict::Yes } else { Verdict::No };
    }
    *verdict == Verdict::Yes
}

/// The keys that must be there for a list to match, if it begins with such a condition; 0 if not, so that a list which
/// begins with something cheaper does not look up attributes before that has passed.
fn needs(list: &[Compiled], sources: &[Option<Source<'_>>], key_of: &[usize]) -> u64 {
    let must_be_there =
        |condition: &Compiled| !condition.negated && matches!(sources[condition.path], Some(Source::Attribute(_)));
    match list.first() {
        Some(first) if must_be_there(first) => {
            let keys = list.iter().filter(|condition| must_be_there(condition));
            keys.fold(0, |needs, condition| needs | Keys::bit(key_of[condition.path] as u32))
        }
        _ => 0,
    }
}

fn shared_value<'b>(shared: Shared<'_>, batch: &'b Batch, row: u32) -> Option<Value<'b>> {
    shared.get(batch, batch.spans[row as usize].scope)
}

fn request_value<'b>(field: Field<'_>, batch: &'b Batch, row: u32) -> Option<Value<'b>> {
    field.get(&batch.requests[batch.spans[row as usize].request as usize].context)
}

/// An id is compared as its hex text, or as bytes with bytes.
fn passes_id(test: &Test, id: &[u8]) -> bool {
    let mut hex = [0u8; 32];
    if id.len() <= 16 {
        let text = write_hex(id, &mut hex);
        return test.passes(Value::Text(text)) || test.passes(Value::Bytes(id));
    }
    let mut text = Vec::with_capacity(id.len() * 2);
    put_hex(&mut text, id);
    test.passes(Value::Text(&text)) || test.passes(Value::Bytes(id))
}

fn write_hex<'h>(id: &[u8], out: &'h mut [u8; 32]) -> &'h [u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(id) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    &out[..id.len() * 2]
}
