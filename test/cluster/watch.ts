import { setTimeout as sleep } from 'node:timers/promises';
import type { Node, Role } from './node.js';

/** A node's change of role. The time is that of `performance.now()`. */
export interface RoleChange {
  readonly node: Node;
  readonly role: Role;
  readonly at: number;
}

/** Milliseconds between two looks at a node. */
const INTERVAL = 100;

/** Follows the roles of all nodes, as their Patroni and their PostgreSQL tell them. */
export class RoleWatch {
  readonly changes: RoleChange[] = [];
  readonly #running: Promise<unknown>;
  #isOver = false;

  constructor(nodes: readonly Node[]) {
    this.#running = Promise.all(nodes.map((node) => this.#follow(node)));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  /** When a node became the primary, at that moment or later; null if none has. */
  primarySince(moment: number): RoleChange | null {
    return this.changes.find(({ role, at }) => role === 'primary' && at >= moment) ?? null;
  }

  async #follow(node: Node): Promise<void> {
    let last: Role | null = null;
    while (!this.#isOver) {
      const role = await node.role();
      if (role !== last) this.changes.push({ node, role, at: performance.now() });
      last = role;
      await sleep(INTERVAL);
    }
  }
}
