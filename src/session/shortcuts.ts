/**
 * Whether statements take the shortcuts past postgres.js: those that it could send go by messages of our own, a BEGIN rides along
 * with what it is for, and nobody waits for the answer to the statement before. Only tests switch them off, to see that
 * what comes of a statement does not depend on how it was sent.
 */
export const shortcuts = { taken: true };
