//! Tables in Markdown, and the file that holds them.

use std::fmt;

use crate::{Arguments, machine};

/// One table with its heading.
#[derive(Debug, Clone)]
pub struct Table {
    title: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    /// An empty table.
    pub fn new(title: impl Into<String>, head: &[&'static str]) -> Self {
        Self { title: title.into(), head: head.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Adds a line below the table.
    pub fn note(&mut self, line: impl Into<String>) {
        self.notes.push(line.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n\n| {} |", self.title, self.head.join(" | "))?;
        writeln!(f, "|{}", " --- |".repeat(self.head.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "\n{}", self.notes.join("\n"))?;
        }
        Ok(())
    }
}

/// A cell that says what must be reached, and whether it was.
pub fn must(goal: impl Into<String>, is_met: bool) -> String {
    let goal = goal.into();
    if is_met { goal } else { format!("{goal} **missed**") }
}

/// All tables of a run.
#[derive(Debug)]
pub struct Report {
    head: String,
    tables: Vec<Table>,
}

impl Report {
    /// A report of a run with these arguments.
    pub fn new(arguments: &Arguments) -> Self {
        let command =
            std::env::args().skip(1).fold("cargo xtask bench".to_owned(), |line, argument| line + " " + &argument);
        let head = format!(
            "Machine: {}. Command: `{command}`. Each figure is the median of {} interleaved runs; CPU is the CPU time of the \
             proxy's process over the spans that it accepted. Compression is off on both sides unless said. Spans are synthetic: \
             they compress better than real ones.",
            machine::line(),
            arguments.runs,
        );
        Self { head, tables: Vec::new() }
    }

    /// Adds a table.
    pub fn push(&mut self, table: Table) {
        self.tables.push(table);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.head)?;
        self.tables.iter().try_for_each(|table| writeln!(f, "{table}"))
    }
}
