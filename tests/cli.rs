//! The real binary, its whole output, its exit codes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn conbench(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.args(args).stdin(Stdio::null()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn run(args: &[&str]) -> Ran {
    ran(conbench(args).output().expect("the binary starts"))
}

/// Runs, and compares the whole of what is written where nothing is measured.
fn refused(args: &[&str], err: &str) {
    let ran = run(args);
    assert_eq!(ran.err, err);
    assert_eq!(ran.out, "");
    assert_eq!(ran.code, Some(2));
}

#[test]
fn an_unknown_word_is_told_the_nearest() {
    refused(
        &["run", "--cpu", "--engines", "thread-pool,thread-pol"],
        "error: invalid value 'thread-pol' for '--engines <NAME,..>': unknown engine `thread-pol`, did you mean `thread-pool`?\n\nFor more information, try '--help'.\n",
    );
    refused(
        &["run", "--cpu", "--models", "asynch"],
        "error: invalid value 'asynch' for '--models <NAME,..>': unknown model `asynch`, did you mean `async`?\n\nFor more information, try '--help'.\n",
    );
    refused(
        &["run", "--cpu", "--start-methods", "frok"],
        "error: invalid value 'frok' for '--start-methods <NAME,..>': unknown start method `frok`, did you mean `fork`?\n\nFor more information, try '--help'.\n",
    );
    refused(
        &["runn"],
        "error: unrecognized subcommand 'runn'\n\n  tip: a similar subcommand exists: 'run'\n\nUsage: conbench [OPTIONS] [COMMAND]\n\nFor more information, try '--help'.\n",
    );
}

#[cfg(not(feature = "compio"))]
#[test]
fn an_engine_that_this_build_lacks_is_told_with_the_way_to_it() {
    refused(
        &["recommend", "file-io", "--engines", "compio"],
        "error: nothing of `file-io` can run here:\n  rust/compio: this build is without compio: `cargo install --path . --features compio` builds it in\n",
    );
}

/// Has the kernel refuse this process an io_uring, as the seccomp profiles of containers do.
#[cfg(feature = "compio")]
fn refuse_io_uring() -> std::io::Result<()> {
    let filter = |code: u32, jf, k| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    // The number of the system call; if it is this one, EPERM; else it is allowed.
    let mut filters = [
        filter(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, libc::SYS_io_uring_setup as u32),
        filter(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        filter(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filters.len() as u16, filter: filters.as_mut_ptr() };
    // SAFETY: the filters live until the kernel has copied them.
    let is_set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if is_set { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(feature = "compio")]
#[test]
fn where_io_uring_is_refused_compio_is_left_out_with_that_reason() {
    use std::os::unix::process::CommandExt as _;
    let mut command = conbench(&["recommend", "file-io", "--engines", "compio"]);
    // SAFETY: between fork and exec it makes two system calls and takes no lock.
    let ran = ran(unsafe { command.pre_exec(refuse_io_uring) }.output().expect("the binary starts"));
    let said = "error: nothing of `file-io` can run here:\n  rust/compio: there is no io_uring here: Operation not permitted (os error 1);";
    assert!(ran.err.starts_with(said) && ran.err.contains("seccomp"), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
}

#[test]
fn a_workload_is_asked_for_once() {
    const FUNCTIONS: &str = "--python-function <MODULE:NAME>|--python-async-function <MODULE:NAME>";
    let what = format!("<TARGET|--cpu|--io|--mixed|{FUNCTIONS}>");
    refused(
        &["run"],
        &format!(
            "error: the following required arguments were not provided:\n  {what}\n\nUsage: conbench run {what}\n\nFor more information, try '--help'.\n"
        ),
    );
    let both = run(&["run", "--cpu", "--io"]);
    assert!(both.err.starts_with("error: the argument '--cpu' cannot be used with '--io'\n"), "{}", both.err);
    assert_eq!(both.code, Some(2));
    for verb in ["run", "plan", "recommend"] {
        let both = run(&[verb, "file-io", "--python-function", "shop:fetch"]);
        let wrong = "error: --python-function tells of one function of yours, and `file-io` is a workload: ";
        assert!(both.err.starts_with(wrong), "{}", both.err);
        assert_eq!(both.code, Some(2));
        let twice = run(&[verb, "shop:fetch", "--python-function", "shop:fetch"]);
        assert!(twice.err.contains("the function is named twice"), "{}", twice.err);
        assert_eq!(twice.code, Some(2));
        let nowhere = run(&[verb, "nowhere/scrape.py:parse"]);
        assert!(nowhere.err.contains("there is no file `nowhere/scrape.py`"), "{}", nowhere.err);
        assert_eq!(nowhere.code, Some(2));
    }
    let items_alone = run(&["recommend", "--items", "[1]"]);
    assert!(
        items_alone.err.contains("--items tells of one function of yours, and no function is named"),
        "{}",
        items_alone.err
    );
    assert_eq!(items_alone.code, Some(2));
}

#[test]
fn the_name_alone_says_what_to_type_first() {
    let ran = run(&[]);
    assert!(ran.err.contains("conbench recommend shop.scrape:parse --items items"), "{}", ran.err);
    assert!(ran.err.lines().count() <= 10, "{}", ran.err);
    assert_eq!(ran.code, Some(2));
    let ran = run(&["recommend", "shop:fetch", "shop:parse", "--items", "[1]"]);
    assert!(ran.err.contains("there are several targets"), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
}

#[test]
fn a_function_gets_a_workload_file_of_its_own() {
    let place = tempfile::tempdir().expect("a directory");
    let init = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_conbench"));
        command.arg("init").args(args).current_dir(place.path()).output().expect("it runs")
    };
    assert!(init(&["shop.scrape:parse"]).status.success());
    let text = std::fs::read_to_string(place.path().join("parse.toml")).expect("the file");
    assert!(text.contains("function = \"shop.scrape:parse\""), "{text}");
    assert!(text.contains("# setup = \"shop.scrape:setup\""), "{text}");
    let workload = conbench::internal::workload::parse("parse.toml", &text).expect("a workload");
    assert_eq!(workload.name, "parse");
    assert!(!init(&["shop.scrape:parse"]).status.success(), "it is there already");
    // With what it is called, the file is complete.
    for (name, items, line) in [
        ("shop:named", "shop:pages", "items = \"shop:pages\""),
        ("shop:GET_ITEMS", "pages", "items = \"shop:pages\""),
        ("shop:listed", "[1, \"two\", [3.5, true]]", "items = [1,\"two\",[3.5,true]]"),
    ] {
        assert!(init(&[name, "--items", items]).status.success(), "{items}");
        let path = place.path().join(name.replace("shop:", "") + ".toml");
        let text = std::fs::read_to_string(path).expect("the file");
        assert!(text.contains(line), "{text}");
    }
    for (name, items) in [("shop:other", "range(9)"), ("shop:other", "[null]"), ("shop:other", "[]"), ("plain", "[1]")]
    {
        let ran = init(&[name, "--items", items]);
        assert_eq!(ran.status.code(), Some(2), "{items}");
        assert!(String::from_utf8_lossy(&ran.stderr).contains("--items"), "{items}");
    }
    assert!(!place.path().join("other.toml").exists() && !place.path().join("plain.toml").exists());
}

#[test]
fn a_function_of_a_file_gets_a_workload_file_of_its_own() {
    let place = tempfile::tempdir().expect("a directory");
    let at = |name: &str| place.path().join(name);
    std::fs::create_dir(at("shop")).expect("a directory");
    std::fs::write(at("shop/scrape.py"), "async def fetch(page):\n    return page\n").expect("written");
    let init = |name: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_conbench"));
        command.args(["init", name]).current_dir(place.path()).output().expect("it runs")
    };
    assert!(init("shop/scrape.py:fetch").status.success());
    let text = std::fs::read_to_string(at("fetch.toml")).expect("the file");
    assert!(text.contains("async_function = \"scrape:fetch\"") && text.contains("path = \"shop\""), "{text}");
    conbench::internal::workload::parse("fetch.toml", &text).expect("a workload");
    for wrong in ["shop/scrap.py:fetch", "shop/scrape.py", "shop:1fetch"] {
        assert_eq!(init(wrong).status.code(), Some(2), "{wrong}");
    }
    let mut left: Vec<_> =
        std::fs::read_dir(place.path()).expect("a directory").flatten().map(|it| it.file_name()).collect();
    left.sort();
    assert_eq!(left, ["fetch.toml", "shop"]);
}

#[test]
fn a_budget_needs_a_unit_and_some_time() {
    let ran = run(&["run", "--cpu", "--budget", "20"]);
    assert!(ran.err.contains("a duration needs a number and a unit, e.g. 20s or 5m"), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
    let ran = run(&["run", "--cpu", "--budget", "0s"]);
    assert!(ran.err.contains("nothing can be measured in no time"), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
    assert_eq!(run(&["run", "--cpu", "--workers", "0"]).code, Some(2));
}

#[test]
fn a_name_that_is_no_workload_is_told_the_nearest() {
    refused(
        &["run", "web-scrapin"],
        "error: `web-scrapin` is neither a file nor a shipped workload: did you mean `web-scraping`?\n",
    );
    let place = tempfile::tempdir().expect("a directory");
    let file = |name: &str| place.path().join(name).display().to_string();
    std::fs::write(file("export.toml"), "").expect("written");
    std::fs::write(file("scrape.py"), "").expect("written");
    for (named, told) in [
        (file("export.tml"), format!("did you mean `{}`?", file("export.toml"))),
        (file("exprt.toml"), format!("did you mean `{}`?", file("export.toml"))),
        (file("scrap.py:parse"), format!("did you mean `{}:parse`?", file("scrape.py"))),
        (file("scrape"), format!("did you mean `{}:NAME`?", file("scrape.py"))),
        (file("scrape.py"), format!("name a function of it, as `{}:NAME`", file("scrape.py"))),
        ("shop.scrape".to_owned(), "a function of a module is written `shop.scrape:NAME`".to_owned()),
    ] {
        let ran = run(&["plan", &named]);
        assert!(ran.err.contains(&told) && ran.code == Some(2), "{named}: {}", ran.err);
    }
    refused(
        &["plan", "xyzzy"],
        "error: `xyzzy` is neither a file nor a shipped workload: `conbench list` shows those that are, `conbench init` writes a new file; a function is written `module:function` or `file.py:function`\n",
    );
}

#[test]
fn every_bad_file_is_told_at_once() {
    let ran = run(&["recommend", "web-scrapin", "no-such.toml", "file-i"]);
    for named in ["`web-scrapin`", "no-such.toml", "`file-i`"] {
        assert!(ran.err.contains(named), "{}", ran.err);
    }
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
}

#[test]
fn a_remote_target_is_refused_before_anything_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("remote.toml");
    std::fs::write(&file, "[[step]]\nkind = \"http\"\nurl = \"http://example.com/\"\n").expect("written");
    refused(
        &["run", file.to_str().expect("UTF-8")],
        "error: `remote` reaches `http://example.com/`, which is not this host: add --allow-remote if its owner agrees (`conbench plan` shows how many calls are foreseen)\n",
    );
}

#[test]
fn a_plan_says_when_measuring_needs_a_permission() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("remote.toml");
    std::fs::write(&file, "[[step]]\nkind = \"http\"\nurl = \"http://example.com/\"\n").expect("written");
    let plan = |args: &[&str]| {
        let ran = run(&[&["plan", "--format", "markdown"], args].concat());
        assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
        ran.out
    };
    let file = file.to_str().expect("UTF-8");
    assert!(plan(&[file]).contains("\n- to measure it, add --allow-remote: its targets are not this host\n"));
    assert!(!plan(&[file, "--allow-remote"]).contains("allow-remote"));
    assert!(!plan(&["web-scraping"]).contains("allow-remote"));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    refused(
        &["serve", "--http-port", &port],
        &format!(
            "error: cannot listen on 127.0.0.1:{port}: Address already in use (os error 98); name another port, or 0 for any that is free\n"
        ),
    );
}

#[test]
fn the_help_names_the_budgets_that_hold() {
    let help = run(&["run", "--help"]).out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("[default: 20s for each workload and runtime; it is rarely used up]"), "{help}");
    let planned = run(&["plan", "web-scraping", "--format", "json", "--runtimes", "rust"]).out;
    let value: serde_json::Value = serde_json::from_str(&planned).expect("JSON");
    assert_eq!(value["settings"]["budget_ns"], 20_000_000_000_u64);
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_anything_runs() {
    refused(
        &["run", "--cpu", "--output", "/no-such-directory/record.json"],
        "error: cannot write `/no-such-directory/record.json`: there is no directory `/no-such-directory`\n",
    );
    refused(&["run", "--cpu", "--output", "/"], "error: cannot write `/`: it is a directory; name a file in it\n");
    refused(
        &["recommend", "file-io", "--output", "/dev/null"],
        "error: cannot write `/dev/null`: it is not a regular file; name one, or a new one\n",
    );
}

#[test]
fn a_record_that_is_none_is_refused() {
    refused(&["report", "no-such.json"], "error: cannot read `no-such.json`: No such file or directory (os error 2)\n");
    let directory = tempfile::tempdir().expect("a directory");
    let text = |content: &str| {
        let file = directory.path().join("record.json");
        std::fs::write(&file, content).expect("written");
        let ran = run(&["report", file.to_str().expect("UTF-8")]);
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
        ran.err
    };
    assert!(text("not json").contains("is not a conbench record: expected"));
    assert!(text("{\"format_version\": 999}").contains("has record format 999"));
    assert!(text("{\"format_version\": 4}").contains("missing field `records`"));
    assert!(text("{\"format_version\": 999, \"sheet\": {}}").contains("has cheat sheet format 999"));
    assert!(text("{\"format_version\": 1, \"sheet\": {}}").contains("is not a conbench cheat sheet: missing field"));
}

#[test]
fn a_record_is_explained_step_by_step() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/web-scraping.json");
    let whole = run(&["explain", sample]);
    assert_eq!((whole.err.as_str(), whole.code), ("", Some(0)));
    let steps = [
        "Host\n",
        "\nThe answer as it became\n",
        "\nHow each candidate stands\n",
        "\nConclusion\n",
        "\nSure? ",
        "\nWhy: ",
    ];
    let places: Vec<Option<usize>> = steps.iter().map(|step| whole.out.find(step)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{}", whole.out);
    assert!(whole.out.lines().all(|line| line.chars().count() <= 100), "{}", whole.out);
    assert!(!whole.out.contains('\u{1b}'));
    assert!(run(&["explain", sample, "--colour", "always"]).out.contains('\u{1b}'));

    let text = std::fs::read_to_string(sample).expect("the sample record");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let name = value["records"][0]["workload"]["name"].as_str().expect("a name");
    assert_eq!(run(&["explain", sample, "--workload", name]).out, whole.out);
    let ran = run(&["explain", sample, "--workload", &format!("{name}x")]);
    let expected = format!("error: the record holds no workload `{name}x`: did you mean `{name}`?\n");
    assert_eq!((ran.out.as_str(), ran.err, ran.code), ("", expected, Some(2)));
    let ran = run(&["explain", sample, "--workload", "?"]);
    assert_eq!(ran.err, format!("error: the record holds no workload `?`: it holds `{name}`\n"));
}

#[test]
fn what_is_no_record_is_not_explained() {
    refused(
        &["explain", "no-such.json"],
        "error: cannot read `no-such.json`: No such file or directory (os error 2)\n",
    );
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("record.json");
    for (content, fault) in [
        ("{", "is not a conbench record: EOF"),
        ("{\"format_version\": 999}", "has record format 999"),
        ("{\"format_version\": 1, \"sheet\": {}}", "is a cheat sheet: `conbench report"),
    ] {
        std::fs::write(&file, content).expect("written");
        let ran = run(&["explain", file.to_str().expect("UTF-8")]);
        assert!(ran.err.contains(fault), "{}", ran.err);
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
    }
}

#[test]
fn a_plan_in_json_is_json_alone() {
    let ran = run(&["plan", "web-scraping", "--format", "json", "--runtimes", "rust"]);
    assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
    let value: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON and nothing else");
    assert_eq!(value["format_version"], 4);
    assert_eq!(value["workload"]["name"], "web-scraping");
    assert_eq!(value["settings"]["seed"], 1);
}

#[test]
fn colour_is_asked_for_or_absent() {
    let escape = '\u{1b}';
    assert!(!run(&["plan", "web-scraping"]).out.contains(escape));
    assert!(run(&["plan", "web-scraping", "--colour", "always"]).out.contains(escape));
    assert!(run(&["--color=always", "plan", "web-scraping"]).out.contains(escape));
    assert!(!run(&["plan", "web-scraping", "--colour", "never"]).out.contains(escape));
    let mut quiet = conbench(&["plan", "web-scraping", "--colour", "auto"]);
    assert!(!ran(quiet.env("NO_COLOR", "1").output().expect("starts")).out.contains(escape));
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&["completions", shell]);
        assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
        assert!(ran.out.contains("recommend"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ran = ran(conbench(&["completions", "bash"]).stdout(writer).stderr(Stdio::piped()).output().expect("starts"));
    assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
}

#[test]
fn a_full_disk_is_an_error() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let out = std::fs::File::options().write(true).open(full).expect("opens");
    let ran = ran(conbench(&["plan", "web-scraping"]).stdout(out).stderr(Stdio::piped()).output().expect("starts"));
    assert!(ran.err.starts_with("error: cannot write to standard output: "), "{}", ran.err);
    assert_eq!(ran.code, Some(74));
}

#[test]
fn help_and_version_are_results() {
    let help = run(&["--help"]);
    assert_eq!((help.err.as_str(), help.code), ("", Some(0)));
    assert!(help.out.contains("130  interrupted by a signal"));
    assert_eq!(run(&["--version"]).out, format!("conbench {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_self_test_tells_why_an_interpreter_cannot_take_part() {
    let ran = run(&["selftest", "--python", "/no/such/python"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.starts_with("error: /no/such/python: "), "{}", ran.err);
    refused(
        &["selftest", "--native-only", "--python", "python3"],
        "error: the argument '--native-only' cannot be used with '--python <PATH>'\n\nUsage: conbench selftest --native-only [LAW]\n\nFor more information, try '--help'.\n",
    );
}
