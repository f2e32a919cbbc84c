//! What `run` and `recommend` share: everything between a workload and its judged record.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::args::{self, Paged, RecordFormat, Selection, Shown};
use super::cluster::Clusters;
use super::executors::{Executors, Wanted};
use super::progress::Progress;
use super::{Exit, Failure, Runtimes, Terminal, seams, signals, terminal};
use crate::agent::registry::WORKLOAD_VARIABLE;
use crate::analyze;
use crate::escape::plain;
use crate::host::Facts;
use crate::plan::{LeftOut, Plan, Runtime, Settings};
use crate::protocol::Probe;
use crate::record::{self, Document, Ending, Record, Warning};
use crate::report::{self, Candidates, Exporter, Judged, PageOptions, View};
use crate::session::{AgentProgram, Session};
use crate::workload::{Step, Workload};

/// Where results go, and when to stop.
pub(super) struct Measuring<'a> {
    pub(super) terminal: &'a Terminal,
    pub(super) planning: Planning<'a>,
    pub(super) output: Option<PathBuf>,
    /// The page that is written beside it.
    pub(super) paged: &'a Paged,
    pub(super) interrupted: Arc<AtomicBool>,
    /// How many workloads there are to measure.
    pub(super) of: usize,
    /// Whether to measure, after an answer, how it changes with the task.
    pub(super) sweeps: bool,
    /// How agents run, of one of two versions.
    pub(super) side: Side,
    /// What the report tells of failures and warnings.
    pub(super) told: Told,
}

/// What is printed at the end tells of failures and warnings: then they do not stand on standard error, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// In no case.
    #[default]
    Never,
    /// Where there is no answer.
    WithoutAnswer,
    /// In any case.
    Always,
}

impl Told {
    fn tells(self, judged: &Judged) -> bool {
        match self {
            Told::Never => false,
            Told::WithoutAnswer => judged.verdict.groups.iter().all(|group| group.answer.is_none()),
            Told::Always => true,
        }
    }
}

/// What the report of this view and format tells.
pub(super) fn told(view: View, format: RecordFormat, code: bool) -> Told {
    match (view, format) {
        _ if code => Told::Never,
        (View::Candidates(_), RecordFormat::Table | RecordFormat::Markdown) => Told::Always,
        (View::Answer, RecordFormat::Table | RecordFormat::Markdown) => Told::WithoutAnswer,
        _ => Told::Never,
    }
}

/// How the agents of one of two versions run.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    /// The program that is the native agent, where it is not this one.
    pub(super) native: Option<PathBuf>,
    /// The folder in which they run, where it is not the current one.
    pub(super) directory: Option<PathBuf>,
    /// What their environment has beside the usual.
    pub(super) environment: Vec<(OsString, OsString)>,
}

impl Side {
    /// An agent of this side.
    fn agent(&self, agent: AgentProgram) -> AgentProgram {
        let environment = agent.environment.iter().chain(&self.environment).cloned().collect();
        AgentProgram { directory: self.directory.clone(), environment, ..agent }
    }
}

impl<'a> Measuring<'a> {
    /// Looks at the host and its runtimes.
    ///
    /// # Errors
    /// When the selection does not fit them, an executor of the user's cannot be built, or signals cannot be watched.
    pub(super) fn prepare(
        terminal: &'a Terminal,
        selection: &'a Selection,
        workloads: &[Workload],
        output: Option<PathBuf>,
        paged: &'a Paged,
    ) -> Result<Measuring<'a>, Failure> {
        // Before signals are watched: until then, one ends this program, and with it the interpreter that it asks.
        let mut planning = Planning::prepare(selection)?;
        planning.find_executors(workloads, &Side::default())?;
        planning.find_cluster(&Side::default())?;
        let interrupted = signals::watch().map_err(Failure::Signals)?;
        Ok(Measuring { output, ..Measuring::new(terminal, planning, paged, interrupted) })
    }

    /// Measures one workload after such a plan, and saves nothing.
    pub(super) fn new(
        terminal: &'a Terminal,
        planning: Planning<'a>,
        paged: &'a Paged,
        interrupted: Arc<AtomicBool>,
    ) -> Measuring<'a> {
        Measuring {
            terminal,
            planning,
            output: None,
            paged,
            interrupted,
            of: 1,
            sweeps: false,
            side: Side::default(),
            told: Told::default(),
        }
    }

    /// Measures a workload, behind those that are done.
    pub(super) fn measure(&self, mut workload: Workload, budget: Duration, done: &[Judged]) -> Result<Judged, Failure> {
        let selection = self.planning.selection;
        workload.objective.tolerance = selection.tolerance.or(workload.objective.tolerance);
        let settings = Settings { sweeps: self.sweeps, ..self.planning.settings_of(&workload, budget) };
        let plan = self.planning.plan(&workload, budget)?;
        for note in &plan.notes {
            self.terminal.warn(&format!("{}: {}", plain(&workload.name), plain(note)));
        }
        let place = (done.len() + 1, self.of);
        let mut progress = Progress::new(&workload.name, place, self.terminal).holding(self.told != Told::Never);
        let session = Session {
            settings,
            host: self.planning.facts.clone(),
            agents: registered_agent(&workload)?.into_iter().chain(self.agents(&plan)).collect(),
            workload,
            plan,
            clusters: self.planning.clusters.all(),
            upload: self.planning.uploads()?,
            output: self.growing(done),
            interrupted: Arc::clone(&self.interrupted),
            duel: None,
        };
        let measured = seams::measure(session, &mut progress).map(judged);
        let is_told = |warning: Option<&Warning>| {
            // Programs that read standard error alone are told all.
            let reads_both = std::io::stderr().is_terminal();
            let is_condition =
                |judged: &Judged| reads_both && warning.is_some_and(|warning| report::is_condition(judged, warning));
            measured.as_ref().is_ok_and(|judged| self.told.tells(judged) || is_condition(judged))
        };
        let untold = progress.finish(is_told);
        match &measured {
            // The answer comes first.
            Ok(_) => self.terminal.say_later(untold),
            Err(_) => untold.iter().for_each(|line| self.terminal.say(line)),
        }
        measured.map_err(Failure::Session)
    }

    /// The agents of a plan's runtimes. The native one need not be among them.
    pub(super) fn agents(&self, plan: &Plan) -> Vec<AgentProgram> {
        let Side { native, directory, .. } = &self.side;
        // A folder is named to the native agent, too.
        let program = native.clone().or_else(|| std::env::current_exe().ok().filter(|_| directory.is_some()));
        let native = program.iter().map(|program| AgentProgram::native(program));
        native.chain(self.planning.runtimes.agents(plan)).map(|agent| self.side.agent(agent)).collect()
    }

    /// The code that a record ends with.
    pub(super) fn exit(&self, judged: &Judged) -> Exit {
        exit(judged, self.planning.selection.strict)
    }

    /// Where a record is saved while it grows: a file of its own, if the output holds others already.
    fn growing(&self, done: &[Judged]) -> Option<PathBuf> {
        let path = self.output.as_ref()?;
        Some(if done.is_empty() { path.clone() } else { partial(path) })
    }

    /// Saves the records with their verdicts, and writes their page, if that is asked for.
    pub(super) fn save(&self, all: &[Judged]) -> Result<(), Failure> {
        // One that cannot be written does not keep the other from being so.
        let written = write_page(all, self.paged);
        self.save_records(all).and(written)
    }

    fn save_records(&self, all: &[Judged]) -> Result<(), Failure> {
        let Some(path) = &self.output else { return Ok(()) };
        record::write(path, report::records_json(all)?.as_bytes()).map_err(Failure::Save)?;
        if all.len() > 1 {
            // What it held is in the output now; a leftover would only be read as something newer.
            drop(std::fs::remove_file(partial(path)));
        }
        Ok(())
    }
}

/// The agent of a workload whose closures this program registered: itself, told which they are.
fn registered_agent(workload: &Workload) -> Result<Option<AgentProgram>, Failure> {
    let mut names = workload.steps.iter().filter_map(|step| match step {
        Step::Registered(closures) => Some(closures.name.clone()),
        _ => None,
    });
    let Some(name) = names.next() else { return Ok(None) };
    let program = std::env::current_exe().map_err(Failure::Program)?;
    let environment = vec![(WORKLOAD_VARIABLE.into(), name.into())];
    Ok(Some(AgentProgram { environment, ..AgentProgram::native(&program) }))
}

/// What a page holds, where home directories are shortened.
pub(super) fn page_options(no_record: bool) -> PageOptions {
    let home = std::env::home_dir().and_then(|home| home.to_str().map(str::to_owned));
    PageOptions { with_record: !no_record, home }
}

/// Writes the page of these records, if one is asked for.
pub(super) fn write_page(all: &[Judged], paged: &Paged) -> Result<(), Failure> {
    let Some(path) = &paged.html else { return Ok(()) };
    let page = report::page(all, &page_options(paged.no_record))?;
    record::write(path, page.as_bytes()).map_err(Failure::Save)
}

/// The file beside `path` that holds the record of a further workload while it is measured.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Where a saved record has its verdict.
pub(super) const VERDICT: &str = "verdict";

/// A record with its verdict.
pub(super) fn judged(record: Record) -> Judged {
    Judged { verdict: analyze::analyze(&record), record }
}

/// The records of a saved file, each with its verdict: made anew, or, under other rules, as it stands in the file.
pub(super) fn stored(document: Document) -> Result<Vec<Judged>, Failure> {
    let records = document.records_beside(VERDICT).map_err(Failure::Read)?;
    let judged = |(record, verdict)| Judged { verdict: analyze::again(&record, verdict), record };
    // A document of all shipped workloads is judged on all CPUs.
    Ok(records.into_par_iter().map(judged).collect())
}

/// What plans are made from, beside workloads.
pub(super) struct Planning<'a> {
    selection: &'a Selection,
    facts: Facts,
    runtimes: Runtimes,
    executors: Executors,
    clusters: Clusters,
}

impl Planning<'_> {
    /// Looks at the host and its runtimes.
    ///
    /// # Errors
    /// When the selection names a runtime that is not there.
    pub(super) fn prepare(selection: &Selection) -> Result<Planning<'_>, Failure> {
        let runtimes = Runtimes::find(selection)?;
        let (executors, clusters) = (Executors::default(), Clusters::default());
        Ok(Planning { selection, facts: seams::facts(), runtimes, executors, clusters })
    }

    /// Warns of interpreters that cannot be used. Not where nothing of this workload can run: that error names them.
    pub(super) fn warn_beside(&self, workload: &Workload, terminal: &Terminal) {
        if self.plan(workload, args::usual_budget(1)).is_ok() {
            warn_of_left_out(self.runtimes.left_out(), terminal);
        }
    }

    /// Has the interpreters build the executors of the user's own, as agents of this side. Without it none is planned.
    ///
    /// # Errors
    /// When one cannot be built, or is none.
    pub(super) fn find_executors(&mut self, workloads: &[Workload], side: &Side) -> Result<(), Failure> {
        let mut all: Vec<Wanted> = Vec::new();
        for wanted in workloads.iter().flat_map(|workload| self.executors_of(workload)) {
            if !all.contains(&wanted) {
                all.push(wanted);
            }
        }
        let prepared = |agent| side.agent(agent);
        self.executors = Executors::find(&all, &self.runtimes, prepared)?;
        Ok(())
    }

    /// The executors of the user's own that race under a workload: its file's, and those of options that have no namesake
    /// there.
    fn executors_of(&self, workload: &Workload) -> Vec<Wanted> {
        let of_file = workload.engines.iter().map(|own| Wanted {
            probe: Probe { factory: own.factory.clone(), path: Some((&own.path).into()) },
            model: own.model,
        });
        let is_in_file = |factory: &String| workload.engines.iter().any(|own| own.factory == *factory);
        let of_options = self.selection.executors.iter().filter(|factory| !is_in_file(factory));
        let of_options =
            of_options.map(|factory| Wanted { probe: Probe { factory: factory.clone(), path: None }, model: None });
        of_file.chain(of_options).collect()
    }

    /// Has the interpreters look at the cluster that the user names, as agents of this side. Without it none is planned.
    ///
    /// # Errors
    /// When none can use it.
    pub(super) fn find_cluster(&mut self, side: &Side) -> Result<(), Failure> {
        let Some(name) = &self.selection.cluster else { return Ok(()) };
        self.uploads()?;
        let (allow_remote, workers) = (self.selection.allow_remote, self.facts.usable_cpus());
        self.clusters = Clusters::find(name, &self.runtimes, |agent| side.agent(agent), allow_remote, workers)?;
        Ok(())
    }

    /// The files that the workers of a cluster are sent.
    ///
    /// # Errors
    /// When there is no such file.
    fn uploads(&self) -> Result<Vec<PathBuf>, Failure> {
        let file = |path: &PathBuf| match path.canonicalize() {
            Ok(file) if file.is_file() => Ok(file),
            _ => Err(Failure::Usage(format!("--cluster-upload: there is no file `{}`", path.display()))),
        };
        self.selection.cluster_upload.iter().map(file).collect()
    }

    /// The host.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The runtimes.
    pub(super) fn runtimes(&self) -> &Runtimes {
        &self.runtimes
    }

    /// The settings of a session that may take this long.
    pub(super) fn settings(&self, budget: Duration) -> Settings {
        self.selection.settings(self.runtimes.chosen(), budget)
    }

    /// The settings of a session of this workload, whose own executors race, too.
    pub(super) fn settings_of(&self, workload: &Workload, budget: Duration) -> Settings {
        let mut settings = self.settings(budget);
        for own in &workload.engines {
            if !settings.executors.contains(&own.factory) {
                settings.executors.push(own.factory.clone());
            }
        }
        settings
    }

    /// The time for one workload: what the user named, or what is usual for the runtimes that it can be measured on.
    pub(super) fn budget(&self, workload: &Workload) -> Duration {
        self.selection.budget.unwrap_or_else(|| args::usual_budget(self.runtimes_of(workload)))
    }

    /// On how many runtimes a workload can be measured.
    pub(super) fn runtimes_of(&self, workload: &Workload) -> u32 {
        let entries = self.planned(workload, args::usual_budget(1)).entries;
        let names: HashSet<&str> = entries.iter().map(|entry| entry.runtime.as_str()).collect();
        u32::try_from(names.len()).unwrap_or(u32::MAX)
    }

    /// The plan of a session, if there is anything to run.
    ///
    /// # Errors
    /// Why there is nothing: that is the user's to change.
    pub(super) fn plan(&self, workload: &Workload, budget: Duration) -> Result<Plan, Failure> {
        let plan = self.outline(workload, budget)?;
        if plan.entries.is_empty() { Err(nothing_to_run(workload, &plan)) } else { Ok(plan) }
    }

    /// The plan of a session, though there may be nothing to run.
    ///
    /// # Errors
    /// When the workload is code that nothing here can run.
    pub(super) fn outline(&self, workload: &Workload, budget: Duration) -> Result<Plan, Failure> {
        self.runtimes.check(workload)?;
        Ok(self.planned(workload, budget))
    }

    /// What a session would do, with the executors of the user's that interpreters build, and the cluster that takes part.
    fn planned(&self, workload: &Workload, budget: Duration) -> Plan {
        let settings = self.settings_of(workload, budget);
        let executors = self.executors.only(&self.executors_of(workload));
        let Planning { runtimes, clusters, .. } = self;
        let planned = runtimes.planned().into_iter().map(|runtime| executors.offered_by(runtime));
        let planned: Vec<Runtime> = planned.map(|runtime| clusters.of(runtime)).collect();
        let mut plan = seams::plan(workload, &settings, &self.facts, &planned);
        let found = executors.left_out().chain(clusters.left_out());
        plan.left_out.splice(0..0, runtimes.left_out().into_iter().chain(found.cloned()));
        plan
    }
}

/// Warns of interpreters that cannot be used, of each once.
pub(super) fn warn_of_left_out(left_out: Vec<LeftOut>, terminal: &Terminal) {
    let mut told = HashSet::new();
    for LeftOut { what, reason } in left_out {
        let text = format!("`{what}` is left out: {reason}");
        if told.insert(text.clone()) {
            terminal.warn(&text);
        }
    }
}

fn nothing_to_run(workload: &Workload, plan: &Plan) -> Failure {
    let reasons: Vec<String> = plan
        .left_out
        .iter()
        .map(|left_out| format!("\n  {}: {}", plain(&left_out.what), plain(&left_out.reason)))
        .collect();
    let name = plain(&workload.name);
    Failure::Usage(if reasons.is_empty() {
        format!("nothing of `{name}` is left to run: --runtimes, --models and --engines exclude one another")
    } else {
        format!("nothing of `{name}` can run here:{}", reasons.concat())
    })
}

/// Refuses a workload that would reach beyond this host, unless the user allows it.
pub(super) fn check_remote(workload: &Workload, allowed: bool) -> Result<(), Failure> {
    let targets = workload.remote_targets();
    if allowed || targets.is_empty() {
        return Ok(());
    }
    let targets: Vec<String> = targets.iter().map(|target| format!("`{}`", plain(target))).collect();
    Err(Failure::Usage(format!(
        "`{}` reaches {}, which is not this host: add --allow-remote if its owner agrees (`conbench plan` shows how many calls are foreseen)",
        plain(&workload.name),
        targets.join(", ")
    )))
}

/// Refuses an output that could not be written when all is measured.
pub(super) fn check_output(path: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let refused = |why: String| Failure::Usage(format!("cannot write `{}`: {why}", path.display()));
    let target = record::target(path).map_err(|error| refused(error.to_string()))?;
    let parent = record::directory(&target);
    if parent.is_dir() { Ok(()) } else { Err(refused(format!("there is no directory `{}`", parent.display()))) }
}

/// The exporter of a format for people, or of the code alone; `None` for the others, which are written at the end, whole.
pub(super) fn exporter(view: View, format: RecordFormat, code: bool, terminal: &Terminal) -> Option<Box<dyn Exporter>> {
    match format {
        _ if code => Some(report::codes()),
        RecordFormat::Table => Some(report::table(view, terminal::stdout_style(terminal.colour))),
        RecordFormat::Markdown => Some(report::markdown(view)),
        _ => None,
    }
}

/// The records in a format for programs.
pub(super) fn whole(format: RecordFormat, all: &[Judged]) -> Result<String, Failure> {
    match format.export() {
        Some(export) => report::export(export, all).map_err(Failure::Export),
        None => report::records_json(all).map_err(Failure::Json),
    }
}

/// The view of `run`.
pub(super) fn candidates(shown: Shown) -> View {
    View::Candidates(Candidates { all: shown.all, details: shown.details })
}

/// What was measured; where a name of the workload is wrong, so that nothing was, that is an error of usage.
pub(super) fn unless_misnamed(judged: Judged) -> Result<Judged, Failure> {
    let Some(failed) = judged.record.misnamed() else { return Ok(judged) };
    let one_step = judged.record.workload.steps.len() == 1;
    let text = if one_step { failed.message.clone() } else { failed.to_string() };
    let end = if text.contains(": did you mean ") { "?" } else { "" };
    Err(Failure::Usage(format!("{text}{end}")))
}

/// The code that a record ends with. Where failures are errors (`strict`), they are told by it.
pub(super) fn exit(judged: &Judged, strict: bool) -> Exit {
    let has_failed = || judged.record.candidates.iter().any(|candidate| candidate.failure.is_some());
    if judged.record.ending == Ending::Interrupted {
        Exit::Interrupted
    } else if judged.verdict.groups.iter().all(|group| group.answer.is_none()) {
        Exit::NoAnswer
    } else if judged.verdict.is_disturbed {
        Exit::Disturbed
    } else if strict && has_failed() {
        Exit::CandidateFailed
    } else {
        Exit::Fine
    }
}
