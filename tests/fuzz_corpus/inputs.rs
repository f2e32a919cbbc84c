//! What is done with bytes that others wrote, all in memory, and the laws that hold for any bytes. The targets of `fuzz/` call
//! these functions, and `tests/fuzz_corpus.rs` does with each file of the corpus.

use conbench::internal::agent::steps::codec::response;
use conbench::internal::analyze::sessions::{Session, compare};
use conbench::internal::analyze::{again, analyze, duel};
use conbench::internal::candidate::Sizes;
use conbench::internal::cheatsheet::sheet::Sheet;
use conbench::internal::escape::steers;
use conbench::internal::host::{Facts, FileSystem, ResourceLimits};
use conbench::internal::plan::{Entry, Runtime, Settings, nominal_cpu_ns, of_tasks, plan};
use conbench::internal::protocol::{Block, Hello, HistogramData, Reference, Reply, draw_table};
use conbench::internal::report::{self, Candidates, Export, Judged, PageOptions, Style, View};
use conbench::internal::server::http::asked;
use conbench::internal::session::frames::{Frames, reply};
use conbench::internal::session::simulated::Simulation;
use conbench::internal::session::spoken::Spoken;
use conbench::internal::stats::{merged, percentile};
use conbench::internal::workload::{Goal, Step, Workload, parse};
use conbench::record::duel::DuelRecord;
use conbench::record::{Document, score};

const PLAIN: Style = Style { width: 100, colour: false };
const BUDGET_NS: u64 = 20_000_000_000;
/// No histogram takes more, whatever its text says: its values are of 64 bits, with three digits.
const MOST_BUCKETS: usize = 1 << 17;

/// The text of a workload file: read, written as a record has it, planned, and what is wrong with it told.
pub fn workload(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let workload = match parse("fuzzed.toml", text) {
        Ok(workload) => workload,
        Err(faults) => {
            assert!(!faults.faults().is_empty(), "refused for nothing");
            is_harmless(&faults.render(false));
            return drop(faults.render(true));
        }
    };
    let written = serde_json::to_string(&workload).expect("a workload is written");
    assert_eq!(serde_json::from_str::<Workload>(&written).expect("and read"), workload);
    workload.remote_targets().into_iter().for_each(|target| assert!(!target.is_empty()));
    for distribution in workload.steps.iter().flat_map(Step::distributions).take(2) {
        assert!(draw_table(distribution, 1, 0).iter().max() >= Some(&distribution.quantile_ns(0.5)));
    }
    for tasks in [None, Some(1), Some(u32::MAX)] {
        planned(&of_tasks(workload.clone(), tasks, BUDGET_NS));
    }
}

fn planned(workload: &Workload) {
    assert!(nominal_cpu_ns(workload) >= 0.0);
    let settings = Settings { budget_ns: BUDGET_NS, ..Settings::default() };
    let python = Runtime { name: "python3.11".to_owned(), language: "python".to_owned(), ..Runtime::rust() };
    let planned = plan(workload, &settings, &facts(), &[Runtime::rust(), python]);
    let written = serde_json::to_string(&planned).expect("a plan is written");
    assert_eq!(serde_json::from_str::<conbench::internal::plan::Plan>(&written).expect("and read"), planned);
    for entry in &planned.entries {
        assert!([&entry.workers, &entry.in_flight, &entry.chunk].iter().all(|sizes| sizes.is_sorted()));
    }
    is_harmless(&report::plan_table(workload, &planned, PLAIN));
    is_harmless(&report::plan_markdown(workload, &planned));
}

/// What an agent sends: each frame for itself, then all of them as a session.
pub fn frames(bytes: &[u8]) {
    let mut frames = Frames::default();
    for piece in bytes.chunks(1000) {
        frames.extend(piece);
        while let Ok(Some(line)) = frames.line() {
            match reply(&line, "in a test") {
                Ok(reply) => one_frame(&reply),
                Err(fault) => assert!(!format!("{fault:?}").is_empty()),
            }
        }
    }
    let mut spoken = Spoken::new(bytes);
    let Ok(prepared) = spoken.prepare() else { return };
    let (record, _) = spoken.run(&simulation(&prepared.hello), prepared.reference);
    let written = serde_json::to_string(&record).expect("a record is written");
    let read: conbench::record::Record = serde_json::from_str(&written).expect("and read");
    assert_eq!(serde_json::to_string(&read).expect("and written"), written);
    let judged = Judged { verdict: analyze(&record), record };
    is_harmless(&report::table(candidates(), PLAIN).document(&[judged]));
}

fn one_frame(reply: &Reply) {
    let written = serde_json::to_vec(reply).expect("a frame is written");
    assert_eq!(&serde_json::from_slice::<Reply>(&written).expect("and read"), reply);
    match reply {
        Reply::Block(block) => one_block(block),
        Reply::Hello(hello) => drop(Runtime::of(&hello.language, hello)),
        Reply::Reference(reference) => {
            let items = [0, 1, u64::MAX].map(|task| reference.item(task));
            assert!(reference.distinct == 0 || items.iter().all(|item| *item < reference.distinct));
            let _ = reference.library_threads.as_ref().map(|threads| threads.compute());
            let _ = reference.serialisation.map(|parts| parts.shared_by(3));
        }
        _ => {}
    }
}

fn one_block(block: &Block) {
    let histograms: Vec<_> = [&block.service, &block.queueing].into_iter().flat_map(HistogramData::decode).collect();
    for histogram in &histograms {
        assert!(histogram.distinct_values() <= MOST_BUCKETS, "{}", histogram.distinct_values());
    }
    if let Ok(Some(all)) = merged(&histograms) {
        assert!(percentile(&all, 0.99).is_none_or(|value| value <= all.max()));
        let written = HistogramData::encode(&all).and_then(|text| text.decode());
        assert!(written.is_err() || written.is_ok_and(|read| read == all));
    }
    for goal in [Goal::Throughput, Goal::P99, Goal::CpuPerTask, Goal::Memory] {
        assert!(score(goal, block, Some(1)).is_none_or(|score| !score.is_nan()));
    }
    let _ = Reference::default().expected_of(block);
    drop(block.clone().counted_by_cpu(2.0, 64));
}

/// A session of the runtime that an agent says it is.
fn simulation(hello: &Hello) -> Simulation {
    let is_python = hello.language == "python";
    let text = if is_python { OWN_CODE } else { KERNEL };
    let workload = parse("fuzzed.toml", text).expect("a workload");
    let engines = if is_python { ["sequential", "ThreadPoolExecutor"] } else { ["sequential", "thread-pool"] };
    let entry = |engine: &str| Entry {
        runtime: hello.language.clone(),
        engine: serde_json::from_value(engine.into()).expect("an engine"),
        start_method: None,
        library_threads: None,
        default_sizes: if engine == "sequential" {
            Sizes::default()
        } else {
            Sizes { workers: Some(2), ..Sizes::default() }
        },
        in_flight: Vec::new(),
        workers: if engine == "sequential" { Vec::new() } else { vec![1, 2] },
        chunk: Vec::new(),
    };
    Simulation {
        workload,
        settings: Settings { budget_ns: BUDGET_NS, ..Settings::default() },
        entries: engines.map(entry).to_vec(),
        usable_cores: 2.0,
        has_lock: hello.gil == Some(true),
        prepared_ns: 1_000_000,
    }
}

const KERNEL: &str = "[[step]]\nkind = \"cpu\"\n";
const OWN_CODE: &str = "[[step]]\nkind = \"python\"\nfunction = \"work:task\"\nitems = \"work:items\"\n";

/// A file that `conbench report` is given: records, a cheat sheet or a duel, in every format.
pub fn record(bytes: &[u8]) {
    let mut document = match Document::parse("fuzzed.json".to_owned(), bytes) {
        Ok(document) => document,
        Err(fault) => return drop(fault.to_string()),
    };
    if let Some(sheet) = document.take("sheet") {
        return Sheet::read(sheet).map_or((), |sheet| one_sheet(&sheet));
    }
    if let Some(fought) = document.take("duel") {
        return serde_json::from_value(fought).map_or((), |fought| one_duel(&fought));
    }
    let Some(all) = judged(document) else { return };
    let written = report::records_json(&all).expect("records are written");
    let read = judged(Document::parse(String::new(), written.as_bytes()).expect("JSON")).expect("and read");
    let again = report::records_json(&read).expect("and written");
    assert_eq!(again, written, "written twice");
    for text in texts(&all) {
        is_harmless(&text);
    }
    let options = PageOptions { with_record: true, home: Some("/home/me".to_owned()) };
    drop(report::page(&all, &options).expect("a page"));
}

fn judged(document: Document) -> Option<Vec<Judged>> {
    let records = document.records_beside("verdict").ok()?;
    Some(records.into_iter().map(|(record, verdict)| Judged { verdict: again(&record, verdict), record }).collect())
}

fn candidates() -> View {
    View::Candidates(Candidates { all: true, details: true })
}

/// Records as text in every format that is no JSON.
fn texts(all: &[Judged]) -> Vec<String> {
    let mut texts = vec![report::codes().document(all)];
    for view in [candidates(), View::Answer, View::Choice] {
        texts.push(report::table(view, PLAIN).document(all));
        texts.push(report::markdown(view).document(all));
    }
    for format in [Export::Csv, Export::Junit, Export::Github] {
        texts.push(report::export(format, all).expect("an export"));
    }
    for format in [Export::Jsonl, Export::Bmf, Export::Gab] {
        drop(report::export(format, all).expect("an export"));
    }
    texts.extend(all.iter().map(|judged| report::explanation(judged, PLAIN)));
    let sessions: Vec<Session<'_>> = all.iter().map(|Judged { record, verdict }| Session { record, verdict }).collect();
    let comparison = compare(&sessions, &sessions, true);
    texts.push(report::comparison_table(&comparison, PLAIN));
    texts.push(report::comparison_markdown(&comparison));
    texts
}

fn one_sheet(sheet: &Sheet) {
    is_harmless(&report::cheatsheet_table(sheet, &[], PLAIN));
    is_harmless(&report::cheatsheet_markdown(sheet, &[]));
    drop(report::cheatsheet_json(sheet, &[]).expect("a sheet is written"));
    let options = PageOptions { with_record: false, home: Some("/home/me".to_owned()) };
    drop(report::cheatsheet_page(sheet, &[], &options).expect("a page"));
}

fn one_duel(record: &DuelRecord) {
    let verdict = duel::duel(record);
    is_harmless(&report::duel_table(record, &verdict, PLAIN));
    is_harmless(&report::duel_markdown(record, &verdict));
    is_harmless(&report::duel_sentence(record, &verdict));
    drop(report::duel_json(record, &verdict).expect("a duel is written"));
    is_harmless(&report::duel_junit(record, &verdict).expect("a duel is written"));
}

/// Heads of HTTP, after a byte that says how they come: requests that the embedded server reads, responses that steps read.
pub fn http(bytes: &[u8]) {
    let Some((how, stream)) = bytes.split_first() else { return };
    if how % 2 == 1 {
        return request(stream);
    }
    // Its codec has room for all of it at once.
    let whole = response(stream, &[usize::MAX], stream.len());
    let pieces = response(stream, &[1 + usize::from(how / 16), 1 + usize::from(how % 16)], usize::from(*how) * 8);
    match (whole, pieces) {
        // What came beyond the response in one piece is known to have come.
        (Ok(whole), Ok(pieces)) => {
            assert_eq!((whole.status, &whole.body), (pieces.status, &pieces.body));
            assert!(pieces.reusable || !whole.reusable);
        }
        (Err(whole), Err(pieces)) => assert_eq!(whole, pieces),
        (whole, pieces) => panic!("{whole:?} at once, {pieces:?} in pieces"),
    }
}

fn request(head: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(_)) = request.parse(head) else { return };
    let (Some(method), Some(target)) = (request.method, request.path) else { return };
    let (Ok(method), Ok(uri)) = (method.parse(), target.parse()) else { return };
    match asked(&method, &uri) {
        Ok(query) => {
            let target =
                format!("/?delay_ns={}&body_bytes={}&variant={}", query.delay_ns, query.body_bytes, query.variant);
            assert_eq!(asked(&method, &target.parse().expect("a target")), Ok(query));
        }
        Err((status, message)) => assert!(status.is_client_error() && !message.is_empty()),
    }
}

/// Text for people never steers a terminal.
fn is_harmless(text: &str) {
    let steering = text.chars().find(|c| steers(*c) && *c != '\n');
    assert!(steering.is_none(), "{steering:?} in {text:?}");
}

/// A host with four cores.
fn facts() -> Facts {
    let unknown = String::new;
    Facts {
        os: unknown(),
        kernel: unknown(),
        cpu: unknown(),
        cpus_online: 4,
        cpus_affinity: 4,
        cpu_quota: None,
        memory_total_bytes: 8 << 30,
        memory_available_bytes: 4 << 30,
        memory_limit_bytes: None,
        clock_source: None,
        governor: None,
        virtual_machine: None,
        load_average: 0.0,
        limits: ResourceLimits { open_files: Some(1024), processes: None, cgroup_processes: None },
        session_directory: FileSystem { path: unknown(), kind: unknown() },
    }
}
