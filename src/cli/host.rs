//! `conbench host`: what this machine is, what of it may be used, and how steady it is.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::args::Interpreters;
use super::seams;
use crate::escape::plain;
use crate::host::{self, CgroupLevel, CpuQuota, Survey};
use crate::protocol::Hello;
use crate::python::{Found, Interpreter, Refused};
use crate::units::bytes;

/// What `host` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct HostArgs {
    /// How the facts are written
    #[arg(long, value_enum, default_value_t)]
    pub format: HostFormat,
    #[command(flatten)]
    interpreters: Interpreters,
}

/// How facts are written.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostFormat {
    /// For people, at a terminal
    #[default]
    Table,
    /// One JSON object
    Json,
}

/// The host, and what of Python is on it.
#[derive(Serialize)]
struct Sight<'a> {
    #[serde(flatten)]
    survey: &'a Survey,
    /// The interpreters that can be measured.
    interpreters: Vec<Named<'a>>,
    /// Those that cannot, and why.
    refused: &'a [Refused],
}

/// An interpreter, as JSON has it.
#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    path: &'a Path,
    hello: &'a Hello,
}

impl<'a> From<&'a Interpreter> for Named<'a> {
    fn from(interpreter: &'a Interpreter) -> Named<'a> {
        Named { name: &interpreter.name, path: &interpreter.path, hello: &interpreter.hello }
    }
}

/// Looks at the host for about 200 ms, asks its interpreters, and writes what it saw to `out`. Gives 0.
///
/// # Errors
/// When `out` cannot be written to.
pub fn run(args: &HostArgs, out: &mut dyn Write, _err: &mut dyn Write, _colour: bool) -> io::Result<u8> {
    // Session directories are made where temporary files are.
    let survey = host::survey(&std::env::temp_dir());
    // After it: what is started for this would be seen as noise.
    let found = seams::interpreters(&args.interpreters.python);
    match args.format {
        HostFormat::Table => table(&survey, &found, out)?,
        HostFormat::Json => {
            let interpreters = found.interpreters.iter().map(Named::from).collect();
            let sight = Sight { survey: &survey, interpreters, refused: &found.refused };
            serde_json::to_writer_pretty(&mut *out, &sight)?;
            writeln!(out)?;
        }
    }
    Ok(0)
}

/// Writes the survey as sections of names and values.
fn table(survey: &Survey, found: &Found, out: &mut dyn Write) -> io::Result<()> {
    for (index, (title, rows)) in sections(survey, found).iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{title}")?;
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in rows {
            writeln!(out, "{}", format!("  {name:width$}  {value}").trim_end())?;
        }
    }
    Ok(())
}

type Rows = Vec<(String, String)>;

fn sections(survey: &Survey, found: &Found) -> Vec<(&'static str, Rows)> {
    let mut sections = vec![
        ("Host", machine(survey)),
        ("Cores that may be used", cores(survey)),
        ("Memory", memory(survey)),
        ("Limits", limits(survey)),
        ("Control groups, innermost first", survey.cgroups.levels.iter().map(level).collect()),
        ("Clock", clock(survey)),
        ("Noise, over loops of one length", noise(survey)),
        ("Session directory", session_directory(survey)),
        ("Python", found.interpreters.iter().flat_map(interpreter).collect()),
        ("Python that cannot be measured", found.refused.iter().map(refused).collect()),
        ("Not known on this platform", survey.gaps.iter().map(|gap| (gap.clone(), String::new())).collect()),
    ];
    sections.retain(|(_, rows)| !rows.is_empty());
    sections
}

fn machine(survey: &Survey) -> Rows {
    let facts = &survey.facts;
    let mut rows = vec![row("system", &facts.os), row("kernel", &facts.kernel), row("cpu", &facts.cpu)];
    if let Some(virtual_machine) = facts.virtual_machine {
        rows.push(row("virtual machine", if virtual_machine { "yes" } else { "no" }));
    }
    rows.push(row("load", format!("{:.2} over the last minute", facts.load_average)));
    rows
}

fn cores(survey: &Survey) -> Rows {
    let facts = &survey.facts;
    vec![
        row("usable", survey.usable_cpus),
        row("online", facts.cpus_online),
        row("in the affinity mask", facts.cpus_affinity),
        row(
            "smallest quota",
            facts
                .cpu_quota
                .as_ref()
                .map_or_else(none, |quota| format!("{}, set by {}", cpu_quota(quota), quota.cgroup)),
        ),
    ]
}

fn memory(survey: &Survey) -> Rows {
    let facts = &survey.facts;
    vec![
        row("physical", bytes(facts.memory_total_bytes)),
        row("available", bytes(facts.memory_available_bytes)),
        row("smallest limit", facts.memory_limit_bytes.map_or_else(none, bytes)),
    ]
}

fn limits(survey: &Survey) -> Rows {
    let limits = &survey.facts.limits;
    let number = |limit: Option<u64>| limit.map_or_else(none, |limit| limit.to_string());
    vec![
        row("open files of a process", number(limits.open_files)),
        row("processes and threads of this user", number(limits.processes)),
        row("processes and threads of the control group", number(limits.cgroup_processes)),
    ]
}

fn level(level: &CgroupLevel) -> (String, String) {
    let limits = [
        level.cpu_quota.as_ref().map(cpu_quota),
        level.memory_limit_bytes.map(|limit| format!("{} of memory", bytes(limit))),
        level.processes.map(|limit| format!("{limit} processes and threads")),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    row(&level.cgroup, if limits.is_empty() { "no limit".to_owned() } else { limits.join(", ") })
}

fn clock(survey: &Survey) -> Rows {
    let mut rows = Vec::new();
    rows.extend(survey.facts.clock_source.as_ref().map(|source| row("source", source)));
    rows.push(row("resolution", format!("{} ns", survey.clock.resolution_ns)));
    rows.push(row("cost of a reading", format!("{:.0} ns", survey.clock.cost_ns)));
    rows.extend(survey.facts.governor.as_ref().map(|governor| row("frequency governor", governor)));
    rows
}

fn noise(survey: &Survey) -> Rows {
    let noise = &survey.noise;
    vec![
        row("median", format!("{} over {} loops", micros(noise.median_ns), noise.loops)),
        row("spread", format!("{:.1} % (10th to 90th percentile)", noise.spread * 100.0)),
        row("largest gap", micros(noise.largest_gap_ns)),
    ]
}

fn session_directory(survey: &Survey) -> Rows {
    let directory = &survey.facts.session_directory;
    let memory = matches!(directory.kind.as_str(), "tmpfs" | "ramfs");
    let note =
        if memory { " (in memory: `file` steps reach no disk there; set TMPDIR to a directory on one)" } else { "" };
    vec![row("path", &directory.path), row("file system", format!("{}{note}", directory.kind))]
}

fn interpreter(interpreter: &Interpreter) -> Rows {
    let hello = &interpreter.hello;
    let implementation = hello.implementation.as_deref().unwrap_or(&hello.language);
    let methods: Vec<&str> = hello.start_methods.iter().map(|method| method.name()).collect();
    let plain = |text: String| plain(&text);
    vec![
        row(&plain(interpreter.name.clone()), plain(interpreter.path.display().to_string())),
        row("", plain(format!("{implementation} {}, {}", hello.version, lock(hello)))),
        row("", format!("start methods, the default first: {}", methods.join(", "))),
        row("", plain(format!("event loops: {}", hello.event_loops.join(", ")))),
    ]
}

/// What a build and its surroundings make of the global interpreter lock.
fn lock(hello: &Hello) -> &'static str {
    match (hello.free_threaded, hello.gil) {
        (Some(true), Some(true)) => "free-threaded, but its GIL is on now",
        (Some(true), _) => "free-threaded, no GIL",
        (_, Some(false)) => "no GIL",
        (_, _) => "GIL on, not free-threaded",
    }
}

fn refused(refused: &Refused) -> (String, String) {
    (plain(&refused.named), plain(&refused.reason.to_string()))
}

fn row(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

fn none() -> String {
    "none".to_owned()
}

fn cpu_quota(quota: &CpuQuota) -> String {
    format!("{:.2} cores per {:.0} ms", quota.cores, quota.period_ns as f64 / 1e6)
}

fn micros(ns: u64) -> String {
    format!("{:.1} \u{b5}s", ns as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use crate::host::{Cgroups, Clock, Facts, FileSystem, Noise, ResourceLimits};

    use crate::python::Refusal;

    use super::*;

    fn interpreter_of(name: &str, free_threaded: bool, gil: bool) -> Interpreter {
        let hello = serde_json::json!({
            "protocol": 3, "language": "python", "version": "3.11.7", "implementation": "CPython", "gil": gil,
            "free_threaded": free_threaded, "engines": [], "start_methods": ["fork", "spawn"],
            "event_loops": ["asyncio", "uvloop 0.21.0"], "clock_resolution_ns": 1, "clock_cost_ns": 40.0,
        });
        let path = format!("/usr/bin/{name}").into();
        let hello = serde_json::from_value(hello).expect("a hello");
        Interpreter { name: name.to_owned(), path, hello, main: "main.py".into() }
    }

    fn survey() -> Survey {
        let quota = CpuQuota { cores: 1.5, period_ns: 100_000_000, cgroup: "/batch".to_owned() };
        let level = |cgroup: &str, cpu_quota| CgroupLevel {
            cgroup: cgroup.to_owned(),
            version: 2,
            cpu_quota,
            memory_limit_bytes: None,
            processes: None,
            directory: std::path::PathBuf::new(),
        };
        let facts = Facts {
            os: "Debian GNU/Linux 12".to_owned(),
            kernel: "6.1.0".to_owned(),
            cpu: "A CPU".to_owned(),
            cpus_online: 4,
            cpus_affinity: 2,
            cpu_quota: Some(quota.clone()),
            memory_total_bytes: 8 << 30,
            memory_available_bytes: 3 << 29,
            memory_limit_bytes: None,
            clock_source: Some("tsc".to_owned()),
            governor: None,
            virtual_machine: Some(true),
            load_average: 0.5,
            limits: ResourceLimits { open_files: Some(1024), processes: None, cgroup_processes: None },
            session_directory: FileSystem { path: "/tmp".to_owned(), kind: "tmpfs".to_owned() },
        };
        Survey {
            usable_cpus: facts.usable_cpus(),
            facts,
            cgroups: Cgroups {
                levels: vec![level("/batch/job", None), level("/batch", Some(quota))],
                hidden_ancestors: false,
            },
            clock: Clock { resolution_ns: 1, cost_ns: 21.6 },
            noise: Noise { loops: 9000, median_ns: 20_480, spread: 0.0125, largest_gap_ns: 1_250_000 },
            gaps: vec!["no frequency governor can be read".to_owned()],
        }
    }

    #[test]
    fn the_table_reads_well() {
        let mut out = Vec::new();
        let mut found = Found::default();
        found.interpreters = vec![interpreter_of("python3.11", false, true), interpreter_of("python3.13t", true, true)];
        let reason = Refusal::Unfit("it is\u{1b} too old".to_owned());
        found.refused = vec![Refused { named: "old".to_owned(), reason }];
        table(&survey(), &found, &mut out).expect("a vector takes all");
        let expected = "\
Host
  system           Debian GNU/Linux 12
  kernel           6.1.0
  cpu              A CPU
  virtual machine  yes
  load             0.50 over the last minute

Cores that may be used
  usable                2
  online                4
  in the affinity mask  2
  smallest quota        1.50 cores per 100 ms, set by /batch

Memory
  physical        8.00 GiB
  available       1.50 GiB
  smallest limit  none

Limits
  open files of a process                     1024
  processes and threads of this user          none
  processes and threads of the control group  none

Control groups, innermost first
  /batch/job  no limit
  /batch      1.50 cores per 100 ms

Clock
  source             tsc
  resolution         1 ns
  cost of a reading  22 ns

Noise, over loops of one length
  median       20.5 \u{b5}s over 9000 loops
  spread       1.2 % (10th to 90th percentile)
  largest gap  1250.0 \u{b5}s

Session directory
  path         /tmp
  file system  tmpfs (in memory: `file` steps reach no disk there; set TMPDIR to a directory on one)

Python
  python3.11   /usr/bin/python3.11
               CPython 3.11.7, GIL on, not free-threaded
               start methods, the default first: fork, spawn
               event loops: asyncio, uvloop 0.21.0
  python3.13t  /usr/bin/python3.13t
               CPython 3.11.7, free-threaded, but its GIL is on now
               start methods, the default first: fork, spawn
               event loops: asyncio, uvloop 0.21.0

Python that cannot be measured
  old  it is\\u{1b} too old

Not known on this platform
  no frequency governor can be read
";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn the_json_of_this_host_is_one_object() {
        let mut out = Vec::new();
        let no_python = Interpreters { python: vec!["/no/such/python".into()] };
        let args = HostArgs { format: HostFormat::Json, interpreters: no_python };
        assert_eq!(run(&args, &mut out, &mut Vec::new(), false).expect("a vector takes all"), 0);
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON alone");
        assert!(value["usable_cpus"].as_u64().is_some_and(|cpus| cpus > 0));
        assert!(value["noise"]["median_ns"].as_u64().is_some_and(|median| median > 0));
        assert_eq!(value["interpreters"], serde_json::json!([]));
        assert_eq!(value["refused"][0]["named"], "/no/such/python");
        assert!(value["refused"][0]["reason"].is_string());
    }
}
