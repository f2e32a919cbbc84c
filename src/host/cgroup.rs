//! Limits of the control groups that this process is in, at every level that can be seen.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use procfs::FromRead as _;
use procfs::ProcessCGroups;
use schemars::JsonSchema;
use serde::Serialize;

use super::CpuQuota;
use super::mounts::{self, Mount};

/// The version 1 controllers that limit what is measured here.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Version 1 has no word for "no limit": it shows the largest multiple of a page.
const UNLIMITED_V1: u64 = 1 << 62;

/// The control groups of this process and their ancestors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Cgroups {
    /// Innermost first within each hierarchy.
    pub levels: Vec<CgroupLevel>,
    /// Whether ancestors exist that a namespace hides: their limits hold but cannot be read.
    pub hidden_ancestors: bool,
}

/// One control group and its limits; `None` is no limit.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CgroupLevel {
    /// Its path; under version 1 after its controllers: `cpu,cpuacct:/batch`.
    pub cgroup: String,
    /// 1 or 2.
    pub version: u8,
    /// The CPU quota.
    pub cpu_quota: Option<CpuQuota>,
    /// The memory limit.
    pub memory_limit_bytes: Option<u64>,
    /// The limit on processes and threads.
    pub processes: Option<u64>,
    /// Where its files are.
    #[serde(skip)]
    pub directory: PathBuf,
}

impl Cgroups {
    /// Reads the control groups of this process; empty where there are none.
    #[must_use]
    pub fn read() -> Cgroups {
        Cgroups::read_under(Path::new("/"))
    }

    /// [`Cgroups::read`] of a file system below `root`.
    pub(super) fn read_under(root: &Path) -> Cgroups {
        let mounts = mounts::read_under(root);
        let Ok(memberships) = ProcessCGroups::from_file(root.join("proc/self/cgroup")) else {
            return Cgroups::default();
        };
        let mut found = Cgroups::default();
        let mut seen = HashSet::new();
        for membership in memberships {
            let hierarchy = Hierarchy::new(membership.controllers, membership.pathname);
            let Some((directory, base)) = hierarchy.mounted(&mounts) else { continue };
            let top = under(root, &directory);
            found.hidden_ancestors |= hierarchy.is_below_root(&top);
            for level in hierarchy.levels(&top, &base) {
                if seen.insert(level.directory.clone()) {
                    found.levels.push(level);
                }
            }
        }
        found
    }

    /// The smallest CPU quota.
    #[must_use]
    pub fn cpu_quota(&self) -> Option<CpuQuota> {
        let quotas = self.levels.iter().filter_map(|level| level.cpu_quota.as_ref());
        quotas.min_by(|left, right| left.cores.total_cmp(&right.cores)).cloned()
    }

    /// The smallest memory limit.
    #[must_use]
    pub fn memory_limit_bytes(&self) -> Option<u64> {
        self.levels.iter().filter_map(|level| level.memory_limit_bytes).min()
    }

    /// The smallest limit on processes and threads.
    #[must_use]
    pub fn processes(&self) -> Option<u64> {
        self.levels.iter().filter_map(|level| level.processes).min()
    }

    /// How often any of these groups was throttled since it was made; `None` if none of them counts that.
    #[must_use]
    pub fn throttled_periods(&self) -> Option<u64> {
        let counts = self.levels.iter().filter_map(|level| {
            let text = fs::read_to_string(level.directory.join("cpu.stat")).ok()?;
            text.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.trim().parse::<u64>().ok())
        });
        counts.reduce(u64::saturating_add)
    }
}

/// A hierarchy of control groups, and where this process is in it.
struct Hierarchy {
    /// Its controllers under version 1; none under version 2.
    controllers: Vec<String>,
    path: String,
}

impl Hierarchy {
    fn new(controllers: Vec<String>, path: String) -> Hierarchy {
        Hierarchy { controllers, path }
    }

    fn version(&self) -> u8 {
        if self.controllers.is_empty() { 2 } else { 1 }
    }

    /// The mount point through which the hierarchy can be seen, and the group that is mounted there.
    /// `None` if it is not mounted, or limits nothing.
    fn mounted(&self, mounts: &[Mount]) -> Option<(PathBuf, String)> {
        let is_ours = |mount: &&Mount| match self.version() {
            2 => mount.kind == "cgroup2",
            _ => {
                let limits = |name: &String| CONTROLLERS.contains(&name.as_str()) && mount.options.contains(name);
                mount.kind == "cgroup" && self.controllers.iter().any(limits)
            }
        };
        let ours: Vec<&Mount> = mounts.iter().filter(is_ours).collect();
        // The widest view on this process's group; without one, as when a container is given its own group
        // as the mount but keeps the host's path, the mount point itself is the best that is known.
        let best = ours.iter().filter(|mount| self.below(&mount.root).is_some()).min_by_key(|mount| mount.root.len());
        best.or(ours.first()).map(|mount| (mount.point.clone(), mount.root.clone()))
    }

    /// The names of the groups from `base` down to this process's; `None` if it is not below `base`.
    fn below(&self, base: &str) -> Option<Vec<&str>> {
        let rest = self.path.strip_prefix(base.trim_end_matches('/'))?;
        let names: Vec<&str> = rest.split('/').filter(|name| !name.is_empty()).collect();
        ((rest.is_empty() || rest.starts_with('/')) && !names.contains(&"..")).then_some(names)
    }

    /// Whether the group at `top` has ancestors: only a hierarchy's real root lacks `cgroup.type`
    /// (version 2) and has a `release_agent` (version 1).
    fn is_below_root(&self, top: &Path) -> bool {
        match self.version() {
            2 => top.join("cgroup.type").exists(),
            _ => top.exists() && !top.join("release_agent").exists(),
        }
    }

    /// The levels from this process's group up to the one at `top`, which is the group `base`.
    fn levels(&self, top: &Path, base: &str) -> Vec<CgroupLevel> {
        let names = self.below(base).unwrap_or_default();
        let level = |depth: usize| {
            let directory = names[..depth].iter().fold(top.to_path_buf(), |path, name| path.join(name));
            let path = format!("{}/{}", base.trim_end_matches('/'), names[..depth].join("/"));
            let path = if path.len() > 1 { path.trim_end_matches('/') } else { &path };
            let cgroup =
                if self.version() == 2 { path.to_owned() } else { format!("{}:{path}", self.controllers.join(",")) };
            directory.is_dir().then(|| self.level(cgroup, directory))
        };
        (0..=names.len()).rev().filter_map(level).collect()
    }

    fn level(&self, cgroup: String, directory: PathBuf) -> CgroupLevel {
        let (quota, memory, processes) = match self.version() {
            2 => (quota_v2(&directory), number(&directory, "memory.max"), number(&directory, "pids.max")),
            _ => (
                quota_v1(&directory),
                number(&directory, "memory.limit_in_bytes").filter(|limit| *limit < UNLIMITED_V1),
                number(&directory, "pids.max"),
            ),
        };
        let cpu_quota = quota.map(|(quota_us, period_us)| CpuQuota {
            cores: quota_us as f64 / period_us as f64,
            period_ns: period_us.saturating_mul(1000),
            cgroup: cgroup.clone(),
        });
        CgroupLevel { cgroup, version: self.version(), cpu_quota, memory_limit_bytes: memory, processes, directory }
    }
}

/// `cpu.max` is `quota period` in microseconds, or `max period`.
fn quota_v2(directory: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(directory.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    Some((quota.parse().ok()?, period.parse().ok().filter(|period| *period > 0)?))
}

/// The quota is -1 where there is none.
fn quota_v1(directory: &Path) -> Option<(u64, u64)> {
    let quota = number(directory, "cpu.cfs_quota_us")?;
    Some((quota, number(directory, "cpu.cfs_period_us").filter(|period| *period > 0)?))
}

/// The number that a file holds; `None` for words (`max`), negative numbers and files that are not there.
fn number<T: FromStr>(directory: &Path, file: &str) -> Option<T> {
    fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok()
}

/// An absolute path, below `root`.
fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system with these files below it.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        root
    }

    const MOUNT_V2: &str = "30 23 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_tightest_limit_of_all_levels_counts() {
        let root = tree(&[
            ("proc/self/mountinfo", MOUNT_V2),
            ("proc/self/cgroup", "0::/user.slice/job\n"),
            ("sys/fs/cgroup/cpu.stat", "usage_usec 1\n"),
            ("sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/pids.max", "500\n"),
            ("sys/fs/cgroup/user.slice/cpu.stat", "usage_usec 1\nnr_periods 9\nnr_throttled 4\n"),
            ("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/user.slice/job/memory.max", "1048576\n"),
            ("sys/fs/cgroup/user.slice/job/cpu.stat", "nr_throttled 3\n"),
        ]);
        let found = Cgroups::read_under(root.path());
        let names: Vec<&str> = found.levels.iter().map(|level| level.cgroup.as_str()).collect();
        assert_eq!(names, ["/user.slice/job", "/user.slice", "/"]);
        let quota = CpuQuota { cores: 1.5, period_ns: 100_000_000, cgroup: "/user.slice".to_owned() };
        assert_eq!(found.cpu_quota(), Some(quota));
        assert_eq!(found.memory_limit_bytes(), Some(1 << 20));
        assert_eq!(found.processes(), Some(500));
        assert_eq!(found.throttled_periods(), Some(7));
        assert!(!found.hidden_ancestors);
    }

    #[test]
    fn version_1_hierarchies_are_found_each_by_its_controller() {
        let root = tree(&[
            (
                "proc/self/mountinfo",
                "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                 32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
                 33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                 34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            ),
            ("proc/self/cgroup", "9:name=systemd:/x\n4:memory:/a b\n2:cpu,cpuacct:/docker/abc/in\n0::/\n"),
            ("sys/fs/cgroup/cpu,cpuacct/in/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/in/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/release_agent", ""),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/a b/memory.limit_in_bytes", "4096\n"),
            ("sys/fs/cgroup/unified/cgroup.procs", ""),
        ]);
        let found = Cgroups::read_under(root.path());
        let quota = found.cpu_quota().expect("a quota");
        assert_eq!((quota.cores, quota.cgroup.as_str()), (0.5, "cpu,cpuacct:/docker/abc"));
        assert_eq!(found.memory_limit_bytes(), Some(4096));
        let names: Vec<&str> = found.levels.iter().map(|level| level.cgroup.as_str()).collect();
        assert_eq!(names, ["memory:/a b", "memory:/", "cpu,cpuacct:/docker/abc/in", "cpu,cpuacct:/docker/abc", "/"]);
        assert!(found.hidden_ancestors, "the mount shows no more than /docker/abc");
    }

    #[test]
    fn a_container_that_sees_only_its_own_group_still_knows_its_limits() {
        let root = tree(&[
            ("proc/self/mountinfo", MOUNT_V2),
            ("proc/self/cgroup", "0::/../elsewhere\n"),
            ("sys/fs/cgroup/cgroup.type", "domain\n"),
            ("sys/fs/cgroup/cpu.max", "200000 100000\n"),
        ]);
        let found = Cgroups::read_under(root.path());
        assert_eq!(found.cpu_quota().map(|quota| quota.cores), Some(2.0));
        assert!(found.hidden_ancestors);
    }

    #[test]
    fn no_control_groups_are_no_limits() {
        let root = tree(&[("proc/self/cgroup", "nonsense"), ("proc/self/mountinfo", "nonsense")]);
        assert_eq!(Cgroups::read_under(root.path()), Cgroups::default());
        assert_eq!(Cgroups::read_under(&root.path().join("nowhere")).throttled_periods(), None);
    }
}
