import { PipelineStatus } from './status.js';

/** What a session has sent in pipeline mode, and how far Syncs have ended it. */
export class PipelineFlow {
  /** Whether statements are sent without waiting. */
  active = false;
  /** Whether one has failed, so that the server skips those up to the next Sync. */
  aborted = false;
  /** Statements that no Sync ends yet. */
  #withoutSync = 0;
  /** Transactions that statements have begun which have not been answered; those of them that no Sync ends yet. */
  #begun = 0;
  #begunWithoutSync = 0;

  get status(): PipelineStatus {
    if (!this.active) return PipelineStatus.OFF;
    return this.aborted ? PipelineStatus.ABORTED : PipelineStatus.ON;
  }

  /** Whether a Sync is owed to the server. */
  get needsSync(): boolean {
    return this.#withoutSync > 0;
  }

  /** Whether a transaction has been begun that the last known status does not tell of. */
  get hasBegun(): boolean {
    return this.#begun > 0;
  }

  /** A statement has been sent, with a BEGIN or without. */
  sent(withBegin: boolean): void {
    this.#withoutSync++;
    if (!withBegin) return;
    this.#begun++;
    this.#begunWithoutSync++;
  }

  /** A Sync has been sent; returns how many transactions it ends the beginning of, for `answered()`. */
  synced(): number {
    const begun = this.#begunWithoutSync;
    this.#begunWithoutSync = 0;
    this.#withoutSync = 0;
    return begun;
  }

  /** A Sync has been answered. */
  answered(begun: number): void {
    this.#begun -= begun;
    this.aborted = false;
  }
}
