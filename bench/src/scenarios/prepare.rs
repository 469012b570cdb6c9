//! What a scenario needs before its server starts: a database with data in it, and a job for the load generator.

use std::sync::Arc;

use parlor_test_services::{Postgres, Redis};

use super::{Plan, Scenario};
use crate::{
    Result,
    load::{
        Span, Work, connections, direct, fanout,
        pages::{self, Page},
        presence, resume,
    },
    systems::{Data, Database, System},
};

/// Entries of a page.
const PAGE: usize = 50;
/// Unread messages in each conversation of a list.
const UNREAD: usize = 3;
/// Messages of the peers' longest conversation.
const MOST: usize = 1_000_000;
/// Who watches others come and go.
const WATCHERS: usize = 100;

/// Ready to start.
pub(crate) struct Prepared {
    pub(crate) database: Database,
    /// Where several nodes meet.
    pub(crate) redis: Option<Redis>,
    pub(crate) cases: Vec<Case>,
}

/// A measurement of its own.
pub(crate) struct Case {
    /// Empty where there is only one.
    pub(crate) name: String,
    pub(crate) work: Work,
    pub(crate) nodes: usize,
    /// Nodes to which clients connect, from the first.
    pub(crate) used: usize,
}

impl Case {
    fn of(name: impl Into<String>, work: Work) -> Self {
        Self { name: name.into(), work, nodes: 1, used: 1 }
    }

    fn on(self, nodes: usize, used: usize) -> Self {
        Self { nodes, used, ..self }
    }
}

/// Fills a fresh database.
pub(crate) async fn prepare(
    scenario: Scenario,
    system: System,
    plan: &Plan,
    postgres: &Arc<Postgres>,
) -> Result<Prepared> {
    let database = Database::fresh(system, postgres)?;
    let data = Data { system, database: &database };
    let mut redis = None;
    let cases = match scenario {
        Scenario::Direct => vec![Case::of("", direct(&data, plan, 0, 0).await?)],
        Scenario::Nodes => {
            redis = Some(Redis::start()?);
            nodes(&data, plan).await?
        }
        Scenario::FanoutOne => {
            let members = plan.large_group;
            // With one message on its way at a time every delivery is a write of its own.
            vec![Case::of("", group(&data, plan, members, 1, 1).await?)]
        }
        Scenario::FanoutMany => {
            let (members, senders) = (plan.small_group, plan.senders);
            vec![Case::of("", group(&data, plan, members, senders, plan.window).await?)]
        }
        Scenario::Connections => {
            data.directs(&pairs(plan.connections / 2)).await?;
            let load = connections::Load { count: plan.connections, together: plan.together };
            vec![Case::of("", Work::Connections(load))]
        }
        Scenario::Resume => vec![Case::of("", missed(&data, plan).await?)],
        Scenario::History => histories(&data, plan).await?,
        Scenario::Conversations => lists(&data, plan).await?,
        Scenario::Presence => vec![Case::of("", churn(&data, plan).await?)],
    };
    data.settle();
    Ok(Prepared { database, redis, cases })
}

/// The users 0 and 1, 2 and 3, and so on.
fn pairs(count: usize) -> Vec<(usize, usize)> {
    (0..count).map(|pair| (2 * pair, 2 * pair + 1)).collect()
}

async fn direct(
    data: &Data<'_>,
    plan: &Plan,
    first_user: usize,
    nodes_between: usize,
) -> Result<Work> {
    let pairs = pairs(plan.pairs).into_iter();
    let pairs: Vec<_> = pairs.map(|(one, other)| (first_user + one, first_user + other)).collect();
    let conversations = data.directs(&pairs).await?;
    let (in_flight, span) = (plan.in_flight, plan.span);
    Ok(Work::Direct(direct::Load { conversations, first_user, in_flight, nodes_between, span }))
}

/// Each case has users of its own on the one database.
async fn nodes(data: &Data<'_>, plan: &Plan) -> Result<Vec<Case>> {
    let users = 2 * plan.pairs;
    let alone = direct(data, plan, 0, 0).await?;
    let beside = direct(data, plan, users, 0).await?;
    let across = direct(data, plan, 2 * users, 1).await?;
    Ok(vec![
        Case::of("one node", alone),
        Case::of("three nodes, all members on one", beside).on(3, 1),
        Case::of("three nodes, sender and receiver on different ones", across).on(3, 3),
    ])
}

async fn group(
    data: &Data<'_>,
    plan: &Plan,
    members: usize,
    senders: usize,
    window: u64,
) -> Result<Work> {
    let conversation = data.group(members).await?;
    let span = plan.span;
    Ok(Work::Fanout(fanout::Load { conversation, members, senders, window, span }))
}

async fn missed(data: &Data<'_>, plan: &Plan) -> Result<Work> {
    let pairs = pairs(plan.connections / 2);
    let conversations = data.directs(&pairs).await?;
    // All are new, and so the device of each has the same.
    let blank = data.known(&conversations[0], 0).await?;
    let known = conversations.iter().map(|id| {
        let mut known = blank.clone();
        known.conversation_id.clone_from(id);
        known
    });
    let known = known.collect();
    let senders = pairs.iter().map(|(sender, _)| *sender);
    let conversations: Vec<_> = conversations.into_iter().zip(senders).collect();
    data.messages(&conversations, plan.missed as usize).await?;
    Ok(Work::Resume(resume::Load { known, missed: plan.missed, spread: 1000 }))
}

/// Users who read conversations of several lengths, and, of parlor, their lists, in which each of these is one of a page.
async fn histories(data: &Data<'_>, plan: &Plan) -> Result<Vec<Case>> {
    let lengths = plan.histories.iter().copied();
    let lengths: Vec<usize> =
        lengths.filter(|&count| count <= MOST || data.system.is_parlor()).collect();
    let pairs = with_peers(lengths.iter().map(|_| PAGE));
    let ids = data.directs(&pairs).await?;
    let mut cases = Vec::new();
    for ((&count, ids), pairs) in lengths.iter().zip(ids.chunks(PAGE)).zip(pairs.chunks(PAGE)) {
        let all = || ids.iter().cloned().zip(pairs.iter().map(|(_, peer)| *peer));
        data.messages(&all().skip(1).collect::<Vec<_>>(), UNREAD).await?;
        data.messages(&all().take(1).collect::<Vec<_>>(), count).await?;
        let (user, _) = pairs[0];
        data.read(&ids[0], user, count, UNREAD).await?;
        let long = data.long(&ids[0], count, PAGE);
        let latest = Page::Latest { user, conversation: long.conversation.clone() };
        let before =
            Page::Before { user, conversation: long.conversation, from: long.from, to: long.to };
        let mut pages = vec![("latest", latest), ("before a random one", before)];
        if data.system.is_parlor() {
            // The peers' statements were not written for conversations of such different lengths: PostgreSQL takes
            // seconds for a list.
            pages.push(("list with one", Page::Conversations { user }));
        }
        for (name, page) in pages {
            cases.push(Case::of(format!("{name} of {}", thousands(count)), read(page, plan)));
        }
    }
    Ok(cases)
}

/// Users with peers of their own, so many each.
fn with_peers(counts: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    const APART: usize = 10_000;
    let readers = counts.enumerate().map(|(place, count)| (place * APART, count));
    readers.flat_map(|(user, count)| (1..=count).map(move |peer| (user, user + peer))).collect()
}

/// Users with lists of several lengths, with unread messages in each conversation.
async fn lists(data: &Data<'_>, plan: &Plan) -> Result<Vec<Case>> {
    let pairs = with_peers(plan.lists.iter().copied());
    let mut readers: Vec<usize> = pairs.iter().map(|(reader, _)| *reader).collect();
    readers.dedup();
    let ids = data.directs(&pairs).await?;
    let senders = pairs.iter().map(|(_, peer)| *peer);
    data.messages(&ids.into_iter().zip(senders).collect::<Vec<_>>(), UNREAD).await?;
    let case = |(&user, &count): (&usize, &usize)| {
        Case::of(format!("of {}", thousands(count)), read(Page::Conversations { user }, plan))
    };
    Ok(readers.iter().zip(&plan.lists).map(case).collect())
}

/// With a comma before each third digit.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

fn read(page: Page, plan: &Plan) -> Work {
    Work::Pages(pages::Load { page, count: plan.pages, limit: PAGE })
}

async fn churn(data: &Data<'_>, plan: &Plan) -> Result<Work> {
    let span = Span { warmup: plan.churn_warmup, ..plan.span };
    let users = (plan.churn * (span.warmup + span.seconds + 1)) as usize;
    let pairs: Vec<_> = (WATCHERS..WATCHERS + users).map(|user| (user % WATCHERS, user)).collect();
    data.directs(&pairs).await?;
    Ok(Work::Presence(presence::Load {
        watchers: WATCHERS,
        users,
        rate: plan.churn,
        stay: 1000,
        span,
    }))
}
