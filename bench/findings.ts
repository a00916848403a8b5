/** The growth of one quantity with another, by client. */
export interface Curve {
  readonly kind: 'curve';
  readonly title: string;
  readonly x: string;
  readonly y: string;
  /** Whether y is a speed; otherwise it is a time. */
  readonly moreIsBetter?: boolean;
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly (readonly [x: number, y: number])[];
  }[];
}

/** Numbers that are counted rather than timed. */
export interface Figures {
  readonly kind: 'figures';
  readonly title: string;
  readonly unit: string;
  readonly values: readonly { readonly name: string; readonly value: number }[];
  /** The maximum for usingpg, and its wording. */
  readonly goal?: { readonly most: number; readonly text: string };
}
