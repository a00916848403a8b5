import type { Curve, Figures } from './findings.js';
import type { Python } from './python.js';
import type { Race } from './race.js';

/** What a workload has to work with. */
export interface Setting {
  readonly dsn: string;
  /** Whether the benchmarks themselves are being worked on, and less will do. */
  readonly quick: boolean;
  /** Psycopg and asyncpg, where they are installed. */
  readonly python: Python | null;
}

export type Finding = Race | Curve | Figures;

export type Workload = (setting: Setting) => Promise<readonly Finding[]>;
