//! What may be written on the command line. Nothing here touches the machine.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Failure;
use super::cluster_name::ClusterName;
use crate::candidate::{Engine, Model, RUST, StartMethod};
use crate::clock::nanos;
use crate::decide::duel::{Figure, Threshold};
use crate::plan::{self, Settings};
use crate::report::Export;
use crate::units;
use crate::workload::{self, Code, ErrorLimit, Items, Rate, Workload};

/// The time for one workload on one runtime when the user names none. It is rarely used up.
const BUDGET: Duration = Duration::from_secs(20);

/// The time for one workload on so many runtimes when the user names none.
pub(super) fn usual_budget(runtimes: u32) -> Duration {
    BUDGET.saturating_mul(runtimes.max(1))
}

/// Which interpreters are looked for.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Interpreters {
    /// An interpreter of Python: a file, a name on PATH, or the directory of a virtual environment; may be
    /// repeated [default: the python3 on PATH, if there is one]
    #[arg(long, value_name = "PATH")]
    pub(super) python: Vec<PathBuf>,
}

/// Which candidates take part.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Candidates")]
pub(super) struct Selection {
    #[command(flatten)]
    pub(super) interpreters: Interpreters,
    /// Only these runtimes: rust, python (every interpreter), or one by its name, e.g. python3.11; `conbench
    /// host` names them
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(super) runtimes: Vec<String>,
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', help = models_help())]
    models: Vec<Model>,
    /// Only these engines; `conbench list` names them
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    engines: Vec<Engine>,
    /// An executor of your own is raced, too: a function that builds it for a number of workers, e.g. pools:make or
    /// shop/pools.py:make; may be repeated
    #[arg(long = "executor", value_name = "MODULE:FACTORY", value_parser = workload::factory_name)]
    pub(super) executors: Vec<String>,
    /// A cluster is raced, too: dask:local (one on this host, for the session), or a scheduler that is there,
    /// dask://HOST:PORT or tls://HOST:PORT
    #[arg(long, value_name = "CLUSTER")]
    pub(super) cluster: Option<ClusterName>,
    /// A file of your code that the cluster's workers are sent before they run tasks (.py, .zip or .egg); may be repeated
    #[arg(long = "cluster-upload", value_name = "FILE", requires = "cluster")]
    pub(super) cluster_upload: Vec<PathBuf>,
    /// Only these ways to begin worker processes of Python: fork, forkserver, spawn [default: the interpreter's
    /// own]
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    start_methods: Vec<StartMethod>,
    /// Only these numbers of workers, instead of a search
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    workers: Vec<u32>,
    /// Only these numbers of tasks in flight, instead of a search
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: Vec<u32>,
    /// Only these numbers of tasks handed to a worker at once, instead of a search
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    chunk: Vec<u32>,
    /// How many tasks you have: then the time of all of them is compared, with the imports, `setup` and the start of
    /// workers [default: the workload's `tasks`, or so many that start-up does not matter]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    tasks: Option<u32>,
    /// What the other side allows, e.g. 50/s, 3000/min or 100/h: tasks begin no faster [default: the workload's `rate`]
    #[arg(long, value_name = "RATE", value_parser = workload::rate)]
    rate: Option<Rate>,
    /// How many tasks it lets begin at once after a pause [default: 1]
    #[arg(long, value_name = "N", requires = "rate", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    burst: Option<u32>,
    /// How many tasks may fail, e.g. 5% or 3: a task that fails is counted, and the others go on [default: the workload's
    /// `errors`, or none]
    #[arg(long, value_name = "SHARE", value_parser = errors)]
    errors: Option<ErrorLimit>,
    /// The seed of all inputs, draws and shuffles
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[arg(long, value_name = "TIME", value_parser = budget, help = budget_help())]
    pub(super) budget: Option<Duration>,
    /// What the answer may cost to be sure: nothing tried is better by more than this [default: the workload's
    /// `tolerance`, or 5%]
    #[arg(long, value_name = "PERCENT", value_parser = tolerance)]
    pub(super) tolerance: Option<f64>,
    /// End with code 1 where a candidate failed, though there is an answer
    #[arg(long)]
    pub(super) strict: bool,
    /// Let tasks reach targets beyond this host
    #[arg(long)]
    pub(super) allow_remote: bool,
}

impl Selection {
    /// All candidates of these runtimes.
    pub(super) fn of(interpreters: Interpreters, runtimes: Vec<String>, seed: u64) -> Selection {
        Selection {
            interpreters,
            runtimes,
            models: Vec::new(),
            engines: Vec::new(),
            executors: Vec::new(),
            cluster: None,
            cluster_upload: Vec::new(),
            start_methods: Vec::new(),
            workers: Vec::new(),
            in_flight: Vec::new(),
            chunk: Vec::new(),
            tasks: None,
            rate: None,
            burst: None,
            errors: None,
            seed,
            budget: None,
            tolerance: None,
            strict: false,
            allow_remote: false,
        }
    }

    /// The candidates of the native runtime that pass these filters; an empty one lets all pass.
    pub(super) fn native(
        engines: Vec<Engine>,
        workers: Vec<u32>,
        in_flight: Vec<u32>,
        seed: u64,
        budget: Option<Duration>,
    ) -> Selection {
        let all = Selection::of(Interpreters::default(), vec![RUST.to_owned()], seed);
        Selection { engines, workers, in_flight, budget, ..all }
    }

    /// The settings of a session on these runtimes that may take this long.
    pub(super) fn settings(&self, runtimes: Vec<String>, budget: Duration) -> Settings {
        Settings {
            runtimes,
            models: self.models.clone(),
            engines: self.engines.clone(),
            executors: self.executors.clone(),
            cluster: self.cluster.as_ref().map(ClusterName::to_string),
            cluster_upload: self.cluster_upload.iter().map(|file| file.display().to_string()).collect(),
            start_methods: self.start_methods.clone(),
            workers: self.workers.clone(),
            in_flight: self.in_flight.clone(),
            chunk: self.chunk.clone(),
            budget_ns: u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX),
            seed: self.seed,
            sweeps: false,
        }
    }

    /// The workload with the user's number of tasks, the rate at which they may begin, and how many of them may fail.
    pub(super) fn of_load(&self, mut workload: Workload) -> Workload {
        workload.rate = self.rate.map(|rate| Rate { burst: self.burst.unwrap_or(1), ..rate }).or(workload.rate);
        workload.objective.limits.errors = self.errors.unwrap_or(workload.objective.limits.errors);
        let budget = self.budget.unwrap_or(BUDGET);
        plan::of_tasks(workload, self.tasks, u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Whether the user names engines.
    pub(super) fn names_engines(&self) -> bool {
        !self.engines.is_empty()
    }

    /// Whether something that is selected may run under Python.
    pub(super) fn may_need_python(&self) -> bool {
        let is_native = |name: &String| name == RUST;
        let runtimes = self.runtimes.is_empty() || !self.runtimes.iter().all(is_native);
        let engines = self.engines.is_empty() || self.engines.iter().any(|engine| Engine::PYTHON.contains(engine));
        runtimes && (engines || !self.executors.is_empty() || self.cluster.is_some())
    }
}

/// The user's own code, without a workload file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Python code, in place of a workload file")]
#[group(id = CODE, multiple = true)]
pub(super) struct PythonCode {
    /// A def of yours, e.g. shop.scrape:fetch; modules are looked for from the current directory
    #[arg(long, value_name = "MODULE:NAME", value_parser = workload::function_name)]
    python_function: Option<String>,
    /// An async def of yours, for event loops
    #[arg(long, value_name = "MODULE:NAME", value_parser = workload::function_name)]
    python_async_function: Option<String>,
    /// What it is called with, one after another: an iterable or a function that gives one, a list of JSON, or an
    /// expression in the function's module, e.g. 'range(100)'
    #[arg(long, value_name = "MODULE:NAME|JSON|EXPRESSION", value_parser = workload::items)]
    items: Option<Items>,
    /// What is called once in each process that runs tasks, outside what is measured
    #[arg(long, value_name = "MODULE:NAME", value_parser = workload::function_name)]
    setup: Option<String>,
    /// What is called once in each thread that runs tasks
    #[arg(long, value_name = "MODULE:NAME", value_parser = workload::function_name)]
    setup_thread: Option<String>,
    /// What is awaited once on the running loop
    #[arg(long, value_name = "MODULE:NAME", value_parser = workload::function_name)]
    async_setup: Option<String>,
    /// What is called when such a process ends in peace
    #[arg(long, value_name = "MODULE:NAME", value_parser = workload::function_name)]
    teardown: Option<String>,
    /// What is called when such a thread ends in peace
    #[arg(long, value_name = "MODULE:NAME", value_parser = workload::function_name)]
    teardown_thread: Option<String>,
    /// What is awaited when such a loop ends in peace
    #[arg(long, value_name = "MODULE:NAME", value_parser = workload::function_name)]
    async_teardown: Option<String>,
    /// Pass what the nearest set-up gives to the function, as its first argument
    #[arg(long)]
    pass_state: bool,
    /// Spread items that are tuples, lists or dictionaries over the function's parameters
    #[arg(long, requires = "items")]
    star: bool,
}

/// The name of the group of [`PythonCode`].
pub(super) const CODE: &str = "code";
/// The arguments of [`PythonCode`] that make a workload.
pub(super) const FUNCTIONS: [&str; 2] = ["python_function", "python_async_function"];

impl PythonCode {
    /// The code, if a function is named: by an option, or as a target, which `named` then is.
    ///
    /// # Errors
    /// When it is named twice, or not at all though something is said of it.
    pub(super) fn code(&self, named: Option<Code>) -> Result<Option<Code>, Failure> {
        let by_option = self.python_function.is_some() || self.python_async_function.is_some();
        let named = match named {
            Some(named)
                if named.function.is_some() && self.python_function.is_some()
                    || named.async_function.is_some() && self.python_async_function.is_some() =>
            {
                return Err(Failure::Usage("the function is named twice: as a target, and by an option".to_owned()));
            }
            Some(named) => named,
            None if by_option => Code::default(),
            None => {
                self.refuse("no function is named")?;
                return Ok(None);
            }
        };
        Ok(Some(Code {
            function: named.function.or_else(|| self.python_function.clone()),
            async_function: named.async_function.or_else(|| self.python_async_function.clone()),
            setup: self.setup.clone(),
            setup_thread: self.setup_thread.clone(),
            async_setup: self.async_setup.clone(),
            teardown: self.teardown.clone(),
            teardown_thread: self.teardown_thread.clone(),
            async_teardown: self.async_teardown.clone(),
            pass_state: self.pass_state,
            star: self.star,
            items: self.items.clone(),
        }))
    }

    /// Refuses options that tell of a function where there is not one; `why` says so.
    ///
    /// # Errors
    /// Names the first such option.
    pub(super) fn refuse(&self, why: &str) -> Result<(), Failure> {
        let said = [
            ("--python-function", self.python_function.is_some()),
            ("--python-async-function", self.python_async_function.is_some()),
            ("--items", self.items.is_some()),
            ("--setup", self.setup.is_some()),
            ("--setup-thread", self.setup_thread.is_some()),
            ("--async-setup", self.async_setup.is_some()),
            ("--teardown", self.teardown.is_some()),
            ("--teardown-thread", self.teardown_thread.is_some()),
            ("--async-teardown", self.async_teardown.is_some()),
            ("--pass-state", self.pass_state),
            ("--star", self.star),
        ];
        let Some((option, _)) = said.into_iter().find(|(_, is_said)| *is_said) else { return Ok(()) };
        Err(Failure::Usage(format!(
            "{option} tells of one function of yours, and {why}: write e.g. `conbench recommend shop.scrape:parse --items shop.scrape:items`"
        )))
    }
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people, at a terminal
    #[default]
    Table,
    /// For a program, with nothing left out
    Json,
    /// For a document
    Markdown,
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum RecordFormat {
    /// For people, at a terminal
    #[default]
    Table,
    /// The record with its verdict, whole
    Json,
    /// For a document
    Markdown,
    /// A row a candidate, or a figure of a duel, for a spreadsheet
    Csv,
    /// The same as a JSON object a line
    Jsonl,
    /// A test report: a suite a workload, a case a runtime, or a candidate of a duel
    Junit,
    /// Bencher Metric Format
    Bmf,
    /// Markdown for $GITHUB_STEP_SUMMARY (`duel` and `gate` add it there themselves)
    Github,
    /// The two arrays that github-action-benchmark reads
    Gab,
}

impl RecordFormat {
    /// The format of another program; `None` where it is one of conbench's own.
    pub(super) const fn export(self) -> Option<Export> {
        match self {
            RecordFormat::Table | RecordFormat::Json | RecordFormat::Markdown => None,
            RecordFormat::Csv => Some(Export::Csv),
            RecordFormat::Jsonl => Some(Export::Jsonl),
            RecordFormat::Junit => Some(Export::Junit),
            RecordFormat::Bmf => Some(Export::Bmf),
            RecordFormat::Github => Some(Export::Github),
            RecordFormat::Gab => Some(Export::Gab),
        }
    }
}

/// What of the candidates is shown.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct Shown {
    /// How results are written
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: RecordFormat,
    /// Print the code of the answer alone, ready to paste
    #[arg(long = "code", id = "as_code", conflicts_with = "format")]
    pub(super) code: bool,
    /// Show every size measured, not only each engine's best
    #[arg(long)]
    pub(super) all: bool,
    /// Show every figure, in further tables
    #[arg(long)]
    pub(super) details: bool,
}

/// Where the record goes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct Saved {
    /// Save the record here as it grows, for `conbench report` (of several workloads, the one being
    /// measured grows in FILE.partial)
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// Whether a page is written, and where.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub(super) struct Paged {
    /// Write a page with charts here: one HTML file that loads nothing and runs nothing
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Leave the record itself out of the page
    #[arg(long, requires = "html")]
    pub(super) no_record: bool,
}

fn budget_help() -> String {
    format!(
        "How long it may take in all, e.g. 10s or 5m [default: {} for each workload and runtime; it is rarely used up]",
        units::written_duration(nanos(BUDGET))
    )
}

fn models_help() -> String {
    let names: Vec<&str> = Model::ALL.iter().map(|model| model.name()).collect();
    format!("Only these models: {}", names.join(", "))
}

/// A figure with how much worse it may be: `p99=10%`.
pub(super) fn threshold(text: &str) -> Result<Threshold, String> {
    let Some((name, most)) = text.split_once('=') else {
        return Err("a figure and how much worse it may be, e.g. throughput=5%".to_owned());
    };
    let names = Figure::ALL.map(Figure::name);
    let found = Figure::ALL.into_iter().find(|figure| figure.name() == name.trim());
    let figure = found.ok_or_else(|| format!("`{name}` is no figure: {}", names.join(", ")))?;
    Ok(Threshold { figure, most: tolerance(most)? })
}

/// The number before a `%`.
fn percent(number: &str, advice: &str) -> Result<f64, String> {
    number.trim().parse().map_err(|error| format!("{error}: {advice}"))
}

/// How many tasks may fail: a number, or a share of them.
fn errors(text: &str) -> Result<ErrorLimit, String> {
    let advice = "write a percentage of the tasks, e.g. 5%, or a number of them";
    let Some(number) = text.strip_suffix('%') else {
        return text.parse().map(ErrorLimit::Tasks).map_err(|error| format!("{error}: {advice}"));
    };
    let percent = percent(number, advice)?;
    if (0.0..=100.0).contains(&percent) { Ok(ErrorLimit::Share(percent / 100.0)) } else { Err(advice.to_owned()) }
}

/// A share between 0.1 % and 50 %, as a ratio.
fn tolerance(text: &str) -> Result<f64, String> {
    let advice = "write a percentage from 0.1% to 50%, e.g. 5%";
    let number = text.strip_suffix('%').ok_or_else(|| format!("`%` is missing: {advice}"))?;
    let percent = percent(number, advice)?;
    if (0.1..=50.0).contains(&percent) { Ok(percent / 100.0) } else { Err(advice.to_owned()) }
}

pub(super) fn budget(text: &str) -> Result<Duration, String> {
    let found = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; a duration needs a number and a unit, e.g. 20s or 5m"))?;
    if found.is_zero() {
        return Err("nothing can be measured in no time; try 20s".to_owned());
    }
    if u64::try_from(found.as_nanos()).is_err() {
        return Err("that is longer than a clock of nanoseconds can count; try 1h".to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_a_number_or_a_percentage() {
        assert_eq!((errors("3"), errors("5 %")), (Ok(ErrorLimit::Tasks(3)), Ok(ErrorLimit::Share(0.05))));
        for wrong in ["", "%", "-1", "101%", "0.5", "many", "nan%"] {
            assert!(errors(wrong).is_err_and(|error| error.contains("e.g. 5%")), "{wrong}");
        }
    }

    #[test]
    fn a_tolerance_is_a_percentage() {
        assert_eq!((tolerance("5%"), tolerance("0.5 %")), (Ok(0.05), Ok(0.005)));
        for wrong in ["5", "0%", "60%", "-1%", "x%", "NaN%"] {
            assert!(tolerance(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_further_runtime_gets_time_of_its_own() {
        let seconds: Vec<u64> = (1..4).map(|runtimes| usual_budget(runtimes).as_secs()).collect();
        assert_eq!(seconds, [20, 40, 60]);
    }
}
