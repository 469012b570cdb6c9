//! What the next start would find in the database, without making or changing anything.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use parlor::postgres::{self, Inspection};

use crate::{
    failure::Failure,
    options::StorageOptions,
    settings::{Database, Postgres},
};

/// What a file of SQLite begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// What is there and what the next start will make of it, or why it would fail.
pub(crate) async fn database(database: &Database) -> Result<String, String> {
    match database {
        Database::Sqlite(file) if file == ":memory:" => Ok(String::new()),
        Database::Sqlite(file) => sqlite(Path::new(file)).map(|found| format!(": {found}")),
        Database::Postgres(postgres) => {
            let found = postgres::inspect(postgres.url.reveal(), &postgres.config()).await;
            judge(postgres, found.map_err(|error| error.to_string())?)
        }
    }
}

/// Whether a file can be read, or could be made.
pub(crate) fn readable(file: &Path) -> Result<&'static str, String> {
    match File::open(file) {
        Ok(_) => Ok("the file exists"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            may_make_files_beside(file)?;
            Ok("no such file; the next start makes it")
        }
        Err(error) => Err(format!("the file cannot be read: {error}")),
    }
}

/// The SQL that makes the schema of Postgres.
pub(crate) fn schema(options: &StorageOptions) -> Result<String, Failure> {
    postgres::schema_sql(&options.database_schema).map_err(|error| {
        Failure::option("--database-schema", "PARLOR_DATABASE_SCHEMA", format!("is wrong: {error}"))
    })
}

fn sqlite(path: &Path) -> Result<&'static str, String> {
    // SQLite keeps its log beside the file.
    may_make_files_beside(path)?;
    let mut begin = Vec::new();
    let read = match File::options().read(true).write(true).open(path) {
        Ok(file) => file.take(SQLITE.len() as u64).read_to_end(&mut begin),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok("no such file; the next start makes it");
        }
        Err(error) => return Err(format!("the file cannot be read and written: {error}")),
    };
    read.map_err(|error| format!("the file cannot be read: {error}"))?;
    // An empty one becomes a database.
    match begin.is_empty() || begin == SQLITE {
        true => Ok("the file exists"),
        false => Err("the file is no SQLite database".into()),
    }
}

/// Asks by a file without a name, which is gone at once.
fn may_make_files_beside(path: &Path) -> Result<(), String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    match tempfile::tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("no file can be made in {}: {error}", folder.display())),
    }
}

fn judge(postgres: &Postgres, found: Inspection) -> Result<String, String> {
    let schema = &postgres.schema;
    if !found.may_use {
        return Err(format!(
            "the role may not use the schema {schema:?}: as its owner, GRANT USAGE ON SCHEMA {schema}, and \
             SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema}, to the role"
        ));
    }
    if found.version == found.needed {
        return Ok(String::new());
    }
    let (state, outcome) = match found.version {
        0 => (format!("the schema {schema:?} is missing"), "makes it"),
        version => (
            format!("the schema {schema:?} is older (version {version} of {})", found.needed),
            "brings it up to date",
        ),
    };
    let why = match (postgres.migrate, found.may_migrate) {
        (true, true) => return Ok(format!(": {state}; the next start {outcome}")),
        (false, _) => "--migrate (PARLOR_MIGRATE) is false",
        (true, false) => "the role may not change it",
    };
    Err(format!("{state}, and {why}: apply what parlor-server schema prints as a role that may"))
}
