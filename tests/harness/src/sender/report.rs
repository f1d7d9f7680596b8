//! The lines in which a sender says what became of its spans.

use anyhow::{Context as _, Result, bail};

/// A span's ids in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpanId {
    /// Its trace.
    pub trace: String,
    /// Its own.
    pub span: String,
}

/// What a sender has said so far.
#[derive(Debug, Default)]
pub struct Report {
    /// Spans in exports that went well, as the SDK was told.
    pub accepted: Vec<SpanId>,
    /// Spans that the SDK has given up, and knows that it has.
    pub failed: Vec<SpanId>,
    /// Exports that were begun.
    pub begun: usize,
    /// Exports whose outcome is known.
    pub answered: usize,
    /// How many spans were ended in all, once that is known.
    pub ended: Option<usize>,
}

impl Report {
    /// Takes in a line. Anything that is not one of theirs is an error: it would hide spans.
    pub fn read(&mut self, line: &str) -> Result<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "exporting" => self.begun += 1,
            "accepted" => self.outcome(rest, |report| &mut report.accepted)?,
            "failed" => self.outcome(rest, |report| &mut report.failed)?,
            "ended" => self.ended = Some(rest.parse().with_context(|| format!("a sender said {line:?}"))?),
            _ => bail!("a sender said {line:?}"),
        }
        Ok(())
    }

    /// Spans whose fate the SDK has not told: it dropped them before an export.
    pub fn untold(&self) -> usize {
        self.ended.unwrap_or_default().saturating_sub(self.accepted.len() + self.failed.len())
    }

    fn outcome(&mut self, ids: &str, of: impl FnOnce(&mut Self) -> &mut Vec<SpanId>) -> Result<()> {
        let parse = |id: &str| {
            let (trace, span) = id.split_once('-').with_context(|| format!("{id:?} is not TRACE-SPAN"))?;
            Ok(SpanId { trace: trace.to_owned(), span: span.to_owned() })
        };
        let ids = ids.split_whitespace().map(parse).collect::<Result<Vec<_>>>()?;
        of(self).extend(ids);
        self.answered += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Every span is told of once.

    use super::*;

    #[test]
    fn lines_are_counted_and_others_are_errors() {
        let mut report = Report::default();
        for line in ["exporting", "accepted 0a-01 0a-02", "exporting", "failed 0b-03", "exporting", "ended 5"] {
            report.read(line).unwrap();
        }
        assert_eq!(report.accepted[1], SpanId { trace: "0a".into(), span: "02".into() });
        assert_eq!((report.accepted.len(), report.failed.len(), report.untold()), (2, 1, 2));
        assert_eq!((report.begun, report.answered), (3, 2));
        for wrong in ["accepted 0a", "ended many", "Warning: something", ""] {
            assert!(report.read(wrong).is_err(), "{wrong:?}");
        }
    }
}
