//! Bus, presence and rate limits on Redis.
