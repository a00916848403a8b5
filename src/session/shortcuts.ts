/**
 * Whether statements take shortcuts: a BEGIN rides along with what it is for, statements do not wait for the answer to the one before, and
 * results come in the binary format. Only tests switch them off, to see that what comes of a statement does not depend on them.
 */
export const shortcuts = { taken: true };
