//! Who talks with whom.

use fastrand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Result, rest::Rest, wire::user};

/// A conversation and the clients that are its members, the one who made it first.
#[derive(Debug, Clone)]
pub(crate) struct Circle {
    pub(crate) id: Uuid,
    pub(crate) members: Vec<u32>,
}

/// Small groups are told by their members' topics, larger ones have a topic of their own.
const SMALL: [usize; 4] = [3, 5, 8, 12];
const MEDIUM: [usize; 3] = [17, 25, 40];
const LARGE: [usize; 3] = [100, 150, 200];

/// The members of all conversations: each client has two neighbours, two small groups and a medium one,
/// and some have a large one. With fewer than 100 clients the large one is everybody.
pub(crate) fn plan(clients: u32, seed: u64) -> Vec<Vec<u32>> {
    let mut rng = Rng::with_seed(seed);
    let everybody: Vec<u32> = (0..clients).collect();
    let mut plan: Vec<Vec<u32>> =
        everybody.iter().map(|&client| vec![client, (client + 1) % clients]).collect();
    for sizes in [&SMALL[..], &SMALL[..], &MEDIUM[..]] {
        let mut order = everybody.clone();
        rng.shuffle(&mut order);
        let mut rest = &order[..];
        for &size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (group, others) = rest.split_at(size.min(rest.len()));
            plan.push(group.to_vec());
            rest = others;
        }
    }
    for size in LARGE {
        let mut order = everybody.clone();
        rng.shuffle(&mut order);
        order.truncate(size);
        plan.push(order);
        if clients as usize <= size {
            break;
        }
    }
    plan
}

/// Makes a conversation.
pub(crate) async fn found(rest: &Rest, number: usize, members: Vec<u32>) -> Result<Circle> {
    let entry: Value = match members[..] {
        [maker, other] => {
            let body = json!({"user_id": user(other)});
            rest.post(maker, "/conversations/direct", &body).await?
        }
        _ => {
            let others: Vec<String> = members[1..].iter().map(|&member| user(member)).collect();
            let title = format!("Group {number} of {}", members.len());
            let body = json!({"title": title, "members": others, "client_id": format!("{number}")});
            rest.post(members[0], "/conversations", &body).await?
        }
    };
    let id = entry["conversation"]["id"].as_str().ok_or("a conversation without an id")?;
    Ok(Circle { id: id.parse()?, members })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_peers_and_groups_and_both_kinds_of_topics_are_used() {
        for clients in [20, 60, 2000] {
            let plan = plan(clients, 1);
            for client in 0..clients {
                let mine: Vec<_> = plan.iter().filter(|circle| circle.contains(&client)).collect();
                let directs = mine.iter().filter(|circle| circle.len() == 2).count();
                assert!(directs >= 2 && mine.len() >= 4, "{client}: {mine:?}");
            }
            assert!(plan.iter().any(|circle| (3..=16).contains(&circle.len())));
            assert!(plan.iter().any(|circle| circle.len() > 16));
            let largest = plan.iter().map(Vec::len).max();
            assert_eq!(largest, Some(clients.min(200) as usize));
        }
    }
}
