use clap::{Args, ValueEnum};

use crate::secret::Secret;

/// What is imported, and from where.
#[derive(Debug, Args)]
pub(crate) struct ImportOptions {
    /// The Postgres of the service to be replaced: postgres://USER:PASSWORD@HOST:PORT/DATABASE
    ///
    /// It is only read, in one snapshot. A role that may only read is enough.
    #[arg(long, env = "PARLOR_IMPORT_FROM", value_name = "URL", hide_env_values = true)]
    pub(crate) from: Secret,

    /// Whose tables they are: the contract that the service's front end speaks
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) format: Format,

    /// The schema that the tables are in
    #[arg(long, value_name = "NAME", default_value = "public")]
    pub(crate) from_schema: String,
}

/// A published service's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// conversations with participant1_id and participant2_id, messages with is_read; ids are UUIDs
    Connections,
    /// messages with sender_id, receiver_id, message, read
    TutorBookings,
    /// messages with sender, receiver, content
    DirectMessages,
    /// conversations between a brand and an influencer, messages with sender_type and attachments
    BrandInfluencer,
    /// conversations with participants, messages with message_type
    Gateway,
}
