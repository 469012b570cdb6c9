//! The table `bookings`, which belongs to this program and not to parlor.

use parlor::model::UserId;
use sqlx::{Error, PgPool, SqlitePool, query, query_as, query_scalar, sqlite::SqlitePoolOptions};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS bookings (
    user1 TEXT NOT NULL, user2 TEXT NOT NULL, status TEXT NOT NULL, PRIMARY KEY (user1, user2))";
const CONFIRM: &str = "INSERT INTO bookings (user1, user2, status) VALUES ($1, $2, 'confirmed')
    ON CONFLICT (user1, user2) DO NOTHING";
const CANCEL: &str = "UPDATE bookings SET status = 'cancelled' WHERE user1 = $1 AND user2 = $2 AND status = 'confirmed'";
const STATUS: &str = "SELECT status FROM bookings WHERE user1 = $1 AND user2 = $2";
const CONFIRMED: &str = "SELECT user1, user2 FROM bookings WHERE status = 'confirmed'";

/// Who has booked whom.
#[derive(Debug, Clone)]
pub(crate) enum Bookings {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Bookings {
    /// Opens the table on the database of this URL, making it when it is not there.
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        if url.starts_with("sqlite:") {
            let mut pool = SqlitePoolOptions::new();
            if url.contains(":memory:") {
                // It lives in its one connection.
                pool = pool.max_connections(1).idle_timeout(None).max_lifetime(None);
            }
            let pool = pool.connect(url).await?;
            query(TABLE).execute(&pool).await?;
            return Ok(Self::Sqlite(pool));
        }
        let pool = PgPool::connect(url).await?;
        query(TABLE).execute(&pool).await?;
        Ok(Self::Postgres(pool))
    }

    /// Confirms a booking that is not there. One that was cancelled stays so.
    pub(crate) async fn confirm(&self, one: &UserId, other: &UserId) -> Result<(), Error> {
        self.change(CONFIRM, one, other).await.map(drop)
    }

    /// Cancels a booking; says whether there was a confirmed one.
    pub(crate) async fn cancel(&self, one: &UserId, other: &UserId) -> Result<bool, Error> {
        self.change(CANCEL, one, other).await.map(|changed| changed > 0)
    }

    /// Whether the two have a confirmed booking.
    pub(crate) async fn is_confirmed(&self, one: &UserId, other: &UserId) -> Result<bool, Error> {
        let [first, second] = sorted(one, other);
        let status: Option<String> = match self {
            Self::Sqlite(pool) => {
                query_scalar(STATUS).bind(first).bind(second).fetch_optional(pool).await?
            }
            Self::Postgres(pool) => {
                query_scalar(STATUS).bind(first).bind(second).fetch_optional(pool).await?
            }
        };
        Ok(status.as_deref() == Some("confirmed"))
    }

    /// All who may talk.
    pub(crate) async fn confirmed(&self) -> Result<Vec<(UserId, UserId)>, Error> {
        let pairs: Vec<(String, String)> = match self {
            Self::Sqlite(pool) => query_as(CONFIRMED).fetch_all(pool).await?,
            Self::Postgres(pool) => query_as(CONFIRMED).fetch_all(pool).await?,
        };
        let users = |(one, other)| Some((UserId::new(one).ok()?, UserId::new(other).ok()?));
        Ok(pairs
            .into_iter()
            .filter_map(|(one, other): (String, String)| users((one, other)))
            .collect())
    }

    async fn change(&self, sql: &'static str, one: &UserId, other: &UserId) -> Result<u64, Error> {
        let [first, second] = sorted(one, other);
        Ok(match self {
            Self::Sqlite(pool) => {
                query(sql).bind(first).bind(second).execute(pool).await?.rows_affected()
            }
            Self::Postgres(pool) => {
                query(sql).bind(first).bind(second).execute(pool).await?.rows_affected()
            }
        })
    }
}

/// A booking stands once, whoever booked.
fn sorted<'a>(one: &'a UserId, other: &'a UserId) -> [&'a str; 2] {
    let mut pair = [one.as_str(), other.as_str()];
    pair.sort_unstable();
    pair
}
