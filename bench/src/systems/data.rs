//! What stands in a database before anything is measured, and what must stand there afterwards.

use super::{Database, System, database, parlor_data as parlor, tables};
use crate::{
    Result,
    load::{Acknowledged, Known},
};

/// The data of one system.
pub(crate) struct Data<'a> {
    pub(crate) system: System,
    pub(crate) database: &'a Database,
}

/// A long conversation of the users 0 and 1.
#[derive(Clone)]
pub(crate) struct Long {
    pub(crate) conversation: String,
    /// What `before` may be in a page that is full: from here …
    pub(crate) from: u64,
    /// … to here.
    pub(crate) to: u64,
}

impl Data<'_> {
    /// Makes the tables, and direct conversations of these users. Returns their ids.
    pub(crate) async fn directs(&self, pairs: &[(usize, usize)]) -> Result<Vec<String>> {
        match self.system {
            System::Floor => Ok(vec![String::new(); pairs.len()]),
            system if system.is_parlor() => {
                let opened = database::open(self.database.url()).await?;
                let ids = parlor::directs(&*opened.store, pairs).await?;
                opened.close().await;
                Ok(ids.iter().map(ToString::to_string).collect())
            }
            _ => Ok(tables::directs(self.database, pairs)),
        }
    }

    /// Makes the tables, and a group of the users from 0. Returns its id.
    pub(crate) async fn group(&self, members: usize) -> Result<String> {
        match self.system {
            System::Floor => Ok(String::new()),
            system if system.is_parlor() => {
                let opened = database::open(self.database.url()).await?;
                let id = parlor::group(&*opened.store, members).await?;
                opened.close().await;
                Ok(id.to_string())
            }
            _ => Ok(tables::group(self.database, members)),
        }
    }

    /// Sends `count` messages to each conversation, all of one user.
    pub(crate) async fn messages(
        &self,
        conversations: &[(String, usize)],
        count: usize,
    ) -> Result<()> {
        if !self.system.is_parlor() {
            tables::messages(self.database, conversations, count);
            return Ok(());
        }
        let ids = conversations.iter().map(|(id, sender)| Ok((id.parse()?, *sender)));
        let opened = database::open(self.database.url()).await?;
        parlor::messages(&*opened.store, &ids.collect::<Result<Vec<_>>>()?, count).await?;
        opened.close().await;
        Ok(())
    }

    /// Has a user read all but the last `unread` of a conversation's messages.
    pub(crate) async fn read(
        &self,
        conversation: &str,
        user: usize,
        count: usize,
        unread: usize,
    ) -> Result<()> {
        if !self.system.is_parlor() {
            tables::read(self.database, conversation, user, unread);
            return Ok(());
        }
        let opened = database::open(self.database.url()).await?;
        let through = count.saturating_sub(unread) as u64;
        parlor::read(&*opened.store, conversation.parse()?, user, through).await?;
        opened.close().await;
        Ok(())
    }

    /// What a user's device has that knows a conversation as it is now. parlor's own protocol alone.
    pub(crate) async fn known(&self, conversation: &str, user: usize) -> Result<Known> {
        let opened = database::open(self.database.url()).await?;
        let known = parlor::known(&*opened.store, conversation.parse()?, user).await?;
        opened.close().await;
        Ok(known)
    }

    /// Which pages of a conversation of so many messages are full.
    pub(crate) fn long(&self, conversation: &str, count: usize, page: usize) -> Long {
        let first = match self.system.is_parlor() {
            true => 1,
            false => tables::first_message(self.database, conversation),
        };
        let (from, to) = (first + page as u64, first + count as u64);
        Long { conversation: conversation.to_owned(), from, to }
    }

    /// As the database does by itself, a while later.
    pub(crate) fn settle(&self) {
        self.database.sql("VACUUM ANALYZE");
        self.database.sql("CHECKPOINT");
    }

    /// Compares what is stored with what was acknowledged: nothing less, nothing more, each sender's in order.
    pub(crate) async fn check(&self, acknowledged: &[Acknowledged]) -> Result<()> {
        match self.system {
            System::Floor => Ok(()),
            system if system.is_parlor() => {
                let opened = database::open(self.database.url()).await?;
                parlor::check(&*opened.store, acknowledged).await?;
                opened.close().await;
                Ok(())
            }
            system => tables::check(self.database, acknowledged, system.keeps_order()),
        }
    }
}
