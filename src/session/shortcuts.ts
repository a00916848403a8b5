/**
 * Whether statements take shortcuts: a BEGIN rides along with what it is for, nobody waits for the answer to the statement before, and
 * results come in the binary format. Only tests switch them off, to see that what comes of a statement does not depend on them.
 */
export const shortcuts = { taken: true };
