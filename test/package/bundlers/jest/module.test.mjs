import * as usingpg from 'usingpg';
import steps from './steps.cjs';

test('import', () => steps(usingpg, expect));
