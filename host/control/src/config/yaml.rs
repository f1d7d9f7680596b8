//! YAML text into a tree in which every value knows its line and column, environment variables filled in. Knows no keys.

use saphyr::{LoadableYamlNode as _, MarkedYaml, Scalar, YamlData};

use super::depth;
use super::env::{self, Lookup};
use super::report::{At, Problems};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: At,
    /// What it is.
    pub value: Value,
    /// A scalar as it stands in the file, before variables are filled in: what messages show, so that they show no secrets.
    pub written: String,
}

/// What stands in a YAML file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: `key:` or `~`.
    Null,
    /// `true`, `false`
    Boolean(bool),
    /// A whole number, with its text.
    Integer(i64, String),
    /// Another number, with its text.
    Float(f64, String),
    /// Any other scalar.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the file's order.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub at: At,
}

/// Reads one document. What is wrong is noted in `problems`; an empty file is an empty mapping.
pub fn parse(text: &str, lookup: Lookup<'_>, problems: &Problems) -> Node {
    let empty = Node { at: At { line: 1, column: 1 }, value: Value::Map(Vec::new()), written: String::new() };
    if let Some(at) = depth::beyond(text) {
        problems.note(at, "", format!("more than {} lists and mappings stand in each other here", depth::MOST));
        return empty;
    }
    match MarkedYaml::load_from_str(text) {
        Ok(documents) if documents.len() > 1 => {
            problems.note(at(&documents[1]), "", "a second document: write everything into one, without `---`");
            empty
        }
        Ok(documents) => {
            let offsets = text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect();
            let reader = Reader { text, offsets, lookup, problems };
            documents
                .first()
                .map(|document| reader.node(document))
                .filter(|node| node.value != Value::Null)
                .unwrap_or(empty)
        }
        Err(error) => {
            let marker = error.marker();
            let hint = if text.contains('\t') { " (YAML does not indent by tabs)" } else { "" };
            problems.note(
                At { line: marker.line(), column: marker.col() + 1 },
                "",
                format!("not YAML: {}{hint}", error.info()),
            );
            empty
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    /// The byte offset of each character: marks count characters.
    offsets: Vec<usize>,
    lookup: Lookup<'a>,
    problems: &'a Problems,
}

impl Reader<'_> {
    fn node(&self, yaml: &MarkedYaml<'_>) -> Node {
        let at = at(yaml);
        let written = || self.source(yaml);
        let (value, written) = match &yaml.data {
            YamlData::Sequence(list) => (Value::List(list.iter().map(|item| self.node(item)).collect()), String::new()),
            YamlData::Mapping(map) => {
                let entries = map.iter().map(|(key, value)| (self.key(key), self.node(value)));
                (Value::Map(entries.collect()), String::new())
            }
            YamlData::Value(scalar) => (self.scalar(scalar, at, &written()), written()),
            YamlData::Tagged(_, inner) => return self.node(inner),
            YamlData::Representation(text, ..) => (Value::Text(text.to_string()), written()),
            YamlData::BadValue | YamlData::Alias(_) => {
                self.problems.note(at, "", format!("{} cannot be read", written()));
                (Value::Null, written())
            }
        };
        Node { at, value, written }
    }

    fn key(&self, yaml: &MarkedYaml<'_>) -> Key {
        let text = match &yaml.data {
            YamlData::Value(Scalar::String(text)) => text.to_string(),
            YamlData::Value(_) => self.source(yaml),
            _ => {
                self.problems.note(at(yaml), "", "a key must be a plain word");
                String::new()
            }
        };
        Key { text, at: at(yaml) }
    }

    fn scalar(&self, scalar: &Scalar<'_>, at: At, written: &str) -> Value {
        match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => Value::Boolean(*value),
            Scalar::Integer(value) => Value::Integer(*value, written.to_owned()),
            Scalar::FloatingPoint(value) => Value::Float(value.into_inner(), written.to_owned()),
            Scalar::String(text) => match env::substitute(text, self.lookup) {
                Ok(None) => Value::Text(text.to_string()),
                // As if the variable's value stood in the file, except that it cannot bring structure with it.
                Ok(Some(filled)) => match Scalar::parse_from_cow(filled.as_str().into()) {
                    Scalar::String(text) => Value::Text(text.into_owned()),
                    Scalar::Null if filled.is_empty() => Value::Null,
                    other => self.scalar(&other, at, &filled),
                },
                Err(error) => {
                    self.problems.note(at, "", error);
                    Value::Null
                }
            },
        }
    }

    fn source(&self, yaml: &MarkedYaml<'_>) -> String {
        let offset = |index: usize| self.offsets.get(index).copied().unwrap_or(self.text.len());
        let range = offset(yaml.span.start.index())..offset(yaml.span.end.index());
        self.text.get(range).unwrap_or_default().trim().to_owned()
    }
}

fn at(yaml: &MarkedYaml<'_>) -> At {
    At { line: yaml.span.start.line(), column: yaml.span.start.col() + 1 }
}

impl Node {
    /// What it is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Boolean(_) => "true or false",
            Value::Integer(..) | Value::Float(..) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// A message about this value, without what came from variables: it may be secret.
    #[must_use]
    pub fn masked(&self, message: String) -> String {
        match &self.value {
            Value::Text(text) | Value::Integer(_, text) | Value::Float(_, text)
                if self.written.contains(env::OPEN) && !text.is_empty() =>
            {
                message.replace(text.as_str(), &self.written)
            }
            _ => message,
        }
    }

    /// The same as JSON; `None` for a number that JSON does not have.
    #[must_use]
    pub fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match &self.value {
            Value::Null => Json::Null,
            Value::Boolean(value) => Json::Bool(*value),
            Value::Integer(value, _) => Json::from(*value),
            Value::Float(value, _) => Json::Number(serde_json::Number::from_f64(*value)?),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(list) => Json::Array(list.iter().map(Self::to_json).collect::<Option<_>>()?),
            Value::Map(map) => Json::Object(
                map.iter().map(|(key, node)| Some((key.text.clone(), node.to_json()?))).collect::<Option<_>>()?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Node, Vec<String>) {
        let problems = Problems::default();
        let lookup = |name: &str| (name == "PORT").then(|| "4317".to_owned());
        let node = parse(text, &lookup, &problems);
        (node, problems.into_report("f.yaml").lines())
    }

    #[test]
    fn every_value_knows_where_it_stands() {
        let (node, problems) = read("a:\n  b: 1\n  'ü': [x, 2.50]\n");
        assert!(problems.is_empty(), "{problems:?}");
        let Value::Map(root) = &node.value else { panic!("{node:?}") };
        let Value::Map(inner) = &root[0].1.value else { panic!("{node:?}") };
        assert_eq!((inner[1].0.text.as_str(), inner[1].0.at), ("ü", At { line: 3, column: 3 }));
        let Value::List(list) = &inner[1].1.value else { panic!("{node:?}") };
        assert_eq!((&list[1].value, list[1].at), (&Value::Float(2.5, "2.50".into()), At { line: 3, column: 12 }));
    }

    #[test]
    fn variables_take_the_type_of_their_value_and_missing_ones_are_named() {
        let (node, problems) = read("a: ${env:PORT}\nb: ${env:MISSING}\nc: ${env:MISSING:-5s}\n");
        let Value::Map(root) = &node.value else { panic!("{node:?}") };
        assert_eq!(root[0].1.value, Value::Integer(4317, "4317".into()));
        assert_eq!(root[0].1.written, "${env:PORT}");
        assert_eq!(root[2].1.value, Value::Text("5s".into()));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("f.yaml:2:4") && problems[0].contains("MISSING"), "{problems:?}");
    }

    #[test]
    fn what_is_not_yaml_is_said_with_its_line() {
        for text in ["a: [1, 2\nb: 3\n", "a: 1\na: 2\n", "a: 1\n---\nb: 1\n", "a: {\n"] {
            let (_, problems) = read(text);
            assert_eq!(problems.len(), 1, "{text}");
            assert!(problems[0].starts_with("f.yaml:"), "{problems:?}");
        }
        assert!(read("").1.is_empty());
        assert!(read("# only a comment\n").1.is_empty());
    }
}
