//! Names of services, as halves have them: those that come again and again share their memory.

use std::sync::Arc;

/// How many are known.
const KNOWN: usize = 16;

/// The names of late.
#[derive(Debug, Default)]
pub struct Names {
    known: Vec<Arc<str>>,
    /// Which of them makes way next.
    next: usize,
}

impl Names {
    /// A name; what is no UTF-8 is replaced.
    pub fn of(&mut self, text: &[u8]) -> Arc<str> {
        if let Some(known) = self.known.iter().find(|known| known.as_bytes() == text) {
            return known.clone();
        }
        let name: Arc<str> = String::from_utf8_lossy(text).into();
        match self.known.get_mut(self.next) {
            Some(oldest) => *oldest = name.clone(),
            None => self.known.push(name.clone()),
        }
        self.next = (self.next + 1) % KNOWN;
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_come_again_share_their_memory() {
        let mut names = Names::default();
        let first = names.of(b"cart");
        (0..KNOWN - 1).for_each(|number| drop(names.of(format!("shop {number}").as_bytes())));
        assert!(Arc::ptr_eq(&first, &names.of(b"cart")));
        assert_eq!(&*names.of(b"k\xffse"), "k\u{fffd}se");
        assert!(!Arc::ptr_eq(&first, &names.of(b"cart")), "it has made way");
        assert_eq!((names.known.len(), &*names.of(b"cart")), (KNOWN, "cart"));
    }
}
