//! Reads a mapping key by key into checked values. Whatever is wrong is noted with its place and reading goes on, so that
//! all errors are shown at once; keys that nobody asked for are errors that name the nearest valid one.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::env::OPEN;
use super::report::{At, Problems};
use super::units::{self, show_duration, show_size};
use super::yaml::{Key, Node, Value};

/// How far a misspelt key may be from the valid one that is named for it.
const NEAR: f64 = 0.6;

/// One mapping on its way to a checked value.
#[derive(Debug)]
pub struct Table<'a> {
    path: String,
    at: At,
    entries: &'a [(Key, Node)],
    valid: Vec<&'static str>,
    problems: &'a Problems,
}

impl<'a> Table<'a> {
    /// Reads `node`, which must be a mapping, by `read`, and refuses the keys that it did not ask for.
    pub fn read<T>(path: &str, node: &'a Node, problems: &'a Problems, read: impl FnOnce(&mut Self) -> T) -> T {
        let entries: &[(Key, Node)] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                problems.note(node.at, path, format!("must be a mapping of keys, not {}", node.kind()));
                &[]
            }
        };
        let mut table = Self { path: path.to_owned(), at: node.at, entries, valid: Vec::new(), problems };
        let value = read(&mut table);
        table.refuse_unknown();
        value
    }

    /// Where it stands.
    #[must_use]
    pub fn at(&self) -> At {
        self.at
    }

    /// Notes a problem with a key's value, or with the whole mapping where the key is not there.
    pub fn refuse(&self, key: &str, message: impl Into<String>) {
        let entry = self.entries.iter().find(|(known, _)| known.text == key);
        let message = message.into();
        match entry {
            Some((_, node)) => self.problems.note(node.at, &self.path_of(key), node.masked(message)),
            None => self.problems.note(self.at, &self.path_of(key), message),
        }
    }

    /// Notes a problem with the whole mapping.
    pub fn refuse_whole(&self, message: impl Into<String>) {
        self.problems.note(self.at, &self.path, message);
    }

    /// Whether the key is there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        // A variable that is not set was complained about already: it is not the same as no value.
        let is_there = |node: &Node| node.value != Value::Null || node.written.contains(OPEN);
        self.entries.iter().any(|(known, node)| known.text == key && is_there(node))
    }

    /// The value of a key, unchecked; `None` if it is not there or empty.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.valid.push(key);
        self.problems.asked_for(self.path_of(key));
        let (_, node) = self.entries.iter().find(|(known, _)| known.text == key)?;
        (node.value != Value::Null).then_some(node)
    }

    /// A mapping of known keys; read all the same where it is not there, so that defaults stand in one place.
    pub fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table<'_>) -> T) -> T {
        let absent = Node { at: self.at, value: Value::Null, written: String::new() };
        let node = self.node(key);
        Table::read(&self.path_of(key), node.unwrap_or(&absent), self.problems, read)
    }

    /// A mapping whose keys are names that the user chose; `shown` stands for them in the reference.
    pub fn named<T>(
        &mut self,
        key: &'static str,
        shown: &str,
        mut read: impl FnMut(&str, &mut Table<'_>) -> T,
    ) -> Vec<T> {
        let path = self.path_of(key);
        let Some(node) = self.node(key) else {
            // Asks for its keys once, for the reference.
            let (absent, unseen) =
                (Node { at: self.at, value: Value::Null, written: String::new() }, Problems::default());
            Table::read(&format!("{path}.{shown}"), &absent, &unseen, |table| read(shown, table));
            unseen.keys().into_iter().for_each(|key| self.problems.asked_for(key));
            return Vec::new();
        };
        let Value::Map(entries) = &node.value else {
            self.problems.note(node.at, &path, format!("must be a mapping of names, not {}", node.kind()));
            return Vec::new();
        };
        let one = |(name, node): &(Key, Node)| {
            if name.text.is_empty() {
                self.problems.note(name.at, &path, "a name must not be empty");
            }
            Table::read(&format!("{path}.{}", name.text), node, self.problems, |table| read(&name.text, table))
        };
        entries.iter().map(one).collect()
    }

    /// A list of mappings.
    pub fn list<T>(&mut self, key: &'static str, mut read: impl FnMut(&mut Table<'_>) -> T) -> Vec<T> {
        let path = self.path_of(key);
        let problems = self.problems;
        let items = self.items(key);
        let one = |(i, item)| Table::read(&format!("{path}[{i}]"), item, problems, &mut read);
        items.iter().enumerate().map(one).collect()
    }

    /// The elements of a list; anything else counts as a list of one.
    pub fn items(&mut self, key: &'static str) -> &'a [Node] {
        match self.node(key) {
            None => &[],
            Some(Node { value: Value::List(items), .. }) => items,
            Some(node) => std::slice::from_ref(node),
        }
    }

    /// A text; numbers and booleans are taken as they are written.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let node = self.node(key)?;
        self.as_text(key, node)
    }

    /// A list of texts, or a single one.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        let items = self.items(key);
        items.iter().filter_map(|item| self.as_text(key, item)).collect()
    }

    /// A mapping of names to texts.
    pub fn pairs(&mut self, key: &'static str) -> Vec<(String, String)> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let Value::Map(entries) = &node.value else {
            self.refuse(key, format!("must be a mapping of names to texts, not {}", node.kind()));
            return Vec::new();
        };
        entries.iter().filter_map(|(name, node)| Some((name.text.clone(), self.as_text(key, node)?))).collect()
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        match node.value {
            Value::Boolean(flag) => Some(flag),
            _ => self.wrong(key, node, "must be true or false"),
        }
    }

    /// A whole number within bounds.
    pub fn count(&mut self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let node = self.node(key)?;
        let (least, most) = (bounds.start(), bounds.end());
        match node.value {
            Value::Integer(number, _) if u64::try_from(number).is_ok_and(|number| bounds.contains(&number)) => {
                Some(number as u64)
            }
            _ => self.wrong(key, node, &format!("must be a whole number from {least} to {most}")),
        }
    }

    /// A number within bounds.
    pub fn number(&mut self, key: &'static str, bounds: RangeInclusive<f64>) -> Option<f64> {
        let node = self.node(key)?;
        let number = match node.value {
            Value::Integer(number, _) => number as f64,
            Value::Float(number, _) => number,
            _ => f64::NAN,
        };
        if bounds.contains(&number) {
            return Some(number);
        }
        self.wrong(key, node, &format!("must be a number from {} to {}", bounds.start(), bounds.end()))
    }

    /// A size in bytes within bounds.
    pub fn size(&mut self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let node = self.node(key)?;
        let bytes = self.unit(key, node, units::size)?;
        if bounds.contains(&bytes) {
            return Some(bytes);
        }
        let (least, most) = (show_size(*bounds.start()), show_size(*bounds.end()));
        self.wrong(key, node, &format!("must be from {least} to {most}"))
    }

    /// A duration within bounds.
    pub fn duration(&mut self, key: &'static str, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        let node = self.node(key)?;
        let time = self.unit(key, node, units::duration)?;
        if bounds.contains(&time) {
            return Some(time);
        }
        let (least, most) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
        self.wrong(key, node, &format!("must be from {least} to {most}"))
    }

    /// A share as a percentage, within bounds; as a part of one.
    pub fn percent(&mut self, key: &'static str, bounds: RangeInclusive<f64>) -> Option<f64> {
        let node = self.node(key)?;
        let share = self.unit(key, node, units::percent)?;
        if bounds.contains(&share) {
            return Some(share);
        }
        self.wrong(key, node, &format!("must be from {}% to {}%", bounds.start() * 100.0, bounds.end() * 100.0))
    }

    /// One of a few words.
    pub fn choice<T: Clone>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let node = self.node(key)?;
        self.as_choice(key, node, words)
    }

    /// A list of a few words, or a single one; each at most once.
    pub fn choices<T: Clone + PartialEq>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Vec<T> {
        let mut chosen = Vec::new();
        for item in self.items(key) {
            let Some(value) = self.as_choice(key, item, words) else { continue };
            if chosen.contains(&value) {
                let _: Option<()> = self.wrong(key, item, "it is there twice");
            } else {
                chosen.push(value);
            }
        }
        chosen
    }

    fn as_choice<T: Clone>(&self, key: &str, node: &Node, words: &[(&'static str, T)]) -> Option<T> {
        let text = match &node.value {
            Value::Text(text) => text.as_str(),
            // `off` and the like would be a boolean in older YAML.
            _ => node.written.as_str(),
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(value.clone());
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let nearest = nearest(text, &known).map(|word| format!(", did you mean {word}?")).unwrap_or_default();
        self.wrong(key, node, &format!("must be one of {}{nearest}", known.join(", ")))
    }

    /// An address to listen on.
    pub fn address(&mut self, key: &'static str) -> Option<SocketAddr> {
        let node = self.node(key)?;
        let text = self.as_text(key, node)?;
        let plain = text.replacen("localhost:", "127.0.0.1:", 1);
        let wrong = |_| self.wrong(key, node, "must be an address with its port, like 0.0.0.0:4317 or [::]:4317");
        plain.parse().map_or_else(wrong, Some)
    }

    fn unit<T>(&self, key: &str, node: &Node, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let (Value::Text(text) | Value::Integer(_, text) | Value::Float(_, text)) = &node.value else {
            return self.wrong(key, node, "must be a number with its unit");
        };
        read(text).map_err(|message| self.problems.note(node.at, &self.path_of(key), node.masked(message))).ok()
    }

    fn as_text(&self, key: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) | Value::Integer(_, text) | Value::Float(_, text) => Some(text.clone()),
            Value::Boolean(flag) => Some(flag.to_string()),
            _ => self.wrong(key, node, &format!("must be a text, not {}", node.kind())),
        }
    }

    fn wrong<T>(&self, key: &str, node: &Node, message: &str) -> Option<T> {
        let shown =
            if node.written.is_empty() { String::new() } else { format!("{} is not valid here: ", node.written) };
        self.problems.note(node.at, &self.path_of(key), format!("{shown}{message}"));
        None
    }

    pub(super) fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// A key's path from the root.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn refuse_unknown(&self) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !self.valid.contains(&key.text.as_str())) {
            let hint = match nearest(&key.text, &self.valid) {
                Some(valid) => format!("did you mean {valid}?"),
                None if self.valid.is_empty() => "no key is valid here".to_owned(),
                None => format!("valid here: {}", self.valid.join(", ")),
            };
            self.problems.note(key.at, &self.path_of(&key.text), format!("unknown key, {hint}"));
        }
    }
}

/// The word that was probably meant.
#[must_use]
pub fn nearest<'w>(word: &str, valid: &[&'w str]) -> Option<&'w str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let likeness = |valid: &&str| strsim::normalized_damerau_levenshtein(&plain(word), &plain(valid));
    valid
        .iter()
        .copied()
        .map(|valid| (likeness(&valid), valid))
        .filter(|(l, _)| *l >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, v)| v)
}
