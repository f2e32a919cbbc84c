//! Ends: a program that is done before its threads are, or that does not know how its tasks ended.

use super::super::peers::{exit_code_of_a_task, lines_of_a_thread};
use super::super::{Pair, PitfallFn, Unavailable};

pub(super) const PITFALLS: &[(&str, PitfallFn)] = &[("detached-thread", detached_thread), ("lost-error", lost_error)];

fn detached_thread() -> Result<Pair, Unavailable> {
    let wrong = lines_of_a_thread("end")? as f64;
    let mended = lines_of_a_thread("join")? as f64;
    Ok(Pair::of(wrong, mended))
}

fn lost_error() -> Result<Pair, Unavailable> {
    let (wrong, said) = exit_code_of_a_task("drop")?;
    let (mended, said_when_mended) = exit_code_of_a_task("await")?;
    let said = if said.is_empty() { "nothing".to_owned() } else { format!("`{said}`") };
    let shown = format!("on standard error: {said}, mended `{said_when_mended}`");
    Ok(Pair::of(f64::from(wrong), f64::from(mended)).showing(shown))
}
