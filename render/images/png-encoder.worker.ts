// What the threads of image-writer.ts run.

export { encodePng } from './png-encoder.js';
