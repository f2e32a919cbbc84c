//! The code that answers show for native engines of processes: this program is its own worker, as a user's would be.

#[rustfmt::skip]
#[allow(clippy::all, clippy::print_stdout, clippy::unwrap_used, unreachable_pub, unused, reason = "it is what users are shown, as they see it")]
#[path = "idioms/native.rs"]
mod native;

// The code that is shown calls them from here.
fn task(item: u64) -> u64 {
    item * item
}

async fn async_task(item: u64) -> u64 {
    item * item
}

fn line_task(line: &str) -> String {
    line.to_uppercase()
}

type Run = fn(Vec<String>, &mut Vec<String>);

#[expect(clippy::print_stdout, reason = "it is a test runner of its own")]
fn main() {
    let items: Vec<String> = (10..34).map(|number| format!("item {number}")).collect();
    let expected: Vec<String> = items.iter().map(|item| item.to_uppercase()).collect();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        // Both pools speak alike, and a worker of one task has its item as an argument.
        [worker] if worker == "worker" => return native::process_pool::run(Vec::new(), &mut Vec::new()),
        [worker, _] if worker == "worker" => return native::process_per_task::run(Vec::new(), &mut Vec::new()),
        // What a test runner is asked for: a list, or some of its tests by name.
        _ if arguments.iter().any(|argument| argument == "--list") => return println!("process_idioms: test"),
        _ => {}
    }
    let all: [(&str, Run); 3] = [
        ("process-pool", native::process_pool::run),
        ("process-per-task", native::process_per_task::run),
        ("tokio-process-pool", native::tokio_process_pool::run),
    ];
    for (name, run) in all {
        let mut results = Vec::new();
        run(items.clone(), &mut results);
        // The pools give their results as tasks end.
        results.sort_unstable();
        assert_eq!(results, expected, "{name}");
    }
    println!("\ntest result: ok. {} passed; 0 failed; code of native engines of processes\n", all.len());
}
