//! A Dask cluster beside the engines of this host, in whole sessions: real schedulers and workers on loopback.
//!
//! `CONBENCH_TEST_ENGINES_PYTHON` names an interpreter that has `distributed`: see `named_engines.rs`.

mod common;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::namespaces::{FAR, MUTE, NOBODY, Namespaces};
use common::printed::record as record_of;
use common::pythons;
use conbench::internal::candidate::{Candidate, Cluster, Engine};
use conbench::internal::idiom::{Idiom, ItemsFound, OnCluster};
use conbench::internal::workload;
use serde_json::Value;

const SHOP: &str = "import time\n\npages = list(range(24))\n\n\ndef fetch(page):\n    time.sleep(0.02)\n    return page\n\n\n\
                    def count(page):\n    return sum(range(20_000)) + page\n\n\n\
                    def connect():\n    with open(\"set_ups\", \"a\") as file:\n        file.write(\"one\\n\")\n    \
                    time.sleep(0.1)\n    return 5\n\n\ndef ask(state, page):\n    return page + state - 5\n";

/// What only the tests over a link run: a task whose items are large, and one that notes where it runs.
const HAUL: &str = "import os\nimport time\n\nrolls = [os.urandom(30_000) for _ in range(8)]\npages = list(range(24))\n\n\n\
                    def carry(roll):\n    time.sleep(0.005)\n    return roll\n\n\n\
                    def weigh(roll):\n    time.sleep(0.005)\n    return len(roll)\n\n\n\
                    def note(page):\n    time.sleep(0.02)\n    \
                    with open(os.readlink(\"/proc/self/ns/net\"), \"a\") as file:\n        file.write(\"one\\n\")\n    \
                    return page\n";

/// A folder with the user's module, which runs the program; sessions take turns.
struct Shop {
    folder: tempfile::TempDir,
    python: PathBuf,
    /// Where the program runs, where that is not this host's own network.
    network: Option<Namespaces>,
    _turn: MutexGuard<'static, ()>,
}

impl Shop {
    fn open() -> Option<Shop> {
        // Two sessions at once on few cores would not come far in their time.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let python = pythons::with_packages()?;
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::write(folder.path().join("shop.py"), SHOP).expect("written");
        std::fs::write(folder.path().join("haul.py"), HAUL).expect("written");
        Some(Shop { folder, python, network: None, _turn: turn })
    }

    /// One whose program runs in a network of its own, at the near end of a link.
    fn behind_a_link(bits_per_s: u32) -> Option<Shop> {
        let network = Namespaces::joined(bits_per_s)?;
        Shop::open().map(|shop| Shop { network: Some(network), ..shop })
    }

    fn network(&self) -> &Namespaces {
        self.network.as_ref().expect("it was made behind a link")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = match &self.network {
            Some(network) => network.near(env!("CARGO_BIN_EXE_conbench")),
            None => Command::new(env!("CARGO_BIN_EXE_conbench")),
        };
        command.args(args).arg("--python").arg(&self.python).current_dir(self.path()).stdin(Stdio::null());
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("it runs")
    }

    /// The record of a session with this cluster.
    fn raced(&self, function: &str, cluster: &str, args: &[&str]) -> Value {
        let target = format!("shop:{function}");
        let common = ["recommend", &target, "--items", "pages", "--budget", "6s", "--format", "json"];
        record_of(&self.run(&[&common[..], &["--cluster", cluster], args].concat()))
    }

    /// What is said where nothing can be measured.
    fn refused(&self, cluster: &str, args: &[&str]) -> String {
        let common = ["recommend", "shop:fetch", "--items", "pages", "--cluster", cluster];
        let ran = self.run(&[&common[..], args].concat());
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(2), 0), "{said}");
        said
    }
}

/// The candidates of a record that ran on the cluster.
fn of_cluster(record: &Value) -> Vec<&Value> {
    let all = record["candidates"].as_array().expect("candidates");
    all.iter().filter(|one| one["candidate"]["engine"] == "dask").collect()
}

/// A scheduler and a worker of two threads, as a user starts them.
struct Dask {
    processes: [Child; 2],
    address: String,
}

impl Dask {
    fn start(python: &Path, folder: &Path) -> Dask {
        Dask::at("127.0.0.1", python, folder, |program| Command::new(program))
    }

    /// At the far end of the shop's link.
    fn far_from(shop: &Shop) -> Dask {
        Dask::at(FAR, &shop.python, shop.path(), |program| shop.network().far(program))
    }

    fn at(host: &str, python: &Path, folder: &Path, run: impl Fn(&OsStr) -> Command) -> Dask {
        let start = |arguments: &[&str]| {
            let mut command = run(python.as_os_str());
            command.env("DASK_TEMPORARY_DIRECTORY", folder);
            command.args(arguments).current_dir(folder).env("PYTHONPATH", folder);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
        };
        let scheduler = ["-m", "distributed.cli.dask_scheduler", "--host", host, "--port", "0", "--no-dashboard"];
        let mut scheduler = start(&scheduler);
        let mut lines = BufReader::new(scheduler.stderr.take().expect("a pipe")).lines();
        let is_its = |line: &String| line.contains("Scheduler at:");
        let line = lines.by_ref().map(|line| line.expect("text")).find(is_its).expect("it says where it is");
        let address = line.split_whitespace().last().expect("a word").to_owned();
        // Nobody reads the rest, and a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let worker =
            ["-m", "distributed.cli.dask_worker", &address, "--nworkers", "1", "--nthreads", "2", "--no-nanny"];
        let mut worker = start(&[&worker[..], &["--no-dashboard", "--host", host]].concat());
        let mut lines = BufReader::new(worker.stderr.take().expect("a pipe")).lines();
        // Who asks too early is told that there is no worker.
        let is_there = lines.by_ref().map(|line| line.expect("text")).any(|line| line.contains("Registered to:"));
        assert!(is_there, "the worker ended");
        std::thread::spawn(move || lines.for_each(drop));
        Dask { processes: [worker, scheduler], address }
    }

    fn name(&self) -> String {
        self.address.replace("tcp://", "dask://")
    }
}

impl Drop for Dask {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
fn a_cluster_of_this_host_races_and_it_is_said_when_leaving_pays() {
    let Some(shop) = Shop::open() else { return };
    let record = shop.raced("count", "dask:local", &["--engines", "sequential,ProcessPoolExecutor"]);
    let candidates = of_cluster(&record);
    assert!(!candidates.is_empty(), "{}", record["plan"]);
    assert!(candidates.iter().all(|one| one["failure"].is_null()), "{candidates:?}");
    let cluster = &record["calibration"]["runtimes"][0]["cluster"];
    let workers = cluster["workers"].as_array().expect("workers");
    assert!(!workers.is_empty() && workers.iter().all(|it| it["is_here"] == true && it["threads"] == 1), "{cluster}");
    assert!(cluster["dispatch"]["tasks_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{cluster}");
    let group = &record["verdict"]["groups"][0];
    let leaving = &group["leaving"];
    let of = |name: &str| leaving[name].as_f64().expect("a figure");
    for figure in ["here_per_s", "task_ns", "from_task_ns", "most_per_s", "there_per_s"] {
        assert!(of(figure) > 0.0, "{figure}: {leaving}");
    }
    let row = group["rows"].as_array().expect("rows").iter().find(|row| row["candidate"]["engine"] == "dask");
    assert!(row.is_some_and(|row| row["limit_share"].is_null()), "this host's limit is not the cluster's");
}

#[test]
fn a_scheduler_that_is_there_is_used_and_left_alone() {
    let Some(shop) = Shop::open() else { return };
    let mut dask = Dask::start(&shop.python, shop.path());
    let record = shop.raced("fetch", &dask.name(), &["--engines", "dask", "--in-flight", "2,4"]);
    assert_eq!(record["settings"]["cluster"], dask.address);
    let answer = &record["verdict"]["groups"][0]["answer"];
    assert_eq!(answer["model"], "cluster", "{}", record["candidates"]);
    let code = record["said"][0]["code"].as_str().expect("code");
    assert!(code.contains(&format!("Client(\"{}\")", dask.address)), "{code}");
    let alive = dask.processes.iter_mut().all(|process| process.try_wait().expect("a child").is_none());
    assert!(alive, "the user's own processes stay");
}

#[test]
fn the_code_of_an_answer_gives_the_results_of_a_plain_loop() {
    let Some(shop) = Shop::open() else { return };
    let dask = Dask::start(&shop.python, shop.path());
    for chunk in ["1", "3"] {
        let sizes =
            ["--engines", "dask", "--in-flight", "6", "--chunk", chunk, "--code", "--cluster-upload", "shop.py"];
        let common = ["recommend", "shop:count", "--items", "pages", "--budget", "4s", "--cluster"];
        let name = dask.name();
        let ran = shop.run(&[&common[..], &[name.as_str()], &sizes].concat());
        let code = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(code.contains("client.submit("), "{code}{}", String::from_utf8_lossy(&ran.stderr));
        assert!(code.contains("    client.upload_file(\"shop.py\")\n"), "{code}");
        let file = shop.path().join("pasted.py");
        std::fs::write(&file, code + "\n    print(results == [count(page) for page in pages])\n").expect("written");
        let pasted = Command::new(&shop.python).arg(&file).current_dir(shop.path()).output().expect("it runs");
        let said = String::from_utf8_lossy(&pasted.stderr);
        assert_eq!(String::from_utf8_lossy(&pasted.stdout), "True\n", "{said}");
    }
}

#[test]
fn the_code_sets_up_each_process_of_a_cluster_once() {
    let Some(shop) = Shop::open() else { return };
    let dask = Dask::start(&shop.python, shop.path());
    let worker = serde_json::json!({ "host": "a", "is_here": true, "threads": 2, "python": "", "distributed": "", "speed": 1.0 });
    let cluster: Cluster = serde_json::from_value(serde_json::json!({
        "address": dask.address, "distributed": "", "scheduler": "", "workers": [worker], "bytes_per_s": 1e9,
        "dispatch": { "in_flight": 4, "tasks_per_s": 1e3 }, "connect_ns": 1, "round_trip_ns": 1
    }))
    .expect("a cluster");
    let text = "name = \"shop\"\n[[step]]\nkind = \"python\"\npath = \".\"\nfunction = \"shop:ask\"\nsetup = \"shop:connect\"\n\
                pass_state = true\nitems = \"shop:pages\"\n";
    let candidate = Candidate::new("python3", Engine::Dask, Engine::Dask.axes().sizes(1, 8, 1));
    let idiom = Idiom {
        workload: &workload::parse("shop.toml", text).expect("a workload"),
        candidate: &candidate,
        default_method: None,
        items: ItemsFound::default(),
        variables: &[],
        cluster: Some(OnCluster { cluster: &cluster, upload: &[] }),
    };
    let code = idiom.code();
    let file = shop.path().join("pasted.py");
    std::fs::write(&file, format!("{code}    print(results == pages)\n")).expect("written");
    let pasted = Command::new(&shop.python).arg(&file).current_dir(shop.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&pasted.stderr);
    assert_eq!(String::from_utf8_lossy(&pasted.stdout), "True\n", "{code}\n{said}");
    assert_eq!(std::fs::read_to_string(shop.path().join("set_ups")).unwrap_or_default(), "one\n", "{code}");
}

#[test]
fn what_is_no_cluster_is_told_in_words() {
    let Some(shop) = Shop::open() else { return };
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let said = shop.refused(&format!("dask://127.0.0.1:{port}"), &[]);
    assert!(said.contains(&format!("what answers at tcp://127.0.0.1:{port} is no Dask scheduler")), "{said}");
    drop(silent);
    let said = shop.refused(&format!("dask://127.0.0.1:{port}"), &[]);
    assert!(said.contains(&format!("no Dask scheduler answers at tcp://127.0.0.1:{port}")), "{said}");
    let said = shop.refused("dask://192.0.2.7:8786", &[]);
    assert!(said.contains("--allow-remote"), "{said}");
    let said = shop.refused("dask://nowhere", &[]);
    assert!(said.contains("HOST:PORT"), "{said}");
}

/// A link of so many bits a second, over which a payload of any size takes its time.
const NARROW: u32 = 2_000_000;
/// One that bounds nothing here.
const WIDE: u32 = 100_000_000;

#[test]
fn a_cluster_on_another_network_is_sent_nothing_unless_that_is_allowed() {
    let Some(shop) = Shop::behind_a_link(WIDE) else { return };
    let dask = Dask::far_from(&shop);
    let before = shop.network().sent_from_near();
    let said = shop.refused(&dask.name(), &[]);
    assert!(said.contains("--allow-remote") && said.contains(&dask.address), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(shop.network().sent_from_near(), before, "not even a question who has the address");
    // Nobody has the first of these, and who has the second says nothing.
    for (host, words) in [(NOBODY, "No route to host"), (MUTE, "nothing within 5 s")] {
        let said = shop.refused(&format!("dask://{host}:8786"), &["--allow-remote"]);
        assert!(said.contains(&format!("no Dask scheduler answers at tcp://{host}:8786 ({words})")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_narrow_link_is_measured_and_bounds_tasks_that_carry_much() {
    let Some(shop) = Shop::behind_a_link(NARROW) else { return };
    let dask = Dask::far_from(&shop);
    let common = ["recommend", "haul:carry", "--items", "rolls", "--budget", "8s", "--format", "json"];
    let sizes = ["--engines", "sequential", "--in-flight", "4", "--chunk", "1", "--allow-remote"];
    let name = dask.name();
    let saved = ["--output", "session.json", "--cluster", &name];
    let record = record_of(&shop.run(&[&common[..], &sizes, &saved].concat()));
    let candidates = of_cluster(&record);
    assert!(!candidates.is_empty(), "{}", record["plan"]);
    assert!(candidates.iter().all(|one| one["failure"].is_null()), "{candidates:?}");
    let bytes_per_s = record["calibration"]["runtimes"][0]["cluster"]["bytes_per_s"].as_f64().expect("a figure");
    // Both ways count, and they overlap in part.
    let of_link = f64::from(NARROW) / 8.0;
    assert!((of_link / 3.0..of_link * 3.0).contains(&bytes_per_s), "{bytes_per_s} of {of_link}");
    let leaving = &record["verdict"]["groups"][0]["leaving"];
    assert_eq!(leaving["is_set_by_bytes"], true, "{leaving}");
    assert!(leaving["bytes_per_task"].as_f64().is_some_and(|bytes| bytes > 60_000.0), "there and back: {leaving}");
    let shown = Command::new(env!("CARGO_BIN_EXE_conbench"))
        .args(["report", "session.json"])
        .current_dir(shop.path())
        .output()
        .expect("it runs");
    let complaints = String::from_utf8_lossy(&shown.stderr);
    assert!(shown.status.success(), "{complaints}");
    let shown = String::from_utf8_lossy(&shown.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("a task stays here, since what tasks carry lets the cluster run"), "{shown}");
}

#[test]
fn a_link_of_two_ways_is_no_faster_for_tasks_that_bring_little_back() {
    let Some(shop) = Shop::behind_a_link(NARROW) else { return };
    let dask = Dask::far_from(&shop);
    let name = dask.name();
    let common = ["recommend", "haul:weigh", "--items", "rolls", "--budget", "8s", "--format", "json"];
    let sizes = ["--engines", "sequential", "--in-flight", "4", "--chunk", "1", "--allow-remote", "--cluster", &name];
    let record = record_of(&shop.run(&[&common[..], &sizes].concat()));
    let cluster = &record["calibration"]["runtimes"][0]["cluster"];
    let of_link = f64::from(NARROW) / 8.0;
    for way in ["there_bytes_per_s", "back_bytes_per_s"] {
        let per_s = cluster[way].as_f64().expect("a figure");
        assert!((of_link / 3.0..of_link * 1.3).contains(&per_s), "{way}: {per_s} of {of_link}");
    }
    let leaving = &record["verdict"]["groups"][0]["leaving"];
    let (most_per_s, bytes) = (leaving["most_per_s"].as_f64(), leaving["bytes_per_task"].as_f64());
    let (most_per_s, bytes) = (most_per_s.expect("a figure"), bytes.expect("a figure"));
    assert!(bytes < 31_000.0 && most_per_s * bytes < 1.3 * of_link, "{most_per_s} of {bytes} bytes: {leaving}");
}

#[test]
fn a_link_that_goes_down_fails_the_cluster_alone() {
    let Some(shop) = Shop::behind_a_link(WIDE) else { return };
    let dask = Dask::far_from(&shop);
    let place = shop.network().far_name();
    let failures = failures_of(&shop, dask, &place, |_| shop.network().take_down());
    for words in failures {
        assert!(words.contains("the network failed"), "the address is right: {words}");
    }
}

#[test]
fn a_scheduler_that_is_killed_fails_the_cluster_alone() {
    let Some(shop) = Shop::open() else { return };
    let dask = Dask::start(&shop.python, shop.path());
    let here = std::fs::read_link("/proc/self/ns/net").expect("its name").display().to_string();
    failures_of(&shop, dask, &here, |dask| dask.processes[1].kill().expect("it runs"));
}

/// What candidates of a cluster failed by, to which harm is done once tasks run on it in the network of this name; no other
/// candidate fails.
fn failures_of(shop: &Shop, mut dask: Dask, place: &str, harm: impl FnOnce(&mut Dask)) -> Vec<String> {
    let name = dask.name();
    let common = ["recommend", "haul:note", "--items", "pages", "--budget", "10s", "--format", "json"];
    let sizes = ["--engines", "sequential", "--in-flight", "2", "--chunk", "1", "--allow-remote", "--cluster", &name];
    let mut command = shop.command(&[&common[..], &sizes].concat());
    let session = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // The candidate has begun.
    let notes = shop.path().join(place);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while std::fs::read_to_string(&notes).unwrap_or_default().lines().count() < 12 {
        assert!(std::time::Instant::now() < deadline, "no task runs on the cluster");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    harm(&mut dask);
    let ran = session.wait_with_output().expect("it ends");
    let record = record_of(&ran);
    let candidates = record["candidates"].as_array().expect("candidates");
    let told = String::from_utf8_lossy(&ran.stderr);
    let mut failures = Vec::new();
    for one in candidates {
        let failure = &one["failure"];
        if one["candidate"]["engine"] == "dask" {
            let words = failure["message"].as_str().unwrap_or_default();
            assert!(words.contains(&dask.address) || words.contains("Dask cluster"), "{failure}");
            assert!(told.contains(words), "{told}");
            failures.push(words.to_owned());
        } else {
            assert!(failure.is_null(), "{failure}");
        }
    }
    assert!(!of_cluster(&record).is_empty() && candidates.len() > of_cluster(&record).len(), "{}", record["plan"]);
    assert_ne!(record["verdict"]["groups"][0]["answer"]["engine"], "dask");
    failures
}

#[test]
fn nothing_of_a_clusters_session_survives_an_interrupt() {
    let Some(shop) = Shop::open() else { return };
    let mut command = shop.command(&["recommend", "shop:fetch", "--items", "pages", "--budget", "30s"]);
    command.args(["--cluster", "dask:local", "--progress", "plain", "--engines", "sequential"]);
    command.env("CONBENCH_MARK", shop.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut lines = stderr.lines();
    lines.next().expect("it says what it does").expect("text");
    child.kill().expect("a child");
    let _ = child.wait();
    let mark = format!("CONBENCH_MARK={}", shop.path().display());
    let is_marked = |pid: &std::ffi::OsStr| {
        let environment = std::fs::read(Path::new("/proc").join(pid).join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let survivors = || {
        let processes = std::fs::read_dir("/proc").expect("proc").flatten();
        processes.filter(|process| is_marked(&process.file_name())).count()
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while survivors() > 0 {
        assert!(std::time::Instant::now() < deadline, "{} processes are left", survivors());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
