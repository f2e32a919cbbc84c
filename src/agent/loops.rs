//! Whose event loop the async forms of steps run on. A step uses what users of that library use, and still knows no engine.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use async_executor::LocalExecutor;

use crate::candidate::Engine;
use crate::clock::Timer;
#[cfg(feature = "compio")]
use crate::workload::Step;

/// A library with an event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loop {
    /// A tokio runtime with I/O and time enabled.
    Tokio,
    /// smol: `block_on` with an executor of the same thread. It re-exports the crates that stand here for it; those of it that no
    /// step needs are not built.
    Smol,
    /// A runtime of compio, which has files, timers and tasks here, and no sockets or programs.
    #[cfg(feature = "compio")]
    Compio,
}

impl Loop {
    /// The one that this engine runs async forms on.
    pub(super) fn of(engine: Engine) -> Loop {
        match engine {
            Engine::Smol => Loop::Smol,
            #[cfg(feature = "compio")]
            Engine::Compio => Loop::Compio,
            _ => Loop::Tokio,
        }
    }

    /// A timer for it.
    pub(super) fn timer(self) -> Timer {
        match self {
            Loop::Tokio => Timer::new(),
            Loop::Smol => Timer::of_smol(),
            #[cfg(feature = "compio")]
            Loop::Compio => Timer::of_compio(),
        }
    }

    /// Whether this step has a form for it; what has none is left out of plans.
    #[cfg(feature = "compio")]
    pub(super) fn runs(self, step: &Step) -> bool {
        self != Loop::Compio || !matches!(step, Step::Http { .. } | Step::Tcp { .. } | Step::Command { .. })
    }
}

/// An executor of one thread.
pub(super) type Local = Rc<LocalExecutor<'static>>;

thread_local! {
    /// The executor that runs on this thread: unlike tokio's runtime, it cannot be asked for.
    static RUNNING: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// Runs a future on this executor, which steps spawn on meanwhile.
pub(super) fn run_on<T>(executor: &Local, future: impl Future<Output = T>) -> T {
    let before = RUNNING.replace(Some(Rc::clone(executor)));
    let done = async_io::block_on(executor.run(future));
    RUNNING.set(before);
    done
}

/// Spawns a future on the executor of smol, or the runtime of compio, that runs on this thread; it ends by itself. `None`
/// where none runs.
pub(super) fn spawn_local(future: impl Future<Output = ()> + 'static) -> Option<()> {
    #[cfg(feature = "compio")]
    if let Some(runtime) = compio::runtime::Runtime::try_current() {
        runtime.spawn(future).detach();
        return Some(());
    }
    RUNNING.with_borrow(|running| running.as_ref().map(|executor| executor.spawn(future).detach()))
}
