//! What a round costs, learned from the times at which the race is asked.

/// The share of the time after the first round's begin that the search may take.
const SEARCH_SHARE: f64 = 0.5;

#[derive(Clone, Debug)]
pub(super) struct Pace {
    budget_ns: f64,
    /// When the race was first asked: calibration comes before.
    start_ns: Option<f64>,
    now_ns: f64,
    /// Turns of the round that runs.
    turns: usize,
    /// What one turn costs, a moving average.
    turn_ns: Option<f64>,
}

impl Pace {
    pub(super) fn new(budget_ns: u64) -> Pace {
        Pace { budget_ns: budget_ns as f64, start_ns: None, now_ns: 0.0, turns: 0, turn_ns: None }
    }

    pub(super) fn observe(&mut self, elapsed_ns: u64) {
        let now = elapsed_ns as f64;
        self.start_ns.get_or_insert(now);
        if self.turns > 0 {
            let turn = (now - self.now_ns).max(0.0) / self.turns as f64;
            self.turn_ns = Some(self.turn_ns.map_or(turn, |before| 0.7 * before + 0.3 * turn));
        }
        self.turns = 0;
        self.now_ns = now;
    }

    pub(super) fn begin(&mut self, turns: usize) {
        self.turns = turns;
    }

    /// Time since the race was first asked.
    pub(super) fn since_start_ns(&self) -> u64 {
        (self.now_ns - self.start_ns.unwrap_or(self.now_ns)) as u64
    }

    /// Whether the search has had its share.
    pub(super) fn search_is_spent(&self) -> bool {
        let start = self.start_ns.unwrap_or(0.0);
        self.now_ns >= start + SEARCH_SHARE * (self.budget_ns - start).max(0.0)
    }

    /// Whether a round of so many turns still fits. One that nothing was measured without (`first`) is
    /// begun while there is any time.
    pub(super) fn allows(&self, turns: usize, first: bool) -> bool {
        let cost = if first { 0.0 } else { self.turn_ns.unwrap_or(0.0) * turns as f64 };
        self.now_ns < self.budget_ns && self.now_ns + cost <= self.budget_ns
    }

    /// What is left of the budget.
    pub(super) fn left_ns(&self) -> u64 {
        (self.budget_ns - self.now_ns).max(0.0) as u64
    }

    /// What a turn takes, as far as is known.
    pub(super) fn turn_ns(&self) -> u64 {
        self.turn_ns.unwrap_or(0.0) as u64
    }

    /// How many rounds of so many turns still fit; without experience, any number.
    pub(super) fn rounds_left(&self, turns: usize) -> u32 {
        let cost = self.turn_ns.unwrap_or(0.0) * turns as f64;
        ((self.budget_ns - self.now_ns).max(0.0) / cost) as u32
    }
}
