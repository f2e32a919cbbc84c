//! The programs, and what is right for each.

use serde_json::Value;

/// A program.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Its workload file; CODE is the folder of its code.
    pub(crate) toml: &'static str,
    /// The file of its server, and that one's argument.
    pub(crate) server: Option<(&'static str, &'static str)>,
    /// The package that its code imports beside the standard library; empty where there is none.
    pub(crate) needs: &'static str,
    /// Whether an answer is right.
    pub(crate) is_right: fn(&Value) -> bool,
    /// The kind of reason, condition or warning that names the cause; empty where none is asked for.
    pub(crate) cause: &'static str,
}

fn is(answer: &Value, model: &str) -> bool {
    answer["model"] == model
}

fn size(answer: &Value, field: &str) -> u64 {
    answer[field].as_u64().unwrap_or(1)
}

/// Tasks under way at once.
fn wide(answer: &Value) -> u64 {
    answer["in_flight"].as_u64().or(answer["workers"].as_u64()).unwrap_or(1)
}

fn is_sequential(answer: &Value) -> bool {
    is(answer, "sequential")
}

fn is_two_processes(answer: &Value) -> bool {
    is(answer, "processes") && wide(answer) <= 4
}

fn is_two_threads(answer: &Value) -> bool {
    is(answer, "threads") && wide(answer) <= 4
}

fn is_many_threads(answer: &Value) -> bool {
    is(answer, "threads") && wide(answer) >= 32
}

const fn program(name: &'static str, toml: &'static str, is_right: fn(&Value) -> bool, cause: &'static str) -> Program {
    Program { name, toml, server: None, needs: "", is_right, cause }
}

pub(crate) const PROGRAMS: [Program; 24] = [
    Program {
        name: "cap",
        toml: "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"cap:query\"\nsetup = \"cap:setup\"\nitems = \"cap:items\"\n",
        server: Some(("cap.py", "24")),
        needs: "",
        is_right: |answer| (is(answer, "threads") || is(answer, "processes")) && (8..=24).contains(&wide(answer)),
        cause: "one_agent_at_a_time",
    },
    program(
        "crossing-method",
        "[load]\nmode = \"batch\"\ntasks = 40\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"crossing:big.score\"\nitems = \"crossing:items\"\n",
        is_sequential,
        "callable_crosses",
    ),
    program(
        "crossing-function",
        "[load]\nmode = \"batch\"\ntasks = 40\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"crossing:score\"\nitems = \"crossing:items\"\n",
        is_two_processes,
        "",
    ),
    program(
        "short-job",
        "[load]\nmode = \"batch\"\ntasks = 30\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"short_job:classify\"\nsetup = \"short_job:setup\"\nitems = \"short_job:items\"\n",
        is_sequential,
        "all_tasks",
    ),
    program(
        "refusing",
        "[objective]\nlimits = { errors = \"5%\" }\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"refusing:read\"\nitems = \"refusing:items\"\n",
        is_two_processes,
        "error_cannot_cross",
    ),
    program(
        "uneven",
        "[load]\nmode = \"batch\"\ntasks = 60\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"uneven:job\"\nitems = \"uneven:items\"\n",
        // As one job of 60 the loop takes 96 ms and a forked pool 93 by hand: the simpler one is as good.
        |answer| is_sequential(answer) || (is_two_processes(answer) && size(answer, "chunk") == 1),
        "skewed",
    ),
    program(
        "child",
        "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"child:compute\"\nitems = \"child:items\"\n",
        is_two_threads,
        "starts_programs",
    ),
    program(
        "held",
        "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"held:step\"\nitems = \"held:items\"\n",
        |answer| is(answer, "processes") && wide(answer) <= 8 && answer["start_method"] != "fork",
        "start_method_replaced",
    ),
    Program {
        name: "waiting-cap",
        toml: "task_timeout = \"5s\"\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"waiting_cap:query\"\nitems = \"waiting_cap:items\"\n",
        server: Some(("waiting_cap.py", "6")),
        needs: "",
        is_right: |answer| (is(answer, "threads") || is(answer, "processes")) && (4..=6).contains(&wide(answer)),
        cause: "one_agent_at_a_time",
    },
    program(
        "partial",
        "[load]\nmode = \"batch\"\ntasks = 40\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"bound:score\"\nitems = \"bound:items\"\n",
        is_sequential,
        "callable_crosses",
    ),
    program(
        "lambda",
        "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"bound:fetch\"\nitems = \"bound:items\"\n",
        is_many_threads,
        "failed_candidates",
    ),
    program(
        "folder",
        "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"folder:read\"\nitems = \"folder:items\"\n",
        |answer| is(answer, "processes") && wide(answer) >= 16,
        "failed_candidates",
    ),
    program(
        "endless-items",
        "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"streams:compute\"\nitems = \"streams:numbers\"\n",
        is_two_processes,
        "",
    ),
    program(
        "spread-items",
        "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"streams:fetch\"\nstar = true\nitems = \"streams:pairs\"\n",
        is_many_threads,
        "",
    ),
    program(
        "connection",
        "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"pool:ask\"\nsetup = \"pool:connect\"\nteardown = \"pool:disconnect\"\npass_state = true\nitems = \"pool:items\"\n",
        is_many_threads,
        "",
    ),
    program(
        "child-that-waits",
        "[load]\nmax_in_flight = 16\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"plain:child_that_waits\"\nitems = \"plain:items\"\n",
        |answer| is(answer, "threads") && wide(answer) >= 8,
        "",
    ),
    program(
        "tiny",
        "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"plain:add\"\nitems = \"plain:items\"\n",
        is_sequential,
        "",
    ),
    program(
        "digest",
        "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"plain:digest\"\nitems = \"plain:items\"\n",
        // By hand, tasks a second: two threads 2 990, a Pool of two 2 580 alone and 3 470 in chunks of 16.
        |answer| is_two_threads(answer) || is_two_processes(answer),
        "",
    ),
    program(
        "async-wait",
        "[[step]]\nkind = \"python\"\npath = \"CODE\"\nasync_function = \"plain:fetch\"\nitems = \"plain:items\"\n",
        // A second loop gains 4 to 6 % with 64 in flight: where that is more than the tolerance, it is right.
        |answer| (is(answer, "async") || is(answer, "sharded-async")) && wide(answer) >= 32,
        "",
    ),
    program(
        "uneven-chunks",
        "[load]\nmode = \"batch\"\ntasks = 60\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"uneven:job\"\nitems = [40, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n",
        // Each tenth item is long: chunks up to 4 hold one at most.
        |answer| is_two_processes(answer) && size(answer, "chunk") <= 4,
        "skewed",
    ),
    program(
        "paced",
        "[load]\nrate = \"50/s\"\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"paced:fetch\"\nasync_function = \"paced:fetch_async\"\nitems = \"paced:items\"\n",
        |answer| (is(answer, "threads") || is(answer, "async")) && (5..=8).contains(&wide(answer)),
        "rate_reached",
    ),
    Program {
        name: "limited",
        toml: "[objective]\nlimits = { errors = \"10%\" }\n[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"limited:query\"\nitems = \"limited:items\"\n",
        server: Some(("limited.py", "60")),
        needs: "",
        // What two at once exceed depends on what starting them costs.
        is_right: |answer| wide(answer) <= 2,
        cause: "far_limit",
    },
    Program {
        // By hand, tasks a second on two cores. A loop: 1935 with the library's own threads, 1209 with one. Two threads: 1710
        // and 1953. Two processes: 145 and 1538, without chunks.
        name: "matmul",
        toml: "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"matrices:multiply\"\nitems = \"matrices:items\"\n",
        server: None,
        needs: "numpy",
        is_right: |answer| {
            let is_own_loop = is_sequential(answer) && answer["library_threads"].is_null();
            is_own_loop || (wide(answer) == 2 && answer["library_threads"] == 1)
        },
        cause: "library_threads",
    },
    Program {
        // By hand, too. A loop: 688 with the library's own threads, 727 with one. Two threads: 732 and 728. Two processes: 90
        // and 1111.
        name: "eigen",
        toml: "[[step]]\nkind = \"python\"\npath = \"CODE\"\nfunction = \"matrices:eigen\"\nitems = \"matrices:items\"\n",
        server: None,
        needs: "numpy",
        is_right: |answer| is_two_processes(answer) && answer["library_threads"] == 1,
        cause: "library_threads",
    },
];
