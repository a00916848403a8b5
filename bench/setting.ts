import type { Curve, Figures } from './findings.js';
import type { Python } from './python.js';
import type { Race } from './race.js';

/** The environment of a workload. */
export interface Setting {
  readonly dsn: string;
  /** Whether fewer rounds suffice, for work on the benchmarks themselves. */
  readonly quick: boolean;
  /** Psycopg and asyncpg, if they are installed. */
  readonly python: Python | null;
}

export type Finding = Race | Curve | Figures;

export type Workload = (setting: Setting) => Promise<readonly Finding[]>;
