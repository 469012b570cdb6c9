//! Backends that live in the process itself: nothing to install, nothing that outlives it.

mod bus;
mod directory;
mod memory;
mod presence;
mod rate;
mod recent;

pub use bus::{LocalBus, MemoryBus, MemoryHub};
pub use directory::TokenDirectory;
pub use memory::MemoryStore;
pub use presence::MemoryPresence;
pub use rate::GovernorLimiter;
