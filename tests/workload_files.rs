//! Workload files: what is shipped, what the schema says, and what bad input gets.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use conbench::internal::cli::{check, init, list, schema};
use conbench::internal::workload::{self, Diagnostics, MAX_FILE_BYTES, Workload, shipped};
use proptest::prelude::*;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/workload.schema.json");

fn parse(text: &str) -> Result<Workload, Diagnostics> {
    workload::parse("w.toml", text)
}

/// The messages of all faults; empty for a text without one.
fn messages(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics.faults().iter().map(|fault| fault.message.clone()).collect(),
    }
}

fn rendered(text: &str) -> String {
    parse(text).map_or_else(|diagnostics| diagnostics.render(false), |_| String::new())
}

fn load_error(path: &Path) -> String {
    workload::load(path).map_or_else(|diagnostics| diagnostics.render(false), |workload| panic!("{workload:?}"))
}

fn json_of(text: &str) -> serde_json::Value {
    let table: toml::Table = toml::from_str(text).expect("the test's text is TOML");
    serde_json::to_value(table).expect("TOML without dates is JSON")
}

#[test]
fn every_shipped_workload_is_read_and_named_after_its_file() {
    for shipped in shipped::ALL {
        let workload = shipped.parse().unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        assert_eq!(workload.name, shipped.name);
        assert!(!workload.use_case.is_empty() && !workload.description.is_empty(), "{}", shipped.name);
        assert!(workload.remote_targets().is_empty(), "{}", shipped.name);
        let json = serde_json::to_string(&workload).expect("a workload is JSON");
        assert_eq!(serde_json::from_str::<Workload>(&json).ok(), Some(workload), "{}", shipped.name);
        assert!(shipped.text.contains('#'), "{} says why its numbers are what they are", shipped.name);
    }
}

#[test]
fn every_workload_file_is_shipped() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
    for entry in fs::read_dir(folder).expect("there are workloads") {
        let path = entry.expect("a folder's entry").path();
        let stem = path.file_stem().expect("a file has a stem").to_string_lossy().into_owned();
        assert!(shipped::find(&stem).is_some(), "{stem} is not carried in the binary");
    }
}

#[test]
fn the_published_schema_is_what_the_code_makes() {
    let made = schema::text(schema::Which::Workload).expect("a schema is JSON");
    if std::env::var_os("CONBENCH_BLESS").is_some() {
        fs::write(SCHEMA, &made).expect("the schema can be written");
    }
    let published = fs::read_to_string(SCHEMA).expect("the schema is published");
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("a schema is JSON");
    assert_eq!(value(&published), value(&made), "run the tests with CONBENCH_BLESS=1 to publish the new schema");
}

#[test]
fn schemas_are_schemas() {
    for which in [schema::Which::Workload, schema::Which::Record, schema::Which::Protocol] {
        let mut out = Vec::new();
        let status = schema::run(&schema::SchemaArgs { which }, &mut out, &mut Vec::new(), false);
        assert_eq!(status.expect("memory takes all"), 0);
        let value: serde_json::Value = serde_json::from_slice(&out).expect("a schema is JSON");
        jsonschema::validator_for(&value).expect("the schema is a schema");
    }
}

#[test]
fn the_schema_accepts_what_the_reader_accepts() {
    let validator = jsonschema::validator_for(&workload::schema()).expect("the schema is a schema");
    let texts = shipped::ALL.iter().map(|shipped| shipped.text).chain([init::STARTER, workload::SHORTEST]);
    for text in texts {
        let errors: Vec<String> = validator.iter_errors(&json_of(text)).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{text}");
        assert_eq!(messages(text), Vec::<String>::new());
    }
}

#[test]
fn the_schema_refuses_what_it_can_tell() {
    let validator = jsonschema::validator_for(&workload::schema()).expect("the schema is a schema");
    for text in [
        "",
        "step = []",
        "[[step]]\nkind = \"cpux\"",
        "[[step]]\nkind = \"cpu\"\nfoo = 1",
        "[[step]]\nkind = \"wait\"",
        "[[step]]\nkind = \"wait\"\ntime = 10",
        "[[step]]\nkind = \"wait\"\ntime = \"10\"",
        "[[step]]\nkind = \"cpu\"\ninput = \"1KiB\"\ntime = \"1ms\"",
        "[load]\nmax_in_flight = 0\n[[step]]\nkind = \"cpu\"",
    ] {
        assert!(!validator.is_valid(&json_of(text)), "{text}");
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn all_faults_are_reported_at_once_with_their_places() {
    let text = "nam = \"x\"\n\n[load]\nmode = \"bach\"\nmax_in_flight = 0\n\n[[step]]\nkind = \"htp\"\n\n[[step]]\nkind = \"wait\"\ntime = 10\n";
    let expected = "\
error: unknown field `nam` at the top of a workload file
 --> w.toml:1:1
  |
1 | nam = \"x\"
  | ^^^ did you mean `name`?
  |
  = help: the fields here are name, use_case, description, load, payload, resources, task_timeout, max_calls, engine, step, objective

error: `mode`: unknown word `bach`
 --> w.toml:4:8
  |
4 | mode = \"bach\"
  |        ^^^^^^ expected \"closed\" or \"batch\"
  |
  = help: did you mean \"batch\"?

error: `max_in_flight`: 0 is out of range
 --> w.toml:5:17
  |
5 | max_in_flight = 0
  |                 ^ expected a whole number, 1 to 1000000

error: unknown kind of step `htp`
 --> w.toml:8:8
  |
8 | kind = \"htp\"
  |        ^^^^^ did you mean `http`?
  |
  = help: the kinds are cpu, wait, sleep, http, tcp, file, lock, queue, event, command, python

error: `time`: found an integer
  --> w.toml:12:8
   |
12 | time = 10
   |        ^^ expected a duration, 1ns to 1h, or { p50, p99 }, or { exponential }
   |
   = help: a duration needs a unit, e.g. \"10ms\"

w.toml: 5 errors
";
    assert_eq!(rendered(text), expected);
}

#[test]
fn syntax_errors_and_other_faults_are_reported_together() {
    let text = "name = \"a\nuse_case = 1\n[[step]]\nkind = \"cpu\"\nkernel = \"looop\"\n[load\n";
    let messages = messages(text);
    assert!(messages.iter().any(|message| message == "`use_case`: found an integer"), "{messages:?}");
    assert!(messages.iter().any(|message| message == "`kernel`: unknown word `looop`"), "{messages:?}");
    assert!(messages.len() >= 4, "{messages:?}");
}

#[test]
fn a_syntax_error_does_not_make_things_missing() {
    assert_eq!(messages("[[step]]\nkind = \"wait\"\ntime = \"10ms\n").len(), 1);
    assert_eq!(messages("[[step]\nkind = \"wait\"\n"), ["unclosed array table"]);
    assert_eq!(
        messages("[[step]]\nkind = \"wait\"\ntime = 10ms\n"),
        ["a value that is neither a number nor in quotes"]
    );
    assert_eq!(messages("[[step]]\nkind = \"wait\"\ntime =\n"), ["a key without its value"]);
    let unclosed = "[[step]]\nkind = \"command\"\nargv = [\"a\"\n\n[objective]\ngoal = \"p99\"\n";
    assert_eq!(messages(unclosed), ["missing comma between array elements"]);
}

#[test]
fn each_bad_line_gets_its_own_message() {
    for (step, message) in [
        ("kind = \"cpu\"\ntime = nan", "`time`: found not a number (nan)"),
        ("kind = \"cpu\"\ntime = \"-1ms\"", "`time`: a negative duration"),
        ("kind = \"cpu\"\ntime = \"2h\"", "`time`: 2h is out of range"),
        ("kind = \"cpu\"\ninput = 4096", "`input`: found an integer"),
        ("kind = \"cpu\"\ninput = \"4096\"", "`input`: a size without its unit"),
        ("kind = \"cpu\"\ninput = \"1B\"", "`input`: 1B is out of range for the kernel loop"),
        ("kind = \"cpu\"\ninput = \"1GiB\"", "`input`: 1GiB is out of range"),
        ("kind = \"cpu\"\ninput = \"1KiB\"\ntime = \"1ms\"", "`input` and `time` exclude each other"),
        ("kind = \"cpu\"\nkernel = 1", "`kernel`: found an integer"),
        ("kind = \"wait\"", "`time` is missing in a step of kind `wait`"),
        ("kind = \"wait\"\ntime = \"0ms\"", "`time`: 0ms is out of range"),
        ("kind = \"wait\"\ntime = { p50 = \"2ms\" }", "a distribution is either `p50` and `p99`, or `exponential`"),
        ("kind = \"wait\"\ntime = { p50 = \"2ms\", p99 = \"1ms\" }", "`p99` is less than `p50`"),
        ("kind = \"wait\"\ntime = { p50 = 0, p99 = \"1ms\" }", "`p50`: found an integer"),
        ("kind = \"wait\"\ntime = { exponental = \"1ms\" }", "unknown field `exponental` in a distribution"),
        ("kind = \"http\"\nurl = \"https://localhost/\"", "`url`: TLS is not supported yet"),
        ("kind = \"http\"\nurl = \"http://localhost/\"\ndelay = \"1ms\"", "`url` and `delay` exclude each other"),
        ("kind = \"http\"\nbody = \"17MiB\"", "`body`: 17MiB is out of range"),
        ("kind = \"tcp\"\naddress = \"localhost\"", "`address`: an address without a port"),
        ("kind = \"file\"", "`operation` is missing in a step of kind `file`"),
        ("kind = \"file\"\noperation = \"read\"\nfsync = true", "a read has nothing to fsync"),
        ("kind = \"file\"\noperation = \"write\"\nfsync = 1", "`fsync`: found an integer"),
        ("kind = \"lock\"\nhold = \"1ms\"\nkernel = \"sort\"", "`kernel` belongs to computation, and this waits"),
        (
            "kind = \"lock\"\nhold = { exponential = \"1ms\" }\nwork = \"cpu\"",
            "`hold` is a distribution, and computation takes a fixed time",
        ),
        ("kind = \"queue\"\ntime = \"1ms\"\ncapacity = 0", "`capacity`: 0 is out of range"),
        ("kind = \"event\"\nround_trips = -1", "`round_trips`: -1 is out of range"),
        (
            "kind = \"event\"\nround_trips = 99999999999999999999999999",
            "`round_trips`: 99999999999999999999999999 is out of range",
        ),
        ("kind = \"command\"\nargv = []", "`argv` has 0 items"),
        ("kind = \"command\"\nargv = \"ls -l\"", "`argv`: found a string"),
        ("kind = \"command\"\nargv = [\"ls\", 1]", "an argument is a string, not an integer"),
        ("kind = \"command\"\nargv = [\"a\\u0000b\"]", "an argument cannot hold a NUL character"),
        ("kind = \"wait\"\ntime = \"40s\"", "a task takes at least 40s, and is given up after 30s"),
        ("kind = \"python\"", "a step of your own code without its function"),
        ("kind = \"python\"\nfunction = \"shop.fetch\"", "`function`: `shop.fetch` is not a name in a module"),
        ("kind = \"python\"\nfunction = \"shop:\"", "`function`: `shop:` is not a name in a module"),
        ("kind = \"python\"\nfunction = \"a:b\"\nitems = []", "`items` is an empty list, and a task needs one"),
        ("kind = \"python\"\nfunction = \"a:b\"\nitems = [1979-05-27]", "a date: write it as a string"),
        ("kind = \"python\"\nfunction = \"a:b\"\nitems = [nan]", "a float that is not a finite number"),
        ("kind = \"python\"\nfunction = \"a:b\"\nitems = 3", "`items`: found an integer"),
        ("kind = \"python\"\nfunction = \"a:b\"\ncheck = \"result\"", "`check`: `result` is not a name in a module"),
        ("kind = \"python\"\nfunction = \"a:b\"\npath = \"\"", "`path`: the text is empty"),
        ("kind = 1", "`kind` is an integer"),
        ("time = \"1ms\"", "a step without a kind"),
        ("kind = \"cpu\"\nkind = \"cpu\"", "duplicate key `kind`"),
    ] {
        assert_eq!(messages(&format!("[[step]]\n{step}\n")), [message], "{step}");
    }
}

#[test]
fn what_stands_in_the_wrong_place_is_told_the_right_one() {
    const STEP: &str = "[[step]]\nkind = \"cpu\"\n";
    for (text, place) in [
        (format!("{STEP}[limits]\np99 = \"1ms\""), "it belongs in [objective.limits]"),
        (format!("{STEP}[objective]\np99 = \"1ms\""), "it belongs in [objective.limits]"),
        (format!("max_in_flight = 3\n{STEP}"), "it belongs in [load]"),
        (format!("[load]\ntask_timeout = \"1s\"\n{STEP}"), "it belongs at the top of the file"),
        (format!("{STEP}max_in_flight = 3"), "it belongs in [load]"),
    ] {
        let shown = rendered(&text);
        assert!(shown.contains(place), "{shown}");
    }
}

#[test]
fn faults_outside_the_steps_have_messages_too() {
    for (top, message) in [
        ("name = \"\"", "`name`: the text is empty"),
        ("name = \"a\\u001b[2J\"", "`name`: the text holds a control character"),
        ("task_timeout = 30", "`task_timeout`: found an integer"),
        ("max_calls = 0", "`max_calls`: 0 is out of range"),
        ("load = 1", "`load`: found an integer"),
        ("[load]\nmode = \"batch\"", "a batch without its number of tasks"),
        ("max_calls = 4\n[load]\nmode = \"batch\"\ntasks = 5", "a batch has 5 tasks, and the session at most 4"),
        ("[load]\nmax_in_flight = 2.5", "`max_in_flight`: found a float"),
        ("[objective]\nmargin = 3", "`margin`: found an integer"),
        ("[objective]\nmargin = \"300%\"", "`margin`: 300% is out of range"),
        ("[objective]\nlimits = { p99 = 5 }", "`p99`: found an integer"),
        ("[objective.limits]\ncpu = 5", "unknown field `cpu` in [limits]"),
        ("[objective]\nlimits = { errors = -1 }", "`errors`: -1 is out of range"),
        ("[objective]\nlimits = { errors = 0.5 }", "`errors`: found a float"),
        ("[objective]\nlimits = { errors = \"101%\" }", "`errors`: 101% is out of range"),
        ("[objective]\nlimits = { errors = \"many\" }", "`errors`: a percentage without its sign"),
        ("[payload]\ninput = \"2GiB\"", "`input`: 2GiB is out of range"),
    ] {
        assert_eq!(messages(&format!("{top}\n[[step]]\nkind = \"cpu\"\n")), [message], "{top}");
    }
    for (text, message) in [
        ("name = \"x\"", "a workload needs at least one step"),
        ("step = []", "a workload needs at least one step"),
        ("step = [1]", "a step is a table, not an integer"),
        ("[step]\nkind = \"cpu\"", "`step`: found a table"),
        ("[[steps]]\nkind = \"cpu\"", "unknown field `steps` at the top of a workload file"),
    ] {
        assert_eq!(messages(text), [message], "{text}");
    }
    let many = "[[step]]\nkind = \"event\"\n".repeat(33);
    assert_eq!(messages(&many), ["33 steps, and a workload has at most 32"]);
}

#[test]
fn deep_nesting_is_an_error_and_needs_little_stack() {
    let deep = [
        format!("a = {}{}", "[".repeat(4_000), "]".repeat(4_000)),
        format!("a = {}", "[".repeat(4_000)),
        format!("a = {}1{}", "{a=".repeat(4_000), "}".repeat(4_000)),
        format!("{}a = 1", "a.".repeat(4_000)),
        format!("[{}a]", "a.".repeat(4_000)),
        format!("[[{}a]]\nb = 1", "a.".repeat(4_000)),
        format!("[[step]]\nkind = \"wait\"\ntime = {}{}", "[".repeat(4_000), "]".repeat(4_000)),
        // Levels that add up: headers, dotted keys and brackets, each below the parser's own bound.
        format!("[{0}a]\n{0}a = {1}{2}", "a.".repeat(70), "[".repeat(70), "]".repeat(70)),
    ];
    let thread = std::thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(move || deep.iter().map(|text| (text.len(), rendered(text))).collect::<Vec<_>>());
    for (length, drawn) in thread.expect("a thread starts").join().expect("no panic, no overflow") {
        assert!(drawn.starts_with("error: "), "{length}");
        assert!(drawn.len() < 100_000, "{length} bytes got {} bytes of errors", drawn.len());
    }
}

#[test]
fn a_bad_file_of_the_largest_size_gets_a_short_answer() {
    let size = MAX_FILE_BYTES as usize;
    for unit in ["x", "[", "[a]\n", "a=1\n", "\n", "[[step]]\n", "\u{e9}", "\"", "a.", "\0"] {
        let text = unit.repeat(size / unit.len());
        let drawn = rendered(&text);
        assert!(drawn.starts_with("error: "), "{unit:?}");
        assert!(drawn.len() < 400_000, "{unit:?} got {} bytes of errors", drawn.len());
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    assert!(load_error(&at("none.toml")).contains("cannot read the file: No such file or directory"));
    assert!(load_error(folder.path()).contains("is a directory"));
    fs::write(at("empty.toml"), " \n").expect("a file is written");
    assert!(load_error(&at("empty.toml")).contains("the file is empty"));
    fs::write(at("latin.toml"), b"# a\nname = \"\xe9\"\n").expect("a file is written");
    assert!(load_error(&at("latin.toml")).contains("invalid bytes at offset 12, in line 2"));
    let large = fs::File::create(at("large.toml")).expect("a file is written");
    large.set_len(100_000_000).expect("a sparse file");
    assert!(load_error(&at("large.toml")).contains("the file has 100000000 bytes, and a workload file at most 1MiB"));
    assert!(load_error(Path::new("/dev/zero")).contains("is not a regular file"));
    let fifo = at("fifo.toml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).expect("a fifo");
    assert!(load_error(&fifo).contains("is not a regular file"));
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"\x1b[2J\xff.toml"));
    assert!(!load_error(&odd).contains('\u{1b}'));
}

#[test]
fn numbers_have_all_spellings_of_toml() {
    for (number, expected) in [("1_000", 1_000), ("0x10", 16), ("+5", 5), ("0o17", 15), ("0b11", 3)] {
        let text = format!("[load]\nmax_in_flight = {number}\n[[step]]\nkind = \"cpu\"\n");
        assert_eq!(parse(&text).map(|workload| workload.load.max_in_flight()).ok(), Some(expected), "{number}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(parse("\u{feff}[[step]]\nkind = \"cpu\"\n").ok(), parse("[[step]]\nkind = \"cpu\"\n").ok());
}

#[test]
fn check_reports_every_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (good, bad) = (folder.path().join("good.toml"), folder.path().join("bad.toml"));
    fs::write(&good, workload::SHORTEST).expect("a file is written");
    fs::write(&bad, "[[step]]\nkind = \"cpv\"\n").expect("a file is written");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = check::CheckArgs { files: vec![bad.clone(), good.clone(), PathBuf::from("/nowhere")] };
    assert_eq!(check::run(&args, &mut out, &mut err, false).expect("memory takes all"), 2);
    assert_eq!(String::from_utf8_lossy(&out), format!("{}: ok\n", good.display()));
    let err = String::from_utf8_lossy(&err).into_owned();
    assert!(err.contains("did you mean `cpu`?") && err.contains("/nowhere: 1 error"), "{err}");
    let args = check::CheckArgs { files: vec![good] };
    assert_eq!(check::run(&args, &mut Vec::new(), &mut Vec::new(), false).expect("memory takes all"), 0);
}

#[test]
fn init_writes_a_workload_and_never_over_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = init::InitArgs { name: folder.path().join("mine"), items: None };
    let path = folder.path().join("mine.toml");
    let run = || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = init::run(&args, &mut out, &mut err, false).expect("memory takes all");
        (status, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned())
    };
    let shown = path.display();
    assert_eq!(run(), (0, format!("wrote {shown}; edit it, then: conbench run {shown}\n"), String::new()));
    assert_eq!(workload::load(&path).map(|workload| workload.name).ok().as_deref(), Some("mine"));
    fs::write(&path, "mine").expect("a file is written");
    let error = format!("error: `{shown}` exists already: name another file, or remove it first\n");
    assert_eq!(run(), (2, String::new(), error));
    assert_eq!(fs::read_to_string(&path).expect("the file is there"), "mine");
}

#[test]
fn every_example_of_the_starter_file_works() {
    let uncommented = init::STARTER
        .replace("# [[step]]", "[[step]]")
        .replace("# kind", "kind")
        .replace("# operation", "operation")
        .replace("# size", "size")
        .replace("# argv", "argv")
        .replace("# function", "function")
        .replace("# items", "items")
        .replace("# setup", "setup")
        .replace("# limits", "limits");
    assert_eq!(parse(&uncommented).map(|workload| workload.steps.len()).ok(), Some(5));
}

#[test]
fn list_names_all_there_is() {
    let mut out = Vec::new();
    let status = list::run(&list::ListArgs { what: Vec::new() }, &mut out, &mut Vec::new(), false);
    assert_eq!(status.expect("memory takes all"), 0);
    let out = String::from_utf8(out).expect("text");
    let names = shipped::ALL.iter().map(|shipped| shipped.name);
    let engines = conbench::internal::candidate::Engine::RUST.into_iter().map(|engine| engine.name());
    let kernels = workload::Kernel::ALL.into_iter().map(|kernel| kernel.name());
    let steps = workload::STEPS.iter().flat_map(|step| step.fields.iter().map(|field| field.name).chain([step.name]));
    for word in names.chain(engines).chain(kernels).chain(steps).chain(["max_in_flight", "[objective.limits]"]) {
        assert!(out.contains(word), "{word} is not listed");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 120), "{out}");
}

/// A shipped file with pieces cut out, doubled, moved or replaced.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..12_usize, "\\PC{0,6}|[\\[\\]{}=\"'.,\\n#0-9]{0,4}");
    (0..shipped::ALL.len(), prop::collection::vec(edit, 1..5)).prop_map(|(which, edits)| {
        let mut text: Vec<char> = shipped::ALL[which].text.chars().collect();
        for (at, cut, insert) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, insert.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = rendered(&text);
    }

    #[test]
    fn no_toml_like_text_panics(text in "([a-z]{1,3}|step|kind|time|load|[\\[\\]{}=.,\"'\\n# 0-9+-]){0,60}") {
        let _ = rendered(&text);
    }

    #[test]
    fn no_mutation_of_a_shipped_file_panics(text in mutated()) {
        match parse(&text) {
            // What is read is whole: it survives its way through the protocol and the record.
            Ok(workload) => {
                let json = serde_json::to_string(&workload).expect("a workload is JSON");
                prop_assert_eq!(serde_json::from_str::<Workload>(&json).expect("and back"), workload);
            }
            Err(diagnostics) => prop_assert!(!diagnostics.faults().is_empty() && !diagnostics.render(true).is_empty()),
        }
    }
}
