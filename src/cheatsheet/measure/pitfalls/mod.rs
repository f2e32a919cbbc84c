//! The pitfalls: each is really run, wrong and then mended. What the wrong way costs is a time, or a count of what was
//! lost, where time would say nothing.

mod blocking;
mod ends;
mod granularity;
mod locks;
mod tasks;

use super::PitfallFn;

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static (&'static str, PitfallFn)> {
    [blocking::PITFALLS, locks::PITFALLS, granularity::PITFALLS, tasks::PITFALLS, ends::PITFALLS].into_iter().flatten()
}
