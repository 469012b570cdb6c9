//! Compares what clients were promised, what they have, and what the store says.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use uuid::Uuid;

use crate::{
    copy::{Broken, Copy},
    record::{Record, State},
    town::Circle,
    truth::{Room, Standing, Truth, Witness},
    wire::{Held, SendKey, Text},
};

/// Unread messages are counted up to here.
const UNREAD_CAP: u64 = 1000;

/// Everything that must be zero.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    pub(crate) unacknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) lost: u64,
    pub(crate) revisions_lost: u64,
    pub(crate) reads_lost: u64,
    pub(crate) invented: u64,
    pub(crate) stored_twice: u64,
    pub(crate) stored_holes: u64,
    pub(crate) seen_twice: u64,
    pub(crate) inversions: u64,
    pub(crate) seq_holes: u64,
    pub(crate) rev_holes: u64,
    pub(crate) reloads: u64,
    pub(crate) copies_differ: u64,
    pub(crate) unread_differ: u64,
    pub(crate) presence: u64,
    pub(crate) told_otherwise: u64,
}

impl Wrong {
    /// Adds what the database itself says.
    pub(crate) fn hear(&mut self, truth: &Truth, witness: &Witness) {
        let told: usize = truth.rooms.values().map(|room| room.messages.len()).sum();
        self.told_otherwise = witness.messages.abs_diff(told as u64);
        self.stored_twice = self.stored_twice.max(witness.twice);
        self.stored_holes = self.stored_holes.max(witness.holes);
    }
}

/// Looks at everything but presence, and counts what is wrong.
pub(crate) fn verify(
    records: &[Arc<Record>],
    circles: &[Circle],
    truth: &Truth,
    standings: &[Standing],
    wrong: &mut Wrong,
) {
    let mut stored = Stored::default();
    for room in truth.rooms.values() {
        stored.take(room, wrong);
    }
    for record in records {
        let state = record.state.lock();
        acknowledged(record.client, &state, &stored, wrong);
        broken(&state.copies.broken, wrong);
    }
    for circle in circles {
        let Some(room) = truth.rooms.get(&circle.id) else { continue };
        for &member in &circle.members {
            let state = records[member as usize].state.lock();
            match state.copies.conversations.get(&circle.id) {
                Some(copy) => {
                    if let Some(how) = compare(copy, room, wrong) {
                        tell(wrong.copies_differ, member, circle, &how);
                    }
                }
                None => {
                    wrong.copies_differ += 1;
                    tell(wrong.copies_differ, member, circle, "it has none");
                }
            }
        }
    }
    standing(records, circles, truth, standings, wrong);
}

/// All messages that are stored, by who sent them.
#[derive(Default)]
struct Stored(HashMap<SendKey, (Uuid, u64, Text)>);

impl Stored {
    fn take(&mut self, room: &Room, wrong: &mut Wrong) {
        let dense = room.messages.keys().copied().eq(1..=room.last_seq);
        wrong.stored_holes += u64::from(!dense);
        for (&seq, held) in &room.messages {
            match held.send {
                Some(key) if self.0.insert(key, (held.id, seq, held.text)).is_some() => {
                    wrong.stored_twice += 1;
                }
                Some(_) => {}
                None => wrong.invented += 1,
            }
        }
    }
}

/// What a client was told is done must be so.
fn acknowledged(client: u32, state: &State, stored: &Stored, wrong: &mut Wrong) {
    wrong.unacknowledged += state.waiting();
    wrong.refused += state.refused;
    wrong.inversions += state.acked_backwards;
    for revision in &state.revisions {
        let there = stored.0.get(&revision.send);
        wrong.revisions_lost += u64::from(there.is_none_or(|(_, _, text)| *text != revision.text));
    }
    for (number, sent) in (1..).zip(&state.sends) {
        let key = SendKey { client, number };
        let there = stored.0.get(&key);
        let corrected = Text::of(&key.correction());
        let said = |text: Text| text == sent.text || text == Text::Deleted || text == corrected;
        wrong.invented += u64::from(there.is_some_and(|(_, _, text)| !said(*text)));
        let Some(acked) = sent.acked else { continue };
        let kept = there.is_some_and(|&(id, seq, _)| (id, seq) == (acked.message, acked.seq));
        wrong.lost += u64::from(!kept);
    }
}

fn broken(broken: &Broken, wrong: &mut Wrong) {
    wrong.seen_twice += broken.twice;
    wrong.inversions += broken.inversions;
    wrong.seq_holes += broken.seq_holes;
    wrong.rev_holes += broken.rev_holes;
    wrong.reloads += broken.reloads;
}

/// Copies that differ of which the first few are told in detail.
const TOLD: u64 = 20;

fn tell(count: u64, member: u32, circle: &Circle, how: &str) {
    if count <= TOLD {
        println!("the copy of {} of {} differs: {how}", crate::wire::user(member), circle.id);
    }
}

/// A member's copy against the store; how it differs.
fn compare(copy: &Copy, room: &Room, wrong: &mut Wrong) -> Option<String> {
    let mut seen = HashSet::new();
    let twice = |held: &&Held| held.send.is_some_and(|key| !seen.insert(key));
    wrong.seen_twice += copy.messages.values().filter(twice).count() as u64;
    let other = |(seq, held): &(&u64, &Held)| {
        room.messages.get(seq).is_some_and(|stored| stored.id != held.id)
    };
    wrong.inversions += copy.messages.iter().filter(other).count() as u64;
    if copy.rev == room.rev && copy.messages == room.messages {
        return None;
    }
    wrong.copies_differ += 1;
    let seqs: BTreeSet<&u64> = copy.messages.keys().chain(room.messages.keys()).collect();
    let first = seqs.into_iter().find(|seq| copy.messages.get(seq) != room.messages.get(seq));
    let first = first.map(|seq| (seq, copy.messages.get(seq), room.messages.get(seq)));
    Some(format!("rev {}, stored {}; first message {first:?}", copy.rev, room.rev))
}

/// Unread counts and read positions.
fn standing(
    records: &[Arc<Record>],
    circles: &[Circle],
    truth: &Truth,
    standings: &[Standing],
    wrong: &mut Wrong,
) {
    let by_member: HashMap<(u32, Uuid), &Standing> =
        standings.iter().map(|at| ((at.client, at.conversation), at)).collect();
    for circle in circles {
        let Some(room) = truth.rooms.get(&circle.id) else { continue };
        for &client in &circle.members {
            let Some(at) = by_member.get(&(client, circle.id)) else {
                wrong.unread_differ += 1;
                continue;
            };
            let counts = |held: &&Held| {
                held.text != Text::Deleted && held.send.is_none_or(|key| key.client != client)
            };
            let unread = room.messages.range(at.read_seq + 1..).map(|(_, held)| held);
            let unread = (unread.filter(counts).count() as u64).min(UNREAD_CAP);
            wrong.unread_differ += u64::from(unread != at.unread);
            let state = records[client as usize].state.lock();
            let read = state.read.get(&circle.id).copied().unwrap_or(0);
            wrong.reads_lost += u64::from(at.read_seq < read);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Instant};

    use super::*;
    use crate::record::{Acked, Revision, Sent};

    /// Two clients in one conversation; the first sent two messages and everything is well.
    struct World {
        records: Vec<Arc<Record>>,
        circles: Vec<Circle>,
        truth: Truth,
        standings: Vec<Standing>,
    }

    const ID: Uuid = Uuid::from_u128(9);

    fn held(number: u32) -> Held {
        let key = SendKey { client: 0, number };
        let id = Uuid::from_u128(number.into());
        Held { id, send: Some(key), text: Text::of("hi"), reactions: BTreeMap::new() }
    }

    fn world() -> World {
        let records: Vec<_> = (0..2).map(|client| Arc::new(Record::new(client))).collect();
        let messages = BTreeMap::from([(1, held(1)), (2, held(2))]);
        for record in &records {
            let mut state = record.state.lock();
            let copy = state.copies.conversations.entry(ID).or_default();
            (copy.rev, copy.messages) = (2, messages.clone());
        }
        let mut state = records[0].state.lock();
        for number in 1..=2 {
            let id = Uuid::from_u128(number.into());
            let acked = Acked { at: Instant::now(), message: id, seq: number };
            let text = Text::of("hi");
            let (conversation, at) = (ID, Instant::now());
            state.sends.push(Sent { conversation, at, text, after: 0, acked: Some(acked) });
        }
        state.acknowledged = 2;
        drop(state);
        let circles = vec![Circle { id: ID, members: vec![0, 1] }];
        let truth = Truth { rooms: HashMap::from([(ID, Room { rev: 2, last_seq: 2, messages })]) };
        let standing = |client, unread| Standing { client, conversation: ID, read_seq: 0, unread };
        World { records, circles, truth, standings: vec![standing(0, 0), standing(1, 2)] }
    }

    fn figures(world: &World) -> String {
        let mut wrong = Wrong::default();
        verify(&world.records, &world.circles, &world.truth, &world.standings, &mut wrong);
        format!("{wrong:?}")
    }

    fn assert_wrong(world: &World, figures_wanted: &[&str]) {
        let all = figures(world);
        for figure in figures_wanted {
            assert!(all.contains(figure), "{figure} in {all}");
        }
    }

    #[test]
    fn what_is_well_is_well() {
        assert_eq!(figures(&world()), format!("{:?}", Wrong::default()));
    }

    #[test]
    fn a_lost_message_is_found() {
        let mut lost = world();
        let room = lost.truth.rooms.get_mut(&ID).unwrap();
        room.messages.remove(&2);
        assert_wrong(
            &lost,
            &["lost: 1", "stored_holes: 1", "copies_differ: 2", "unread_differ: 1"],
        );
    }

    #[test]
    fn a_message_stored_twice_or_in_another_place_is_found() {
        let mut twice = world();
        let room = twice.truth.rooms.get_mut(&ID).unwrap();
        room.messages.insert(3, Held { id: Uuid::from_u128(3), ..held(2) });
        (room.rev, room.last_seq) = (3, 3);
        assert_wrong(&twice, &["stored_twice: 1", "stored_holes: 0"]);
        let swapped = world();
        let mut state = swapped.records[1].state.lock();
        let copy = state.copies.conversations.get_mut(&ID).unwrap();
        copy.messages = BTreeMap::from([(1, held(2)), (2, held(1))]);
        drop(state);
        assert_wrong(&swapped, &["inversions: 2", "copies_differ: 1"]);
        let seen = world();
        let mut state = seen.records[1].state.lock();
        let copy = state.copies.conversations.get_mut(&ID).unwrap();
        copy.messages.insert(3, held(2));
        drop(state);
        assert_wrong(&seen, &["seen_twice: 1", "copies_differ: 1"]);
    }

    #[test]
    fn what_was_acknowledged_and_did_not_happen_is_found() {
        let wrong = world();
        let mut state = wrong.records[0].state.lock();
        let send = SendKey { client: 0, number: 1 };
        state.revisions.push(Revision { send, text: Text::Deleted });
        state.read.insert(ID, 1);
        state.sends[1].text = Text::of("something else");
        state.acknowledged = 1;
        drop(state);
        let figures =
            ["revisions_lost: 1", "reads_lost: 1", "invented: 1", "unacknowledged: 1", "lost: 0"];
        assert_wrong(&wrong, &figures);
    }

    #[test]
    fn a_client_that_is_behind_or_has_another_text_is_found() {
        let behind = world();
        let mut state = behind.records[1].state.lock();
        let copy = state.copies.conversations.get_mut(&ID).unwrap();
        copy.rev = 1;
        copy.messages.remove(&2);
        drop(state);
        assert_wrong(&behind, &["copies_differ: 1", " lost: 0"]);
        let other = world();
        let mut state = other.records[1].state.lock();
        let copy = state.copies.conversations.get_mut(&ID).unwrap();
        copy.messages.insert(2, Held { text: Text::of("ho"), ..held(2) });
        drop(state);
        assert_wrong(&other, &["copies_differ: 1"]);
    }
}
