import { sweep } from './sweep.js';

sweep('gateway');
