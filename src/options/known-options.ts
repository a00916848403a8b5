import { CallOptions } from './call-options.js';
import type { KindsOf } from './kinds.js';
import { explainUnknown, registerPlace, type Place } from './unknown-name.js';

/**
 * The options of one call of the main entry. This is how every such call that takes options refuses what is none of them: with what
 * to write instead, also in another call.
 */
export class KnownOptions<T extends object> extends CallOptions<T> implements Place {
  constructor(call: string, kinds: KindsOf<T>) {
    super(call, kinds);
    registerPlace(this);
  }

  protected override explain(name: string, value: unknown): string | null {
    return explainUnknown(name, value, this);
  }
}
