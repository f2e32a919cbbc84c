//! Two versions, by the real binary, real repositories and real interpreters.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{printed, pythons};
use serde_json::Value;

/// A task of some rounds of computation, in a package with a module beside it.
fn work(rounds: u32) -> String {
    format!(
        "from shop.util import spin\n\n\ndef parse(page):\n    return spin({rounds}) + page\n\n\nasync def fetch(page):\n    return page\n"
    )
}

const UTIL: &str = "def spin(rounds):\n    total = 0\n    for number in range(rounds * 1000):\n        total += number\n    return total\n";

/// A repository with `shop`, and a home without settings.
struct Room {
    folder: tempfile::TempDir,
}

impl Room {
    fn new() -> Room {
        let room = Room { folder: tempfile::tempdir().expect("a directory") };
        fs::create_dir(room.path("temporary")).expect("made");
        fs::create_dir(room.path("tree")).expect("made");
        room.git(&["init", "--quiet", "--initial-branch=main"]);
        room.write("shop/__init__.py", "");
        room.write("shop/util.py", UTIL);
        room.write("shop/scrape.py", &work(10));
        room.commit();
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.tree().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn git(&self, arguments: &[&str]) {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"];
        let status = Command::new("git").args(identity).args(arguments).current_dir(self.tree()).status();
        assert!(status.expect("git runs").success(), "{arguments:?}");
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a commit"]);
    }

    fn conbench(&self, arguments: &[&str]) -> Output {
        self.conbench_with(arguments, &[])
    }

    fn conbench_with(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> Output {
        let mut command = Command::new(common::CONBENCH);
        command.current_dir(self.tree()).args(arguments).env("TMPDIR", self.path("temporary"));
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).stdin(Stdio::null());
        command.env_remove("GITHUB_STEP_SUMMARY").env_remove("GITHUB_ACTIONS").env("PYTHONDONTWRITEBYTECODE", "1");
        command.envs(environment.iter().copied()).output().expect("the binary starts")
    }

    /// What is left of a session: nothing should be.
    fn leavings(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path("temporary")).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    }
}

fn python() -> Option<String> {
    pythons::newest_of_all().map(|python| python.executable.display().to_string())
}

fn said(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr)
}

fn last_line(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stdout).trim_end().lines().last().unwrap_or_default().to_owned()
}

/// A gate of `shop.scrape:parse` as a plain loop, so that no race is needed.
fn gate<'a>(python: &'a str, further: &[&'a str]) -> Vec<&'a str> {
    let first = ["gate", "shop.scrape:parse", "--items", "range(9)", "--engines", "sequential", "--python", python];
    [first.as_slice(), further].concat()
}

#[test]
fn twice_the_work_regresses_and_nothing_is_left_behind() {
    let Some(python) = python() else { return };
    let room = Room::new();
    room.write("shop/scrape.py", &work(20));
    room.write("notes.txt", "mine");
    let ran = room.conbench(&gate(&python, &["--base", "main"]));
    let text = said(&ran);
    assert_eq!(ran.status.code(), Some(10), "{text}");
    assert_eq!(last_line(&ran), "regressed");
    let squeezed = text.split_whitespace().collect::<Vec<&str>>().join(" ");
    assert!(squeezed.contains("changes that are not committed: shop/scrape.py and notes.txt"), "{text}");
    assert!(text.contains("base and head give different results"), "{text}");
    assert_eq!(room.leavings(), Vec::<PathBuf>::new());
    // The other way round it is no regression.
    room.commit();
    let ran = room.conbench(&gate(&python, &["--base", "main", "--head", "main~1"]));
    assert_eq!((ran.status.code(), last_line(&ran).as_str()), (Some(0), "not regressed"), "{}", said(&ran));
}

#[test]
fn the_same_version_twice_is_no_regression() {
    let Some(python) = python() else { return };
    let room = Room::new();
    let saved = room.path("duel.json");
    let saved_name = saved.display().to_string();
    let ran = room.conbench(&gate(&python, &["--base", "HEAD", "--output", &saved_name]));
    assert!(matches!(ran.status.code(), Some(0 | 11)), "{}", said(&ran));
    let duel: Value = serde_json::from_slice(&fs::read(saved).expect("saved")).expect("JSON");
    assert_eq!(duel["duel"]["base"]["commit"], duel["duel"]["head"]["commit"]);
    let steps = |side: usize| &duel["duel"]["record"]["calibration"]["runtimes"][side]["name"];
    assert_eq!((steps(0), steps(1)), (&Value::from("base"), &Value::from("head")));
    assert!(duel["verdict"]["compared"][0]["figures"].as_array().is_some_and(|all| all.len() == 6));
    let schema = printed::document(&room.conbench(&["schema", "duel"]));
    let validator = jsonschema::validator_for(&schema).expect("a legal schema");
    let faults: Vec<String> = validator.iter_errors(&duel).map(|error| error.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new());
    // What was stored says the same again.
    let again = room.conbench(&["report", &saved_name, "--format", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&again.stdout).expect("JSON"), duel, "{}", said(&again));
    let refused = room.conbench(&["explain", &saved_name]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("is a duel"), "{}", said(&refused));
}

#[test]
fn each_side_finds_its_own_choice() {
    let Some(python) = python() else { return };
    let room = Room::new();
    let target = ["duel", "shop.scrape:parse", "--items", "range(9)", "--engines", "sequential,ThreadPoolExecutor"];
    let rest = ["--base", "main", "--format", "json", "--budget", "9s", "--python", &python];
    let ran = room.conbench(&[target.as_slice(), &rest].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    let duel = printed::document(&ran);
    let compared = duel["verdict"]["compared"].as_array().expect("a list");
    assert_eq!(compared.len(), 2, "each engine that was named");
    assert!(duel["verdict"]["choice"]["standing"].is_string());
    assert!(duel["duel"]["base"]["race"]["races"].is_array() && duel["duel"]["head"]["race"]["races"].is_array());
}

#[test]
fn a_version_that_is_not_its_own_is_an_error() {
    let Some(python) = python() else { return };
    let room = Room::new();
    // As an editable install does it: the package of a revision finds modules of the working tree.
    room.write("shop/__init__.py", "import os\n\n__path__.append(os.environ[\"INSTALLED\"])\n");
    room.git(&["rm", "--quiet", "--cached", "shop/util.py"]);
    room.git(&["commit", "--quiet", "--all", "--message", "installed"]);
    let installed = room.tree().join("shop");
    let ran = room.conbench_with(&gate(&python, &["--base", "HEAD"]), &[("INSTALLED", &installed)]);
    assert_eq!((ran.status.code(), last_line(&ran).as_str()), (Some(13), "side failed"), "{}", said(&ran));
    let text = said(&ran).split_whitespace().collect::<Vec<&str>>().join(" ");
    assert!(text.contains("base could not run") && text.contains("the module shop.util was imported from"), "{text}");
    // Where few calls are allowed there is no reference, and the proof is the same.
    let few = "max_calls = 100\n[[step]]\nkind = \"python\"\nfunction = \"shop.scrape:parse\"\nitems = [1, 2]\n";
    fs::write(room.tree().join("few.toml"), few).expect("written");
    room.git(&["add", "few.toml"]);
    room.git(&["commit", "--quiet", "--message", "few"]);
    let target = ["gate", "few.toml", "--base", "HEAD", "--engines", "sequential", "--python", &python];
    let ran = room.conbench_with(&target, &[("INSTALLED", &installed)]);
    assert_eq!(ran.status.code(), Some(13), "{}", said(&ran));
    let text = said(&ran).split_whitespace().collect::<Vec<&str>>().join(" ");
    assert!(text.contains("the module shop.util was imported from"), "{text}");
}

#[test]
fn a_module_that_one_side_lacks_fails_that_side() {
    let Some(python) = python() else { return };
    let room = Room::new();
    room.write("shop/scrape.py", "import nowhere_at_all\n");
    let ran = room.conbench(&gate(&python, &["--base", "main"]));
    assert_eq!(ran.status.code(), Some(13), "{}", said(&ran));
    let text = said(&ran);
    assert!(text.contains("head could not run") && text.contains("nowhere_at_all"), "{text}");
    // With a race to be run it is told before it.
    let ran = room.conbench(&[
        "gate",
        "shop.scrape:parse",
        "--items",
        "range(9)",
        "--base",
        "main",
        "--budget",
        "9s",
        "--python",
        &python,
    ]);
    assert_eq!((ran.status.code(), last_line(&ran).as_str()), (Some(13), "side failed"), "{}", said(&ran));
    assert_eq!(room.leavings(), Vec::<PathBuf>::new());
}

#[test]
fn bad_versions_are_told_before_anything_runs() {
    let Some(python) = python() else { return };
    let room = Room::new();
    room.write("shop/_fast.cpython-311-x86_64-linux-gnu.so", "built");
    room.write("new.toml", "name = \"new\"\n[[step]]\nkind = \"wait\"\ntime = \"1ms\"\n");
    for (further, cause) in [
        (vec!["--base", "nowhere"], "there is no revision `nowhere`"),
        (vec!["--base", "--head"], "there is no revision"),
        (vec![], "one version is named, and two are compared"),
        (vec!["--base", "main", "--python", &python], "name versions, each in its own way"),
        (vec!["--base", "main"], "lacks the built extension `shop/_fast.cpython-311-x86_64-linux-gnu.so`"),
        (vec!["--base", "main", "--max-regression", "speed=5%"], "`speed` is no figure"),
        (vec!["--base", "main", "--max-regression", "p99=5"], "`%` is missing"),
        (vec!["new.toml", "--base", "main"], "has no `new.toml`, which the working tree"),
    ] {
        let is_file = further.first() == Some(&"new.toml");
        let whole = if is_file { [&["gate"], further.as_slice()].concat() } else { gate(&python, &further) };
        let ran = room.conbench(&whole);
        let text = said(&ran).split_whitespace().collect::<Vec<&str>>().join(" ");
        let is_clap = further.contains(&"--head");
        assert_eq!(ran.status.code(), Some(2), "{further:?}: {text}");
        assert!(is_clap || text.contains(cause), "{further:?}: {text}");
    }
    let bare = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(common::CONBENCH);
    command.current_dir(bare.path()).args(gate(&python, &["--base", "main"])).stdin(Stdio::null());
    let ran = command.output().expect("the binary starts");
    assert_eq!(ran.status.code(), Some(2));
    assert!(said(&ran).contains("is in no git working tree"), "{}", said(&ran));
    assert_eq!(room.leavings(), Vec::<PathBuf>::new());
}

#[test]
fn two_functions_two_folders_two_interpreters_and_two_binaries_are_versions() {
    let Some(python) = python() else { return };
    let room = Room::new();
    room.write("old/shop/__init__.py", "");
    room.write("old/shop/util.py", UTIL);
    room.write("old/shop/scrape.py", &work(10));
    room.write("wait.toml", "name = \"wait\"\n[[step]]\nkind = \"wait\"\ntime = \"1ms\"\n");
    room.write("alone.py", "def parse(page):\n    return sum(range(9999))\n");
    let engine = ["--engines", "sequential", "--budget", "3s", "--format", "json"];
    let python_twice = ["--python", &python, "--python", &python];
    for target in [
        vec!["alone.py:parse", "./alone.py:parse", "--items", "range(9)", "--python", &python],
        vec!["shop.scrape:parse", "--items", "range(9)", "--base", "./old", "--python", &python],
        [["shop.scrape:parse", "--items", "range(9)"].as_slice(), &python_twice].concat(),
        vec!["wait.toml", "--binary", common::CONBENCH, "--binary", common::CONBENCH],
    ] {
        let ran = room.conbench(&[["duel"].as_slice(), &target, &engine].concat());
        assert_eq!(ran.status.code(), Some(0), "{target:?}: {}", said(&ran));
        let duel = printed::document(&ran);
        assert!(duel["verdict"]["compared"][0].get("failure").is_none(), "{target:?}: {duel}");
        let blocks = |side: usize| duel["duel"]["record"]["candidates"][side]["blocks"].as_array().map_or(0, Vec::len);
        assert!(blocks(0) > 0 && blocks(1) > 0, "{target:?}");
    }
}

#[test]
fn another_protocol_is_told() {
    let room = Room::new();
    room.write("wait.toml", "name = \"wait\"\n[[step]]\nkind = \"wait\"\ntime = \"1ms\"\n");
    let other = room.tree().join("other");
    let hello = r#"{"hello":{"protocol":1,"language":"rust","version":"0.0.1","gil":null,"engines":[],"clock_resolution_ns":1,"clock_cost_ns":16.0}}"#;
    fs::write(&other, format!("#!/bin/sh\necho '{hello}' >&4\nread -r answer <&3\n")).expect("written");
    fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    let other = other.to_str().expect("a name");
    for (binary, told) in
        [("/bin/false", "the agent ended"), (other, "the agent speaks protocol 1, this conbench speaks")]
    {
        let ran = room.conbench(&[
            "gate",
            "wait.toml",
            "--engines",
            "sequential",
            "--binary",
            common::CONBENCH,
            "--binary",
            binary,
        ]);
        assert_eq!(ran.status.code(), Some(13), "{}", said(&ran));
        assert!(said(&ran).contains("head could not run") && said(&ran).contains(told), "{}", said(&ran));
    }
}

#[test]
fn what_github_reads_is_written_or_said() {
    let Some(python) = python() else { return };
    let room = Room::new();
    room.write("shop/scrape.py", &work(20));
    let summary = room.path("summary.md");
    let github = |summary: &Path| {
        let arguments = gate(&python, &["--base", "main", "--format", "github"]);
        room.conbench_with(&arguments, &[("GITHUB_STEP_SUMMARY", summary), ("GITHUB_ACTIONS", Path::new("true"))])
    };
    let ran = github(&summary);
    let written = fs::read_to_string(&summary).expect("a summary");
    assert!(written.starts_with("## parse: regressed"), "{written}");
    assert!(String::from_utf8_lossy(&ran.stdout).starts_with(&written), "the result stays on stdout");
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(errors.matches("::error title=conbench::parse: head is worse").count(), 1, "{errors}");
    let ran = github(Path::new("/nowhere/summary.md"));
    assert_eq!(ran.status.code(), Some(10), "{}", said(&ran));
    assert!(said(&ran).contains("cannot add to $GITHUB_STEP_SUMMARY"), "{}", said(&ran));
}

/// Arguments of a gate that saves all that it can, and what it saves.
fn saving(room: &Room) -> (Vec<String>, PathBuf, PathBuf) {
    let (report, saved) = (room.path("gate.xml"), room.path("gate.json"));
    let arguments =
        ["--junit".to_owned(), report.display().to_string(), "--output".to_owned(), saved.display().to_string()];
    (arguments.into(), report, saved)
}

#[test]
fn a_side_whose_agent_cannot_start_is_told_in_every_report() {
    let Some(python) = python() else { return };
    let room = Room::new();
    // An interpreter that says what it is, and ends as soon as it is to measure.
    let broken = room.path("broken-python");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *' hello') ;; *main.py*) echo 'no agent today' >&2; exit 3 ;; esac\nexec {python} \"$@\"\n"
    );
    fs::write(&broken, script).expect("written");
    fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let (saving, report, saved) = saving(&room);
    let broken = broken.display().to_string();
    let target = ["gate", "shop.scrape:parse", "--items", "range(9)", "--engines", "sequential"];
    let pythons = ["--python", &python, "--python", &broken];
    let saving: Vec<&str> = saving.iter().map(String::as_str).collect();
    let ran = room.conbench(&[&target[..], &pythons, &saving].concat());
    assert_eq!((ran.status.code(), last_line(&ran).as_str()), (Some(13), "side failed"), "{}", said(&ran));
    let text = fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {}", said(&ran)));
    assert!(text.contains("<error") && text.contains("could not run"), "{text}");
    let duel: Value = serde_json::from_slice(&fs::read(&saved).expect("saved")).expect("JSON");
    assert_eq!(duel["verdict"]["said"], "side_failed");
    for format in ["csv", "jsonl", "bmf", "gab", "github", "junit", "markdown"] {
        let ran = room.conbench(&["report", &saved.display().to_string(), "--format", format]);
        assert_eq!(ran.status.code(), Some(0), "{format}: {}", said(&ran));
    }
}

#[test]
fn what_cannot_start_at_all_writes_its_reports() {
    let room = Room::new();
    fs::write(room.tree().join("a.toml"), "name = \"a\"\n[[step]]\nkind = \"wait\"\ntime = \"1ms\"\n")
        .expect("written");
    let (saving, report, saved) = saving(&room);
    let saving: Vec<&str> = saving.iter().map(String::as_str).collect();
    let target = ["gate", "a.toml", "a.toml", "--engines", "sequential"];
    for format in ["table", "json", "csv"] {
        let arguments = [&target[..], &saving, &["--format", format]].concat();
        let ran = room.conbench_with(&arguments, &[("TMPDIR", Path::new("/nowhere/at/all"))]);
        assert_eq!(ran.status.code(), Some(13), "{}", said(&ran));
        match format {
            "table" => assert_eq!(last_line(&ran), "side failed"),
            "json" => {
                let found = printed::document(&ran);
                assert_eq!(
                    (&found["verdict"]["said"], &found["duel"]["workload"]),
                    (&"side_failed".into(), &"a.toml".into())
                );
            }
            _ => assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), 2, "{}", said(&ran)),
        }
        assert!(fs::read_to_string(&report).expect("a report").contains("<error"));
        assert!(saved.exists());
    }
}

#[test]
fn revisions_are_compared_whatever_the_working_tree_has() {
    let Some(python) = python() else { return };
    let room = Room::new();
    room.write("alone.py", "def parse(item):\n    return item\n");
    room.commit();
    fs::remove_file(room.tree().join("alone.py")).expect("removed");
    let target = ["gate", "alone.py:parse", "--items", "range(9)", "--engines", "sequential", "--python", &python];
    let ran = room.conbench(&[&target[..], &["--base", "HEAD", "--head", "HEAD"]].concat());
    assert!(matches!(ran.status.code(), Some(0 | 11)), "{}", said(&ran));
    // A function that is new has no base.
    room.write("alone.py", "def parse(item):\n    return item\n\n\ndef other(item):\n    return item\n");
    let target = ["gate", "alone.py:other", "--items", "range(9)", "--engines", "sequential", "--python", &python];
    let ran = room.conbench(&[&target[..], &["--base", "HEAD"]].concat());
    assert_eq!((ran.status.code(), last_line(&ran).as_str()), (Some(13), "side failed"), "{}", said(&ran));
    assert!(said(&ran).contains("base could not run") && said(&ran).contains("other"), "{}", said(&ran));
    // A folder that a revision lacks.
    fs::create_dir(room.tree().join("new")).expect("made");
    let mut command = Command::new(common::CONBENCH);
    command.current_dir(room.tree().join("new")).args(["gate", "shop.scrape:parse", "--base", "HEAD"]);
    let ran = command.stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(ran.status.code(), Some(2), "{}", said(&ran));
    assert!(said(&ran).contains("has no folder `new`"), "{}", said(&ran));
}

#[test]
fn a_saved_duel_that_is_broken_is_refused_with_a_word() {
    let room = Room::new();
    fs::write(room.tree().join("a.toml"), "name = \"a\"\n[[step]]\nkind = \"wait\"\ntime = \"1ms\"\n")
        .expect("written");
    let saved = room.path("duel.json");
    let saved_name = saved.display().to_string();
    let target = ["duel", "a.toml", "a.toml", "--engines", "thread-pool", "--workers", "2", "--output", &saved_name];
    let ran = room.conbench(&target);
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    let text = fs::read_to_string(&saved).expect("saved");
    let report = |text: &str| {
        fs::write(&saved, text).expect("written");
        let ran = room.conbench(&["report", &saved_name]);
        (ran.status.code(), said(&ran))
    };
    for (broken, word) in [
        (text[..text.len() / 2].to_owned(), "duel.json"),
        (text.replacen("\"format_version\": 1", "\"format_version\": 99", 1), "99"),
        (text.replacen("\"cold_lives\": ", "\"cold_lives\": -", 1), "invalid value"),
        (text.replace("\"thread-pool\"", "\"thread-\\u001b[2Jpool\""), "unknown variant"),
    ] {
        let (code, said) = report(&broken);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(word) && !said.contains('\u{1b}'), "{said}");
    }
    // Of other rules the verdict is shown as it was found.
    let mut other: Value = serde_json::from_str(&text).expect("JSON");
    other["duel"]["rules_version"] = 1.into();
    other["verdict"]["said"] = "undecided".into();
    let other = other.to_string();
    let (code, said) = report(&other);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("undecided"), "{said}");
}

#[test]
fn the_step_of_the_workflows_gates() {
    let Some(python) = python() else { return };
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci");
    for workflow in ["github.yml", "gitlab.yml"] {
        let text = fs::read_to_string(examples.join(workflow)).expect("a workflow");
        for word in [
            "pip install \"$CONBENCH\"",
            "sh examples/ci/gate.sh",
            "TARGET: ",
            "ITEMS: ",
            "BASE_REF: origin/",
            "gate.json",
            "gate.xml",
        ] {
            assert!(text.contains(word), "{workflow}: {word}");
        }
    }
    let room = Room::new();
    room.git(&["checkout", "--quiet", "-b", "change"]);
    room.write("shop/scrape.py", &work(20));
    room.commit();
    let program = Path::new(common::CONBENCH).parent().expect("a folder");
    let mut path = vec![program.to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let run = |base: &str| {
        let mut command = Command::new("sh");
        command.arg(examples.join("gate.sh")).current_dir(room.tree()).stdin(Stdio::null());
        command.env("PATH", std::env::join_paths(&path).expect("a path")).env("TMPDIR", room.path("temporary"));
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("TARGET", "shop.scrape:parse").env("ITEMS", "range(9)").env("BASE_REF", base);
        command.env("GATE", format!("--engines sequential --python {python}"));
        command.env_remove("GITHUB_STEP_SUMMARY").env_remove("GITHUB_ACTIONS").output().expect("a shell")
    };
    let ran = run("main");
    assert_eq!((ran.status.code(), last_line(&ran).as_str()), (Some(10), "regressed"), "{}", said(&ran));
    let report = fs::read_to_string(room.tree().join("gate.xml")).expect("a test report");
    assert!(report.contains("<failure") && report.contains("type=\"regressed\""), "{report}");
    let saved = fs::read(room.tree().join("gate.json")).expect("saved");
    let duel: Value = serde_json::from_slice(&saved).expect("JSON");
    assert_eq!(duel["verdict"]["said"], "regressed");
    assert_ne!(run("origin/nowhere").status.code(), Some(0));
}

#[test]
fn each_side_runs_in_its_own_folder() {
    let room = Room::new();
    let script = |lines: &str| {
        room.write("job.sh", &format!("#!/bin/sh\n{lines}\n"));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(room.tree().join("job.sh"), mode).expect("set");
    };
    room.write("cmd.toml", "name = \"cmd\"\n[[step]]\nkind = \"command\"\nargv = [\"./job.sh\"]\n");
    script("exit 0");
    room.commit();
    script("sleep 0.05");
    let engine = ["--engines", "sequential", "--base", "main"];
    let ran = room.conbench(&[["gate", "cmd.toml"].as_slice(), &engine].concat());
    assert_eq!((ran.status.code(), last_line(&ran).as_str()), (Some(10), "regressed"), "{}", said(&ran));
    // An absolute name means the file of each version, too.
    let absolute = room.tree().canonicalize().expect("a folder").join("cmd.toml").display().to_string();
    let ran = room.conbench(&[["gate", &absolute].as_slice(), &engine].concat());
    assert_eq!(ran.status.code(), Some(10), "{}", said(&ran));
    let outside = room.path("outside.toml");
    fs::write(&outside, "name = \"out\"\n[[step]]\nkind = \"wait\"\ntime = \"1ms\"\n").expect("written");
    for (target, cause) in [
        (outside.display().to_string().as_str(), "is not below the current folder"),
        ("../outside.toml", "is not below the current folder"),
        ("file-io", "is shipped with conbench"),
    ] {
        let ran = room.conbench(&[["gate", target].as_slice(), &engine].concat());
        assert_eq!(ran.status.code(), Some(2), "{target}: {}", said(&ran));
        assert!(said(&ran).contains(cause), "{target}: {}", said(&ran));
    }
}

#[test]
fn each_side_has_its_own_executor() {
    let Some(python) = python() else { return };
    let room = Room::new();
    let pool = |wait: &str| {
        let lines = format!(
            "import time\nfrom concurrent.futures import ThreadPoolExecutor\n\n\nclass make(ThreadPoolExecutor):\n    \
             def submit(self, *given):\n        time.sleep({wait})\n        return super().submit(*given)\n"
        );
        room.write("pools.py", &lines);
    };
    let engine = "[[engine]]\nfactory = \"pools:make\"\nworkers = [2]\n";
    room.write("own.toml", &format!("name = \"own\"\n{engine}[[step]]\nkind = \"wait\"\ntime = \"1ms\"\n"));
    pool("0.0");
    room.commit();
    pool("0.02");
    let named = ["gate", "own.toml", "--runtimes", "python", "--python", &python, "--engines", "sequential"];
    let text = said(&room.conbench(&[&named[..], &["--base", "main"]].concat()));
    // That of the other side is about as fast.
    let of_pool = text.split("pools:make@w2").nth(1).unwrap_or_default();
    let throughput = of_pool.lines().find(|line| line.contains("throughput")).unwrap_or_default();
    assert!(throughput.contains(" -9"), "{text}");
}

#[test]
fn no_gate_passes_for_want_of_a_reader_or_of_time() {
    let Some(python) = python() else { return };
    let room = Room::new();
    room.write("shop/scrape.py", &work(20));
    let mut command = Command::new(common::CONBENCH);
    command.current_dir(room.tree()).args(gate(&python, &["--base", "main"])).env("TMPDIR", room.path("temporary"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut child = command.spawn().expect("the binary starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(10), "nobody reads, and it has regressed");
    let ran = room.conbench(&gate(&python, &["--base", "main", "--budget", "1ms", "--undecided", "pass"]));
    assert!(matches!(ran.status.code(), Some(10 | 13)), "{}", said(&ran));
    let ran = room.conbench(&gate(&python, &["--base", "main", "--runtimes", "python,rust", "--items", "[1]"]));
    assert_ne!(ran.status.code(), Some(0), "{}", said(&ran));
}
