//! Starts Postgres and Redis for tests.
