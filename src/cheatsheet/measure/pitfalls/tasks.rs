//! Tasks: too many at once, cancelled, forgotten, and errors that nobody asks for.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::{JoinSet, yield_now};

use super::super::timing::ms;
use super::super::{Pair, PitfallFn, Unavailable};

pub(super) const PITFALLS: &[(&str, PitfallFn)] = &[
    ("unbounded-spawn", unbounded_spawn),
    ("await-one-by-one", await_one_by_one),
    ("future-not-awaited", future_not_awaited),
    ("select-cancels", select_cancels),
];

/// Tasks that each open a file, descriptors that are left for them, and how many the semaphore lets do so.
const OPENERS: usize = 400;
const DESCRIPTORS: u64 = 200;
const AT_ONCE: usize = 20;
/// Waits, and what each takes.
const NAPS: u32 = 10;
const NAP: Duration = Duration::from_millis(20);
/// Messages, of which two belong together.
const MESSAGES: usize = 20;

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// A limit of open files for as long as this lives.
struct FewDescriptors(Rlimit);

impl FewDescriptors {
    /// Leaves so many.
    fn leave(left: u64) -> io::Result<FewDescriptors> {
        let before = getrlimit(Resource::Nofile);
        let open = std::fs::read_dir("/proc/self/fd")?.count() as u64;
        let current = before.current.map_or(open + left, |most| most.min(open + left));
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: before.maximum })?;
        Ok(FewDescriptors(before))
    }
}

impl Drop for FewDescriptors {
    fn drop(&mut self) {
        // What was allowed before is allowed again.
        let _ = setrlimit(Resource::Nofile, self.0);
    }
}

/// How many of the tasks could not open their file, and the first message.
async fn failures(bound: usize) -> (usize, Option<String>) {
    let semaphore = Arc::new(Semaphore::new(bound));
    let mut tasks = JoinSet::new();
    for _ in 0..OPENERS {
        let semaphore = Arc::clone(&semaphore);
        tasks.spawn(async move {
            let _permit = semaphore.acquire_owned().await;
            let file = File::open("/dev/null");
            tokio::time::sleep(Duration::from_millis(1)).await;
            file.map(drop)
        });
    }
    let ended = tasks.join_all().await;
    let errors: Vec<String> =
        ended.into_iter().filter_map(|ended| ended.err().map(|error| error.to_string())).collect();
    (errors.len(), errors.into_iter().next())
}

fn unbounded_spawn() -> Result<Pair, Unavailable> {
    let runtime = runtime()?;
    let _few = FewDescriptors::leave(DESCRIPTORS)?;
    let (wrong, message) = runtime.block_on(failures(OPENERS));
    let (mended, _) = runtime.block_on(failures(AT_ONCE));
    let pair = Pair::of(wrong as f64, mended as f64);
    Ok(match message {
        Some(message) => pair.showing(message),
        None => pair,
    })
}

fn await_one_by_one() -> Result<Pair, Unavailable> {
    let runtime = runtime()?;
    let wrong = ms(|| {
        runtime.block_on(async {
            for _ in 0..NAPS {
                tokio::time::sleep(NAP).await;
            }
        });
    });
    let mended = ms(|| {
        runtime.block_on(async {
            let naps: JoinSet<()> = (0..NAPS).map(|_| tokio::time::sleep(NAP)).collect();
            naps.join_all().await;
        });
    });
    Ok(Pair::of(wrong, mended))
}

fn future_not_awaited() -> Result<Pair, Unavailable> {
    async fn save(ran: &AtomicUsize) {
        ran.fetch_add(1, Ordering::SeqCst);
    }
    let ran = AtomicUsize::new(0);
    let count = || ran.swap(0, Ordering::SeqCst) as f64;
    let runtime = runtime()?;
    runtime.block_on(async { drop(save(&ran)) });
    let wrong = count();
    runtime.block_on(async { save(&ran).await });
    Ok(Pair::of(wrong, count()))
}

/// Two messages that belong together. Dropped between them, it has lost the first.
async fn pair(receiver: &mut mpsc::Receiver<usize>) -> Option<[usize; 2]> {
    Some([receiver.recv().await?, receiver.recv().await?])
}

/// A bell that is rung when a message has been taken, and counts how often somebody has heard it.
#[derive(Default)]
struct Bell {
    ring: Notify,
    heard: AtomicUsize,
}

impl Bell {
    async fn hear(&self) {
        self.ring.notified().await;
        self.heard.fetch_add(1, Ordering::SeqCst);
    }
}

/// Sends the messages, and rings after each has been taken: until then the ring waits, and then the next message does. So
/// it is always between two messages of a pair, or of two pairs, that the bell rings.
async fn send_and_ring(sender: mpsc::Sender<usize>, bell: &Bell) {
    for message in 0..MESSAGES {
        // Nobody is left to take it: the count says so.
        let _ = sender.send(message).await;
        while sender.capacity() == 0 {
            yield_now().await;
        }
        bell.ring.notify_one();
        while bell.heard.load(Ordering::SeqCst) <= message {
            yield_now().await;
        }
    }
}

/// How many messages come out where the reading begins anew with each ring.
async fn received_anew(mut receiver: mpsc::Receiver<usize>, bell: &Bell) -> usize {
    let mut received = 0;
    loop {
        tokio::select! {
            both = pair(&mut receiver) => match both {
                Some(both) => received += both.len(),
                None => return received,
            },
            () = bell.hear() => {}
        }
    }
}

/// The same where one reading goes on through the rings.
async fn received_on(mut receiver: mpsc::Receiver<usize>, bell: &Bell) -> usize {
    let mut received = 0;
    loop {
        let mut reading = std::pin::pin!(pair(&mut receiver));
        let both = loop {
            tokio::select! {
                both = &mut reading => break both,
                () = bell.hear() => {}
            }
        };
        match both {
            Some(both) => received += both.len(),
            None => return received,
        }
    }
}

fn select_cancels() -> Result<Pair, Unavailable> {
    let runtime = runtime()?;
    let wrong = runtime.block_on(async {
        let ((sender, receiver), bell) = (mpsc::channel(1), Bell::default());
        tokio::join!(received_anew(receiver, &bell), send_and_ring(sender, &bell)).0
    });
    let mended = runtime.block_on(async {
        let ((sender, receiver), bell) = (mpsc::channel(1), Bell::default());
        tokio::join!(received_on(receiver, &bell), send_and_ring(sender, &bell)).0
    });
    Ok(Pair::of(wrong as f64, mended as f64))
}
