//! Which rate a span has. Rules are judged column by column, and each distinct word once.

use tracemill_sdk::path;
use tracemill_sdk::prelude::*;
use tracemill_sdk::settings::Scalar;

use crate::settings::{Rate, Rule};

/// The rules in order, and the rate of spans that none fits.
pub struct Rules {
    rules: Vec<(Vec<Test>, Rate)>,
    rest: Rate,
}

/// What a rule asks of one column.
enum Test {
    Text(Column<Words>, Pattern),
    Integer(Column<Integers>, i64),
    Boolean(Column<Booleans>, bool),
}

impl Rules {
    /// Declares the columns that the rules read.
    pub fn configure(rest: Rate, rules: Vec<Rule>, plan: &mut PlanBuilder) -> Result<Self, Refusal> {
        let mut tests_by_rule = Vec::with_capacity(rules.len());
        for (index, rule) in rules.into_iter().enumerate() {
            let mut tests = Vec::new();
            if let Some(pattern) = rule.service {
                tests.push(Test::Text(plan.words(resource_attribute("service.name")), pattern));
            }
            if let Some(pattern) = rule.route {
                tests.push(Test::Text(plan.words(attribute("http.route")), pattern));
            }
            if let Some(pattern) = rule.name {
                tests.push(Test::Text(plan.words("name"), pattern));
            }
            if let Some(wanted) = rule.attribute {
                if wanted.key.is_empty() {
                    return Err(Refusal::at(&format!("rules[{index}].attribute.key"), "must not be empty"));
                }
                let path = path::from_settings(&wanted.key);
                tests.push(match wanted.equals {
                    Scalar::Text(pattern) => Test::Text(plan.words(path), Pattern::new(&pattern)),
                    Scalar::Integer(number) => Test::Integer(plan.integers(path), number),
                    Scalar::Boolean(boolean) => Test::Boolean(plan.booleans(path), boolean),
                    Scalar::Float(_) => {
                        let key = format!("rules[{index}].attribute.equals");
                        return Err(Refusal::at(
                            &key,
                            "floats are not compared; name a text, a whole number or a boolean",
                        ));
                    }
                });
            }
            tests_by_rule.push((tests, rule.rate));
        }
        Ok(Self { rules: tests_by_rule, rest })
    }

    /// True if every rate is 1.
    pub fn keep_everything(&self) -> bool {
        self.rest.probability >= 1.0 && self.rules.iter().all(|(_, rate)| rate.probability >= 1.0)
    }

    /// The rows of each rate, without those that are kept anyway.
    pub fn rows_by_rate(&self, batch: &Batch<'_>, kept: Option<&Mask>) -> Vec<(Rows, f64)> {
        self.groups(batch, kept).into_iter().map(|(rows, rate)| (rows, rate.probability)).collect()
    }

    /// As [`rows_by_rate`](Self::rows_by_rate), for the caller's own decision.
    pub fn groups(&self, batch: &Batch<'_>, kept: Option<&Mask>) -> Vec<(Rows, Rate)> {
        if self.rules.is_empty() && kept.is_none() {
            return vec![(Rows::Every, self.rest)];
        }
        let mut undecided = Mask::all(batch.rows());
        if let Some(kept) = kept {
            undecided.subtract(kept);
        }
        let mut groups: Vec<(Mask, Rate)> = Vec::new();
        for (tests, rate) in &self.rules {
            let mut fitting = undecided.clone();
            for test in tests {
                test.narrow(batch, &mut fitting);
            }
            if fitting.is_none() {
                continue;
            }
            undecided.subtract(&fitting);
            groups.push((fitting, *rate));
        }
        groups.push((undecided, self.rest));
        groups.into_iter().map(|(mask, rate)| (Rows::from(mask), rate)).collect()
    }
}

impl Test {
    /// Takes rows out of `rows` that do not pass.
    fn narrow(&self, batch: &Batch<'_>, rows: &mut Mask) {
        let mut passing = Mask::none(batch.rows());
        match self {
            Self::Text(column, pattern) => batch.read(*column).mark_where(|word| pattern.matches(word), &mut passing),
            Self::Integer(column, wanted) => {
                batch.read(*column).for_each_where(|number| number == *wanted, |row| passing.set(row));
            }
            Self::Boolean(column, wanted) => {
                let booleans = batch.read(*column);
                (0..batch.rows()).filter(|&row| booleans.get(row) == Some(*wanted)).for_each(|row| passing.set(row));
            }
        }
        rows.intersect(&passing);
    }
}
