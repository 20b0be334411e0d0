import { sweep } from './sweep.js';

sweep('worker');
