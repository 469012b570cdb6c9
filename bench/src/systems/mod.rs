//! The systems that are compared, the data they start with, and how each is started.

mod data;
mod database;
mod npm;
mod parlor_contract;
mod parlor_data;
mod parlor_server;
mod server;
mod tables;

use parlor::model::UserId;

pub(crate) use data::Data;
pub(crate) use database::Database;
pub(crate) use parlor_server::{Logins, PATH, run as serve_parlor};
pub(crate) use server::{Server, Settings};

use crate::{Result, load::Dialect};

/// A system that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Parlor,
    ParlorSqlite,
    /// parlor for clients of Socket.IO.
    ParlorSocketIo,
    Socketioxide,
    Node,
    Nest,
    Floor,
}

impl System {
    /// All, parlor first.
    pub(crate) const ALL: [Self; 7] = [
        Self::Parlor,
        Self::ParlorSqlite,
        Self::ParlorSocketIo,
        Self::Socketioxide,
        Self::Node,
        Self::Nest,
        Self::Floor,
    ];

    /// The name, which for a peer is that of its folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parlor => "parlor",
            Self::ParlorSqlite => "parlor-sqlite",
            Self::ParlorSocketIo => "parlor-socketio",
            Self::Socketioxide => "socketioxide-sqlx",
            Self::Node => "node-socketio-pg",
            Self::Nest => "nestjs-typeorm",
            Self::Floor => "floor",
        }
    }

    /// The system of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.name() == name)
    }

    /// What it speaks.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Parlor | Self::ParlorSqlite => Dialect::Native,
            Self::ParlorSocketIo | Self::Socketioxide | Self::Node | Self::Nest => {
                Dialect::SocketIo
            }
            Self::Floor => Dialect::Floor,
        }
    }

    /// Whether it is parlor itself.
    pub(crate) fn is_parlor(self) -> bool {
        matches!(self, Self::Parlor | Self::ParlorSqlite | Self::ParlorSocketIo)
    }

    /// Whether what one sends in turn must arrive in turn. NestJS carries out the handlers of one socket side by side.
    pub(crate) fn keeps_order(self) -> bool {
        self != Self::Nest
    }
}

/// A user's id, by number.
pub(crate) fn user(number: usize) -> String {
    format!("user-{number:05}")
}

/// The same, checked.
fn user_id(number: usize) -> Result<UserId> {
    Ok(UserId::new(user(number))?)
}
