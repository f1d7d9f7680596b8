//! Headers whose values are in files: looked at every second, and taken once two looks have seen the same, as files are written
//! piece by piece. What cannot be used changes nothing, and is logged once. Values are secrets: no message shows them.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use super::config::{FileHeader, Form};
use crate::followed::{self, Seen};

/// No header is longer; what is, is another file.
const LONGEST: u64 = 64 << 10;

/// Why a header cannot be had from its file.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", .file.display())]
    Read {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It holds nothing.
    #[error("{} is empty: it should hold the value of the header `{name}`", .file.display())]
    Empty {
        /// Which file.
        file: PathBuf,
        /// For which header.
        name: HeaderName,
    },
    /// It holds what no header can have.
    #[error("{} holds characters that the header `{name}` cannot have: it should hold the value alone, on one line", .file.display())]
    Value {
        /// Which file.
        file: PathBuf,
        /// For which header.
        name: HeaderName,
    },
}

/// The headers of one destination that come from files.
#[derive(Debug)]
pub(super) struct Secrets {
    destination: String,
    files: Vec<FileHeader>,
    current: ArcSwap<HeaderMap>,
    seen: Mutex<Seen<HeaderMap>>,
}

impl Secrets {
    /// Reads all files.
    pub fn read(destination: &str, files: Vec<FileHeader>) -> Result<Arc<Self>, SecretError> {
        let headers = read(&files)?;
        let seen = Mutex::new(Seen::of(headers.clone()));
        Ok(Arc::new(Self { destination: destination.to_owned(), files, current: ArcSwap::from_pointee(headers), seen }))
    }

    /// Whether there is nothing to follow.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Sets the headers, in the place of others of those names.
    pub fn set(&self, headers: &mut HeaderMap) {
        for (name, value) in &**self.current.load() {
            headers.insert(name, value.clone());
        }
    }

    /// Follows the files for as long as anybody sends with them.
    pub async fn follow(this: Weak<Self>) {
        followed::follow(move || this.upgrade().inspect(|secrets| secrets.look()).is_some()).await;
    }

    fn look(&self) {
        let look = read(&self.files).map_err(|error| error.to_string());
        let mut seen = self.seen.lock();
        let Some(news) = seen.news(look) else { return };
        let destination = &self.destination;
        match news {
            Ok(headers) => {
                self.current.store(Arc::new(headers.clone()));
                tracing::info!(destination, "headers read anew from their files");
            }
            Err(error) => tracing::error!(destination, "headers are not read anew, the old ones stay: {error}"),
        }
    }
}

fn read(files: &[FileHeader]) -> Result<HeaderMap, SecretError> {
    let mut headers = HeaderMap::with_capacity(files.len());
    for FileHeader { name, file, form } in files {
        let text = text_of(file).map_err(|error| SecretError::Read { file: file.clone(), error })?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(SecretError::Empty { file: file.clone(), name: name.clone() });
        }
        let value = match form {
            Form::Plain => text.to_owned(),
            Form::Bearer => format!("Bearer {text}"),
            Form::Basic { username } => format!("Basic {}", STANDARD.encode(format!("{username}:{text}"))),
        };
        let wrong = |_| SecretError::Value { file: file.clone(), name: name.clone() };
        let mut value = HeaderValue::from_str(&value).map_err(wrong)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn text_of(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &'static str, file: &Path, form: Form) -> FileHeader {
        FileHeader { name: HeaderName::from_static(name), file: file.to_owned(), form }
    }

    #[test]
    fn values_are_made_of_what_files_hold_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "s3cret\n").unwrap();
        let basic = Form::Basic { username: "me".into() };
        let files = vec![header("x-key", &file, Form::Plain), header("authorization", &file, basic)];
        let secrets = Secrets::read("back", files).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_static("of the configuration"));
        secrets.set(&mut headers);
        assert_eq!((&headers["x-key"], headers.get_all("x-key").iter().count()), (&"s3cret".parse().unwrap(), 1));
        assert_eq!(headers["authorization"], "Basic bWU6czNjcmV0");
        assert!(!format!("{secrets:?} {headers:?}").contains("s3cret"));
        let bearer = Secrets::read("back", vec![header("authorization", &file, Form::Bearer)]).unwrap();
        bearer.set(&mut headers);
        assert_eq!(headers["authorization"], "Bearer s3cret");
    }

    #[test]
    fn what_cannot_be_used_is_said_with_the_file_and_without_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let error = || read(&[header("x-key", &file, Form::Plain)]).unwrap_err().to_string();
        let shown = file.display().to_string();
        assert!(error().starts_with(&format!("cannot read {shown}: ")), "{}", error());
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(error(), format!("{shown} is empty: it should hold the value of the header `x-key`"));
        std::fs::write(&file, "s3cret\nand more").unwrap();
        assert!(error().contains("`x-key`") && !error().contains("s3cret"), "{}", error());
    }

    #[test]
    fn a_change_is_taken_once_it_stands_still_and_a_file_that_is_gone_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "old").unwrap();
        let secrets = Secrets::read("back", vec![header("x-key", &file, Form::Plain)]).unwrap();
        let now = || secrets.current.load()["x-key"].to_str().unwrap().to_owned();
        std::fs::write(&file, "half").unwrap();
        secrets.look();
        std::fs::write(&file, "whole").unwrap();
        secrets.look();
        assert_eq!(now(), "old");
        secrets.look();
        assert_eq!(now(), "whole");
        std::fs::remove_file(&file).unwrap();
        secrets.look();
        secrets.look();
        assert_eq!(now(), "whole");
        std::fs::write(&file, "whole").unwrap();
        secrets.look();
        secrets.look();
        assert_eq!(now(), "whole");
        assert!(secrets.seen.lock().is_settled(&secrets.current.load_full()));
    }
}
