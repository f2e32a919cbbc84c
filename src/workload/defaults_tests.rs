//! Each documented default, tested.

use super::*;

const MS: u64 = 1_000_000;

fn workload(text: &str) -> Workload {
    parse("some/dir/my-load.toml", text).unwrap_or_else(|faults| panic!("{faults}"))
}

fn step(text: &str) -> Step {
    workload(&format!("[[step]]\n{text}\n")).steps.remove(0)
}

#[test]
fn two_lines_are_a_workload() {
    let expected = Workload {
        name: "my-load".to_owned(),
        use_case: String::new(),
        description: String::new(),
        load: Load::Closed { max_in_flight: 64 },
        tasks: None,
        steps: vec![Step::Cpu(Cpu { kernel: Kernel::Loop, input_bytes: 8_192, time_ns: Some(MS) })],
        payload: Payload { input_bytes: 0, output_bytes: 0 },
        objective: Objective {
            goal: Goal::Throughput,
            tolerance: None,
            limits: Limits { p99_ns: None, memory_bytes: None, errors: ErrorLimit::Tasks(0) },
        },
        task_timeout_ns: 30_000 * MS,
        max_calls: None,
        resources: Resources::default(),
        engines: Vec::new(),
        rate: None,
    };
    assert_eq!(workload(SHORTEST), expected);
}

#[test]
fn a_table_without_fields_is_its_defaults() {
    let text = "[load]\n[payload]\n[objective]\n[objective.limits]\n[[step]]\nkind = \"cpu\"\n";
    assert_eq!(workload(text), workload(SHORTEST));
}

#[test]
fn a_rate_has_a_burst_of_one() {
    let rate = |lines: &str| workload(&format!("[load]\n{lines}\n[[step]]\nkind = \"cpu\"\n")).rate;
    assert_eq!(rate(""), None);
    let fifty = Rate { tasks: 50, period_ns: 1_000_000_000, burst: 1 };
    assert_eq!(rate("rate = \"50/s\""), Some(fifty));
    assert_eq!(rate("rate = \"50/s\"\nburst = 10"), Some(Rate { burst: 10, ..fifty }));
    assert_eq!(rate("mode = \"batch\"\ntasks = 9\nrate = \"3000/min\"").map(Rate::per_s), Some(50.0));
}

#[test]
fn failed_tasks_are_limited_by_a_number_or_a_share() {
    let errors = |text: &str| {
        let limits = format!("[objective]\nlimits = {{ errors = {text} }}\n[[step]]\nkind = \"cpu\"");
        workload(&limits).objective.limits.errors
    };
    assert_eq!((errors("7"), errors("\"1%\"")), (ErrorLimit::Tasks(7), ErrorLimit::Share(0.01)));
    assert_eq!((errors("0"), errors("\"0 %\"")), (ErrorLimit::default(), ErrorLimit::default()));
}

#[test]
fn each_kernel_has_an_input_of_its_own() {
    for kernel in Kernel::ALL {
        let text = format!("kind = \"cpu\"\nkernel = \"{}\"", kernel.name());
        let input_bytes = kernel.default_input_bytes();
        assert_eq!(step(&text), Step::Cpu(Cpu { kernel, input_bytes, time_ns: Some(MS) }));
        let (least, most) = kernel.input_bounds();
        assert!((least..=most).contains(&input_bytes), "{}", kernel.name());
    }
}

#[test]
fn an_input_is_one_iteration() {
    let cpu = Cpu { kernel: Kernel::Json, input_bytes: 32_768, time_ns: None };
    assert_eq!(step("kind = \"cpu\"\nkernel = \"json\"\ninput = \"32KiB\""), Step::Cpu(cpu));
}

#[test]
fn a_batch_has_the_cap_of_a_closed_load() {
    let text = "[load]\nmode = \"batch\"\ntasks = 500\n[[step]]\nkind = \"cpu\"";
    assert_eq!(workload(text).load, Load::Batch { tasks: 500, max_in_flight: 64 });
}

#[test]
fn a_number_of_tasks_is_the_users_whatever_the_mode() {
    let all = |load: &str| {
        let workload = workload(&format!("[load]\n{load}\n[[step]]\nkind = \"cpu\""));
        (matches!(workload.load, Load::Batch { .. }), workload.all_tasks())
    };
    assert_eq!(all("mode = \"batch\"\ntasks = 500"), (true, Some(500)));
    assert_eq!(all("tasks = 500"), (false, Some(500)));
    assert_eq!(all(""), (false, None));
}

#[test]
fn requests_go_to_the_embedded_server_and_keep_their_connection() {
    let delay = Distribution::Fixed { time_ns: 0 };
    let connection = Connection::KeepAlive;
    assert_eq!(step("kind = \"http\""), Step::Http { url: None, delay, body_bytes: 1_024, connection });
    let tcp = Step::Tcp { address: None, delay, request_bytes: 64, response_bytes: 64, connection };
    assert_eq!(step("kind = \"tcp\""), tcp);
}

#[test]
fn only_an_append_is_followed_by_fsync() {
    for (word, operation, fsync) in [
        ("read", FileOperation::Read, false),
        ("write", FileOperation::Write, false),
        ("append", FileOperation::Append, true),
    ] {
        let found = step(&format!("kind = \"file\"\noperation = \"{word}\""));
        assert_eq!(found, Step::File { operation, size_bytes: 16_384, fsync });
    }
    let text = "kind = \"file\"\noperation = \"append\"\nfsync = false";
    assert!(matches!(step(text), Step::File { fsync: false, .. }));
}

#[test]
fn a_lock_and_a_queue_wait_unless_they_compute() {
    let time = Distribution::Fixed { time_ns: 2 * MS };
    let cpu = Cpu { kernel: Kernel::Loop, input_bytes: 8_192, time_ns: Some(2 * MS) };
    assert_eq!(step("kind = \"lock\"\nhold = \"2ms\""), Step::Lock { hold: Work::Wait { time } });
    assert_eq!(step("kind = \"lock\"\nhold = \"2ms\"\nwork = \"cpu\""), Step::Lock { hold: Work::Cpu(cpu) });
    let queue = |stage| Step::Queue { capacity: 64, stage };
    assert_eq!(step("kind = \"queue\"\ntime = \"2ms\""), queue(Work::Wait { time }));
    let sort = Cpu { kernel: Kernel::Sort, ..cpu };
    let text = "kind = \"queue\"\ntime = \"2ms\"\nwork = \"cpu\"\nkernel = \"sort\"";
    assert_eq!(step(text), queue(Work::Cpu(sort)));
}

#[test]
fn an_event_makes_one_round_trip_and_a_command_ends_with_zero() {
    assert_eq!(step("kind = \"event\""), Step::Event { round_trips: 1 });
    let command = Step::Command { argv: vec!["true".to_owned()], expect_status: 0 };
    assert_eq!(step("kind = \"command\"\nargv = [\"true\"]"), command);
}

#[test]
fn distributions_have_three_spellings() {
    let time = |text: &str| match step(&format!("kind = \"wait\"\ntime = {text}")) {
        Step::Wait { time } => time,
        other => panic!("{other:?}"),
    };
    assert_eq!(time("\"1ms\""), Distribution::Fixed { time_ns: MS });
    assert_eq!(time("{ exponential = \"1ms\" }"), Distribution::Exponential { mean_ns: MS });
    let lognormal = Distribution::Lognormal { p50_ns: MS, p99_ns: 4 * MS };
    assert_eq!(time("{ p50 = \"1ms\", p99 = \"4ms\" }"), lognormal);
}

#[test]
fn the_words_of_the_language_are_the_words_of_the_domain() {
    let kernel = STEPS[0].field("kernel").map(|field| field.shape);
    let names: Vec<&str> = Kernel::ALL.iter().map(|kernel| kernel.name()).collect();
    assert!(matches!(kernel, Some(Shape::Word(words)) if words == names));
}

#[test]
fn the_users_own_code_has_these_defaults() {
    let python = Python {
        function: Some("shop.scrape:fetch".to_owned()),
        path: ".".to_owned(),
        check: Check::Results,
        ..Python::default()
    };
    assert_eq!(step("kind = \"python\"\nfunction = \"shop.scrape:fetch\""), Step::Python(python));
}

#[test]
fn items_are_a_name_or_a_list_of_what_json_has() {
    let items = |text: &str| match step(&format!("kind = \"python\"\nasync_function = \"a:b.c\"\nitems = {text}")) {
        Step::Python(python) => python.items.expect("items"),
        other => panic!("{other:?}"),
    };
    assert_eq!(items("\"shop:pages\""), Items::Named("shop:pages".to_owned()));
    let listed = serde_json::json!([1, -0x10, 2.5, true, "a", [1, "b"], { "url": "x", "n": 1 }]);
    let text = "[1, -16, 2.5, true, \"a\", [1, \"b\"], { url = \"x\", n = 1 }]";
    assert_eq!(items(text), Items::Listed(listed.as_array().expect("a list").clone()));
}

#[test]
fn a_path_is_relative_to_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("mine.toml");
    let text = "[[step]]\nkind = \"python\"\nfunction = \"a:b\"\npath = \"lib\"\n";
    std::fs::write(&file, text).expect("written");
    let loaded = load(&file).unwrap_or_else(|faults| panic!("{faults}"));
    let path = &loaded.steps[0].python().expect("python").path;
    assert_eq!(Path::new(path), directory.path().join("lib"));
}
