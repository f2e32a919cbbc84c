//! What theory says, as pure functions. Rates are per second, times in nanoseconds.

/// The rate of `in_flight` tasks that each wait `wait_ns`, where the engine adds `extra_ns` to each.
pub(super) fn waits(in_flight: u32, wait_ns: f64, extra_ns: f64) -> f64 {
    f64::from(in_flight) * 1e9 / (wait_ns + extra_ns)
}

/// How many times the rate of one worker `workers` reach, where the host gives `usable_cores`.
pub(super) fn cpu_scaling(workers: u32, usable_cores: f64) -> f64 {
    f64::from(workers).min(usable_cores)
}

/// The rate of `in_flight` tasks of `task_ns`, of which `held_ns` under a lock that all share: the
/// asymptotic bound of a closed system with one server (Muntz and Wong 1974).
pub(super) fn lock(in_flight: u32, task_ns: f64, held_ns: f64) -> f64 {
    (f64::from(in_flight) * 1e9 / task_ns).min(1e9 / held_ns)
}

/// How many times faster a program gets of which the share `serial` does not run in parallel (Amdahl 1967).
pub(super) fn amdahl(serial: f64, usable_cores: f64) -> f64 {
    1.0 / (serial + (1.0 - serial) / usable_cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laws_at_known_points() {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(waits(64, 10e6, 0.0), 6400.0));
        assert!(near(waits(1, 10e6, 2.5e6), 80.0));
        assert!(near(cpu_scaling(1, 1.9), 1.0) && near(cpu_scaling(4, 1.9), 1.9));
        assert!(near(lock(3, 10e6, 2e6), 300.0) && near(lock(9, 10e6, 2e6), 500.0));
        assert!(near(amdahl(0.0, 2.0), 2.0) && near(amdahl(1.0, 2.0), 1.0) && near(amdahl(0.5, 2.0), 4.0 / 3.0));
    }
}
