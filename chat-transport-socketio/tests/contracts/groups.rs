//! Groups, which `gateway` alone knows.

use parlor_core::model::{Identity, NewGroup};
use parlor_transport_socketio::contracts::Gateway;
use serde_json::json;

use crate::support::{Medium, Raw, serve_contract, user};

async fn connect(at: std::net::SocketAddr, name: &str) -> Raw {
    let mut raw = Raw::open(at).await;
    raw.enter("/chat,", name).await;
    raw
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_is_told_once_with_all_its_members_to_those_added_later_too() {
    let medium = Medium::new();
    let [near, far] = [medium.node().await, medium.node().await];
    let mut here = connect(serve_contract(&near, Gateway::new()).await, "2").await;
    let at = serve_contract(&far, Gateway::new()).await;
    let (mut there, mut late) = (connect(at, "3").await, connect(at, "4").await);
    let ann = near.as_user(Identity::new(user("1")));
    let group = NewGroup::new("Trip", vec![user("2"), user("3")]);
    let id = ann.create_group(group).await.unwrap().conversation.id;
    for socket in [&mut here, &mut there] {
        let created = socket.event_in("/chat,", "conversation-created").await;
        assert_eq!(created["participantIds"], json!([1, 2, 3]), "{created}");
    }
    ann.add_members(id, vec![user("4")]).await.unwrap();
    let created = late.event_in("/chat,", "conversation-created").await;
    assert_eq!(created["participantIds"], json!([1, 2, 3, 4]), "{created}");
    for socket in [&mut here, &mut there, &mut late] {
        let again = socket.told_by_now_in("/chat,", "conversation-created").await;
        assert!(again.is_empty(), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_share_a_group_alone_hear_of_each_others_presence() {
    let medium = Medium::new();
    let chat = medium.node().await;
    let host = chat.system();
    host.create_group(NewGroup::new("Trip", vec![user("1"), user("2")])).await.unwrap();
    let at = serve_contract(&chat, Gateway::new()).await;
    let mut ann = connect(at, "1").await;
    let mut bob = connect(at, "2").await;
    assert_eq!(bob.event_in("/chat,", "user:online").await, json!({ "userId": 1 }));
    assert_eq!(ann.event_in("/chat,", "user:online").await, json!({ "userId": 2 }));
    drop(bob);
    assert_eq!(ann.event_in("/chat,", "user:offline").await, json!({ "userId": 2 }));
}
