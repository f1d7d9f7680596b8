//! Which part of what comes in a destination gets.

use otlp::condition::{Condition, ConditionError, Filter};
use otlp::path::Path;

/// Which resources go to a destination, with all that they hold.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// Those that match: any of the lists, all of its conditions. See [`check_when`].
    Any(Vec<Vec<Condition>>),
    /// Those that match nowhere else.
    Otherwise,
}

/// Why conditions cannot decide where resources go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// It is not about a whole resource.
    #[error(
        "`{0}` is not the same for a whole resource, which goes one way: ask for resource.attributes[\"...\"], \
         resource.schema_url, request.tenant or request.header[\"...\"]"
    )]
    Path(Path),
    /// It can never be judged.
    #[error("{0}")]
    Condition(#[from] ConditionError),
}

/// Compiles conditions that decide where resources go.
pub fn check_when(lists: &[Vec<Condition>]) -> Result<Filter, WhenError> {
    let is_shared = |path: &&Path| {
        matches!(
            path,
            Path::ResourceAttribute(_) | Path::ResourceSchemaUrl | Path::RequestTenant | Path::RequestHeader(_)
        )
    };
    let mut paths = lists.iter().flatten().map(|condition| &condition.path);
    match paths.find(|path| !is_shared(path)) {
        Some(path) => Err(WhenError::Path(path.clone())),
        None => Ok(Filter::compile(lists)?),
    }
}
