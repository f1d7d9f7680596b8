//! Which partitions are paused, as far as librdkafka was told so. Knows no Kafka.
//!
//! librdkafka keeps a pause while a partition is somebody else's: of one that comes nothing is known, and it is told what is wanted in any case.

use std::collections::BTreeMap;

use super::board::Place;

/// What was told last of each partition.
#[derive(Debug, Default)]
pub(super) struct Pauses(BTreeMap<Place, bool>);

/// What is to be told now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub stop: Vec<Place>,
    pub go_on: Vec<Place>,
}

impl Pauses {
    /// These have come.
    pub fn came(&mut self, places: Vec<Place>) {
        for place in places {
            self.0.remove(&place);
        }
    }

    pub fn is_paused(&self, place: Place) -> bool {
        self.0.get(&place) == Some(&true)
    }

    /// How many are paused.
    pub fn count(&self) -> usize {
        self.0.values().filter(|is_paused| **is_paused).count()
    }

    /// What it takes that of all partitions that are here those are paused of which that is wanted.
    pub fn changes(&mut self, wanted: &BTreeMap<Place, bool>) -> Changes {
        self.0.retain(|place, _| wanted.contains_key(place));
        let mut changes = Changes::default();
        for (place, stops) in wanted {
            if self.0.get(place) != Some(stops) {
                if *stops { &mut changes.stop } else { &mut changes.go_on }.push(*place);
            }
        }
        changes
    }

    /// That was told.
    pub fn told(&mut self, places: &[Place], is_paused: bool) {
        self.0.extend(places.iter().map(|place| (*place, is_paused)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Place = (0, 1);
    const OTHER: Place = (0, 2);

    fn changes(stop: &[Place], go_on: &[Place]) -> Changes {
        Changes { stop: stop.to_vec(), go_on: go_on.to_vec() }
    }

    #[test]
    fn only_what_is_news_is_told_and_again_until_it_could_be() {
        let mut pauses = Pauses::default();
        let wanted = BTreeMap::from([(ONE, true), (OTHER, false)]);
        assert_eq!(pauses.changes(&wanted), changes(&[ONE], &[OTHER]));
        assert_eq!(pauses.changes(&wanted), changes(&[ONE], &[OTHER]), "it was not told");
        pauses.told(&[ONE], true);
        pauses.told(&[OTHER], false);
        assert_eq!(pauses.changes(&wanted), Changes::default());
        assert_eq!((pauses.is_paused(ONE), pauses.is_paused(OTHER), pauses.count()), (true, false, 1));
    }

    #[test]
    fn what_went_while_it_was_paused_is_resumed_when_it_comes_back() {
        let mut pauses = Pauses::default();
        pauses.told(&[ONE], true);
        assert_eq!(pauses.changes(&BTreeMap::new()), Changes::default());
        assert_eq!(pauses.changes(&BTreeMap::from([(ONE, false)])), changes(&[], &[ONE]));
        // Also where nobody has looked in between.
        pauses.told(&[ONE], true);
        pauses.came(vec![ONE]);
        assert!(!pauses.is_paused(ONE));
        assert_eq!(pauses.changes(&BTreeMap::from([(ONE, false)])), changes(&[], &[ONE]));
        assert_eq!(pauses.changes(&BTreeMap::from([(ONE, true)])), changes(&[ONE], &[]));
    }
}
