//! The memory allocator: jemalloc, unless it is built without the feature of this name or for MSVC.
//!
//! A connect takes much that is given back once it is done. jemalloc keeps things of one size together, so after a
//! storm of connects whole pages are free again; the system's allocator is left with holes between what lives on.

#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
