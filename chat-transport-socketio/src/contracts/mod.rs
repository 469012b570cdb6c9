//! Contracts of chat services that were published, each with its events, payloads and REST routes.
//! `docs/socket-io.md` lists them.

mod brand_influencer;
mod connections;
mod direct_messages;
mod gateway;
mod tutor_bookings;

pub use brand_influencer::BrandInfluencer;
pub use connections::Connections;
pub use direct_messages::DirectMessages;
pub use gateway::Gateway;
pub use tutor_bookings::TutorBookings;

use parlor_core::Error;

/// The error with the field called as clients of a contract write it.
fn renamed(error: Error, fields: &[(&str, &'static str)]) -> Error {
    match error {
        Error::Invalid(mut invalid) => {
            if let Some((_, here)) = fields.iter().find(|(field, _)| invalid.field == *field) {
                invalid.field = (*here).into();
            }
            Error::Invalid(invalid)
        }
        other => other,
    }
}
