//! The figures, for a reader.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    faults::Happened,
    record::{Place, Record, Sent},
    verify::Wrong,
};

/// An acknowledgement that takes longer counts as late.
const LATE: Duration = Duration::from_secs(1);

/// Prints how things are going.
pub(crate) fn progress(records: &[Arc<Record>], began: Instant) {
    let (mut on, mut elsewhere) = (BTreeMap::new(), 0);
    let (mut sent, mut acknowledged, mut waiting, mut reconnects) = (0, 0, 0, 0);
    for record in records {
        let state = record.state.lock();
        match state.place {
            Place::On(node) => *on.entry(node).or_insert(0) += 1,
            Place::Seeking | Place::Away => elsewhere += 1,
        }
        sent += state.sends.len();
        acknowledged += state.acknowledged;
        waiting += state.waiting();
        reconnects += state.reconnects;
    }
    let on: Vec<String> = on.iter().map(|(node, count)| format!("{}: {count}", node + 1)).collect();
    println!(
        "[{:>5.1} s] clients on nodes {}, elsewhere: {elsewhere}; {sent} sent, {acknowledged} acknowledged, \
         {waiting} waiting; {reconnects} reconnects",
        began.elapsed().as_secs_f64(),
        on.join(", "),
    );
}

/// Prints what happened at each fault: how many acknowledgements were late, and when the last of those came.
pub(crate) fn faults(happened: &[Happened], records: &[Arc<Record>], began: Instant) {
    let sends: Vec<Sent> = all(records);
    println!(
        "\n{:<32}{:>9}{:>9}{:>11}{:>9}  all acked again after",
        "fault", "from", "to", "late acks", "worst"
    );
    for (place, fault) in happened.iter().enumerate() {
        let next = happened.get(place + 1).map(|next| next.from);
        // A late acknowledgement belongs to the fault of the moment at which it became late.
        let is_of_this = |sent: &&Sent| {
            let became_late = sent.at + LATE;
            fault.from <= became_late && next.is_none_or(|next| became_late < next)
        };
        let mut late: Vec<(Duration, Instant)> = sends
            .iter()
            .filter(is_of_this)
            .filter_map(|sent| sent.acked.map(|acked| (acked.at - sent.at, acked.at)))
            .filter(|(took, _)| *took > LATE)
            .collect();
        late.sort_unstable();
        let worst = late.last().map_or(Duration::ZERO, |(took, _)| *took);
        let last = late.iter().map(|(_, at)| *at).max();
        let after = last.map_or(Duration::ZERO, |at| at - fault.from);
        println!(
            "{:<32}{:>7.1} s{:>7.1} s{:>11}{:>7.1} s{:>7.1} s",
            fault.fault.to_string(),
            (fault.from - began).as_secs_f64(),
            (fault.until - began).as_secs_f64(),
            late.len(),
            worst.as_secs_f64(),
            after.as_secs_f64(),
        );
    }
}

/// Prints the totals.
pub(crate) fn totals(records: &[Arc<Record>]) {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let (mut acknowledged, mut reconnects, mut resumes, mut retries) = (0, 0, 0, 0);
    let (mut revisions, mut reads) = (0, 0);
    for record in records {
        let state = record.state.lock();
        acknowledged += state.acknowledged;
        reconnects += state.reconnects;
        resumes += state.resumes;
        retries += state.retries;
        revisions += state.revisions.len();
        reads += state.read.len();
        for (reason, count) in &state.reasons {
            *reasons.entry(reason.clone()).or_default() += count;
        }
    }
    let sends = all(records);
    println!("\nsends: {} attempted, {acknowledged} acknowledged, {retries} retries", sends.len());
    println!(
        "edits and deletions acknowledged: {revisions}; reading acknowledged in {reads} places"
    );
    println!("{reconnects} connections broken or refused, {resumes} resumes");
    let mut latencies: Vec<Duration> =
        sends.iter().filter_map(|sent| Some(sent.acked?.at - sent.at)).collect();
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = (latencies.len() as f64 * share) as usize;
        let found = latencies.get(place.min(latencies.len().saturating_sub(1)));
        found.copied().unwrap_or_default().as_secs_f64() * 1000.0
    };
    println!(
        "from the first try to the acknowledgement: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!("\nwhat clients met on the way:");
    for (reason, count) in reasons {
        println!("{count:>8}  {reason}");
    }
}

/// Prints what must be zero; whether it is.
pub(crate) fn wrong(wrong: &Wrong) -> bool {
    let figures = [
        ("acknowledged messages lost", wrong.lost),
        ("acknowledged edits and deletions lost", wrong.revisions_lost),
        ("acknowledged read positions lost", wrong.reads_lost),
        ("messages never acknowledged", wrong.unacknowledged),
        ("sends refused", wrong.refused),
        ("messages stored that nobody sent so", wrong.invented),
        ("messages stored twice", wrong.stored_twice),
        ("conversations stored with holes", wrong.stored_holes),
        ("messages that the database has and the server does not tell", wrong.told_otherwise),
        ("messages seen twice after de-duplication", wrong.seen_twice),
        ("order inversions", wrong.inversions),
        ("seq holes", wrong.seq_holes),
        ("rev holes in what clients applied", wrong.rev_holes),
        ("clients told to load anew", wrong.reloads),
        ("copies of conversations that differ from the store", wrong.copies_differ),
        ("unread counts that differ from a recount", wrong.unread_differ),
        ("views of presence that are wrong after TTL and grace", wrong.presence),
    ];
    println!("\nmust be zero:");
    for (name, count) in figures {
        println!("{count:>8}  {name}");
    }
    figures.iter().all(|(_, count)| *count == 0)
}

fn all(records: &[Arc<Record>]) -> Vec<Sent> {
    let mut sends = Vec::new();
    for record in records {
        sends.extend_from_slice(&record.state.lock().sends);
    }
    sends
}
