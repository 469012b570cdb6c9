//! Settings of the engine. All have defaults that work.

use std::time::Duration;

use crate::{Limits, traits::Quota};

/// Settings of a [`crate::Chat`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Bounds on content.
    pub limits: Limits,
    /// Events that may wait for one connection. Defaults to 256.
    pub outbox_events: usize,
    /// Bytes that may wait for one connection. Defaults to 1 MiB.
    pub outbox_bytes: usize,
    /// Bytes that may wait for all connections of the node together, over the first 2 KiB of each. Defaults to 256 MiB.
    pub node_outbox_bytes: usize,
    /// Connections a user. Defaults to 20.
    pub connections_per_user: usize,
    /// Connections an address, where the transport knows it; of IPv6 a network of 64 bits counts as
    /// one. Defaults to 10,000: behind a proxy all users may share the proxy's.
    pub connections_per_address: usize,
    /// Connections of this node. Defaults to 100,000.
    pub connections: usize,
    /// Sends a user. Defaults to 10 a second, 20 at once.
    pub sends: Quota,
    /// All other commands a user. Defaults to 50 a second, 200 at once. Typing and receipts are
    /// coalesced instead of counted.
    pub commands: Quota,
    /// Connects a user. Defaults to 5 a second, 40 at once.
    pub connects: Quota,
    /// How long a hook may take. Defaults to 2 s.
    pub hook_deadline: Duration,
    /// How long a store call may take before it is answered as unavailable. It is not cancelled. Defaults to 10 s.
    pub store_deadline: Duration,
    /// How long a presence lease holds. Defaults to 15 s.
    pub presence_lease: Duration,
    /// How often leases are renewed and watched users looked at. Defaults to 5 s.
    pub presence_renewal: Duration,
    /// How long a user stays online after the last device went. Defaults to 10 s.
    pub offline_grace: Duration,
    /// A typing start goes out at most once in this time. Defaults to 3 s.
    pub typing_interval: Duration,
    /// The stop is sent for who says nothing more for so long. Defaults to 6 s.
    pub typing_timeout: Duration,
    /// How often heads are compared with the store. Defaults to 5 s. Zero switches the sweep off,
    /// which is for tests: events that the bus loses are then found only by a later one.
    pub sweep_interval: Duration,
    /// Changes of one conversation that a resume replays; beyond it is `limited`. Defaults to 10,000.
    pub replay_limit: u64,
    /// Conversations unknown to a device of which a resume tells; the rest are paged. Defaults to 100.
    pub unknown_limit: usize,
    /// Resumes that read the store at once; a store may answer those that come together in one round trip.
    /// Defaults to 128.
    pub concurrent_resumes: usize,
    /// Sends that share one commit at most. Defaults to 512.
    pub batch: usize,
    /// Sends that may wait for a commit; beyond it they are answered as unavailable. Defaults to 8,192.
    pub pending_sends: usize,
    /// Batches in flight at once, each for its own conversations. Defaults to what the store says
    /// ([`MessageStore::lanes`](crate::store::MessageStore::lanes)).
    pub lanes: Option<usize>,
    /// Conversations of up to so many members are told by user topics, larger ones by a topic of their own. Defaults to 16.
    pub small_conversation: u32,
    /// Whether members are told how far others have read. Defaults to true.
    pub receipts: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            outbox_events: 256,
            outbox_bytes: 1 << 20,
            node_outbox_bytes: 256 << 20,
            connections_per_user: 20,
            connections_per_address: 10_000,
            connections: 100_000,
            sends: Quota::new(10, 20),
            commands: Quota::new(50, 200),
            connects: Quota::new(5, 40),
            hook_deadline: Duration::from_secs(2),
            store_deadline: Duration::from_secs(10),
            presence_lease: Duration::from_secs(15),
            presence_renewal: Duration::from_secs(5),
            offline_grace: Duration::from_secs(10),
            typing_interval: Duration::from_secs(3),
            typing_timeout: Duration::from_secs(6),
            sweep_interval: Duration::from_secs(5),
            replay_limit: 10_000,
            unknown_limit: 100,
            concurrent_resumes: 128,
            batch: 512,
            pending_sends: 8192,
            lanes: None,
            small_conversation: 16,
            receipts: true,
        }
    }
}
