//! How long and how large.

use std::time::Duration;

use super::Scenario;
use crate::load::Span;

/// The sizes of all scenarios.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Of what is sent all the time.
    pub(crate) span: Span,
    /// Direct conversations in which one sends and the other receives.
    pub(crate) pairs: usize,
    /// Messages of one sender that wait for their acknowledgement.
    pub(crate) in_flight: usize,
    /// Members of the larger group, of whom one sends.
    pub(crate) large_group: usize,
    /// Members of the smaller group.
    pub(crate) small_group: usize,
    /// Of whom so many send.
    pub(crate) senders: usize,
    /// Messages in the smaller group that have not reached everybody. Fewer than fit into parlor's outbox (256).
    pub(crate) window: u64,
    pub(crate) connections: usize,
    /// Connects under way at once.
    pub(crate) together: usize,
    /// From the last connect to the reading of memory.
    pub(crate) settle: Duration,
    /// Messages that each client has missed.
    pub(crate) missed: u64,
    /// Messages of the conversations of which pages are read.
    pub(crate) histories: Vec<usize>,
    /// Conversations of the users whose lists are read.
    pub(crate) lists: Vec<usize>,
    /// Pages read of each kind.
    pub(crate) pages: usize,
    /// Connects a second, and as many disconnects, of the presence scenario.
    pub(crate) churn: u64,
    /// Its seconds before the measurement: parlor tells that somebody went only when they have not come back for ten.
    pub(crate) churn_warmup: u64,
}

impl Plan {
    /// The sizes of a whole run.
    pub(crate) fn full(seconds: u64, huge: bool) -> Self {
        let mut histories = vec![1_000, 100_000, 1_000_000];
        if huge {
            histories.push(10_000_000);
        }
        Self {
            span: Span { warmup: 2, seconds },
            pairs: 100,
            in_flight: 4,
            large_group: 1000,
            small_group: 100,
            senders: 10,
            window: 64,
            connections: 10_000,
            together: 256,
            settle: Duration::from_secs(10),
            missed: 20,
            histories,
            lists: vec![100, 5_000],
            pages: 1000,
            churn: 500,
            churn_warmup: 12,
        }
    }

    /// The same shapes, small and short: to see that all works, not for figures to be quoted.
    pub(crate) fn quick() -> Self {
        Self {
            span: Span { warmup: 1, seconds: 2 },
            large_group: 200,
            connections: 1000,
            settle: Duration::from_secs(2),
            histories: vec![1_000, 20_000],
            lists: vec![100, 500],
            pages: 100,
            churn: 100,
            churn_warmup: 1,
            ..Self::full(2, false)
        }
    }

    /// A scenario's work, in words.
    pub(crate) fn words(&self, scenario: Scenario) -> String {
        let Self { pairs, in_flight, large_group, small_group, senders, window, .. } = self;
        let Self { connections, together, missed, pages, churn, .. } = self;
        match scenario {
            Scenario::Direct | Scenario::Nodes => format!(
                "{pairs} pairs, {in_flight} messages in flight each, 100 bytes, acknowledged after the commit"
            ),
            Scenario::FanoutOne => {
                format!("one sends to a group of {large_group}, one message at a time")
            }
            Scenario::FanoutMany => format!(
                "{senders} send to their group of {small_group}, {window} messages on their way at most"
            ),
            Scenario::Connections => format!(
                "{connections} authenticated connects, {together} at once; then all are silent"
            ),
            Scenario::Resume => format!(
                "{connections} clients come back within a second after a restart, {missed} missed messages each"
            ),
            Scenario::History => format!(
                "{pages} pages of 50 messages, one after the other; parlor also lists of 50 conversations, one of which is as long"
            ),
            Scenario::Conversations => {
                format!(
                    "{pages} times the first 50 of a list, with last messages and unread counts"
                )
            }
            Scenario::Presence => {
                format!("{churn} users a second come and as many go; somebody is told of each")
            }
        }
    }
}
