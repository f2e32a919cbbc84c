//! The workers of a cluster, a line for each of its hosts.

use super::Judged;
use crate::analyze::Group;
use crate::candidate::{Cluster, ClusterWorker};

/// What stands above the lines.
pub(super) const HEADING: &str = "The cluster's workers, as they say themselves";
/// So many processes of a host are named.
const NAMED: usize = 4;

/// The lines of this runtime's cluster; none where it has none.
pub(super) fn lines(judged: &Judged, group: &Group) -> Vec<String> {
    let cluster = judged.record.calibration.runtime(&group.runtime).and_then(|runtime| runtime.cluster.as_ref());
    cluster.map(of_hosts).unwrap_or_default()
}

fn of_hosts(cluster: &Cluster) -> Vec<String> {
    let mut hosts: Vec<&str> = Vec::new();
    for worker in &cluster.workers {
        if !hosts.contains(&worker.host.as_str()) {
            hosts.push(&worker.host);
        }
    }
    let of = |host: &str| cluster.workers.iter().filter(|worker| worker.host == host).collect::<Vec<_>>();
    hosts.iter().map(|host| line(host, &of(host))).collect()
}

/// `far: 2 workers (pids 71, 72), 8 threads, 4 cores, Python 3.11.7, distributed 2026.8.0, speed 0.98 to 1.02`.
fn line(host: &str, workers: &[&ClusterWorker]) -> String {
    let count = if workers.len() == 1 { "1 worker".to_owned() } else { format!("{} workers", workers.len()) };
    let threads: u32 = workers.iter().map(|worker| worker.threads).fold(0, u32::saturating_add);
    let threads = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
    let cores = workers.iter().find_map(|worker| worker.host_cores).map_or("cores unknown".to_owned(), cores);
    let place = if workers.iter().all(|worker| worker.is_here) { ", this host" } else { "" };
    let python = each(workers, |worker| worker.python.clone());
    let distributed = each(workers, |worker| worker.distributed.clone());
    let least = workers.iter().map(|worker| worker.speed).fold(f64::INFINITY, f64::min);
    let most = workers.iter().map(|worker| worker.speed).fold(0.0, f64::max);
    let speed = if most - least < 0.01 { format!("{most:.2}") } else { format!("{least:.2} to {most:.2}") };
    let pids = pids(workers);
    format!(
        "{host}{place}: {count}{pids}, {threads}, {cores}, Python {python}, distributed {distributed}, speed {speed}"
    )
}

fn cores(count: u32) -> String {
    if count == 1 { "1 core".to_owned() } else { format!("{count} cores") }
}

/// ` (pids 71, 72)`.
fn pids(workers: &[&ClusterWorker]) -> String {
    let known: Vec<String> = workers.iter().filter_map(|worker| worker.pid).map(|pid| pid.to_string()).collect();
    let more = if known.len() > NAMED { ", .." } else { "" };
    let named = known.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match known.len() {
        0 => String::new(),
        1 => format!(" (pid {named})"),
        _ => format!(" (pids {named}{more})"),
    }
}

/// What workers have of something, each once.
fn each(workers: &[&ClusterWorker], of: impl Fn(&ClusterWorker) -> String) -> String {
    let mut all: Vec<String> = workers.iter().map(|worker| of(worker)).collect();
    all.sort();
    all.dedup();
    all.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_a_line_with_its_cores_and_processes() {
        let one = ClusterWorker { is_here: false, ..ClusterWorker::of_tests() };
        let other = ClusterWorker { pid: Some(8), speed: 1.25, python: "3.11.9".to_owned(), ..one.clone() };
        let near = ClusterWorker {
            host: "near".to_owned(),
            threads: 1,
            pid: None,
            cores: None,
            host_cores: None,
            ..ClusterWorker::of_tests()
        };
        assert_eq!(
            of_hosts(&Cluster::of_tests(vec![one, other, near])),
            [
                "far: 2 workers (pids 7, 8), 8 threads, 4 cores, Python 3.11.7 and 3.11.9, distributed 2026.8.0, speed \
                 1.00 to 1.25",
                "near, this host: 1 worker, 1 thread, cores unknown, Python 3.11.7, distributed 2026.8.0, speed 1.00",
            ]
        );
    }
}
