/**
 * Whether statements take shortcuts: a BEGIN is sent with its statement, statements do not wait for the previous answer, and
 * results come in the binary format. Only tests disable them, to check that they do not change the outcome of any statement.
 */
export const shortcuts = { taken: true };
