//! A process that computes on one core meanwhile.

use std::process::{Child, Command, Stdio};

pub(crate) const VERB: &str = "compute";

/// Ends the process when it is dropped.
pub(crate) struct Load(Option<Child>);

impl Load {
    /// Starts the process, if there is to be one.
    pub(crate) fn start(is_wanted: bool) -> Result<Load, String> {
        if !is_wanted {
            return Ok(Load(None));
        }
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let child = Command::new(program).arg(VERB).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        child.map(|child| Load(Some(child))).map_err(|error| format!("cannot start the load: {error}"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Computes until whoever started it is gone.
pub(crate) fn compute() -> Result<(), String> {
    let parent = std::os::unix::process::parent_id();
    let mut sum = 0_u64;
    while std::os::unix::process::parent_id() == parent {
        for number in 0..10_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number));
        }
    }
    Ok(())
}
