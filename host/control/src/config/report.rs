//! What is wrong with a file: gathered while it is read, and shown all at once, in the file's order.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::{self, Display};

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub at: At,
    /// The key, from the root: `receive.grpc.listen`; empty if it is not about one key.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Gathers problems, and notes which keys were asked for.
#[derive(Debug, Default)]
pub struct Problems {
    list: RefCell<Vec<Problem>>,
    asked: RefCell<BTreeSet<String>>,
}

/// All that is wrong with one file; never empty as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    file: String,
    problems: Vec<Problem>,
}

impl Problems {
    /// Notes a problem.
    pub fn note(&self, at: At, path: &str, message: impl Into<String>) {
        self.list.borrow_mut().push(Problem { at, path: path.to_owned(), message: message.into() });
    }

    pub(super) fn asked_for(&self, path: String) {
        self.asked.borrow_mut().insert(path);
    }

    /// Every key that was asked for, whether or not the file has it.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }

    /// The problems of this file, in its order.
    #[must_use]
    pub fn into_report(self, file: impl Into<String>) -> Report {
        let mut problems = self.list.into_inner();
        problems.sort();
        problems.dedup();
        Report { file: file.into(), problems }
    }
}

impl Report {
    /// A file about which one thing can be said, as that it cannot be opened.
    #[must_use]
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        let problem = Problem { at: At { line: 0, column: 0 }, path: String::new(), message: message.into() };
        Self { file: file.into(), problems: vec![problem] }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// `checked` if nothing is wrong.
    pub fn or<T>(self, checked: T) -> Result<T, Self> {
        if self.is_empty() { Ok(checked) } else { Err(self) }
    }

    /// One line for each problem.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |problem: &Problem| {
            let Problem { at, path, message } = problem;
            let place = if at.line == 0 { String::new() } else { format!(":{}:{}", at.line, at.column) };
            let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
            format!("{}{place}: {path}{message}", self.file)
        };
        self.problems.iter().map(line).collect()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for Report {}
