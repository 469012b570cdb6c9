//! What a host can bring besides a [`crate::store::Store`]: who calls, who may, who is there.

mod auth;
mod bus;
mod directory;
mod hook;
mod membership;
mod policy;
mod presence;
mod rate;

pub use auth::{Authenticator, Credentials};
pub use bus::{Bus, BusItem, Publication, Topic};
pub use directory::UserDirectory;
pub use hook::{AfterEvent, Hook, Rejection};
pub use membership::{HostMembers, MembershipSource};
pub use policy::{AccessPolicy, Action, Everyone, Verdict};
pub use presence::{Lease, Presence};
pub use rate::{Quota, RateLimiter, Rated};
