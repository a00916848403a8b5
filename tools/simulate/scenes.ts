import type { Deploy } from './deploy.js';
import type { Overload } from './overload.js';
import { SERVER } from './server.js';
import type { Storm } from './storm.js';

const SEED = 1;

/** 1,000 processes with pools of 10, whose load keeps 6 of 16 cores busy. */
const STORM: Storm = {
  server: SERVER,
  processes: 1000,
  size: 10,
  numWorkers: 3,
  outage: 0,
  rate: 1,
  transaction: { busy: 0.006, elsewhere: 0.004 },
  jitter: (random) => random,
  seed: SEED,
  after: 12,
};
/** A request of each process every quarter of an hour. */
const IDLE = { rate: 0.001, after: 25 };

/** Failovers, by what is varied. */
export const STORMS: Readonly<Record<string, Storm>> = {
  'sessions end': STORM,
  'sessions end, no jitter': { ...STORM, jitter: () => 0 },
  'sessions end, numWorkers 10': { ...STORM, numWorkers: 10 },
  'sessions end, no requests': { ...STORM, ...IDLE },
  'down for 10 s': { ...STORM, outage: 10 },
  'down for 10 s, no jitter': { ...STORM, outage: 10, jitter: () => 0 },
  'down for 10 s, numWorkers 10': { ...STORM, outage: 10, numWorkers: 10 },
  'down for 10 s, no requests': { ...STORM, ...IDLE, outage: 10 },
};

export const SIZES = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 80, 100];
export const SIZES_SEED = SEED;

/** 20 processes with pools of 10, replaced five at a time. */
const DEPLOY: Omit<Deploy, 'maxConnections'> = {
  processes: 20,
  surge: 5,
  size: 10,
  rate: 100,
  transaction: { busy: 0.004, elsewhere: 0.03 },
  seed: SEED,
};

/** The same deploy with the limit that the formula gives, and with one that counts the old processes only. */
export const DEPLOYS: Readonly<Record<string, Deploy>> = {
  'old and new processes': { ...DEPLOY, maxConnections: 250 },
  'old processes only': { ...DEPLOY, maxConnections: 200 },
};

/** 10 processes with pools of 4: two and a half connections for each core, for transactions that spend half their time elsewhere. */
const OVERLOAD = {
  processes: 10,
  size: 4,
  usual: 0.4,
  excessive: 1.5,
  lasts: 60,
  transaction: { busy: 0.08, elsewhere: 0.08 },
  seed: SEED,
};

export const OVERLOADS: readonly Overload[] = [
  { ...OVERLOAD, name: 'timeout 30 (default)', timeout: 30, maxWaiting: 0, retries: 0 },
  { ...OVERLOAD, name: 'timeout 3', timeout: 3, maxWaiting: 0, retries: 0 },
  { ...OVERLOAD, name: 'maxWaiting 16', timeout: 30, maxWaiting: 16, retries: 0 },
  { ...OVERLOAD, name: 'timeout 30, 3 retries', timeout: 30, maxWaiting: 0, retries: 3 },
  { ...OVERLOAD, name: 'timeout 3, 3 retries', timeout: 3, maxWaiting: 0, retries: 3 },
  { ...OVERLOAD, name: 'maxWaiting 16, 3 retries', timeout: 30, maxWaiting: 16, retries: 3 },
];
