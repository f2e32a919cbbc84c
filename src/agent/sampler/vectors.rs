//! Blocks of known times, and histograms of known values: what every agent's sampler makes of them.

use std::io::Read as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::protocol::vectors::{Vectors, hex};

/// A task that runs: its index, and when it began.
type Begun = (u64, u64);

const GO_NS: u64 = 1_000_000_000;

/// What becomes of a task.
#[derive(Clone, Copy)]
enum Fate {
    /// It ends after so long.
    Ends(u64),
    /// It fails after so long.
    Fails(u64),
}

/// A block whose tasks take known times: task `i` of it has the fate `i % length`.
struct Script {
    /// What it shows.
    name: &'static str,
    settings: SamplerSettings,
    fates: &'static [Fate],
    /// So long each task is submitted before it begins.
    queueing_ns: u64,
    /// So long after `go` each slot begins its first task; `None` never gets work.
    begins: &'static [Option<u64>],
    /// Delays of heartbeats.
    stalls: &'static [u64],
}

impl Script {
    fn new(name: &'static str, arrival: Arrival, fates: &'static [Fate], begins: &'static [Option<u64>]) -> Script {
        let slots = begins.len() as u32;
        let settings = SamplerSettings {
            arrival,
            first_index: 0,
            slots,
            shards: slots,
            task_timeout_ns: 1_000_000_000,
            tolerates_errors: false,
            heartbeat: false,
            most_tasks: None,
            pace: None,
        };
        Script { name, settings, fates, queueing_ns: 0, begins, stalls: &[] }
    }

    /// Runs it: what happened in its order, with times from `go` on, and what the sampler made of it.
    fn play(&self) -> Value {
        let sampler = Sampler::new(self.settings, GO_NS);
        let mut log = Vec::new();
        // When a slot is free, or its task ends; (index, begin) of that task.
        let begins = (0..).zip(self.begins).filter_map(|(slot, begin)| Some((GO_NS + (*begin)?, slot, None)));
        let mut events: Vec<(u64, u32, Option<Begun>)> = begins.collect();
        while let Some(position) = (0..events.len()).min_by_key(|position| events[*position].0) {
            let (now, slot, task) = events.swap_remove(position);
            if let Some((index, begin_ns)) = task {
                log.push(self.end(&sampler, slot, index, begin_ns, now));
            }
            match sampler.next() {
                Some(index) => {
                    sampler.begun_at(Lane::own(slot), now);
                    log.push(json!({"begin": [slot, index, now - GO_NS]}));
                    events.push((now + self.fate(index).1, slot, Some((index, now))));
                }
                None => log.push(json!({"over": slot})),
            }
        }
        self.stalls.iter().for_each(|late_ns| sampler.stalled(*late_ns));
        json!({
            "name": self.name,
            "settings": self.told_settings(),
            "stalls": self.stalls,
            "events": log,
            "answer": answer(sampler.finish(3, BlockKind::Timed, Usage::default())),
        })
    }

    /// Whether a task fails, and when it ends.
    fn fate(&self, index: u64) -> (bool, u64) {
        match self.fates[index as usize % self.fates.len()] {
            Fate::Ends(ns) => (false, ns),
            Fate::Fails(ns) => (true, ns),
        }
    }

    fn end(&self, sampler: &Sampler, slot: u32, index: u64, begin_ns: u64, now: u64) -> Value {
        let submitted_ns = begin_ns - self.queueing_ns;
        let (fails, _) = self.fate(index);
        let outcome = if fails { Err(Failed::new(FailureKind::Task, "no", "")) } else { Ok(index + 1) };
        sampler.ended_at(Lane::own(slot), submitted_ns, begin_ns, now, outcome);
        let times = [submitted_ns, begin_ns, now].map(|ns| ns as i64 - GO_NS as i64);
        if fails { json!({"fail": [slot, index, times]}) } else { json!({"end": [slot, index, times, index + 1]}) }
    }

    fn told_settings(&self) -> Value {
        let settings = &self.settings;
        let arrival = match settings.arrival {
            Arrival::Window { window_ns, ramp_ns } => json!({"window": {"window_ns": window_ns, "ramp_ns": ramp_ns}}),
            Arrival::Batch { tasks } => json!({"batch": {"tasks": tasks}}),
            Arrival::Turns { tasks } => json!({"turns": {"tasks": tasks}}),
        };
        json!({
            "arrival": arrival,
            "first_index": settings.first_index,
            "slots": settings.slots,
            "most_tasks": settings.most_tasks,
            "task_timeout_ns": settings.task_timeout_ns,
            "tolerates_errors": settings.tolerates_errors,
            "heartbeat": settings.heartbeat,
        })
    }
}

/// A block without what its processes used, its histograms decoded; or how it failed.
fn answer(answer: Result<Block, Failed>) -> Value {
    let block = match answer {
        Ok(block) => block,
        Err(failed) => return json!({"failed": failed}),
    };
    let (service, queueing) = (counts(&block.service), counts(&block.queueing));
    let mut told = serde_json::to_value(block).expect("a block is JSON");
    let fields = told.as_object_mut().expect("a block is an object");
    fields.remove("usage");
    fields.insert("service".to_owned(), service);
    fields.insert("queueing".to_owned(), queueing);
    json!({"block": told})
}

/// The lowest value of each bucket that is not empty, with its count.
fn counts(data: &HistogramData) -> Value {
    let histogram = data.decode().expect("a histogram");
    histogram
        .iter_recorded()
        .map(|step| json!([histogram.lowest_equivalent(step.value_iterated_to()), step.count_since_last_iteration()]))
        .collect()
}

fn scripts() -> Vec<Script> {
    use Fate::{Ends, Fails};
    const WINDOW: Arrival = Arrival::Window { window_ns: 1000, ramp_ns: 0 };
    const TWO: &[Option<u64>] = &[Some(0), Some(40)];
    let mut scripts = vec![
        Script::new("a window", WINDOW, &[Ends(130), Ends(70), Ends(310)], TWO),
        Script::new("a ramp", Arrival::Window { window_ns: 500, ramp_ns: 215 }, &[Ends(130), Ends(70)], TWO),
        Script::new("tasks longer than the window", WINDOW, &[Ends(2500), Ends(4000)], TWO),
        Script::new("tasks that take no time", WINDOW, &[Ends(0), Ends(90)], &[Some(5)]),
        Script::new(
            "a slot that never gets work",
            Arrival::Window { window_ns: 20_000_000, ramp_ns: 0 },
            &[Ends(9_000_000)],
            &[Some(0), None],
        ),
        Script::new("a batch", Arrival::Batch { tasks: 5 }, &[Ends(100), Ends(350)], TWO),
        Script::new("a batch of none", Arrival::Batch { tasks: 0 }, &[Ends(100)], TWO),
        Script::new("turns", Arrival::Turns { tasks: 6 }, &[Ends(1000), Ends(1400)], TWO),
        Script::new("one turn", Arrival::Turns { tasks: 2 }, &[Ends(1000), Ends(1400)], TWO),
        Script::new("a heartbeat that is late", WINDOW, &[Ends(400)], TWO),
        Script::new("a window under a limit", WINDOW, &[Ends(130), Ends(70), Ends(310)], TWO),
        Script::new("a limit below the window", WINDOW, &[Ends(130), Ends(70)], TWO),
        Script::new("a limit of none", WINDOW, &[Ends(130)], TWO),
        Script::new("later tasks, submitted before they begin", WINDOW, &[Ends(130), Ends(70), Ends(310)], TWO),
        Script::new("errors that are tolerated", WINDOW, &[Ends(130), Fails(70), Ends(90)], TWO),
        Script::new("a tolerated task that is too late", WINDOW, &[Ends(130), Ends(210), Ends(90)], TWO),
        Script::new("a task that is too late", WINDOW, &[Ends(130), Ends(1_500_000_000)], TWO),
    ];
    for script in &mut scripts {
        let settings = &mut script.settings;
        match script.name {
            "a heartbeat that is late" => {
                settings.heartbeat = true;
                script.stalls = &[5, 900, 70];
            }
            "a window under a limit" => settings.most_tasks = Some(9),
            "a limit below the window" => settings.most_tasks = Some(3),
            "a limit of none" => settings.most_tasks = Some(0),
            "later tasks, submitted before they begin" => {
                settings.first_index = 1003;
                script.queueing_ns = 60;
            }
            "errors that are tolerated" => settings.tolerates_errors = true,
            "a tolerated task that is too late" => {
                settings.tolerates_errors = true;
                settings.task_timeout_ns = 200;
            }
            _ => {}
        }
    }
    scripts
}

#[test]
fn the_vectors_are_what_a_sampler_makes_of_times() {
    Vectors::new(
        "sampler",
        "Blocks whose `go` comes at time 0. `events` in their order: `begin` [slot, index, time] takes the next index, which \
         is this one; `end` [slot, index, [submitted, begun, ended], checksum] and `fail` (the task's own fault, `no`) end \
         that task; `over` takes an index, and there is none. `stalls` are delays of heartbeats. `answer` is the frame, \
         without `usage`; histograms are [lowest value of a bucket, count].",
    )
    .with("blocks", scripts().iter().map(Script::play).collect())
    .hold();
}

/// What of a histogram's text does not depend on who deflates it.
fn inflated(text: &str) -> Vec<u8> {
    let bytes = BASE64_STANDARD.decode(text).expect("base64");
    let mut plain = Vec::new();
    flate2::read::ZlibDecoder::new(&bytes[8..]).read_to_end(&mut plain).expect("zlib");
    plain
}

fn encoded(values: &[u64]) -> Value {
    let mut made = histogram();
    values.iter().for_each(|value| made.record(*value).expect("it grows"));
    let data = encode(&made).expect("it is small");
    json!({"values": values, "counts": counts(&data), "inflated": hex(&inflated(&data.0))})
}

#[test]
fn the_vectors_are_what_histograms_hold() {
    let powers: Vec<u64> =
        (0..45).flat_map(|power: u32| [-1, 0, 1].map(|by| (1_i64 << power) + by)).map(|it| it as u64).collect();
    Vectors::new(
        "histograms",
        "Values, how many fall into each bucket ([lowest value, count]), and what is deflated, in hexadecimal: the header \
         and the counts of HdrHistogram V2, without the 8 bytes in front of the deflated ones.",
    )
    .with("histograms", vec![encoded(&[]), encoded(&[0]), encoded(&[1, 20, 300_000, 4_000_000_000, 20]), encoded(&powers)])
    .hold();
}
