//! Who is calling: JSON Web Tokens, and tokens for development (feature `jwt-rust-crypto` or
//! `jwt-aws-lc`).

mod dev;
mod jwks;
mod jwt;
mod key;

pub use dev::DevTokens;
pub use jwt::{JwtAuthenticator, JwtBuilder};
pub use key::JwtAlgorithm;
