//! How deep a YAML text may go: whoever reads it does so by recursion, and a stack that is full ends the process.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

use super::report::At;

/// How many lists and mappings may stand in each other.
pub const MOST: usize = 64;

/// Where a text goes deeper than that, if it does. What is wrong with it otherwise is not looked for.
pub fn beyond(text: &str) -> Option<At> {
    // Of each that is open: its anchor, and how deep it goes.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut anchored: HashMap<usize, usize> = HashMap::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { return None };
        let below = match event {
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                open.push((anchor, 0));
                0
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (anchor, below) = open.pop().unwrap_or_default();
                anchored.insert(anchor, below + 1);
                below + 1
            }
            // Stands for all that its anchor has.
            Event::Alias(anchor) => anchored.get(&anchor).copied().unwrap_or_default(),
            _ => 0,
        };
        if open.len() + below > MOST {
            return Some(At { line: span.start.line(), column: span.start.col() + 1 });
        }
        if let Some((_, deepest)) = open.last_mut() {
            *deepest = below.max(*deepest);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_each_other_is_counted_and_what_stands_beside_is_not() {
        let nested = |depth: usize| "- ".repeat(depth);
        assert_eq!((beyond(&nested(MOST)), beyond(&"- a\n".repeat(1000))), (None, None));
        assert_eq!(beyond(&nested(MOST + 1)), Some(At { line: 1, column: 2 * MOST + 1 }));
        assert!(beyond(&"{a: ".repeat(MOST + 1)).is_some());
        assert!(beyond(&"- ".repeat(200_000)).is_some());
    }

    #[test]
    fn aliases_go_as_deep_as_what_they_stand_for() {
        let brackets = |inner: &str| format!("{}{inner}{}", "[".repeat(40), "]".repeat(40));
        let text = |second: &str| format!("one: &one {}\ntwo: {}\n", brackets("x"), brackets(second));
        assert_eq!(beyond(&text("y")), None);
        assert_eq!(beyond(&text("*one")).map(|at| at.line), Some(2));
    }
}
