//! The sampler under simulated time: tasks with known times, no clock.

use std::collections::VecDeque;

use proptest::prelude::*;
use rand::SeedableRng as _;

use super::*;

const GO_NS: u64 = 1_000_000_000;

fn settings(arrival: Arrival, slots: u32) -> SamplerSettings {
    SamplerSettings {
        arrival,
        first_index: 0,
        slots,
        shards: slots,
        task_timeout_ns: u64::MAX,
        tolerates_errors: false,
        heartbeat: false,
        most_tasks: None,
        pace: None,
    }
}

/// Runs slots whose tasks last `task_ns` with pauses of `pause_ns` between, all begun together.
fn simulate(slots: u32, task_ns: u64, pause_ns: u64, window_ns: u64, ramp_ns: u64) -> Block {
    simulate_under(settings(Arrival::Window { window_ns, ramp_ns }, slots), task_ns, pause_ns)
}

fn simulate_under(settings: SamplerSettings, task_ns: u64, pause_ns: u64) -> Block {
    let slots = settings.slots;
    let sampler = Sampler::new(settings, GO_NS);
    // (time of the next event, slot, begin of the task that ends then; None: a task begins)
    let mut events: Vec<(u64, u32, Option<u64>)> = (0..slots).map(|slot| (GO_NS, slot, None)).collect();
    let mut done = 0;
    while let Some(position) = (0..events.len()).min_by_key(|position| events[*position].0) {
        let (now, slot, began) = events.swap_remove(position);
        match began {
            None => {
                if sampler.next().is_some() {
                    sampler.begun_at(Lane::own(slot), now);
                    events.push((now + task_ns, slot, Some(now)));
                }
            }
            Some(begin_ns) => {
                done += 1;
                sampler.ended_at(Lane::own(slot), begin_ns, begin_ns, now, Ok(1));
                events.push((now + pause_ns, slot, None));
            }
        }
    }
    let block = sampler.finish(3, BlockKind::Timed, Usage::default()).expect("no failure");
    assert_eq!((block.tasks, block.checksum), (done, done), "each task begun is counted once");
    block
}

/// Runs slots whose tasks wait in turn for one server, `task_ns` each, all begun together.
fn simulate_queue(slots: u32, task_ns: u64, window_ns: u64, ramp_ns: u64) -> Block {
    simulate_queue_under(settings(Arrival::Window { window_ns, ramp_ns }, slots), task_ns)
}

fn simulate_queue_under(settings: SamplerSettings, task_ns: u64) -> Block {
    let slots = settings.slots;
    let sampler = Sampler::new(settings, GO_NS);
    let mut waiting: std::collections::VecDeque<(u32, u64)> = std::collections::VecDeque::new();
    let mut now = GO_NS;
    for slot in 0..slots {
        waiting.extend(sampler.next().map(|_| (slot, now)));
        sampler.begun_at(Lane::own(slot), now);
    }
    while let Some((slot, begin_ns)) = waiting.pop_front() {
        now += task_ns;
        sampler.ended_at(Lane::own(slot), begin_ns, begin_ns, now, Ok(1));
        if sampler.next().is_some() {
            sampler.begun_at(Lane::own(slot), now);
            waiting.push_back((slot, now));
        }
    }
    sampler.finish(3, BlockKind::Timed, Usage::default()).expect("no failure")
}

/// The mean throughput over ramps from `first` times of a task's time in service on, in shares of the server's.
fn share_of_server(slots: u32, task_ns: u64, windows: u64, first: f64) -> f64 {
    let turn_ns = f64::from(slots) * task_ns as f64;
    let phases = 20;
    let ramp = |phase: i32| ((first + f64::from(phase) / f64::from(phases)) * turn_ns) as u64;
    let block = |phase| simulate_queue(slots, task_ns, windows * turn_ns as u64, ramp(phase));
    (0..phases).map(|phase| block(phase).throughput_per_s()).sum::<f64>() / f64::from(phases) * task_ns as f64 / 1e9
}

#[test]
fn what_begins_together_and_is_served_in_turn_counts_too_much_until_it_has_ended() {
    let early = share_of_server(64, 1_000_000, 2, 0.0);
    assert!(early > 1.03, "{early}");
}

/// A core that gives each of its slots a slice of its time in turn.
struct Core {
    now_ns: u64,
    /// Slots, with when their task began and what it still needs.
    slots: VecDeque<(u32, Option<(u64, u64)>)>,
}

impl Core {
    /// Runs the next slot for a slice; a slot that gets no task any more leaves.
    fn turn(&mut self, sampler: &Sampler, slice_ns: u64, task_ns: u64) {
        let Some((slot, mut task)) = self.slots.pop_front() else { return };
        let end_ns = self.now_ns + slice_ns;
        while self.now_ns < end_ns {
            if task.is_none() && sampler.next().is_some() {
                sampler.begun_at(Lane::own(slot), self.now_ns);
                task = Some((self.now_ns, task_ns));
            }
            let Some((begin_ns, left_ns)) = task else { return };
            let ran_ns = left_ns.min(end_ns - self.now_ns);
            self.now_ns += ran_ns;
            task = Some((begin_ns, left_ns - ran_ns)).filter(|(_, left_ns)| *left_ns > 0);
            if task.is_none() {
                sampler.ended_at(Lane::own(slot), begin_ns, begin_ns, self.now_ns, Ok(1));
            }
        }
        self.slots.push_back((slot, task));
    }
}

/// Runs equal tasks in slots that two cores serve by slices, both of them always in use within the window.
fn simulate_slices(slots: u32, slice_ns: u64, number: u64) -> Block {
    let turn_ns = TASK_NS * f64::from(slots) / 2.0;
    let ramp_ns = ((1.0 + (number as f64 * 0.618_033_988_749_894_9).fract()) * turn_ns) as u64;
    let window = Arrival::Window { window_ns: 2 * turn_ns as u64, ramp_ns };
    let sampler = Sampler::new(settings(window, slots), GO_NS);
    let of_core = |core: u32| (0..slots).filter(|slot| slot % 2 == core).map(|slot| (slot, None)).collect();
    let mut cores = [0, 1].map(|core| Core { now_ns: GO_NS, slots: of_core(core) });
    while let Some(core) = cores.iter_mut().filter(|core| !core.slots.is_empty()).min_by_key(|core| core.now_ns) {
        core.turn(&sampler, slice_ns, TASK_NS as u64);
    }
    let block = sampler.finish(3, BlockKind::Timed, Usage::default()).expect("no failure");
    let usage = Usage { user_ns: block.tasks * TASK_NS as u64, ..Usage::default() };
    Block { usage, window_cores: Some(2.0), ..block }
}

/// The cores that such blocks show, as they are or counted by CPU time.
fn cores_shown_by_slices(slots: u32, slice_ns: u64, by_cpu: bool) -> f64 {
    let blocks = 50;
    let counted = |block: Block| if by_cpu { block.counted_by_cpu(2.0, slots) } else { block };
    let rate = |number| counted(simulate_slices(slots, slice_ns, number)).throughput_per_s();
    (0..blocks).map(rate).sum::<f64>() / blocks as f64 * TASK_NS / 1e9
}

#[test]
fn tasks_in_step_with_the_scheduler_are_counted_by_their_cpu_time() {
    // Slices of 1.9 tasks: all that began together are nearly done when the window begins, and less so with every turn.
    let slice_ns = (1.9 * TASK_NS) as u64;
    for slots in [2, 4, 16, 64] {
        let cores = cores_shown_by_slices(slots, slice_ns, true);
        assert!((cores / 2.0 - 1.0).abs() < 0.01, "{slots} in flight: {cores}");
    }
    let cores = cores_shown_by_slices(64, slice_ns, false);
    assert!(cores / 2.0 > 1.03, "{cores}");
}

/// How a block ends that [`simulate_sharing`] runs.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// When the sampler says so.
    Straddlers,
    /// No slot begins a task after the window, which is what the sampler must not do.
    Window,
    /// When so many turns of tasks are begun.
    Turns(u64),
}

/// Runs slots whose tasks share two cores evenly, each of half to one and a half times `TASK_NS` of computation.
fn simulate_sharing(slots: u32, seed: u64, end: End) -> Block {
    let turn_ns = TASK_NS * f64::from(slots).max(2.0) / 2.0;
    let ramp_ns = ((1.0 + (seed as f64 * 0.618_033_988_749_894_9).fract()) * turn_ns) as u64;
    let window = Arrival::Window { window_ns: 2 * turn_ns as u64, ramp_ns };
    let most_tasks = if let End::Turns(turns) = end { Some(turns * u64::from(slots)) } else { None };
    let sampler = Sampler::new(SamplerSettings { most_tasks, ..settings(window, slots) }, GO_NS);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    // What each task in flight has begun at, and still needs.
    let mut running: Vec<Option<(u64, f64)>> = vec![None; slots as usize];
    let mut now = GO_NS as f64;
    loop {
        for (slot, task) in (0..).zip(&mut running) {
            let is_over = end == End::Window && sampler.window().is_some_and(|(_, end_ns)| now as u64 >= end_ns);
            if task.is_none() && !is_over && sampler.next().is_some() {
                sampler.begun_at(Lane::own(slot), now as u64);
                *task = Some((now as u64, random.random_range(0.5..1.5) * TASK_NS));
            }
        }
        let Some(next_ns) = running.iter().flatten().map(|task| task.1).min_by(f64::total_cmp) else { break };
        now += next_ns * (running.iter().flatten().count() as f64 / 2.0).max(1.0);
        for (slot, task) in (0..).zip(&mut running) {
            if let Some((begin_ns, left_ns)) = task {
                *left_ns -= next_ns;
                if *left_ns <= 0.0 {
                    sampler.ended_at(Lane::own(slot), *begin_ns, *begin_ns, now as u64, Ok(1));
                    *task = None;
                }
            }
        }
    }
    sampler.finish(3, BlockKind::Timed, Usage::default()).expect("no failure")
}

const TASK_NS: f64 = 2e6;

/// The cores that blocks of shared cores show: their mean throughput, times the computation of a task.
fn cores_shown(slots: u32, end: End) -> f64 {
    // As many tasks of many slots as of few.
    let blocks = u64::from(4096 / slots).max(100);
    let rate = |seed| simulate_sharing(slots, seed, end).throughput_per_s();
    (0..blocks).map(rate).sum::<f64>() / blocks as f64 * TASK_NS / 1e9
}

#[test]
fn tasks_that_share_cores_show_as_many_as_there_are() {
    for slots in [2, 4, 16, 64] {
        let cores = cores_shown(slots, End::Straddlers);
        assert!((cores / 2.0 - 1.0).abs() < 0.01, "{slots} in flight: {cores}");
    }
}

#[test]
fn straddlers_that_end_under_a_falling_load_count_too_much() {
    for slots in [8, 16, 64] {
        let cores = cores_shown(slots, End::Window);
        assert!(cores / 2.0 > 1.015, "{slots} in flight: {cores}");
    }
}

#[test]
fn a_window_that_a_limit_cuts_holds_no_straddler_that_ended_under_a_falling_load() {
    // Cut where the last task begins, it would show 1.02 times the cores.
    for slots in [16, 64] {
        let cores = cores_shown(slots, End::Turns(4));
        assert!((cores / 2.0 - 1.0).abs() < 0.01, "{slots} in flight: {cores}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Tasks that wait for a server within their time count as what it serves, however many wait.
    #[test]
    fn throughput_of_a_queue_within_tasks_is_that_of_its_server(slots in 1_u32..65, task_us in 50_u64..2000, windows in 1_u64..4) {
        let share = share_of_server(slots, task_us * 1000, windows, 1.0);
        prop_assert!((share - 1.0).abs() < 0.01, "{}", share);
    }

    /// Averaged over the phases that the ramp gives, throughput is slots / (task + pause).
    #[test]
    fn throughput_is_unbiased_over_phases(slots in 1_u32..9, task_us in 50_u64..2000, pause_share in 0.0_f64..0.5, windows in 2_u64..6) {
        let task_ns = task_us * 1000;
        let pause_ns = (task_ns as f64 * pause_share) as u64;
        let cycle_ns = task_ns + pause_ns;
        let phases = 20;
        let mean = (0..phases)
            .map(|phase| simulate(slots, task_ns, pause_ns, windows * task_ns, phase * cycle_ns / phases))
            .map(|block| block.throughput_per_s())
            .sum::<f64>() / phases as f64;
        let truth = f64::from(slots) * 1e9 / cycle_ns as f64;
        prop_assert!((mean / truth - 1.0).abs() < 0.02, "{} {}", mean, truth);
    }

    /// Without pauses each window of any length sees exactly slots / task.
    #[test]
    fn throughput_is_exact_without_pauses(slots in 1_u32..9, task_us in 50_u64..2000, window_us in 100_u64..9000, ramp_us in 0_u64..3000) {
        let block = simulate(slots, task_us * 1000, 0, window_us * 1000, ramp_us * 1000);
        let truth = f64::from(slots) * 1e6 / task_us as f64;
        prop_assert!((block.throughput_per_s() / truth - 1.0).abs() < 1e-9, "{} {}", block.throughput_per_s(), truth);
        prop_assert_eq!(block.busy_ns, u64::from(slots) * window_us * 1000);
    }

    /// A limit is never exceeded, and a window that it cuts short still sees full load.
    #[test]
    fn a_limit_holds_and_does_not_bias_a_window_that_it_cuts(slots in 1_u32..9, task_us in 50_u64..2000, window_us in 100_u64..9000, most in 0_u64..100) {
        let window = Arrival::Window { window_ns: window_us * 1000, ramp_ns: 0 };
        let block = simulate_under(SamplerSettings { most_tasks: Some(most), ..settings(window, slots) }, task_us * 1000, 0);
        prop_assert!(block.tasks <= most);
        prop_assert!(block.tasks_in_window <= most as f64 + 1e-9);
        prop_assert!(block.window_ns <= (window_us * 1000).max(block.elapsed_ns));
        let truth = f64::from(slots) * 1e6 / task_us as f64;
        if most > u64::from(slots) {
            prop_assert!((block.throughput_per_s() / truth - 1.0).abs() < 1e-9, "{} {}", block.throughput_per_s(), truth);
        } else {
            prop_assert!(block.throughput_per_s() <= truth + 1e-9);
        }
    }
}

#[test]
fn tasks_too_few_for_the_window_count_as_a_batch() {
    let window = Arrival::Window { window_ns: 1_000_000, ramp_ns: 0 };
    for slots in [3, 8] {
        let block = simulate_under(SamplerSettings { most_tasks: Some(3), ..settings(window, slots) }, 1000, 0);
        assert_eq!((block.tasks, block.window_ns, block.elapsed_ns), (3, 1000, 1000), "{slots}");
        assert!((block.tasks_in_window - 3.0).abs() < 1e-9, "{slots}");
        assert_eq!(block.service.decode().expect("a histogram").len(), 3, "{slots}");
    }
    let none = simulate_under(SamplerSettings { most_tasks: Some(0), ..settings(window, 2) }, 1000, 0);
    assert_eq!((none.tasks, none.window_ns, none.resume_ns), (0, 0, 0));
}

#[test]
fn a_limit_loses_no_task_of_a_full_log() {
    let window = Arrival::Window { window_ns: 100 * LOG_CAPACITY as u64, ramp_ns: 0 };
    let most = 2 * LOG_CAPACITY as u64 + 5;
    let block = simulate_under(SamplerSettings { most_tasks: Some(most), ..settings(window, 1) }, 10, 0);
    assert_eq!((block.tasks, block.window_ns), (most, (most - 1) * 10));
    assert!((block.tasks_in_window - (most - 1) as f64).abs() < 1e-3, "{}", block.tasks_in_window);
    let never_begins = SamplerSettings { most_tasks: Some(most), shards: 1, ..settings(window, 2 * most as u32) };
    let sampler = Sampler::new(never_begins, GO_NS);
    while let Some(index) = sampler.next() {
        let lane = Lane { slot: index as u32, shard: 0 };
        sampler.begun_at(lane, GO_NS);
        sampler.ended_at(lane, GO_NS, GO_NS, GO_NS + 10, Ok(1));
    }
    let block = sampler.finish(0, BlockKind::Timed, Usage::default()).expect("no failure");
    assert_eq!((block.tasks, block.service.decode().expect("a histogram").len()), (most, most));
}

#[test]
fn a_block_resumes_when_its_first_task_runs_and_not_when_it_is_handed_out() {
    let sampler = Sampler::new(settings(Arrival::Batch { tasks: 1 }, 1), GO_NS);
    assert_eq!(sampler.next(), Some(0));
    sampler.begun_at(Lane::own(0), GO_NS + 5);
    sampler.ended_at(Lane::own(0), GO_NS + 5, GO_NS + 300, GO_NS + 400, Ok(0));
    assert_eq!(sampler.finish(0, BlockKind::Timed, Usage::default()).expect("no failure").resume_ns, 300);
}

#[test]
fn dispatch_goes_on_until_each_slot_ended_a_task_after_the_window() {
    let window = Arrival::Window { window_ns: 100, ramp_ns: 0 };
    let sampler = Sampler::new(settings(window, 2), GO_NS);
    sampler.begun_at(Lane::own(0), GO_NS);
    sampler.begun_at(Lane::own(1), GO_NS + 10);
    sampler.ended_at(Lane::own(0), GO_NS, GO_NS, GO_NS + 120, Ok(0));
    assert!(sampler.next().is_some(), "slot 1 still straddles the end");
    sampler.ended_at(Lane::own(1), GO_NS, GO_NS + 10, GO_NS + 400, Ok(0));
    assert!(sampler.next().is_none());
}

#[test]
fn dispatch_goes_on_until_the_last_straddler_ended_however_long_tasks_are() {
    let window = Arrival::Window { window_ns: 1_000_000, ramp_ns: 0 };
    let sampler = Sampler::new(settings(window, 2), GO_NS);
    sampler.begun_at(Lane::own(0), GO_NS);
    sampler.begun_at(Lane::own(1), GO_NS);
    sampler.ended_at(Lane::own(0), GO_NS, GO_NS, GO_NS + 500_000_000, Ok(0));
    assert!(sampler.next().is_some(), "slot 1 still straddles the end");
    sampler.ended_at(Lane::own(1), GO_NS, GO_NS, GO_NS + 900_000_000, Ok(0));
    assert!(sampler.next().is_none());
}

#[test]
fn a_slot_without_work_does_not_hold_the_block_for_ever() {
    let window = Arrival::Window { window_ns: 1_000_000, ramp_ns: 0 };
    let sampler = Sampler::new(settings(window, 2), GO_NS);
    let mut now = GO_NS;
    while sampler.next().is_some() {
        sampler.begun_at(Lane::own(0), now);
        sampler.ended_at(Lane::own(0), now, now, now + 100_000, Ok(0));
        now += 100_000;
        assert!(now < GO_NS + 10_000_000_000, "the block never ends");
    }
    let block = sampler.finish(0, BlockKind::Timed, Usage::default()).expect("no failure");
    assert!((block.throughput_per_s() / 10_000.0 - 1.0).abs() < 1e-9);
    assert!(now <= GO_NS + 2 * 50_000_000 + 2_000_000, "a window's patience at each end");
}

#[test]
fn the_window_waits_for_slots_as_long_as_one_after_another_begins() {
    let window = Arrival::Window { window_ns: 1_000_000, ramp_ns: 0 };
    let sampler = Sampler::new(settings(window, 4), GO_NS);
    let mut now = GO_NS;
    while sampler.next().is_some() {
        for slot in 0..=((now - GO_NS) / 40_000_000).min(3) {
            sampler.begun_at(Lane::own(slot as u32), now);
        }
        sampler.ended_at(Lane::own(0), now, now, now + 100_000, Ok(0));
        now += 100_000;
    }
    assert_eq!(sampler.window(), Some((GO_NS + 120_000_000, GO_NS + 121_000_000)));
}

#[test]
fn lots_follow_one_another_up_to_the_last_task() {
    let batch = SamplerSettings { first_index: 7, ..settings(Arrival::Batch { tasks: 10 }, 2) };
    let lots = |settings: SamplerSettings| {
        let sampler = Sampler::new(settings, GO_NS);
        std::iter::from_fn(|| sampler.next_lot(4)).collect::<Vec<_>>()
    };
    assert_eq!(lots(batch), [7..11, 11..15, 15..17]);
    // What is limited is not taken ahead of its turn.
    assert_eq!(lots(SamplerSettings { most_tasks: Some(2), ..batch }), [7..8, 8..9]);
}

#[test]
fn a_batch_counts_all_tasks_over_the_makespan() {
    let sampler = Sampler::new(settings(Arrival::Batch { tasks: 3 }, 1), GO_NS);
    let mut now = GO_NS;
    while let Some(index) = sampler.next() {
        sampler.begun_at(Lane::own(0), now);
        sampler.ended_at(Lane::own(0), GO_NS, now, now + 1000, Ok(index));
        now += 1000;
    }
    let block = sampler.finish(0, BlockKind::Timed, Usage::default()).expect("no failure");
    assert_eq!((block.tasks, block.checksum, block.window_ns), (3, 3, 3000));
    assert!((block.tasks_in_window - 3.0).abs() < 1e-9);
    assert_eq!(block.queueing.decode().expect("a histogram").max(), 2000);
}

#[test]
fn the_first_failure_is_the_answer_and_stops_dispatch() {
    let failure = |message: &str| Failed {
        kind: FailureKind::Task,
        message: message.to_owned(),
        place: String::new(),
        traceback: Vec::new(),
    };
    let sampler = Sampler::new(settings(Arrival::Batch { tasks: 9 }, 1), GO_NS);
    sampler.ended_at(Lane::own(0), GO_NS, GO_NS, GO_NS + 1, Err(failure("first")));
    sampler.fail(failure("second"));
    assert!(sampler.next().is_none());
    assert_eq!(sampler.finish(0, BlockKind::Timed, Usage::default()), Err(failure("first")));
}

#[test]
fn a_task_over_its_timeout_has_failed() {
    let limits = SamplerSettings { task_timeout_ns: 1_000_000, ..settings(Arrival::Batch { tasks: 9 }, 1) };
    let sampler = Sampler::new(limits, GO_NS);
    sampler.ended_at(Lane::own(0), GO_NS, GO_NS, GO_NS + 2_000_000, Ok(0));
    let failure = sampler.finish(0, BlockKind::Timed, Usage::default()).expect_err("too late");
    assert_eq!(failure.message, "a task took 2.0 ms, longer than task_timeout (1.0 ms)");
}

#[test]
fn a_tolerated_failure_counts_as_a_task_and_for_nothing_else() {
    let arrival = Arrival::Window { window_ns: 1000, ramp_ns: 0 };
    let limits = SamplerSettings { tolerates_errors: true, task_timeout_ns: 150, ..settings(arrival, 1) };
    let sampler = Sampler::new(limits, GO_NS);
    let failure = Failed::new(FailureKind::Task, "no", "");
    let mut now = GO_NS;
    while let Some(index) = sampler.next() {
        sampler.begun_at(Lane::own(0), now);
        // Of each ten tasks one fails, and one takes longer than it may.
        let (took_ns, outcome) = match index % 10 {
            3 => (100, Err(failure.clone())),
            7 => (200, Ok(1)),
            _ => (100, Ok(1)),
        };
        sampler.ended_at(Lane::own(0), now, now, now + took_ns, outcome);
        now += took_ns;
    }
    let block = sampler.finish(0, BlockKind::Timed, Usage::default()).expect("it goes on");
    assert_eq!((block.tasks, block.errors, block.checksum, block.elapsed_ns), (9, 2, 7, 1000));
    assert_eq!(block.first_error, Some(failure));
    assert!((block.tasks_in_window - 7.0).abs() < 1e-9, "{}", block.tasks_in_window);
    assert_eq!((block.busy_ns, block.service.decode().expect("a histogram").len()), (700, 7));
}

#[test]
fn a_worker_that_dies_is_not_tolerated() {
    let limits = SamplerSettings { tolerates_errors: true, ..settings(Arrival::Batch { tasks: 9 }, 1) };
    let sampler = Sampler::new(limits, GO_NS);
    let failure = Failed::new(FailureKind::Worker, "it died", "worker 0");
    sampler.ended_at(Lane::own(0), GO_NS, GO_NS, GO_NS + 1, Err(failure.clone()));
    assert_eq!(sampler.finish(0, BlockKind::Timed, Usage::default()), Err(failure));
}

#[test]
fn a_full_log_is_folded_and_nothing_is_lost() {
    let window_ns = 3 * LOG_CAPACITY as u64 * 10;
    let block = simulate(1, 10, 0, window_ns, 0);
    assert!(block.tasks as usize >= 3 * LOG_CAPACITY);
    assert!((block.tasks_in_window - (window_ns / 10) as f64).abs() < 1e-3, "{}", block.tasks_in_window);
    assert_eq!(block.service.decode().expect("a histogram").len(), window_ns / 10);
}

#[test]
fn turns_count_what_ended_while_the_load_was_full() {
    for (slots, turns) in [(1, 2), (1, 3), (2, 3), (64, 2), (64, 3)] {
        let arrival = Arrival::Turns { tasks: u64::from(slots * turns) };
        let block = simulate_under(settings(arrival, slots), 1_000, 0);
        let full = u64::from(turns - 1);
        assert_eq!((block.window_ns, block.elapsed_ns), (full * 1_000, (full + 1) * 1_000));
        assert_eq!(block.tasks_in_window, f64::from(slots) * full as f64);
        assert_eq!(block.busy_ns, u64::from(slots) * full * 1_000);
    }
    // Of one turn all that can be said is how long it took, however early some of it ends.
    let one = simulate_under(settings(Arrival::Turns { tasks: 8 }, 8), 1_000, 0);
    assert_eq!((one.window_ns, one.tasks_in_window), (1_000, 8.0));
    let sampler = Sampler::new(settings(Arrival::Turns { tasks: 2 }, 2), GO_NS);
    sampler.begun_at(Lane::own(0), GO_NS);
    sampler.ended_at(Lane::own(0), GO_NS, GO_NS, GO_NS + 5, Ok(1));
    sampler.begun_at(Lane::own(1), GO_NS + 10);
    sampler.ended_at(Lane::own(1), GO_NS + 10, GO_NS + 10, GO_NS + 1_000, Ok(1));
    let block = sampler.finish(3, BlockKind::Timed, Usage::default()).expect("no failure");
    assert_eq!((block.window_ns, block.tasks_in_window), (1_000, 2.0));
}

#[test]
fn turns_of_tasks_that_wait_inside_for_one_server_show_what_it_serves() {
    for slots in [2, 4, 16] {
        let block = simulate_queue_under(settings(Arrival::Turns { tasks: u64::from(3 * slots) }, slots), 1_000);
        assert!((block.throughput_per_s() / 1e6 - 1.0).abs() < 1e-9, "{slots}: {}", block.throughput_per_s());
    }
}
