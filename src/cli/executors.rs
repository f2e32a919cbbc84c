//! Executors of the user's own: each runtime of Python that takes part builds them before anything is planned.

use super::runtimes::Runtimes;
use super::{Failure, seams};
use crate::candidate::{Engine, Model, OwnExecutor, Word};
use crate::escape::plain;
use crate::plan::{LeftOut, Runtime};
use crate::protocol::{Failed, Offer, Probe, Probed};
use crate::session::AgentProgram;

/// An executor of the user's own that is to race. Of two folders, one name is two executors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What builds it, and the folder in which that is looked for first.
    pub(super) probe: Probe,
    /// Where it runs tasks, if the file says so.
    pub(super) model: Option<Model>,
}

/// What was found of the executors of one side.
#[derive(Debug, Default)]
pub(super) struct Executors {
    /// What runtimes offer: each time the runtime's name, what was wanted, and what that is.
    offers: Vec<(String, Wanted, Offer)>,
    /// Which runtime cannot, and why.
    left_out: Vec<(Wanted, LeftOut)>,
}

impl Executors {
    /// Has every interpreter that takes part build what these factories give; agents are as `prepared` makes them.
    ///
    /// # Errors
    /// When no interpreter can, or there is none.
    pub(super) fn find(
        wanted: &[Wanted],
        runtimes: &Runtimes,
        prepared: impl Fn(AgentProgram) -> AgentProgram,
    ) -> Result<Executors, Failure> {
        let mut executors = Executors::default();
        for wanted in wanted {
            let Wanted { probe, model } = wanted;
            let mut reasons = Vec::new();
            let mut is_there = false;
            for interpreter in runtimes.chosen_interpreters() {
                let agent = prepared(super::runtimes::agent(interpreter));
                let found = seams::probe(&agent, probe.clone()).map_err(Failure::Session)?;
                match found.map_err(|failed| told(&failed)).and_then(|probed| engine(probe, *model, &probed)) {
                    Ok(engine) => {
                        is_there = true;
                        let offer = Offer { engine, default_workers: None };
                        executors.offers.push((interpreter.name.clone(), wanted.clone(), offer));
                    }
                    Err(reason) => {
                        reasons.push(LeftOut { what: format!("{}/{}", interpreter.name, probe.factory), reason })
                    }
                }
            }
            if reasons.is_empty() && !is_there && probe.path.is_some() {
                // A file's executors are no reason not to measure it without Python.
                let reason = "no interpreter takes part".to_owned();
                executors.left_out.push((wanted.clone(), LeftOut { what: probe.factory.clone(), reason }));
                continue;
            }
            if !is_there {
                return Err(none(probe, &reasons));
            }
            executors.left_out.extend(reasons.into_iter().map(|reason| (wanted.clone(), reason)));
        }
        Ok(executors)
    }

    /// What was found of these alone.
    pub(super) fn only(&self, wanted: &[Wanted]) -> Executors {
        Executors {
            offers: self.offers.iter().filter(|(_, of, _)| wanted.contains(of)).cloned().collect(),
            left_out: self.left_out.iter().filter(|(of, _)| wanted.contains(of)).cloned().collect(),
        }
    }

    /// The runtime with what it offers of them.
    pub(super) fn offered_by(&self, mut runtime: Runtime) -> Runtime {
        let offers = self.offers.iter().filter(|(name, ..)| *name == runtime.name);
        runtime.engines.extend(offers.map(|(_, _, offer)| *offer));
        runtime
    }

    /// Which runtime cannot build one of them, and why.
    pub(super) fn left_out(&self) -> impl Iterator<Item = &LeftOut> {
        self.left_out.iter().map(|(_, left_out)| left_out)
    }
}

/// The engine that an executor is, or why it cannot be one.
fn engine(probe: &Probe, said: Option<Model>, probed: &Probed) -> Result<Engine, String> {
    if let Some(host) = &probed.host {
        return Err(format!(
            "it runs tasks on another host, {}: executors are measured on this host alone; of clusters, those of Dask are \
             (--cluster)",
            plain(host)
        ));
    }
    if let Some(said) = said.filter(|said| *said != probed.model) {
        let factory = plain(&probe.factory);
        return Err(format!(
            "`{factory}` runs tasks in {}, and the file's [[engine]] says `model = \"{said}\"`",
            probed.model
        ));
    }
    let Probed { model, is_context, fixed_workers, .. } = *probed;
    Ok(Engine::Own(OwnExecutor { factory: Word::of(&probe.factory), model, is_context, fixed_workers }))
}

/// A failure with the lines of the user's own code.
fn told(failed: &Failed) -> String {
    let lines = failed.traceback.iter().map(|line| format!("\n    {}", plain(line)));
    plain(&failed.to_string()) + &lines.collect::<String>()
}

fn none(probe: &Probe, reasons: &[LeftOut]) -> Failure {
    let factory = plain(&probe.factory);
    Failure::Usage(match reasons {
        [] => format!(
            "`{factory}` builds an executor of Python, and no interpreter takes part: name one with --python PATH"
        ),
        [only] => only.reason.clone(),
        several => {
            let line = |left_out: &LeftOut| format!("\n  {}: {}", left_out.what, left_out.reason);
            format!("no interpreter can use `{factory}`:{}", several.iter().map(line).collect::<String>())
        }
    })
}
