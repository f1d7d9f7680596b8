//! Prometheus text, as a scraper reads it.

use anyhow::{Context as _, Result};

/// One line: a name, its labels and a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name, `_total` included.
    pub name: String,
    /// Label names and values, in the order of the text.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.label(name) == Some(value))
    }
}

/// One scrape.
#[derive(Debug, Clone, Default)]
pub struct Metrics(pub Vec<Sample>);

impl Metrics {
    /// Reads the text format; an unreadable line is an error, for a scraper would refuse it too.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| sample(line).with_context(|| format!("metrics line {line:?}")))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// The sum of all samples of this name that carry these labels; 0 where there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.sum_of_some(name, labels).unwrap_or(0.0)
    }

    /// The same; nothing where there is none.
    pub fn sum_of_some(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.of(name).filter(|sample| sample.has(labels)).map(|sample| sample.value).reduce(|sum, value| sum + value)
    }

    /// All samples of this name.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The distinct values of a label among the samples of this name, sorted.
    pub fn values(&self, name: &str, label: &str) -> Vec<String> {
        let mut values: Vec<_> = self.of(name).filter_map(|sample| sample.label(label)).map(str::to_owned).collect();
        values.sort();
        values.dedup();
        values
    }
}

fn sample(line: &str) -> Result<Sample> {
    let (head, rest) = match line.find(['{', ' ']) {
        Some(at) => line.split_at(at),
        None => anyhow::bail!("no value"),
    };
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_whitespace().next().context("no value")?;
    Ok(Sample { name: head.to_owned(), labels, value: value.parse().with_context(|| format!("value {value:?}"))? })
}

/// `name="value",…}` and what follows it.
fn labels(mut text: &str) -> Result<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, rest) = text.split_once("=\"").context("a label without a value")?;
        let (value, rest) = quoted(rest)?;
        labels.push((name.to_owned(), value));
        text = rest;
    }
}

fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next().context("a lone backslash")?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    anyhow::bail!("a label's value does not end")
}

#[cfg(test)]
mod tests;
