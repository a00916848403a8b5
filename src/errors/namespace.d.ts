/** Every class of error, by its name. */
export * as errors from './public.js';
