//! Sessions whose agents are what one stream of bytes says: the reader, the checks and the loop of a real session, and no
//! process. For the fuzz targets: a stream may hold anything.

use std::collections::BTreeMap;

use super::error::{AgentError, out_of_turn};
use super::frames::{self, Frames};
use super::hang::Patience;
use super::moment::Moment;
use super::pool::{AgentPool, AgentSlot, Ask, Beginning, Measurement, Shutdown, Started};
use super::simulated::{self, Simulation};
use crate::candidate::Candidate;
use crate::protocol::{BlockKind, FailureKind, Hello, Reference, Reply};
use crate::record::{MemorySample, Record};

/// Longer blocks end a session that nobody waits for.
const LONGEST_NS: u64 = 1 << 40;

/// What an agent said before it became a candidate.
#[derive(Debug)]
pub struct Prepared {
    /// Itself.
    pub hello: Hello,
    /// What blocks are held against, where it says so next.
    pub reference: Option<Reference>,
}

/// What is left of a stream of frames.
#[derive(Debug)]
pub struct Spoken {
    frames: Frames,
    next: Option<Result<Reply, AgentError>>,
    now_ns: u64,
    blocks: u32,
    alive: BTreeMap<AgentSlot, Candidate>,
}

impl Spoken {
    /// Reads a stream.
    #[must_use]
    pub fn new(stream: &[u8]) -> Spoken {
        let mut frames = Frames::default();
        frames.extend(stream);
        let mut spoken = Spoken { frames, next: None, now_ns: 0, blocks: 0, alive: BTreeMap::new() };
        spoken.advance();
        spoken
    }

    /// Hears what comes before a session.
    ///
    /// # Errors
    /// When the stream does not begin with a hello.
    pub fn prepare(&mut self) -> Result<Prepared, AgentError> {
        let hello = self.take("at its start").and_then(|reply| frames::hello(reply, "at its start"))?;
        let reference = match self.next.take() {
            Some(Ok(Reply::Reference(reference))) => {
                self.advance();
                Some(*reference)
            }
            other => {
                self.next = other;
                None
            }
        };
        Ok(Prepared { hello, reference })
    }

    /// Runs a session with what is left, and returns its record and the rest: frames that nothing asked for.
    #[must_use]
    pub fn run(mut self, simulation: &Simulation, reference: Option<Reference>) -> (Record, Spoken) {
        let runtime = simulation.entries.first().map(|entry| entry.runtime.clone()).unwrap_or_default();
        let references = reference.into_iter().map(|reference| ((runtime.clone(), None), reference)).collect();
        let record = simulated::over(simulation, references, &mut self);
        (record, self)
    }

    /// The next answer, as `Link::exchange` hands it on.
    ///
    /// # Errors
    /// What the agent says failed, a line that is no frame, or that there is none.
    pub fn take(&mut self, doing: &str) -> Result<Reply, AgentError> {
        let next = self.next.take();
        self.advance();
        match next {
            Some(Ok(Reply::Failed(failed))) => Err(AgentError::Failed(failed)),
            Some(said) => said,
            None => Err(AgentError::new(FailureKind::Agent, format!("the agent ended {doing}"))),
        }
    }

    fn advance(&mut self) {
        self.next = match self.frames.line() {
            Ok(line) => line.map(|line| frames::reply(&line, "in a session")),
            Err(fault) => Some(Err(fault)),
        };
    }
}

impl AgentPool for Spoken {
    fn elapsed_ns(&self) -> u64 {
        self.now_ns
    }

    fn interrupted(&self) -> bool {
        self.next.is_none()
    }

    fn idle(&mut self, ns: u64) {
        self.now_ns = self.now_ns.saturating_add(ns.min(LONGEST_NS));
    }

    fn moment(&mut self) -> Moment {
        Moment { at_ns: self.now_ns, ..Moment::default() }
    }

    fn start(
        &mut self,
        slot: AgentSlot,
        candidate: &Candidate,
        _iterations: Option<&[u64]>,
        beginning: Beginning,
        _patience: Patience,
    ) -> Result<Started, AgentError> {
        let doing = "while it was set up";
        match self.take(doing)? {
            Reply::Ready(ready) => {
                self.alive.insert(slot, candidate.clone());
                self.idle(1_000_000);
                Ok(Started { boot_ns: 1_000_000, beginning, ready })
            }
            other => Err(out_of_turn(&other, doing)),
        }
    }

    fn leave_turns(&mut self) {}

    fn block(&mut self, slot: AgentSlot, ask: Ask) -> Result<Measurement, AgentError> {
        let number = self.blocks;
        self.blocks = self.blocks.saturating_add(1);
        if !self.alive.contains_key(&slot) {
            return Err(AgentError::new(FailureKind::Agent, "the agent is gone".to_owned()));
        }
        let at_ns = self.now_ns;
        let figures = frames::block(self.take("in a block")?, number, ask.kind)?;
        self.idle(ask.window_ns.max(1_000_000));
        Ok(Measurement {
            at_ns,
            figures,
            memory: Some(MemorySample::default()).filter(|_| ask.kind == BlockKind::Memory),
            server_cpu_ns: None,
            run_delay_share: None,
            parked_cpu_share: 0.0,
        })
    }

    fn end(&mut self, slot: AgentSlot) -> Shutdown {
        self.alive.remove(&slot);
        let Some(Ok(Reply::Bye(_))) = &self.next else { return Shutdown::default() };
        match self.take("at its end") {
            Ok(Reply::Bye(ended)) => Shutdown {
                teardown_ns: Some(ended.teardown_ns),
                leftover: 0,
                left_behind: ended.left_behind,
                failed_teardown: ended.failed_teardown,
                hung: false,
            },
            _ => Shutdown::default(),
        }
    }

    fn kill(&mut self, slot: AgentSlot) {
        self.alive.remove(&slot);
    }
}
