/** How something grows with something else, by client. */
export interface Curve {
  readonly kind: 'curve';
  readonly title: string;
  readonly x: string;
  readonly y: string;
  /** Whether y is a speed; else it is a time. */
  readonly moreIsBetter?: boolean;
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly (readonly [x: number, y: number])[];
  }[];
}

/** Numbers that are counted rather than raced for. */
export interface Figures {
  readonly kind: 'figures';
  readonly title: string;
  readonly unit: string;
  readonly values: readonly { readonly name: string; readonly value: number }[];
  /** What ours may be at most, and how that is put. */
  readonly goal?: { readonly most: number; readonly text: string };
}
