#!/usr/bin/env node
// A small agent of conbench for JavaScript: docs/protocol.md says what it has to do, and
// `conbench agent-check examples/agent/agent.js` whether it does. It has what every agent has: the engine `sequential`,
// a plain loop, and the steps `wait` and `cpu` with the kernel `loop` (and `sha256`). What it lacks it refuses with
// `failed`, kind `setup`. Engines of its own would need names in src/candidate/mod.rs.
'use strict';

const { createHash } = require('node:crypto');
const { deflateSync } = require('node:zlib');
const { readSync, writeSync } = require('node:fs');

const [REQUESTS_FD, REPLIES_FD, PROTOCOL, VARIANTS] = [3, 4, 3, 16];

// CLOCK_MONOTONIC, in whole nanoseconds. A double holds them exactly for the first hundred days after a boot.
const now = () => Number(process.hrtime.bigint());

class Failure extends Error {
  constructor(kind, message, where = '') {
    super(message);
    Object.assign(this, { kind, where });
  }
}

// ---- Frames: JSON, one object a line. A double cannot hold all integers of 64 bits, so long ones become strings, and
// BigInts go out as numbers.

const parse = (line) => JSON.parse(line.replace(/([:[,]\s*)(\d{16,})(?=[,\]}])/g, '$1"$2"'));
const text = (frame) =>
  JSON.stringify(frame, (_, value) => (typeof value === 'bigint' ? `#${value}#` : value)).replace(/"#(\d+)#"/g, '$1');

function* lines() {
  let rest = Buffer.alloc(0);
  const part = Buffer.alloc(1 << 16);
  for (let count; (count = readSync(REQUESTS_FD, part)) > 0; ) {
    rest = Buffer.concat([rest, part.subarray(0, count)]);
    for (let end; (end = rest.indexOf(10)) >= 0; rest = rest.subarray(end + 1)) yield rest.toString('utf8', 0, end);
  }
}

function send(frame) {
  let data = Buffer.from(text(frame) + '\n');
  while (data.length) data = data.subarray(writeSync(REPLIES_FD, data));
}

// The fields of each request: one that is unknown is refused.
const FIELDS = {
  calibrate: 'target budget_ns',
  reference: 'job budget_ns most_calls',
  job: 'candidate load payload steps seed directory server task_timeout_ns turns warms_up copies_items ' +
    'skips_teardown tolerates_errors executor_path cluster rate',
  go: 'block kind window_ns first_index most_tasks',
  bye: '',
};

function read(line) {
  const refuse = (why) => { throw new Failure('protocol', `the agent does not understand a request: ${why}`); };
  let frame;
  try { frame = parse(line); } catch (error) { refuse(error.message); }
  const [[name, body] = [], ...more] = Object.entries(frame ?? {});
  if (more.length || !(name in FIELDS)) refuse(`\`${name}\` is no request`);
  const unknown = Object.keys(body).find((field) => !FIELDS[name].split(' ').includes(field));
  if (unknown) refuse(`unknown field \`${unknown}\``);
  return [name, body];
}

// ---- Checksums: unsigned integers of 64 bits that wrap around.

const wrap = (number) => BigInt.asUintN(64, number);
const fold = (a, b) => wrap((a ^ b) * 6364136223846793005n + 1442695040888963407n);
const PERIOD = 1 << 16;

function pattern(bytes, seed) {
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(wrap(seed));
  const outputLength = Math.min(bytes, PERIOD);
  if (!outputLength) return start.subarray(0, 0);
  return Buffer.alloc(bytes, createHash('shake128', { outputLength }).update(start).digest());
}

// Adler-32 begun at 0, and the length above it.
function digest(bytes) {
  let [a, b] = [0, 0];
  for (const byte of bytes) b = (b + (a = (a + byte) % 65521)) % 65521;
  return (BigInt(bytes.length) << 32n) | (BigInt(b) << 16n) | BigInt(a);
}

// Each kernel: makes an input, and gives what does one iteration on it.
const KERNELS = {
  loop(bytes, seed) {
    const made = pattern(Math.max(1, Math.floor(bytes / 8)) * 8, seed);
    const words = Array.from({ length: made.length / 8 }, (_, at) => made.readBigUInt64LE(8 * at));
    return () => words.reduce(fold, 0n);
  },
  sha256(bytes, seed) {
    const input = pattern(bytes, seed);
    return () => createHash('sha256').update(input).digest().readBigUInt64LE();
  },
};

// ---- Tasks: each step is what it does for the task of an index, and its checksum for a variant.

const cell = new Int32Array(new SharedArrayBuffer(4));

function waitUntil(time) {
  for (let left; (left = time - now()) > 0; ) Atomics.wait(cell, 0, 0, left / 1e6);
}

function build({ step, iterations, draws }, number, seed) {
  const where = `step ${number} (${step.kind})`;
  if (step.kind === 'wait') {
    const [[table], sum] = [draws, fold(0n, BigInt(number))];
    const run = (index) => { waitUntil(now() + Number(table[index % table.length])); return sum; };
    return { run, reference: () => sum };
  }
  const make = KERNELS[step.kernel];
  if (!make) throw new Failure('setup', `this agent does not do ${step.kind} ${step.kernel ?? ''}`.trim(), where);
  const seeds = Array.from({ length: VARIANTS }, (_, v) => fold(seed, BigInt(VARIANTS * number + v)));
  const inputs = seeds.map((each) => make(step.input_bytes, each));
  const run = (index) => {
    let sum = seeds[index % VARIANTS];
    for (let i = 0; i < iterations; i += 1) sum = fold(sum, inputs[index % VARIANTS]());
    return sum;
  };
  return { run, reference: run };
}

class Task {
  constructor(job) {
    const seed = BigInt(job.seed);
    this.steps = job.steps.map((step, at) => build(step, at + 1, seed));
    const { input_bytes: input, output_bytes: output } = job.payload;
    this.inputs = Array.from({ length: VARIANTS }, (_, v) => pattern(input, seed ^ BigInt(v)));
    this.payload = (index) =>
      wrap(digest(this.inputs[index % VARIANTS]) + digest(Buffer.alloc(output, (index % VARIANTS) + 1)));
  }

  run(index) {
    return wrap(this.steps.reduce((sum, step) => sum + step.run(index), this.payload(index)));
  }

  tables() {
    const of = (sum) => Array.from({ length: VARIANTS }, (_, v) => sum(v));
    return [...this.steps.map((step) => of(step.reference)), of(this.payload)];
  }
}

// ---- Blocks.

// A histogram of HdrHistogram V2, deflated: how many values are in each bucket of three digits.
function histogram(values) {
  const counts = new Map();
  for (const value of values) {
    let [bucket, doublings] = [value, 0];
    for (; bucket >= 2048; doublings += 1) bucket = Math.floor(bucket / 2);
    const index = doublings * 1024 + bucket;
    counts.set(index, (counts.get(index) ?? 0) + 1);
  }
  const bytes = [];
  // A signed number in zigzag LEB128. One below zero says how many buckets are empty.
  const put = (number) => {
    let rest = number >= 0 ? number * 2 : -number * 2 - 1;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 | (rest % 128));
    bytes.push(rest);
  };
  let next = 0;
  for (const index of [...counts.keys()].sort((a, b) => a - b)) {
    if (index > next) put(index - next > 1 ? next - index : 0);
    put(counts.get(index));
    next = index + 1;
  }
  if (!bytes.length) put(0);
  const plain = Buffer.alloc(40);
  [0x1c849313, bytes.length, 0, 3].forEach((word, at) => plain.writeUInt32BE(word, 4 * at));
  plain.writeBigInt64BE(1n, 16);
  plain.writeBigInt64BE(BigInt(values.reduce((most, value) => Math.max(most, 2 * value), 2 ** 30)), 24);
  plain.writeDoubleBE(1, 32);
  const deflated = deflateSync(Buffer.concat([plain, Buffer.from(bytes)]));
  const head = Buffer.alloc(8);
  [0x1c849314, deflated.length].forEach((word, at) => head.writeUInt32BE(word, 4 * at));
  return Buffer.concat([head, deflated]).toString('base64');
}

function usage() {
  const used = process.resourceUsage();
  return [used.userCPUTime * 1000, used.systemCPUTime * 1000, used.voluntaryContextSwitches,
    used.involuntaryContextSwitches];
}

// The window of what ran, from its begin to its end, and whether all of it counts as a batch.
function windowOf(ran, { start, length, batch, turns, isOut }) {
  const all = [-Infinity, Infinity, true];
  const last = ran.at(-1)?.begin;
  // The load is full until the last task begins.
  if (turns && ran.length > 1) return [ran[0].begin, last, false];
  if (batch !== null || !ran.length) return all;
  const end = isOut ? Math.min(start + length, last) : start + length;
  return start < end ? [start, end, false] : all;
}

class Candidate {
  constructor(job) {
    if (job.candidate.engine !== 'sequential') throw new Failure('setup', `no engine \`${job.candidate.engine}\``);
    if (job.rate) throw new Failure('setup', 'this agent holds no rate');
    Object.assign(this, { job, task: new Task(job), mean: 0 });
  }

  // Runs one task: its times and its checksum. (Its steps do not fail, so `tolerates_errors` changes nothing.)
  one(index) {
    const begin = now();
    const sum = this.task.run(index);
    const end = now();
    if (end - begin > this.job.task_timeout_ns) throw new Failure('task', 'a task took longer than task_timeout');
    return { begin, end, sum };
  }

  ready(received) {
    const readyNs = now() - received;
    const { turns, warms_up: warms } = this.job;
    // Where tasks are so long that a block is some turns of them, none runs before the first block.
    if (turns && !warms) return { ready_ns: readyNs, startup_ns: readyNs, first_task_ns: 0, pids: [process.pid] };
    const { begin, end } = this.one(0);
    const startup = turns ? [readyNs, 0] : [now() - received, end - begin];
    if (!turns) this.one(0);
    return { ready_ns: readyNs, startup_ns: startup[0], first_task_ns: startup[1], pids: [process.pid] };
  }

  block({ block, kind, window_ns: length, first_index: first, most_tasks: most = Infinity }) {
    const { load, turns = 0 } = this.job;
    const batch = kind === 'verify' ? (most === Infinity ? VARIANTS : most) : load.tasks ?? (turns || null);
    const limit = Math.min(most, batch ?? Infinity);
    const [before, go, ran] = [usage(), now(), []];
    let [start, isOver] = [0, false];
    while (ran.length < limit && !isOver) {
      ran.push(this.one(Number(first) + ran.length));
      // The mean time of a task and a part of it, which spreads evenly over blocks.
      start ||= ran[0].begin + Math.floor(this.mean * (1 + ((block * 0.6180339887498949) % 1)));
      isOver = batch === null && ran[ran.length - 1].end >= start + length;
    }
    const used = usage().map((figure, at) => figure - before[at]);
    const inTurns = turns > 0 && kind !== 'verify';
    const window = windowOf(ran, { start, length, batch, turns: inTurns, isOut: !isOver });
    return this.figures({ block, kind, first_index: first }, ran, go, used, window);
  }

  figures(echo, ran, go, [user, system, voluntary, involuntary], [from, to, isBatch]) {
    const overlap = ({ begin, end }) => Math.max(0, Math.min(end, to) - Math.max(begin, from));
    const inside = ran.filter(({ begin }) => from <= begin && begin < to);
    const elapsed = ran.length ? ran[ran.length - 1].end - go : 0;
    const took = inside.map(({ begin, end }) => end - begin);
    this.mean = took.length ? took.reduce((sum, time) => sum + time, 0) / took.length : this.mean;
    return {
      ...echo,
      tasks: ran.length,
      checksum: wrap(ran.reduce((sum, task) => sum + task.sum, 0n)),
      window_ns: isBatch ? elapsed : to - from,
      elapsed_ns: elapsed,
      resume_ns: ran.length ? ran[0].begin - go : 0,
      tasks_in_window: ran.reduce((sum, task) => sum + overlap(task) / Math.max(task.end - task.begin, 1), 0),
      service: histogram(took),
      queueing: histogram(took.map(() => 0)),
      busy_ns: ran.reduce((sum, task) => sum + overlap(task), 0),
      usage: { user_ns: user, system_ns: system, voluntary_switches: voluntary, involuntary_switches: involuntary },
    };
  }
}

// ---- The agent's life.

function clockCost() {
  const begin = now();
  for (let reading = 0; reading < 1000; reading += 1) now();
  return (now() - begin) / 1000;
}

function calibrate({ target, budget_ns: budget }) {
  const { kernel, input_bytes: bytes } = target.iteration;
  if (!KERNELS[kernel]) throw new Failure('setup', `this agent has no kernel \`${kernel}\``);
  const iterate = KERNELS[kernel](bytes, 1n);
  let best = Infinity;
  for (const end = now() + budget; best === Infinity || now() < end; ) {
    const begin = now();
    iterate();
    best = Math.min(best, Math.max(now() - begin, 1));
  }
  return { iteration: { best_ns: best } };
}

const failureOf = ({ kind = 'agent', message, where = '' }) => ({ kind, message, where });

function answer([name, body], received, state) {
  switch (name) {
    case 'calibrate': return { calibrated: calibrate(body) };
    case 'reference': return { reference: { tables: new Task(body.job).tables() } };
    case 'job':
      state.candidate = new Candidate(body);
      return { ready: state.candidate.ready(received) };
    case 'go':
      if (!state.candidate) throw new Failure('protocol', 'the agent does not understand a request: `go` before `job`');
      return { block: state.candidate.block(body) };
    default: return { bye: { teardown_ns: now() - received } };
  }
}

function main() {
  send({ hello: { protocol: PROTOCOL, language: 'javascript', version: process.versions.node, implementation: 'Node.js',
    executable: process.execPath, gil: null, engines: [{ engine: 'sequential' }], clock_resolution_ns: 1,
    clock_cost_ns: clockCost() } });
  const state = { candidate: null };
  for (const line of lines()) {
    const received = now();
    let reply;
    try { reply = answer(read(line), received, state); } catch (error) { reply = { failed: failureOf(error) }; }
    send(reply);
    if (reply.bye) return 0;
    if (reply.failed) return 1;
  }
  return 0;
}

process.exitCode = main();
