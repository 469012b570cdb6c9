//! Finds tables and columns by the names that they may have: `sender_id` where SQL or Prisma made them, `senderId`
//! where TypeORM did, `messages` or `message`.

use std::collections::HashMap;

use sqlx::{PgConnection, query_as};

use crate::failure::Failure;

/// A table of the source.
#[derive(Debug)]
pub(super) struct Table {
    schema: String,
    name: String,
    /// By their plain names: small letters, nothing between words.
    columns: HashMap<String, String>,
}

const COLUMNS: &str = "SELECT column_name::text FROM information_schema.columns
    WHERE table_schema = $1 AND table_name = $2";

impl Table {
    /// The first of these tables that is there.
    pub(super) async fn find(
        conn: &mut PgConnection,
        schema: &str,
        names: &[&str],
    ) -> Result<Option<Self>, sqlx::Error> {
        for name in names {
            let columns: Vec<(String,)> =
                query_as(COLUMNS).bind(schema).bind(name).fetch_all(&mut *conn).await?;
            if !columns.is_empty() {
                let columns = columns.into_iter().map(|(column,)| (plain(&column), column));
                let (schema, name) = (schema.to_owned(), (*name).to_owned());
                return Ok(Some(Self { schema, name, columns: columns.collect() }));
            }
        }
        Ok(None)
    }

    /// The table as SQL writes it.
    pub(super) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// The table's name, to be shown.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The first of these columns that is there, as SQL writes it after an alias.
    pub(super) fn column(&self, alias: &str, names: &[&str]) -> Option<String> {
        let found = names.iter().find_map(|name| self.columns.get(&plain(name)))?;
        Some(format!("{alias}.{}", quoted(found)))
    }

    /// The same for a column that must be there.
    pub(super) fn required(&self, alias: &str, names: &[&str]) -> Result<String, Failure> {
        self.column(alias, names).ok_or_else(|| {
            let names = names.join(" or ");
            Failure::Usage(format!(
                "the table {} has no column {names}: is --format right?",
                self.name
            ))
        })
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|letter| *letter != '_').flat_map(char::to_lowercase).collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_however_it_is_written_and_is_never_sql() {
        let columns = ["senderId", "created_at", "a\"b"];
        let columns = columns.map(|name| (plain(name), name.to_owned())).into();
        let table = Table { schema: "public".into(), name: "messages".into(), columns };
        assert_eq!(table.column("m", &["sender_id"]).unwrap(), "m.\"senderId\"");
        assert_eq!(table.column("m", &["x", "createdAt"]).unwrap(), "m.\"created_at\"");
        assert_eq!(table.column("m", &["a\"b"]).unwrap(), "m.\"a\"\"b\"");
        assert!(table.required("m", &["content"]).is_err());
    }
}
