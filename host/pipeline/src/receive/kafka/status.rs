//! How it stands with the consumer, for people.

/// The consumer at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its group.
    pub group: String,
    /// What it has of which topic, in order.
    pub partitions: Vec<PartitionStatus>,
    /// Messages that are on their way.
    pub uncommitted: u64,
    /// Whether it takes nothing of some partitions now, because what it took of them is refused or has no room.
    pub paused: bool,
    /// What went wrong last, if something did since the last message.
    pub trouble: Option<String>,
}

/// One partition that is this consumer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// How far it is committed: the offset of the next message.
    pub committed: Option<i64>,
    /// Messages behind that, as far as that is known.
    pub lag: Option<i64>,
}
