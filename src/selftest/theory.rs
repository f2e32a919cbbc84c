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

/// CPU seconds per second of a system that ends `throughput_per_s` tasks, each of which needs `demand_ns` of CPU:
/// the utilisation law (Denning and Buzen 1978).
pub(super) fn utilisation(throughput_per_s: f64, demand_ns: f64) -> f64 {
    throughput_per_s * demand_ns / 1e9
}

/// The rate of `in_flight` tasks that each compute `cpu_ns` and wait `wait_ns`, where `usable_cores` compute: the
/// asymptotic bound of a closed system with think time (Muntz and Wong 1974, Denning and Buzen 1978). Its two
/// lines cross at `usable_cores (1 + wait / cpu)` in flight (Kleinrock 1976, section 4.12).
pub(super) fn cpu_wait(in_flight: u32, cpu_ns: f64, wait_ns: f64, usable_cores: f64) -> f64 {
    (f64::from(in_flight) * 1e9 / (cpu_ns + wait_ns)).min(usable_cores * 1e9 / cpu_ns)
}

/// Where the two lines of [`cpu_wait`] cross: the tasks in flight from which on the cores are the limit.
pub(super) fn crossing(cpu_ns: f64, wait_ns: f64, usable_cores: f64) -> f64 {
    usable_cores * (1.0 + wait_ns / cpu_ns)
}

/// The knee of a ladder of sizes: the first of which the rate is within 5 % of the best; `None` of nothing.
pub(super) fn knee(sizes: &[u32], rates: &[f64]) -> Option<u32> {
    let best = rates.iter().copied().fold(0.0, f64::max);
    sizes.iter().zip(rates).find(|(_, rate)| **rate >= 0.95 * best).map(|(size, _)| *size)
}

/// The rate of `in_flight` tasks that each wait `before_ns` and then pass stages one after another, each with one
/// server: that of the slowest stage, unless there are too few in flight (the bottleneck of Denning and Buzen 1978).
pub(super) fn pipeline(in_flight: u32, before_ns: f64, stages_ns: &[f64]) -> f64 {
    let slowest_ns = stages_ns.iter().copied().fold(0.0, f64::max);
    let alone_ns = before_ns + stages_ns.iter().sum::<f64>();
    (f64::from(in_flight) * 1e9 / alone_ns).min(1e9 / slowest_ns)
}

/// The time in which `workers` end `tasks` equal tasks of `service_ns` that are all there at the start: whole turns,
/// the last of which need not be full (list scheduling, Graham 1966, of equal tasks).
pub(super) fn makespan(tasks: u32, workers: u32, service_ns: f64) -> f64 {
    f64::from(tasks.div_ceil(workers.max(1))) * service_ns
}

/// How many times the rate of one thread `workers` threads reach that compute, where the share `held` of a task runs
/// under one lock and the host gives `usable_cores`: the asymptotic bound with the lock and the cores as its two
/// servers (Denning and Buzen 1978).
pub(super) fn lock_share(workers: u32, held: f64, usable_cores: f64) -> f64 {
    f64::from(workers).min(1.0 / held).min(usable_cores)
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
    #[test]
    fn the_cores_are_used_as_much_as_tasks_need_them() {
        assert!((utilisation(500.0, 2e6) - 1.0).abs() < 1e-9);
        assert!((utilisation(100.0, 2e6) - 0.2).abs() < 1e-9);
    }

    #[test]
    fn tasks_that_wait_and_compute_have_a_knee_at_the_crossing() {
        let rate = |in_flight| cpu_wait(in_flight, 1e6, 9e6, 2.0);
        assert!((rate(1) - 100.0).abs() < 1e-9 && (rate(20) - 2000.0).abs() < 1e-9 && (rate(64) - 2000.0).abs() < 1e-9);
        assert!((crossing(1e6, 9e6, 2.0) - 20.0).abs() < 1e-9);
        assert!((crossing(1e6, 0.0, 2.0) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_knee_of_a_ladder_is_its_first_size_that_is_nearly_the_best() {
        let sizes = [1, 2, 4, 8];
        assert_eq!(knee(&sizes, &[1.0, 2.0, 3.8, 4.0]), Some(4));
        assert_eq!(knee(&sizes, &[1.0, 2.0, 3.7, 4.0]), Some(8));
        assert_eq!(knee(&sizes, &[4.0, 3.0, 2.0, 1.0]), Some(1));
        assert_eq!(knee(&[], &[]), None);
    }

    #[test]
    fn a_pipeline_is_as_fast_as_its_slowest_stage() {
        assert!((pipeline(8, 4e6, &[2e6, 4e6]) - 250.0).abs() < 1e-9);
        assert!((pipeline(8, 4e6, &[4e6, 2e6]) - 250.0).abs() < 1e-9);
        assert!((pipeline(1, 4e6, &[2e6, 4e6]) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_batch_takes_whole_turns() {
        assert!((makespan(10, 4, 5e6) - 15e6).abs() < 1e-9);
        assert!((makespan(12, 4, 5e6) - 15e6).abs() < 1e-9);
        assert!((makespan(3, 4, 5e6) - 5e6).abs() < 1e-9);
    }

    #[test]
    fn a_lock_limits_threads_by_the_share_that_holds_it() {
        assert!((lock_share(1, 0.75, 2.0) - 1.0).abs() < 1e-9);
        assert!((lock_share(2, 0.75, 2.0) - 4.0 / 3.0).abs() < 1e-9);
        assert!((lock_share(4, 0.25, 2.0) - 2.0).abs() < 1e-9);
        assert!((lock_share(4, 0.0, 8.0) - 4.0).abs() < 1e-9);
    }
}
